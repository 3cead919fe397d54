/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often something may be done: at most `count` in any window of `window_ms`, exactly (a sliding
 * window over the last times, not an average). A value; no I/O, no clock of its own, so that it can
 * be tested and simulated.
 */
#pragma once

#include "base/attr.h"

#define BUDGET_COUNT_MAX 128

struct budget {
    uint32_t count; /* 0: no limit */
    int64_t window_ns;
    uint32_t next; /* slot of the oldest time */
    int64_t times_ns[BUDGET_COUNT_MAX];
};

/* count over BUDGET_COUNT_MAX is cut to it, which is stricter. */
void budget_init(struct budget *budget, uint32_t count, uint32_t window_ms);

/* How long to wait until one more is allowed; 0: now. */
int64_t budget_wait_ns(const struct budget *budget, int64_t now_ns);

/* Notes that it was done. */
void budget_spend(struct budget *budget, int64_t now_ns);
