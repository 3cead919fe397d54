/* SPDX-License-Identifier: Apache-2.0 */
/* One exchange's events become records here; a book becomes the difference from what clients have.
 */
#include "feed/publisher_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "market/book.h"
#include "market/encode.h"

#include <assert.h>
#include <stdio.h>

/* Exchanges that number trades in no order send them in no strict order either: one that was made a
 * little before the last that came may still have been on its way. */
#define DISORDER_US 1000000

struct publisher *publisher_create(const struct exchange *exchange, struct sequencer *sequencer,
                                   uint32_t book_depth)
{
    assert(book_depth >= 1 && book_depth <= LIMIT_BOOK_DEPTH);
    struct publisher *publisher = memory_alloc(sizeof *publisher);
    publisher->exchange = exchange;
    publisher->sequencer = sequencer;
    publisher->book_depth = book_depth;
    publisher->difference = memory_array(4 * (size_t)book_depth, sizeof(struct level));
    char labels[LIMIT_METRIC_LABELS];
    for (int i = 0; i < EVENT_TYPE_COUNT; i++) {
        snprintf(labels, sizeof labels, "exchange=\"%s\",type=\"%s\"", exchange->name,
                 event_type_names[i]);
        publisher->events[i] = metric_series(METRIC_EVENTS, labels);
        snprintf(labels, sizeof labels, "type=\"%s\"", event_type_names[i]);
        publisher->published[i] = metric_series(METRIC_PUBLISHED, labels);
    }
    snprintf(labels, sizeof labels, "exchange=\"%s\"", exchange->name);
    publisher->repeated = metric_series(METRIC_DUPLICATES, labels);
    publisher->missing = metric_series(METRIC_TRADES_MISSING, labels);
    publisher->latency = metric_series(METRIC_EXCHANGE_LATENCY, labels);
    return publisher;
}

void publisher_take_as_is(struct publisher *publisher)
{
    publisher->as_is = true;
}

void publisher_return(struct publisher *publisher)
{
    publisher->returning = CHANNEL_BIT(CHANNEL_COUNT) - 1;
}

void publisher_destroy(struct publisher *publisher)
{
    if (publisher == NULL)
        return;
    memory_free(publisher->difference);
    memory_free(publisher);
}

/* True when the carrier took it: then, and only then, clients have it or will. */
static bool publish(struct publisher *publisher, struct slice key, const struct event *event)
{
    struct slice exchange = slice_of(publisher->exchange->name);
    const char *type = event_type_names[event->type];
    char *body = sequencer_reserve(publisher->sequencer, type, event_encode_max(event, exchange));
    if (body == NULL) {
        log_error("feed", log_text("msg", "message too large, dropped"),
                  log_slice("exchange", exchange), log_text("type", type));
        return false;
    }
    char *end = event_encode(body, event, exchange);
    if (sequencer_commit(publisher->sequencer, key, (size_t)(end - body)) != CARRIER_TAKEN)
        return false;
    metric_add(publisher->published[event->type], 1);
    return true;
}

static struct track *publisher_track(struct publisher *publisher, struct instrument *instrument)
{
    if (instrument->context != NULL)
        return instrument->context;
    struct track *track = memory_alloc(sizeof *track);
    int size = snprintf(track->key, sizeof track->key, "%s:%s", publisher->exchange->name,
                        instrument->symbol.text);
    assert(size > 0 && (size_t)size < sizeof track->key);
    track->key_size = (size_t)size;
    track->bids = memory_array(publisher->book_depth, sizeof(struct level));
    track->asks = memory_array(publisher->book_depth, sizeof(struct level));
    track->filter = trade_filter_create();
    track->returning = publisher->returning;
    publisher_learn(publisher, track, symbol_slice(&instrument->symbol));
    instrument->context = track;
    return track;
}

void publisher_forget(struct publisher *publisher, struct instrument *instrument)
{
    (void)publisher;
    struct track *track = instrument->context;
    if (track == NULL)
        return;
    memory_free(track->bids);
    memory_free(track->asks);
    trade_filter_destroy(track->filter);
    trade_order_release(&track->order);
    memory_free(track);
    instrument->context = NULL;
}

static struct slice track_key(const struct track *track)
{
    return (struct slice){.data = track->key, .size = track->key_size};
}

/* ---- what is said ---- */

/* Where in the stream a decision stands, so that it can be followed through the nodes. */
static void log_decision(const struct publisher *publisher, const char *what,
                         const struct event *event, struct slice channel, struct slice reason)
{
    const struct sequencer *sequencer = publisher->sequencer;
    const char *state = event->type == EVENT_STATUS ? status_state_names[event->status.state] : "";
    struct slice symbol = SLICE("");
    if (event->symbol != NULL)
        symbol = symbol_slice(event->symbol);
    log_info("feed", log_text("msg", what), log_text("exchange", publisher->exchange->name),
             log_slice("symbol", symbol), log_slice("channel", channel), log_text("state", state),
             log_slice("reason", reason), log_text("stream", sequencer_stream(sequencer)),
             log_int("epoch", sequencer_epoch(sequencer)),
             log_int("seq", sequencer_next(sequencer) - 1));
}

static bool publish_gap(struct publisher *publisher, const struct track *track,
                        const struct event *event)
{
    if (!publish(publisher, track_key(track), event))
        return false;
    log_decision(publisher, "gap", event, event->gap.channel, event->gap.reason);
    return true;
}

/* ---- trades ---- */

static void publish_trade(struct publisher *publisher, struct track *track,
                          const struct event *event)
{
    /* What was made after it may still have been on its way when the connection ended. */
    track->traded_us = trade_made_us(event);
    publish(publisher, track_key(track), event);
}

struct ordering { /* whose trades are put in order */
    struct publisher *publisher;
    struct track *track;
    const struct symbol *symbol;
};

static void ordered_take(void *context, const struct event *event)
{
    const struct ordering *ordering = context;
    struct event own = *event;
    own.symbol = ordering->symbol; /* what waited may have outlived its connection */
    publish_trade(ordering->publisher, ordering->track, &own);
}

static void ordered_missing(void *context, const struct trade_hole *hole)
{
    const struct ordering *ordering = context;
    char after[24], before[24];
    snprintf(after, sizeof after, "%llu", (unsigned long long)hole->after);
    snprintf(before, sizeof before, "%llu", (unsigned long long)hole->before);
    uint64_t missing = hole->before - hole->after - 1;
    bool counted = missing <= TRADE_ORDER_FAR; /* else the exchange numbers anew */
    struct event gap = {
        .type = EVENT_GAP,
        .symbol = ordering->symbol,
        .received_us = clock_wall_us(),
        .gap = {.channel = SLICE("trade"),
                .after_id = slice_of(after),
                .before_id = slice_of(before),
                .from_us = hole->from_us <= hole->to_us ? hole->from_us : 0,
                .to_us = hole->to_us,
                .missing = counted ? (int64_t)missing : -1},
    };
    metric_add(ordering->publisher->missing, counted ? missing : 0);
    publish_gap(ordering->publisher, ordering->track, &gap);
    ordering->track->unheard_us = 0;
}

static const struct trade_order_callbacks order_callbacks = {.take = ordered_take,
                                                             .missing = ordered_missing};

static void order_check(struct publisher *publisher, struct instrument *instrument, int64_t now_ns,
                        bool end)
{
    struct track *track = instrument->context;
    if (track == NULL || track->order.waiting == NULL)
        return;
    struct ordering ordering = {
        .publisher = publisher, .track = track, .symbol = &instrument->symbol};
    struct trade_order_taker taker = {
        .callbacks = &order_callbacks, .context = &ordering, .now_ns = now_ns};
    trade_order_check(&track->order, &taker, end);
}

void publisher_check(struct publisher *publisher, struct instruments *instruments, int64_t now_ns)
{
    if (!publisher->exchange->trade_ids_consecutive)
        return;
    for (uint32_t i = 0; i < instruments_count(instruments); i++)
        order_check(publisher, instruments_at(instruments, i), now_ns, false);
}

/* Nobody can tell by ids what was traded while there was no connection. */
static void publish_unheard(struct publisher *publisher, struct track *track,
                            const struct symbol *symbol, int64_t until_us)
{
    int64_t from_us = track->unheard_us;
    if (from_us > DISORDER_US)
        from_us -= DISORDER_US;
    struct event gap = {
        .type = EVENT_GAP,
        .symbol = symbol,
        .received_us = clock_wall_us(),
        .gap = {.channel = SLICE("trade"),
                .from_us = from_us,
                .to_us = until_us,
                .missing = -1,
                .reason = SLICE("no connection")},
    };
    track->unheard_us = 0;
    publish_gap(publisher, track, &gap);
}

/* Its clock may be ahead of ours. */
static int64_t later_of(const struct event *event)
{
    return event->exchange_us > event->received_us ? event->exchange_us : event->received_us;
}

/*
 * At a subscription exchanges repeat their last trade, however old. When it is older than what the
 * filter remembers, and no later than the last one that we had, it is that one.
 */
static bool is_last_again(const struct publisher *publisher, const struct track *track,
                          const struct event *event)
{
    return event->trade.origin == TRADE_SNAPSHOT && !publisher->as_is && event->exchange_us != 0 &&
           event->exchange_us <= track->traded_us &&
           event->received_us - event->exchange_us > TRADE_FILTER_AGE_US;
}

static bool take_trade(struct publisher *publisher, unsigned source, struct instrument *instrument,
                       const struct event *event)
{
    struct track *track = instrument->context;
    bool fresh =
        trade_filter_pass(track->filter, source, event) && !is_last_again(publisher, track, event);
    bool passed_on = publisher->as_is && event->trade.origin != TRADE_SNAPSHOT;
    if (!fresh && !passed_on) {
        metric_add(publisher->repeated, 1);
        if (event->trade.origin == TRADE_SNAPSHOT)
            track->unheard_us = 0; /* the exchange's newest is one that we had */
        return false;
    }
    if (!publisher->exchange->trade_ids_consecutive || publisher->as_is) {
        if (track->unheard_us != 0)
            publish_unheard(publisher, track, event->symbol, later_of(event));
        publish_trade(publisher, track, event);
        return true;
    }
    struct ordering ordering = {
        .publisher = publisher, .track = track, .symbol = &instrument->symbol};
    struct trade_order_taker taker = {
        .callbacks = &order_callbacks, .context = &ordering, .now_ns = clock_monotonic_ns()};
    trade_order_put(&track->order, &taker, event);
    return true;
}

bool publisher_knows(struct publisher *publisher, struct instrument *instrument,
                     const struct event *trade)
{
    return trade_filter_knows(publisher_track(publisher, instrument)->filter, trade);
}

/* ---- books ---- */

/* The book cannot be vouched for, and so is not sent: once a connection that is said. */
static void book_not_vouched(struct publisher *publisher, struct track *track,
                             const struct symbol *symbol, struct slice reason, int64_t received_us)
{
    if (track->gap_said)
        return;
    struct event gap = {
        .type = EVENT_GAP,
        .symbol = symbol,
        .received_us = received_us,
        .gap = {.channel = SLICE("book"), .missing = -1, .reason = reason},
    };
    track->gap_said = publish_gap(publisher, track, &gap);
    track->book_sent = false;
}

void publisher_missing(struct publisher *publisher, struct instrument *instrument,
                       int64_t received_us)
{
    struct track *track = publisher_track(publisher, instrument);
    if ((instrument->wanted & CHANNEL_BIT(CHANNEL_BOOK)) != 0 && !track->book_sent)
        book_not_vouched(publisher, track, &instrument->symbol, SLICE("no snapshot came"),
                         received_us);
    if ((instrument->wanted & CHANNEL_BIT(CHANNEL_TRADE)) != 0 && track->unheard_us != 0 &&
        !publisher->exchange->trade_ids_consecutive)
        publish_unheard(publisher, track, &instrument->symbol, received_us);
}

void publisher_lost(struct publisher *publisher, struct instruments *instruments,
                    int64_t received_us)
{
    for (uint32_t i = 0; i < instruments_count(instruments); i++) {
        struct instrument *instrument = instruments_at(instruments, i);
        struct track *track = instrument->context;
        if (track == NULL)
            continue;
        order_check(publisher, instrument, 0, true);
        if (track->unheard_us == 0)
            track->unheard_us = track->traded_us;
        if (track->book_sent)
            book_not_vouched(publisher, track, &instrument->symbol, SLICE("connection lost"),
                             received_us);
    }
}

void publisher_restart(struct publisher *publisher, struct instruments *instruments)
{
    (void)publisher;
    for (uint32_t i = 0; i < instruments_count(instruments); i++) {
        struct track *track = instruments_at(instruments, i)->context;
        if (track == NULL)
            continue;
        track->gap_said = false;
        track->book_age = track->ticker_age = track->quote_age = (struct recency){0};
    }
}

void publisher_end_source(struct publisher *publisher, struct instruments *instruments,
                          unsigned source)
{
    (void)publisher;
    for (uint32_t i = 0; i < instruments_count(instruments); i++) {
        struct track *track = instruments_at(instruments, i)->context;
        if (track == NULL)
            continue;
        trade_filter_restart(track->filter, source);
        recency_end(&track->book_age, source);
        recency_end(&track->ticker_age, source);
        recency_end(&track->quote_age, source);
    }
}

static bool same_level(const struct level *left, const struct level *right)
{
    return decimal_equal(left->price, right->price) && decimal_equal(left->size, right->size);
}

bool publisher_has_best(struct publisher *publisher, const struct instrument *instrument,
                        const struct level *bid, const struct level *ask)
{
    const struct track *track = instrument->context;
    (void)publisher;
    return track != NULL && track->book_sent && track->bid_count > 0 && track->ask_count > 0 &&
           same_level(&track->bids[0], bid) && same_level(&track->asks[0], ask);
}

static struct levels levels_cut(struct levels levels, uint32_t max)
{
    return (struct levels){.level = levels.level, .count = levels.count < max ? levels.count : max};
}

static uint32_t side_keep(struct level *kept, struct levels side)
{
    if (side.count > 0) /* an empty side may have no array at all */
        memcpy(kept, side.level, side.count * sizeof(struct level));
    return side.count;
}

static void track_keep_view(struct track *track, struct levels bids, struct levels asks)
{
    track->bid_count = side_keep(track->bids, bids);
    track->ask_count = side_keep(track->asks, asks);
}

/* The change from the view that clients have to the one that they should have; false when there is
 * none. */
static bool book_update(struct publisher *publisher, const struct track *track,
                        struct book_change *change)
{
    struct level *bids = publisher->difference;
    struct level *asks = publisher->difference + 2 * (size_t)publisher->book_depth;
    struct levels old_bids = {.level = track->bids, .count = track->bid_count};
    struct levels old_asks = {.level = track->asks, .count = track->ask_count};
    uint32_t bid_count = book_difference(old_bids, change->bids, true, bids);
    uint32_t ask_count = book_difference(old_asks, change->asks, false, asks);
    *change = (struct book_change){
        .action = BOOK_UPDATE,
        .bids = {.level = bids, .count = bid_count},
        .asks = {.level = asks, .count = ask_count},
    };
    return bid_count + ask_count > 0;
}

static void publish_book(struct publisher *publisher, struct track *track,
                         const struct event *event)
{
    if (event->book.action != BOOK_SNAPSHOT || event->book.proof == BOOK_PROOF_NONE) {
        book_not_vouched(publisher, track, event->symbol, SLICE("differences without a snapshot"),
                         event->received_us);
        return;
    }
    struct event view = *event;
    struct levels bids = levels_cut(event->book.bids, publisher->book_depth);
    struct levels asks = levels_cut(event->book.asks, publisher->book_depth);
    view.book.bids = bids;
    view.book.asks = asks;
    if (view.book.depth > publisher->book_depth)
        view.book.depth = publisher->book_depth;
    /* The first book of a symbol in an epoch is a snapshot, also when the epoch began meanwhile. */
    bool sent = track->book_sent && track->book_epoch == sequencer_epoch(publisher->sequencer);
    bool changed = !sent || book_update(publisher, track, &view.book);
    if (!changed || !publish(publisher, track_key(track), &view))
        return;
    track->book_sent = true;
    track->book_epoch = sequencer_epoch(publisher->sequencer);
    track->gap_said = false;
    track_keep_view(track, bids, asks);
}

/* Trades that the exchange says again, or that were fetched, were made long before they came. */
static void observe_latency(struct publisher *publisher, const struct event *event)
{
    bool live = event->type != EVENT_TRADE || event->trade.origin == TRADE_LIVE;
    if (event->exchange_us != 0 && live)
        metric_observe(publisher->latency, event->received_us - event->exchange_us);
}

static bool is_newer(const struct publisher *publisher, struct recency *recency, unsigned source,
                     const struct event *event)
{
    return publisher->as_is || recency_pass(recency, source, event->order_id, event->exchange_us);
}

enum channel channel_of_event(enum event_type type)
{
    switch (type) {
    case EVENT_TRADE:
        return CHANNEL_TRADE;
    case EVENT_TICKER:
        return CHANNEL_TICKER;
    case EVENT_QUOTE:
        return CHANNEL_QUOTE;
    case EVENT_BOOK:
        return CHANNEL_BOOK;
    case EVENT_STATUS:
    case EVENT_GAP:
    case EVENT_EPOCH:
    case EVENT_CANDLE:
    case EVENT_TYPE_COUNT:
        break;
    }
    return CHANNEL_COUNT;
}

static void notice_channel(struct publisher *publisher, const struct instrument *instrument,
                           enum status_state state, enum channel channel, struct slice reason)
{
    struct publisher_notice notice = {.state = state,
                                      .reason = reason,
                                      .symbol = &instrument->symbol,
                                      .channel = slice_of(channel_names[channel])};
    publisher_status(publisher, &notice, clock_wall_us());
}

void publisher_drop(struct publisher *publisher, struct instrument *instrument, uint32_t channels,
                    struct slice reason)
{
    struct track *track = publisher_track(publisher, instrument);
    for (unsigned c = 0; c < CHANNEL_COUNT; c++)
        if ((channels & ~track->dropped & CHANNEL_BIT(c)) != 0)
            notice_channel(publisher, instrument, STATUS_DOWN, (enum channel)c, reason);
    track->dropped |= channels;
    if ((channels & CHANNEL_BIT(CHANNEL_BOOK)) != 0)
        track->book_sent = track->gap_said = false;
    if ((channels & CHANNEL_BIT(CHANNEL_TRADE)) != 0) {
        trade_order_release(&track->order); /* what is traded meanwhile is not missing */
        track->traded_us = track->unheard_us = 0;
    }
}

/* It is collected again. */
static void take_up(struct publisher *publisher, const struct instrument *instrument,
                    struct track *track, enum channel channel)
{
    if ((publisher->not_live & CHANNEL_BIT(channel)) != 0) {
        struct publisher_notice notice = {.state = STATUS_LIVE,
                                          .channel = slice_of(channel_names[channel])};
        publisher->not_live &= ~CHANNEL_BIT(channel);
        publisher_status(publisher, &notice, clock_wall_us());
    }
    if (((track->dropped | track->returning) & CHANNEL_BIT(channel)) == 0)
        return;
    track->dropped &= ~CHANNEL_BIT(channel);
    track->returning &= ~CHANNEL_BIT(channel);
    notice_channel(publisher, instrument, STATUS_LIVE, channel, (struct slice){0});
}

bool publisher_event(struct publisher *publisher, unsigned source, struct instrument *instrument,
                     const struct event *event)
{
    struct track *track = publisher_track(publisher, instrument);
    enum channel channel = channel_of_event(event->type);
    if (channel != CHANNEL_COUNT)
        take_up(publisher, instrument, track, channel);
    metric_add(publisher->events[event->type], 1);
    observe_latency(publisher, event);
    switch (event->type) {
    case EVENT_TRADE:
        return take_trade(publisher, source, instrument, event);
    case EVENT_TICKER:
        return is_newer(publisher, &track->ticker_age, source, event) &&
               publish(publisher, track_key(track), event);
    case EVENT_QUOTE:
        return is_newer(publisher, &track->quote_age, source, event) &&
               publish(publisher, track_key(track), event);
    case EVENT_BOOK:
        if (!is_newer(publisher, &track->book_age, source, event))
            return false;
        publish_book(publisher, track, event);
        return true;
    case EVENT_STATUS:
    case EVENT_GAP:
    case EVENT_EPOCH:
    case EVENT_CANDLE: /* the stream has no type for it yet */
    case EVENT_TYPE_COUNT:
        return false;
    }
    return false;
}

void publisher_status(struct publisher *publisher, const struct publisher_notice *notice,
                      int64_t received_us)
{
    char key[LIMIT_KEY];
    struct event event = {
        .type = EVENT_STATUS,
        .symbol = notice->symbol,
        .received_us = received_us,
        .status = {.state = notice->state, .reason = notice->reason, .channel = notice->channel},
    };
    snprintf(key, sizeof key, "%s%s%s", publisher->exchange->name,
             notice->symbol == NULL ? "" : ":", notice->symbol == NULL ? "" : notice->symbol->text);
    if (publish(publisher, slice_of(key), &event))
        log_decision(publisher, "status", &event, notice->channel, notice->reason);
}
