/* SPDX-License-Identifier: Apache-2.0 */
/* Binance spot: what is asked for, and the table of all that it is. */
#include "exchange/binance/binance.h"

#include "exchange/binance/decode.h"
#include "exchange/binance/rest.h"
#include "exchange/binance/symbols.h"
#include "exchange/rest.h"

/* One request: the documentation gives no bound; 4,096 bytes were once seen to be refused. */
#define REQUEST_STREAMS 100
#define REQUEST_BYTES 4000

#define BOOK_DEPTH 20

static const char *const default_symbols[] = {"BTC-USDT", "ETH-USDT", "XRP-USDT", "SOL-USDT", NULL};

static const char *const stream_suffixes[CHANNEL_COUNT] = {
    [CHANNEL_TRADE] = "@trade",
    [CHANNEL_TICKER] = "@ticker",
    [CHANNEL_BOOK] = "@depth20@100ms",
    [CHANNEL_QUOTE] = "@bookTicker",
};

/* ---- requests ---- */

/* `"btcusdt@trade"`; the symbol has no byte that JSON would escape. */
static void stream_append(struct buffer *out, const struct instrument *instrument,
                          enum channel channel)
{
    char name[LIMIT_NATIVE_SYMBOL];
    size_t size = strlen(instrument->native);
    for (size_t i = 0; i < size; i++) {
        char byte = instrument->native[i];
        name[i] = byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
    }
    buffer_append(out, "\"", 1);
    buffer_append(out, name, size);
    buffer_append_text(out, stream_suffixes[channel]);
    buffer_append(out, "\"", 1);
}

/* The channels of an instrument that a message of this kind is about. */
static uint32_t channels_due(const struct instrument *instrument, bool subscribe)
{
    uint32_t due = subscribe ? instrument->wanted & ~instrument->asked
                             : instrument->asked & ~instrument->wanted;
    return due & exchange_binance.channels;
}

static bool anything_due(struct instruments *instruments, bool subscribe)
{
    for (uint32_t i = 0; i < instruments_count(instruments); i++)
        if (channels_due(instruments_at(instruments, i), subscribe) != 0)
            return true;
    return false;
}

/* Room for the longest stream's name and the request's end. */
static bool request_has_room(const struct buffer *out, size_t start, uint32_t streams)
{
    return streams < REQUEST_STREAMS &&
           out->size - start < REQUEST_BYTES - LIMIT_NATIVE_SYMBOL - 64;
}

static void streams_append(struct instruments *instruments, bool subscribe, struct buffer *out)
{
    size_t start = out->size;
    uint32_t streams = 0;
    for (uint32_t i = 0; i < instruments_count(instruments); i++) {
        struct instrument *instrument = instruments_at(instruments, i);
        for (unsigned channel = 0; channel < CHANNEL_COUNT; channel++) {
            if (!(channels_due(instrument, subscribe) & CHANNEL_BIT(channel)))
                continue;
            if (!request_has_room(out, start, streams))
                return;
            if (streams++ > 0)
                buffer_append(out, ",", 1);
            stream_append(out, instrument, (enum channel)channel);
            instrument->asked ^= CHANNEL_BIT(channel);
        }
    }
}

/* What is not wanted goes first, so that the number of streams stays within the limit. */
static size_t request_next(struct instruments *instruments, uint64_t request_id, struct buffer *out)
{
    bool subscribe = !anything_due(instruments, false);
    if (subscribe && !anything_due(instruments, true))
        return 0;
    size_t start = out->size;
    buffer_append_format(out, "{\"method\":\"%s\",\"params\":[",
                         subscribe ? "SUBSCRIBE" : "UNSUBSCRIBE");
    streams_append(instruments, subscribe, out);
    buffer_append_format(out, "],\"id\":%llu}", (unsigned long long)request_id);
    return out->size - start;
}

/* ---- REST: paths and weights of the documentation's "Market Data endpoints" ---- */

/* Weights of /api/v3/depth by the number of levels. */
static uint32_t depth_weight(uint32_t limit)
{
    return limit <= 100 ? 5 : limit <= 500 ? 25 : limit <= 1000 ? 50 : 250;
}

static void book_request(const struct rest_query *query, struct rest_request *request)
{
    uint32_t limit = query->limit == 0 || query->limit > 5000 ? 5000 : query->limit;
    size_t size = rest_append(request, 0, "/api/v3/depth?symbol=", query->instrument);
    rest_append_number(request, size, "&limit=", limit);
    request->weight = depth_weight(limit);
}

static void trades_request(const struct rest_query *query, struct rest_request *request)
{
    uint32_t limit = query->limit == 0 || query->limit > 1000 ? 1000 : query->limit;
    const char *path =
        query->from_id < 0 ? "/api/v3/trades?symbol=" : "/api/v3/historicalTrades?symbol=";
    size_t size = rest_append(request, 0, path, query->instrument);
    size = rest_append_number(request, size, "&limit=", limit);
    if (query->from_id >= 0)
        rest_append_number(request, size, "&fromId=", (uint64_t)query->from_id);
    request->weight = 25;
}

/* The documentation's weights: up to 20 symbols 2, up to 100 40, all that there are 80. */
static void tickers_request(const struct rest_query *query, struct rest_request *request)
{
    static const struct rest_list list = {.head = "/api/v3/ticker/24hr?symbols=%5B%22",
                                          .separator = "%22,%22",
                                          .tail = "%22%5D",
                                          .count_max = 20};
    if (query->instrument_count == 0 && query->instrument == NULL) {
        rest_set(request, "/api/v3/ticker/24hr", 80);
        return;
    }
    rest_set_list(request, query, &list);
    request->weight = 2;
}

static bool request_rest(const struct rest_query *query, struct rest_request *ret_request)
{
    ret_request->instrument_count = 0;
    switch (query->kind) {
    case REST_MARKETS:
        /* Without the lists of who may trade, which are much of it. */
        rest_set(ret_request, "/api/v3/exchangeInfo?showPermissionSets=false", 20);
        return true;
    case REST_BOOK:
        book_request(query, ret_request);
        return true;
    case REST_TRADES:
        trades_request(query, ret_request);
        return true;
    case REST_TICKERS:
        tickers_request(query, ret_request);
        return true;
    }
    return false;
}

const struct exchange exchange_binance = {
    .name = "binance",
    .generation = 0,
    .ws_url = "wss://stream.binance.com:9443",
    .rest_url = "https://api.binance.com",
    .ws_path = "/stream",
    .symbols = default_symbols,
    .channels = CHANNEL_BIT(CHANNEL_TRADE) | CHANNEL_BIT(CHANNEL_TICKER) |
                CHANNEL_BIT(CHANNEL_BOOK) | CHANNEL_BIT(CHANNEL_QUOTE),
    .book_depth = BOOK_DEPTH,
    .ping_text = NULL,
    .deflate = false, /* nothing says that the streams take it */
    .trade_ids_consecutive = true,
    .limits =
        {
            /* Binance, "WebSocket Streams", General information: 5 messages a second, pings and
             * pongs counted; 300 connections in 5 minutes of one address; 1,024 streams; 24 hours;
             * its ping comes every 20 s and wants its pong within a minute. REST: REQUEST_WEIGHT of
             * `rateLimits` in /api/v3/exchangeInfo, 6,000 a minute. */
            .messages = {{.count = 5, .window_ms = 1000}},
            .connects = {.count = 300, .window_ms = 300000},
            .rest = {.count = 6000, .window_ms = 60000},
            .rest_by_kind = false,
            .streams_per_connection = 1024,
            .lifetime_s = 86400,
            .ping_interval_ms = 0,
            .idle_timeout_ms = 60000,
        },
    .state_size = 0,
    .to_native = binance_to_native,
    .from_native = binance_from_native,
    .next_request = request_next,
    .decode = binance_decode,
    .rest_request = request_rest,
    .rest_read = binance_rest_read,
};
