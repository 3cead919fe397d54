/* SPDX-License-Identifier: Apache-2.0 */
/* Binance spot: its numbers, its markets, and when it tells what. */
#include "sim/venue_binance_priv.h"

#include "base/clock.h"
#include "base/memory.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define LEVELS 1200
#define GAPS 200000 /* of a price: how fine its book is */
#define USD_E8 100000000
#define ORDER_USD 300 /* of a usual order */
#define SLOW_SLOTS 10
#define KLINE_SLOTS 20
#define CHANGES_EARLY (MARKET_CHANGES_MAX / 2)
#define ID_FIRST 100000000
#define ID_SPREAD 4000000000
#define ODD_ORDER 8 /* one trade in so many has its keys in another order */
#define US_PER_S 1000000
#define GARBAGE_KINDS 16 /* bare ones, and the same wrapped */

/* ---- markets ---- */

static void describe(struct market *market, int64_t usd_e8, struct flow_options *ret_flow)
{
    static const struct {
        int64_t from_e8;
        unsigned price_scale, size_scale;
    } rows[] = {{20000 * (int64_t)USD_E8, 2, 5},
                {100 * (int64_t)USD_E8, 2, 4},
                {USD_E8, 4, 2},
                {USD_E8 / 100, 6, 1},
                {0, 8, 0}};
    size_t row = 0;
    while (usd_e8 < rows[row].from_e8)
        row++;
    snprintf(market->quote, sizeof market->quote, "USDT");
    snprintf(market->native, sizeof market->native, "%s%s", market->base, market->quote);
    market->price_scale = rows[row].price_scale;
    market->size_scale = rows[row].size_scale;
    market->value_scale = 8;
    market->tick = 1;
    int64_t price = usd_e8 / write_power(8 - market->price_scale);
    int64_t size =
        write_ratio(ORDER_USD * (int64_t)USD_E8, write_power(market->size_scale), usd_e8);
    ret_flow->price = price;
    ret_flow->size = size < 10 ? 10 : size;
    ret_flow->gap = price / GAPS < 3 ? 0 : price / GAPS;
    ret_flow->levels = price / 4 < LEVELS ? (size_t)price / 4 : LEVELS;
}

static uint64_t trade_id(struct market *market, const struct trade *trade)
{
    return ID_FIRST + slice_hash(slice_of(market->native)) % ID_SPREAD + trade->index;
}

static void on_start(struct venue_run *run)
{
    struct binance_run *own = run->own;
    for (size_t i = 0; i < COUNT_OF(own->payload); i++)
        buffer_init(&own->payload[i], LIMIT_EXCHANGE_MESSAGE);
    buffer_init(&own->wrapped, LIMIT_EXCHANGE_MESSAGE);
    own->changes = memory_array(MARKET_CHANGES_MAX, sizeof own->changes[0]);
    for (size_t i = 0; i < run->exchange->market_count; i++) {
        struct market *market = &run->exchange->markets[i];
        struct binance_market *state = market_own(run, market);
        int64_t now = market->flow.update_id;
        state->told_fast = state->told_slow = state->ticker_update = now;
        state->agg_id = trade_id(market, &(struct trade){0}) / 3;
    }
}

static void on_end(struct venue_run *run)
{
    struct binance_run *own = run->own;
    for (size_t i = 0; i < COUNT_OF(own->payload); i++)
        buffer_release(&own->payload[i]);
    buffer_release(&own->wrapped);
    memory_free(own->changes);
}

/* ---- telling ---- */

static bool wants(const struct binance_stream *stream, const struct binance_event *event)
{
    if (stream->kind != event->kind || stream->parameter != event->parameter ||
        stream->fast != event->fast)
        return false;
    return stream->market == event->market || stream->market == NULL;
}

static void tell_connection(struct venue_connection *connection, const struct binance_event *event,
                            const struct binance_stream *stream)
{
    struct binance_run *own = venue_connection_run(connection)->own;
    struct binance_connection *state = venue_connection_own(connection);
    struct buffer *payload = &own->payload[state->microseconds];
    if (payload->size == 0)
        binance_write(event, state->microseconds, payload);
    struct slice message = buffer_slice(payload);
    if (state->combined) {
        buffer_clear(&own->wrapped);
        buffer_append_format(&own->wrapped, "{\"stream\":\"%s\",\"data\":", stream->name);
        buffer_append_slice(&own->wrapped, message);
        buffer_append_text(&own->wrapped, "}");
        message = buffer_slice(&own->wrapped);
    }
    bool all = event->kind == BINANCE_TICKERS || event->kind == BINANCE_MINI_TICKERS;
    venue_connection_send(connection, all ? NULL : event->market, event->channel, message);
}

static void tell(struct venue_run *run, const struct binance_event *event)
{
    struct binance_run *own = run->own;
    buffer_clear(&own->payload[0]);
    buffer_clear(&own->payload[1]);
    for (struct venue_connection *next = venue_connection_next(run, NULL); next != NULL;
         next = venue_connection_next(run, next)) {
        struct binance_connection *state = venue_connection_own(next);
        for (size_t i = 0; i < state->count; i++)
            if (wants(&state->streams[i], event))
                tell_connection(next, event, &state->streams[i]);
    }
}

/* ---- trades ---- */

static void tell_agg_trades(struct venue_run *run, struct binance_event event,
                            const struct trade *trades, size_t count)
{
    struct binance_market *state = market_own(run, event.market);
    event.kind = BINANCE_AGG_TRADE;
    for (size_t first = 0; first < count; first += event.count) {
        event.trades = trades + first;
        event.count = 1;
        while (first + event.count < count &&
               trades[first + event.count].price == trades[first].price)
            event.count++;
        event.agg_id = ++state->agg_id;
        tell(run, &event);
    }
}

static void klines_add(struct binance_market *state, const struct market *market,
                       const struct trade *trade)
{
    int64_t value = market_value(market, trade->price, trade->size);
    for (size_t i = 0; i < BINANCE_INTERVALS; i++) {
        struct binance_kline *kline = &state->klines[i];
        int64_t length_us = binance_interval_seconds[i] * US_PER_S;
        int64_t open_us = trade->at_us - trade->at_us % length_us;
        if (kline->trades == 0 || open_us > kline->open_us)
            *kline = (struct binance_kline){.open_us = open_us,
                                            .open = trade->price,
                                            .high = trade->price,
                                            .low = trade->price,
                                            .first_id = trade->id};
        kline->high = trade->price > kline->high ? trade->price : kline->high;
        kline->low = trade->price < kline->low ? trade->price : kline->low;
        kline->close = trade->price;
        kline->volume += trade->size;
        kline->value += value;
        kline->bought += trade->buyer_takes ? trade->size : 0;
        kline->bought_value += trade->buyer_takes ? value : 0;
        kline->last_id = trade->id;
        kline->trades++;
        kline->changed = true;
    }
}

static void on_trades(struct venue_run *run, struct market *market, const struct trade *trades,
                      size_t count)
{
    struct binance_event event = {.kind = BINANCE_TRADE,
                                  .channel = CHANNEL_TRADE,
                                  .market = market,
                                  .now_us = exchange_now_us(run->exchange),
                                  .count = 1};
    for (size_t i = 0; i < count; i++) {
        event.trades = &trades[i];
        event.order = flow_random_below(&run->random, ODD_ORDER) == 0;
        klines_add(market_own(run, market), market, &trades[i]);
        tell(run, &event);
    }
    event.order = 0;
    tell_agg_trades(run, event, trades, count);
}

/* ---- books ---- */

static int by_price(const void *left, const void *right)
{
    const struct flow_change *one = left, *other = right;
    if (one->side != other->side)
        return one->side < other->side ? -1 : 1;
    int order = one->price < other->price ? -1 : one->price > other->price;
    return one->side == FLOW_BID ? -order : order;
}

/* Each level that changed since `told`, once, with the size that it has now. */
static size_t changes_collect(struct venue_run *run, const struct market *market, int64_t told)
{
    struct binance_run *own = run->own;
    size_t count = 0, unique = 0;
    for (int64_t id = told + 1; id <= market->flow.update_id; id++) {
        const struct flow_change *change = market_change(market, id);
        if (change != NULL)
            own->changes[count++] = *change;
    }
    qsort(own->changes, count, sizeof own->changes[0], by_price);
    for (size_t i = 0; i < count; i++) {
        struct flow_change change = own->changes[i];
        if (i > 0 && by_price(&change, &own->changes[unique - 1]) == 0)
            continue;
        change.size = flow_size_at(&market->flow, change.side, change.price, NULL);
        own->changes[unique++] = change;
    }
    return unique;
}

static void tell_depth(struct venue_run *run, struct market *market, bool fast, int64_t *told)
{
    struct binance_run *own = run->own;
    if (*told == market->flow.update_id)
        return;
    struct binance_event event = {.kind = BINANCE_DEPTH,
                                  .fast = fast,
                                  .channel = CHANNEL_BOOK,
                                  .market = market,
                                  .now_us = exchange_now_us(run->exchange),
                                  .first_update = *told + 1,
                                  .last_update = market->flow.update_id,
                                  .changes = own->changes};
    event.change_count = changes_collect(run, market, *told);
    tell(run, &event);
    *told = market->flow.update_id;
}

static void tell_partial(struct venue_run *run, struct market *market, bool fast, int64_t *told)
{
    static const unsigned depths[] = {5, 10, 20};
    if (*told == market->flow.update_id)
        return;
    for (size_t i = 0; i < COUNT_OF(depths); i++)
        tell(run, &(struct binance_event){.kind = BINANCE_PARTIAL,
                                          .parameter = depths[i],
                                          .fast = fast,
                                          .channel = CHANNEL_BOOK,
                                          .market = market});
    *told = market->flow.update_id;
}

static void on_change(struct venue_run *run, struct market *market)
{
    struct binance_market *state = market_own(run, market);
    const struct flow_level *bid = market_best(market, FLOW_BID);
    const struct flow_level *ask = market_best(market, FLOW_ASK);
    if (bid->price != state->bid || bid->size != state->bid_size || ask->price != state->ask ||
        ask->size != state->ask_size) {
        state->bid = bid->price;
        state->bid_size = bid->size;
        state->ask = ask->price;
        state->ask_size = ask->size;
        tell(run, &(struct binance_event){
                      .kind = BINANCE_BOOK_TICKER, .channel = CHANNEL_QUOTE, .market = market});
    }
    if (market->flow.update_id - state->told_slow > CHANGES_EARLY)
        tell_depth(run, market, false, &state->told_slow);
}

/* ---- on the grid ---- */

static void tell_tickers(struct venue_run *run, struct market *market)
{
    struct binance_market *state = market_own(run, market);
    state->told_array = state->ticker_count != market->truth.count;
    if (!state->told_array && state->ticker_update == market->flow.update_id)
        return;
    struct binance_event event = {.kind = BINANCE_TICKER,
                                  .channel = CHANNEL_TICKER,
                                  .market = market,
                                  .now_us = exchange_now_us(run->exchange)};
    tell(run, &event);
    event.kind = BINANCE_MINI_TICKER;
    tell(run, &event);
    state->ticker_count = market->truth.count;
    state->ticker_update = market->flow.update_id;
}

static void tell_kline(struct venue_run *run, struct market *market, unsigned interval,
                       bool on_time)
{
    struct binance_market *state = market_own(run, market);
    struct binance_kline *kline = &state->klines[interval];
    int64_t now_us = exchange_now_us(run->exchange);
    bool closed = now_us >= kline->open_us + binance_interval_seconds[interval] * US_PER_S;
    if (!kline->changed || (!on_time && !closed))
        return;
    tell(run, &(struct binance_event){.kind = BINANCE_KLINE,
                                      .parameter = interval,
                                      .channel = CHANNEL_OTHER,
                                      .market = market,
                                      .now_us = now_us,
                                      .kline = kline,
                                      .closed = closed});
    kline->changed = false;
}

static void on_grid(struct venue_run *run, struct market *market, uint64_t slot)
{
    struct binance_market *state = market_own(run, market);
    bool slow = slot % SLOW_SLOTS == market->index % SLOW_SLOTS;
    tell_depth(run, market, true, &state->told_fast);
    tell_partial(run, market, true, &state->partial_fast);
    if (slow) {
        tell_depth(run, market, false, &state->told_slow);
        tell_partial(run, market, false, &state->partial_slow);
        tell_tickers(run, market);
    }
    for (unsigned i = 0; i < BINANCE_INTERVALS; i++)
        tell_kline(run, market, i,
                   i == 0 ? slow : slot % KLINE_SLOTS == market->index % KLINE_SLOTS);
}

static void on_turn(struct venue_run *run, uint64_t slot)
{
    struct binance_event event = {.kind = BINANCE_TICKERS,
                                  .channel = CHANNEL_TICKER,
                                  .market = &run->exchange->markets[0],
                                  .now_us = exchange_now_us(run->exchange)};
    if (slot % SLOW_SLOTS != 0)
        return;
    tell(run, &event);
    event.kind = BINANCE_MINI_TICKERS;
    tell(run, &event);
}

static void leaving(struct venue_run *run)
{
    for (struct venue_connection *next = venue_connection_next(run, NULL); next != NULL;
         next = venue_connection_next(run, next)) {
        struct binance_connection *state = venue_connection_own(next);
        struct buffer *out = &run->scratch;
        buffer_clear(out);
        if (state->combined)
            buffer_append_text(out, "{\"stream\":\"!serverShutdown\",\"data\":");
        buffer_append_text(out, "{\"e\":\"serverShutdown\",\"E\":");
        binance_time(out, exchange_now_us(run->exchange), state->microseconds);
        buffer_append_text(out, state->combined ? "}}" : "}");
        venue_connection_answer(next, buffer_slice(out), false, 0);
    }
}

/* ---- garbage ---- */

/* Puts the message into the stream that it could be of: {"stream":"btcusdt@trade","data": */
static void wrapping(const struct market *market, const char *stream, struct buffer *out)
{
    buffer_append_text(out, "{\"stream\":\"");
    for (const char *at = market->native; *at != '\0'; at++) {
        char letter = *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at;
        buffer_append(out, &letter, 1);
    }
    buffer_append_format(out, "@%s\",\"data\":", stream);
}

static void garbage(struct venue_run *run, struct market *market, unsigned kind, struct buffer *out)
{
    static const char *const patterns[GARBAGE_KINDS / 2] = {
        /* a price of 40 digits */
        "{\"e\":\"trade\",\"E\":1,\"s\":\"%s\",\"t\":1,\"p\":"
        "\"1234567890123456789012345678901234567890\","
        "\"q\":\"1\",\"T\":1,\"m\":true,\"M\":true}",
        /* wrong types */
        "{\"e\":\"trade\",\"E\":\"x\",\"s\":\"%s\",\"t\":[],\"p\":{},\"q\":null,\"T\":true,\"m\":"
        "5}",
        /* negative */
        "{\"e\":\"trade\",\"E\":1,\"s\":\"%s\",\"t\":-1,\"p\":\"-1.0\",\"q\":\"-2\",\"T\":-1,\"m\":"
        "true,"
        "\"M\":true}",
        /* cut in the middle */
        "{\"e\":\"depthUpdate\",\"E\":1,\"s\":\"%s\",\"U\":1,\"u\":2,\"b\":[[\"1.0",
        /* ids that run backwards, levels of the wrong shape */
        "{\"e\":\"depthUpdate\",\"E\":1,\"s\":\"%s\",\"U\":9,\"u\":2,\"b\":[[\"1.0\"]],\"a\":{}}",
        /* negative sizes */
        "{\"e\":\"depthUpdate\",\"E\":1,\"s\":\"%s\",\"U\":1,\"u\":2,\"b\":[[\"1.0\",\"-1.0\"]],"
        "\"a\":"
        "[]}",
        /* an instrument that nobody asked for, of another market */
        "{\"u\":1,\"s\":\"%sX\",\"b\":\"2\",\"B\":\"1\",\"a\":\"1\",\"A\":\"1\"}",
        /* twice the same key, and one that is new */
        "{\"e\":\"24hrTicker\",\"e\":\"trade\",\"E\":1,\"s\":\"%s\",\"zz\":{\"deep\":[1,2,{\"x\":[]"
        "}]}}",
    };
    static const char *const streams[GARBAGE_KINDS / 2] = {
        "trade",       "trade",       "trade",      "depth@100ms",
        "depth@100ms", "depth@100ms", "bookTicker", "trade"};
    (void)run;
    assert(kind < GARBAGE_KINDS);
    unsigned pattern = kind % COUNT_OF(patterns);
    bool wrapped = kind >= COUNT_OF(patterns);
    const char *at = strstr(patterns[pattern], "%s");
    assert(at != NULL);
    if (wrapped)
        wrapping(market, streams[pattern], out);
    buffer_append(out, patterns[pattern], (size_t)(at - patterns[pattern]));
    buffer_append_text(out, market->native);
    buffer_append_text(out, at + 2);
    if (wrapped)
        buffer_append_text(out, "}");
}

static const char *const hosts[] = {"stream.binance.com", "data-stream.binance.vision",
                                    "api.binance.com", "data-api.binance.vision", NULL};

const struct venue venue_binance = {
    .exchange = "binance",
    .name = "binance",
    .hosts = hosts,
    .limits = {.connects = 300,
               .connects_ms = 300000,
               .messages = 5,
               .messages_ms = 1000,
               .streams = 1024,
               .request_size = 4096,
               .ping_ms = 20000,
               .pong_ms = 60000,
               .lifetime_ms = 86400000,
               .pings_count = true},
    .groups = {{.name = "weight", .limit = 6000, .window_ms = 60000}},
    .run_size = sizeof(struct binance_run),
    .market_size = sizeof(struct binance_market),
    .connection_size = sizeof(struct binance_connection),
    .describe = describe,
    .on_start = on_start,
    .on_end = on_end,
    .trade_id = trade_id,
    .is_stream = binance_is_stream,
    .on_open = binance_on_open,
    .on_message = binance_on_message,
    .on_closed = binance_on_closed,
    .on_trades = on_trades,
    .on_change = on_change,
    .on_grid = on_grid,
    .on_turn = on_turn,
    .rest = binance_rest,
    .refusal = binance_refusal,
    .garbage_kinds = GARBAGE_KINDS,
    .garbage = garbage,
    .leaving = leaving,
};
