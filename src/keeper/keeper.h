/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper of last values: what a client that joins now must be told. It is fed by accepted
 * records alone, through the reader of our own JSON, so a follower's keeper has exactly what the
 * leader's has. It knows, for each exchange and symbol, the last status, ticker, quote and trade,
 * and the book.
 *
 * A book counts only from its snapshot on: an `epoch` or a `gap` of channel book takes it back
 * until the next snapshot. A journal that goes on with lower numbers than before (journal_restart)
 * makes it forget everything. Thread: the journal's.
 */
#pragma once

#include "base/buffer.h"
#include "stream/journal.h"

struct event;
struct keeper;

/* Listens to the journal, which must outlive it. book_depth: levels a side that look-ups give, and
 * that books have room for at first; the stream may carry more, LIMIT_BOOK_DEPTH at most. */
struct keeper *keeper_create(struct journal *journal, uint32_t book_depth) MUST_CHECK;
void keeper_destroy(struct keeper *keeper);

/* The message is valid during the call only. */
typedef void keeper_visit_fn(void *context, struct slice message);

/*
 * Gives every snapshot message (contract, section 4: `"snapshot":true`, with the seq at which it
 * last changed): status first, then ticker, quote, trade, book; within these by name, so that two
 * nodes with the same log tell the same. They hold up to journal_next - 1. Allocates nothing per
 * message.
 */
void keeper_snapshot(struct keeper *keeper, keeper_visit_fn *visit, void *context);

/* ---- in the middle of a stream ---- */

/*
 * State number `index` (0 first): what another keeper needs to know of one exchange and symbol, as
 * one JSON object of at most LIMIT_STATE bytes, appended to `out`:
 *     {"type":"state","seq":N,"exchange":"E"[,"symbol":"S"],"messages":[...],"trades":[...]}
 * seq: it holds up to there; messages: the snapshot's; trades: the keys of the last trades, oldest
 * first (keeper/trade_keys.h). Numbers stay until the next take or clear; new pairs come behind.
 * Returns how many states there are; an index beyond appends nothing. What does not fit is left
 * out: trade keys, the oldest first; then messages, the last first, which takes hundreds of
 * kilobytes of them. One that was loaded and is ahead of the journal appends nothing.
 */
size_t keeper_save_state(struct keeper *keeper, size_t index, struct buffer *out);

/*
 * Takes such a state over, at most once for each exchange and symbol: from then on all of it is
 * known. What records have determined here since they are listened to stays as it is; the rest
 * becomes as in the state, and records of the journal behind the state's seq that have come already
 * are read again for it; what comes later with a seq up to the state's is ignored for it. So what
 * is known afterwards is the same as if everything had been read.
 *
 * One that ends before the first record that was heard here (or that the journal still holds) tells
 * nothing: what lies between is not known. The next one will. Of one that tells nothing only the
 * head is read.
 *
 * text: untrusted; a NUL and LIMIT_PADDING readable bytes follow. False, and nothing was changed:
 * not a state, or no room for it.
 */
bool keeper_load_state(struct keeper *keeper, struct slice text) MUST_CHECK;

/*
 * A message of a snapshot, as a client gets it; a snapshot that holds up to the first record heard
 * here, or later. The same rules, of this message's value alone; a trade is also a key, if none is
 * known. True as well when there was nothing to learn from it.
 */
bool keeper_load_message(struct keeper *keeper, struct slice message) MUST_CHECK;

/* The keeper knows what `other` knew, of the same book_depth, which is destroyed (its journal may
 * be gone already); each listens on to its own journal. */
void keeper_take(struct keeper *keeper, struct keeper *other);

/* Forgets everything. Goes on with the journal's next record. */
void keeper_clear(struct keeper *keeper);

/* ---- look-ups: what somebody asks for at any time ---- */

/* Whose values. Both as they stand in messages; in keeper_find_tickers an empty one means all. */
struct keeper_pair {
    struct slice exchange;
    struct slice symbol;
};

struct keeper_found {
    uint32_t count;    /* messages visited */
    uint32_t left_out; /* trades too long to be kept (keeper/trade_ring.h), not counted above */
    int64_t seq;       /* at which any of them last changed; 0: there are none */
};

/* Whether anything of that pair was ever accepted: a trade, ticker, quote, or what became of its
 * book. */
bool keeper_knows(const struct keeper *keeper, const struct keeper_pair *pair);

/* types: bit i is set when something of enum event_type i was accepted, but statuses. */
typedef void keeper_pair_fn(void *context, const struct keeper_pair *pair, uint32_t types);

/* Visits every pair of which anything is known (keeper_knows), each once. */
void keeper_find_pairs(const struct keeper *keeper, keeper_pair_fn *visit, void *context);

/* The last tickers as accepted, in the order in which they first came. visit may be NULL. */
struct keeper_found keeper_find_tickers(const struct keeper *keeper, const struct keeper_pair *pair,
                                        keeper_visit_fn *visit, void *context);

/*
 * The last trades of a pair as accepted, newest (in the stream's order) first, at most `limit` and
 * LIMIT_KEEPER_TRADES. visit may be NULL.
 */
struct keeper_found keeper_find_trades(const struct keeper *keeper, const struct keeper_pair *pair,
                                       uint32_t limit, keeper_visit_fn *visit, void *context);

enum keeper_book_verdict {
    KEEPER_BOOK_FOUND,
    KEEPER_BOOK_NONE, /* nothing was said of it yet */
    KEEPER_BOOK_LOST, /* a gap or an epoch took it back, or its exchange is not live */
};

struct keeper_book {
    int64_t seq;        /* of KEEPER_BOOK_FOUND: at which it last changed */
    const char *reason; /* of KEEPER_BOOK_LOST: a clause, as it stands in the gap (escaped);
                           borrowed until the next record */
};

enum keeper_book_verdict keeper_find_book(const struct keeper *keeper,
                                          const struct keeper_pair *pair,
                                          struct keeper_book *ret_book);

/*
 * Appends the book that keeper_find_book has found, as a message of type book and action snapshot,
 * with at most `depth` levels a side (1 to keeper_book_depth).
 */
void keeper_append_book(struct keeper *keeper, const struct keeper_pair *pair, uint32_t depth,
                        struct buffer *out);

/* Whether the last status of the pair that names this channel, or none, was another than `live`.
 * Without symbol: of the exchange, only those that name the channel. */
bool keeper_told_not_live(const struct keeper *keeper, const struct keeper_pair *pair,
                          struct slice channel);

/* The same: it was `down`. */
bool keeper_told_down(const struct keeper *keeper, const struct keeper_pair *pair,
                      struct slice channel);

uint32_t keeper_book_depth(const struct keeper *keeper);

/* Of the journal's last record: with it each seq that is known here names one message (a token's
 * epoch). 0 before the first. */
int64_t keeper_epoch(const struct keeper *keeper);

/* ---- trades: once each ---- */

/* An event of type trade, as far as its key tells it (keeper/trade_keys.h), without symbol. Valid
 * during the call. */
typedef void keeper_trade_fn(void *context, const struct event *trade);

/* The keys of the last trades, oldest first. */
void keeper_visit_trade_keys(const struct keeper *keeper, const struct keeper_pair *pair,
                             keeper_trade_fn *visit, void *context);

/*
 * False: it is no trade (or none that can be told from others). hash: of exchange, symbol and what
 * tells the trade from others on any node, never 0. No keeper is needed.
 */
bool keeper_identify_trade(const struct record *record, uint64_t *ret_hash,
                           int64_t *ret_recv_us) MUST_CHECK;
