/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Binance's messages, with the envelope {"stream","data"} or without it. One pass collects what is
 * there (payload.c); then the event's name decides what it was. Two payloads have neither name nor
 * symbol (bookTicker, partial depth): the stream's name tells, or there is no telling.
 */
#include "exchange/binance/decode.h"

#include "exchange/binance/answer.h"
#include "exchange/binance/binance.h"
#include "exchange/binance/payload.h"
#include "exchange/binance/usual.h"
#include "exchange/decoding.h"

/* A whole message, taken apart. */
struct message {
    const struct decode_input *input;
    struct event_batch *batch;
    struct slice native; /* of the stream's name, before the '@'; empty: no stream was named */
    struct slice kind;   /* of the stream's name, behind the '@' */
    bool has_stream, has_data;
    bool has_bare; /* a letter of the payload stood outside of "data" */
    bool muddled;  /* a key of the envelope came twice, or a payload beside stream or data */
    bool odd;      /* a stream or data of a shape that is not ours */
    struct answer answer;
    struct payload payload;
};

/* ---- who and when ---- */

/* Whose data it is: of the payload's symbol or the stream's, which must not contradict. */
static ALWAYS_INLINE enum decode_verdict instrument_find(const struct message *message,
                                                         struct instrument **ret_instrument)
{
    struct slice native = message->native;
    if (payload_has(&message->payload, 's', SHAPE_TEXT)) {
        struct slice symbol = payload_text(&message->payload, 's');
        bool stream_has_symbol = native.size > 0 && native.data[0] != '!';
        if (stream_has_symbol && !same_symbol(native, symbol))
            return DECODE_MALFORMED;
        native = symbol;
    }
    *ret_instrument = instruments_find(message->input->instruments, &exchange_binance, native);
    return *ret_instrument == NULL ? DECODE_UNKNOWN_SYMBOL : DECODE_EVENTS;
}

/* A time that the event must have. */
static bool time_take(const struct payload *payload, char letter, int64_t *ret_us)
{
    return payload_has(payload, letter, SHAPE_INTEGER) &&
           time_from_ms(payload_integer(payload, letter), ret_us);
}

/* A time that the event may have. */
static bool time_take_optional(const struct payload *payload, char letter, int64_t *ret_us)
{
    *ret_us = 0;
    return !payload_saw(payload, letter) || time_take(payload, letter, ret_us);
}

/* A number that the event may have; 0: it has none. Without a trade in 24 hours L is -1. */
static int64_t number_of(const struct payload *payload, char letter)
{
    if (!payload_has(payload, letter, SHAPE_INTEGER))
        return 0;
    return payload_integer(payload, letter) > 0 ? payload_integer(payload, letter) : 0;
}

/* ---- one function for each event ---- */

static enum decode_verdict trade_decode(struct message *message, char id_letter)
{
    const struct payload *payload = &message->payload;
    bool sold = payload_has(payload, 'm', SHAPE_TRUE); /* the buyer was the maker */
    int64_t time_us;
    if (!payload_has(payload, 'p', SHAPE_DECIMAL) || !payload_has(payload, 'q', SHAPE_DECIMAL) ||
        !(sold || payload_has(payload, 'm', SHAPE_FALSE)) ||
        !payload_has(payload, 's', SHAPE_TEXT) || !payload_has(payload, id_letter, SHAPE_INTEGER) ||
        !time_take(payload, 'T', &time_us))
        return DECODE_MALFORMED;
    struct decimal price = payload_decimal(payload, 'p');
    struct decimal size = payload_decimal(payload, 'q');
    if (!is_positive(price) || !is_positive(size) ||
        payload_text(payload, id_letter).data[0] == '-')
        return DECODE_MALFORMED;
    struct instrument *instrument;
    enum decode_verdict verdict = instrument_find(message, &instrument);
    if (verdict != DECODE_EVENTS)
        return verdict;
    struct event *event = batch_event(message->batch, EVENT_TRADE, message->input, instrument);
    event->exchange_us = time_us;
    event->trade = (struct trade){.id = payload_text(payload, id_letter),
                                  .price = price,
                                  .size = size,
                                  .side = sold ? SIDE_SELL : SIDE_BUY,
                                  .origin = TRADE_LIVE,
                                  .aggregate = id_letter == 'a'};
    message->batch->event_count++;
    return DECODE_EVENTS;
}

/* Which letter is which field. */
struct ticker_letter {
    enum ticker_field field;
    char letter;
};

/* A number that is not negative. */
static bool number_take(const struct payload *payload, char letter, struct decimal *ret_value)
{
    if (!payload_has(payload, letter, SHAPE_DECIMAL))
        return false;
    *ret_value = payload_decimal(payload, letter);
    return !is_negative(*ret_value);
}

/* A price of a ticker: 0 says that there is none. False when malformed. */
static bool ticker_price_take(struct ticker *ticker, const struct payload *payload,
                              struct ticker_letter of)
{
    if (!number_take(payload, of.letter, &ticker->value[of.field]))
        return false;
    ticker->present |= decimal_is_zero(ticker->value[of.field]) ? 0 : 1u << of.field;
    return true;
}

/* A volume: left out, and counted, when it has too many digits. */
static bool ticker_volume_take(struct ticker *ticker, struct message *message,
                               struct ticker_letter of)
{
    if (payload_has(&message->payload, of.letter, SHAPE_TOO_LONG)) {
        message->batch->left_out++;
        return true;
    }
    ticker->present |= 1u << of.field;
    return number_take(&message->payload, of.letter, &ticker->value[of.field]);
}

/* One side's best price and its size; an empty side is 0 and 0, and left out. */
static bool ticker_best_take(struct ticker *ticker, const struct payload *payload,
                             struct ticker_letter price, struct ticker_letter size)
{
    if (!ticker_price_take(ticker, payload, price) ||
        !number_take(payload, size.letter, &ticker->value[size.field]))
        return false;
    if (!(ticker->present & (1u << price.field)))
        return decimal_is_zero(ticker->value[size.field]);
    ticker->present |= 1u << size.field;
    return true;
}

static bool ticker_quote_take(struct ticker *ticker, const struct payload *payload)
{
    return ticker_best_take(ticker, payload, (struct ticker_letter){TICKER_BID, 'b'},
                            (struct ticker_letter){TICKER_BID_SIZE, 'B'}) &&
           ticker_best_take(ticker, payload, (struct ticker_letter){TICKER_ASK, 'a'},
                            (struct ticker_letter){TICKER_ASK_SIZE, 'A'});
}

static bool ticker_fields_take(struct ticker *ticker, struct message *message, bool mini)
{
    static const struct ticker_letter prices[] = {
        {TICKER_LAST, 'c'}, {TICKER_OPEN, 'o'}, {TICKER_HIGH, 'h'}, {TICKER_LOW, 'l'}};
    const struct payload *payload = &message->payload;
    bool has_quote = payload_saw(payload, 'b') || payload_saw(payload, 'B') ||
                     payload_saw(payload, 'a') || payload_saw(payload, 'A');

    for (size_t i = 0; i < COUNT_OF(prices); i++)
        if (!ticker_price_take(ticker, payload, prices[i]))
            return false;
    if (!ticker_volume_take(ticker, message, (struct ticker_letter){TICKER_VOLUME, 'v'}) ||
        !ticker_volume_take(ticker, message, (struct ticker_letter){TICKER_QUOTE_VOLUME, 'q'}))
        return false;
    /* The futures' ticker has no best prices. */
    return mini || !has_quote || ticker_quote_take(ticker, payload);
}

static enum decode_verdict ticker_decode(struct message *message, bool mini)
{
    struct ticker ticker = {.present = 0};
    int64_t time_us;
    if (!payload_has(&message->payload, 's', SHAPE_TEXT) ||
        !time_take(&message->payload, 'E', &time_us) || !ticker_fields_take(&ticker, message, mini))
        return DECODE_MALFORMED;
    if (ticker.present == 0)
        return DECODE_NOTHING;
    struct instrument *instrument;
    enum decode_verdict verdict = instrument_find(message, &instrument);
    if (verdict != DECODE_EVENTS)
        return verdict;
    struct event *event = batch_event(message->batch, EVENT_TICKER, message->input, instrument);
    event->exchange_us = time_us;
    /* The last trade: the time of the event is of the clock of whichever server made it. */
    event->order_id = number_of(&message->payload, 'L');
    event->ticker = ticker;
    message->batch->event_count++;
    return DECODE_EVENTS;
}

/* Spot's gives no time, the futures' does. */
static enum decode_verdict quote_decode(struct message *message)
{
    const struct payload *payload = &message->payload;
    struct ticker quote = {.present = 0};
    int64_t time_us;
    bool has_symbol = payload_has(payload, 's', SHAPE_TEXT) || message->native.size > 0;
    if (!has_symbol || !time_take_optional(payload, 'E', &time_us) ||
        !ticker_quote_take(&quote, payload))
        return DECODE_MALFORMED;
    struct instrument *instrument;
    enum decode_verdict verdict = instrument_find(message, &instrument);
    if (verdict != DECODE_EVENTS)
        return verdict;
    if (quote.present == 0)
        return DECODE_NOTHING;
    struct event *event = batch_event(message->batch, EVENT_QUOTE, message->input, instrument);
    event->exchange_us = time_us;
    event->order_id = number_of(payload, 'u');
    event->ticker = quote;
    message->batch->event_count++;
    return DECODE_EVENTS;
}

/* The levels a side of a partial book's stream, "depth20" or "depth20@100ms"; 0: it is no such. */
static uint32_t partial_depth(struct slice kind)
{
    if (kind.size < 6 || kind.data[5] == '@' || memcmp(kind.data, "depth", 5) != 0)
        return 0; /* the plain difference, most often */
    struct slice speed;
    struct slice name = slice_split(kind, '@', &speed);
    return slice_is(name, "depth20")   ? 20
           : slice_is(name, "depth10") ? 10
           : slice_is(name, "depth5")  ? 5
                                       : 0;
}

/* A list of levels came in this slot, good or broken, and was read over its side's other one. */
static bool has_list(const struct payload *payload, unsigned slot)
{
    return payload->shape[slot] == SHAPE_LEVELS || payload->shape[slot] == SHAPE_OTHER;
}

/* A book's event with both sides; ids and action are the caller's. */
static ALWAYS_INLINE enum decode_verdict book_begin(struct message *message, unsigned bids,
                                                    unsigned asks, struct event **ret_event)
{
    const struct payload *payload = &message->payload;
    const unsigned other_bids = SLOT('b') + SLOT_BIDS - bids;
    const unsigned other_asks = SLOT('a') + SLOT_ASKS - asks;
    if (payload->shape[bids] != SHAPE_LEVELS || payload->shape[asks] != SHAPE_LEVELS ||
        has_list(payload, other_bids) || has_list(payload, other_asks))
        return DECODE_MALFORMED;
    struct instrument *instrument;
    enum decode_verdict verdict = instrument_find(message, &instrument);
    if (verdict != DECODE_EVENTS)
        return verdict;
    struct event_batch *batch = message->batch;
    struct event *event = batch_event(batch, EVENT_BOOK, message->input, instrument);
    uint32_t bid_count = payload->slot[bids].level_count;
    uint32_t ask_count = payload->slot[asks].level_count;
    event->book.action = BOOK_UPDATE;
    event->book.proof = BOOK_PROOF_NONE;
    event->book.depth = 0;
    event->book.bids = levels_of(batch->level, bid_count);
    event->book.asks = levels_of(batch->level + LEVEL_HALF, ask_count);
    batch->level_count = bid_count + ask_count;
    *ret_event = event;
    return DECODE_EVENTS;
}

/* Makes a snapshot of the first `depth` levels a side of it. */
static enum decode_verdict book_make_whole(struct event_batch *batch, struct event *event,
                                           uint32_t depth)
{
    struct book_change *book = &event->book;
    if (book->bids.count > depth || book->asks.count > depth || !levels_ordered(book->bids, true) ||
        !levels_ordered(book->asks, false))
        return DECODE_MALFORMED;
    event->order_id = book->last_id;
    book->action = BOOK_SNAPSHOT;
    book->proof = BOOK_PROOF_WHOLE;
    book->depth = depth;
    batch->event_count++;
    return DECODE_EVENTS;
}

/* The ids of a difference; the futures' have the one before as well. */
static ALWAYS_INLINE bool difference_ids_take(const struct payload *payload,
                                              struct book_change *book)
{
    const uint8_t previous = payload->shape[SLOT_PREVIOUS_ID];
    if (!payload_has(payload, 'U', SHAPE_INTEGER) || !payload_has(payload, 'u', SHAPE_INTEGER) ||
        (previous != SHAPE_INTEGER && previous != SHAPE_NONE))
        return false;
    book->first_id = payload_integer(payload, 'U');
    book->last_id = payload_integer(payload, 'u');
    book->previous_id = previous == SHAPE_INTEGER ? payload->slot[SLOT_PREVIOUS_ID].integer : 0;
    return book->first_id >= 0 && book->last_id >= book->first_id && book->previous_id >= 0;
}

/* A difference; on a futures' depth<N> stream the same shape is a partial book. */
static enum decode_verdict difference_decode(struct message *message)
{
    const struct payload *payload = &message->payload;
    struct event *event;
    int64_t time_us;
    if (!payload_has(payload, 's', SHAPE_TEXT) || !time_take(payload, 'E', &time_us))
        return DECODE_MALFORMED;
    enum decode_verdict verdict = book_begin(message, SLOT('b'), SLOT('a'), &event);
    if (verdict != DECODE_EVENTS)
        return verdict;
    event->exchange_us = time_us;
    if (!difference_ids_take(payload, &event->book))
        return DECODE_MALFORMED;
    uint32_t depth = partial_depth(message->kind);
    if (depth > 0)
        return book_make_whole(message->batch, event, depth);
    if (message->batch->level_count == 0)
        return DECODE_NOTHING;
    message->batch->event_count++;
    return DECODE_EVENTS;
}

static enum decode_verdict partial_book_decode(struct message *message)
{
    const struct payload *payload = &message->payload;
    uint32_t depth = partial_depth(message->kind);
    if (message->has_stream && depth == 0)
        return DECODE_UNKNOWN_TYPE;
    if (payload->shape[SLOT_LAST_UPDATE_ID] != SHAPE_INTEGER ||
        payload->slot[SLOT_LAST_UPDATE_ID].integer < 0)
        return DECODE_MALFORMED;
    struct event *event;
    enum decode_verdict verdict = book_begin(message, SLOT_BIDS, SLOT_ASKS, &event);
    if (verdict != DECODE_EVENTS)
        return verdict;
    event->book.first_id = event->book.previous_id = 0;
    event->book.last_id = payload->slot[SLOT_LAST_UPDATE_ID].integer;
    return book_make_whole(message->batch, event, depth);
}

/* A price that there must be. */
static bool price_take(const struct payload *payload, char letter, struct decimal *ret_price)
{
    return number_take(payload, letter, ret_price) && !decimal_is_zero(*ret_price);
}

/* The inner object of a kline. */
static bool candle_fields_take(struct candle *candle, const struct payload *inner,
                               struct event_batch *batch)
{
    int64_t last_us;
    candle->closed = payload_has(inner, 'x', SHAPE_TRUE);
    if (!payload_has(inner, 'i', SHAPE_TEXT) || inner->repeated != 0 ||
        !(candle->closed || payload_has(inner, 'x', SHAPE_FALSE)) ||
        !time_take(inner, 't', &candle->open_us) || !time_take(inner, 'T', &last_us))
        return false;
    candle->close_us = last_us + 1000; /* T is the last millisecond in it */
    candle->interval = payload_text(inner, 'i');
    candle->has_quote_volume = !payload_has(inner, 'q', SHAPE_TOO_LONG);
    batch->left_out += !candle->has_quote_volume;
    return price_take(inner, 'o', &candle->open) && price_take(inner, 'h', &candle->high) &&
           price_take(inner, 'l', &candle->low) && price_take(inner, 'c', &candle->close) &&
           number_take(inner, 'v', &candle->volume) &&
           (!candle->has_quote_volume || number_take(inner, 'q', &candle->quote_volume));
}

static enum decode_verdict candle_decode(struct message *message)
{
    const struct payload *payload = &message->payload;
    struct payload inner;
    struct candle candle;
    int64_t time_us;
    if (!payload_has(payload, 's', SHAPE_TEXT) || !payload_has(payload, 'k', SHAPE_OBJECT) ||
        !time_take(payload, 'E', &time_us))
        return DECODE_MALFORMED;
    /* Checked as JSON when it was passed over; read now that it is known to be a candle. */
    struct slice text = message->input->text;
    struct scan scan = {.at = payload_text(payload, 'k').data, .end = text.data + text.size};
    payload_init(&inner);
    payload_take_object(&inner, &scan, message->batch);
    if (scan.failed || !candle_fields_take(&candle, &inner, message->batch))
        return DECODE_MALFORMED;
    struct instrument *instrument;
    enum decode_verdict verdict = instrument_find(message, &instrument);
    if (verdict != DECODE_EVENTS)
        return verdict;
    struct event *event = batch_event(message->batch, EVENT_CANDLE, message->input, instrument);
    event->exchange_us = time_us;
    event->candle = candle;
    message->batch->event_count++;
    return DECODE_EVENTS;
}

/* ---- which event it is ---- */

static enum decode_verdict named_decode(struct message *message)
{
    struct slice name = payload_text(&message->payload, 'e');
    if (text_is(name, SLICE("trade")))
        return trade_decode(message, 't');
    if (text_is(name, SLICE("depthUpdate")))
        return difference_decode(message);
    if (text_is(name, SLICE("bookTicker")))
        return quote_decode(message);
    if (text_is(name, SLICE("24hrTicker")))
        return ticker_decode(message, false);
    if (text_is(name, SLICE("aggTrade")))
        return trade_decode(message, 'a');
    if (text_is(name, SLICE("kline")))
        return candle_decode(message);
    if (text_is(name, SLICE("24hrMiniTicker")))
        return ticker_decode(message, true);
    if (text_is(name, SLICE("serverShutdown")))
        return DECODE_LEAVING;
    return DECODE_UNKNOWN_TYPE;
}

/* Payloads without "e": told by the stream, else by their shape. */
static enum decode_verdict nameless_decode(struct message *message)
{
    const struct payload *payload = &message->payload;
    bool looks_book = payload->shape[SLOT_LAST_UPDATE_ID] != SHAPE_NONE &&
                      payload->shape[SLOT_BIDS] != SHAPE_NONE &&
                      payload->shape[SLOT_ASKS] != SHAPE_NONE;
    if (looks_book || partial_depth(message->kind) > 0)
        return partial_book_decode(message);
    bool looks_quote = payload_saw(payload, 'u') && payload_saw(payload, 's') &&
                       payload_saw(payload, 'b') && payload_saw(payload, 'B') &&
                       payload_saw(payload, 'a') && payload_saw(payload, 'A');
    if (text_is(message->kind, SLICE("bookTicker")) || (!message->has_stream && looks_quote))
        return quote_decode(message);
    return DECODE_UNKNOWN_TYPE;
}

/* ---- the envelope ---- */

static void mark_seen(struct message *message, bool *seen)
{
    message->muddled |= *seen;
    *seen = true;
}

static void stream_take(struct message *message, struct scan *scan)
{
    mark_seen(message, &message->has_stream);
    if (scan_peek(scan) != '"') {
        scan_skip(scan);
        message->odd = true;
        return;
    }
    message->native = slice_split(scan_text(scan), '@', &message->kind);
}

static void data_take(struct message *message, struct scan *scan)
{
    mark_seen(message, &message->has_data);
    if (LIKELY(scan_peek(scan) == '{')) {
        payload_take_object(&message->payload, scan, message->batch);
        return;
    }
    scan_skip(scan);
    message->odd = true;
}

/* Takes a key of the envelope or of an answer; false when it is none of these. */
static bool envelope_take(struct message *message, struct scan *scan, struct slice key)
{
    if (text_is(key, SLICE("stream"))) {
        stream_take(message, scan);
        return true;
    }
    if (text_is(key, SLICE("data"))) {
        data_take(message, scan);
        return true;
    }
    return answer_take(&message->answer, scan, key);
}

static enum decode_verdict message_read_all(struct message *message, struct scan *scan)
{
    struct slice key;
    bool first = true;
    scan_expect(scan, '{');
    while (scan_next_key(scan, &first, &key)) {
        if (key.size > 1 && envelope_take(message, scan, key))
            continue;
        bool taken = payload_take(&message->payload, scan, key, message->batch);
        message->has_bare |= taken;
    }
    message->muddled |= message->has_bare && (message->has_data || message->has_stream);
    message->muddled |= message->answer.muddled;
    if (!scan_finish(scan) || message->muddled || message->payload.repeated != 0)
        return DECODE_MALFORMED;
    return DECODE_EVENTS;
}

/* The stream's name with the payload's symbol in front, as it always is; else by its first '@'. */
static ALWAYS_INLINE void stream_split(struct message *message, struct slice stream)
{
    size_t size = payload_text(&message->payload, 's').size;
    if (LIKELY(size < stream.size && stream.data[size] == '@')) {
        message->native = (struct slice){.data = stream.data, .size = size};
        message->kind =
            (struct slice){.data = stream.data + size + 1, .size = stream.size - size - 1};
    } else {
        message->native = slice_split(stream, '@', &message->kind);
    }
}

static enum decode_verdict general_decode(struct message *message)
{
    payload_init(&message->payload);
    message->answer = (struct answer){.id = -1};
    message->native = message->kind = (struct slice){.data = NULL, .size = 0};
    message->has_stream = message->has_data = false;
    message->has_bare = message->muddled = message->odd = false;
    struct scan scan = scan_begin(message->input->text);
    if (UNLIKELY(scan_peek(&scan) != '{'))
        return unknown_or_malformed(message->input->text);
    enum decode_verdict verdict = message_read_all(message, &scan);
    if (UNLIKELY(verdict != DECODE_EVENTS))
        return verdict;
    if (UNLIKELY(message->odd))
        return DECODE_UNKNOWN_TYPE;
    if (LIKELY(payload_has(&message->payload, 'e', SHAPE_TEXT)))
        return named_decode(message);
    if (answer_is(&message->answer, message->has_data))
        return answer_decode(&message->answer, message->batch);
    return nameless_decode(message);
}

static enum decode_verdict message_decode(struct message *message)
{
    struct slice stream;
    payload_init(&message->payload);
    switch (usual_take(&message->payload, message->input->text, message->batch, &stream)) {
    case USUAL_TRADE:
        stream_split(message, stream);
        return trade_decode(message, 't');
    case USUAL_DIFFERENCE:
        stream_split(message, stream);
        return difference_decode(message);
    case USUAL_NONE:
        break;
    }
    return general_decode(message);
}

enum decode_verdict binance_decode(void *state, const struct decode_input *input,
                                   struct event_batch *batch)
{
    (void)state;
    struct message message;
    message.input = input;
    message.batch = batch;
    batch_begin(batch);
    return batch_finish(batch, message_decode(&message));
}
