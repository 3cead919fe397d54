/* SPDX-License-Identifier: Apache-2.0 */
/* What publisher.c and publisher_past.c share. */
#pragma once

#include "base/metrics.h"
#include "feed/publisher.h"
#include "feed/recency.h"
#include "feed/trade_filter.h"
#include "feed/trade_order.h"

/* What the publisher knows of one instrument: its record key, and the book as clients have it. */
struct track {
    char key[LIMIT_KEY];
    size_t key_size;
    bool book_sent; /* clients have a snapshot in book_epoch */
    int64_t book_epoch;
    bool gap_said; /* on this connection: a book without a snapshot cannot be vouched for */
    uint32_t bid_count, ask_count;
    struct level *bids, *asks; /* owned; book_depth each, best first */
    struct recency book_age, ticker_age, quote_age;
    struct trade_filter *filter; /* owned */
    struct trade_order order;    /* where ids are consecutive */
    int64_t traded_us;           /* when the last trade was made; 0: none yet */
    uint32_t dropped;            /* CHANNEL_BITs that were told as not collected */
    uint32_t returning;          /* CHANNEL_BITs to be told as live when they come */
    int64_t
        unheard_us; /* trades made since then may be missing: there was no connection; 0: none */
};

struct publisher {
    const struct exchange *exchange;
    struct sequencer *sequencer;
    uint32_t book_depth;
    bool as_is;
    uint32_t returning;         /* of every instrument at first: CHANNEL_BITs */
    struct publisher_past past; /* zero: there is none */
    uint32_t not_live;          /* CHANNEL_BITs of the exchange, said so by another node */
    struct level *difference;   /* owned; room for two sides of 2 * book_depth */
    struct metric *events[EVENT_TYPE_COUNT];
    struct metric *published[EVENT_TYPE_COUNT];
    struct metric *repeated, *missing;
    struct metric *latency; /* exchange time to receipt */
};

/* When it was made, as far as is known. */
static inline int64_t trade_made_us(const struct event *trade)
{
    return trade->exchange_us != 0 ? trade->exchange_us : trade->received_us;
}

/* A new track learns what the log has of its symbol: as if its connection had been lost when the
 * last trade came. */
void publisher_learn(struct publisher *publisher, struct track *track, struct slice symbol);
