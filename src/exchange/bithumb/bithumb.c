/* SPDX-License-Identifier: Apache-2.0 */
/* Bithumb's present API: the quotation protocol, but for what quotation.h's dialect and the
 * magnitude of its times tell apart. */
#include "exchange/bithumb/bithumb.h"

#include "exchange/quotation.h"
#include "exchange/rest.h"

static const char *const default_symbols[] = {"BTC-KRW", "ETH-KRW",  "XRP-KRW",
                                              "SOL-KRW", "USDT-KRW", NULL};

static const struct quotation_dialect dialect = {.exchange = &exchange_bithumb, .candles = false};

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

static bool request_rest(const struct rest_query *query, struct rest_request *ret_request)
{
    ret_request->weight = 1;
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
        if (query->instrument == NULL)
            return false;
        rest_append(ret_request, 0, "/v1/ticker?markets=", query->instrument);
        return true;
    }
    return false;
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
    .limits =
        {
            /* Bithumb, API 2.x, "Basic information": 10 connections a second of one address; no
             * limit of messages is published. Silence is documented to be cut after 120 s, and
             * measured to be after 60 s. */
            .connects = {.count = 10, .window_ms = 1000},
            .ping_interval_ms = 20000,
            .idle_timeout_ms = 60000,
        },
    .state_size = 0,
    .to_native = quotation_to_native,
    .from_native = quotation_from_native,
    .next_request = quotation_request,
    .decode = bithumb_decode,
    .rest_request = request_rest,
};
