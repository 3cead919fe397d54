/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an exchange's message means, in tickwire's terms. Events are values: slices and level arrays
 * in them borrow from the message or from the batch they were decoded into, and hold until the next
 * decode into that batch. Times are microseconds since the Unix epoch; 0 is "not given" and is then
 * left out, never made up.
 */
#pragma once

#include "market/decimal.h"
#include "market/symbol.h"

enum event_type {
    EVENT_TRADE,
    EVENT_TICKER,
    EVENT_QUOTE,
    EVENT_BOOK,
    EVENT_STATUS,
    EVENT_GAP,
    EVENT_EPOCH,
    EVENT_CANDLE, /* decoded, not part of the stream yet */
    EVENT_TYPE_COUNT
};

enum side { SIDE_BUY, SIDE_SELL }; /* the taker's */

enum trade_origin { TRADE_LIVE, TRADE_REST, TRADE_SNAPSHOT };

struct trade {
    struct slice id; /* digits or text as sent; empty: the exchange gives none. At most
                        LIMIT_TRADE_ID bytes */
    struct decimal price;
    struct decimal size;
    enum side side;
    enum trade_origin origin;
    bool aggregate; /* id is that of an aggregate (Binance aggTrade), not of a trade */
};

/* Fields of a ticker or quote; a set bit in `present` says which are given. */
enum ticker_field {
    TICKER_LAST,
    TICKER_OPEN,
    TICKER_HIGH,
    TICKER_LOW,
    TICKER_VOLUME,       /* base, 24 h */
    TICKER_QUOTE_VOLUME, /* quote, 24 h */
    TICKER_BID,
    TICKER_BID_SIZE,
    TICKER_ASK,
    TICKER_ASK_SIZE,
    TICKER_FIELD_COUNT
};

struct ticker {
    uint32_t present; /* bit i: value[i] is given */
    struct decimal value[TICKER_FIELD_COUNT];
};

/* The names in JSON, in the order of enum ticker_field. */
extern const char *const ticker_field_names[TICKER_FIELD_COUNT];

struct level {
    struct decimal price;
    struct decimal size; /* 0 in a change removes the level */
};

struct levels {
    const struct level *level; /* borrowed */
    uint32_t count;
};

enum book_action {
    BOOK_SNAPSHOT, /* these are all levels, best first, strictly ordered, no zero sizes */
    BOOK_UPDATE,   /* absolute sizes of the levels named */
};

enum book_proof { BOOK_PROOF_NONE, BOOK_PROOF_CHAIN, BOOK_PROOF_CHECKSUM, BOOK_PROOF_WHOLE };

struct book_change {
    enum book_action action;
    enum book_proof proof; /* of a snapshot */
    uint32_t depth;        /* of a snapshot: levels a side known to be valid */
    struct levels bids;    /* of a snapshot: best first */
    struct levels asks;
    int64_t first_id; /* of an exchange's difference: ids of the first and last change in it, and
                         the last id of */
    int64_t last_id;  /* the difference before; 0: not given */
    int64_t previous_id;
};

enum status_state { STATUS_CONNECTING, STATUS_LIVE, STATUS_STALE, STATUS_DOWN };

struct status {
    enum status_state state;
    struct slice reason;  /* empty: none */
    struct slice channel; /* empty: all */
};

struct gap {
    struct slice channel;
    struct slice after_id, before_id; /* both exclusive; empty: none */
    int64_t from_us, to_us;           /* 0: not given */
    int64_t missing;                  /* -1: not known */
    bool filled;
    struct slice reason; /* empty: none */
};

struct epoch {
    int64_t epoch;
    int64_t previous_epoch, previous_seq;
    struct slice node;
};

struct candle {
    struct slice interval;
    int64_t open_us, close_us;
    struct decimal open, high, low, close, volume, quote_volume;
    bool has_quote_volume;
    bool closed;
};

struct event {
    enum event_type type;
    const struct symbol *symbol; /* borrowed; NULL: none (status of an exchange, epoch) */
    int64_t exchange_us;         /* JSON: ts. Of a trade: when it was made */
    int64_t received_us;         /* JSON: recv */
    /*
     * The exchange's own running number of this kind of message, where it gives one; 0: none; never
     * written out. Of one symbol and type it never goes back, so that the newer one of two
     * connections' can be told. Equal numbers: exchange_us tells, where it is given.
     */
    int64_t order_id;
    union {
        struct trade trade;
        struct ticker ticker; /* quote too */
        struct book_change book;
        struct status status;
        struct gap gap;
        struct epoch epoch;
        struct candle candle;
    };
};

/* "trade", "ticker", ...; what stands in the JSON's `type`. */
extern const char *const event_type_names[EVENT_TYPE_COUNT];

/* The words of the other enums in the JSON; "live" and "none" are said by leaving the key out. */
extern const char *const side_names[SIDE_SELL + 1];
extern const char *const trade_origin_names[TRADE_SNAPSHOT + 1];
extern const char *const book_action_names[BOOK_UPDATE + 1];
extern const char *const book_proof_names[BOOK_PROOF_WHOLE + 1];
extern const char *const status_state_names[STATUS_DOWN + 1];
