/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an exchange's events to numbered records: what the stream carries of an event, and of a book
 * the differences between one view of `book_depth` levels a side and the next. One publisher an
 * exchange; all share the node's sequencer. Nothing is allocated per message.
 */
#pragma once

#include "exchange/exchange.h"
#include "stream/stream.h"

struct publisher;

/* exchange and sequencer are borrowed. */
struct publisher *publisher_create(const struct exchange *exchange, struct sequencer *sequencer,
                                   uint32_t book_depth) MUST_CHECK;
void publisher_destroy(struct publisher *publisher);

/* One decoded event of this instrument, whose context becomes the publisher's; freed by
 * publisher_forget. */
void publisher_event(struct publisher *publisher, struct instrument *instrument,
                     const struct event *event);

/* The book of this instrument was asked for and has not come: says so with a `gap`, unless clients
 * have it. */
void publisher_book_missing(struct publisher *publisher, struct instrument *instrument,
                            int64_t received_us);

/* The connection is gone: books that clients have are no longer the exchange's, and a `gap` says
 * so. */
void publisher_lost(struct publisher *publisher, struct instruments *instruments,
                    int64_t received_us);

/* A new connection: what could not be vouched for is said again. */
void publisher_restart(struct publisher *publisher, struct instruments *instruments);
void publisher_forget(struct publisher *publisher, struct instrument *instrument);

/* A `status` of the whole exchange. received_us: when it was noticed. */
void publisher_status(struct publisher *publisher, enum status_state state, struct slice reason,
                      int64_t received_us);
