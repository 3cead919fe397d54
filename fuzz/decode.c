/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The message is put into memory of just its size and padding, so that the address sanitizer sees
 * a decoder that looks further. Allocation per input is fine here: it is not the product.
 */
#include "fuzz/decode.h"

#include "base/memory.h"
#include "exchange/exchange.h"
#include "market/book.h"
#include "market/encode.h"
#include "market/read.h"

#include <stdio.h>
#include <stdlib.h>

#define INSTRUMENTS 64

/* Kept between inputs: they are large, and the decoder is promised that it may reuse them. */
static struct event_batch batch;
static struct read_scratch scratch;

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "broken promise: %s\n", what);
    abort();
}

/* ---- what a batch promises ---- */

static void levels_require(struct levels levels)
{
    for (uint32_t i = 0; i < levels.count; i++)
        require(levels.level[i].price.mantissa > 0 && levels.level[i].size.mantissa >= 0,
                "levels have a price and no negative size");
}

static void event_require(const struct event *event)
{
    require(event->symbol != NULL && event->symbol->size > 0, "an event has a symbol");
    require(event->exchange_us >= 0, "times are not negative");
    require(event->order_id >= 0, "neither are numbers");
    if (event->type == EVENT_TRADE) {
        require(event->trade.price.mantissa > 0, "a trade has a price");
        require(event->trade.size.mantissa > 0, "a trade has a size");
        require(event->trade.id.size <= LIMIT_TRADE_ID, "an id fits");
    } else if (event->type == EVENT_BOOK) {
        levels_require(event->book.bids);
        levels_require(event->book.asks);
        require(event->book.action == BOOK_UPDATE || (levels_ordered(event->book.bids, true) &&
                                                      levels_ordered(event->book.asks, false)),
                "a whole book is in order");
    }
}

static void batch_require(enum decode_verdict verdict)
{
    require((unsigned)verdict < DECODE_VERDICT_COUNT, "a verdict is one of them");
    require((batch.event_count > 0) == (verdict == DECODE_EVENTS),
            "events only with their verdict");
    require(batch.event_count <= LIMIT_MESSAGE_EVENTS, "events fit the batch");
    for (uint32_t i = 0; i < batch.event_count; i++) {
        require(batch.instrument[i] != NULL, "an event has an instrument");
        event_require(&batch.event[i]);
    }
}

/* ---- there and back ---- */

static bool levels_same(struct levels left, struct levels right)
{
    if (left.count != right.count)
        return false;
    for (uint32_t i = 0; i < left.count; i++)
        if (!decimal_equal(left.level[i].price, right.level[i].price) ||
            !decimal_equal(left.level[i].size, right.level[i].size))
            return false;
    return true;
}

static bool ticker_same(const struct ticker *left, const struct ticker *right)
{
    if (left->present != right->present)
        return false;
    for (unsigned i = 0; i < TICKER_FIELD_COUNT; i++)
        if ((left->present & (1u << i)) && !decimal_equal(left->value[i], right->value[i]))
            return false;
    return true;
}

static bool trade_same(const struct trade *left, const struct trade *right)
{
    return slice_equal(left->id, right->id) && decimal_equal(left->price, right->price) &&
           decimal_equal(left->size, right->size) && left->side == right->side &&
           left->origin == right->origin;
}

static bool book_same(const struct book_change *left, const struct book_change *right)
{
    bool snapshot = left->action == BOOK_SNAPSHOT;
    return left->action == right->action && levels_same(left->bids, right->bids) &&
           levels_same(left->asks, right->asks) &&
           (!snapshot || (left->proof == right->proof && left->depth == right->depth));
}

static bool event_same(const struct event *left, const struct event *right)
{
    if (left->type != right->type || left->exchange_us != right->exchange_us ||
        left->received_us != right->received_us ||
        !slice_equal(symbol_slice(left->symbol), symbol_slice(right->symbol)))
        return false;
    if (left->type == EVENT_TRADE)
        return trade_same(&left->trade, &right->trade);
    if (left->type == EVENT_BOOK)
        return book_same(&left->book, &right->book);
    return ticker_same(&left->ticker, &right->ticker);
}

/* The head is the sequencer's; the body is event_encode's. */
static void event_round_trip(const struct event *event, struct slice exchange)
{
    if (event->type == EVENT_CANDLE) /* not part of the stream */
        return;
    size_t max = event_encode_max(event, exchange);
    char *text = memory_alloc(max + 128 + LIMIT_PADDING);
    int head = snprintf(text, 128, "{\"type\":\"%s\",\"seq\":7,", event_type_names[event->type]);
    char *end = event_encode(text + head, event, exchange);
    require((size_t)(end - text) - (size_t)head <= max, "an event fits its bound");
    memset(end, 0, LIMIT_PADDING + 1);
    struct read_message message;
    struct slice whole = {.data = text, .size = (size_t)(end - text)};
    require(message_read(whole, &scratch, &message) == READ_EVENT, "our reader reads our JSON");
    require(message.seq == 7 && slice_equal(message.exchange, exchange), "the head is kept");
    require(event_same(event, &message.event), "an event reads back as the same");
    memory_free(text);
}

int fuzz_decode(const char *exchange_name, unsigned generation, const uint8_t *data, size_t size)
{
    struct slice name = slice_of(exchange_name);
    const struct exchange *exchange = exchange_find(name, generation);
    require(exchange != NULL, "the exchange is there");
    struct instruments *instruments = instruments_create(INSTRUMENTS, true);
    char *text = memory_alloc(size + 1 + LIMIT_PADDING);
    if (size > 0)
        memcpy(text, data, size);
    struct decode_input input = {
        .text = {.data = text, .size = size}, .received_us = 1, .instruments = instruments};
    enum decode_verdict verdict = exchange->decode(NULL, &input, &batch);
    batch_require(verdict);
    for (uint32_t i = 0; i < batch.event_count; i++)
        event_round_trip(&batch.event[i], name);
    memory_free(text);
    instruments_destroy(instruments);
    return 0;
}
