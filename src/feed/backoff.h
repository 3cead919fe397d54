/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long to wait before the next attempt: doubling from BACKOFF_FIRST_MS to LIMIT_BACKOFF_MS,
 * half of it jittered, so that nodes that lost an exchange together do not come back together.
 * Attempts never end.
 */
#pragma once

#include "base/limits.h"

#include <stdint.h>

#define BACKOFF_FIRST_MS 250
#define BACKOFF_HEALTHY_NS                                                                         \
    (60 * INT64_C(1000000000)) /* a connection that lived so long starts over */

struct backoff {
    uint32_t attempts; /* since the last healthy connection */
};

/* The wait before the next attempt; `random` is any number, the jitter is taken from it. */
uint32_t backoff_next_ms(struct backoff *backoff, uint32_t random);

static inline void backoff_reset(struct backoff *backoff)
{
    backoff->attempts = 0;
}
