/* SPDX-License-Identifier: Apache-2.0 */
/* Sides are arrays in order of price with the best at the end; levels are found by halving. */
#include "market/book.h"

#include "base/memory.h"

#include <assert.h>
#include <zlib.h>

/* Room for levels as text before they are handed to the checksum. */
#define CHECKSUM_CHUNK 4096

static ALWAYS_INLINE int compare_prices(struct decimal left, struct decimal right)
{
    if (LIKELY(left.exponent == right.exponent))
        return (left.mantissa > right.mantissa) - (left.mantissa < right.mantissa);
    return decimal_compare(left, right);
}

/* Positive when left is the better price. */
static ALWAYS_INLINE int compare_best(struct decimal left, struct decimal right, bool descending)
{
    int order = compare_prices(left, right);
    return descending ? order : -order;
}

static void side_init(struct book_side *side, uint32_t capacity, bool descending)
{
    *side = (struct book_side){.level = memory_array(capacity, sizeof(struct level)),
                               .capacity = capacity,
                               .descending = descending};
}

void book_init(struct book *book, uint32_t capacity)
{
    assert(capacity > 0);
    side_init(&book->bids, capacity, true);
    side_init(&book->asks, capacity, false);
}

void book_release(struct book *book)
{
    memory_free(book->bids.level);
    memory_free(book->asks.level);
    *book = (struct book){0};
}

void book_clear(struct book *book)
{
    book->bids.count = 0;
    book->asks.count = 0;
}

void book_side_grow(struct book_side *side, uint32_t capacity)
{
    if (capacity <= side->capacity)
        return;
    side->level = memory_resize(side->level, capacity, sizeof(struct level));
    side->capacity = capacity;
}

/* The place of the first level that is not worse than the price. */
static uint32_t find_place(const struct book_side *side, struct decimal price)
{
    uint32_t low = 0;
    uint32_t high = side->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare_best(side->level[middle].price, price, side->descending) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void move_levels(struct book_side *side, uint32_t to, uint32_t from, uint32_t count)
{
    assert(to + count <= side->capacity && from + count <= side->capacity);
    memmove(side->level + to, side->level + from, count * sizeof(side->level[0]));
}

bool book_side_set(struct book_side *side, struct level level)
{
    assert(side->count <= side->capacity);
    uint32_t place = find_place(side, level.price);
    bool found = place < side->count && decimal_equal(side->level[place].price, level.price);
    if (decimal_is_zero(level.size)) {
        if (found) {
            move_levels(side, place, place + 1, side->count - place - 1);
            side->count--;
        }
        return true;
    }
    if (found) {
        side->level[place] = level;
        return true;
    }
    if (side->count < side->capacity) {
        move_levels(side, place + 1, place, side->count - place);
        side->count++;
        side->level[place] = level;
        return true;
    }
    if (place == 0)
        return false;
    move_levels(side, 0, 1, place - 1); /* the worst one goes */
    side->level[place - 1] = level;
    return true;
}

/* Ordered levels are copied; others, which no producer should make, are sorted in one by one. */
static void side_replace(struct book_side *side, struct levels levels)
{
    side->count = 0;
    if (!levels_ordered(levels, side->descending)) {
        for (uint32_t i = 0; i < levels.count; i++)
            (void)book_side_set(side, levels.level[i]);
        return;
    }
    side->count = levels.count < side->capacity ? levels.count : side->capacity;
    for (uint32_t i = 0; i < side->count; i++)
        side->level[side->count - 1 - i] = levels.level[i];
}

static void side_update(struct book_side *side, struct levels levels)
{
    for (uint32_t i = 0; i < levels.count; i++)
        (void)book_side_set(side, levels.level[i]);
}

void book_apply(struct book *book, const struct book_change *change)
{
    switch (change->action) {
    case BOOK_SNAPSHOT:
        side_replace(&book->bids, change->bids);
        side_replace(&book->asks, change->asks);
        return;
    case BOOK_UPDATE:
        side_update(&book->bids, change->bids);
        side_update(&book->asks, change->asks);
        return;
    }
    assert(false);
}

uint32_t book_side_top(const struct book_side *side, uint32_t depth, struct level *out)
{
    uint32_t count = depth < side->count ? depth : side->count;
    for (uint32_t i = 0; i < count; i++)
        out[i] = *book_side_at(side, i);
    return count;
}

/* Which of the two next levels comes first: negative the older one, positive the newer one, 0 when
 * they have the same price. An exhausted list comes last. */
static int next_level(struct levels before, uint32_t older, struct levels after, uint32_t newer,
                      bool descending)
{
    if (older == before.count)
        return 1;
    if (newer == after.count)
        return -1;
    return -compare_best(before.level[older].price, after.level[newer].price, descending);
}

uint32_t book_difference(struct levels before, struct levels after, bool descending,
                         struct level *out)
{
    uint32_t older = 0;
    uint32_t newer = 0;
    uint32_t count = 0;
    while (older < before.count || newer < after.count) {
        int order = next_level(before, older, after, newer, descending);
        if (order < 0) {
            out[count] = before.level[older++];
            out[count++].size = (struct decimal){0};
        } else if (order > 0) {
            out[count++] = after.level[newer++];
        } else {
            if (!decimal_equal(before.level[older].size, after.level[newer].size))
                out[count++] = after.level[newer];
            older++;
            newer++;
        }
    }
    assert(count <= before.count + after.count);
    return count;
}

static uint32_t checksum_levels(uint32_t checksum, struct levels levels)
{
    char text[CHECKSUM_CHUNK];
    char *out = text;
    for (uint32_t i = 0; i < levels.count; i++) {
        if (i > 0)
            *out++ = '|';
        out = decimal_write(out, levels.level[i].price);
        *out++ = ':';
        out = decimal_write(out, levels.level[i].size);
        if (out > text + CHECKSUM_CHUNK - 2 * DECIMAL_TEXT_MAX - 2) {
            checksum = (uint32_t)crc32(checksum, (const Bytef *)text, (uInt)(out - text));
            out = text;
        }
    }
    return (uint32_t)crc32(checksum, (const Bytef *)text, (uInt)(out - text));
}

uint32_t book_checksum(struct levels bids, struct levels asks)
{
    uint32_t checksum = checksum_levels((uint32_t)crc32(0, Z_NULL, 0), bids);
    checksum = (uint32_t)crc32(checksum, (const Bytef *)"#", 1);
    return checksum_levels(checksum, asks);
}

bool levels_ordered(struct levels levels, bool descending)
{
    for (uint32_t i = 0; i < levels.count; i++) {
        if (decimal_is_zero(levels.level[i].size))
            return false;
        if (i > 0 &&
            compare_best(levels.level[i - 1].price, levels.level[i].price, descending) <= 0)
            return false;
    }
    return true;
}
