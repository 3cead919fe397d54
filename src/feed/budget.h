/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much may be done: a weight of at most `count` in any window of `window_ms`, exactly (a
 * sliding window over what was spent and when, not an average). What was spent at t counts until t
 * + window, which is outside. No I/O, no clock of its own, so that it can be tested and simulated.
 *
 * Memory of its own, one entry for each time at which something was spent; it grows with what is
 * kept, up to `count` entries or BUDGET_ENTRIES_MAX. Beyond that the last entry takes the newest
 * time and the weight of both, which is stricter, never laxer; the same goes for a time that lies
 * before the last one.
 */
#pragma once

#include "base/attr.h"

#define BUDGET_ENTRIES_MAX 8192 /* 128 KiB; Binance's 6,000 a minute are counted exactly */

struct budget_entry {
    int64_t time_ns;
    uint32_t weight; /* saturates */
};

struct budget {
    uint32_t count; /* 0: no limit */
    int64_t window_ns;
    struct budget_entry *entries; /* owned; a ring, oldest first; NULL: no limit */
    uint32_t capacity, first, used;
    uint64_t weight; /* of all entries */
};

/* Of the caller's memory; release does nothing to one that is zeroed, or released. */
void budget_init(struct budget *budget, uint32_t count, uint32_t window_ms);
void budget_release(struct budget *budget);

/* Forgets what was spent; keeps the memory. */
void budget_clear(struct budget *budget);

/* How long to wait until this weight is allowed; 0: now. A weight over count waits for an empty
 * window. other: NULL, or another of the same window (count does not matter): what was spent there
 * counts as well. */
int64_t budget_wait_ns(const struct budget *budget, const struct budget *other, uint32_t weight,
                       int64_t now_ns);

/* Notes that it was done, allowed or not. */
void budget_spend(struct budget *budget, uint32_t weight, int64_t now_ns);

/* What counts at this time. */
uint64_t budget_used(const struct budget *budget, int64_t now_ns);

/* The index-th entry that is kept, oldest first; NULL: no more. It may be too old to count. */
const struct budget_entry *budget_entry_at(const struct budget *budget, uint32_t index);
