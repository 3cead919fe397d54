/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How one exchange is asked and read. An adapter is data and pure functions: it does no I/O and
 * owns no socket, clock or memory. The session (feed/) owns those; it hands in the bytes of a
 * message and gets events, hands in what is wanted and gets the text to send. REST requests are
 * data as well: the adapter says what to ask and reads the answer.
 *
 * A new exchange is one folder and one row in registry.c. docs/adding-an-exchange.md walks through
 * it. Threads: an adapter's functions may be called from any thread, with different state and
 * batches.
 */
#pragma once

#include "base/buffer.h"
#include "base/err.h"
#include "market/event.h"

/* ---- what is wanted, and what the connection has been asked for ---- */

enum channel { CHANNEL_TRADE, CHANNEL_TICKER, CHANNEL_BOOK, CHANNEL_QUOTE, CHANNEL_COUNT };

#define CHANNEL_BIT(channel) (1u << (channel))

/* "trade", "ticker", "book", "quote": the words of the configuration. */
extern const char *const channel_names[CHANNEL_COUNT];

bool channel_find(struct slice name, enum channel *ret_channel) MUST_CHECK;

struct instrument {
    struct symbol symbol;
    char native[LIMIT_NATIVE_SYMBOL]; /* the exchange's spelling, terminated */
    uint32_t wanted;                  /* CHANNEL_BITs that should be subscribed */
    uint32_t asked; /* CHANNEL_BITs asked for on the present connection; cleared when it ends */
    void *context;  /* the session's own; adapters do not touch it */
};

/*
 * The instruments of one session, found by native spelling without allocation. Pointers stay valid
 * until removed. With `learn`, a native symbol that is not there is added when the exchange's
 * spelling can be read (replay and bench only: a live session takes nothing that it did not ask
 * for). Owner: one session, its thread.
 */
struct instruments;
struct instruments *instruments_create(uint32_t capacity, bool learn) MUST_CHECK;
void instruments_destroy(struct instruments *instruments);
uint32_t instruments_count(const struct instruments *instruments);
struct instrument *instruments_at(struct instruments *instruments, uint32_t index);

/* Adds, or finds what is there already; NULL when full. */
struct instrument *instruments_add(struct instruments *instruments, const struct symbol *symbol,
                                   struct slice native);

struct exchange;

/* By native spelling, ASCII case ignored; NULL when not there (and not learnt). */
struct instrument *instruments_find(struct instruments *instruments,
                                    const struct exchange *exchange, struct slice native);

/* ---- decoding ---- */

enum decode_verdict {
    DECODE_EVENTS,       /* batch holds at least one event */
    DECODE_NOTHING,      /* a message of a known kind that carries nothing for us (empty difference,
                            repeated list). The ids of an empty difference are lost with it: who
                            chains differences sees a hole there, and takes a new snapshot */
    DECODE_ACKNOWLEDGED, /* the exchange confirmed a request */
    DECODE_REFUSED,      /* the exchange answered with an error: batch->note says it */
    DECODE_KEPT_ALIVE,   /* greeting, pong, status UP */
    DECODE_LEAVING,      /* the exchange announces that it will disconnect */
    DECODE_UNKNOWN_TYPE, /* JSON, of a type that this adapter does not know */
    DECODE_UNKNOWN_SYMBOL, /* data for a symbol that nobody asked for, or that cannot be spelled */
    DECODE_MALFORMED, /* not JSON, or a known type whose fields are missing, twice, mistyped or out
                         of bounds */
    DECODE_VERDICT_COUNT
};

/* "events", "nothing", ...: label values of tickwire_exchange_messages_total. */
extern const char *const decode_verdict_names[DECODE_VERDICT_COUNT];

/*
 * Where a decoder puts its events. Everything or nothing: after any verdict but DECODE_EVENTS
 * event_count is 0. Owned by the session and reused; about 0.5 MB, so never on a stack.
 */
struct event_batch {
    uint32_t event_count;
    uint32_t level_count;
    uint32_t left_out; /* ticker fields of more than DECIMAL_DIGITS_MAX digits, left out of this
                          message */
    /* Of DECODE_REFUSED, borrowed from the message, still escaped: the exchange's words; */
    struct slice note;
    struct slice refused_name; /* the name, status or number of the error; empty: none */
    int64_t refused_id;        /* the request_id of the request that was refused; -1: not said */
    struct instrument
        *instrument[LIMIT_MESSAGE_EVENTS]; /* whose event it is; never NULL for an event */
    struct event event[LIMIT_MESSAGE_EVENTS];
    struct level level[2 * LIMIT_MESSAGE_LEVELS + 2]; /* what book events point into */
};

struct decode_input {
    struct slice text;   /* one whole message, text or binary frame; followed by a NUL and
                            LIMIT_PADDING bytes */
    int64_t received_us; /* copied into each event */
    struct instruments *instruments; /* whose native spellings are looked up */
};

/* ---- REST, as data ---- */

enum rest_kind { REST_MARKETS, REST_BOOK, REST_TRADES, REST_TICKERS };

struct rest_request {
    char path[LIMIT_REST_PATH]; /* with its query, behind the configured rest_url */
    uint32_t weight;            /* what it costs of the exchange's budget */
    uint32_t instrument_count;  /* of tickers: how many of the query's fit; 0: of all */
};

/* What an answer says of one symbol; 0 and false: it does not say. */
struct rest_fact {
    struct slice native; /* valid during the visit; empty: of the symbol that was asked */
    bool tradable;       /* of markets: listed, and its trading is not halted */
    int64_t trade_us;    /* time of its last trade, in the exchange's own clock */
    int64_t trade_id;    /* the same, where REST and WebSocket ids are one space */
    int64_t book_us; /* time of its book; may be cut to milliseconds where the stream's is not */
    int64_t book_id; /* the same, where REST and WebSocket ids are one space */
    /* Best levels of a book whose id grows with changes that are deeper than what the channel
     * sends: only another best one shows that something was missed. Sizes 0: not given. */
    struct level bid, ask;
};

typedef void rest_fact_fn(void *context, const struct rest_fact *fact);

struct rest_query {
    enum rest_kind kind;
    const struct instrument *instrument; /* of a book or trades; of tickers without a list: whose,
                                            NULL: all that there are */
    /* Of tickers: whose. More than the exchange takes at once: the first ones, and rest_request
     * says how many. One that is not listed fails the whole request at every exchange. */
    const struct instrument *const *instruments;
    uint32_t instrument_count;
    uint32_t limit;  /* levels or trades asked for; 0: the exchange's most */
    int64_t from_id; /* of trades: from this id on, where the exchange can; -1: the newest */
};

/* ---- the adapter ---- */

/* At most `count` in any window of `window_ms`. */
struct rate_limit {
    uint32_t count;
    uint32_t window_ms;
};

/* Limits of one exchange, from its documentation (the source is named beside each value). 0: none
 * known. */
struct exchange_limits {
    struct rate_limit
        messages[2];            /* what we may send on one connection, pings and pongs included */
    struct rate_limit connects; /* connection attempts of one address */
    struct rate_limit rest;     /* weight of REST requests of one address */
    bool rest_by_kind;          /* each enum rest_kind has a budget of its own */
    uint32_t streams_per_connection; /* symbol x channel */
    uint32_t lifetime_s;             /* the exchange ends every connection after so long */
    uint32_t ping_interval_ms; /* we must send something this often; 0: the exchange pings us */
    uint32_t idle_timeout_ms;  /* the exchange cuts a connection that was silent so long */
};

typedef size_t exchange_request_fn(struct instruments *instruments, uint64_t request_id,
                                   struct buffer *out);
typedef enum decode_verdict exchange_decode_fn(void *state, const struct decode_input *input,
                                               struct event_batch *batch);

struct exchange {
    const char *name;           /* lower case; its folder, its key in the configuration */
    unsigned generation;        /* 0: only one; else the protocol generation of this row */
    const char *ws_url;         /* default, without path */
    const char *rest_url;       /* default, without path */
    const char *ws_path;        /* appended to the configured ws_url */
    const char *const *symbols; /* default pairs, NULL-terminated */
    const char *listed_quote;   /* its list of markets has these only ("KRW"); NULL: all */
    uint32_t channels;          /* CHANNEL_BITs that it can give */
    uint32_t book_depth;        /* levels a side of its book channel */
    const char *ping_text;      /* what keeps the connection alive; NULL: a WebSocket ping */
    bool deflate;               /* permessage-deflate is known to be taken: offer it */
    bool trade_ids_consecutive; /* so a hole in them is a missed trade */
    struct exchange_limits limits;
    size_t state_size; /* bytes of `state`, zeroed by the session at each connection; may be 0 */

    /* Both ways between BASE-QUOTE and the exchange's spelling. False when it cannot be spelled. */
    bool (*to_native)(const struct symbol *symbol, char native[LIMIT_NATIVE_SYMBOL]);
    bool (*from_native)(struct slice native, struct symbol *ret_symbol);

    /*
     * Appends the next message that brings what was asked for (`asked`) closer to what is wanted,
     * and marks it in `asked`. Returns the bytes appended; 0 when there is nothing left to ask. The
     * session sends it as one text frame, within the message limit. request_id is fresh for each
     * call.
     */
    exchange_request_fn *next_request;

    /* One pass over one message. Never fails otherwise than by verdict, whatever the bytes. */
    exchange_decode_fn *decode;

    /* The request for a query; false when this exchange cannot answer it. */
    bool (*rest_request)(const struct rest_query *query, struct rest_request *ret_request);

    /*
     * Reads the answer to a query of this kind, in one pass, and visits each symbol in it;
     * REST_TRADES is not read yet. False: it is not such an answer, whatever its HTTP status was;
     * *ret_note then is the exchange's own words (borrowed, escaped), empty when it said none. What
     * was visited before that was seen is true all the same, but not all that there is. Times come
     * as true Unix microseconds, whatever the exchange writes; a time or id that cannot be one is
     * not given. text: followed by a NUL and LIMIT_PADDING bytes. NULL: nothing can be read.
     */
    bool (*rest_read)(enum rest_kind kind, struct slice text, rest_fact_fn *visit, void *context,
                      struct slice *ret_note);
};

/* How many symbols, with all of these channels each, one connection takes; UINT32_MAX: no limit is
 * known. */
uint32_t exchange_symbols_max(const struct exchange *exchange, uint32_t channels) MUST_CHECK;

/* ---- the registry ---- */

size_t exchange_count(void); /* names, each once */

/* The index-th exchange in its default generation. */
const struct exchange *exchange_at(size_t index);

/* generation 0: the default one. NULL when there is none. */
const struct exchange *exchange_find(struct slice name, unsigned generation);
