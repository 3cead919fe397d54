/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an exchange's events to numbered records: what the stream carries of an event, and of a book
 * the differences between one view of `book_depth` levels a side and the next. The same event may
 * come from several connections (`source`): the first one counts, trades by their key, what carries
 * a whole state by its age. One publisher an exchange; all share the node's sequencer. Nothing is
 * allocated per message, unless trades are missing.
 *
 * An instrument is the session's own, not a connection's. Its context is the publisher's; freed by
 * publisher_forget.
 */
#pragma once

#include "exchange/exchange.h"
#include "stream/stream.h"

struct publisher;

/* exchange and sequencer are borrowed. */
struct publisher *publisher_create(const struct exchange *exchange, struct sequencer *sequencer,
                                   uint32_t book_depth) MUST_CHECK;

/*
 * A recording is played, perhaps again and again: what repeats itself, is older or leaves a hole is
 * passed on as it was recorded. Only what an exchange says again at a subscription is not.
 */
void publisher_take_as_is(struct publisher *publisher);

/* Its exchange was collected before, and everything of it has been told as not collected: what
 * comes is told as `live` first. */
void publisher_return(struct publisher *publisher);

/* A trade that is in the log; of its event only type, times, and what it is known by. Valid during
 * the call. */
typedef void publisher_trade_fn(void *context, const struct event *trade);

/*
 * What the log holds of a symbol when a node takes over, or stands alone. Asked once for each
 * symbol, when something of it is published first.
 */
struct publisher_past {
    /* Gives the keys of its last trades, oldest first. */
    void (*visit_trades)(void *context, struct slice exchange, struct slice symbol,
                         publisher_trade_fn *visit, void *visitor);
    /* CHANNEL_BITs of which it was said last that they are not live, of this symbol, or (it is
     * empty) of the exchange: they are told as `live` when they come. NULL: none. */
    uint32_t (*not_live)(void *context, struct slice exchange, struct slice symbol);
    /* Those of them that are `down`, of this symbol: not collected, so what was traded meanwhile is
     * not missing. NULL: none. */
    uint32_t (*down)(void *context, struct slice exchange, struct slice symbol);
    void *context; /* borrowed */
};

/*
 * Goes on behind the log: trades that it has are not published again. What is missing since its
 * last trade is seen by ids where they are consecutive; elsewhere, unless the exchange repeats a
 * trade that the log has, nobody knows, and a `gap` says so. Before anything is published; copied.
 */
void publisher_go_on(struct publisher *publisher, const struct publisher_past *past);
void publisher_destroy(struct publisher *publisher);

/* CHANNEL_COUNT: it is of none. */
enum channel channel_of_event(enum event_type type);

/* One decoded event of this instrument. source: below TRADE_FILTER_SOURCES. False: it was there
 * before, or something newer is. */
bool publisher_event(struct publisher *publisher, unsigned source, struct instrument *instrument,
                     const struct event *event);

/* Whether this trade came before, from any source. */
bool publisher_knows(struct publisher *publisher, struct instrument *instrument,
                     const struct event *trade);

/* Whether these are the best levels of the book that clients have. */
bool publisher_has_best(struct publisher *publisher, const struct instrument *instrument,
                        const struct level *bid, const struct level *ask);

/* Holes in trade ids that have been open long enough are declared. To be called often. */
void publisher_check(struct publisher *publisher, struct instruments *instruments, int64_t now_ns);

/* What was asked for and has not come in time is declared by `gap`: a book, unless clients have it,
 * and trades made while there was no connection, unless none is known to be missing. */
void publisher_missing(struct publisher *publisher, struct instrument *instrument,
                       int64_t received_us);

/* No connection is left: books that clients have are no longer the exchange's, and a `gap` says
 * so. */
void publisher_lost(struct publisher *publisher, struct instruments *instruments,
                    int64_t received_us);

/* A connection again: what could not be vouched for is said again. */
void publisher_restart(struct publisher *publisher, struct instruments *instruments);

/* A connection has ended: its source's number may be used by another one. */
void publisher_end_source(struct publisher *publisher, struct instruments *instruments,
                          unsigned source);
void publisher_forget(struct publisher *publisher, struct instrument *instrument);

/* These CHANNEL_BITs of it are not collected any more, and a `status` says so; another one when
 * they come again. Clients forget what they had. */
void publisher_drop(struct publisher *publisher, struct instrument *instrument, uint32_t channels,
                    struct slice reason);

struct publisher_notice {
    enum status_state state;
    struct slice reason;         /* empty: none */
    const struct symbol *symbol; /* NULL: the whole exchange */
    struct slice channel;        /* empty: all */
};

/* A `status`, and a line of log that says where in the stream it stands. received_us: when it was
 * noticed. */
void publisher_status(struct publisher *publisher, const struct publisher_notice *notice,
                      int64_t received_us);
