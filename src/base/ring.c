/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Positions count bytes since the start and only grow; their low bits are the place in the memory.
 * Each side owns one position and keeps a copy of the other's, which it refreshes only when the
 * copy says full (or empty): in steady state the two threads share no cache line but the records'.
 *
 * A record stands in one piece. What is left at the end of the memory when the next record does not
 * fit there is skipped, by a header that says so.
 */
#include "base/ring.h"

#include "base/memory.h"

#include <assert.h>
#include <stdatomic.h>

#define HEADER_SIZE 8
#define SKIP UINT64_MAX /* a header's size: the rest of the memory holds no record */
#define CACHE_LINE 64

struct ring {
    char *memory; /* owned */
    size_t capacity;
    char pad_shared[CACHE_LINE];

    _Atomic uint64_t written; /* the writer's; the reader reads it */
    uint64_t read_seen;       /* the writer's copy of `read` */
    char pad_writer[CACHE_LINE];

    _Atomic uint64_t read; /* the reader's; the writer reads it */
    uint64_t written_seen; /* the reader's copy of `written` */
    uint64_t peeked;       /* bytes that ring_release gives back; 0: nothing peeked */
};

struct ring *ring_create(size_t capacity)
{
    assert(capacity >= 4 * (size_t)HEADER_SIZE);
    assert((capacity & (capacity - 1)) == 0);
    struct ring *ring = memory_alloc(sizeof *ring);
    ring->memory = memory_alloc(capacity);
    ring->capacity = capacity;
    return ring;
}

void ring_destroy(struct ring *ring)
{
    if (ring == NULL)
        return;
    memory_free(ring->memory);
    memory_free(ring);
}

static bool has_room(struct ring *ring, uint64_t written, uint64_t needed)
{
    if (written + needed - ring->read_seen <= ring->capacity)
        return true;
    /* Acquire: what the reader read of the bytes before `read` has happened before we overwrite. */
    ring->read_seen = atomic_load_explicit(&ring->read, memory_order_acquire);
    assert(ring->read_seen <= written);
    return written + needed - ring->read_seen <= ring->capacity;
}

static void put_header(struct ring *ring, size_t place, uint64_t size)
{
    assert(place + HEADER_SIZE <= ring->capacity);
    memcpy(ring->memory + place, &size, sizeof size);
}

bool ring_write(struct ring *ring, struct slice record)
{
    if (record.size > ring->capacity / 2 - HEADER_SIZE)
        return false;

    size_t cost = HEADER_SIZE + ((record.size + 7) & ~(size_t)7);
    /* Relaxed: this thread is the only writer of `written`. */
    uint64_t written = atomic_load_explicit(&ring->written, memory_order_relaxed);
    size_t place = (size_t)written & (ring->capacity - 1);
    size_t until_end = ring->capacity - place;
    size_t skipped = cost > until_end ? until_end : 0;
    if (!has_room(ring, written, skipped + cost))
        return false;

    if (skipped > 0) {
        put_header(ring, place, SKIP);
        place = 0;
    }
    put_header(ring, place, record.size);
    if (record.size > 0)
        memcpy(ring->memory + place + HEADER_SIZE, record.data, record.size);
    /* Release: a reader that sees the new position sees the record's bytes. */
    atomic_store_explicit(&ring->written, written + skipped + cost, memory_order_release);
    return true;
}

bool ring_peek(struct ring *ring, struct slice *ret_record)
{
    /* Relaxed: this thread is the only writer of `read`. */
    uint64_t read = atomic_load_explicit(&ring->read, memory_order_relaxed);
    if (read == ring->written_seen) {
        /* Acquire: pairs with the release in ring_write. */
        ring->written_seen = atomic_load_explicit(&ring->written, memory_order_acquire);
        if (read == ring->written_seen)
            return false;
    }
    size_t place = (size_t)read & (ring->capacity - 1);
    size_t skipped = 0;
    uint64_t size;
    memcpy(&size, ring->memory + place, sizeof size);
    if (size == SKIP) {
        skipped = ring->capacity - place;
        place = 0;
        memcpy(&size, ring->memory, sizeof size);
    }
    assert(size <= ring->capacity / 2 - HEADER_SIZE);
    ring->peeked = skipped + HEADER_SIZE + ((size + 7) & ~(uint64_t)7);
    assert(read + ring->peeked <= ring->written_seen);
    *ret_record = (struct slice){.data = ring->memory + place + HEADER_SIZE, .size = (size_t)size};
    return true;
}

void ring_release(struct ring *ring)
{
    assert(ring->peeked > 0);
    uint64_t read = atomic_load_explicit(&ring->read, memory_order_relaxed);
    /* Release: our reads of the record happen before the writer reuses its bytes. */
    atomic_store_explicit(&ring->read, read + ring->peeked, memory_order_release);
    ring->peeked = 0;
}
