/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What really happened on one market: its last trades (TRUTH_TRADES_MAX; the count goes on), and
 * its statistics since the start, which the tickers are made of. The book is the flow's own.
 * Thread: the loop's.
 */
#pragma once

#include "base/buffer.h"
#include "sim/flow.h"

#define TRUTH_TRADES_MAX 65536

/* A trade as the exchange knows it. Prices in ticks and sizes in steps of its market. */
struct trade {
    uint64_t index; /* 1, 2, 3...: the market's own count */
    uint64_t id;    /* as the exchange writes it */
    int64_t price, size;
    int64_t at_us; /* the exchange's clock, wrong or not */
    bool buyer_takes;
};

struct truth {
    struct trade *trades; /* owned; a ring by index once it is full */
    size_t capacity;
    uint64_t count;                           /* of all trades */
    uint64_t first_id;                        /* id of the first trade of all */
    int64_t open, high, low, last, last_size; /* ticks, steps; before the first trade: the price
                                                 that the market began with, and 0 */
    int64_t bought, sold; /* sizes by aggressor, in steps; their sum is the volume */
    int64_t value;        /* price * size, all trades together, at the market's value_scale */
};

/* price: what the market begins with. */
void truth_init(struct truth *truth, int64_t price);
void truth_release(struct truth *truth);
void truth_add(struct truth *truth, const struct trade *trade, int64_t value);

/* The trade of this index, or NULL when it is not kept any more, or never was. */
const struct trade *truth_trade(const struct truth *truth, uint64_t index);

/* Index of the oldest trade that is kept; count + 1 when there is none. */
uint64_t truth_first(const struct truth *truth);
