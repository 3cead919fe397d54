/* SPDX-License-Identifier: Apache-2.0 */
/* The reading of one payload by shapes. A value that has no shape of ours is passed over, and is
 * then of the wrong shape, should the event need it. */
#include "exchange/binance/payload.h"

#include "exchange/decoding.h"

/* After an attempt that failed, at a value that stands at `start`. */
static void value_skip(struct scan *scan, const char *start)
{
    scan->failed = false;
    scan->at = start;
    scan_skip(scan);
}

/* Letters whose value is always words, even when it looks like a number. */
static ALWAYS_INLINE bool is_letter_of_text(unsigned index)
{
    return index == SLOT('e') || index == SLOT('s') || index == SLOT('i');
}

/* A quoted decimal, or a text when it is none. */
static ALWAYS_INLINE enum shape string_take(struct slot *slot, struct scan *scan, unsigned index)
{
    if (!is_letter_of_text(index)) {
        const char *end;
        enum decimal_verdict verdict = decimal_read(scan->at + 1, &end, &slot->decimal);
        if (LIKELY(verdict != DECIMAL_INVALID && *end == '"')) {
            scan->at = end + 1;
            return verdict == DECIMAL_OK ? SHAPE_DECIMAL : SHAPE_TOO_LONG;
        }
    }
    slot->text = scan_text(scan);
    return SHAPE_TEXT;
}

static ALWAYS_INLINE enum shape integer_take(struct slot *slot, struct scan *scan)
{
    const char *start = scan->at;
    slot->integer = scan_integer(scan);
    if (UNLIKELY(scan->failed)) { /* a fraction, an exponent, or too large */
        value_skip(scan, start);
        return SHAPE_OTHER;
    }
    slot->text = (struct slice){.data = start, .size = (size_t)(scan->at - start)};
    return SHAPE_INTEGER;
}

static enum shape levels_take(struct slot *slot, struct scan *scan, unsigned index,
                              struct event_batch *batch)
{
    bool bids = index == SLOT('b') || index == SLOT_BIDS;
    const char *start = scan->at;
    if (bids || index == SLOT('a') || index == SLOT_ASKS) {
        struct level *out = bids ? batch->level : batch->level + LEVEL_HALF;
        if (LIKELY(levels_read(scan, out, &slot->level_count)))
            return SHAPE_LEVELS;
    }
    value_skip(scan, start);
    return SHAPE_OTHER;
}

static enum shape other_take(struct slot *slot, struct scan *scan, char next)
{
    if (next == '-')
        return integer_take(slot, scan);
    if (next == 't' || next == 'f')
        return scan_boolean(scan) ? SHAPE_TRUE : SHAPE_FALSE;
    slot->text.data = scan->at;
    scan_skip(scan);
    return next == '{' ? SHAPE_OBJECT : SHAPE_OTHER;
}

static ALWAYS_INLINE void value_take(struct payload *payload, struct scan *scan, unsigned index,
                                     struct event_batch *batch)
{
    struct slot *slot = &payload->slot[index];
    enum shape shape;
    char next = *scan->at;
    if (next == '"')
        shape = string_take(slot, scan, index);
    else if (next >= '0' && next <= '9')
        shape = integer_take(slot, scan);
    else if (next == '[')
        shape = levels_take(slot, scan, index, batch);
    else
        shape = other_take(slot, scan, next);
    payload->repeated |= payload->shape[index];
    payload->shape[index] = (uint8_t)shape;
}

/* A bit for each letter's slot: between 'Z' and 'a' there are signs. */
#define LETTERS (((UINT64_C(1) << 26) - 1) | ((UINT64_C(1) << 26) - 1) << SLOT('a'))

static ALWAYS_INLINE bool is_letter_slot(unsigned index)
{
    return index < 64 && (LETTERS >> index & 1) != 0;
}

/* The slot of a key; SLOT_COUNT when it has none. */
static unsigned key_slot(struct slice key)
{
    if (key.size == 1)
        return is_letter_slot(SLOT(key.data[0])) ? SLOT(key.data[0]) : SLOT_COUNT;
    return text_is(key, SLICE("pu"))             ? SLOT_PREVIOUS_ID
           : text_is(key, SLICE("bids"))         ? SLOT_BIDS
           : text_is(key, SLICE("asks"))         ? SLOT_ASKS
           : text_is(key, SLICE("lastUpdateId")) ? SLOT_LAST_UPDATE_ID
                                                 : SLOT_COUNT;
}

bool payload_take(struct payload *payload, struct scan *scan, struct slice key,
                  struct event_batch *batch)
{
    unsigned index = key_slot(key);
    if (index == SLOT_COUNT) {
        scan_skip(scan);
        return false;
    }
    scan_space(scan);
    value_take(payload, scan, index, batch);
    return true;
}

/* `,"x":` and the value, without blanks, as it always comes. Eight bytes are looked at at once. */
static ALWAYS_INLINE bool usual_member_take(struct payload *payload, struct scan *scan,
                                            struct event_batch *batch)
{
    const uint64_t form = UINT64_C(0x3a2200222c); /* , " * " : from the lowest byte on */
    const uint64_t form_mask = UINT64_C(0xffff00ffff);
    uint64_t head = word_load(scan->at);
    unsigned index = SLOT(head >> 16);
    if (UNLIKELY((head & form_mask) != form || !is_letter_slot(index)))
        return false;
    scan->at += 5;
    scan_space(scan);
    value_take(payload, scan, index, batch);
    return true;
}

void payload_take_object(struct payload *payload, struct scan *scan, struct event_batch *batch)
{
    struct slice key;
    bool first = true;
    scan_expect(scan, '{');
    while (scan_next_key(scan, &first, &key)) {
        (void)payload_take(payload, scan, key, batch);
        while (usual_member_take(payload, scan, batch))
            continue;
    }
}
