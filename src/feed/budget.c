/* SPDX-License-Identifier: Apache-2.0 */
/* What was spent, in a ring with its times; what has left the window is dropped when more is spent.
 */
#include "feed/budget.h"

#include "base/memory.h"

#include <assert.h>

#define NS_PER_MS INT64_C(1000000)
#define ENTRIES_FIRST 16

static uint32_t entries_max(const struct budget *budget)
{
    return budget->count < BUDGET_ENTRIES_MAX ? budget->count : BUDGET_ENTRIES_MAX;
}

static struct budget_entry *entry_at(const struct budget *budget, uint32_t index)
{
    return &budget->entries[(budget->first + index) % budget->capacity];
}

void budget_init(struct budget *budget, uint32_t count, uint32_t window_ms)
{
    *budget = (struct budget){.count = count, .window_ns = (int64_t)window_ms * NS_PER_MS};
    if (count == 0)
        return;
    uint32_t max = entries_max(budget);
    budget->capacity = max < ENTRIES_FIRST ? max : ENTRIES_FIRST;
    budget->entries = memory_array(budget->capacity, sizeof *budget->entries);
}

void budget_release(struct budget *budget)
{
    memory_free(budget->entries);
    *budget = (struct budget){.count = 0};
}

void budget_clear(struct budget *budget)
{
    budget->first = budget->used = 0;
    budget->weight = 0;
}

/* now - time < window, where the difference may be any. */
static bool budget_counts(const struct budget *budget, const struct budget_entry *entry,
                          int64_t now_ns)
{
    int64_t age_ns;
    if (now_ns <= entry->time_ns)
        return true;
    return int64_add(now_ns, -entry->time_ns, &age_ns) && age_ns < budget->window_ns;
}

/* Index of the oldest entry that counts. */
static uint32_t budget_oldest(const struct budget *budget, int64_t now_ns)
{
    uint32_t index = 0;
    while (index < budget->used && !budget_counts(budget, entry_at(budget, index), now_ns))
        index++;
    return index;
}

const struct budget_entry *budget_entry_at(const struct budget *budget, uint32_t index)
{
    return index < budget->used ? entry_at(budget, index) : NULL;
}

uint64_t budget_used(const struct budget *budget, int64_t now_ns)
{
    uint64_t weight = budget->weight;
    uint32_t oldest = budget_oldest(budget, now_ns);
    for (uint32_t i = 0; i < oldest; i++)
        weight -= entry_at(budget, i)->weight;
    return weight;
}

/* The one of two entries that leaves the window first; moves on behind it. NULL: neither is left.
 */
static const struct budget_entry *budget_next(const struct budget *left, uint32_t *left_index,
                                              const struct budget *right, uint32_t *right_index)
{
    const struct budget_entry *one = budget_entry_at(left, *left_index);
    const struct budget_entry *two = right == NULL ? NULL : budget_entry_at(right, *right_index);
    bool take_left = two == NULL || (one != NULL && one->time_ns <= two->time_ns);
    (*(take_left ? left_index : right_index))++;
    return take_left ? one : two;
}

int64_t budget_wait_ns(const struct budget *budget, const struct budget *other, uint32_t weight,
                       int64_t now_ns)
{
    if (budget->count == 0)
        return 0;
    assert(other == NULL || other->window_ns == budget->window_ns);
    uint64_t room = weight < budget->count ? budget->count - weight : 0;
    uint64_t used = budget_used(budget, now_ns);
    uint32_t index = budget_oldest(budget, now_ns);
    uint32_t other_index = 0;
    if (other != NULL) {
        used += budget_used(other, now_ns);
        other_index = budget_oldest(other, now_ns);
    }
    int64_t end_ns = now_ns;
    while (used > room) {
        const struct budget_entry *entry = budget_next(budget, &index, other, &other_index);
        assert(entry != NULL && used >= entry->weight);
        used -= entry->weight;
        if (!int64_add(entry->time_ns, budget->window_ns, &end_ns))
            end_ns = INT64_MAX;
    }
    return end_ns - now_ns;
}

/* Room for one more entry, if there may be one. */
static bool budget_reserve(struct budget *budget)
{
    if (budget->used < budget->capacity)
        return true;
    uint32_t max = entries_max(budget);
    if (budget->capacity == max)
        return false;
    uint32_t capacity = budget->capacity < max / 2 ? budget->capacity * 2 : max;
    struct budget_entry *entries = memory_array(capacity, sizeof *entries);
    for (uint32_t i = 0; i < budget->used; i++)
        entries[i] = *entry_at(budget, i);
    memory_free(budget->entries);
    budget->entries = entries;
    budget->capacity = capacity;
    budget->first = 0;
    return true;
}

void budget_spend(struct budget *budget, uint32_t weight, int64_t now_ns)
{
    if (budget->count == 0 || weight == 0)
        return;
    uint32_t oldest = budget_oldest(budget, now_ns);
    budget->weight = budget_used(budget, now_ns);
    budget->first = (budget->first + oldest) % budget->capacity;
    budget->used -= oldest;
    struct budget_entry *last = budget->used > 0 ? entry_at(budget, budget->used - 1) : NULL;
    if (last != NULL && (last->time_ns >= now_ns || !budget_reserve(budget))) {
        uint32_t before = last->weight;
        last->weight = weight > UINT32_MAX - before ? UINT32_MAX : before + weight;
        last->time_ns = last->time_ns > now_ns ? last->time_ns : now_ns;
        budget->weight += last->weight - before;
        return;
    }
    bool reserved = budget_reserve(budget);
    assert(reserved);
    *entry_at(budget, budget->used++) = (struct budget_entry){.time_ns = now_ns, .weight = weight};
    budget->weight += weight;
}
