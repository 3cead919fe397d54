/* SPDX-License-Identifier: Apache-2.0 */
/* The payloads of Binance's streams: prices and sizes are texts with 8 decimals, times numbers. */
#include "sim/venue_binance_priv.h"

#include <assert.h>

#define US_PER_MS 1000
#define DAY_US 86400000000
#define PERCENT_SCALE 3

const char *const binance_intervals[BINANCE_INTERVALS] = {
    "1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d"};
const int64_t binance_interval_seconds[BINANCE_INTERVALS] = {
    1, 60, 180, 300, 900, 1800, 3600, 7200, 14400, 21600, 28800, 43200, 86400};

void binance_time(struct buffer *out, int64_t us, bool micro)
{
    write_integer(out, micro ? us : us / US_PER_MS);
}

void binance_price(struct buffer *out, const struct market *market, int64_t ticks)
{
    buffer_append_text(out, "\"");
    write_fixed(out, market_price(market, ticks), market->price_scale, BINANCE_DECIMALS);
    buffer_append_text(out, "\"");
}

void binance_size(struct buffer *out, const struct market *market, int64_t steps)
{
    buffer_append_text(out, "\"");
    write_fixed(out, steps, market->size_scale, BINANCE_DECIMALS);
    buffer_append_text(out, "\"");
}

static void value(struct buffer *out, const struct market *market, int64_t amount)
{
    buffer_append_text(out, "\"");
    write_fixed(out, amount, market->value_scale, BINANCE_DECIMALS);
    buffer_append_text(out, "\"");
}

static void key(struct buffer *out, const char *name)
{
    buffer_append_format(out, ",\"%s\":", name);
}

static void key_price(struct buffer *out, const char *name, const struct market *market,
                      int64_t ticks)
{
    key(out, name);
    binance_price(out, market, ticks);
}

static void key_size(struct buffer *out, const char *name, const struct market *market,
                     int64_t steps)
{
    key(out, name);
    binance_size(out, market, steps);
}

static void key_time(struct buffer *out, const char *name, int64_t us, bool micro)
{
    key(out, name);
    binance_time(out, us, micro);
}

static void key_id(struct buffer *out, const char *name, uint64_t id)
{
    key(out, name);
    write_unsigned(out, id);
}

static void head(const struct binance_event *event, const char *name, bool micro,
                 struct buffer *out)
{
    buffer_append_format(out, "{\"e\":\"%s\"", name);
    key_time(out, "E", event->now_us, micro);
    buffer_append_format(out, ",\"s\":\"%s\"", event->market->native);
}

/* The aggressor sold when the buyer was the maker. */
static void maker(struct buffer *out, const struct trade *trade)
{
    buffer_append_text(out,
                       trade->buyer_takes ? ",\"m\":false,\"M\":true" : ",\"m\":true,\"M\":true");
}

static void write_trade(const struct binance_event *event, bool micro, struct buffer *out)
{
    const struct trade *trade = event->trades;
    head(event, "trade", micro, out);
    if (event->order % 2 == 1)
        maker(out, trade);
    key_id(out, "t", trade->id);
    key_price(out, "p", event->market, trade->price);
    key_size(out, "q", event->market, trade->size);
    key_time(out, "T", trade->at_us, micro);
    if (event->order % 2 == 0)
        maker(out, trade);
    buffer_append_text(out, "}");
}

static void write_agg_trade(const struct binance_event *event, bool micro, struct buffer *out)
{
    int64_t size = 0;
    for (size_t i = 0; i < event->count; i++)
        size += event->trades[i].size;
    head(event, "aggTrade", micro, out);
    key_id(out, "a", event->agg_id);
    key_price(out, "p", event->market, event->trades[0].price);
    key_size(out, "q", event->market, size);
    key_id(out, "f", event->trades[0].id);
    key_id(out, "l", event->trades[event->count - 1].id);
    key_time(out, "T", event->trades[0].at_us, micro);
    maker(out, event->trades);
    buffer_append_text(out, "}");
}

/* No type and no time: known by the stream's name alone. */
static void write_book_ticker(const struct binance_event *event, struct buffer *out)
{
    const struct market *market = event->market;
    const struct flow_level *bid = market_best(market, FLOW_BID);
    const struct flow_level *ask = market_best(market, FLOW_ASK);
    buffer_append_format(out, "{\"u\":%lld,\"s\":\"%s\"", (long long)market->flow.update_id,
                         market->native);
    key_price(out, "b", market, bid->price);
    key_size(out, "B", market, bid->size);
    key_price(out, "a", market, ask->price);
    key_size(out, "A", market, ask->size);
    buffer_append_text(out, "}");
}

static void changes(const struct binance_event *event, enum flow_side side, struct buffer *out)
{
    bool first = true;
    buffer_append_text(out, "[");
    for (size_t i = 0; i < event->change_count; i++) {
        const struct flow_change *change = &event->changes[i];
        if (change->side != side)
            continue;
        buffer_append_text(out, first ? "[" : ",[");
        first = false;
        binance_price(out, event->market, change->price);
        buffer_append_text(out, ",");
        binance_size(out, event->market, change->size);
        buffer_append_text(out, "]");
    }
    buffer_append_text(out, "]");
}

static void write_depth(const struct binance_event *event, bool micro, struct buffer *out)
{
    head(event, "depthUpdate", micro, out);
    key_id(out, "U", (uint64_t)event->first_update);
    key_id(out, "u", (uint64_t)event->last_update);
    key(out, "b");
    changes(event, FLOW_BID, out);
    key(out, "a");
    changes(event, FLOW_ASK, out);
    buffer_append_text(out, "}");
}

void binance_levels(struct buffer *out, const struct market *market, enum flow_side side,
                    size_t most)
{
    const struct flow_levels *levels = &market->flow.sides[side];
    buffer_append_text(out, "[");
    for (size_t i = 0; i < levels->count && i < most; i++) {
        buffer_append_text(out, i == 0 ? "[" : ",[");
        binance_price(out, market, levels->items[i].price);
        buffer_append_text(out, ",");
        binance_size(out, market, levels->items[i].size);
        buffer_append_text(out, "]");
    }
    buffer_append_text(out, "]");
}

static void write_partial(const struct binance_event *event, struct buffer *out)
{
    buffer_append_format(
        out, "{\"lastUpdateId\":%lld,\"bids\":", (long long)event->market->flow.update_id);
    binance_levels(out, event->market, FLOW_BID, event->parameter);
    key(out, "asks");
    binance_levels(out, event->market, FLOW_ASK, event->parameter);
    buffer_append_text(out, "}");
}

static void write_kline(const struct binance_event *event, bool micro, struct buffer *out)
{
    const struct binance_kline *kline = event->kline;
    const struct market *market = event->market;
    int64_t length_us = binance_interval_seconds[event->parameter] * 1000000;
    head(event, "kline", micro, out);
    buffer_append_text(out, ",\"k\":{\"t\":");
    binance_time(out, kline->open_us, micro);
    key_time(out, "T", kline->open_us + length_us - (micro ? 1 : US_PER_MS), micro);
    buffer_append_format(out, ",\"s\":\"%s\",\"i\":\"%s\"", market->native,
                         binance_intervals[event->parameter]);
    key_id(out, "f", kline->first_id);
    key_id(out, "L", kline->last_id);
    key_price(out, "o", market, kline->open);
    key_price(out, "c", market, kline->close);
    key_price(out, "h", market, kline->high);
    key_price(out, "l", market, kline->low);
    key_size(out, "v", market, kline->volume);
    key_id(out, "n", kline->trades);
    buffer_append_format(out, ",\"x\":%s", event->closed ? "true" : "false");
    key(out, "q");
    value(out, market, kline->value);
    key_size(out, "V", market, kline->bought);
    key(out, "Q");
    value(out, market, kline->bought_value);
    buffer_append_text(out, ",\"B\":\"0\"}}");
}

int64_t binance_average_e8(const struct market *market)
{
    const struct truth *truth = &market->truth;
    int64_t volume = truth->bought + truth->sold;
    if (volume == 0)
        return write_ratio(market_price(market, truth->last),
                           write_power(BINANCE_DECIMALS - market->price_scale), 1);
    return write_ratio(truth->value, write_power(market->size_scale), volume);
}

static void signed_text(struct buffer *out, int64_t number, unsigned scale, unsigned decimals)
{
    buffer_append_text(out, "\"");
    write_fixed(out, number, scale, decimals);
    buffer_append_text(out, "\"");
}

static void write_ticker_rest(const struct market *market, bool micro, int64_t now_us,
                              struct buffer *out)
{
    const struct truth *truth = &market->truth;
    const struct flow_level *bid = market_best(market, FLOW_BID);
    const struct flow_level *ask = market_best(market, FLOW_ASK);
    int64_t change = market_price(market, truth->last - truth->open);
    key(out, "p");
    signed_text(out, change, market->price_scale, BINANCE_DECIMALS);
    key(out, "P");
    signed_text(out, write_ratio(truth->last - truth->open, 100000, truth->open), PERCENT_SCALE,
                PERCENT_SCALE);
    key(out, "w");
    signed_text(out, binance_average_e8(market), BINANCE_DECIMALS, BINANCE_DECIMALS);
    key_price(out, "x", market, truth->open);
    key_price(out, "c", market, truth->last);
    key_size(out, "Q", market, truth->last_size);
    key_price(out, "b", market, bid->price);
    key_size(out, "B", market, bid->size);
    key_price(out, "a", market, ask->price);
    key_size(out, "A", market, ask->size);
    key_time(out, "O", now_us - DAY_US, micro);
    key_time(out, "C", now_us, micro);
    key_id(out, "F", truth->first_id);
    key_id(out, "L", truth->count == 0 ? 0 : truth->first_id + truth->count - 1);
    key_id(out, "n", truth->count);
}

void binance_write_ticker(const struct market *market, int64_t now_us, bool mini, bool micro,
                          struct buffer *out)
{
    const struct truth *truth = &market->truth;
    struct binance_event event = {.market = market, .now_us = now_us};
    head(&event, mini ? "24hrMiniTicker" : "24hrTicker", micro, out);
    if (mini)
        key_price(out, "c", market, truth->last);
    else
        write_ticker_rest(market, micro, now_us, out);
    key_price(out, "o", market, truth->open);
    key_price(out, "h", market, truth->high);
    key_price(out, "l", market, truth->low);
    key_size(out, "v", market, truth->bought + truth->sold);
    key(out, "q");
    value(out, market, truth->value);
    buffer_append_text(out, "}");
}

/* The markets that changed in this second. */
static void write_tickers(const struct binance_event *event, bool micro, struct buffer *out)
{
    const struct exchange *exchange = event->market->exchange;
    bool first = true;
    buffer_append_text(out, "[");
    for (size_t i = 0; i < exchange->market_count; i++) {
        const struct binance_market *own = exchange->markets[i].own[0];
        if (!own->told_array)
            continue;
        buffer_append_text(out, first ? "" : ",");
        first = false;
        binance_write_ticker(&exchange->markets[i], event->now_us,
                             event->kind == BINANCE_MINI_TICKERS, micro, out);
    }
    buffer_append_text(out, "]");
}

void binance_write(const struct binance_event *event, bool micro, struct buffer *out)
{
    switch (event->kind) {
    case BINANCE_TRADE:
        write_trade(event, micro, out);
        break;
    case BINANCE_AGG_TRADE:
        write_agg_trade(event, micro, out);
        break;
    case BINANCE_TICKER:
    case BINANCE_MINI_TICKER:
        binance_write_ticker(event->market, event->now_us, event->kind == BINANCE_MINI_TICKER,
                             micro, out);
        break;
    case BINANCE_BOOK_TICKER:
        write_book_ticker(event, out);
        break;
    case BINANCE_DEPTH:
        write_depth(event, micro, out);
        break;
    case BINANCE_PARTIAL:
        write_partial(event, out);
        break;
    case BINANCE_KLINE:
        write_kline(event, micro, out);
        break;
    case BINANCE_TICKERS:
    case BINANCE_MINI_TICKERS:
        write_tickers(event, micro, out);
        break;
    case BINANCE_SILENT:
        break;
    }
}
