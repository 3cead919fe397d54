/* SPDX-License-Identifier: Apache-2.0 */
/* A bucket's index is the value's leading bits and how far they were shifted: values below 256 have
 * a bucket each, from there on 128 buckets share a power of two. */
#include "bench/histogram.h"

#include <assert.h>
#include <string.h>

#define STEPS (UINT64_C(1) << HISTOGRAM_STEP_BITS)
#define VALUE_MAX ((UINT64_C(1) << HISTOGRAM_VALUE_BITS) - 1)
#define PARTS 100000

void histogram_clear(struct histogram *histogram)
{
    memset(histogram, 0, sizeof *histogram);
}

static size_t bucket_of(uint64_t value)
{
    unsigned shift = 0;
    while (value >> shift >= 2 * STEPS)
        shift++;
    return shift * STEPS + (value >> shift);
}

/* The largest value of a bucket. */
static uint64_t bucket_last(size_t bucket)
{
    if (bucket < 2 * STEPS)
        return bucket;
    size_t shift = bucket / STEPS - 1;
    return ((bucket - shift * STEPS + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    if (value > VALUE_MAX)
        value = VALUE_MAX;
    if (value > histogram->max)
        histogram->max = value;
    histogram->count++;
    histogram->buckets[bucket_of(value)]++;
}

uint64_t histogram_quantile(const struct histogram *histogram, uint32_t parts)
{
    assert(parts <= PARTS);
    uint64_t count = histogram->count;
    /* As many values must lie at or below the answer, rounded up; split, so that it can't overflow.
     */
    uint64_t wanted = count / PARTS * parts + (count % PARTS * parts + PARTS - 1) / PARTS;
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS && count > 0; i++) {
        seen += histogram->buckets[i];
        if (seen >= wanted && seen > 0)
            return bucket_last(i) < histogram->max ? bucket_last(i) : histogram->max;
    }
    return 0;
}
