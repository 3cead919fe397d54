/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of the quotation protocol to events. Dates in words are ignored where a number says the
 * same (Upbit writes them in UTC, Bithumb in Korea's time): only a candle has nothing else.
 */
#include "exchange/quotation.h"

#include "exchange/calendar.h"
#include "exchange/decoding.h"
#include "exchange/quotation_message.h"

struct decoding {
    const struct quotation_dialect *dialect;
    const struct decode_input *input;
    struct event_batch *batch;
    struct quotation_message message;
};

static struct slice text_of(const struct decoding *decoding, enum quotation_field field)
{
    return decoding->message.value[field].text;
}

static struct decimal decimal_of(const struct decoding *decoding, enum quotation_field field)
{
    return decoding->message.value[field].decimal;
}

static bool is_given(const struct decoding *decoding, uint32_t fields)
{
    return (decoding->message.given & fields) == fields;
}

static enum decode_verdict instrument_find(const struct decoding *decoding,
                                           struct instrument **ret_instrument)
{
    *ret_instrument = instruments_find(decoding->input->instruments, decoding->dialect->exchange,
                                       text_of(decoding, FIELD_CODE));
    return *ret_instrument == NULL ? DECODE_UNKNOWN_SYMBOL : DECODE_EVENTS;
}

/* The time that a field must hold. */
static bool time_take(const struct decoding *decoding, enum quotation_field field, int64_t *ret_us)
{
    return is_given(decoding, FIELD_BIT(field)) &&
           time_from_ms_or_us(decoding->message.value[field].integer, ret_us);
}

/* ---- trades ---- */

static bool side_read(struct slice text, enum side *ret_side)
{
    bool bid = text_is(text, SLICE("BID"));
    *ret_side = bid ? SIDE_BUY : SIDE_SELL;
    return bid || text_is(text, SLICE("ASK"));
}

/* Not given, or null: live. */
static bool origin_read(const struct decoding *decoding, enum trade_origin *ret_origin)
{
    const uint32_t bit = FIELD_BIT(FIELD_STREAM_TYPE);
    *ret_origin = TRADE_LIVE;
    if (!is_given(decoding, bit))
        return !(decoding->message.seen & ~decoding->message.null & bit);
    struct slice text = text_of(decoding, FIELD_STREAM_TYPE);
    if (text_is(text, SLICE("REALTIME")))
        return true;
    *ret_origin = TRADE_SNAPSHOT;
    return text_is(text, SLICE("SNAPSHOT"));
}

static bool trade_take(const struct decoding *decoding, struct trade *ret_trade, int64_t *ret_us)
{
    const uint32_t needed = FIELD_BIT(FIELD_CODE) | FIELD_BIT(FIELD_TRADE_PRICE) |
                            FIELD_BIT(FIELD_TRADE_VOLUME) | FIELD_BIT(FIELD_ASK_BID) |
                            FIELD_BIT(FIELD_SEQUENTIAL_ID);
    if (!is_given(decoding, needed) || !time_take(decoding, FIELD_TRADE_TIMESTAMP, ret_us))
        return false;
    *ret_trade = (struct trade){.id = text_of(decoding, FIELD_SEQUENTIAL_ID),
                                .price = decimal_of(decoding, FIELD_TRADE_PRICE),
                                .size = decimal_of(decoding, FIELD_TRADE_VOLUME),
                                .aggregate = false};
    return is_positive(ret_trade->price) && is_positive(ret_trade->size) &&
           ret_trade->id.data[0] != '-' &&
           side_read(text_of(decoding, FIELD_ASK_BID), &ret_trade->side) &&
           origin_read(decoding, &ret_trade->origin);
}

static enum decode_verdict trade_decode(struct decoding *decoding)
{
    struct trade trade;
    int64_t time_us;
    if (!trade_take(decoding, &trade, &time_us))
        return DECODE_MALFORMED;
    struct instrument *instrument;
    enum decode_verdict verdict = instrument_find(decoding, &instrument);
    if (verdict != DECODE_EVENTS)
        return verdict;
    struct event *event = batch_event(decoding->batch, EVENT_TRADE, decoding->input, instrument);
    event->exchange_us = time_us;
    event->trade = trade;
    decoding->batch->event_count++;
    return DECODE_EVENTS;
}

/* ---- books ---- */

/* Always the whole book; there is no number in it that could vouch for more. */
static enum decode_verdict book_decode(struct decoding *decoding)
{
    const uint32_t needed = FIELD_BIT(FIELD_CODE) | FIELD_BIT(FIELD_UNITS);
    struct event_batch *batch = decoding->batch;
    struct levels bids = levels_of(batch->level, decoding->message.bid_count);
    struct levels asks = levels_of(batch->level + LEVEL_HALF, decoding->message.ask_count);
    int64_t time_us;
    if (!is_given(decoding, needed) || !time_take(decoding, FIELD_TIMESTAMP, &time_us) ||
        !levels_ordered(bids, true) || !levels_ordered(asks, false))
        return DECODE_MALFORMED;
    struct instrument *instrument;
    enum decode_verdict verdict = instrument_find(decoding, &instrument);
    if (verdict != DECODE_EVENTS)
        return verdict;
    struct event *event = batch_event(batch, EVENT_BOOK, decoding->input, instrument);
    event->exchange_us = time_us;
    event->book = (struct book_change){.action = BOOK_SNAPSHOT,
                                       .proof = BOOK_PROOF_WHOLE,
                                       .depth = decoding->dialect->exchange->book_depth,
                                       .bids = bids,
                                       .asks = asks};
    batch->level_count = bids.count + asks.count;
    batch->event_count++;
    return DECODE_EVENTS;
}

/* ---- tickers ---- */

struct ticker_source {
    enum ticker_field field;
    enum quotation_field source;
    bool is_volume;
};

/* Opening, high and low are those of the exchange's day; the volumes are of 24 hours. */
static const struct ticker_source ticker_sources[] = {
    {TICKER_LAST, FIELD_TRADE_PRICE, false}, {TICKER_OPEN, FIELD_OPENING_PRICE, false},
    {TICKER_HIGH, FIELD_HIGH_PRICE, false},  {TICKER_LOW, FIELD_LOW_PRICE, false},
    {TICKER_VOLUME, FIELD_DAY_VOLUME, true}, {TICKER_QUOTE_VOLUME, FIELD_DAY_QUOTE_VOLUME, true},
};

/* Null, and a price of 0, say that there is none. False when malformed. */
static bool ticker_field_take(struct decoding *decoding, struct ticker *ticker,
                              const struct ticker_source *source)
{
    const uint32_t bit = FIELD_BIT(source->source);
    if (decoding->message.null & bit)
        return true;
    if (source->is_volume && (decoding->message.too_long & bit)) {
        decoding->batch->left_out++;
        return true;
    }
    struct decimal value = decimal_of(decoding, source->source);
    if (!is_given(decoding, bit) || is_negative(value))
        return false;
    if (!source->is_volume && decimal_is_zero(value))
        return true;
    ticker->value[source->field] = value;
    ticker->present |= 1u << source->field;
    return true;
}

static enum decode_verdict ticker_decode(struct decoding *decoding)
{
    struct ticker ticker = {.present = 0};
    int64_t time_us;
    if (!is_given(decoding, FIELD_BIT(FIELD_CODE)) ||
        !time_take(decoding, FIELD_TIMESTAMP, &time_us))
        return DECODE_MALFORMED;
    for (size_t i = 0; i < COUNT_OF(ticker_sources); i++)
        if (!ticker_field_take(decoding, &ticker, &ticker_sources[i]))
            return DECODE_MALFORMED;
    if (ticker.present == 0) /* every value null, or a price of 0 */
        return DECODE_NOTHING;
    struct instrument *instrument;
    enum decode_verdict verdict = instrument_find(decoding, &instrument);
    if (verdict != DECODE_EVENTS)
        return verdict;
    struct event *event = batch_event(decoding->batch, EVENT_TICKER, decoding->input, instrument);
    event->exchange_us = time_us;
    event->ticker = ticker;
    decoding->batch->event_count++;
    return DECODE_EVENTS;
}

/* ---- candles ---- */

/* "1s" or "240m", to microseconds. */
static bool interval_read(struct slice interval, int64_t *ret_us)
{
    uint64_t count;
    if (interval.size < 2)
        return false;
    char unit = interval.data[interval.size - 1];
    struct slice digits = {.data = interval.data, .size = interval.size - 1};
    if ((unit != 's' && unit != 'm') || !slice_to_uint64(digits, 1440, &count) || count == 0)
        return false;
    *ret_us = (int64_t)count * (unit == 's' ? 1 : 60) * 1000000;
    return true;
}

static bool candle_take(struct decoding *decoding, struct slice interval, struct candle *ret_candle)
{
    const uint32_t needed = FIELD_BIT(FIELD_CODE) | FIELD_BIT(FIELD_CANDLE_TIME) |
                            FIELD_BIT(FIELD_OPENING_PRICE) | FIELD_BIT(FIELD_HIGH_PRICE) |
                            FIELD_BIT(FIELD_LOW_PRICE) | FIELD_BIT(FIELD_TRADE_PRICE) |
                            FIELD_BIT(FIELD_CANDLE_VOLUME);
    const uint32_t quote_volume = FIELD_BIT(FIELD_CANDLE_QUOTE_VOLUME);
    int64_t length_us;
    if (!is_given(decoding, needed) || !interval_read(interval, &length_us) ||
        !calendar_read(text_of(decoding, FIELD_CANDLE_TIME), 'T', &ret_candle->open_us))
        return false;
    ret_candle->interval = interval;
    ret_candle->close_us = ret_candle->open_us + length_us;
    ret_candle->open = decimal_of(decoding, FIELD_OPENING_PRICE);
    ret_candle->high = decimal_of(decoding, FIELD_HIGH_PRICE);
    ret_candle->low = decimal_of(decoding, FIELD_LOW_PRICE);
    ret_candle->close = decimal_of(decoding, FIELD_TRADE_PRICE);
    ret_candle->volume = decimal_of(decoding, FIELD_CANDLE_VOLUME);
    ret_candle->quote_volume = decimal_of(decoding, FIELD_CANDLE_QUOTE_VOLUME);
    ret_candle->has_quote_volume = is_given(decoding, quote_volume);
    ret_candle->closed = false; /* the exchange does not say; the last one sent stands */
    if (decoding->message.too_long & quote_volume)
        decoding->batch->left_out++;
    else if (!ret_candle->has_quote_volume || is_negative(ret_candle->quote_volume))
        return false;
    return is_positive(ret_candle->open) && is_positive(ret_candle->high) &&
           is_positive(ret_candle->low) && is_positive(ret_candle->close) &&
           !is_negative(ret_candle->volume);
}

static enum decode_verdict candle_decode(struct decoding *decoding, struct slice interval)
{
    struct candle candle;
    int64_t time_us;
    if (!candle_take(decoding, interval, &candle) ||
        !time_take(decoding, FIELD_TIMESTAMP, &time_us))
        return DECODE_MALFORMED;
    struct instrument *instrument;
    enum decode_verdict verdict = instrument_find(decoding, &instrument);
    if (verdict != DECODE_EVENTS)
        return verdict;
    struct event *event = batch_event(decoding->batch, EVENT_CANDLE, decoding->input, instrument);
    event->exchange_us = time_us;
    event->candle = candle;
    decoding->batch->event_count++;
    return DECODE_EVENTS;
}

/* ---- which message it is ---- */

static enum decode_verdict typed_decode(struct decoding *decoding)
{
    static const struct slice candle = {.data = "candle.", .size = 7};
    struct slice type = text_of(decoding, FIELD_TYPE);
    if (text_is(type, SLICE("orderbook")))
        return book_decode(decoding);
    if (text_is(type, SLICE("trade")))
        return trade_decode(decoding);
    if (text_is(type, SLICE("ticker")))
        return ticker_decode(decoding);
    if (decoding->dialect->candles && slice_starts_with(type, candle))
        return candle_decode(decoding, (struct slice){.data = type.data + candle.size,
                                                      .size = type.size - candle.size});
    return DECODE_UNKNOWN_TYPE;
}

static enum decode_verdict message_decode(struct decoding *decoding)
{
    struct scan scan = scan_begin(decoding->input->text);
    if (UNLIKELY(scan_peek(&scan) != '{'))
        return unknown_or_malformed(decoding->input->text);
    if (!quotation_message_read(&decoding->message, decoding->input->text, decoding->batch))
        return DECODE_MALFORMED;
    if (LIKELY(is_given(decoding, FIELD_BIT(FIELD_TYPE))))
        return typed_decode(decoding);
    if (is_given(decoding, FIELD_BIT(FIELD_ERROR))) {
        decoding->batch->note = decoding->message.words;
        decoding->batch->refused_name = decoding->message.name;
        return DECODE_REFUSED;
    }
    if (is_given(decoding, FIELD_BIT(FIELD_STATUS)) &&
        text_is(text_of(decoding, FIELD_STATUS), SLICE("UP")))
        return DECODE_KEPT_ALIVE;
    if (is_given(decoding, FIELD_BIT(FIELD_METHOD) | FIELD_BIT(FIELD_RESULT)))
        return DECODE_ACKNOWLEDGED;
    return DECODE_UNKNOWN_TYPE;
}

enum decode_verdict quotation_decode(const struct quotation_dialect *dialect,
                                     const struct decode_input *input, struct event_batch *batch)
{
    struct decoding decoding;
    decoding.dialect = dialect;
    decoding.input = input;
    decoding.batch = batch;
    batch_begin(batch);
    return batch_finish(batch, message_decode(&decoding));
}
