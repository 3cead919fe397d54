/* SPDX-License-Identifier: Apache-2.0 */
/* REST of Bithumb's first generation: /public/... */
#include "sim/bithumb_old.h"
#include "sim/write.h"

#include <string.h>

#define BOOK_LEVELS 30
#define BOOK_LEVELS_ALL 5 /* of each, when all are asked for */
#define HISTORY_COUNT 20
#define HISTORY_COUNT_MAX 100
#define US_PER_MS 1000
#define GROUP_PUBLIC 4 /* in the venue's row */

typedef void entry_fn(const struct market *market, int64_t now_us, size_t count,
                      struct buffer *out);

static void quoted(const char *name, int64_t value, unsigned scale, struct buffer *out)
{
    buffer_append_format(out, "\"%s\":\"", name);
    write_plain(out, value, scale);
    buffer_append_text(out, "\"");
}

static void price_field(const struct market *market, const char *name, int64_t ticks,
                        struct buffer *out)
{
    quoted(name, market_price(market, ticks), market->price_scale, out);
}

static void ticker_write(const struct market *market, int64_t now_us, size_t count,
                         struct buffer *out)
{
    const struct truth *truth = &market->truth;
    int64_t change = truth->last - truth->open;
    int64_t volume = truth->bought + truth->sold;
    (void)now_us;
    (void)count;
    buffer_append_text(out, "{");
    price_field(market, "opening_price", truth->open, out);
    buffer_append_text(out, ",");
    price_field(market, "closing_price", truth->last, out);
    buffer_append_text(out, ",");
    price_field(market, "min_price", truth->low, out);
    buffer_append_text(out, ",");
    price_field(market, "max_price", truth->high, out);
    buffer_append_text(out, ",");
    quoted("units_traded", volume, market->size_scale, out);
    buffer_append_text(out, ",");
    quoted("acc_trade_value", truth->value, market->value_scale, out);
    buffer_append_text(out, ",");
    price_field(market, "prev_closing_price", truth->open, out);
    buffer_append_text(out, ",");
    quoted("units_traded_24H", volume, market->size_scale, out);
    buffer_append_text(out, ",");
    quoted("acc_trade_value_24H", truth->value, market->value_scale, out);
    buffer_append_text(out, ",");
    price_field(market, "fluctate_24H", change, out);
    buffer_append_text(out, ",");
    quoted("fluctate_rate_24H", truth->open == 0 ? 0 : write_ratio(change, 10000, truth->open), 2,
           out);
}

static void side_write(const struct market *market, enum flow_side side, size_t count,
                       struct buffer *out)
{
    const struct flow_levels *levels = &market->flow.sides[side];
    buffer_append_text(out, side == FLOW_BID ? "\"bids\":[" : "\"asks\":[");
    for (size_t i = 0; i < levels->count && i < count; i++) {
        buffer_append_text(out, i == 0 ? "{" : ",{");
        price_field(market, "price", levels->items[i].price, out);
        buffer_append_text(out, ",");
        quoted("quantity", levels->items[i].size, market->size_scale, out);
        buffer_append_text(out, "}");
    }
    buffer_append_text(out, "]");
}

static void book_write(const struct market *market, int64_t now_us, size_t count,
                       struct buffer *out)
{
    (void)now_us;
    buffer_append_format(out, "{\"order_currency\":\"%s\",\"payment_currency\":\"%s\",",
                         market->base, market->quote);
    side_write(market, FLOW_BID, count, out);
    buffer_append_text(out, ",");
    side_write(market, FLOW_ASK, count, out);
}

static void history_write(const struct market *market, size_t count, struct buffer *out)
{
    uint64_t last = market->truth.count;
    uint64_t first = last > count ? last - count + 1 : 1;
    buffer_append_text(out, "[");
    for (uint64_t index = first; index <= last; index++) {
        const struct trade *trade = truth_trade(&market->truth, index);
        if (trade == NULL)
            continue;
        struct civil civil = civil_from_us(trade->at_us + OLD_KOREA_US);
        buffer_append_text(out, index == first ? "{" : ",{");
        buffer_append_text(out, "\"transaction_date\":\"");
        write_date(out, &civil, "Y-M-D h:m:s");
        buffer_append_format(out, "\",\"type\":\"%s\",", trade->buyer_takes ? "bid" : "ask");
        quoted("units_traded", trade->size, market->size_scale, out);
        buffer_append_text(out, ",");
        price_field(market, "price", trade->price, out);
        buffer_append_text(out, ",");
        quoted("total", market_value(market, trade->price, trade->size), market->value_scale, out);
        buffer_append_text(out, "}");
    }
    buffer_append_text(out, "]");
}

static void failed(struct venue_run *run, struct rest_answer *answer)
{
    buffer_clear(answer->body);
    buffer_append_text(answer->body, "{\"status\":\"5500\",\"message\":\"Invalid Parameter\"}");
    venue_bad_request(run);
}

/* "BTC_KRW"; NULL: there is none. */
static const struct market *market_of(const struct exchange *exchange, struct slice symbol)
{
    struct slice quote;
    struct slice base = slice_split(symbol, '_', &quote);
    for (size_t i = 0; i < exchange->market_count; i++)
        if (slice_is(base, exchange->markets[i].base) &&
            slice_is(quote, exchange->markets[i].quote))
            return &exchange->markets[i];
    return NULL;
}

/* All markets of a quote, in one object by their bases. */
static void all_write(struct venue_run *run, struct slice quote, entry_fn *write,
                      struct rest_answer *answer)
{
    int64_t now_us = exchange_now_us(run->exchange);
    size_t found = 0;
    buffer_append_text(answer->body, "{\"status\":\"0000\",\"data\":{");
    for (size_t i = 0; i < run->exchange->market_count; i++) {
        const struct market *market = &run->exchange->markets[i];
        if (!slice_is(quote, market->quote))
            continue;
        buffer_append_format(answer->body, "\"%s\":", market->base);
        write(market, now_us, BOOK_LEVELS_ALL, answer->body);
        buffer_append_text(answer->body, "},");
        found++;
    }
    quoted(write == book_write ? "timestamp" : "date", now_us / US_PER_MS, 0, answer->body);
    buffer_append_text(answer->body, "}}");
    if (found == 0)
        failed(run, answer);
}

static void one_write(struct venue_run *run, const struct market *market, entry_fn *write,
                      size_t count, struct rest_answer *answer)
{
    int64_t now_us = exchange_now_us(run->exchange);
    buffer_append_text(answer->body, "{\"status\":\"0000\",\"data\":");
    write(market, now_us, count, answer->body);
    buffer_append_text(answer->body, ",");
    quoted(write == book_write ? "timestamp" : "date", now_us / US_PER_MS, 0, answer->body);
    buffer_append_text(answer->body, "}}");
}

static size_t count_of(const struct rest_request *request, size_t usual, size_t max)
{
    char text[16];
    bool present = false;
    uint64_t count = 0;
    if (!http_query_find(request->query, "count", text, sizeof text, &present) ||
        !slice_to_uint64(slice_of(text), UINT32_MAX, &count) || count == 0)
        return usual;
    return count < max ? (size_t)count : max;
}

static void symbol_answer(struct venue_run *run, struct slice symbol, entry_fn *write, size_t count,
                          struct rest_answer *answer)
{
    struct slice all = SLICE("ALL_");
    if (slice_is(symbol, "ALL"))
        symbol = SLICE("ALL_KRW");
    const struct market *market = market_of(run->exchange, symbol);
    if (slice_starts_with(symbol, all))
        all_write(run,
                  (struct slice){.data = symbol.data + all.size, .size = symbol.size - all.size},
                  write, answer);
    else if (market == NULL)
        failed(run, answer);
    else
        one_write(run, market, write, count, answer);
}

static void history_answer(struct venue_run *run, const struct rest_request *request,
                           struct slice symbol, struct rest_answer *answer)
{
    const struct market *market = market_of(run->exchange, symbol);
    if (market == NULL) {
        failed(run, answer);
        return;
    }
    buffer_append_text(answer->body, "{\"status\":\"0000\",\"data\":");
    history_write(market, count_of(request, HISTORY_COUNT, HISTORY_COUNT_MAX), answer->body);
    buffer_append_text(answer->body, "}");
}

static struct slice behind(struct slice path, struct slice prefix)
{
    if (!slice_starts_with(path, prefix))
        return (struct slice){0};
    return (struct slice){.data = path.data + prefix.size, .size = path.size - prefix.size};
}

bool old_rest(struct venue_run *run, const struct rest_request *request, struct rest_answer *answer)
{
    struct slice ticker = behind(request->path, SLICE("/public/ticker/"));
    struct slice book = behind(request->path, SLICE("/public/orderbook/"));
    struct slice history = behind(request->path, SLICE("/public/transaction_history/"));
    if (ticker.size == 0 && book.size == 0 && history.size == 0)
        return false;
    if (venue_take(run, &request->address, GROUP_PUBLIC, 1, NULL, NULL) != TAKEN) {
        answer->status = 429;
        buffer_append_text(answer->body, "{\"status\":\"5900\",\"message\":\"Too many requests\"}");
        return true;
    }
    if (ticker.size > 0)
        symbol_answer(run, ticker, ticker_write, 0, answer);
    else if (book.size > 0)
        symbol_answer(run, book, book_write, count_of(request, BOOK_LEVELS, BOOK_LEVELS), answer);
    else
        history_answer(run, request, history, answer);
    return true;
}
