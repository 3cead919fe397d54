/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The market of one symbol: a seeded flow of limit orders, cancellations and market orders on a
 * book of integer ticks. The walk of the price is what the orders make of it. The same seed and the
 * same number of steps give the same market, bit by bit. Pure: no I/O, no time, a generator of its
 * own. Thread: one at a time.
 */
#pragma once

#include "base/attr.h"

#define FLOW_LEVELS_MAX 1600 /* a side; the deepest are cancelled above it */
#define FLOW_TRADES_MAX 16   /* fills of one market order */
#define FLOW_CHANGES_MAX 64  /* levels that one step changes */

enum flow_side { FLOW_BID, FLOW_ASK };

struct flow_level {
    int64_t price;  /* in ticks, over 0 */
    int64_t size;   /* in steps, over 0 */
    int64_t orders; /* at least 1 */
};

/* Best first, no two of one price. */
struct flow_levels {
    struct flow_level *items; /* owned by the flow */
    size_t count;
};

struct flow_change {
    enum flow_side side;
    int64_t price;
    int64_t size; /* the new one; 0: the level is gone */
};

struct flow_trade {
    int64_t price, size;
    bool buyer_takes; /* the aggressor bought */
};

/* What one step did. The book is never crossed between two steps. */
struct flow_events {
    struct flow_change changes[FLOW_CHANGES_MAX];
    size_t change_count;
    struct flow_trade trades[FLOW_TRADES_MAX]; /* of one market order, best price first */
    size_t trade_count;
};

struct flow_options {
    uint64_t seed;
    int64_t price; /* to begin with, in ticks; at least 4 * levels, and 2 * gap * levels */
    int64_t size;  /* of a usual order, in steps; at least 10 */
    int64_t gap;   /* ticks between two levels, at most, to begin with; 0: 3 */
    size_t levels; /* a side, kept at least about so many; at most FLOW_LEVELS_MAX / 5 * 4 */
};

struct flow {
    struct flow_options options;
    struct flow_levels sides[2]; /* by enum flow_side */
    uint64_t random;             /* state */
    int64_t update_id;           /* grows by 1 with each change of a level */
    int64_t bias;                /* permille: how much rather market orders buy now */
};

void flow_init(struct flow *flow, const struct flow_options *options);
void flow_release(struct flow *flow);

/* One order, of whatever kind. */
void flow_step(struct flow *flow, struct flow_events *ret_events);

/* The size at this price, 0: none; *ret_orders may be NULL. */
int64_t flow_size_at(const struct flow *flow, enum flow_side side, int64_t price,
                     int64_t *ret_orders);

/* The generator, for whoever needs one that is seeded: the next 64 bits; a number below bound. */
uint64_t flow_random(uint64_t *state);
int64_t flow_random_below(uint64_t *state, int64_t bound);
