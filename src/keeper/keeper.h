/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper of last values: what a client that joins now must be told. It is fed by accepted
 * records alone, through the reader of our own JSON, so a follower's keeper has exactly what the
 * leader's has. It knows, for each exchange and symbol, the last status, ticker, quote and trade,
 * and the book.
 *
 * A book counts only from its snapshot on: an `epoch` or a `gap` of channel book takes it back
 * until the next snapshot. Thread: the journal's.
 */
#pragma once

#include "base/buffer.h"
#include "stream/journal.h"

struct keeper;

/* Listens to the journal, which must outlive it. book_depth: levels a side that the stream carries.
 */
struct keeper *keeper_create(struct journal *journal, uint32_t book_depth) MUST_CHECK;
void keeper_destroy(struct keeper *keeper);

/* The message is valid during the call only. */
typedef void keeper_visit_fn(void *context, struct slice message);

/*
 * Gives every snapshot message (contract, section 4: `"snapshot":true`, with the seq at which it
 * last changed): status first, then ticker, quote, trade, book. They hold up to journal_next - 1.
 * Allocates nothing per message.
 */
void keeper_snapshot(struct keeper *keeper, keeper_visit_fn *visit, void *context);
