/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All values are texts. A field is found in a table of names; each reader says by a mask which of
 * them it cannot do without. The three lists of this API name the symbol in every entry.
 */
#include "exchange/bithumb/old_content.h"

#include "exchange/bithumb/bithumb.h"
#include "exchange/calendar.h"

#define OLD_DEPTH 30

/* ---- fields of texts ---- */

#define FIELDS_MAX 8
#define FIELD(index) (1u << (index))

struct fields {
    const char *const *names; /* at most FIELDS_MAX, NULL-terminated */
    uint32_t given;
    bool bad; /* repeated, or not a text */
    struct slice text[FIELDS_MAX];
};

static void field_take(struct fields *fields, struct scan *scan, struct slice key)
{
    for (unsigned i = 0; fields->names[i] != NULL; i++) {
        if (!slice_is(key, fields->names[i]))
            continue;
        if (scan_peek(scan) != '"') {
            fields->bad = true;
            break;
        }
        fields->bad |= (fields->given & FIELD(i)) != 0;
        fields->given |= FIELD(i);
        fields->text[i] = scan_text(scan);
        return;
    }
    scan_skip(scan);
}

/* An object of texts; false when it is none, or `needed` is not all there. */
static bool fields_read(struct fields *fields, struct scan *scan, uint32_t needed)
{
    struct slice key;
    bool first = true;
    fields->given = 0;
    fields->bad = false;
    scan_expect(scan, '{');
    while (scan_next_key(scan, &first, &key))
        field_take(fields, scan, key);
    return !scan->failed && !fields->bad && (fields->given & needed) == needed;
}

/* A whole text as a decimal. The text lies in a message, so that decimal_read may look beyond. */
static enum decimal_verdict decimal_of(struct slice text, struct decimal *ret_value)
{
    const char *end;
    enum decimal_verdict verdict = decimal_read(text.data, &end, ret_value);
    if (verdict != DECIMAL_INVALID && end != text.data + text.size)
        return DECIMAL_INVALID;
    return verdict;
}

static bool price_of(struct slice text, struct decimal *ret_value)
{
    return decimal_of(text, ret_value) == DECIMAL_OK && is_positive(*ret_value);
}

static struct instrument *instrument_of(struct old_decoding *decoding, struct slice native)
{
    struct instrument *instrument =
        instruments_find(decoding->input->instruments, &exchange_bithumb1, native);
    decoding->unknown_symbol |= instrument == NULL;
    return instrument;
}

/* "1622591012656250", or the same as a number. */
static bool datetime_take(struct scan *scan, int64_t *ret_us)
{
    if (scan_peek(scan) == '"') {
        uint64_t value;
        struct slice digits = scan_text(scan);
        if (scan->failed || !slice_to_uint64(digits, TIME_US_MAX, &value))
            return false;
        *ret_us = (int64_t)value;
    } else {
        *ret_us = scan_integer(scan);
    }
    return !scan->failed && *ret_us >= TIME_US_MIN && *ret_us <= TIME_US_MAX;
}

/* ---- transaction ---- */

enum fill_field { FILL_SYMBOL, FILL_SIDE, FILL_PRICE, FILL_SIZE, FILL_TIME, FILL_COUNT };

static const char *const fill_names[] = {"symbol",  "buySellGb", "contPrice",
                                         "contQty", "contDtm",   NULL};

/* 1: the taker sold, 2: the taker bought. */
static bool side_of(struct slice text, enum side *ret_side)
{
    bool sold = slice_equal(text, SLICE("1"));
    *ret_side = sold ? SIDE_SELL : SIDE_BUY;
    return sold || slice_equal(text, SLICE("2"));
}

static bool fill_take(const struct fields *fields, struct trade *ret_trade, int64_t *ret_us)
{
    int64_t korean_us;
    *ret_trade = (struct trade){.id = {.data = NULL, .size = 0}, .origin = TRADE_LIVE};
    if (!price_of(fields->text[FILL_PRICE], &ret_trade->price) ||
        !price_of(fields->text[FILL_SIZE], &ret_trade->size) ||
        !side_of(fields->text[FILL_SIDE], &ret_trade->side) ||
        !calendar_read(fields->text[FILL_TIME], ' ', &korean_us))
        return false;
    *ret_us = korean_us - CALENDAR_KST_SECONDS * INT64_C(1000000);
    return *ret_us > 0 && *ret_us <= TIME_US_MAX;
}

/* One entry of the list. */
static enum decode_verdict fill_read(struct old_decoding *decoding, struct scan *scan)
{
    struct fields fields = {.names = fill_names};
    struct trade trade;
    int64_t time_us;
    if (!fields_read(&fields, scan, FIELD(FILL_COUNT) - 1) || !fill_take(&fields, &trade, &time_us))
        return DECODE_MALFORMED;
    struct instrument *instrument = instrument_of(decoding, fields.text[FILL_SYMBOL]);
    if (instrument == NULL)
        return DECODE_EVENTS;
    if (batch_is_full(decoding->batch))
        return DECODE_MALFORMED;
    struct event *event = batch_event(decoding->batch, EVENT_TRADE, decoding->input, instrument);
    event->exchange_us = time_us;
    event->trade = trade;
    decoding->batch->event_count++;
    return DECODE_EVENTS;
}

/* ---- lists ---- */

typedef enum decode_verdict entry_read_fn(struct old_decoding *decoding, struct scan *scan);

static enum decode_verdict list_read(struct old_decoding *decoding, struct scan *scan,
                                     entry_read_fn *entry_read)
{
    bool first = true;
    scan_expect(scan, '[');
    while (scan_next_element(scan, &first)) {
        enum decode_verdict verdict = entry_read(decoding, scan);
        if (verdict != DECODE_EVENTS)
            return verdict;
    }
    return scan->failed ? DECODE_MALFORMED : DECODE_EVENTS;
}

enum decode_verdict old_transactions_read(struct old_decoding *decoding, struct scan *scan)
{
    struct slice key;
    bool first = true;
    bool has_list = false;
    scan_expect(scan, '{');
    while (scan_next_key(scan, &first, &key)) {
        if (!slice_equal(key, SLICE("list"))) {
            scan_skip(scan);
            continue;
        }
        if (has_list || list_read(decoding, scan, fill_read) != DECODE_EVENTS)
            return DECODE_MALFORMED;
        has_list = true;
    }
    return has_list && !scan->failed ? DECODE_EVENTS : DECODE_MALFORMED;
}

/* ---- orderbookdepth ---- */

enum change_field { CHANGE_SYMBOL, CHANGE_SIDE, CHANGE_PRICE, CHANGE_SIZE, CHANGE_COUNT };

static const char *const change_names[] = {"symbol", "orderType", "price", "quantity", NULL};

/* The event that the entry belongs to: the last one as long as the symbol stays the same. NULL when
 * there is no room for another. */
static struct event *change_event(struct old_decoding *decoding, struct instrument *instrument)
{
    struct event_batch *batch = decoding->batch;
    uint32_t count = batch->event_count;
    if (count > 0 && batch->instrument[count - 1] == instrument)
        return &batch->event[count - 1];
    if (batch_is_full(batch))
        return NULL;
    struct event *event = batch_event(batch, EVENT_BOOK, decoding->input, instrument);
    event->book =
        (struct book_change){.action = BOOK_UPDATE,
                             .proof = BOOK_PROOF_NONE,
                             .bids = levels_of(batch->level + decoding->bid_count, 0),
                             .asks = levels_of(batch->level + LEVEL_HALF + decoding->ask_count, 0)};
    batch->event_count++;
    return event;
}

static enum decode_verdict change_read(struct old_decoding *decoding, struct scan *scan)
{
    struct fields fields = {.names = change_names};
    struct level level;
    if (!fields_read(&fields, scan, FIELD(CHANGE_COUNT) - 1) ||
        !price_of(fields.text[CHANGE_PRICE], &level.price) ||
        decimal_of(fields.text[CHANGE_SIZE], &level.size) != DECIMAL_OK || is_negative(level.size))
        return DECODE_MALFORMED;
    bool bid = slice_equal(fields.text[CHANGE_SIDE], SLICE("bid"));
    if (!bid && !slice_equal(fields.text[CHANGE_SIDE], SLICE("ask")))
        return DECODE_MALFORMED;
    struct instrument *instrument = instrument_of(decoding, fields.text[CHANGE_SYMBOL]);
    if (instrument == NULL)
        return DECODE_EVENTS;
    uint32_t *count = bid ? &decoding->bid_count : &decoding->ask_count;
    struct event *event = change_event(decoding, instrument);
    if (event == NULL || *count == LIMIT_MESSAGE_LEVELS)
        return DECODE_MALFORMED;
    decoding->batch->level[(bid ? 0 : LEVEL_HALF) + (*count)++] = level;
    decoding->batch->level_count++;
    *(bid ? &event->book.bids.count : &event->book.asks.count) += 1;
    return DECODE_EVENTS;
}

enum decode_verdict old_depth_read(struct old_decoding *decoding, struct scan *scan)
{
    struct slice key;
    bool first = true;
    bool has_list = false;
    int64_t time_us = 0;
    scan_expect(scan, '{');
    while (scan_next_key(scan, &first, &key)) {
        if (slice_equal(key, SLICE("list"))) {
            if (has_list || list_read(decoding, scan, change_read) != DECODE_EVENTS)
                return DECODE_MALFORMED;
            has_list = true;
        } else if (slice_equal(key, SLICE("datetime"))) {
            if (time_us != 0 || !datetime_take(scan, &time_us))
                return DECODE_MALFORMED;
        } else {
            scan_skip(scan);
        }
    }
    if (!has_list || time_us == 0 || scan->failed)
        return DECODE_MALFORMED;
    for (uint32_t i = 0; i < decoding->batch->event_count; i++)
        decoding->batch->event[i].exchange_us = time_us;
    return DECODE_EVENTS;
}

/* ---- orderbooksnapshot ---- */

/* A whole book's side: zero sizes dropped. False when it came twice. */
static bool whole_side_read(struct scan *scan, struct level *out, uint32_t *count, bool *seen)
{
    uint32_t read;
    if (*seen || !levels_read(scan, out, &read))
        return false;
    *seen = true;
    *count = 0;
    for (uint32_t i = 0; i < read; i++)
        if (!decimal_is_zero(out[i].size))
            out[(*count)++] = out[i];
    return true;
}

struct whole_book {
    bool has_bids, has_asks;
    struct slice native;
    int64_t time_us;
};

static bool whole_field_take(struct old_decoding *decoding, struct whole_book *whole,
                             struct scan *scan, struct slice key)
{
    struct level *bids = decoding->batch->level;
    if (slice_equal(key, SLICE("bids")))
        return whole_side_read(scan, bids, &decoding->bid_count, &whole->has_bids);
    if (slice_equal(key, SLICE("asks")))
        return whole_side_read(scan, bids + LEVEL_HALF, &decoding->ask_count, &whole->has_asks);
    if (slice_equal(key, SLICE("datetime")))
        return whole->time_us == 0 && datetime_take(scan, &whole->time_us);
    if (slice_equal(key, SLICE("symbol"))) {
        bool again = whole->native.size > 0;
        whole->native = scan_text(scan);
        return !again;
    }
    scan_skip(scan);
    return true;
}

enum decode_verdict old_snapshot_read(struct old_decoding *decoding, struct scan *scan)
{
    struct whole_book whole = {.has_bids = false};
    struct event_batch *batch = decoding->batch;
    struct slice key;
    bool first = true;
    scan_expect(scan, '{');
    while (scan_next_key(scan, &first, &key))
        if (!whole_field_take(decoding, &whole, scan, key))
            return DECODE_MALFORMED;
    struct levels bids = levels_of(batch->level, decoding->bid_count);
    struct levels asks = levels_of(batch->level + LEVEL_HALF, decoding->ask_count);
    if (scan->failed || !whole.has_bids || !whole.has_asks || whole.native.size == 0 ||
        whole.time_us == 0 || !levels_ordered(bids, true) || !levels_ordered(asks, false))
        return DECODE_MALFORMED;
    struct instrument *instrument = instrument_of(decoding, whole.native);
    if (instrument == NULL)
        return DECODE_EVENTS;
    struct event *event = batch_event(batch, EVENT_BOOK, decoding->input, instrument);
    event->exchange_us = whole.time_us;
    event->book = (struct book_change){.action = BOOK_SNAPSHOT,
                                       .proof = BOOK_PROOF_WHOLE,
                                       .depth = OLD_DEPTH,
                                       .bids = bids,
                                       .asks = asks};
    batch->level_count = bids.count + asks.count;
    batch->event_count++;
    return DECODE_EVENTS;
}

/* ---- ticker ---- */

enum old_ticker_field {
    OLD_TICKER_LAST, /* the first six as in enum ticker_field */
    OLD_TICKER_OPEN,
    OLD_TICKER_HIGH,
    OLD_TICKER_LOW,
    OLD_TICKER_VOLUME,
    OLD_TICKER_VALUE,
    OLD_TICKER_DATE,
    OLD_TICKER_TIME,
    OLD_TICKER_COUNT
};

static_assert(OLD_TICKER_COUNT <= FIELDS_MAX, "every table fits");
static_assert((int)OLD_TICKER_VALUE == (int)TICKER_QUOTE_VOLUME, "the first six are the same");

static const char *const ticker_names[] = {
    "closePrice", "openPrice", "highPrice", "lowPrice", "volume", "value", "date", "time", NULL};

/* A price of 0 says that there is none. */
static bool ticker_value_take(struct old_decoding *decoding, struct ticker *ticker,
                              const struct fields *fields, unsigned field)
{
    struct decimal value;
    bool is_volume = field >= OLD_TICKER_VOLUME;
    enum decimal_verdict verdict = decimal_of(fields->text[field], &value);
    if (is_volume && verdict == DECIMAL_TOO_LONG) {
        decoding->batch->left_out++;
        return true;
    }
    if (verdict != DECIMAL_OK || is_negative(value))
        return false;
    if (!is_volume && decimal_is_zero(value))
        return true;
    ticker->value[field] = value;
    ticker->present |= 1u << field;
    return true;
}

static bool ticker_take(struct old_decoding *decoding, const struct fields *fields,
                        struct ticker *ret_ticker, int64_t *ret_us)
{
    int64_t korean_us;
    ret_ticker->present = 0;
    for (unsigned field = OLD_TICKER_LAST; field <= OLD_TICKER_VALUE; field++)
        if (!ticker_value_take(decoding, ret_ticker, fields, field))
            return false;
    if (!calendar_read_compact(fields->text[OLD_TICKER_DATE], fields->text[OLD_TICKER_TIME],
                               &korean_us))
        return false;
    *ret_us = korean_us - CALENDAR_KST_SECONDS * INT64_C(1000000);
    return *ret_us > 0 && *ret_us <= TIME_US_MAX;
}

/* Two passes: the window first, as a ticker of another one is nothing of ours. */
enum decode_verdict old_ticker_read(struct old_decoding *decoding, struct scan *scan)
{
    enum { WINDOW, SYMBOL };
    static const char *const head_names[] = {"tickType", "symbol", NULL};
    struct fields head = {.names = head_names};
    struct fields fields = {.names = ticker_names};
    struct scan again = *scan;
    struct ticker ticker;
    int64_t time_us;
    if (!fields_read(&head, scan, FIELD(WINDOW) | FIELD(SYMBOL)))
        return DECODE_MALFORMED;
    if (!slice_equal(head.text[WINDOW], SLICE("24H")))
        return DECODE_NOTHING;
    if (!fields_read(&fields, &again, FIELD(OLD_TICKER_COUNT) - 1) ||
        !ticker_take(decoding, &fields, &ticker, &time_us))
        return DECODE_MALFORMED;
    if (ticker.present == 0)
        return DECODE_NOTHING;
    struct instrument *instrument = instrument_of(decoding, head.text[SYMBOL]);
    if (instrument == NULL)
        return DECODE_EVENTS;
    struct event *event = batch_event(decoding->batch, EVENT_TICKER, decoding->input, instrument);
    event->exchange_us = time_us;
    event->ticker = ticker;
    decoding->batch->event_count++;
    return DECODE_EVENTS;
}
