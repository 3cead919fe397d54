/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each side is an array, best first. Most orders fall near the best, where an insertion moves the
 * whole array: some 40 KiB at most, which is little beside the messages that follow from it.
 */
#include "sim/flow.h"

#include "base/memory.h"

#include <assert.h>
#include <string.h>

#define NEAR 10 /* levels in which most orders fall */
#define GAP_DEFAULT 3
#define WIDE 4          /* a spread of so many gaps is filled at once */
#define BIAS_MAX 150    /* permille */
#define BIAS_STEPS 200  /* steps between two moods of the market, about */
#define MARKET_SHARE 18 /* percent of all orders */
#define LIMIT_SHARE 42

uint64_t flow_random(uint64_t *state)
{
    /* splitmix64: any seed will do */
    *state += 0x9e3779b97f4a7c15u;
    uint64_t mixed = *state;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
    return mixed ^ mixed >> 31;
}

int64_t flow_random_below(uint64_t *state, int64_t bound)
{
    assert(bound > 0);
    return (int64_t)(flow_random(state) % (uint64_t)bound);
}

static int64_t below(struct flow *flow, int64_t bound)
{
    return flow_random_below(&flow->random, bound);
}

/* Whether `left` is nearer to the other side than `right`. */
static bool better(enum flow_side side, int64_t left, int64_t right)
{
    return side == FLOW_BID ? left > right : left < right;
}

/* Index of the first level that is not better than the price. */
static size_t level_find(const struct flow_levels *levels, enum flow_side side, int64_t price)
{
    size_t low = 0, high = levels->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (better(side, levels->items[middle].price, price))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int64_t flow_size_at(const struct flow *flow, enum flow_side side, int64_t price,
                     int64_t *ret_orders)
{
    const struct flow_levels *levels = &flow->sides[side];
    size_t at = level_find(levels, side, price);
    bool there = at < levels->count && levels->items[at].price == price;
    if (ret_orders != NULL)
        *ret_orders = there ? levels->items[at].orders : 0;
    return there ? levels->items[at].size : 0;
}

static void note(struct flow *flow, struct flow_events *events, enum flow_side side, int64_t price,
                 int64_t size)
{
    assert(events->change_count < FLOW_CHANGES_MAX);
    flow->update_id++;
    events->changes[events->change_count++] =
        (struct flow_change){.side = side, .price = price, .size = size};
}

static void level_remove(struct flow *flow, struct flow_events *events, enum flow_side side,
                         size_t at)
{
    struct flow_levels *levels = &flow->sides[side];
    int64_t price = levels->items[at].price;
    levels->count--;
    memmove(&levels->items[at], &levels->items[at + 1],
            (levels->count - at) * sizeof levels->items[0]);
    note(flow, events, side, price, 0);
}

/* Takes `size` off a level, which goes when nothing is left. */
static void level_reduce(struct flow *flow, struct flow_events *events, enum flow_side side,
                         size_t at, int64_t size)
{
    struct flow_level *level = &flow->sides[side].items[at];
    assert(size > 0 && size <= level->size);
    if (size == level->size) {
        level_remove(flow, events, side, at);
        return;
    }
    level->size -= size;
    if (level->orders > 1)
        level->orders--;
    note(flow, events, side, level->price, level->size);
}

static void order_add(struct flow *flow, struct flow_events *events, enum flow_side side,
                      int64_t price, int64_t size)
{
    struct flow_levels *levels = &flow->sides[side];
    size_t at = level_find(levels, side, price);
    if (at < levels->count && levels->items[at].price == price) {
        levels->items[at].size += size;
        levels->items[at].orders++;
        note(flow, events, side, price, levels->items[at].size);
        return;
    }
    if (levels->count == FLOW_LEVELS_MAX)
        level_remove(flow, events, side, levels->count - 1);
    if (at > levels->count)
        return; /* it would have been the one to go */
    memmove(&levels->items[at + 1], &levels->items[at],
            (levels->count - at) * sizeof levels->items[0]);
    levels->items[at] = (struct flow_level){.price = price, .size = size, .orders = 1};
    levels->count++;
    note(flow, events, side, price, size);
}

/* Mostly some usual sizes, seldom dust. */
static int64_t order_size(struct flow *flow)
{
    int64_t usual = flow->options.size;
    if (below(flow, 100) < 2)
        return 1 + below(flow, 50);
    int64_t size = usual * (1 + below(flow, 40)) / 10 + below(flow, usual);
    return size < 1 ? 1 : size;
}

static int64_t away(enum flow_side side, int64_t price, int64_t ticks)
{
    return side == FLOW_BID ? price - ticks : price + ticks;
}

static int64_t spread_of(const struct flow *flow)
{
    return flow->sides[FLOW_ASK].items[0].price - flow->sides[FLOW_BID].items[0].price;
}

static void step_limit(struct flow *flow, struct flow_events *events)
{
    enum flow_side side = below(flow, 2) == 0 ? FLOW_BID : FLOW_ASK;
    struct flow_levels *levels = &flow->sides[side];
    int64_t spread = spread_of(flow), best = levels->items[0].price, price = 0;
    int64_t kind = below(flow, 100), gap = flow->options.gap, near = NEAR * gap / GAP_DEFAULT;
    if (spread > 1 && (kind < 30 || spread > WIDE * gap)) {
        int64_t most = spread - 1 < near ? spread - 1 : near;
        price = away(side, best, -1 - below(flow, most));
    } else if (kind < 70 && levels->count >= flow->options.levels)
        price = away(side, best, below(flow, near));
    else if (kind < 80)
        price = away(side, best, below(flow, gap * (int64_t)flow->options.levels));
    else
        price = away(side, levels->items[levels->count - 1].price, 1 + below(flow, gap));
    if (price < 1)
        price = 1; /* there may be no room deeper down */
    order_add(flow, events, side, price, order_size(flow));
}

static void step_cancel(struct flow *flow, struct flow_events *events)
{
    enum flow_side side = below(flow, 2) == 0 ? FLOW_BID : FLOW_ASK;
    struct flow_levels *levels = &flow->sides[side];
    int64_t count = (int64_t)levels->count;
    int64_t at = below(flow, 2) == 0 && count > NEAR ? below(flow, NEAR) : below(flow, count);
    struct flow_level *level = &levels->items[at];
    int64_t size = level->orders == 1 ? level->size : level->size / level->orders;
    if (size == 0)
        size = level->size;
    level_reduce(flow, events, side, (size_t)at, size);
}

static void step_market(struct flow *flow, struct flow_events *events)
{
    int64_t mid = flow->sides[FLOW_BID].items[0].price;
    /* What has gone far from where it began is rather bought back. */
    int64_t home = (flow->options.price - mid) * 500 / flow->options.price;
    bool buy = below(flow, 1000) < 500 + flow->bias + home;
    enum flow_side side = buy ? FLOW_ASK : FLOW_BID;
    struct flow_levels *levels = &flow->sides[side];
    int64_t left = order_size(flow);
    if (below(flow, 20) == 0)
        left *= 10;
    while (left > 0 && events->trade_count < FLOW_TRADES_MAX &&
           levels->count > flow->options.levels / 2) {
        struct flow_level *level = &levels->items[0];
        /* One order of the level after the other; they share its size about evenly. */
        int64_t share = level->size < level->orders ? level->size : level->size / level->orders;
        int64_t size = left < share ? left : share;
        left -= size;
        events->trades[events->trade_count++] =
            (struct flow_trade){.price = level->price, .size = size, .buyer_takes = buy};
        level_reduce(flow, events, side, 0, size);
    }
}

static bool thin(const struct flow *flow)
{
    return flow->sides[0].count < flow->options.levels ||
           flow->sides[1].count < flow->options.levels;
}

static bool thick(const struct flow *flow)
{
    size_t most = flow->options.levels + flow->options.levels / 8 + 1;
    return flow->sides[0].count > most && flow->sides[1].count > most;
}

void flow_step(struct flow *flow, struct flow_events *ret_events)
{
    ret_events->change_count = 0;
    ret_events->trade_count = 0;
    if (below(flow, BIAS_STEPS) == 0)
        flow->bias = below(flow, 2 * BIAS_MAX + 1) - BIAS_MAX;
    int64_t kind = below(flow, 100);
    if (kind < MARKET_SHARE)
        step_market(flow, ret_events);
    else if (spread_of(flow) > WIDE * flow->options.gap ||
             (kind < MARKET_SHARE + LIMIT_SHARE && !thick(flow)))
        step_limit(flow, ret_events);
    else if (thin(flow))
        step_limit(flow, ret_events);
    else
        step_cancel(flow, ret_events);
    assert(flow->sides[FLOW_BID].count > 0 && flow->sides[FLOW_ASK].count > 0);
    assert(spread_of(flow) > 0);
}

static void side_init(struct flow *flow, enum flow_side side, int64_t best)
{
    struct flow_levels *levels = &flow->sides[side];
    int64_t price = best;
    levels->items = memory_array(FLOW_LEVELS_MAX + 1, sizeof levels->items[0]);
    levels->count = flow->options.levels;
    for (size_t i = 0; i < levels->count; i++) {
        levels->items[i] =
            (struct flow_level){.price = price, .size = order_size(flow), .orders = 1};
        price = away(side, price, 1 + below(flow, flow->options.gap));
    }
}

void flow_init(struct flow *flow, const struct flow_options *options)
{
    assert(options->levels > 0 && options->levels <= FLOW_LEVELS_MAX / 5 * 4);
    assert(options->price >= 4 * (int64_t)options->levels && options->size >= 10);
    *flow = (struct flow){.options = *options, .random = options->seed};
    if (flow->options.gap == 0)
        flow->options.gap = GAP_DEFAULT;
    assert(options->price >= 2 * flow->options.gap * (int64_t)options->levels || options->gap == 0);
    side_init(flow, FLOW_BID, options->price - 1);
    side_init(flow, FLOW_ASK, options->price);
    /* An exchange has been there for long. */
    flow->update_id = 1000000 + below(flow, 1000000000);
}

void flow_release(struct flow *flow)
{
    memory_free(flow->sides[0].items);
    memory_free(flow->sides[1].items);
}
