/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trades of one symbol at an exchange whose trade ids are consecutive, put in order: a hole is seen
 * at once. What comes behind a hole waits for what is missing (another connection may bring it, or
 * the exchange have swapped two messages) for TRADE_ORDER_WAIT_MS at most, and while no more than
 * TRADE_ORDER_WAITING wait; then the hole is declared and what waited goes on. What comes later all
 * the same is taken, out of its order: better late than lost.
 *
 * One id that is farther away than TRADE_ORDER_FAR is nobody's word for that: it is taken, and
 * counts only when the next one is there as well.
 *
 * Repeats are somebody else's (trade_filter.h): every id comes once. Memory is taken while a hole
 * is open only.
 */
#pragma once

#include "market/event.h"

#define TRADE_ORDER_WAIT_MS 300
#define TRADE_ORDER_WAITING 256
#define TRADE_ORDER_FAR 1000000 /* ids; more than an hour of the busiest symbol */

struct trade_hole {
    uint64_t after, before; /* ids, both exclusive */
    int64_t from_us, to_us; /* exchange times of the trades with these ids; 0: not known */
};

struct trade_order_callbacks {
    void (*take)(void *context, const struct event *event); /* valid during the call */
    void (*missing)(void *context, const struct trade_hole *hole);
};

/* A value: zero is its beginning, where the first id is any. */
struct trade_order {
    uint64_t last; /* id taken last in order; 0: none */
    int64_t last_us;
    uint64_t far;                   /* an id far away, taken once; 0: none */
    int64_t since_ns;               /* the hole is open; meaningful while something waits */
    struct waiting_trades *waiting; /* owned; NULL while there is no hole */
};

/* What a call needs: whose callbacks, and the time. */
struct trade_order_taker {
    const struct trade_order_callbacks *callbacks;
    void *context;
    int64_t now_ns;
};

/* A trade that was not there before. One without a numeric id is taken at once. */
void trade_order_put(struct trade_order *order, const struct trade_order_taker *taker,
                     const struct event *event);

/* Declares the hole when it has been open long enough, or at once with `end`. */
void trade_order_check(struct trade_order *order, const struct trade_order_taker *taker, bool end);

void trade_order_release(struct trade_order *order);
