/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chain of comparisons with what is expected next, half the work of looking at each key. It
 * decides nothing: what it reads is judged by the same code as what the general way reads, and the
 * fixtures go through both.
 */
#include "exchange/binance/usual.h"

#include "exchange/decoding.h"

static ALWAYS_INLINE bool take(struct scan *scan, struct slice text)
{
    if (UNLIKELY(memcmp(scan->at, text.data, text.size) != 0))
        return false;
    scan->at += text.size;
    return true;
}

static ALWAYS_INLINE void shape_set(struct payload *payload, unsigned index, enum shape shape)
{
    payload->shape[index] = (uint8_t)shape;
}

static ALWAYS_INLINE bool text_take(struct payload *payload, struct scan *scan, struct slice key,
                                    char letter)
{
    if (!take(scan, key))
        return false;
    payload->slot[SLOT(letter)].text = scan_text(scan);
    shape_set(payload, SLOT(letter), SHAPE_TEXT);
    return true;
}

static ALWAYS_INLINE bool integer_take(struct payload *payload, struct scan *scan, struct slice key,
                                       char letter)
{
    if (!take(scan, key))
        return false;
    struct slot *slot = &payload->slot[SLOT(letter)];
    const char *start = scan->at;
    slot->integer = scan_integer(scan);
    slot->text = (struct slice){.data = start, .size = (size_t)(scan->at - start)};
    shape_set(payload, SLOT(letter), SHAPE_INTEGER);
    return *start > ' '; /* else blanks would be part of the text */
}

static ALWAYS_INLINE bool decimal_take(struct payload *payload, struct scan *scan, struct slice key,
                                       char letter)
{
    const char *end;
    if (!take(scan, key) ||
        decimal_read(scan->at, &end, &payload->slot[SLOT(letter)].decimal) != DECIMAL_OK)
        return false;
    shape_set(payload, SLOT(letter), SHAPE_DECIMAL);
    scan->at = end + 1;
    return *end == '"';
}

static ALWAYS_INLINE bool boolean_take(struct payload *payload, struct scan *scan, struct slice key,
                                       char letter)
{
    if (!take(scan, key))
        return false;
    bool is_true = take(scan, SLICE("true"));
    shape_set(payload, SLOT(letter), is_true ? SHAPE_TRUE : SHAPE_FALSE);
    return is_true || take(scan, SLICE("false"));
}

static ALWAYS_INLINE bool levels_take(struct payload *payload, struct scan *scan, struct slice key,
                                      char letter, struct level *out)
{
    if (!take(scan, key) || !levels_read(scan, out, &payload->slot[SLOT(letter)].level_count))
        return false;
    shape_set(payload, SLOT(letter), SHAPE_LEVELS);
    return true;
}

static ALWAYS_INLINE bool trade_take(struct payload *payload, struct scan *scan)
{
    return integer_take(payload, scan, SLICE(",\"t\":"), 't') &&
           decimal_take(payload, scan, SLICE(",\"p\":\""), 'p') &&
           decimal_take(payload, scan, SLICE(",\"q\":\""), 'q') &&
           integer_take(payload, scan, SLICE(",\"T\":"), 'T') &&
           boolean_take(payload, scan, SLICE(",\"m\":"), 'm') &&
           boolean_take(payload, scan, SLICE(",\"M\":"), 'M');
}

static ALWAYS_INLINE bool difference_take(struct payload *payload, struct scan *scan,
                                          struct event_batch *batch)
{
    return integer_take(payload, scan, SLICE(",\"U\":"), 'U') &&
           integer_take(payload, scan, SLICE(",\"u\":"), 'u') &&
           levels_take(payload, scan, SLICE(",\"b\":"), 'b', batch->level) &&
           levels_take(payload, scan, SLICE(",\"a\":"), 'a', batch->level + LEVEL_HALF);
}

enum usual usual_take(struct payload *payload, struct slice text, struct event_batch *batch,
                      struct slice *ret_stream)
{
    struct scan scan = scan_begin(text);
    if (!take(&scan, SLICE("{\"stream\":")))
        return USUAL_NONE;
    *ret_stream = scan_text(&scan);
    if (!take(&scan, SLICE(",\"data\":{\"e\":\"")))
        return USUAL_NONE;
    bool is_trade = take(&scan, SLICE("trade\""));
    if (!is_trade && !take(&scan, SLICE("depthUpdate\"")))
        return USUAL_NONE;
    if (!integer_take(payload, &scan, SLICE(",\"E\":"), 'E') ||
        !text_take(payload, &scan, SLICE(",\"s\":"), 's'))
        return USUAL_NONE;
    bool taken = is_trade ? trade_take(payload, &scan) : difference_take(payload, &scan, batch);
    if (!taken || !take(&scan, SLICE("}}")) || !scan_finish(&scan))
        return USUAL_NONE;
    return is_trade ? USUAL_TRADE : USUAL_DIFFERENCE;
}
