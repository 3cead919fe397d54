/* SPDX-License-Identifier: Apache-2.0 */
/* One function for each kind of event; keys in one fixed order, so that texts can be compared. */
#include "tests/tools/dump.h"

static void decimal_append(struct buffer *out, struct decimal value)
{
    char text[DECIMAL_TEXT_MAX];
    buffer_append(out, "\"", 1);
    buffer_append(out, text, (size_t)(decimal_write(text, value) - text));
    buffer_append(out, "\"", 1);
}

static void named_decimal_append(struct buffer *out, const char *name, struct decimal value)
{
    buffer_append_format(out, ",\"%s\":", name);
    decimal_append(out, value);
}

/* The slice is still escaped, so it is JSON as it stands. */
static void named_slice_append(struct buffer *out, const char *name, struct slice value)
{
    buffer_append_format(out, ",\"%s\":\"", name);
    buffer_append_slice(out, value);
    buffer_append(out, "\"", 1);
}

static void named_number_append(struct buffer *out, const char *name, int64_t value)
{
    buffer_append_format(out, ",\"%s\":%lld", name, (long long)value);
}

static void trade_append(struct buffer *out, const struct trade *trade)
{
    static const char *const origins[] = {"live", "rest", "snapshot"};
    named_slice_append(out, "id", trade->id);
    named_decimal_append(out, "price", trade->price);
    named_decimal_append(out, "size", trade->size);
    named_slice_append(out, "side", trade->side == SIDE_BUY ? SLICE("buy") : SLICE("sell"));
    named_slice_append(out, "origin", slice_of(origins[trade->origin]));
    if (trade->aggregate)
        buffer_append_text(out, ",\"aggregate\":true");
}

static void ticker_append(struct buffer *out, const struct ticker *ticker)
{
    for (unsigned i = 0; i < TICKER_FIELD_COUNT; i++)
        if (ticker->present & (1u << i))
            named_decimal_append(out, ticker_field_names[i], ticker->value[i]);
}

static void levels_append(struct buffer *out, const char *name, struct levels levels)
{
    buffer_append_format(out, ",\"%s\":[", name);
    for (uint32_t i = 0; i < levels.count; i++) {
        buffer_append_text(out, i == 0 ? "[" : ",[");
        decimal_append(out, levels.level[i].price);
        buffer_append(out, ",", 1);
        decimal_append(out, levels.level[i].size);
        buffer_append(out, "]", 1);
    }
    buffer_append(out, "]", 1);
}

static void book_append(struct buffer *out, const struct book_change *book)
{
    static const char *const proofs[] = {"none", "chain", "checksum", "whole"};
    bool snapshot = book->action == BOOK_SNAPSHOT;
    named_slice_append(out, "action", snapshot ? SLICE("snapshot") : SLICE("update"));
    if (snapshot) {
        named_slice_append(out, "proof", slice_of(proofs[book->proof]));
        named_number_append(out, "depth", book->depth);
    }
    if (book->first_id != 0)
        named_number_append(out, "first_id", book->first_id);
    if (book->last_id != 0)
        named_number_append(out, "last_id", book->last_id);
    if (book->previous_id != 0)
        named_number_append(out, "previous_id", book->previous_id);
    levels_append(out, "bids", book->bids);
    levels_append(out, "asks", book->asks);
}

static void candle_append(struct buffer *out, const struct candle *candle)
{
    named_slice_append(out, "interval", candle->interval);
    named_number_append(out, "open_us", candle->open_us);
    named_number_append(out, "close_us", candle->close_us);
    named_decimal_append(out, "open", candle->open);
    named_decimal_append(out, "high", candle->high);
    named_decimal_append(out, "low", candle->low);
    named_decimal_append(out, "close", candle->close);
    named_decimal_append(out, "volume", candle->volume);
    if (candle->has_quote_volume)
        named_decimal_append(out, "quote_volume", candle->quote_volume);
    buffer_append_format(out, ",\"closed\":%s", candle->closed ? "true" : "false");
}

static void event_append(struct buffer *out, const struct event *event,
                         const struct instrument *instrument)
{
    buffer_append_format(out, "{\"type\":\"%s\"", event_type_names[event->type]);
    named_slice_append(out, "symbol", symbol_slice(event->symbol));
    named_slice_append(out, "native", slice_of(instrument->native));
    if (event->exchange_us != 0)
        named_number_append(out, "ts", event->exchange_us);
    if (event->order_id != 0)
        named_number_append(out, "order", event->order_id);
    switch (event->type) {
    case EVENT_TRADE:
        trade_append(out, &event->trade);
        break;
    case EVENT_TICKER:
    case EVENT_QUOTE:
        ticker_append(out, &event->ticker);
        break;
    case EVENT_BOOK:
        book_append(out, &event->book);
        break;
    case EVENT_CANDLE:
        candle_append(out, &event->candle);
        break;
    case EVENT_STATUS:
    case EVENT_GAP:
    case EVENT_EPOCH:
    case EVENT_TYPE_COUNT:
        assert(event->type == EVENT_TRADE); /* no decoder makes these */
    }
    buffer_append(out, "}", 1);
}

void dump_batch(struct buffer *out, enum decode_verdict verdict, const struct event_batch *batch)
{
    buffer_append_format(out, "{\"verdict\":\"%s\"", decode_verdict_names[verdict]);
    if (batch->left_out > 0)
        named_number_append(out, "left_out", batch->left_out);
    if (verdict == DECODE_REFUSED) {
        named_slice_append(out, "note", batch->note);
        if (batch->refused_name.size > 0)
            named_slice_append(out, "name", batch->refused_name);
        if (batch->refused_id >= 0)
            named_number_append(out, "id", batch->refused_id);
    }
    if (verdict == DECODE_EVENTS) {
        buffer_append_text(out, ",\"events\":[");
        for (uint32_t i = 0; i < batch->event_count; i++) {
            if (i > 0)
                buffer_append(out, ",", 1);
            event_append(out, &batch->event[i], batch->instrument[i]);
        }
        buffer_append(out, "]", 1);
    }
    buffer_append(out, "}", 1);
}
