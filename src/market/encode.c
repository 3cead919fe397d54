/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields are written through a bare pointer into room that event_encode_max promised: no check per
 * field. Each field ends with a comma, and the last comma becomes the closing brace.
 */
#include "market/encode.h"

#include "market/digits.h"
#include "market/text_run.h"
#include "market/utf8.h"

#include <assert.h>

#define COMMON_MAX 384 /* exchange (less its name), symbol, ts, recv, and what decimals touch */
#define FIELD_MAX 96   /* key, number or word, and what stands around them */
#define LEVEL_MAX (2 * DECIMAL_TEXT_MAX + 8)

static_assert(COMMON_MAX >= 64 + LIMIT_SYMBOL + 2 * 20 + 2 * DECIMAL_TEXT_MAX, "all fits");
static_assert(FIELD_MAX >= 24 + DECIMAL_TEXT_MAX, "the longest key and the longest number fit");

static ALWAYS_INLINE char *put(char *out, const char *text, size_t size)
{
    memcpy(out, text, size);
    return out + size;
}

/* A constant size, so that the copy is one or two stores. */
#define PUT(out, literal) put(out, literal, sizeof(literal) - 1)

static size_t text_max(struct slice text)
{
    return 6 * text.size + 2;
}

static size_t fields_max(const struct event *event)
{
    switch (event->type) {
    case EVENT_TRADE:
        return 5 * FIELD_MAX + text_max(event->trade.id);
    case EVENT_TICKER:
    case EVENT_QUOTE:
        return TICKER_FIELD_COUNT * FIELD_MAX;
    case EVENT_BOOK:
        return 5 * FIELD_MAX +
               ((size_t)event->book.bids.count + event->book.asks.count) * LEVEL_MAX;
    case EVENT_STATUS:
        return 3 * FIELD_MAX + text_max(event->status.reason) + text_max(event->status.channel);
    case EVENT_GAP:
        return 8 * FIELD_MAX + text_max(event->gap.channel) + text_max(event->gap.after_id) +
               text_max(event->gap.before_id) + text_max(event->gap.reason);
    case EVENT_EPOCH:
        return 4 * FIELD_MAX + text_max(event->epoch.node);
    case EVENT_CANDLE:
        return 10 * FIELD_MAX + text_max(event->candle.interval);
    case EVENT_TYPE_COUNT:
        break;
    }
    assert(false);
    return 0;
}

size_t event_encode_max(const struct event *event, struct slice exchange)
{
    return COMMON_MAX + text_max(exchange) + fields_max(event);
}

char *json_write_integer(char *out, int64_t value)
{
    *out = '-';
    out += value < 0;
    return digits_write(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

/* A byte that may not stand in a string as it is: two or six bytes. */
static char *put_escape(char *out, char byte)
{
    static const char named[] = "\bb\ff\nn\rr\tt\"\"\\\\";
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof(named) - 1; i += 2) {
        if (named[i] != byte)
            continue;
        out[0] = '\\';
        out[1] = named[i + 1];
        return out + 2;
    }
    out = PUT(out, "\\u00");
    out[0] = hex[(unsigned char)byte >> 4];
    out[1] = hex[byte & 15];
    return out + 2;
}

/* The rest of a text in which something is to be escaped or checked, and the closing quote. */
static char *put_text_long(char *out, struct slice text)
{
    const char *end = text.size == 0 ? text.data : text.data + text.size;
    for (const char *at = text.data; at < end;) {
        size_t size = utf8_character_size(at, (size_t)(end - at));
        if (size == 0) {
            out = PUT(out, "\xef\xbf\xbd"); /* U+FFFD */
            at++;
        } else if (size == 1 && ((unsigned char)*at < ' ' || *at == '"' || *at == '\\')) {
            out = put_escape(out, *at++);
        } else {
            out = put(out, at, size);
            at += size;
        }
    }
    *out = '"';
    return out + 1;
}

/* 8 to 16 bytes as two words that overlap. */
static ALWAYS_INLINE char *put_text_words(char *out, struct slice text)
{
    uint64_t first = word_load(text.data);
    uint64_t last = word_load(text.data + text.size - sizeof(last));
    if (UNLIKELY(text_stops_pair(first, last)))
        return put_text_long(out, text);
    word_store(out, first);
    word_store(out + text.size - sizeof(last), last);
    out[text.size] = '"';
    return out + text.size + 1;
}

/* 4 to 7 bytes: the same with half words. */
static ALWAYS_INLINE char *put_text_halves(char *out, struct slice text)
{
    uint32_t first;
    uint32_t last;
    memcpy(&first, text.data, sizeof(first));
    memcpy(&last, text.data + text.size - sizeof(last), sizeof(last));
    if (UNLIKELY(text_stops(first | (uint64_t)last << 32) != 0))
        return put_text_long(out, text);
    memcpy(out, &first, sizeof(first));
    memcpy(out + text.size - sizeof(last), &last, sizeof(last));
    out[text.size] = '"';
    return out + text.size + 1;
}

char *json_write_text(char *out, struct slice text)
{
    const size_t word_size = sizeof(uint64_t);
    *out++ = '"';
    for (; UNLIKELY(text.size > 2 * word_size); text.size -= word_size) {
        uint64_t word = word_load(text.data);
        if (UNLIKELY(text_stops(word) != 0))
            return put_text_long(out, text);
        word_store(out, word);
        out += word_size;
        text.data += word_size;
    }
    if (text.size >= word_size)
        return put_text_words(out, text);
    if (text.size >= word_size / 2)
        return put_text_halves(out, text);
    return put_text_long(out, text);
}

static ALWAYS_INLINE char *put_integer(char *out, int64_t value)
{
    out = json_write_integer(out, value);
    *out = ',';
    return out + 1;
}

static ALWAYS_INLINE char *put_text(char *out, struct slice text)
{
    out = json_write_text(out, text);
    *out = ',';
    return out + 1;
}

static char *put_word(char *out, const char *word)
{
    return put_text(out, slice_of(word));
}

static char *put_boolean(char *out, bool value)
{
    return value ? PUT(out, "true,") : PUT(out, "false,");
}

/* A symbol holds nothing that needs an escape (symbol_read). */
static ALWAYS_INLINE char *put_symbol(char *out, const struct symbol *symbol)
{
    out = PUT(out, "\"symbol\":\"");
    memcpy(out, symbol->text, 16);
    if (UNLIKELY(symbol->size > 16))
        memcpy(out + 16, symbol->text + 16, LIMIT_SYMBOL - 16);
    return PUT(out + symbol->size, "\",");
}

static ALWAYS_INLINE char *put_common(char *out, const struct event *event, struct slice exchange)
{
    if (LIKELY(exchange.size > 0)) {
        out = PUT(out, "\"exchange\":");
        out = put_text(out, exchange);
    }
    if (LIKELY(event->symbol != NULL))
        out = put_symbol(out, event->symbol);
    if (LIKELY(event->exchange_us != 0)) {
        out = PUT(out, "\"ts\":");
        out = put_integer(out, event->exchange_us);
    }
    if (LIKELY(event->received_us != 0)) {
        out = PUT(out, "\"recv\":");
        out = put_integer(out, event->received_us);
    }
    return out;
}

static char *put_trade(char *out, const struct trade *trade)
{
    if (LIKELY(trade->id.size > 0)) {
        out = PUT(out, "\"id\":");
        out = put_text(out, trade->id);
    }
    out = PUT(out, "\"price\":\"");
    out = decimal_write(out, trade->price);
    out = PUT(out, "\",\"size\":\"");
    out = decimal_write(out, trade->size);
    out = trade->side == SIDE_BUY ? PUT(out, "\",\"side\":\"buy\",")
                                  : PUT(out, "\",\"side\":\"sell\",");
    if (UNLIKELY(trade->origin != TRADE_LIVE)) {
        out = PUT(out, "\"origin\":");
        out = put_word(out, trade_origin_names[trade->origin]);
    }
    return out;
}

static char *put_decimal(char *out, const char *key, struct decimal value)
{
    *out++ = '"';
    out = put(out, key, strlen(key));
    out = PUT(out, "\":\"");
    out = decimal_write(out, value);
    return PUT(out, "\",");
}

static char *put_ticker(char *out, const struct ticker *ticker)
{
    assert(ticker->present < 1u << TICKER_FIELD_COUNT);
    for (uint64_t left = ticker->present; left != 0; left &= left - 1) {
        unsigned field = count_trailing_zeros(left);
        out = put_decimal(out, ticker_field_names[field], ticker->value[field]);
    }
    return out;
}

static char *put_levels(char *out, struct levels levels)
{
    *out++ = '[';
    for (uint32_t i = 0; i < levels.count; i++) {
        const struct level *level = &levels.level[i];
        out = PUT(out, "[\"");
        out = decimal_write(out, level->price);
        out = PUT(out, "\",\"");
        out = decimal_write(out, level->size);
        out = PUT(out, "\"],");
    }
    out -= levels.count > 0; /* the last comma */
    return PUT(out, "],");
}

static char *put_book(char *out, const struct book_change *book)
{
    /* The names of book_action_names, in one store each. */
    if (book->action == BOOK_UPDATE) {
        out = PUT(out, "\"action\":\"update\",");
    } else {
        assert(book->action == BOOK_SNAPSHOT);
        out = PUT(out, "\"action\":\"snapshot\",");
        if (book->proof != BOOK_PROOF_NONE) {
            out = PUT(out, "\"proof\":");
            out = put_word(out, book_proof_names[book->proof]);
        }
        out = PUT(out, "\"depth\":");
        out = put_integer(out, book->depth);
    }
    out = PUT(out, "\"bids\":");
    out = put_levels(out, book->bids);
    out = PUT(out, "\"asks\":");
    return put_levels(out, book->asks);
}

static char *put_status(char *out, const struct status *status)
{
    out = PUT(out, "\"state\":");
    out = put_word(out, status_state_names[status->state]);
    if (status->reason.size > 0) {
        out = PUT(out, "\"reason\":");
        out = put_text(out, status->reason);
    }
    if (status->channel.size > 0) {
        out = PUT(out, "\"channel\":");
        out = put_text(out, status->channel);
    }
    return out;
}

static char *put_gap(char *out, const struct gap *gap)
{
    out = PUT(out, "\"channel\":");
    out = put_text(out, gap->channel);
    if (gap->after_id.size > 0) {
        out = PUT(out, "\"after_id\":");
        out = put_text(out, gap->after_id);
    }
    if (gap->before_id.size > 0) {
        out = PUT(out, "\"before_id\":");
        out = put_text(out, gap->before_id);
    }
    if (gap->from_us != 0) {
        out = PUT(out, "\"from_ts\":");
        out = put_integer(out, gap->from_us);
    }
    if (gap->to_us != 0) {
        out = PUT(out, "\"to_ts\":");
        out = put_integer(out, gap->to_us);
    }
    if (gap->missing >= 0) {
        out = PUT(out, "\"missing\":");
        out = put_integer(out, gap->missing);
    }
    out = PUT(out, "\"filled\":");
    out = put_boolean(out, gap->filled);
    if (gap->reason.size > 0) {
        out = PUT(out, "\"reason\":");
        out = put_text(out, gap->reason);
    }
    return out;
}

static char *put_epoch(char *out, const struct epoch *epoch)
{
    out = PUT(out, "\"epoch\":");
    out = put_integer(out, epoch->epoch);
    out = PUT(out, "\"prev\":{\"epoch\":");
    out = put_integer(out, epoch->previous_epoch);
    out = PUT(out, "\"seq\":");
    out = json_write_integer(out, epoch->previous_seq);
    out = PUT(out, "},\"node\":");
    return put_text(out, epoch->node);
}

static char *put_candle(char *out, const struct candle *candle)
{
    out = PUT(out, "\"interval\":");
    out = put_text(out, candle->interval);
    out = PUT(out, "\"from_ts\":");
    out = put_integer(out, candle->open_us);
    out = PUT(out, "\"to_ts\":");
    out = put_integer(out, candle->close_us);
    out = put_decimal(out, "open", candle->open);
    out = put_decimal(out, "high", candle->high);
    out = put_decimal(out, "low", candle->low);
    out = put_decimal(out, "close", candle->close);
    out = put_decimal(out, "volume", candle->volume);
    if (candle->has_quote_volume)
        out = put_decimal(out, "quote_volume", candle->quote_volume);
    out = PUT(out, "\"closed\":");
    return put_boolean(out, candle->closed);
}

static ALWAYS_INLINE char *put_fields(char *out, const struct event *event)
{
    switch (event->type) {
    case EVENT_TRADE:
        return put_trade(out, &event->trade);
    case EVENT_TICKER:
    case EVENT_QUOTE:
        return put_ticker(out, &event->ticker);
    case EVENT_BOOK:
        return put_book(out, &event->book);
    case EVENT_STATUS:
        return put_status(out, &event->status);
    case EVENT_GAP:
        return put_gap(out, &event->gap);
    case EVENT_EPOCH:
        return put_epoch(out, &event->epoch);
    case EVENT_CANDLE:
        return put_candle(out, &event->candle);
    case EVENT_TYPE_COUNT:
        break;
    }
    assert(false);
    return out;
}

char *event_encode(char *out, const struct event *event, struct slice exchange)
{
    assert(exchange.size > 0 || event->type == EVENT_EPOCH);
    out = put_common(out, event, exchange);
    out = put_fields(out, event);
    out[-1] = '}';
    return out;
}
