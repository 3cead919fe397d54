/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a connection brings, on its way to the publisher. Beside another connection a new one only
 * listens at first: its trades are held until one of them is known from elsewhere (from there on
 * both bring the same), or it has listened for WARM_MS. So no trade overtakes an older one that the
 * other connection has yet to bring.
 */
#include "feed/session_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

void member_init(struct member *member, struct session *session, unsigned source)
{
    member->session = session;
    member->source = source;
    member->joined = memory_array(LIMIT_EXCHANGE_SYMBOLS, sizeof *member->joined);
    member->seen = memory_array(LIMIT_EXCHANGE_SYMBOLS, sizeof *member->seen);
}

void member_release(struct member *member)
{
    link_destroy(member->link);
    held_trades_destroy(member->held);
    memory_free(member->joined);
    memory_free(member->seen);
}

void member_end(struct member *member)
{
    struct session *session = member->session;
    link_destroy(member->link);
    held_trades_destroy(member->held);
    member->link = NULL;
    member->held = NULL;
    member->lane = NULL;
    member->settled = false;
    publisher_end_source(session->publisher, session->catalogue, member->source);
}

/* ---- holding ---- */

/* Whether it shows that the units' data comes. */
static bool shows_life(struct member *member, struct instrument *instrument,
                       const struct event *event, bool taken)
{
    struct units *units = member->session->units;
    enum channel channel = channel_of_event(event->type);
    uint32_t index = session_index(member->session, instrument);
    enum unit_state state = units_at(units, index, channel)->state;
    /* What a listening connection brings is a fact about those that are judged: do they bring it?
     */
    if (!member->warm && (state == UNIT_UNKNOWN || state == UNIT_NEWER)) {
        if (taken)
            units_contradicted(units, index, channel, event, clock_monotonic_ns());
        return false;
    }
    /* Who goes on with an older state than another one brought brings nothing. */
    return taken || (member->warm &&
                     (event->type == EVENT_TRADE || units_newer(units, index, channel, event)));
}

static void publish(struct member *member, struct instrument *instrument, const struct event *event)
{
    struct session *session = member->session;
    bool taken = publisher_event(session->publisher, member->source, instrument, event);
    if (shows_life(member, instrument, event, taken))
        units_seen(session->units, session_index(session, instrument),
                   channel_of_event(event->type), event, clock_monotonic_ns());
}

static void take_held(void *context, struct instrument *instrument, const struct event *event)
{
    if ((instrument->wanted & CHANNEL_BIT(CHANNEL_TRADE)) != 0) /* it may be given up meanwhile */
        publish(context, instrument, event);
}

void member_cool(struct member *member)
{
    member->warm = false;
    member->held = held_trades_create(HELD_MAX);
    memset(member->joined, 0, LIMIT_EXCHANGE_SYMBOLS * sizeof *member->joined);
}

void member_warm(struct member *member)
{
    if (member->held != NULL)
        held_trades_release(member->held, NULL, take_held, member);
    held_trades_destroy(member->held);
    member->held = NULL;
    member->warm = true;
}

/* False: the trade waits, or has come before. */
static bool trade_may_pass(struct member *member, struct instrument *instrument,
                           const struct event *event)
{
    bool *joined = &member->joined[session_index(member->session, instrument)];
    if (member->warm || *joined)
        return true;
    if (publisher_knows(member->session->publisher, instrument, event)) {
        *joined = true;
        held_trades_release(member->held, instrument, take_held, member);
        return false;
    }
    if (held_trades_put(member->held, instrument, event))
        return false;
    member_warm(member); /* so much has come that it has listened long enough */
    return true;
}

/* ---- taking ---- */

/* The session's instrument of this one of the connection; NULL: there is no room for it. */
static struct instrument *instrument_of(struct session *session, struct instrument *instrument)
{
    if (instrument->context == NULL) { /* learnt */
        struct instrument *own =
            instruments_add(session->catalogue, &instrument->symbol, slice_of(instrument->native));
        if (own != NULL)
            own->wanted = session->exchange->channels;
        instrument->context = own;
    }
    return instrument->context;
}

static void note_seen(struct member *member, uint32_t index, enum channel channel)
{
    struct session *session = member->session;
    if ((member->seen[index] & CHANNEL_BIT(channel)) == 0) {
        member->seen[index] |= (uint8_t)CHANNEL_BIT(channel);
        member->seen_count++;
    }
    metric_set(session->channel_age[channel], session->last_message_us);
}

static void take_event(struct member *member, struct instrument *theirs, struct event *event)
{
    struct session *session = member->session;
    enum channel channel = channel_of_event(event->type);
    struct instrument *instrument = instrument_of(session, theirs);
    if (channel == CHANNEL_COUNT || instrument == NULL)
        return;
    if ((instrument->wanted & CHANNEL_BIT(channel)) == 0 && !session->options.learn)
        return;                          /* given up meanwhile */
    event->symbol = &instrument->symbol; /* theirs ends with the connection */
    note_seen(member, session_index(session, instrument), channel);
    if (event->type != EVENT_TRADE || trade_may_pass(member, instrument, event))
        publish(member, instrument, event);
}

void member_take(struct member *member)
{
    struct session *session = member->session;
    struct event_batch *batch = session->batch;
    int64_t heard_ns = link_heard_ns(member->link);
    session->last_message_us = link_received_us(member->link);
    metric_set(session->age, session->last_message_us);
    watch_seen(&member->watch, heard_ns);
    if (session->state == STATUS_CONNECTING || session->state == STATUS_DOWN)
        session_set_state(session, STATUS_LIVE, NULL);
    for (uint32_t i = 0; i < batch->event_count; i++)
        take_event(member, batch->instrument[i], &batch->event[i]);
    /* A carrier that accepts later will need its own end of this. */
    metric_observe(session->publish_latency, (clock_monotonic_ns() - heard_ns) / NS_PER_US);
}
