/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Binance spot, shared by its files: what a connection is subscribed to, what is remembered of a
 * market, and how its messages are written. ../protocols: BN-DOC, web-socket-streams and rest-api.
 */
#pragma once

#include "sim/venue_connection.h"
#include "sim/write.h"

#define BINANCE_STREAM_NAME_MAX 64
#define BINANCE_INTERVALS 13
#define BINANCE_DECIMALS 8

enum binance_kind {
    BINANCE_SILENT, /* well-formed, but there is no such stream */
    BINANCE_TRADE,
    BINANCE_AGG_TRADE,
    BINANCE_TICKER,
    BINANCE_MINI_TICKER,
    BINANCE_BOOK_TICKER,
    BINANCE_DEPTH,
    BINANCE_PARTIAL,
    BINANCE_KLINE,
    BINANCE_TICKERS,      /* !ticker@arr */
    BINANCE_MINI_TICKERS, /* !miniTicker@arr */
};

struct binance_stream {
    enum binance_kind kind;
    const struct market *market; /* NULL: all, or none */
    unsigned parameter;          /* levels of partial depth; interval of klines */
    bool fast;                   /* depth every 100 ms */
    char name[BINANCE_STREAM_NAME_MAX];
};

struct binance_connection {
    bool combined, microseconds;
    struct binance_stream *streams; /* owned */
    size_t count, capacity;
};

struct binance_kline {
    int64_t open_us;
    int64_t open, high, low, close; /* ticks */
    int64_t volume, value, bought, bought_value;
    uint64_t first_id, last_id, trades;
    bool changed;
};

struct binance_market {
    uint64_t agg_id;
    int64_t told_fast, told_slow;         /* update ids that depth streams have told */
    int64_t partial_fast, partial_slow;   /* the same of partial depth */
    int64_t bid, bid_size, ask, ask_size; /* last book ticker */
    uint64_t ticker_count;                /* trades that tickers have told */
    int64_t ticker_update;                /* update id that they have told */
    struct binance_kline klines[BINANCE_INTERVALS];
    bool told_array; /* changed in this second, for the arrays */
};

/* What is to be told; the writers look at what they need. */
struct binance_event {
    enum binance_kind kind;
    unsigned parameter;
    bool fast;
    enum channel channel;
    const struct market *market;
    int64_t now_us;
    const struct trade *trades; /* one; of an aggTrade those that it joins */
    size_t count;
    uint64_t agg_id;
    int64_t first_update, last_update;
    const struct flow_change *changes; /* without repeats */
    size_t change_count;
    const struct binance_kline *kline;
    bool closed;
    unsigned order; /* of the keys, where it changes */
};

struct binance_run {
    struct buffer payload[2]; /* in milliseconds, in microseconds */
    struct buffer wrapped;
    struct flow_change *changes; /* MARKET_CHANGES_MAX */
};

extern const char *const binance_intervals[BINANCE_INTERVALS];
extern const int64_t binance_interval_seconds[BINANCE_INTERVALS];

/* ---- venue_binance_write.c ---- */

/* Times are milliseconds, or microseconds. */
void binance_write(const struct binance_event *event, bool micro, struct buffer *out);
void binance_write_ticker(const struct market *market, int64_t now_us, bool mini, bool micro,
                          struct buffer *out);
void binance_price(struct buffer *out, const struct market *market, int64_t ticks);
void binance_size(struct buffer *out, const struct market *market, int64_t steps);
void binance_time(struct buffer *out, int64_t us, bool micro);

/* [["price","size"],...], the best `most` levels. */
void binance_levels(struct buffer *out, const struct market *market, enum flow_side side,
                    size_t most);
int64_t binance_average_e8(const struct market *market);

/* ---- venue_binance_request.c ---- */

void binance_on_open(struct venue_connection *connection, struct slice path, struct slice query);
void binance_on_message(struct venue_connection *connection, struct slice text);
void binance_on_closed(struct venue_connection *connection);
bool binance_is_stream(struct slice path);

/* ---- venue_binance_rest.c ---- */

bool binance_rest(struct venue_run *run, const struct rest_request *request,
                  struct rest_answer *answer);
void binance_refusal(struct venue_run *run, unsigned status, struct buffer *body);
