/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bithumb's interface of the first generation: what its files share. A filter is registered for
 * each type of message; a new one of that type replaces it. All numbers are strings, times are
 * those of Korea. Thread: the loop's.
 */
#pragma once

#include "sim/venue_connection.h"

#define OLD_TICKS 5 /* kinds of tickers: 30M, 1H, 12H, 24H, MID */
#define OLD_KOREA_US (INT64_C(9) * 3600 * 1000000)

enum old_filter { OLD_TRADE, OLD_DEPTH, OLD_SNAPSHOT, OLD_TICKER, OLD_FILTERS };

/* venue->connection_size: of this. Of each market, by index: a bit for each filter, and for each
 * kind of ticker. */
struct old_state {
    uint8_t *filters; /* owned; NULL: nothing was asked for yet */
    uint8_t *ticks;   /* owned */
    char ping[64];
};

/* venue->market_size: of this. */
struct old_market {
    int64_t depth_id;      /* flow.update_id up to which changes were sent */
    int64_t snapshot_id;   /* and of the last whole book */
    uint64_t ticker_count; /* of trades, when the last ticker was sent */
};

const char *old_tick_name(unsigned tick); /* "30M"; static */

void old_write_trades(const struct market *market, const struct trade *trades, size_t count,
                      struct buffer *out);
void old_write_ticker(const struct market *market, int64_t now_us, unsigned tick,
                      struct buffer *out);

/* 30 levels a side. */
void old_write_snapshot(const struct market *market, int64_t now_us, struct buffer *out);

/*
 * The levels that changed behind update id *from, up to now, each once, with its size of now.
 * *from moves to the last one that was written, as there is a limit to one message. False: there
 * was nothing to write.
 */
bool old_write_depth(const struct market *market, int64_t now_us, int64_t *from,
                     struct buffer *out);

/* REST: /public/... */
bool old_rest(struct venue_run *run, const struct rest_request *request,
              struct rest_answer *answer);
