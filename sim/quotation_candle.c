/* SPDX-License-Identifier: Apache-2.0 */
/* Candles of the quotation venues. */
#include "sim/quotation_message_priv.h"
#include "sim/quotation_request.h"
#include "sim/write.h"

#define US_PER_MS 1000
#define KOREA_US (INT64_C(9) * 3600 * 1000000)

static void write_candle_type(const struct quotation_view *view, struct buffer *out)
{
    write_text(out, slice_of(quotation_candle_name(view->candle_index)));
}

static void candle_date_write(int64_t at_us, struct buffer *out)
{
    struct civil civil = civil_from_us(at_us);
    buffer_append_text(out, "\"");
    write_date(out, &civil, "Y-M-D");
    buffer_append_text(out, "T");
    write_date(out, &civil, "h:m:s");
    buffer_append_text(out, "\"");
}

static void write_candle_utc(const struct quotation_view *view, struct buffer *out)
{
    candle_date_write(view->candle->start_us, out);
}

static void write_candle_kst(const struct quotation_view *view, struct buffer *out)
{
    candle_date_write(view->candle->start_us + KOREA_US, out);
}

static void write_candle_open(const struct quotation_view *view, struct buffer *out)
{
    quotation_price(view, view->candle->open, out);
}

static void write_candle_high(const struct quotation_view *view, struct buffer *out)
{
    quotation_price(view, view->candle->high, out);
}

static void write_candle_low(const struct quotation_view *view, struct buffer *out)
{
    quotation_price(view, view->candle->low, out);
}

static void write_candle_close(const struct quotation_view *view, struct buffer *out)
{
    quotation_price(view, view->candle->close, out);
}

static void write_candle_volume(const struct quotation_view *view, struct buffer *out)
{
    quotation_size(view, view->candle->volume, out);
}

static void write_candle_value(const struct quotation_view *view, struct buffer *out)
{
    quotation_number(view, view->candle->value, view->market->value_scale, true, out);
}

static void write_candle_ms(const struct quotation_view *view, struct buffer *out)
{
    write_integer(out, view->candle->at_us / US_PER_MS);
}

static const struct quotation_field candle_fields[] = {
    {"type", "ty", write_candle_type, HAS_STREAM},
    {"code", "cd", quotation_code, HAS_STREAM},
    {"candle_date_time_utc", "cdttmu", write_candle_utc, HAS_STREAM},
    {"candle_date_time_kst", "cdttmk", write_candle_kst, HAS_STREAM},
    {"opening_price", "op", write_candle_open, HAS_STREAM},
    {"high_price", "hp", write_candle_high, HAS_STREAM},
    {"low_price", "lp", write_candle_low, HAS_STREAM},
    {"trade_price", "tp", write_candle_close, HAS_STREAM},
    {"candle_acc_trade_volume", "catv", write_candle_volume, HAS_STREAM},
    {"candle_acc_trade_price", "catp", write_candle_value, HAS_STREAM},
    {"timestamp", "tms", write_candle_ms, HAS_STREAM},
    {"stream_type", "st", quotation_stream_type, HAS_STREAM},
};

void quotation_write_candle(const struct quotation_view *view, struct buffer *out)
{
    quotation_fields(view, candle_fields, COUNT_OF(candle_fields), out);
}
