/* SPDX-License-Identifier: Apache-2.0 */
/* What the quotation venues say when the fault `garbage` makes them: messages that are none, or
 * that cannot be true. */
#include "sim/quotation_message.h"
#include "sim/write.h"

#define RANDOM_BYTES 200
#define DIGITS_40 "1234567890123456789012345678901234567890"

enum garbage {
    GARBAGE_CUT,
    GARBAGE_TYPES,
    GARBAGE_SHAPE,
    GARBAGE_BYTES,
    GARBAGE_CROSSED,
    GARBAGE_UNSORTED,
    GARBAGE_NEGATIVE,
    GARBAGE_DIGITS,
    GARBAGE_UNKNOWN_TYPE,
    GARBAGE_NOTHING,
    GARBAGE_BARE_TRADE,
    GARBAGE_STRANGER,
};
static_assert(GARBAGE_STRANGER + 1 == QUOTATION_GARBAGE_KINDS, "each kind has a number");

static void cut_write(struct venue_run *run, const struct market *market, struct buffer *out)
{
    const struct quotation_market *own = market_own(run, market);
    struct quotation_view view = {.style = quotation_style_of(run),
                                  .market = market,
                                  .units = quotation_style_of(run)->units_max,
                                  .level = 1,
                                  .now_us = exchange_now_us(run->exchange),
                                  .book_us = own->book_us};
    quotation_write_book(&view, out);
    out->size = 1 + (size_t)flow_random_below(&run->random, (int64_t)out->size - 2);
}

static void bytes_write(struct venue_run *run, struct buffer *out)
{
    for (int i = 0; i < RANDOM_BYTES; i++) {
        char byte = (char)flow_random(&run->random);
        buffer_append(out, &byte, 1);
    }
}

/* A book of two levels a side; ticks from `base` for prices. */
static void book_write(struct venue_run *run, const struct market *market, const int64_t prices[4],
                       const char *size, struct buffer *out)
{
    buffer_append_format(out,
                         "{\"type\":\"orderbook\",\"code\":\"%s\",\"total_ask_size\":2,"
                         "\"total_bid_size\":2,\"orderbook_units\":[",
                         market->native);
    for (size_t i = 0; i < 2; i++) {
        buffer_append_text(out, i == 0 ? "{\"ask_price\":" : ",{\"ask_price\":");
        write_plain(out, market_price(market, prices[2 * i]), market->price_scale);
        buffer_append_text(out, ",\"bid_price\":");
        write_plain(out, market_price(market, prices[2 * i + 1]), market->price_scale);
        buffer_append_format(out, ",\"ask_size\":%s,\"bid_size\":1}", size);
    }
    int64_t now_us = exchange_now_us(run->exchange);
    buffer_append_text(out, "],\"timestamp\":");
    write_integer(out, quotation_style_of(run)->book_time_us ? now_us : now_us / 1000);
    buffer_append_text(out, ",\"level\":0,\"stream_type\":\"REALTIME\"}");
}

static void trade_write(struct venue_run *run, const struct market *market, const char *code,
                        const char *price, struct buffer *out)
{
    int64_t now_ms = exchange_now_us(run->exchange) / 1000;
    buffer_append_format(out, "{\"type\":\"trade\",\"code\":\"%s\",\"trade_price\":%s,",
                         code == NULL ? market->native : code, price);
    buffer_append_text(out, "\"trade_volume\":1,\"ask_bid\":\"BID\",\"trade_timestamp\":");
    write_integer(out, now_ms);
    buffer_append_text(out, ",\"timestamp\":");
    write_integer(out, now_ms);
    buffer_append_text(out, ",\"sequential_id\":1,\"stream_type\":\"REALTIME\"}");
}

void quotation_garbage(struct venue_run *run, struct market *market, unsigned kind,
                       struct buffer *out)
{
    int64_t last = market->truth.last;
    switch ((enum garbage)kind) {
    case GARBAGE_CUT:
        cut_write(run, market, out);
        break;
    case GARBAGE_TYPES:
        trade_write(run, market, NULL, "{\"much\":[true,null]}", out);
        break;
    case GARBAGE_SHAPE:
        buffer_append_text(out, "{\"type\":[\"trade\"],\"code\":{\"KRW\":\"BTC\"}}");
        break;
    case GARBAGE_BYTES:
        bytes_write(run, out);
        break;
    case GARBAGE_CROSSED:
        book_write(run, market, (int64_t[]){last, last + 2, last + 1, last + 1}, "1", out);
        break;
    case GARBAGE_UNSORTED:
        book_write(run, market, (int64_t[]){last + 4, last - 4, last + 2, last - 2}, "1", out);
        break;
    case GARBAGE_NEGATIVE:
        book_write(run, market, (int64_t[]){last + 1, last - 1, last + 2, last - 2}, "-1", out);
        break;
    case GARBAGE_DIGITS:
        trade_write(run, market, NULL, DIGITS_40, out);
        break;
    case GARBAGE_UNKNOWN_TYPE:
        buffer_append_format(out, "{\"type\":\"weather\",\"code\":\"%s\",\"rain\":0.5}",
                             market->native);
        break;
    case GARBAGE_NOTHING:
        buffer_append_text(out, flow_random_below(&run->random, 2) == 0 ? "[]" : "null");
        break;
    case GARBAGE_BARE_TRADE:
        buffer_append_format(out, "{\"type\":\"trade\",\"code\":\"%s\"}", market->native);
        break;
    case GARBAGE_STRANGER:
        trade_write(run, market, "KRW-NOPE", "1", out);
        break;
    }
}
