/* SPDX-License-Identifier: Apache-2.0 */
/* Upbit: the quotation protocol as its makers speak it. */
#include "exchange/upbit/upbit.h"

#include "exchange/quotation.h"
#include "exchange/rest.h"

static const char *const default_symbols[] = {"BTC-KRW", "ETH-KRW",  "XRP-KRW",
                                              "SOL-KRW", "USDT-KRW", NULL};

static const struct quotation_dialect dialect = {
    .exchange = &exchange_upbit, .candles = true, .rest_trade_time_korean = false};

static enum decode_verdict upbit_decode(void *state, const struct decode_input *input,
                                        struct event_batch *batch)
{
    (void)state;
    return quotation_decode(&dialect, input, batch);
}

static bool book_request(const struct rest_query *query, struct rest_request *request)
{
    uint32_t limit = query->limit == 0 || query->limit > 30 ? 30 : query->limit;
    size_t size = rest_append(request, 0, "/v1/orderbook?markets=", query->instrument);
    rest_append_number(request, size, "&count=", limit);
    request->weight = 1;
    return true;
}

/* Pages go back in time from an id, never forth. */
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

static void tickers_request(const struct rest_query *query, struct rest_request *request)
{
    static const struct rest_list list = {.head = "/v1/ticker?markets=",
                                          .separator = ",",
                                          .tail = "",
                                          .count_max = UINT32_MAX}; /* none is documented */
    if (query->instrument_count == 0 && query->instrument == NULL)
        rest_set(request, "/v1/ticker/all?quote_currencies=KRW,BTC,USDT", 1);
    else
        rest_set_list(request, query, &list);
}

static bool request_rest(const struct rest_query *query, struct rest_request *ret_request)
{
    ret_request->weight = 1;
    ret_request->instrument_count = 0;
    switch (query->kind) {
    case REST_MARKETS:
        rest_set(ret_request, "/v1/market/all?is_details=true", 1);
        return true;
    case REST_BOOK:
        return book_request(query, ret_request);
    case REST_TRADES:
        return trades_request(query, ret_request);
    case REST_TICKERS:
        tickers_request(query, ret_request);
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

const struct exchange exchange_upbit = {
    .name = "upbit",
    .generation = 0,
    .ws_url = "wss://api.upbit.com",
    .rest_url = "https://api.upbit.com",
    .ws_path = "/websocket/v1",
    .symbols = default_symbols,
    .channels =
        CHANNEL_BIT(CHANNEL_TRADE) | CHANNEL_BIT(CHANNEL_TICKER) | CHANNEL_BIT(CHANNEL_BOOK),
    .book_depth = 30,
    .deflate = true,
    .trade_ids_consecutive = false,
    .ping_text = NULL, /* the text PING was seen to go unanswered on a subscribed connection */
    .limits =
        {
            /* Upbit, "Rate limits": websocket-message 5 a second and 100 a minute of one
             * connection, websocket-connect 5 a second of one address; the groups market, ticker,
             * trade and orderbook of REST 10 a second each. Silence is documented to be cut after
             * 120 s, and measured to be after 60 s. */
            .messages = {{.count = 5, .window_ms = 1000}, {.count = 100, .window_ms = 60000}},
            .connects = {.count = 5, .window_ms = 1000},
            .rest = {.count = 10, .window_ms = 1000},
            .rest_by_kind = true,
            .ping_interval_ms = 20000,
            .idle_timeout_ms = 60000,
        },
    .state_size = 0,
    .to_native = quotation_to_native,
    .from_native = quotation_from_native,
    .next_request = quotation_request,
    .decode = upbit_decode,
    .rest_request = request_rest,
    .rest_read = rest_read,
};
