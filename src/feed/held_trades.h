/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trades that wait: those of a connection that has just been opened beside another one. Its first
 * trades may be later than what the other has yet to bring, and must not overtake it. Copies, in
 * the order of their arrival. Thread: the session's.
 */
#pragma once

#include "exchange/exchange.h"

struct held_trades;

/* Allocated at once; capacity: trades, of all symbols together. */
struct held_trades *held_trades_create(uint32_t capacity) MUST_CHECK;
void held_trades_destroy(struct held_trades *held); /* NULL is a no-op */

uint32_t held_trades_count(const struct held_trades *held);

/* Copies the event (of type trade) and what it borrows; the instrument is borrowed until it is
 * released, so release what an instrument holds before it is removed. False when it is full:
 * release first. */
bool held_trades_put(struct held_trades *held, struct instrument *instrument,
                     const struct event *event) MUST_CHECK;

/* Valid during the call. */
typedef void held_trades_fn(void *context, struct instrument *instrument,
                            const struct event *event);

/* Gives those of this instrument (NULL: all), oldest first, and forgets them. take must neither put
 * nor release. Costs a step for each that is held. */
void held_trades_release(struct held_trades *held, const struct instrument *instrument,
                         held_trades_fn *take, void *context);
