/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How values are spread, in integers: each power of two is cut into 128 steps, so that a quantile
 * is never more than 1/128 too high, and never too low. Adding costs a few instructions and no
 * memory.
 */
#pragma once

#include "base/attr.h"

#define HISTOGRAM_STEP_BITS 7
#define HISTOGRAM_VALUE_BITS 40 /* larger values count as the largest: 12 days, in microseconds */
#define HISTOGRAM_BUCKETS ((HISTOGRAM_VALUE_BITS - HISTOGRAM_STEP_BITS + 1) << HISTOGRAM_STEP_BITS)

struct histogram {
    uint64_t count;
    uint64_t max; /* the largest value itself */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_clear(struct histogram *histogram);
void histogram_add(struct histogram *histogram, uint64_t value);

/* The smallest value known to be no less than `parts` of 100,000 of all values; 0 when there is
 * none. parts: 0 to 100,000 */
uint64_t histogram_quantile(const struct histogram *histogram, uint32_t parts);
