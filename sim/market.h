/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One market of one exchange: its name and units, its flow, its truth, and which levels changed
 * lately. What an exchange's own rules need beside is in `own`.
 */
#pragma once

#include "sim/flow.h"
#include "sim/truth.h"

#define MARKET_NAME_MAX 24
#define MARKET_CHANGES_MAX 8192 /* a power of two; older ones are forgotten */

struct exchange;

struct market {
    struct exchange *exchange; /* borrowed */
    size_t index;              /* of its exchange */
    char base[MARKET_NAME_MAX], quote[MARKET_NAME_MAX];
    char symbol[2 * MARKET_NAME_MAX]; /* ours: "BTC-USDT" */
    char native[2 * MARKET_NAME_MAX]; /* as the exchange spells it, in upper case: "BTCUSDT" */
    const char *english, *korean;     /* names of the base; static */
    unsigned price_scale;             /* a price is ticks * tick at this scale */
    int64_t tick;
    unsigned size_scale;  /* a size is steps at this scale */
    unsigned value_scale; /* of truth.value: 8, or 3 where the quote is KRW */
    uint32_t weight;      /* its share of the events; 0: it does not trade */
    bool halted;          /* listed, but without trading status: nothing ever happens there */
    struct flow flow;
    struct truth truth;
    struct flow_change *changes; /* owned; ring by update id */
    int64_t changed;             /* how many there were */
    void *own[2]; /* owned; zeroed; one for each venue of the exchange (venue->market_size) */
};

/* ---- for the simulator ---- */

/* What is traded by default, and more names behind it. */
size_t market_default_count(void);

/* Base, names and weight of coin number `coin`, and about what it costs. */
void market_name(struct market *market, size_t coin, int64_t *ret_usd_e8);

/* Names and units are filled in. */
void market_init(struct market *market, const struct flow_options *flow);
void market_release(struct market *market);

/* One step of the flow, remembered. The truth is for the caller. */
void market_step(struct market *market, struct flow_events *ret_events);

/* ---- for the venues ---- */

/* A price in ticks as an integer at price_scale. */
static inline int64_t market_price(const struct market *market, int64_t ticks)
{
    return ticks * market->tick;
}

/* price * size, at value_scale. */
int64_t market_value(const struct market *market, int64_t ticks, int64_t steps);

/* The change that has this update id, or NULL when it is forgotten, or still to come. Its size is
 * the one of then; flow_size_at tells today's. */
const struct flow_change *market_change(const struct market *market, int64_t update_id);

/* The best level; there always is one. */
static inline const struct flow_level *market_best(const struct market *market, enum flow_side side)
{
    return &market->flow.sides[side].items[0];
}
