/* SPDX-License-Identifier: Apache-2.0 */
/* One array of units by instrument and channel; a walk over all of them is a few microseconds. */
#include "feed/units.h"

#include "base/memory.h"

#include <assert.h>

#define NS_PER_MS 1000000
#define GRACE_MS 1000
#define WITNESSES 3
#define CLOCK_STEP_US 1000 /* REST and WebSocket times of one thing may be cut differently */

struct units {
    struct instruments *catalogue;
    int64_t allowed_ms;
    units_notice_fn *notice;
    void *context;
    struct watch all, channels[CHANNEL_COUNT];
    bool all_stale, channel_stale[CHANNEL_COUNT];
    uint32_t stale;
    struct metric *found_stale, *found_quiet;
    struct unit *unit; /* LIMIT_EXCHANGE_SYMBOLS x CHANNEL_COUNT */
};

struct units *units_create(struct instruments *catalogue, int64_t allowed_ms,
                           units_notice_fn *notice, void *context)
{
    struct units *units = memory_alloc(sizeof *units);
    units->catalogue = catalogue;
    units->allowed_ms = allowed_ms;
    units->notice = notice;
    units->context = context;
    units->unit = memory_array((size_t)LIMIT_EXCHANGE_SYMBOLS * CHANNEL_COUNT, sizeof *units->unit);
    return units;
}

void units_destroy(struct units *units)
{
    if (units == NULL)
        return;
    memory_free(units->unit);
    memory_free(units);
}

void units_allow(struct units *units, int64_t allowed_ms)
{
    units->allowed_ms = allowed_ms;
}

struct unit *units_at(struct units *units, uint32_t index, enum channel channel)
{
    assert(index < LIMIT_EXCHANGE_SYMBOLS && channel < CHANNEL_COUNT);
    return &units->unit[(size_t)index * CHANNEL_COUNT + channel];
}

void units_count_in(struct units *units, struct metric *stale, struct metric *quiet)
{
    units->found_stale = stale;
    units->found_quiet = quiet;
}

static void count(struct metric *metric)
{
    if (metric != NULL)
        metric_add(metric, 1);
}

static int64_t grace_ns(const struct units *units)
{
    int64_t quarter_ms = units->allowed_ms / 4;
    return (quarter_ms < GRACE_MS ? quarter_ms : GRACE_MS) * NS_PER_MS;
}

/* ---- what is watched ---- */

static void unit_end(struct units *units, struct unit *unit)
{
    watch_end(&unit->watch);
    if (unit->state == UNIT_STALE)
        units->stale--;
    unit->state = UNIT_FINE;
}

static void unit_follow(struct units *units, struct unit *unit, bool wanted, int64_t now_ns)
{
    bool watched = watch_age_ns(&unit->watch, now_ns) >= 0;
    if (wanted && !watched) {
        /* What was made while nobody listened is missed (a gap says so), not stale. */
        unit->newest_us = unit->newest_id = 0;
        unit->judged = false;
        watch_begin(&unit->watch, now_ns);
    } else if (!wanted) {
        unit_end(units, unit);
        unit->told = false; /* `down` is told of it */
    }
}

static void watch_follow(struct watch *watch, bool wanted, int64_t now_ns)
{
    bool watched = watch_age_ns(watch, now_ns) >= 0;
    if (wanted && !watched)
        watch_begin(watch, now_ns);
    else if (!wanted && watched)
        watch_end(watch);
}

static void tell(struct units *units, const struct instrument *instrument, enum channel channel,
                 bool stale)
{
    struct unit_scope scope = {.instrument = instrument, .channel = channel};
    units->notice(units->context, &scope, stale);
}

static void channel_follow(struct units *units, enum channel channel, bool wanted, int64_t now_ns)
{
    watch_follow(&units->channels[channel], wanted, now_ns);
    if (wanted || !units->channel_stale[channel])
        return;
    units->channel_stale[channel] = false;
    tell(units, NULL, channel, false);
}

void units_follow(struct units *units, int64_t now_ns)
{
    uint32_t wanted = 0;
    for (uint32_t i = 0; i < instruments_count(units->catalogue); i++) {
        uint32_t channels = instruments_at(units->catalogue, i)->wanted;
        wanted |= channels;
        for (unsigned c = 0; c < CHANNEL_COUNT; c++)
            unit_follow(units, units_at(units, i, (enum channel)c),
                        (channels & CHANNEL_BIT(c)) != 0, now_ns);
    }
    watch_follow(&units->all, wanted != 0, now_ns);
    for (unsigned c = 0; c < CHANNEL_COUNT; c++)
        channel_follow(units, (enum channel)c, (wanted & CHANNEL_BIT(c)) != 0, now_ns);
}

void units_stop(struct units *units)
{
    for (uint32_t i = 0; i < instruments_count(units->catalogue); i++)
        for (unsigned c = 0; c < CHANNEL_COUNT; c++)
            unit_end(units, units_at(units, i, (enum channel)c));
    watch_end(&units->all);
    units->all_stale = false;
    for (unsigned c = 0; c < CHANNEL_COUNT; c++)
        watch_end(&units->channels[c]);
}

/* ---- what is stale ---- */

static bool is_behind(const struct unit *unit)
{
    return unit->state == UNIT_STALE || unit->state == UNIT_NEWER;
}

static uint32_t wanted_count(const struct units *units)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < instruments_count(units->catalogue) && count < 2; i++)
        count += instruments_at(units->catalogue, i)->wanted != 0;
    return count;
}

/* Another instrument's unit, of this channel or (CHANNEL_COUNT) of any, that is behind as well; or,
 * where there is but one instrument, another channel's. */
static bool has_witness(struct units *units, uint32_t but, enum channel channel)
{
    bool alone = wanted_count(units) < 2;
    uint32_t behind = 0;
    for (uint32_t i = 0; i < instruments_count(units->catalogue); i++)
        for (unsigned c = 0; c < CHANNEL_COUNT; c++)
            if ((channel == CHANNEL_COUNT || channel == (enum channel)c) && (alone || i != but))
                behind += is_behind(units_at(units, i, (enum channel)c));
    return behind > (alone ? 1 : 0);
}

/* As long as its own rate forbids; that one of it was found quiet says nothing here. */
static bool is_silent(const struct units *units, const struct watch *watch, int64_t now_ns)
{
    struct watch own = *watch;
    own.quiet_ns = 0;
    own.looks = 0;
    return watch_suspects(&own, now_ns, units->allowed_ms);
}

/* At the widest level that is as silent as its own rate forbids, and has another witness. */
static void unit_stale(struct units *units, uint32_t index, enum channel channel, int64_t now_ns)
{
    struct unit *unit = units_at(units, index, channel);
    unit->state = UNIT_STALE;
    units->stale++;
    count(units->found_stale);
    if (unit->told || units->all_stale || units->channel_stale[channel])
        return;
    if (is_silent(units, &units->all, now_ns) && has_witness(units, index, CHANNEL_COUNT)) {
        units->all_stale = true;
        tell(units, NULL, CHANNEL_COUNT, true);
    } else if (is_silent(units, &units->channels[channel], now_ns) &&
               has_witness(units, index, channel)) {
        units->channel_stale[channel] = true;
        tell(units, NULL, channel, true);
    } else {
        unit->told = true;
        tell(units, instruments_at(units->catalogue, index), channel, true);
    }
}

/* What was stale together with something wider, or was just being judged, is watched by itself
 * again. */
static void unit_alone(struct units *units, struct unit *unit, int64_t now_ns)
{
    if (unit->state == UNIT_FINE || unit->told)
        return;
    if (unit->state == UNIT_STALE)
        units->stale--;
    unit->state = UNIT_FINE;
    watch_begin(&unit->watch, now_ns);
}

static void channel_fresh(struct units *units, enum channel channel, int64_t now_ns)
{
    if (!units->channel_stale[channel])
        return;
    units->channel_stale[channel] = false;
    for (uint32_t i = 0; i < instruments_count(units->catalogue); i++)
        unit_alone(units, units_at(units, i, channel), now_ns);
    tell(units, NULL, channel, false);
}

static void all_fresh(struct units *units, int64_t now_ns)
{
    if (!units->all_stale)
        return;
    units->all_stale = false;
    for (uint32_t i = 0; i < instruments_count(units->catalogue); i++)
        for (unsigned c = 0; c < CHANNEL_COUNT; c++)
            if (!units->channel_stale[c])
                unit_alone(units, units_at(units, i, (enum channel)c), now_ns);
    tell(units, NULL, CHANNEL_COUNT, false);
}

static int64_t event_id(const struct event *event)
{
    uint64_t id = 0;
    if (event->type != EVENT_TRADE)
        return event->order_id;
    return slice_to_uint64(event->trade.id, INT64_MAX, &id) ? (int64_t)id : 0;
}

static void unit_fresh(struct units *units, struct unit *unit, uint32_t index, enum channel channel)
{
    if (!unit->told)
        return;
    unit->told = false;
    tell(units, instruments_at(units->catalogue, index), channel, false);
}

void units_seen(struct units *units, uint32_t index, enum channel channel,
                const struct event *event, int64_t now_ns)
{
    struct unit *unit = units_at(units, index, channel);
    int64_t id = event_id(event);
    unit->newest_us = event->exchange_us > unit->newest_us ? event->exchange_us : unit->newest_us;
    unit->newest_id = id > unit->newest_id ? id : unit->newest_id;
    watch_seen(&unit->watch, now_ns);
    watch_seen(&units->channels[channel], now_ns);
    watch_seen(&units->all, now_ns);
    all_fresh(units, now_ns);
    channel_fresh(units, channel, now_ns);
    if (unit->state == UNIT_STALE)
        units->stale--;
    unit->state = UNIT_FINE;
    unit_fresh(units, unit, index, channel);
}

/* ---- what is asked ---- */

static bool fact_comparable(const struct unit *unit)
{
    return (unit->fact_id != 0 && unit->newest_id != 0) ||
           (unit->fact_us != 0 && unit->newest_us != 0);
}

static bool fact_newer(const struct unit *unit)
{
    if (unit->fact_id != 0 && unit->newest_id != 0)
        return unit->fact_id > unit->newest_id;
    return unit->fact_us != 0 && unit->newest_us != 0 &&
           unit->fact_us > unit->newest_us + CLOCK_STEP_US;
}

static void unit_quiet(struct units *units, uint32_t index, enum channel channel, int64_t now_ns)
{
    struct unit *unit = units_at(units, index, channel);
    unit->state = UNIT_FINE;
    unit->judged = true;
    count(units->found_quiet);
    watch_quiet(&unit->watch, now_ns);
    watch_quiet(&units->channels[channel], now_ns);
    watch_quiet(&units->all, now_ns);
    all_fresh(units, now_ns);
    channel_fresh(units, channel, now_ns);
    unit_fresh(units, unit, index, channel);
}

/* Nothing has come to compare it with: what is made from now on must come. The next look is due as
 * soon as the first one was. */
static void unit_first_fact(struct units *units, uint32_t index, enum channel channel,
                            int64_t now_ns)
{
    struct unit *unit = units_at(units, index, channel);
    unit->newest_us = unit->fact_us;
    unit->newest_id = unit->fact_id;
    unit->state = UNIT_FINE;
    unit->judged = true;
    count(units->found_quiet);
    watch_begin(&unit->watch, now_ns);
    unit_fresh(units, unit, index, channel); /* it was stale when the connection was lost */
}

static void unit_fact(struct units *units, uint32_t index, enum channel channel,
                      const struct rest_fact *fact, int64_t now_ns)
{
    struct unit *unit = units_at(units, index, channel);
    bool book = channel == CHANNEL_BOOK || channel == CHANNEL_QUOTE;
    unit->fact_us = fact == NULL ? 0 : book ? fact->book_us : fact->trade_us;
    unit->fact_id = fact == NULL ? 0 : book ? fact->book_id : fact->trade_id;
    /* A best bid and ask may stay while the book's id grows: that is no proof against a quote. */
    bool weak = channel == CHANNEL_QUOTE && fact != NULL && fact->bid.size.mantissa != 0;
    if (weak || (unit->fact_us == 0 && unit->fact_id == 0)) {
        unit->state = UNIT_UNKNOWN;
        return;
    }
    if (unit->watch.seen_ns == 0 && unit->newest_us == 0 && unit->newest_id == 0) {
        unit_first_fact(units, index, channel, now_ns);
        return;
    }
    if (!fact_comparable(unit)) {
        unit->state = UNIT_UNKNOWN;
        return;
    }
    if (!fact_newer(unit)) {
        unit_quiet(units, index, channel, now_ns);
        return;
    }
    unit->state = UNIT_NEWER;
    unit->decide_ns = now_ns + grace_ns(units);
}

void units_fact(struct units *units, uint32_t index, uint32_t channels,
                const struct rest_fact *fact, int64_t now_ns)
{
    for (unsigned c = 0; c < CHANNEL_COUNT; c++) {
        struct unit *unit = units_at(units, index, (enum channel)c);
        if ((channels & CHANNEL_BIT(c)) != 0 && unit->state == UNIT_ASKED)
            unit_fact(units, index, (enum channel)c, fact, now_ns);
    }
}

bool units_newer(struct units *units, uint32_t index, enum channel channel,
                 const struct event *event)
{
    const struct unit *unit = units_at(units, index, channel);
    return event_id(event) > unit->newest_id || event->exchange_us > unit->newest_us;
}

void units_contradicted(struct units *units, uint32_t index, enum channel channel,
                        const struct event *event, int64_t now_ns)
{
    struct unit *unit = units_at(units, index, channel);
    if (channel == CHANNEL_TICKER || unit->state != UNIT_UNKNOWN)
        return;
    unit->fact_us = event->exchange_us;
    unit->fact_id = event_id(event);
    unit->state = UNIT_NEWER;
    unit->decide_ns = now_ns + grace_ns(units);
}

/* What was newer is behind us now. */
static void unit_again(struct units *units, struct unit *unit)
{
    unit->newest_us = unit->fact_us;
    unit->newest_id = unit->fact_id;
    unit->state = UNIT_SUSPECT;
    units->stale--;
}

void units_looked(struct units *units, bool replaced, int64_t now_ns)
{
    for (uint32_t i = 0; i < instruments_count(units->catalogue); i++)
        for (unsigned c = 0; c < CHANNEL_COUNT; c++) {
            struct unit *unit = units_at(units, i, (enum channel)c);
            if (unit->state == UNIT_UNKNOWN)
                unit_quiet(units, i, (enum channel)c, now_ns);
            else if (unit->state == UNIT_STALE && replaced)
                unit_again(units, unit);
        }
}

static bool anything_pending(struct units *units)
{
    for (uint32_t i = 0; i < instruments_count(units->catalogue); i++)
        for (unsigned c = 0; c < CHANNEL_COUNT; c++) {
            enum unit_state state = units_at(units, i, (enum channel)c)->state;
            if (state == UNIT_SUSPECT || state == UNIT_ASKED)
                return true;
        }
    return false;
}

/* Something wider is silent, and others are being asked about: their answers say how wide. */
static bool awaits_witness(struct units *units, uint32_t index, enum channel channel,
                           int64_t now_ns)
{
    const struct unit *unit = units_at(units, index, channel);
    bool silent = is_silent(units, &units->all, now_ns) ||
                  is_silent(units, &units->channels[channel], now_ns);
    return silent && now_ns - unit->decide_ns < grace_ns(units) &&
           !has_witness(units, index, CHANNEL_COUNT) && anything_pending(units);
}

static void unit_check(struct units *units, uint32_t index, enum channel channel, int64_t now_ns)
{
    struct unit *unit = units_at(units, index, channel);
    if (unit->state == UNIT_FINE && watch_suspects(&unit->watch, now_ns, units->allowed_ms))
        unit->state = UNIT_SUSPECT;
    else if (unit->state == UNIT_NEWER && now_ns >= unit->decide_ns &&
             !awaits_witness(units, index, channel, now_ns))
        unit_stale(units, index, channel, now_ns);
}

static struct unit *last_seen(struct units *units, enum channel channel)
{
    struct unit *last = NULL;
    for (uint32_t i = 0; i < instruments_count(units->catalogue); i++)
        for (unsigned c = 0; c < CHANNEL_COUNT; c++) {
            struct unit *unit = units_at(units, i, (enum channel)c);
            bool asked_for = channel == CHANNEL_COUNT || channel == (enum channel)c;
            if (asked_for && unit->state == UNIT_FINE && unit->watch.seen_ns != 0 &&
                (last == NULL || unit->watch.seen_ns > last->watch.seen_ns))
                last = unit;
        }
    return last;
}

/* What spoke last in a channel (CHANNEL_COUNT: in any) that is silent now is the first to ask
 * about: some of it, because one alone would be no witness of the others. */
static void suspect_last(struct units *units, enum channel channel)
{
    for (int i = 0; i < WITNESSES; i++) {
        struct unit *unit = last_seen(units, channel);
        if (unit != NULL)
            unit->state = UNIT_SUSPECT;
    }
}

uint32_t units_check(struct units *units, int64_t now_ns, uint32_t *ret_unknown)
{
    uint32_t suspects = 0;
    *ret_unknown = 0;
    if (!units->all_stale && watch_suspects(&units->all, now_ns, units->allowed_ms))
        suspect_last(units, CHANNEL_COUNT);
    for (unsigned c = 0; c < CHANNEL_COUNT; c++)
        if (!units->channel_stale[c] &&
            watch_suspects(&units->channels[c], now_ns, units->allowed_ms))
            suspect_last(units, (enum channel)c);
    for (uint32_t i = 0; i < instruments_count(units->catalogue); i++)
        for (unsigned c = 0; c < CHANNEL_COUNT; c++) {
            unit_check(units, i, (enum channel)c, now_ns);
            enum unit_state state = units_at(units, i, (enum channel)c)->state;
            suspects += state == UNIT_SUSPECT;
            *ret_unknown += state == UNIT_UNKNOWN;
        }
    return suspects;
}

bool units_any_quiet(struct units *units)
{
    for (uint32_t i = 0; i < instruments_count(units->catalogue); i++)
        for (unsigned c = 0; c < CHANNEL_COUNT; c++)
            if (units_at(units, i, (enum channel)c)->judged)
                return true;
    return false;
}

uint32_t units_stale(const struct units *units)
{
    return units->stale;
}

int64_t units_age_ns(const struct units *units, int64_t now_ns)
{
    return watch_age_ns(&units->all, now_ns);
}
