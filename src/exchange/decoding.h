/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the decoders have in common: how events get into a batch, and what a price, a size and a
 * time must be like. For the adapters' folders only.
 */
#pragma once

#include "exchange/exchange.h"
#include "market/book.h"
#include "market/scan.h"

/* Bids are put into the first half of a batch's levels, asks into the second: a message may bring
 * both at once, in any order, and each must lie in one run. */
#define LEVEL_HALF (LIMIT_MESSAGE_LEVELS + 1)

/*
 * Times in microseconds stay exact in a JavaScript number (up to the year 2255), and a slip of unit
 * shows: milliseconds have at most 13 digits, and microseconds, where an exchange sends both, 16.
 */
#define TIME_US_MAX INT64_C(9007199254740991)
#define TIME_US_MIN INT64_C(1000000000000000)
#define TIME_MS_MAX (TIME_US_MAX / 1000)
#define TIME_MS_MIN INT64_C(100000000000) /* 1973: below it stand seconds, not milliseconds */

static ALWAYS_INLINE void batch_begin(struct event_batch *batch)
{
    batch->event_count = 0;
    batch->level_count = 0;
    batch->left_out = 0;
    batch->note = batch->refused_name = (struct slice){.data = NULL, .size = 0};
    batch->refused_id = -1;
}

/* Every decoder's last step: events count only with the verdict that says so. */
static ALWAYS_INLINE enum decode_verdict batch_finish(struct event_batch *batch,
                                                      enum decode_verdict verdict)
{
    assert(verdict != DECODE_EVENTS || batch->event_count > 0);
    if (verdict != DECODE_EVENTS)
        batch->event_count = batch->left_out = 0;
    return verdict;
}

static ALWAYS_INLINE bool batch_is_full(const struct event_batch *batch)
{
    return batch->event_count == LIMIT_MESSAGE_EVENTS;
}

/* The next free event with its head filled. Not counted yet: the caller adds 1 to event_count when
 * the event is whole. The batch must not be full. */
static ALWAYS_INLINE struct event *batch_event(struct event_batch *batch, enum event_type type,
                                               const struct decode_input *input,
                                               struct instrument *instrument)
{
    assert(!batch_is_full(batch));
    struct event *event = &batch->event[batch->event_count];
    batch->instrument[batch->event_count] = instrument;
    event->type = type;
    event->symbol = &instrument->symbol;
    event->exchange_us = 0;
    event->received_us = input->received_us;
    event->order_id = 0;
    return event;
}

static ALWAYS_INLINE bool is_positive(struct decimal value)
{
    return value.mantissa > 0;
}

static ALWAYS_INLINE bool is_negative(struct decimal value)
{
    return value.mantissa < 0;
}

/* Milliseconds since 1970 to microseconds; false when they cannot be milliseconds. */
static ALWAYS_INLINE bool time_from_ms(int64_t value, int64_t *ret_us)
{
    if (UNLIKELY(value < TIME_MS_MIN || value > TIME_MS_MAX))
        return false;
    *ret_us = value * 1000;
    return true;
}

/* By magnitude, for the exchanges that send either. */
static ALWAYS_INLINE bool time_from_ms_or_us(int64_t value, int64_t *ret_us)
{
    if (value >= TIME_US_MIN) {
        *ret_us = value;
        return value <= TIME_US_MAX;
    }
    return time_from_ms(value, ret_us);
}

/* Whether a text is a literal: SLICE("..."), whose size the compiler then knows. */
static ALWAYS_INLINE bool text_is(struct slice text, struct slice literal)
{
    return text.size == literal.size && memcmp(text.data, literal.data, literal.size) == 0;
}

/*
 * Whether both are the same but for case. (And but for the few signs that differ in the same bit:
 * it is a check for contradictions, symbols are looked up exactly.) Both must lie in a message, so
 * that whole words can be loaded behind them.
 */
static ALWAYS_INLINE bool same_symbol(struct slice left, struct slice right)
{
    const uint64_t case_bits = UINT64_C(0x2020202020202020); /* of upper and lower case */
    if (left.size != right.size)
        return false;
    uint64_t differing = 0;
    size_t at = 0;
    for (; left.size - at >= 8; at += 8)
        differing |= word_load(left.data + at) ^ word_load(right.data + at);
    if (at < left.size)
        differing |= (word_load(left.data + at) ^ word_load(right.data + at))
                     << (64 - 8 * (left.size - at));
    return (differing & ~case_bits) == 0;
}

/*
 * What a text that did not scan as anything known is: of an unknown type when it is valid JSON all
 * the same, else malformed.
 */
enum decode_verdict unknown_or_malformed(struct slice text);

/*
 * Level arrays: [["price","size"],...], as Binance and Bithumb's old API send them. At most
 * LIMIT_MESSAGE_LEVELS, prices > 0 and sizes >= 0, into out. False when it is no such array, or a
 * number is out of bounds; the scan may then have failed.
 */
static ALWAYS_INLINE bool levels_read(struct scan *scan, struct level *out, uint32_t *ret_count)
{
    uint32_t count = scan_levels(scan, out, LIMIT_MESSAGE_LEVELS);
    int64_t signs = 0; /* negative as soon as one number is out of bounds */
    for (uint32_t i = 0; i < count; i++)
        signs |= (out[i].price.mantissa - 1) | out[i].size.mantissa;
    *ret_count = count;
    return !scan->failed && signs >= 0;
}

static ALWAYS_INLINE struct levels levels_of(const struct level *level, uint32_t count)
{
    return (struct levels){.level = level, .count = count};
}
