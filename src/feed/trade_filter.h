/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which trades of one symbol have been published: the same trade may come again from another
 * connection, at a new subscription, or because the exchange repeats itself. A trade with an id is
 * known by it (ids need be neither ordered nor consecutive: it is a set, not a high-water mark).
 * One without is known by (time, side, price, size) counted as a multiset: when a connection has
 * brought n equal ones and n are published, its next one is new; each connection counts by itself.
 * Keys are compared whole: a price of 1.50 is the price 1.5, and no hash makes two trades one. An
 * aggregate's id is never a trade's.
 *
 * Kept: the last TRADE_FILTER_KEYS, and none older than TRADE_FILTER_AGE_US by the receipt of the
 * first of its kind, in memory that grows with what is kept: 5 KB at first, 72 KB at most. Older
 * repeats pass. Nothing is allocated once it has grown.
 *
 * One for each symbol; thread: the session's.
 */
#pragma once

#include "market/event.h"

#define TRADE_FILTER_KEYS 1024
#define TRADE_FILTER_AGE_US (5 * 60 * INT64_C(1000000))
#define TRADE_FILTER_SOURCES 4 /* connections that may bring the same trades at a time */

struct trade_filter;

struct trade_filter *trade_filter_create(void) MUST_CHECK;
void trade_filter_destroy(struct trade_filter *filter); /* NULL is a no-op */

/* Whether this one (of an event of type trade) is new; it is known from now on. source: below
 * TRADE_FILTER_SOURCES. Its id has at most LIMIT_TRADE_ID bytes. */
bool trade_filter_pass(struct trade_filter *filter, unsigned source, const struct event *event);

/*
 * This one (an event of type trade; of one with an id nothing else counts) was published before
 * this filter was made: as if a former source had brought it. Those learnt come first, in the order
 * of their receipt.
 */
void trade_filter_learn(struct trade_filter *filter, const struct event *trade);

/* Whether it is known already, of any source. */
bool trade_filter_knows(const struct trade_filter *filter, const struct event *event);

/* A new connection uses this source's number: what the former one brought counts no more. */
void trade_filter_restart(struct trade_filter *filter, unsigned source);
