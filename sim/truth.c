/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of the trades grows with them until it is a ring. */
#include "sim/truth.h"

#include "base/memory.h"

#include <assert.h>

#define CAPACITY_FIRST 64

static_assert((TRUTH_TRADES_MAX & (TRUTH_TRADES_MAX - 1)) == 0, "the capacity doubles up to it");

void truth_init(struct truth *truth, int64_t price)
{
    *truth = (struct truth){.open = price, .high = price, .low = price, .last = price};
}

void truth_release(struct truth *truth)
{
    memory_free(truth->trades);
}

void truth_add(struct truth *truth, const struct trade *trade, int64_t value)
{
    if (truth->count == truth->capacity && truth->capacity < TRUTH_TRADES_MAX) {
        truth->capacity = truth->capacity == 0 ? CAPACITY_FIRST : 2 * truth->capacity;
        truth->trades = memory_resize(truth->trades, truth->capacity, sizeof truth->trades[0]);
    }
    if (truth->count == 0)
        truth->first_id = trade->id;
    truth->trades[truth->count++ % truth->capacity] = *trade;
    truth->high = trade->price > truth->high ? trade->price : truth->high;
    truth->low = trade->price < truth->low ? trade->price : truth->low;
    truth->last = trade->price;
    truth->last_size = trade->size;
    truth->bought += trade->buyer_takes ? trade->size : 0;
    truth->sold += trade->buyer_takes ? 0 : trade->size;
    truth->value += value;
}

const struct trade *truth_trade(const struct truth *truth, uint64_t index)
{
    if (index < truth_first(truth) || index > truth->count)
        return NULL;
    return &truth->trades[(index - 1) % truth->capacity];
}

uint64_t truth_first(const struct truth *truth)
{
    return truth->count <= truth->capacity ? 1 : truth->count - truth->capacity + 1;
}
