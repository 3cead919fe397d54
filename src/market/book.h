/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An order book: two sides of price levels. Each side is an array with the best level at its end,
 * because most changes are near the best and then move few bytes. No allocation after init, but by
 * book_side_grow; what does not fit the capacity is the worst level and is dropped. Prices compare
 * exactly, whatever their scales.
 */
#pragma once

#include "market/event.h"

struct book_side {
    struct level *level; /* owned; worst first */
    uint32_t count;
    uint32_t capacity;
    bool descending; /* bids: the best is the highest */
};

struct book {
    struct book_side bids;
    struct book_side asks;
};

/* capacity: levels a side, at least 1. */
void book_init(struct book *book, uint32_t capacity);
void book_release(struct book *book);
void book_clear(struct book *book);

/* Room for so many levels from now on, or more; there never gets less. */
void book_side_grow(struct book_side *side, uint32_t capacity);

/* Sets, replaces or (size 0) removes a level. False when the level does not fit (worse than all,
 * book full). */
bool book_side_set(struct book_side *side, struct level level);

/* A snapshot replaces everything; an update sets each level. */
void book_apply(struct book *book, const struct book_change *change);

/* The index-th best level, 0 the best. index < side->count. */
static inline const struct level *book_side_at(const struct book_side *side, uint32_t index)
{
    return &side->level[side->count - 1 - index];
}

/* Copies the best `depth` levels a side, best first, into arrays of at least `depth`; returns how
 * many. */
uint32_t book_side_top(const struct book_side *side, uint32_t depth, struct level *out);

/*
 * What turns the view `before` into the view `after` (both best first, strictly ordered): levels
 * new or changed as they are now, levels gone with size 0; best first. out has room for
 * before.count + after.count. Returns how many.
 */
uint32_t book_difference(struct levels before, struct levels after, bool descending,
                         struct level *out);

/* CRC-32 (ISO-HDLC, as zlib) of "price:size|...#price:size|...": bids, then asks, best first,
 * canonical decimals. */
uint32_t book_checksum(struct levels bids, struct levels asks);

/* True when levels are strictly ordered best first and no size is zero. */
bool levels_ordered(struct levels levels, bool descending);
