/* SPDX-License-Identifier: Apache-2.0 */
/* A ring that grows, and the spellings of its keys. */
#include "keeper/trade_keys.h"

#include "base/memory.h"
#include "market/encode.h"

#include <assert.h>

#define KEYS_FIRST 16
#define RING_MAX 1024
#define TIME_MAX ((INT64_C(1) << 53) - 1) /* as the reader of our messages has it */

struct trade_keys {
    struct trade_key *ring; /* owned */
    uint32_t capacity;      /* a power of two */
    uint32_t first, count;
};

static_assert(TRADE_KEYS_MAX <= RING_MAX && (RING_MAX & (RING_MAX - 1)) == 0, "rings are masked");
static_assert(sizeof(struct trade_key) == 64, "64 KB a symbol at most");

/* ---- one key ---- */

/* The one spelling of a value: 1.50 and 1.5 are the same price. */
static struct decimal canonical(struct decimal value)
{
    if (value.mantissa == 0)
        return (struct decimal){.mantissa = 0, .exponent = 0};
    while (value.mantissa % 10 == 0 && value.exponent < DECIMAL_EXPONENT_MAX) {
        value.mantissa /= 10;
        value.exponent++;
    }
    return value;
}

static bool set_id(struct trade_key *key, struct slice id)
{
    if (id.size == 0 || id.size > LIMIT_TRADE_ID || memchr(id.data, '\\', id.size) != NULL)
        return false;
    key->id_size = (uint8_t)id.size;
    memcpy(key->id, id.data, id.size);
    return true;
}

static void set_terms(struct trade_key *key, enum side side, struct decimal price,
                      struct decimal size)
{
    key->side = (uint8_t)side;
    key->terms.price = canonical(price);
    key->terms.size = canonical(size);
}

bool trade_key_make(const struct event *event, struct trade_key *ret_key)
{
    const struct trade *trade = &event->trade;
    struct trade_key key = {.received_us = event->received_us, .exchange_us = event->exchange_us};
    assert(event->type == EVENT_TRADE);
    if (trade->id.size == 0)
        set_terms(&key, trade->side, trade->price, trade->size);
    else if (!set_id(&key, trade->id))
        return false;
    *ret_key = key;
    return true;
}

struct event trade_key_event(const struct trade_key *key)
{
    struct event event = {
        .type = EVENT_TRADE, .received_us = key->received_us, .exchange_us = key->exchange_us};
    if (key->id_size > 0) {
        event.trade.id = (struct slice){.data = key->id, .size = key->id_size};
        return event;
    }
    event.trade.side = (enum side)key->side;
    event.trade.price = key->terms.price;
    event.trade.size = key->terms.size;
    return event;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ (hash >> 32);
}

uint64_t trade_key_hash(const struct trade_key *key, uint64_t hash)
{
    if (key->id_size > 0)
        return mix(hash, slice_hash((struct slice){.data = key->id, .size = key->id_size}));
    hash = mix(hash, (uint64_t)key->exchange_us);
    hash = mix(hash, (uint64_t)key->terms.price.mantissa);
    hash = mix(hash, (uint64_t)key->terms.size.mantissa);
    return mix(hash, (uint64_t)(uint8_t)key->terms.price.exponent |
                         (uint64_t)(uint8_t)key->terms.size.exponent << 8 |
                         (uint64_t)key->side << 16);
}

/* ---- as JSON ---- */

static char *write_text(char *out, struct slice text)
{
    *out++ = '"';
    memcpy(out, text.data, text.size);
    out += text.size;
    *out++ = '"';
    return out;
}

static char *write_times(char *out, const struct trade_key *key)
{
    out = json_write_integer(out, key->exchange_us);
    *out++ = ',';
    return json_write_integer(out, key->received_us);
}

static char *write_decimal(char *out, struct decimal value)
{
    *out++ = ',';
    *out++ = '"';
    out = decimal_write(out, value);
    *out++ = '"';
    return out;
}

char *trade_key_write(char *out, const struct trade_key *key)
{
    *out++ = '[';
    if (key->id_size > 0) {
        out = write_text(out, (struct slice){.data = key->id, .size = key->id_size});
        *out++ = ',';
        out = write_times(out, key);
    } else {
        out = write_times(out, key);
        *out++ = ',';
        out = write_text(out, slice_of(side_names[key->side]));
        out = write_decimal(out, key->terms.price);
        out = write_decimal(out, key->terms.size);
    }
    *out++ = ']';
    return out;
}

static int64_t scan_time(struct scan *scan)
{
    int64_t time = scan_integer(scan);
    if (time < 0 || time > TIME_MAX)
        scan_fail(scan);
    return time;
}

static enum side scan_side(struct scan *scan)
{
    struct slice side = scan_text(scan);
    if (slice_is(side, side_names[SIDE_SELL]))
        return SIDE_SELL;
    if (!slice_is(side, side_names[SIDE_BUY]))
        scan_fail(scan);
    return SIDE_BUY;
}

static struct decimal scan_amount(struct scan *scan)
{
    struct decimal value = {0};
    if (scan_quoted_decimal(scan, &value) != DECIMAL_OK || value.mantissa < 0)
        scan_fail(scan);
    return value;
}

static void scan_times(struct scan *scan, struct trade_key *key)
{
    key->exchange_us = scan_time(scan);
    scan_expect(scan, ',');
    key->received_us = scan_time(scan);
}

struct trade_key trade_key_scan(struct scan *scan)
{
    struct trade_key key = {0};
    scan_expect(scan, '[');
    if (scan_peek(scan) == '"') {
        if (!set_id(&key, scan_text(scan)))
            scan_fail(scan);
        scan_expect(scan, ',');
        scan_times(scan, &key);
    } else {
        scan_times(scan, &key);
        scan_expect(scan, ',');
        enum side side = scan_side(scan);
        scan_expect(scan, ',');
        struct decimal price = scan_amount(scan);
        scan_expect(scan, ',');
        set_terms(&key, side, price, scan_amount(scan));
    }
    scan_expect(scan, ']');
    return key;
}

/* The fields that a key is made of; others are passed over. */
static void scan_field(struct scan *scan, struct slice name, struct event *event)
{
    if (slice_is(name, "id"))
        event->trade.id = scan_text(scan);
    else if (slice_is(name, "ts"))
        event->exchange_us = scan_time(scan);
    else if (slice_is(name, "recv"))
        event->received_us = scan_time(scan);
    else if (slice_is(name, "price"))
        event->trade.price = scan_amount(scan);
    else if (slice_is(name, "size"))
        event->trade.size = scan_amount(scan);
    else if (slice_is(name, "side"))
        event->trade.side = scan_side(scan);
    else
        scan_skip(scan);
}

bool trade_key_read(struct slice text, struct trade_key *ret_key)
{
    struct event event = {.type = EVENT_TRADE};
    struct scan scan = scan_begin(text);
    bool first = true;
    struct slice name;
    scan_expect(&scan, '{');
    while (scan_next_key(&scan, &first, &name))
        scan_field(&scan, name, &event);
    return scan_finish(&scan) && trade_key_make(&event, ret_key);
}

/* ---- the last ones ---- */

struct trade_keys *trade_keys_create(void)
{
    struct trade_keys *keys = memory_alloc(sizeof *keys);
    keys->capacity = KEYS_FIRST;
    keys->ring = memory_array(KEYS_FIRST, sizeof *keys->ring);
    return keys;
}

void trade_keys_destroy(struct trade_keys *keys)
{
    if (keys == NULL)
        return;
    memory_free(keys->ring);
    memory_free(keys);
}

static void keys_grow(struct trade_keys *keys)
{
    struct trade_key *ring = memory_array((size_t)keys->capacity * 2, sizeof *ring);
    for (uint32_t i = 0; i < keys->count; i++)
        ring[i] = *trade_keys_at(keys, i);
    memory_free(keys->ring);
    keys->ring = ring;
    keys->capacity *= 2;
    keys->first = 0;
}

static void keys_forget_oldest(struct trade_keys *keys)
{
    keys->first = (keys->first + 1) & (keys->capacity - 1);
    keys->count--;
}

void trade_keys_add(struct trade_keys *keys, const struct trade_key *key)
{
    int64_t oldest_us = key->received_us - TRADE_KEYS_AGE_US;
    while (keys->count == TRADE_KEYS_MAX ||
           (keys->count > 0 && keys->ring[keys->first].received_us < oldest_us))
        keys_forget_oldest(keys);
    if (keys->count == keys->capacity)
        keys_grow(keys);
    assert(keys->count < keys->capacity);
    keys->ring[(keys->first + keys->count) & (keys->capacity - 1)] = *key;
    keys->count++;
}

uint32_t trade_keys_count(const struct trade_keys *keys)
{
    return keys == NULL ? 0 : keys->count;
}

const struct trade_key *trade_keys_at(const struct trade_keys *keys, uint32_t index)
{
    assert(index < keys->count);
    return &keys->ring[(keys->first + index) & (keys->capacity - 1)];
}
