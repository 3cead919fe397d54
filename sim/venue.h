/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one exchange is, to the simulator: a row of data and functions. A venue is one protocol of
 * an exchange, on its own WebSocket paths; Bithumb has two, of two generations, with the same
 * markets. The rows stand in venues.c. All prices that a venue writes come from struct market.
 *
 * The simulator moves the markets, and calls on_trades and on_change at once, on_grid each
 * GRID_MS of each market (with a phase of its own, so that not all come together). The venue writes
 * messages, and gives them to the connections that want them (venue_connection.h); faults are
 * applied there. Thread: the loop's, for everything.
 */
#pragma once

#include "net/address.h"
#include "net/http.h"
#include "sim/market.h"

#define GRID_MS 100
#define VENUE_GROUPS_MAX 6
#define VENUE_HEADERS_MAX 512

struct venue_run;        /* a venue at work */
struct venue_connection; /* venue_connection.h */

/* What a fault may be limited to. */
enum channel { CHANNEL_TRADE, CHANNEL_TICKER, CHANNEL_BOOK, CHANNEL_QUOTE, CHANNEL_OTHER };

/* Rules that a client can break; counted in /sim/stats. */
enum broken {
    BROKEN_CONNECTS, /* too many handshakes from an address */
    BROKEN_MESSAGES, /* too many messages on a connection */
    BROKEN_PONG,     /* a ping was not answered in time */
    BROKEN_IDLE,     /* said nothing for too long */
    BROKEN_STREAMS,  /* too many on a connection, or too large a request */
    BROKEN_WEIGHT,   /* REST */
    BROKEN_ORIGIN,   /* came with an Origin header more often than it may */
    BROKEN_BANNED,   /* came while it was told to stay away */
    BROKEN_COUNT,
};

/* The numbers of the exchange; each can be set by --set-limit. 0: there is no such limit. */
struct venue_limits {
    uint32_t connects, connects_ms; /* handshakes of one address in so long */
    uint32_t messages, messages_ms; /* from one connection, control frames included */
    uint32_t messages_minute;       /* the same in a minute */
    uint32_t streams;               /* of a connection */
    uint32_t request_size;          /* bytes of one message from a client */
    uint32_t ping_ms, pong_ms;      /* our pings; a pong must come within */
    uint32_t idle_ms;               /* a connection on which nobody says anything is cut */
    uint32_t lifetime_ms;           /* of a connection, whatever it does */
    bool pings_count;               /* ping and pong frames count as messages */
    bool idle_by_client;            /* only what the client says counts against idle_ms */
};

/* A REST budget: `limit` units in window_ms for each address. */
struct venue_group {
    const char *name; /* NULL: no more of them */
    uint32_t limit, window_ms;
};

struct rest_request {
    struct slice method, path; /* without the prefix of the venue: "/api/v3/depth" */
    struct slice query;        /* not decoded; http_query_find reads it */
    const struct http_head *head;
    struct address address;
};

struct rest_answer {
    unsigned status;        /* 200 to begin with */
    const char *type;       /* application/json to begin with; static */
    struct buffer *body;    /* to be written */
    struct buffer *headers; /* whole lines, each with its \r\n; at most VENUE_HEADERS_MAX */
};

struct venue {
    const char *exchange;     /* "binance", as in /sim and the path's prefix */
    const char *name;         /* "binance", "bithumb-1": for the log; unique */
    const char *const *hosts; /* Host headers under which no prefix is needed; NULL ends */
    struct venue_limits limits;
    struct venue_group groups[VENUE_GROUPS_MAX];
    bool binary;  /* data frames are binary frames */
    bool deflate; /* permessage-deflate is granted when it is asked for */

    /* Sizes of the venue's own structs, which come zeroed. 0: none. */
    size_t run_size, market_size, connection_size;

    /* The markets of the exchange: the quote and the decimals of market number `index`, of which
     * base, names and a price in dollars are filled in already. Fills in the rest of the names and
     * units, and *ret_ticks, *ret_steps (price to begin with, usual order), and how many levels a
     * side there shall be. NULL: the venue has the markets of the venue before it. */
    void (*describe)(struct market *market, int64_t usd_e8, struct flow_options *ret_flow);

    /* After all markets are there. May be NULL. */
    void (*on_start)(struct venue_run *run);

    /* Frees what on_start made. May be NULL. */
    void (*on_end)(struct venue_run *run);

    /* The id under which the exchange tells of this trade; trade->id is still 0. NULL: index. */
    uint64_t (*trade_id)(struct market *market, const struct trade *trade);

    /* Whether there is a WebSocket at this path (without the prefix). */
    bool (*is_stream)(struct slice path);

    /* Before a handshake is granted; may refuse (false, with status and body filled in), and may
     * add headers for the 101 as well. `broken` is the rule that the simulator found broken, else
     * BROKEN_COUNT. NULL: refused with 429 when a rule was broken. */
    bool (*admit)(struct venue_run *run, const struct rest_request *request, enum broken broken,
                  struct rest_answer *answer);

    void (*on_open)(struct venue_connection *connection, struct slice path, struct slice query);

    /* A whole message of the client. `text` is valid during the call. */
    void (*on_message)(struct venue_connection *connection, struct slice text);

    /* Frees what `own` of the connection points to. May be NULL. */
    void (*on_closed)(struct venue_connection *connection);

    /* The fills of one order. run->exchange has the market. */
    void (*on_trades)(struct venue_run *run, struct market *market, const struct trade *trades,
                      size_t count);

    /* The book changed: after every step, after on_trades. May be NULL. */
    void (*on_change)(struct venue_run *run, struct market *market);

    /* Every GRID_MS; `slot` counts them, so slot % 10 == 0 comes once a second. */
    void (*on_grid)(struct venue_run *run, struct market *market, uint64_t slot);

    /* Every GRID_MS, once. May be NULL. */
    void (*on_turn)(struct venue_run *run, uint64_t slot);

    /* False: there is nothing at this path; then the simulator answers 404, unless the body was
     * written. */
    bool (*rest)(struct venue_run *run, const struct rest_request *request,
                 struct rest_answer *answer);

    /* The body of a REST answer during a ban (status 429 or 418), or maintenance (503). May be
     * NULL. */
    void (*refusal)(struct venue_run *run, unsigned status, struct buffer *body);

    /* A message that looks like the venue's but is none, or is wrong in itself; number `kind` of
     * garbage_kinds. The market is one that the connection may want. */
    unsigned garbage_kinds;
    void (*garbage)(struct venue_run *run, struct market *market, unsigned kind,
                    struct buffer *out);

    /* serverShutdown: tells all connections. NULL: the exchange says nothing before it leaves. */
    void (*leaving)(struct venue_run *run);
};

extern const struct venue venue_binance, venue_upbit, venue_bithumb, venue_bithumb_old;

/* All venues, in order; ends with NULL. venues.c */
extern const struct venue *const venue_table[];

/* ---- the markets of an exchange, and its clock ---- */

struct exchange {
    const char *name;
    size_t index;
    struct market *markets; /* owned */
    size_t market_count;
    int64_t clock_shift_us; /* of the fault `clock` */
};

struct venue_run {
    const struct venue *venue;
    struct exchange *exchange; /* borrowed */
    struct venue_limits limits;
    struct venue_group groups[VENUE_GROUPS_MAX];
    struct simulator *simulator; /* borrowed */
    size_t generation;           /* index into market->own */
    void *own;                   /* owned; run_size */
    struct buffer scratch;       /* for whoever writes a message now; cleared by him */
    uint64_t random;             /* seeded; for the traps, not for the markets */
};

static inline void *market_own(const struct venue_run *run, const struct market *market)
{
    return market->own[run->generation];
}

/* The exchange's time: what it writes. */
int64_t exchange_now_us(const struct exchange *exchange);

/* By its native name, exactly as written; NULL: there is none. */
struct market *exchange_market(const struct exchange *exchange, struct slice native);

/* ---- limits ---- */

enum taken {
    TAKEN,         /* within the budget */
    TAKEN_LIMITED, /* over it: counted as broken; answer 429 */
    TAKEN_BANNED,  /* went on over it, again and again: answer 418 */
};

/* Takes `units` from the budget of the address. *ret_used: what it has used of the window, these
 * included; *ret_retry_s: when to come again. Both may be NULL. */
enum taken venue_take(struct venue_run *run, const struct address *address, size_t group,
                      uint32_t units, uint32_t *ret_used, uint32_t *ret_retry_s);

/* Counts a broken rule. */
void venue_broken(struct venue_run *run, enum broken broken);

/* Counts a request that was answered with an error. */
void venue_bad_request(struct venue_run *run);
