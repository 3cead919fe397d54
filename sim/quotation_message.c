/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the quotation venues, field by field. */
#include "sim/quotation_message_priv.h"
#include "sim/write.h"

#include <string.h>

#define US_PER_MS 1000
#define RATE_SCALE 10
#define RATE_ONE INT64_C(10000000000)

static bool is_simple(const struct quotation_view *view)
{
    return view->format == QUOTATION_SIMPLE || view->format == QUOTATION_SIMPLE_LIST;
}

/* ---- numbers ---- */

/* 6.0E-8, and now and then 6E-8. */
static void java_write(const struct quotation_view *view, int64_t value, unsigned scale,
                       struct buffer *out)
{
    size_t start = out->size;
    write_java(out, value, scale);
    const char *point = out->overflowed ? NULL : strstr(out->data + start, ".0E");
    if (view->spelling % 8 < 4 || point == NULL)
        return;
    size_t place = (size_t)(point - out->data);
    memmove(out->data + place, point + 2, out->size - place - 2);
    out->size -= 2;
    out->data[out->size] = '\0';
}

/* As Upbit spells them: prices in full where names are short, else often with an exponent; sizes
 * with eight decimals, or an exponent. All are the same number. */
void quotation_number(const struct quotation_view *view, int64_t value, unsigned scale, bool price,
                      struct buffer *out)
{
    if (!view->style->spellings || view->rest) {
        write_plain(out, value, scale);
        return;
    }
    if (is_simple(view)) {
        bool small = !price && value > 0 && scale >= 3 && value < write_power(scale - 3);
        if (small)
            java_write(view, value, scale, out);
        else
            write_plain(out, value, scale);
        return;
    }
    switch (view->spelling % 4) {
    case 0:
        java_write(view, value, scale, out);
        break;
    case 1:
        write_fixed(out, value, scale, scale > 8 ? scale : 8);
        break;
    case 2:
        write_pointed(out, value, scale);
        break;
    case 3:
        if (price)
            java_write(view, value, scale, out);
        else
            write_plain(out, value, scale);
        break;
    }
}

void quotation_price(const struct quotation_view *view, int64_t ticks, struct buffer *out)
{
    quotation_number(view, market_price(view->market, ticks), view->market->price_scale, true, out);
}

void quotation_size(const struct quotation_view *view, int64_t steps, struct buffer *out)
{
    quotation_number(view, steps, view->market->size_scale, false, out);
}

static void date_write(const struct quotation_view *view, int64_t at_us, const char *pattern,
                       struct buffer *out)
{
    struct civil civil = civil_from_us(at_us + view->style->zone_us);
    buffer_append_text(out, "\"");
    write_date(out, &civil, pattern);
    buffer_append_text(out, "\"");
}

/* ---- what several messages have ---- */

void quotation_code(const struct quotation_view *view, struct buffer *out)
{
    write_text(out, slice_of(view->market->native));
}

void quotation_stream_type(const struct quotation_view *view, struct buffer *out)
{
    buffer_append_text(out, view->snapshot ? "\"SNAPSHOT\"" : "\"REALTIME\"");
}

static void write_now_ms(const struct quotation_view *view, struct buffer *out)
{
    int64_t ahead_us = view->rest ? view->style->rest_ahead_us : 0;
    write_integer(out, (view->now_us + ahead_us) / US_PER_MS);
}

static int64_t change_of(const struct quotation_view *view, int64_t price)
{
    return price - view->market->truth.open;
}

static int64_t shown_price(const struct quotation_view *view)
{
    return view->trade != NULL ? view->trade->price : view->market->truth.last;
}

static void write_last(const struct quotation_view *view, struct buffer *out)
{
    quotation_price(view, shown_price(view), out);
}

static void write_open(const struct quotation_view *view, struct buffer *out)
{
    quotation_price(view, view->market->truth.open, out);
}

static void write_change(const struct quotation_view *view, struct buffer *out)
{
    int64_t change = change_of(view, shown_price(view));
    buffer_append_text(out, change > 0 ? "\"RISE\"" : change < 0 ? "\"FALL\"" : "\"EVEN\"");
}

static void write_signed_change(const struct quotation_view *view, struct buffer *out)
{
    quotation_price(view, change_of(view, shown_price(view)), out);
}

static void write_change_price(const struct quotation_view *view, struct buffer *out)
{
    int64_t change = change_of(view, shown_price(view));
    quotation_price(view, change < 0 ? -change : change, out);
}

static int64_t rate_of(const struct quotation_view *view)
{
    int64_t open = view->market->truth.open;
    return open == 0 ? 0 : write_ratio(change_of(view, shown_price(view)), RATE_ONE, open);
}

static void write_signed_rate(const struct quotation_view *view, struct buffer *out)
{
    quotation_number(view, rate_of(view), RATE_SCALE, true, out);
}

static void write_rate(const struct quotation_view *view, struct buffer *out)
{
    int64_t rate = rate_of(view);
    quotation_number(view, rate < 0 ? -rate : rate, RATE_SCALE, true, out);
}

/* ---- trades ---- */

static void write_trade_type(const struct quotation_view *view, struct buffer *out)
{
    (void)view;
    buffer_append_text(out, "\"trade\"");
}

static void write_trade_size(const struct quotation_view *view, struct buffer *out)
{
    quotation_size(view, view->trade->size, out);
}

static void write_side(const struct quotation_view *view, struct buffer *out)
{
    buffer_append_text(out, view->trade->buyer_takes ? "\"BID\"" : "\"ASK\"");
}

static void write_trade_date_utc(const struct quotation_view *view, struct buffer *out)
{
    date_write(view, view->trade->at_us - view->style->zone_us, "Y-M-D", out);
}

static void write_trade_time_utc(const struct quotation_view *view, struct buffer *out)
{
    date_write(view, view->trade->at_us - view->style->zone_us, "h:m:s", out);
}

static void write_trade_date(const struct quotation_view *view, struct buffer *out)
{
    date_write(view, view->trade->at_us, "Y-M-D", out);
}

static void write_trade_time(const struct quotation_view *view, struct buffer *out)
{
    date_write(view, view->trade->at_us, "h:m:s", out);
}

static void write_trade_ms(const struct quotation_view *view, struct buffer *out)
{
    write_integer(out, view->trade->at_us / US_PER_MS);
}

static void write_trade_id(const struct quotation_view *view, struct buffer *out)
{
    write_unsigned(out, view->rest ? view->rest_id : view->trade->id);
}

static void best_write(const struct quotation_view *view, enum flow_side side, bool size,
                       struct buffer *out)
{
    const struct flow_level *level = market_best(view->market, side);
    if (level == NULL)
        buffer_append_text(out, "0.0");
    else if (size)
        quotation_size(view, level->size, out);
    else
        quotation_price(view, level->price, out);
}

static void write_best_ask(const struct quotation_view *view, struct buffer *out)
{
    best_write(view, FLOW_ASK, false, out);
}

static void write_best_ask_size(const struct quotation_view *view, struct buffer *out)
{
    best_write(view, FLOW_ASK, true, out);
}

static void write_best_bid(const struct quotation_view *view, struct buffer *out)
{
    best_write(view, FLOW_BID, false, out);
}

static void write_best_bid_size(const struct quotation_view *view, struct buffer *out)
{
    best_write(view, FLOW_BID, true, out);
}

/* ---- tickers ---- */

static const struct trade *last_trade(const struct quotation_view *view)
{
    return truth_trade(&view->market->truth, view->market->truth.count);
}

static void write_ticker_type(const struct quotation_view *view, struct buffer *out)
{
    (void)view;
    buffer_append_text(out, "\"ticker\"");
}

static void write_high(const struct quotation_view *view, struct buffer *out)
{
    quotation_price(view, view->market->truth.high, out);
}

static void write_low(const struct quotation_view *view, struct buffer *out)
{
    quotation_price(view, view->market->truth.low, out);
}

static void write_last_size(const struct quotation_view *view, struct buffer *out)
{
    quotation_size(view, view->market->truth.last_size, out);
}

static void write_volume(const struct quotation_view *view, struct buffer *out)
{
    quotation_size(view, view->market->truth.bought + view->market->truth.sold, out);
}

static void write_bought(const struct quotation_view *view, struct buffer *out)
{
    quotation_size(view, view->market->truth.bought, out);
}

static void write_sold(const struct quotation_view *view, struct buffer *out)
{
    quotation_size(view, view->market->truth.sold, out);
}

static void write_value(const struct quotation_view *view, struct buffer *out)
{
    quotation_number(view, view->market->truth.value, view->market->value_scale, true, out);
}

static void last_date_write(const struct quotation_view *view, const char *pattern,
                            struct buffer *out)
{
    const struct trade *trade = last_trade(view);
    if (trade == NULL)
        buffer_append_text(out, "null");
    else
        date_write(view, trade->at_us, pattern, out);
}

static void write_last_date(const struct quotation_view *view, struct buffer *out)
{
    last_date_write(view, "YMD", out);
}

static void write_last_time(const struct quotation_view *view, struct buffer *out)
{
    last_date_write(view, "hms", out);
}

static void write_last_ms(const struct quotation_view *view, struct buffer *out)
{
    const struct trade *trade = last_trade(view);
    int64_t ahead_us = view->rest ? view->style->rest_ahead_us : 0;
    if (trade == NULL)
        buffer_append_text(out, "null");
    else
        write_integer(out, (trade->at_us + ahead_us) / US_PER_MS);
}

static void write_last_side(const struct quotation_view *view, struct buffer *out)
{
    const struct trade *trade = last_trade(view);
    if (trade == NULL)
        buffer_append_text(out, "null");
    else
        buffer_append_text(out, trade->buyer_takes ? "\"BID\"" : "\"ASK\"");
}

static void write_year_date(const struct quotation_view *view, struct buffer *out)
{
    date_write(view, view->now_us, "Y-M-D", out);
}

static void write_state(const struct quotation_view *view, struct buffer *out)
{
    buffer_append_text(out, view->market->halted ? "\"PREVIEW\"" : "\"ACTIVE\"");
}

static void write_suspended(const struct quotation_view *view, struct buffer *out)
{
    buffer_append_text(out, view->market->halted ? "true" : "false");
}

static void write_delisting(const struct quotation_view *view, struct buffer *out)
{
    buffer_append_text(out, view->style->no_delisting);
}

static void write_warning(const struct quotation_view *view, struct buffer *out)
{
    (void)view;
    buffer_append_text(out, "\"NONE\"");
}

/* ---- books ---- */

struct unit {
    int64_t price, size;
};

static int64_t group_price(int64_t price, int64_t group, enum flow_side side)
{
    int64_t lower = price / group * group;
    return side == FLOW_BID || lower == price ? lower : lower + group;
}

/* The best `max` prices of a side, grouped; what is left over is padding. */
static void units_collect(const struct quotation_view *view, enum flow_side side,
                          struct unit units[QUOTATION_UNITS_MAX])
{
    const struct flow_levels *levels = &view->market->flow.sides[side];
    size_t count = 0;
    for (size_t i = 0; i < levels->count; i++) {
        int64_t price = group_price(levels->items[i].price, view->level, side);
        bool same = count > 0 && units[count - 1].price == price;
        if (!same && count == view->units)
            break;
        if (!same)
            units[count++] = (struct unit){.price = price};
        units[count - 1].size += levels->items[i].size;
    }
}

/* What is under half of the last decimal is 0, at a price that lives. */
static int64_t book_size(const struct quotation_view *view, int64_t steps)
{
    unsigned scale = view->market->size_scale;
    if (scale <= view->style->book_decimals)
        return steps;
    int64_t step = write_power(scale - view->style->book_decimals);
    return (steps + step / 2) / step * step;
}

static int64_t units_total(const struct quotation_view *view, enum flow_side side)
{
    struct unit units[QUOTATION_UNITS_MAX] = {0};
    int64_t total = 0;
    units_collect(view, side, units);
    for (unsigned i = 0; i < view->units; i++)
        total += book_size(view, units[i].size);
    return total;
}

static void write_book_type(const struct quotation_view *view, struct buffer *out)
{
    (void)view;
    buffer_append_text(out, "\"orderbook\"");
}

static void write_total_ask(const struct quotation_view *view, struct buffer *out)
{
    quotation_size(view, units_total(view, FLOW_ASK), out);
}

static void write_total_bid(const struct quotation_view *view, struct buffer *out)
{
    quotation_size(view, units_total(view, FLOW_BID), out);
}

static void write_book_time(const struct quotation_view *view, struct buffer *out)
{
    bool us = view->style->book_time_us && !view->rest;
    write_integer(out, us ? view->book_us : view->book_us / US_PER_MS);
}

static void write_level(const struct quotation_view *view, struct buffer *out)
{
    if (view->level != 1)
        quotation_number(view, market_price(view->market, view->level), view->market->price_scale,
                         true, out);
    else
        quotation_number(view, view->style->level_default, 0, true, out);
}

static void unit_write(const struct quotation_view *view, const struct unit *ask,
                       const struct unit *bid, struct buffer *out)
{
    bool simple = is_simple(view);
    buffer_append_text(out, simple ? "{\"ap\":" : "{\"ask_price\":");
    quotation_price(view, ask->price, out);
    buffer_append_text(out, simple ? ",\"bp\":" : ",\"bid_price\":");
    quotation_price(view, bid->price, out);
    buffer_append_text(out, simple ? ",\"as\":" : ",\"ask_size\":");
    quotation_size(view, book_size(view, ask->size), out);
    buffer_append_text(out, simple ? ",\"bs\":" : ",\"bid_size\":");
    quotation_size(view, book_size(view, bid->size), out);
    buffer_append_text(out, "}");
}

static void write_units(const struct quotation_view *view, struct buffer *out)
{
    struct unit asks[QUOTATION_UNITS_MAX] = {0};
    struct unit bids[QUOTATION_UNITS_MAX] = {0};
    units_collect(view, FLOW_ASK, asks);
    units_collect(view, FLOW_BID, bids);
    buffer_append_text(out, "[");
    for (unsigned i = 0; i < view->units; i++) {
        if (i > 0)
            buffer_append_text(out, ",");
        unit_write(view, &asks[i], &bids[i], out);
    }
    buffer_append_text(out, "]");
}

/* ---- the tables, and what goes through them ---- */

static const struct quotation_field trade_fields[] = {
    {"type", "ty", write_trade_type, HAS_STREAM},
    {"code", "cd", quotation_code, HAS_STREAM},
    {"market", NULL, quotation_code, HAS_REST},
    {"timestamp", "tms", write_now_ms, HAS_UPBIT},
    {"trade_date", "td", write_trade_date, HAS_STREAM},
    {"trade_time", "ttm", write_trade_time, HAS_STREAM},
    {"trade_date_utc", NULL, write_trade_date_utc, HAS_REST},
    {"trade_time_utc", NULL, write_trade_time_utc, HAS_REST},
    {"timestamp", NULL, write_trade_ms, HAS_REST},
    {"trade_timestamp", "ttms", write_trade_ms, HAS_STREAM},
    {"trade_price", "tp", write_last, HAS_ALL},
    {"trade_volume", "tv", write_trade_size, HAS_ALL},
    {"ask_bid", "ab", write_side, HAS_ALL},
    {"prev_closing_price", "pcp", write_open, HAS_ALL},
    {"change", "c", write_change, HAS_STREAM},
    {"change_price", "cp", write_change_price, HAS_STREAM},
    {"change_price", NULL, write_signed_change, HAS_REST},
    {"sequential_id", "sid", write_trade_id, HAS_ALL},
    {"best_ask_price", "bap", write_best_ask, HAS_UPBIT},
    {"best_ask_size", "bas", write_best_ask_size, HAS_UPBIT},
    {"best_bid_price", "bbp", write_best_bid, HAS_UPBIT},
    {"best_bid_size", "bbs", write_best_bid_size, HAS_UPBIT},
    {"timestamp", "tms", write_now_ms, HAS_BITHUMB},
    {"stream_type", "st", quotation_stream_type, HAS_STREAM},
};

static const struct quotation_field ticker_fields[] = {
    {"type", "ty", write_ticker_type, HAS_STREAM},
    {"code", "cd", quotation_code, HAS_STREAM},
    {"market", NULL, quotation_code, HAS_REST},
    {"opening_price", "op", write_open, HAS_ALL},
    {"high_price", "hp", write_high, HAS_ALL},
    {"low_price", "lp", write_low, HAS_ALL},
    {"trade_price", "tp", write_last, HAS_ALL},
    {"prev_closing_price", "pcp", write_open, HAS_ALL},
    {"change", "c", write_change, HAS_ALL},
    {"change_price", "cp", write_change_price, HAS_ALL},
    {"signed_change_price", "scp", write_signed_change, HAS_ALL},
    {"change_rate", "cr", write_rate, HAS_ALL},
    {"signed_change_rate", "scr", write_signed_rate, HAS_ALL},
    {"trade_volume", "tv", write_last_size, HAS_ALL},
    {"acc_trade_volume", "atv", write_volume, HAS_ALL},
    {"acc_trade_volume_24h", "atv24h", write_volume, HAS_ALL},
    {"acc_trade_price", "atp", write_value, HAS_ALL},
    {"acc_trade_price_24h", "atp24h", write_value, HAS_ALL},
    {"trade_date", "tdt", write_last_date, HAS_ALL},
    {"trade_time", "ttm", write_last_time, HAS_ALL},
    {"trade_timestamp", "ttms", write_last_ms, HAS_ALL},
    {"ask_bid", "ab", write_last_side, HAS_STREAM},
    {"acc_ask_volume", "aav", write_sold, HAS_STREAM},
    {"acc_bid_volume", "abv", write_bought, HAS_STREAM},
    {"highest_52_week_price", "h52wp", write_high, HAS_ALL},
    {"highest_52_week_date", "h52wdt", write_year_date, HAS_ALL},
    {"lowest_52_week_price", "l52wp", write_low, HAS_ALL},
    {"lowest_52_week_date", "l52wdt", write_year_date, HAS_ALL},
    {"market_state", "ms", write_state, HAS_STREAM},
    {"is_trading_suspended", "its", write_suspended, HAS_STREAM},
    {"delisting_date", "dd", write_delisting, HAS_STREAM},
    {"market_warning", "mw", write_warning, HAS_STREAM},
    {"timestamp", "tms", write_now_ms, HAS_ALL},
    {"stream_type", "st", quotation_stream_type, HAS_STREAM},
};

static const struct quotation_field book_fields[] = {
    {"type", "ty", write_book_type, HAS_STREAM},
    {"code", "cd", quotation_code, HAS_STREAM},
    {"market", NULL, quotation_code, HAS_REST},
    {"timestamp", "tms", write_book_time, HAS_UPBIT | HAS_REST},
    {"total_ask_size", "tas", write_total_ask, HAS_ALL},
    {"total_bid_size", "tbs", write_total_bid, HAS_ALL},
    {"orderbook_units", "obu", write_units, HAS_ALL},
    {"level", "lv", write_level, HAS_STREAM | HAS_REST_UPBIT},
    {"timestamp", "tms", write_book_time, HAS_BITHUMB},
    {"stream_type", "st", quotation_stream_type, HAS_STREAM},
};

void quotation_fields(const struct quotation_view *view, const struct quotation_field *fields,
                      size_t count, struct buffer *out)
{
    bool list = view->format == QUOTATION_LIST || view->format == QUOTATION_SIMPLE_LIST;
    unsigned upbit = view->rest ? HAS_REST | HAS_REST_UPBIT : HAS_UPBIT;
    unsigned who = view->style->best ? upbit : view->rest ? HAS_REST : HAS_BITHUMB;
    const char *separator = list ? "[{\"" : "{\"";
    for (size_t i = 0; i < count; i++) {
        const struct quotation_field *field = &fields[(i + view->turn) % count];
        if ((field->having & who) == 0)
            continue;
        buffer_append_text(out, separator);
        buffer_append_text(out, is_simple(view) ? field->simple : field->name);
        buffer_append_text(out, "\":");
        field->write(view, out);
        separator = ",\"";
    }
    buffer_append_text(out, list ? "}]" : "}");
}

void quotation_write_trade(const struct quotation_view *view, struct buffer *out)
{
    quotation_fields(view, trade_fields, COUNT_OF(trade_fields), out);
}

void quotation_write_ticker(const struct quotation_view *view, struct buffer *out)
{
    quotation_fields(view, ticker_fields, COUNT_OF(ticker_fields), out);
}

void quotation_write_book(const struct quotation_view *view, struct buffer *out)
{
    quotation_fields(view, book_fields, COUNT_OF(book_fields), out);
}
