/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and values of the quotation protocol. */
#include "exchange/quotation_message.h"

#include "exchange/decoding.h"
#include "market/decimal_quick.h"

/* ---- keys ---- */

/* The size is known to be equal; for the compiler to make one comparison of it. */
#define KEY_IS(key, literal) (memcmp((key).data, literal, sizeof(literal) - 1) == 0)

static enum quotation_field short_key_find(struct slice key)
{
    switch (key.size) {
    case 2:
        return KEY_IS(key, "ty")   ? FIELD_TYPE
               : KEY_IS(key, "cd") ? FIELD_CODE
               : KEY_IS(key, "tp") ? FIELD_TRADE_PRICE
               : KEY_IS(key, "tv") ? FIELD_TRADE_VOLUME
               : KEY_IS(key, "ab") ? FIELD_ASK_BID
               : KEY_IS(key, "st") ? FIELD_STREAM_TYPE
               : KEY_IS(key, "op") ? FIELD_OPENING_PRICE
               : KEY_IS(key, "hp") ? FIELD_HIGH_PRICE
               : KEY_IS(key, "lp") ? FIELD_LOW_PRICE
                                   : FIELD_COUNT;
    case 3:
        return KEY_IS(key, "tms")   ? FIELD_TIMESTAMP
               : KEY_IS(key, "sid") ? FIELD_SEQUENTIAL_ID
               : KEY_IS(key, "obu") ? FIELD_UNITS
                                    : FIELD_COUNT;
    case 4:
        return KEY_IS(key, "type")   ? FIELD_TYPE
               : KEY_IS(key, "code") ? FIELD_CODE
               : KEY_IS(key, "ttms") ? FIELD_TRADE_TIMESTAMP
               : KEY_IS(key, "catv") ? FIELD_CANDLE_VOLUME
               : KEY_IS(key, "catp") ? FIELD_CANDLE_QUOTE_VOLUME
               : KEY_IS(key, "mthd") ? FIELD_METHOD
               : KEY_IS(key, "rslt") ? FIELD_RESULT
                                     : FIELD_COUNT;
    case 5:
        return KEY_IS(key, "error") ? FIELD_ERROR : FIELD_COUNT;
    case 6:
        return KEY_IS(key, "status")   ? FIELD_STATUS
               : KEY_IS(key, "method") ? FIELD_METHOD
               : KEY_IS(key, "result") ? FIELD_RESULT
               : KEY_IS(key, "atv24h") ? FIELD_DAY_VOLUME
               : KEY_IS(key, "atp24h") ? FIELD_DAY_QUOTE_VOLUME
               : KEY_IS(key, "cdttmu") ? FIELD_CANDLE_TIME
                                       : FIELD_COUNT;
    default:
        return FIELD_COUNT;
    }
}

static enum quotation_field key_find(struct slice key)
{
    switch (key.size) {
    case 7:
        return KEY_IS(key, "ask_bid") ? FIELD_ASK_BID : FIELD_COUNT;
    case 9:
        return KEY_IS(key, "timestamp")   ? FIELD_TIMESTAMP
               : KEY_IS(key, "low_price") ? FIELD_LOW_PRICE
                                          : FIELD_COUNT;
    case 10:
        return KEY_IS(key, "high_price") ? FIELD_HIGH_PRICE : FIELD_COUNT;
    case 11:
        return KEY_IS(key, "trade_price")   ? FIELD_TRADE_PRICE
               : KEY_IS(key, "stream_type") ? FIELD_STREAM_TYPE
                                            : FIELD_COUNT;
    case 12:
        return KEY_IS(key, "trade_volume") ? FIELD_TRADE_VOLUME : FIELD_COUNT;
    case 13:
        return KEY_IS(key, "sequential_id")   ? FIELD_SEQUENTIAL_ID
               : KEY_IS(key, "opening_price") ? FIELD_OPENING_PRICE
                                              : FIELD_COUNT;
    case 15:
        return KEY_IS(key, "orderbook_units")   ? FIELD_UNITS
               : KEY_IS(key, "trade_timestamp") ? FIELD_TRADE_TIMESTAMP
                                                : FIELD_COUNT;
    case 19:
        return KEY_IS(key, "acc_trade_price_24h") ? FIELD_DAY_QUOTE_VOLUME : FIELD_COUNT;
    case 20:
        return KEY_IS(key, "acc_trade_volume_24h")   ? FIELD_DAY_VOLUME
               : KEY_IS(key, "candle_date_time_utc") ? FIELD_CANDLE_TIME
                                                     : FIELD_COUNT;
    case 22:
        return KEY_IS(key, "candle_acc_trade_price") ? FIELD_CANDLE_QUOTE_VOLUME : FIELD_COUNT;
    case 23:
        return KEY_IS(key, "candle_acc_trade_volume") ? FIELD_CANDLE_VOLUME : FIELD_COUNT;
    default:
        return short_key_find(key);
    }
}

/* ---- the units of a book ---- */

enum unit_field { UNIT_ASK_PRICE, UNIT_BID_PRICE, UNIT_ASK_SIZE, UNIT_BID_SIZE, UNIT_COUNT };

#define UNIT_ALL ((1u << UNIT_COUNT) - 1)

/* ask_price, bid_price, ask_size, bid_size, or ap, bp, as, bs; UNIT_COUNT for any other key. */
static unsigned unit_key_find(struct slice key)
{
    if (key.size == 9)
        return KEY_IS(key, "ask_price")   ? UNIT_ASK_PRICE
               : KEY_IS(key, "bid_price") ? UNIT_BID_PRICE
                                          : UNIT_COUNT;
    if (key.size == 8)
        return KEY_IS(key, "ask_size")   ? UNIT_ASK_SIZE
               : KEY_IS(key, "bid_size") ? UNIT_BID_SIZE
                                         : UNIT_COUNT;
    if (key.size == 2)
        return KEY_IS(key, "ap")   ? UNIT_ASK_PRICE
               : KEY_IS(key, "bp") ? UNIT_BID_PRICE
               : KEY_IS(key, "as") ? UNIT_ASK_SIZE
               : KEY_IS(key, "bs") ? UNIT_BID_SIZE
                                   : UNIT_COUNT;
    return UNIT_COUNT;
}

/* Any order of keys, and blanks. */
static bool unit_read_any(struct scan *scan, struct decimal value[UNIT_COUNT])
{
    struct slice key;
    bool first = true;
    unsigned given = 0;
    scan_expect(scan, '{');
    while (scan_next_key(scan, &first, &key)) {
        unsigned field = unit_key_find(key);
        if (field == UNIT_COUNT) {
            scan_skip(scan);
            continue;
        }
        if ((given & (1u << field)) != 0 || scan_number(scan, &value[field]) != DECIMAL_OK)
            return false;
        given |= 1u << field;
    }
    return given == UNIT_ALL && !scan->failed;
}

/* A JSON number of ordinary length and not below zero, which is nearly every one; false: it is for
 * scan_number to judge. */
static ALWAYS_INLINE bool number_quick(const char **at, struct decimal *ret_value)
{
    const char *text = *at;
    if (UNLIKELY(*text <= '0' && (*text != '0' || text[1] != '.')))
        return false; /* a sign, or zeros at the front */
    return decimal_read_quick(text, at, ret_value);
}

/* Any other; behind what is no number `at` means nothing. */
static bool number_long(const char **at, struct decimal *ret_value)
{
    struct scan scan = {.at = *at, .end = *at, .failed = false};
    bool taken = scan_number(&scan, ret_value) == DECIMAL_OK;
    *at = scan.at;
    return taken;
}

/* Takes the text and the number behind it. */
static ALWAYS_INLINE bool number_behind(const char **at, struct slice text,
                                        struct decimal *ret_value)
{
    if (UNLIKELY(memcmp(*at, text.data, text.size) != 0))
        return false;
    *at += text.size;
    return LIKELY(number_quick(at, ret_value)) || number_long(at, ret_value);
}

/* The order in which both exchanges send the keys, in either spelling. */
static ALWAYS_INLINE bool unit_read(struct scan *scan, struct decimal value[UNIT_COUNT])
{
    const char *at = scan->at;
    bool usual;
    if (at[4] == '"') /* {"ap" */
        usual = number_behind(&at, SLICE("{\"ap\":"), &value[UNIT_ASK_PRICE]) &&
                number_behind(&at, SLICE(",\"bp\":"), &value[UNIT_BID_PRICE]) &&
                number_behind(&at, SLICE(",\"as\":"), &value[UNIT_ASK_SIZE]) &&
                number_behind(&at, SLICE(",\"bs\":"), &value[UNIT_BID_SIZE]);
    else
        usual = number_behind(&at, SLICE("{\"ask_price\":"), &value[UNIT_ASK_PRICE]) &&
                number_behind(&at, SLICE(",\"bid_price\":"), &value[UNIT_BID_PRICE]) &&
                number_behind(&at, SLICE(",\"ask_size\":"), &value[UNIT_ASK_SIZE]) &&
                number_behind(&at, SLICE(",\"bid_size\":"), &value[UNIT_BID_SIZE]);
    if (UNLIKELY(!usual || *at != '}'))
        return unit_read_any(scan, value);
    scan->at = at + 1;
    return true;
}

/* A thin side is padded with zeros, and a live price may have a size that prints as 0: there is
 * nothing to buy or sell in either, so neither is a level. */
static ALWAYS_INLINE uint32_t level_append(struct level *out, uint32_t count, struct decimal price,
                                           struct decimal size)
{
    out[count] = (struct level){.price = price, .size = size};
    return count + (!decimal_is_zero(price) && !decimal_is_zero(size));
}

static ALWAYS_INLINE bool is_any_negative(const struct decimal value[UNIT_COUNT])
{
    return (value[UNIT_ASK_PRICE].mantissa | value[UNIT_BID_PRICE].mantissa |
            value[UNIT_ASK_SIZE].mantissa | value[UNIT_BID_SIZE].mantissa) < 0;
}

static bool units_read(struct quotation_message *message, struct scan *scan,
                       struct event_batch *batch)
{
    struct decimal value[UNIT_COUNT];
    bool first = true;
    uint32_t bids = 0;
    uint32_t asks = 0;
    if (scan_peek(scan) != '[')
        return false;
    scan_expect(scan, '[');
    while (scan_next_element(scan, &first)) {
        if (!unit_read(scan, value) || is_any_negative(value))
            return false;
        if (bids == LIMIT_MESSAGE_LEVELS || asks == LIMIT_MESSAGE_LEVELS)
            return false;
        bids = level_append(batch->level, bids, value[UNIT_BID_PRICE], value[UNIT_BID_SIZE]);
        asks = level_append(batch->level + LEVEL_HALF, asks, value[UNIT_ASK_PRICE],
                            value[UNIT_ASK_SIZE]);
    }
    message->bid_count = bids;
    message->ask_count = asks;
    return !scan->failed;
}

/* ---- values ---- */

/* {"name":"NO_TICKET","message":"..."} in either order: the message, else the name. */
static bool error_read(struct quotation_message *message, struct scan *scan)
{
    struct slice key;
    bool first = true;
    if (scan_peek(scan) != '{')
        return false;
    scan_expect(scan, '{');
    while (scan_next_key(scan, &first, &key)) {
        bool is_text = scan_peek(scan) == '"';
        if (is_text && slice_equal(key, SLICE("message")))
            message->words = scan_text(scan);
        else if (is_text && slice_equal(key, SLICE("name")))
            message->name = scan_text(scan);
        else
            scan_skip(scan);
    }
    if (message->name.size > 0) /* it says more than the translated message, and is plain */
        message->words = message->name;
    return !scan->failed;
}

static ALWAYS_INLINE bool text_read(struct quotation_message *message, struct scan *scan,
                                    unsigned field)
{
    if (UNLIKELY(scan_peek(scan) != '"'))
        return false;
    message->value[field].text = scan_text(scan);
    return !scan->failed;
}

static bool integer_read(struct quotation_message *message, struct scan *scan, unsigned field)
{
    (void)scan_peek(scan); /* steps over blanks */
    const char *start = scan->at;
    struct quotation_value *value = &message->value[field];
    value->integer = scan_integer(scan);
    if (UNLIKELY(scan->failed))
        return false;
    value->text = (struct slice){.data = start, .size = (size_t)(scan->at - start)};
    return true;
}

static bool number_read(struct quotation_message *message, struct scan *scan, unsigned field)
{
    struct decimal *value = &message->value[field].decimal;
    if (LIKELY(number_quick(&scan->at, value)))
        return true;
    enum decimal_verdict verdict = scan_number(scan, value);
    if (UNLIKELY(verdict == DECIMAL_TOO_LONG))
        message->too_long |= FIELD_BIT(field);
    return verdict == DECIMAL_OK;
}

/* False when the value is not of the field's kind; the scan may then have failed. */
static ALWAYS_INLINE bool value_read(struct quotation_message *message, struct scan *scan,
                                     enum quotation_field field, struct event_batch *batch)
{
    switch (field) {
    case FIELD_TYPE:
    case FIELD_CODE:
    case FIELD_ASK_BID:
    case FIELD_STREAM_TYPE:
    case FIELD_CANDLE_TIME:
    case FIELD_STATUS:
    case FIELD_METHOD:
        return text_read(message, scan, field);
    case FIELD_TIMESTAMP:
    case FIELD_TRADE_TIMESTAMP:
    case FIELD_SEQUENTIAL_ID:
        return integer_read(message, scan, field);
    case FIELD_TRADE_PRICE:
    case FIELD_TRADE_VOLUME:
    case FIELD_OPENING_PRICE:
    case FIELD_HIGH_PRICE:
    case FIELD_LOW_PRICE:
    case FIELD_DAY_VOLUME:
    case FIELD_DAY_QUOTE_VOLUME:
    case FIELD_CANDLE_VOLUME:
    case FIELD_CANDLE_QUOTE_VOLUME:
        return number_read(message, scan, field);
    case FIELD_UNITS:
        return units_read(message, scan, batch);
    case FIELD_ERROR:
        return error_read(message, scan);
    case FIELD_RESULT:
        scan_skip(scan);
        return !scan->failed;
    case FIELD_COUNT:
        break;
    }
    return false;
}

/* What is not of its kind is passed over and counts as not given: which type needs it is not known
 * yet. */
static ALWAYS_INLINE void field_take(struct quotation_message *message, struct scan *scan,
                                     enum quotation_field field, struct event_batch *batch)
{
    uint32_t bit = FIELD_BIT(field);
    message->repeated |= message->seen & bit;
    message->seen |= bit;
    struct scan before = *scan;
    if (LIKELY(value_read(message, scan, field, batch))) {
        message->given |= bit;
        return;
    }
    if (message->too_long & bit)
        return;
    *scan = before;
    if (scan_take_null(scan))
        message->null |= bit;
    else
        scan_skip(scan);
}

/* ---- a trade as it usually comes ---- */

static ALWAYS_INLINE bool expected_take(struct quotation_message *message, struct scan *scan,
                                        struct slice key, enum quotation_field field)
{
    if (!scan_take_exact(scan, key))
        return false;
    field_take(message, scan, field, NULL);
    return true;
}

static ALWAYS_INLINE void expected_skip(struct scan *scan, struct slice key)
{
    if (scan_take_exact(scan, key))
        scan_skip(scan);
}

/* Upbit has it before the price, Bithumb behind it. */
static bool expected_take_time(struct quotation_message *message, struct scan *scan)
{
    expected_skip(scan, SLICE(",\"trade_date\":"));
    expected_skip(scan, SLICE(",\"trade_time\":"));
    return expected_take(message, scan, SLICE(",\"trade_timestamp\":"), FIELD_TRADE_TIMESTAMP);
}

/*
 * Of a trade's keys those that come in the usual order: comparing with what is expected next is a
 * fraction of the work of looking at each key. Any of them may be missing; it takes what it finds
 * as the general way does, which goes on from where this one stops.
 */
static void expected_trade(struct quotation_message *message, struct scan *scan)
{
    expected_take(message, scan, SLICE(",\"code\":"), FIELD_CODE);
    bool early = expected_take(message, scan, SLICE(",\"timestamp\":"), FIELD_TIMESTAMP);
    if (early)
        expected_take_time(message, scan);
    expected_take(message, scan, SLICE(",\"trade_price\":"), FIELD_TRADE_PRICE);
    expected_take(message, scan, SLICE(",\"trade_volume\":"), FIELD_TRADE_VOLUME);
    expected_take(message, scan, SLICE(",\"ask_bid\":"), FIELD_ASK_BID);
    expected_skip(scan, SLICE(",\"prev_closing_price\":"));
    expected_skip(scan, SLICE(",\"change\":"));
    expected_skip(scan, SLICE(",\"change_price\":"));
    if (!early)
        expected_take_time(message, scan);
    expected_take(message, scan, SLICE(",\"sequential_id\":"), FIELD_SEQUENTIAL_ID);
    if (!early)
        expected_take(message, scan, SLICE(",\"timestamp\":"), FIELD_TIMESTAMP);
    expected_skip(scan, SLICE(",\"best_ask_price\":"));
    expected_skip(scan, SLICE(",\"best_ask_size\":"));
    expected_skip(scan, SLICE(",\"best_bid_price\":"));
    expected_skip(scan, SLICE(",\"best_bid_size\":"));
    expected_take(message, scan, SLICE(",\"stream_type\":"), FIELD_STREAM_TYPE);
}

bool quotation_message_read(struct quotation_message *message, struct slice text,
                            struct event_batch *batch)
{
    struct scan scan = scan_begin(text);
    struct slice key;
    bool first = true;
    message->seen = message->repeated = message->given = message->null = message->too_long = 0;
    message->bid_count = message->ask_count = 0;
    message->words = message->name = (struct slice){.data = NULL, .size = 0};
    scan_expect(&scan, '{');
    if (expected_take(message, &scan, SLICE("\"type\":"), FIELD_TYPE)) {
        first = false;
        if (message->given != 0 && text_is(message->value[FIELD_TYPE].text, SLICE("trade")))
            expected_trade(message, &scan);
    }
    while (scan_next_key(&scan, &first, &key)) {
        enum quotation_field field = key_find(key);
        if (field == FIELD_COUNT)
            scan_skip(&scan);
        else
            field_take(message, &scan, field, batch);
    }
    return scan_finish(&scan) && message->repeated == 0;
}
