/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A key is five words: the id's text, or the four things that tell trades without ids apart, in a
 * form of which equal ones have the same bytes. Keys stand in a ring in the order of their coming,
 * so that the oldest is the next to go; an open-addressed table, half empty at least, finds them.
 * The table's cells carry a part of the hash, so that a search rarely looks at a key in vain, but
 * what is equal is decided by the whole key alone.
 */
#include "feed/trade_filter.h"

#include "base/memory.h"

#include <assert.h>

#define KEYS_FIRST 64
#define KEY_WORDS 5
#define CELL_INDEX                                                                                 \
    0xffffu /* of a cell: index in the ring, plus 1; 0: empty. Above: of the hash                  \
             */
#define CELLS_PER_KEY 2

/* Compared as bytes: no padding, unused bytes are 0. */
struct key {
    uint64_t word[KEY_WORDS];
    uint32_t id_size; /* 0: (time, side, price, size) */
    uint32_t aggregate;
};

struct kept {
    struct key key;
    int64_t received_us; /* of the first of its kind */
    uint32_t hash;
    uint32_t published;                     /* of trades without id */
    uint32_t brought[TRADE_FILTER_SOURCES]; /* the same, by each connection */
};

struct trade_filter {
    struct kept *ring; /* owned */
    uint32_t *cells;   /* owned; CELLS_PER_KEY for each of the ring's places */
    uint32_t capacity; /* of the ring; a power of two */
    uint32_t first;    /* place of the oldest */
    uint32_t count;
    bool any_unnamed; /* a trade without an id has come: only those are counted by connection */
};

static_assert(sizeof(struct key) == KEY_WORDS * 8 + 8, "a key has no padding");
static_assert(LIMIT_TRADE_ID <= KEY_WORDS * 8, "an id fits the words");
static_assert(TRADE_FILTER_KEYS < CELL_INDEX, "a place fits a cell");
static_assert((TRADE_FILTER_KEYS & (TRADE_FILTER_KEYS - 1)) == 0 && KEYS_FIRST <= TRADE_FILTER_KEYS,
              "rings are masked");

/* ---- keys ---- */

/* The one spelling of a value: 1.50 and 1.5 are the same price. The exponent ends within an int8_t:
 * it starts within +-DECIMAL_EXPONENT_MAX and grows by less than DECIMAL_DIGITS_MAX. */
static struct decimal canonical(struct decimal value)
{
    if (value.mantissa == 0)
        return (struct decimal){.mantissa = 0, .exponent = 0};
    while (value.mantissa % 10 == 0) {
        value.mantissa /= 10;
        value.exponent++;
    }
    return value;
}

static void key_make(const struct event *event, struct key *ret_key)
{
    const struct trade *trade = &event->trade;
    *ret_key = (struct key){.id_size = (uint32_t)trade->id.size};
    if (trade->id.size > 0) {
        memcpy(ret_key->word, trade->id.data, trade->id.size);
        ret_key->aggregate = trade->aggregate;
        return;
    }
    struct decimal price = canonical(trade->price);
    struct decimal size = canonical(trade->size);
    ret_key->word[0] = (uint64_t)event->exchange_us;
    ret_key->word[1] = (uint64_t)price.mantissa;
    ret_key->word[2] = (uint64_t)size.mantissa;
    ret_key->word[3] = (uint64_t)(uint8_t)price.exponent | (uint64_t)(uint8_t)size.exponent << 8 |
                       (uint64_t)trade->side << 16;
}

static uint32_t key_hash(const struct key *key)
{
    uint64_t hash = key->id_size;
    for (unsigned i = 0; i < KEY_WORDS; i++) {
        hash = (hash ^ key->word[i]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return (uint32_t)hash;
}

static bool key_equal(const struct key *left, const struct key *right)
{
    return memcmp(left, right, sizeof *left) == 0;
}

/* ---- the table ---- */

static uint32_t cell_mask(const struct trade_filter *filter)
{
    return filter->capacity * CELLS_PER_KEY - 1;
}

static uint32_t cell_make(uint32_t hash, uint32_t place)
{
    return (hash & ~CELL_INDEX) | (place + 1);
}

static struct kept *filter_find(const struct trade_filter *filter, const struct key *key,
                                uint32_t hash)
{
    uint32_t mask = cell_mask(filter);
    for (uint32_t at = hash & mask; filter->cells[at] != 0; at = (at + 1) & mask) {
        uint32_t cell = filter->cells[at];
        if (((cell ^ hash) & ~CELL_INDEX) != 0)
            continue;
        struct kept *kept = &filter->ring[(cell & CELL_INDEX) - 1];
        if (key_equal(&kept->key, key))
            return kept;
    }
    return NULL;
}

static void filter_index(struct trade_filter *filter, uint32_t place)
{
    uint32_t mask = cell_mask(filter);
    uint32_t hash = filter->ring[place].hash;
    uint32_t at = hash & mask;
    while (filter->cells[at] != 0)
        at = (at + 1) & mask;
    filter->cells[at] = cell_make(hash, place);
}

/* Empties the place's cell and moves back what had to pass it, so that no search stops too early.
 */
static void filter_unindex(struct trade_filter *filter, uint32_t place)
{
    uint32_t mask = cell_mask(filter);
    uint32_t hole = filter->ring[place].hash & mask;
    while ((filter->cells[hole] & CELL_INDEX) != place + 1) {
        assert(filter->cells[hole] != 0);
        hole = (hole + 1) & mask;
    }
    for (uint32_t at = (hole + 1) & mask; filter->cells[at] != 0; at = (at + 1) & mask) {
        uint32_t home = filter->ring[(filter->cells[at] & CELL_INDEX) - 1].hash & mask;
        if (((at - home) & mask) < ((at - hole) & mask))
            continue; /* it stands behind the hole by its own choice */
        filter->cells[hole] = filter->cells[at];
        hole = at;
    }
    filter->cells[hole] = 0;
}

/* ---- the ring ---- */

static void filter_forget_oldest(struct trade_filter *filter)
{
    assert(filter->count > 0);
    filter_unindex(filter, filter->first);
    filter->first = (filter->first + 1) & (filter->capacity - 1);
    filter->count--;
}

static bool kept_is_old(const struct kept *kept, int64_t now_us)
{
    return kept->received_us < now_us - TRADE_FILTER_AGE_US;
}

/* It is old, but behind a younger one in the ring: somebody has set the clock back. */
static void kept_renew(struct kept *kept, int64_t received_us)
{
    *kept = (struct kept){.key = kept->key, .received_us = received_us, .hash = kept->hash};
}

static void filter_grow(struct trade_filter *filter)
{
    uint32_t capacity = filter->capacity * 2;
    struct kept *ring = memory_array(capacity, sizeof *ring);
    for (uint32_t i = 0; i < filter->count; i++)
        ring[i] = filter->ring[(filter->first + i) & (filter->capacity - 1)];
    memory_free(filter->ring);
    memory_free(filter->cells);
    filter->ring = ring;
    filter->cells = memory_array((size_t)capacity * CELLS_PER_KEY, sizeof *filter->cells);
    filter->capacity = capacity;
    filter->first = 0;
    for (uint32_t i = 0; i < filter->count; i++)
        filter_index(filter, i);
}

static struct kept *filter_add(struct trade_filter *filter, const struct key *key, uint32_t hash,
                               int64_t received_us)
{
    if (filter->count == filter->capacity && filter->capacity < TRADE_FILTER_KEYS)
        filter_grow(filter);
    if (filter->count == filter->capacity)
        filter_forget_oldest(filter);
    uint32_t place = (filter->first + filter->count) & (filter->capacity - 1);
    struct kept *kept = &filter->ring[place];
    *kept = (struct kept){.key = *key, .received_us = received_us, .hash = hash};
    filter->any_unnamed |= key->id_size == 0;
    filter->count++;
    filter_index(filter, place);
    return kept;
}

/* ---- what others call ---- */

struct trade_filter *trade_filter_create(void)
{
    struct trade_filter *filter = memory_alloc(sizeof *filter);
    filter->capacity = KEYS_FIRST;
    filter->ring = memory_array(KEYS_FIRST, sizeof *filter->ring);
    filter->cells = memory_array((size_t)KEYS_FIRST * CELLS_PER_KEY, sizeof *filter->cells);
    return filter;
}

void trade_filter_destroy(struct trade_filter *filter)
{
    if (filter == NULL)
        return;
    memory_free(filter->ring);
    memory_free(filter->cells);
    memory_free(filter);
}

bool trade_filter_pass(struct trade_filter *filter, unsigned source, const struct event *event)
{
    assert(source < TRADE_FILTER_SOURCES);
    assert(event->type == EVENT_TRADE && event->trade.id.size <= LIMIT_TRADE_ID);
    while (filter->count > 0 && kept_is_old(&filter->ring[filter->first], event->received_us))
        filter_forget_oldest(filter);
    struct key key;
    key_make(event, &key);
    uint32_t hash = key_hash(&key);
    struct kept *kept = filter_find(filter, &key, hash);
    if (kept == NULL)
        kept = filter_add(filter, &key, hash, event->received_us);
    else if (kept_is_old(kept, event->received_us))
        kept_renew(kept, event->received_us);
    else if (key.id_size > 0)
        return false;
    kept->brought[source]++;
    if (kept->brought[source] <= kept->published)
        return false;
    kept->published = kept->brought[source];
    return true;
}

void trade_filter_learn(struct trade_filter *filter, const struct event *trade)
{
    assert(trade->type == EVENT_TRADE && trade->trade.id.size <= LIMIT_TRADE_ID);
    struct key key;
    key_make(trade, &key);
    uint32_t hash = key_hash(&key);
    struct kept *kept = filter_find(filter, &key, hash);
    if (kept == NULL)
        kept = filter_add(filter, &key, hash, trade->received_us);
    kept->published++;
}

bool trade_filter_knows(const struct trade_filter *filter, const struct event *event)
{
    assert(event->type == EVENT_TRADE && event->trade.id.size <= LIMIT_TRADE_ID);
    struct key key;
    key_make(event, &key);
    const struct kept *kept = filter_find(filter, &key, key_hash(&key));
    return kept != NULL && !kept_is_old(kept, event->received_us);
}

void trade_filter_restart(struct trade_filter *filter, unsigned source)
{
    assert(source < TRADE_FILTER_SOURCES);
    if (!filter->any_unnamed)
        return; /* thousands of symbols are restarted at once when a connection ends */
    for (uint32_t i = 0; i < filter->count; i++)
        filter->ring[(filter->first + i) & (filter->capacity - 1)].brought[source] = 0;
}
