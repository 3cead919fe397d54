/* SPDX-License-Identifier: Apache-2.0 */
/* Bithumb's present API: the quotation protocol, but for what quotation.h's dialect and the
 * magnitude of its times tell apart. */
#include "exchange/bithumb/bithumb.h"

#include "exchange/quotation.h"
#include "exchange/rest.h"

static const char *const default_symbols[] = {"BTC-KRW", "ETH-KRW",  "XRP-KRW",
                                              "SOL-KRW", "USDT-KRW", NULL};

static const struct quotation_dialect dialect = {
    .exchange = &exchange_bithumb, .candles = false, .rest_trade_time_korean = true};

static enum decode_verdict bithumb_decode(void *state, const struct decode_input *input,
                                          struct event_batch *batch)
{
    (void)state;
    return quotation_decode(&dialect, input, batch);
}

/* There are no trades from an id on: its ids of REST are others than those of the stream. */
static bool trades_request(const struct rest_query *query, struct rest_request *request)
{
    if (query->from_id >= 0)
        return false;
    uint32_t limit = query->limit == 0 || query->limit > 500 ? 500 : query->limit;
    size_t size = rest_append(request, 0, "/v1/trades/ticks?market=", query->instrument);
    rest_append_number(request, size, "&count=", limit);
    request->weight = 1;
    return true;
}

/* "Parameter 'markets' must be less than or equal to 200 items": its changelog, of 2026-10-13. */
static const struct rest_list ticker_list = {
    .head = "/v1/ticker?markets=", .separator = ",", .tail = "", .count_max = 200};

static bool request_rest(const struct rest_query *query, struct rest_request *ret_request)
{
    ret_request->weight = 1;
    ret_request->instrument_count = 0;
    switch (query->kind) {
    case REST_MARKETS:
        rest_set(ret_request, "/v1/market/all?isDetails=true", 1);
        return true;
    case REST_BOOK:
        rest_append(ret_request, 0, "/v1/orderbook?markets=", query->instrument);
        return true;
    case REST_TRADES:
        return trades_request(query, ret_request);
    case REST_TICKERS: /* only for markets that are named */
        if (query->instrument_count == 0 && query->instrument == NULL)
            return false;
        rest_set_list(ret_request, query, &ticker_list);
        return true;
    }
    return false;
}

static bool rest_read(enum rest_kind kind, struct slice text, rest_fact_fn *visit, void *context,
                      struct slice *ret_note)
{
    const struct rest_visitor visitor = {.visit = visit, .context = context};
    return quotation_rest_read(&dialect, kind, text, &visitor, ret_note);
}

const struct exchange exchange_bithumb = {
    .name = "bithumb",
    .generation = 2,
    .ws_url = "wss://ws-api.bithumb.com",
    .rest_url = "https://api.bithumb.com",
    .ws_path = "/websocket/v1",
    .symbols = default_symbols,
    .channels =
        CHANNEL_BIT(CHANNEL_TRADE) | CHANNEL_BIT(CHANNEL_TICKER) | CHANNEL_BIT(CHANNEL_BOOK),
    .book_depth = 15,
    .ping_text = NULL,
    .deflate = true, /* since 2026-08-12 */
    .trade_ids_consecutive = false,
    .limits =
        {
            /* Bithumb, API 2.x, "Basic information": 10 connections a second of one address; no
             * limit of messages is published. Silence is documented to be cut after 120 s, and
             * measured to be after 60 s. "Limits of requests": REST 150 a second for each of
             * candles, order books, tickers, trades and all else. */
            .connects = {.count = 10, .window_ms = 1000},
            .rest = {.count = 150, .window_ms = 1000},
            .rest_by_kind = true,
            .ping_interval_ms = 20000,
            .idle_timeout_ms = 60000,
        },
    .state_size = 0,
    .to_native = quotation_to_native,
    .from_native = quotation_from_native,
    .next_request = quotation_request,
    .decode = bithumb_decode,
    .rest_request = request_rest,
    .rest_read = rest_read,
};
