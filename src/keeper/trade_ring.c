/* SPDX-License-Identifier: Apache-2.0 */
/* An array that is written round and round. */
#include "keeper/trade_ring.h"

#include "base/memory.h"

#include <assert.h>

struct trade_slot {
    uint16_t size; /* 0: left out */
    char text[LIMIT_KEEPER_TRADE];
};

static_assert(LIMIT_KEEPER_TRADE <= UINT16_MAX, "a slot's size fits");

struct trade_ring {
    uint32_t count;
    uint32_t next; /* where the next one goes */
    struct trade_slot slot[LIMIT_KEEPER_TRADES];
};

struct trade_ring *trade_ring_create(void)
{
    return memory_alloc(sizeof(struct trade_ring));
}

void trade_ring_destroy(struct trade_ring *ring)
{
    memory_free(ring);
}

void trade_ring_add(struct trade_ring *ring, struct slice text)
{
    assert(text.size > 0);
    assert(ring->next < LIMIT_KEEPER_TRADES);
    struct trade_slot *slot = &ring->slot[ring->next];
    slot->size = text.size > sizeof slot->text ? 0 : (uint16_t)text.size;
    memcpy(slot->text, text.data, slot->size);
    ring->next = (ring->next + 1) % LIMIT_KEEPER_TRADES;
    if (ring->count < LIMIT_KEEPER_TRADES)
        ring->count++;
}

uint32_t trade_ring_count(const struct trade_ring *ring)
{
    return ring->count;
}

struct slice trade_ring_at(const struct trade_ring *ring, uint32_t index)
{
    assert(index < ring->count);
    uint32_t at = (ring->next + LIMIT_KEEPER_TRADES - 1 - index) % LIMIT_KEEPER_TRADES;
    return (struct slice){.data = ring->slot[at].text, .size = ring->slot[at].size};
}
