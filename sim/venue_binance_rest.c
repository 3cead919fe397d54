/* SPDX-License-Identifier: Apache-2.0 */
/* Binance's REST for markets, tickers, books and trades, with its weights and errors. */
#include "sim/venue_binance_priv.h"

#include <jansson.h>
#include <stdio.h>

#define TEXT_MAX 4096
#define DEPTH_DEFAULT 100
#define DEPTH_MAX 5000
#define TRADES_DEFAULT 500
#define TRADES_MAX 1000
#define SYMBOLS_MAX 1024

/* What a request is about, and what it costs. */
struct asked {
    struct venue_run *run;
    const struct rest_request *request;
    struct rest_answer *answer;
    bool micro;
    const struct market *markets[SYMBOLS_MAX];
    size_t count;
    bool single; /* one symbol was named: the answer is an object, not a list */
    bool listed; /* symbols=[...] */
};

static bool fail(struct asked *asked, unsigned status, int code, const char *text)
{
    buffer_clear(asked->answer->body);
    buffer_append_format(asked->answer->body, "{\"code\":%d,\"msg\":\"%s\"}", code, text);
    asked->answer->status = status;
    venue_bad_request(asked->run);
    return false;
}

void binance_refusal(struct venue_run *run, unsigned status, struct buffer *body)
{
    (void)run;
    buffer_append_text(
        body, status == 418   ? "{\"code\":-1003,\"msg\":\"Way too much request weight "
                                "used; IP banned. Please use WebSocket Streams for "
                                "live updates to avoid bans.\"}"
              : status == 429 ? "{\"code\":-1003,\"msg\":\"Too many requests; please use the "
                                "websocket for live updates.\"}"
                              : "{\"code\":-1001,\"msg\":\"Internal error; unable to process "
                                "your request. Please try again.\"}");
}

/* Takes the weight; false when it was too much, and answered. */
static bool pay(struct asked *asked, uint32_t weight)
{
    uint32_t used, retry_s;
    struct buffer *headers = asked->answer->headers;
    enum taken taken = venue_take(asked->run, &asked->request->address, 0, weight, &used, &retry_s);
    buffer_append_format(headers, "X-MBX-USED-WEIGHT: %u\r\nX-MBX-USED-WEIGHT-1M: %u\r\n", used,
                         used);
    if (taken == TAKEN)
        return true;
    asked->answer->status = taken == TAKEN_BANNED ? 418 : 429;
    buffer_append_format(headers, "Retry-After: %u\r\n", retry_s);
    binance_refusal(asked->run, asked->answer->status, asked->answer->body);
    return false;
}

static bool number_find(struct asked *asked, const char *name, uint64_t most, uint64_t *value)
{
    char text[32];
    bool there;
    if (!http_query_find(asked->request->query, name, text, sizeof text, &there))
        return !there || fail(asked, 400, -1100, "Illegal characters found in a parameter.");
    if (!slice_to_uint64(slice_of(text), UINT64_MAX / 2, value) || *value == 0)
        return fail(asked, 400, -1100, "Illegal characters found in a parameter.");
    if (*value > most)
        *value = most;
    return true;
}

/* ---- which markets ---- */

static bool symbol_add(struct asked *asked, struct slice native)
{
    for (size_t i = 0; i < native.size; i++)
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", native.data[i]) == NULL)
            return fail(asked, 400, -1100,
                        "Illegal characters found in parameter 'symbol'; legal range is "
                        "'^[A-Z0-9-_.]{1,20}$'.");
    const struct market *market = exchange_market(asked->run->exchange, native);
    if (market == NULL || asked->count == SYMBOLS_MAX)
        return fail(asked, 400, -1121, "Invalid symbol.");
    asked->markets[asked->count++] = market;
    return true;
}

static bool list_add(struct asked *asked, const char *text)
{
    json_t *list = json_loads(text, 0, NULL);
    asked->listed = true;
    bool good = json_is_array(list) && json_array_size(list) > 0;
    if (!good)
        fail(asked, 400, -1100, "Illegal characters found in parameter 'symbols'.");
    for (size_t i = 0; good && i < json_array_size(list); i++) {
        const json_t *name = json_array_get(list, i);
        good = json_is_string(name) ? symbol_add(asked, slice_of(json_string_value(name)))
                                    : fail(asked, 400, -1100, "Illegal characters found.");
    }
    json_decref(list);
    return good;
}

/* symbol=, symbols=[...], or all. */
static bool symbols_read(struct asked *asked)
{
    char text[TEXT_MAX];
    bool there;
    if (http_query_find(asked->request->query, "symbol", text, sizeof text, &there)) {
        asked->single = true;
        return symbol_add(asked, slice_of(text));
    }
    if (http_query_find(asked->request->query, "symbols", text, sizeof text, &there))
        return list_add(asked, text);
    if (there)
        return fail(asked, 400, -1100, "Illegal characters found in parameter 'symbols'.");
    for (size_t i = 0; i < asked->run->exchange->market_count && i < SYMBOLS_MAX; i++)
        asked->markets[asked->count++] = &asked->run->exchange->markets[i];
    return true;
}

static bool symbol_required(struct asked *asked)
{
    if (!symbols_read(asked))
        return false;
    return asked->single || fail(asked, 400, -1102,
                                 "Mandatory parameter 'symbol' was not sent, was empty/null, or "
                                 "malformed.");
}

/* ---- the answers ---- */

static void decimal(struct buffer *out, const char *key, int64_t value, unsigned scale)
{
    buffer_append_format(out, ",\"%s\":\"", key);
    write_fixed(out, value, scale, BINANCE_DECIMALS);
    buffer_append_text(out, "\"");
}

static void market_write(const struct market *market, struct buffer *out)
{
    buffer_append_format(
        out,
        "{\"symbol\":\"%s\",\"status\":\"%s\",\"baseAsset\":\"%s\",\"baseAssetPrecision\":8,"
        "\"quoteAsset\":\"%s\",\"quotePrecision\":8,\"quoteAssetPrecision\":8,"
        "\"baseCommissionPrecision\":8,\"quoteCommissionPrecision\":8,\"orderTypes\":[\"LIMIT\","
        "\"MARKET\"],\"icebergAllowed\":true,\"ocoAllowed\":true,\"isSpotTradingAllowed\":true,"
        "\"isMarginTradingAllowed\":false,\"filters\":[{\"filterType\":\"PRICE_FILTER\"",
        market->native, market->halted ? "BREAK" : "TRADING", market->base, market->quote);
    decimal(out, "minPrice", market->tick, market->price_scale);
    decimal(out, "maxPrice", 1000000, 0);
    decimal(out, "tickSize", market->tick, market->price_scale);
    buffer_append_text(out, "},{\"filterType\":\"LOT_SIZE\"");
    decimal(out, "minQty", 1, market->size_scale);
    decimal(out, "maxQty", 9000000000, 0);
    decimal(out, "stepSize", 1, market->size_scale);
    buffer_append_text(out, "},{\"filterType\":\"NOTIONAL\",\"minNotional\":\"5.00000000\","
                            "\"applyMinToMarket\":true,\"maxNotional\":\"9000000.00000000\","
                            "\"applyMaxToMarket\":false,\"avgPriceMins\":5}],\"permissions\":[],"
                            "\"permissionSets\":[[\"SPOT\"]],\"defaultSelfTradePreventionMode\":"
                            "\"EXPIRE_MAKER\",\"allowedSelfTradePreventionModes\":[\"NONE\"]}");
}

static void on_exchange_info(struct asked *asked)
{
    struct buffer *out = asked->answer->body;
    char status[32] = "";
    bool there;
    if (!symbols_read(asked) || !pay(asked, 20))
        return;
    if (!http_query_find(asked->request->query, "symbolStatus", status, sizeof status, &there))
        status[0] = '\0';
    buffer_append_text(out, "{\"timezone\":\"UTC\",\"serverTime\":");
    binance_time(out, exchange_now_us(asked->run->exchange), asked->micro);
    buffer_append_format(out,
                         ",\"rateLimits\":[{\"rateLimitType\":\"REQUEST_WEIGHT\",\"interval\":"
                         "\"MINUTE\",\"intervalNum\":1,\"limit\":%u},{\"rateLimitType\":"
                         "\"RAW_REQUESTS\",\"interval\":\"MINUTE\",\"intervalNum\":5,\"limit\":"
                         "300000}],\"exchangeFilters\":[],\"symbols\":[",
                         asked->run->groups[0].limit);
    for (size_t i = 0, written = 0; i < asked->count; i++) {
        const char *state = asked->markets[i]->halted ? "BREAK" : "TRADING";
        if (status[0] != '\0' && strcmp(status, state) != 0)
            continue;
        buffer_append_text(out, written++ == 0 ? "" : ",");
        market_write(asked->markets[i], out);
    }
    buffer_append_text(out, "]}");
}

static void on_depth(struct asked *asked)
{
    struct buffer *out = asked->answer->body;
    uint64_t limit = DEPTH_DEFAULT;
    if (!symbol_required(asked) || !number_find(asked, "limit", DEPTH_MAX, &limit))
        return;
    uint32_t weight = limit <= 100 ? 5 : limit <= 500 ? 25 : limit <= 1000 ? 50 : 250;
    if (!pay(asked, weight))
        return;
    const struct market *market = asked->markets[0];
    buffer_append_format(out,
                         "{\"lastUpdateId\":%lld,\"bids\":", (long long)market->flow.update_id);
    binance_levels(out, market, FLOW_BID, (size_t)limit);
    buffer_append_text(out, ",\"asks\":");
    binance_levels(out, market, FLOW_ASK, (size_t)limit);
    buffer_append_text(out, "}");
}

static void day_write(const struct asked *asked, const struct market *market, struct buffer *out)
{
    const struct truth *truth = &market->truth;
    const struct flow_level *bid = market_best(market, FLOW_BID);
    const struct flow_level *ask = market_best(market, FLOW_ASK);
    int64_t now_us = exchange_now_us(asked->run->exchange);
    unsigned scale = market->price_scale;
    buffer_append_format(out, "{\"symbol\":\"%s\"", market->native);
    decimal(out, "priceChange", market_price(market, truth->last - truth->open), scale);
    buffer_append_text(out, ",\"priceChangePercent\":\"");
    write_fixed(out, write_ratio(truth->last - truth->open, 100000, truth->open), 3, 3);
    buffer_append_text(out, "\"");
    decimal(out, "weightedAvgPrice", binance_average_e8(market), BINANCE_DECIMALS);
    decimal(out, "prevClosePrice", market_price(market, truth->open), scale);
    decimal(out, "lastPrice", market_price(market, truth->last), scale);
    decimal(out, "lastQty", truth->last_size, market->size_scale);
    decimal(out, "bidPrice", market_price(market, bid->price), scale);
    decimal(out, "bidQty", bid->size, market->size_scale);
    decimal(out, "askPrice", market_price(market, ask->price), scale);
    decimal(out, "askQty", ask->size, market->size_scale);
    decimal(out, "openPrice", market_price(market, truth->open), scale);
    decimal(out, "highPrice", market_price(market, truth->high), scale);
    decimal(out, "lowPrice", market_price(market, truth->low), scale);
    decimal(out, "volume", truth->bought + truth->sold, market->size_scale);
    decimal(out, "quoteVolume", truth->value, market->value_scale);
    buffer_append_text(out, ",\"openTime\":");
    binance_time(out, now_us - 86400000000, asked->micro);
    buffer_append_text(out, ",\"closeTime\":");
    binance_time(out, now_us, asked->micro);
    buffer_append_format(out, ",\"firstId\":%lld,\"lastId\":%lld,\"count\":%llu}",
                         truth->count == 0 ? -1 : (long long)truth->first_id,
                         truth->count == 0 ? -1 : (long long)(truth->first_id + truth->count - 1),
                         (unsigned long long)truth->count);
}

static void price_write(const struct asked *asked, const struct market *market, struct buffer *out)
{
    (void)asked;
    buffer_append_format(out, "{\"symbol\":\"%s\"", market->native);
    decimal(out, "price", market_price(market, market->truth.last), market->price_scale);
    buffer_append_text(out, "}");
}

static void quote_write(const struct asked *asked, const struct market *market, struct buffer *out)
{
    const struct flow_level *bid = market_best(market, FLOW_BID);
    const struct flow_level *ask = market_best(market, FLOW_ASK);
    (void)asked;
    buffer_append_format(out, "{\"symbol\":\"%s\"", market->native);
    decimal(out, "bidPrice", market_price(market, bid->price), market->price_scale);
    decimal(out, "bidQty", bid->size, market->size_scale);
    decimal(out, "askPrice", market_price(market, ask->price), market->price_scale);
    decimal(out, "askQty", ask->size, market->size_scale);
    buffer_append_text(out, "}");
}

/* Of 24 hours: by how many were asked for; all that there are cost the most. */
static uint32_t day_weight(const struct asked *asked)
{
    if (asked->single || (asked->listed && asked->count <= 20))
        return 2;
    return asked->listed && asked->count <= 100 ? 40 : 80;
}

static uint32_t price_weight(const struct asked *asked)
{
    return asked->single ? 2 : 4;
}

/* One, or a list of them. */
static void list_write(struct asked *asked, uint32_t (*weight)(const struct asked *),
                       void (*write)(const struct asked *, const struct market *, struct buffer *))
{
    struct buffer *out = asked->answer->body;
    if (!symbols_read(asked) || !pay(asked, weight(asked)))
        return;
    buffer_append_text(out, asked->single ? "" : "[");
    for (size_t i = 0; i < asked->count; i++) {
        buffer_append_text(out, i == 0 ? "" : ",");
        write(asked, asked->markets[i], out);
    }
    buffer_append_text(out, asked->single ? "" : "]");
}

static void on_day(struct asked *asked)
{
    list_write(asked, day_weight, day_write);
}

static void on_price(struct asked *asked)
{
    list_write(asked, price_weight, price_write);
}

static void on_quote(struct asked *asked)
{
    list_write(asked, price_weight, quote_write);
}

static void trade_write(const struct asked *asked, const struct market *market,
                        const struct trade *trade)
{
    struct buffer *out = asked->answer->body;
    buffer_append_format(out, "{\"id\":%llu", (unsigned long long)trade->id);
    decimal(out, "price", market_price(market, trade->price), market->price_scale);
    decimal(out, "qty", trade->size, market->size_scale);
    decimal(out, "quoteQty", market_value(market, trade->price, trade->size), market->value_scale);
    buffer_append_text(out, ",\"time\":");
    binance_time(out, trade->at_us, asked->micro);
    buffer_append_format(out, ",\"isBuyerMaker\":%s,\"isBestMatch\":true}",
                         trade->buyer_takes ? "false" : "true");
}

/* The last trades; with fromId (historicalTrades) those from there on. Oldest first. */
static void on_trades(struct asked *asked)
{
    uint64_t limit = TRADES_DEFAULT, from = 0;
    if (!symbol_required(asked) || !number_find(asked, "limit", TRADES_MAX, &limit) ||
        !number_find(asked, "fromId", UINT64_MAX / 2, &from) || !pay(asked, 25))
        return;
    const struct truth *truth = &asked->markets[0]->truth;
    uint64_t first = truth_first(truth);
    uint64_t begin = truth->count > limit ? truth->count - limit + 1 : 1;
    if (from > truth->first_id)
        begin = from - truth->first_id + 1;
    begin = begin < first ? first : begin;
    buffer_append_text(asked->answer->body, "[");
    for (uint64_t i = begin; i <= truth->count && i < begin + limit; i++) {
        buffer_append_text(asked->answer->body, i == begin ? "" : ",");
        trade_write(asked, asked->markets[0], truth_trade(truth, i));
    }
    buffer_append_text(asked->answer->body, "]");
}

static void on_time(struct asked *asked)
{
    if (!pay(asked, 1))
        return;
    buffer_append_text(asked->answer->body, "{\"serverTime\":");
    binance_time(asked->answer->body, exchange_now_us(asked->run->exchange), asked->micro);
    buffer_append_text(asked->answer->body, "}");
}

static void on_ping(struct asked *asked)
{
    if (pay(asked, 1))
        buffer_append_text(asked->answer->body, "{}");
}

bool binance_rest(struct venue_run *run, const struct rest_request *request,
                  struct rest_answer *answer)
{
    static const struct {
        const char *path;
        void (*handle)(struct asked *);
    } paths[] = {{"/api/v3/ping", on_ping},
                 {"/api/v3/time", on_time},
                 {"/api/v3/exchangeInfo", on_exchange_info},
                 {"/api/v3/depth", on_depth},
                 {"/api/v3/ticker/24hr", on_day},
                 {"/api/v3/ticker/price", on_price},
                 {"/api/v3/ticker/bookTicker", on_quote},
                 {"/api/v3/trades", on_trades},
                 {"/api/v3/historicalTrades", on_trades}};
    struct slice unit = http_header_find(request->head, "X-MBX-TIME-UNIT");
    struct asked asked = {.run = run,
                          .request = request,
                          .answer = answer,
                          .micro = slice_is(unit, "MICROSECOND") || slice_is(unit, "microsecond")};
    if (!slice_is(request->method, "GET"))
        return false;
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        if (slice_is(request->path, paths[i].path)) {
            paths[i].handle(&asked);
            return true;
        }
    return false;
}
