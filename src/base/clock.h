/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only reader of the time. Wall time is microseconds since the Unix epoch (what messages
 * carry); monotonic time is nanoseconds from an arbitrary start (what timers and ages use). The
 * simulation replaces both.
 */
#pragma once

#include "base/attr.h"

struct clock_source {
    int64_t (*wall_us)(void *context);
    int64_t (*monotonic_ns)(void *context);
    void *context; /* borrowed until replaced */
};

int64_t clock_wall_us(void);
int64_t clock_monotonic_ns(void);

/* NULL restores the machine's own clocks. Only before threads are started. */
void clock_replace(const struct clock_source *source);
