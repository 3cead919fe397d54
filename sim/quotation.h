/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the venues of the quotation kind have in common: Upbit, and Bithumb of the second
 * generation, which took over its shape and changed much of what is in it. A struct quotation_style
 * says what; the functions are for the rows in venue_upbit.c and venue_bithumb.c. A request
 * replaces the one before it; nothing is acknowledged; unknown codes are silent; an error closes.
 * Thread: the loop's.
 */
#pragma once

#include "sim/venue_connection.h"

#include <jansson.h>

#define QUOTATION_UNITS_MAX 30
#define QUOTATION_CANDLES 10
#define QUOTATION_KRW_PER_USD 1400
#define QUOTATION_ADDRESSES 64 /* whose handshakes are remembered; the oldest one is forgotten */

/* A stream is a bit; that of candle number i is QUOTATION_CANDLE << i. */
enum quotation_stream {
    QUOTATION_TRADE = 1,
    QUOTATION_TICKER = 2,
    QUOTATION_BOOK = 4,
    QUOTATION_CANDLE = 8,
};

enum quotation_format {
    QUOTATION_DEFAULT,
    QUOTATION_SIMPLE,
    QUOTATION_LIST,
    QUOTATION_SIMPLE_LIST,
};

enum quotation_error {
    QUOTATION_GOOD,
    QUOTATION_WRONG_FORMAT,
    QUOTATION_NO_TICKET,
    QUOTATION_NO_TYPE,
    QUOTATION_NO_CODES,
    QUOTATION_INVALID_PARAM,
};

/* How an exchange of this kind differs from the other. */
struct quotation_style {
    const char *only_snapshot[3], *only_realtime[3]; /* names of the flags; NULL ends */
    unsigned units_max;      /* of a book on the WebSocket, and of one of several by REST */
    unsigned unit_counts[5]; /* what may stand behind the point of a code; 0 ends; else all */
    unsigned book_decimals;  /* of sizes in books: rounded to so many */
    int64_t zone_us;         /* of trade_date and trade_time, east of Greenwich */
    int64_t rest_ahead_us;   /* what the times of REST tickers are wrong by */
    int64_t id_unit;         /* see quotation_trade_id */
    int64_t level_default;   /* what `level` says of an ungrouped book */
    bool book_time_us;       /* of the WebSocket; else milliseconds */
    bool spellings;          /* exponents, trailing zeros, points; else the shortest form */
    bool best;               /* trades tell the best bid and ask */
    bool lists;              /* formats JSON_LIST and SIMPLE_LIST */
    bool candles;
    bool level_strict;        /* an unknown level is WRONG_FORMAT; else silent */
    bool format_strict;       /* an unknown format is INVALID_PARAM; else DEFAULT */
    bool realtime_first;      /* sometimes, before the snapshot of a book */
    bool repeats;             /* frames of books come twice */
    bool strays;              /* frames of the old subscription come behind a new one */
    bool rest_errors_200;     /* REST errors have status 200 */
    bool rest_by_time;        /* REST ids of trades are made of the time, and shared */
    bool suspended;           /* tickers of markets that do not trade say so */
    const char *no_delisting; /* JSON */
    enum quotation_error no_type, no_codes;
};

/* What a connection wants of a market. */
struct quotation_wish {
    uint16_t live; /* enum quotation_stream: as it happens */
    uint16_t once; /* the same: a snapshot to begin with */
    uint8_t units; /* of a book */
    int64_t level; /* grouping of its prices, in ticks; 1: none. 0: one that there is none of */
};

struct quotation_subscription {
    struct quotation_wish *wishes; /* owned; by index of the market */
    size_t streams;
    enum quotation_format format;
    json_t *request; /* owned; NULL: none yet */
};

/* venue->connection_size: of this. */
struct quotation_state {
    struct quotation_subscription now;
    bool pinged;
    uint64_t ping_slot; /* of the text PING: in 10 s from there, UP */
};

struct quotation_candle {
    int64_t start_us; /* 0: none yet */
    int64_t open, high, low, close, volume, value, at_us;
    bool changed;
};

/* venue->market_size: of this. */
struct quotation_market {
    int64_t book_us;  /* when the book changed last */
    int64_t seen_id;  /* flow.update_id of that change */
    int64_t sent_id;  /* and of what was sent last */
    int64_t id_frame; /* of quotation_trade_id */
    int64_t id_count;
    struct quotation_candle candles[QUOTATION_CANDLES];
};

struct quotation_caller {
    struct address address;
    int64_t second;       /* of connects */
    unsigned connects;    /* in that second */
    int64_t origin_us;    /* of the last request with an Origin that was let through; 0: none */
    int64_t last_used_us; /* 0: the entry is free */
};

/* venue->run_size: of this. Set `style` in on_start, then call quotation_start. */
struct quotation_run {
    const struct quotation_style *style;
    uint64_t slot; /* of the last turn */
    struct quotation_caller callers[QUOTATION_ADDRESSES];
};

void quotation_start(struct venue_run *run, const struct quotation_style *style);
bool quotation_is_stream(struct slice path);
void quotation_on_open(struct venue_connection *connection, struct slice path, struct slice query);
void quotation_on_message(struct venue_connection *connection, struct slice text);
void quotation_on_closed(struct venue_connection *connection);
void quotation_on_trades(struct venue_run *run, struct market *market, const struct trade *trades,
                         size_t count);
void quotation_on_change(struct venue_run *run, struct market *market);
void quotation_on_grid(struct venue_run *run, struct market *market, uint64_t slot);
void quotation_on_turn(struct venue_run *run, uint64_t slot);

/* describe: most markets in KRW, some in BTC, and in USDT where the exchange has that; every
 * seventh has fewer levels than a book shows. order_usd: what a usual order is worth. */
void quotation_describe(struct market *market, int64_t usd_e8, bool usdt, int64_t order_usd,
                        struct flow_options *ret_flow);

#define QUOTATION_GARBAGE_KINDS 12
void quotation_garbage(struct venue_run *run, struct market *market, unsigned kind,
                       struct buffer *out);

/*
 * Ids that are unique within a market, but neither consecutive nor in order: those of 64 ms are
 * mixed. `unit` ids to a millisecond, so that the time is in front: 1000 gives 16 digits.
 */
uint64_t quotation_trade_id(struct quotation_market *own, int64_t unit, int64_t at_us);

/* The entry of an address; never NULL. */
struct quotation_caller *quotation_caller(struct venue_run *run, const struct address *address);

/* Counts a handshake of now; how many more there may be in this second. */
unsigned quotation_connects_left(struct quotation_caller *caller, unsigned limit);

static inline const struct quotation_style *quotation_style_of(const struct venue_run *run)
{
    return ((const struct quotation_run *)run->own)->style;
}
