/* SPDX-License-Identifier: Apache-2.0 */
/* Bithumb's interface of the first generation: connections, filters, and when what is sent. */
#include "base/memory.h"
#include "sim/bithumb_old.h"
#include "sim/write.h"

#include <jansson.h>
#include <string.h>

#define LATE_ONE_IN 4 /* acknowledgements that come late, behind data */
#define LATE_MS 2000
#define SECOND_SLOTS 10
#define DEPTH_SLOT 5  /* of each second */
#define TICKER_SLOT 3 /* of each second */
#define SYMBOLS_MAX 2000
#define GARBAGE_KINDS 8

static const char *const hosts[] = {"pubwss.bithumb.com", "api.bithumb.com", NULL};

static const char *const filter_names[OLD_FILTERS] = {"transaction", "orderbookdepth",
                                                      "orderbooksnapshot", "ticker"};

/* ---- connections ---- */

static void on_open(struct venue_connection *connection, struct slice path, struct slice query)
{
    (void)path;
    (void)query;
    struct venue_run *run = venue_connection_run(connection);
    struct old_state *state = venue_connection_own(connection);
    state->filters = memory_array(run->exchange->market_count + 1, 1);
    state->ticks = memory_array(run->exchange->market_count + 1, 1);
    venue_connection_answer(
        connection, SLICE("{\"status\":\"0000\",\"resmsg\":\"Connected Successfully\"}"), false, 0);
}

static void on_closed(struct venue_connection *connection)
{
    struct old_state *state = venue_connection_own(connection);
    memory_free(state->filters);
    memory_free(state->ticks);
}

/* ---- requests ---- */

static bool filter_of(const json_t *request, enum old_filter *ret_filter)
{
    const char *type = json_string_value(json_object_get(request, "type"));
    for (size_t i = 0; type != NULL && i < OLD_FILTERS; i++) {
        if (strcmp(type, filter_names[i]) == 0) {
            *ret_filter = (enum old_filter)i;
            return true;
        }
    }
    return false;
}

/* The kinds of tickers as bits; 0: one is unknown, or none was named. */
static uint8_t ticks_of(const json_t *request)
{
    const json_t *list = json_object_get(request, "tickTypes");
    unsigned bits = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        unsigned tick = 0;
        while (name != NULL && tick < OLD_TICKS && strcmp(name, old_tick_name(tick)) != 0)
            tick++;
        if (name == NULL || tick == OLD_TICKS)
            return 0;
        bits |= 1u << tick;
    }
    return (uint8_t)bits;
}

static bool market_is(const struct market *market, const char *symbol)
{
    size_t size = strlen(market->base);
    return strncmp(symbol, market->base, size) == 0 && symbol[size] == '_' &&
           strcmp(symbol + size + 1, market->quote) == 0;
}

static size_t symbol_register(const struct exchange *exchange, struct old_state *state,
                              const char *symbol, enum old_filter filter, uint8_t ticks)
{
    for (size_t i = 0; i < exchange->market_count; i++) {
        if (!market_is(&exchange->markets[i], symbol))
            continue;
        state->filters[i] = (uint8_t)(state->filters[i] | 1u << filter);
        if (filter == OLD_TICKER)
            state->ticks[i] = ticks;
        return 1;
    }
    return 0;
}

/* Registers the filter anew; false when the request has no form that is known. */
static bool request_take(struct venue_connection *connection, const json_t *request)
{
    const struct exchange *exchange = venue_connection_run(connection)->exchange;
    struct old_state *state = venue_connection_own(connection);
    const json_t *symbols = json_object_get(request, "symbols");
    enum old_filter filter;
    if (!filter_of(request, &filter) || json_array_size(symbols) == 0 ||
        json_array_size(symbols) > SYMBOLS_MAX)
        return false;
    uint8_t ticks = filter == OLD_TICKER ? ticks_of(request) : 0;
    if (filter == OLD_TICKER && ticks == 0)
        return false;
    for (size_t i = 0; i < json_array_size(symbols); i++)
        if (!json_is_string(json_array_get(symbols, i)))
            return false;
    for (size_t i = 0; i < exchange->market_count; i++)
        state->filters[i] = (uint8_t)(state->filters[i] & ~(1u << filter));
    for (size_t i = 0; i < json_array_size(symbols); i++)
        symbol_register(exchange, state, json_string_value(json_array_get(symbols, i)), filter,
                        ticks);
    return true;
}

static size_t streams_count(const struct exchange *exchange, const struct old_state *state)
{
    size_t count = 0;
    for (size_t i = 0; i < exchange->market_count; i++)
        for (unsigned filter = 0; filter < OLD_FILTERS; filter++)
            count += (state->filters[i] >> filter & 1) != 0;
    return count;
}

static void on_message(struct venue_connection *connection, struct slice text)
{
    struct venue_run *run = venue_connection_run(connection);
    json_t *request = json_loadb(text.data, text.size, 0, NULL);
    bool good = request_take(connection, request);
    json_decref(request);
    if (!good) {
        venue_bad_request(run);
        venue_connection_answer(connection,
                                SLICE("{\"status\":\"5100\",\"resmsg\":\"Invalid Filter Syntax\"}"),
                                false, 0);
        return;
    }
    venue_connection_streams(connection,
                             streams_count(run->exchange, venue_connection_own(connection)));
    bool late = flow_random_below(&run->random, LATE_ONE_IN) == 0;
    venue_connection_answer(
        connection, SLICE("{\"status\":\"0000\",\"resmsg\":\"Filter Registered Successfully\"}"),
        false, late ? LATE_MS : 0);
}

/* ---- data ---- */

static bool wants(struct venue_connection *connection, const struct market *market,
                  enum old_filter filter)
{
    const struct old_state *state = venue_connection_own(connection);
    return state->filters != NULL && (state->filters[market->index] >> filter & 1) != 0;
}

static void broadcast(struct venue_run *run, const struct market *market, enum old_filter filter,
                      enum channel channel)
{
    for (struct venue_connection *connection = venue_connection_next(run, NULL); connection != NULL;
         connection = venue_connection_next(run, connection))
        if (wants(connection, market, filter))
            venue_connection_send(connection, market, channel, buffer_slice(&run->scratch));
}

static void on_trades(struct venue_run *run, struct market *market, const struct trade *trades,
                      size_t count)
{
    buffer_clear(&run->scratch);
    old_write_trades(market, trades, count, &run->scratch);
    broadcast(run, market, OLD_TRADE, CHANNEL_TRADE);
}

static void depth_send(struct venue_run *run, const struct market *market)
{
    struct old_market *own = market_own(run, market);
    while (own->depth_id < market->flow.update_id) {
        buffer_clear(&run->scratch);
        if (old_write_depth(market, exchange_now_us(run->exchange), &own->depth_id, &run->scratch))
            broadcast(run, market, OLD_DEPTH, CHANNEL_BOOK);
    }
}

static void snapshot_send(struct venue_run *run, const struct market *market)
{
    struct old_market *own = market_own(run, market);
    if (own->snapshot_id == market->flow.update_id)
        return;
    own->snapshot_id = market->flow.update_id;
    buffer_clear(&run->scratch);
    old_write_snapshot(market, exchange_now_us(run->exchange), &run->scratch);
    broadcast(run, market, OLD_SNAPSHOT, CHANNEL_BOOK);
}

static void tickers_send(struct venue_run *run, const struct market *market)
{
    struct old_market *own = market_own(run, market);
    if (own->ticker_count == market->truth.count)
        return;
    own->ticker_count = market->truth.count;
    for (struct venue_connection *connection = venue_connection_next(run, NULL); connection != NULL;
         connection = venue_connection_next(run, connection)) {
        const struct old_state *state = venue_connection_own(connection);
        for (unsigned tick = 0; wants(connection, market, OLD_TICKER) && tick < OLD_TICKS; tick++) {
            if ((state->ticks[market->index] >> tick & 1) == 0)
                continue;
            buffer_clear(&run->scratch);
            old_write_ticker(market, exchange_now_us(run->exchange), tick, &run->scratch);
            venue_connection_send(connection, market, CHANNEL_TICKER, buffer_slice(&run->scratch));
        }
    }
}

/* Whole books about four times a second, changes and tickers once. */
static void on_grid(struct venue_run *run, struct market *market, uint64_t slot)
{
    uint64_t place = slot % SECOND_SLOTS;
    if (place == 0 || place == 2 || place == 5 || place == 7)
        snapshot_send(run, market);
    if (place == DEPTH_SLOT)
        depth_send(run, market);
    if (place == TICKER_SLOT)
        tickers_send(run, market);
}

static void on_start(struct venue_run *run)
{
    for (size_t i = 0; i < run->exchange->market_count; i++) {
        struct old_market *own = market_own(run, &run->exchange->markets[i]);
        own->depth_id = run->exchange->markets[i].flow.update_id;
    }
}

static bool is_stream(struct slice path)
{
    return slice_is(path, "/pub/ws");
}

static void refusal(struct venue_run *run, unsigned status, struct buffer *body)
{
    (void)run;
    buffer_append_format(body, "{\"status\":\"5900\",\"message\":\"%s\"}",
                         status == 503 ? "Service Unavailable" : "Too many requests");
}

static void garbage(struct venue_run *run, struct market *market, unsigned kind, struct buffer *out)
{
    static const char *const texts[GARBAGE_KINDS] = {
        "{\"type\":\"transaction\",\"content\":{\"list\":[{\"symbol\":\"%s_%s\",\"buySellGb\":",
        "{\"type\":\"transaction\",\"content\":{\"list\":[{\"symbol\":\"%s_%s\","
        "\"buySellGb\":\"3\",\"contPrice\":\"x\",\"contQty\":{},\"contAmt\":null,"
        "\"contDtm\":\"yesterday\"}]}}",
        "{\"type\":\"transaction\",\"content\":\"%s_%s\"}",
        "{\"type\":\"orderbooksnapshot\",\"content\":{\"symbol\":\"%s_%s\",\"datetime\":\"1\","
        "\"asks\":[[\"1\",\"1\"]],\"bids\":[[\"2\",\"1\"]]}}",
        "{\"type\":\"orderbooksnapshot\",\"content\":{\"symbol\":\"%s_%s\",\"datetime\":\"1\","
        "\"asks\":[[\"3\",\"1\"],[\"2\",\"1\"]],\"bids\":[[\"1\",\"-1\"]]}}",
        "{\"type\":\"transaction\",\"content\":{\"list\":[{\"symbol\":\"%s_%s\","
        "\"buySellGb\":\"1\",\"contPrice\":\"1234567890123456789012345678901234567890\","
        "\"contQty\":\"1\",\"contAmt\":\"1\",\"contDtm\":\"2026-01-01 00:00:00.000000\"}]}}",
        "{\"type\":\"weather\",\"content\":{\"symbol\":\"%s_%s\",\"rain\":\"0.5\"}}",
        "[\"%s_%s\"]",
    };
    struct slice text = slice_of(texts[kind % GARBAGE_KINDS]);
    (void)run;
    for (size_t i = 0, place = 0; i < text.size; i++) {
        bool name = text.data[i] == '%';
        if (name)
            buffer_append_text(out, place++ == 0 ? market->base : market->quote);
        else
            buffer_append(out, &text.data[i], 1);
        i += name; /* over the s */
    }
}

const struct venue venue_bithumb_old = {
    .exchange = "bithumb",
    .name = "bithumb-1",
    .hosts = hosts,
    .limits = {.connects = 10, .connects_ms = 1000, .request_size = 64 * KIBIBYTE},
    .groups = {{"market", 150, 1000}, /* those of the second generation: one budget, one address */
               {"orderbook", 150, 1000},
               {"ticker", 150, 1000},
               {"trades", 150, 1000},
               {"public", 150, 1000}},
    .deflate = false,
    .market_size = sizeof(struct old_market),
    .connection_size = sizeof(struct old_state),
    .on_start = on_start,
    .is_stream = is_stream,
    .on_open = on_open,
    .on_message = on_message,
    .on_closed = on_closed,
    .on_trades = on_trades,
    .on_grid = on_grid,
    .rest = old_rest,
    .refusal = refusal,
    .garbage_kinds = GARBAGE_KINDS,
    .garbage = garbage,
};
