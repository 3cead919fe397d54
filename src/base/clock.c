/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's clocks, and the hook that a simulation replaces them through. */
#include "base/clock.h"

#include <assert.h>
#include <time.h>

static int64_t machine_wall_us(void *context)
{
    (void)context;
    struct timespec now;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    assert(result == 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t machine_monotonic_ns(void *context)
{
    (void)context;
    struct timespec now;
    int result = clock_gettime(CLOCK_MONOTONIC, &now);
    assert(result == 0);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static const struct clock_source machine = {
    .wall_us = machine_wall_us,
    .monotonic_ns = machine_monotonic_ns,
};

static struct clock_source current = {
    .wall_us = machine_wall_us,
    .monotonic_ns = machine_monotonic_ns,
};

int64_t clock_wall_us(void)
{
    return current.wall_us(current.context);
}

int64_t clock_monotonic_ns(void)
{
    return current.monotonic_ns(current.context);
}

void clock_replace(const struct clock_source *source)
{
    current = source == NULL ? machine : *source;
    assert(current.wall_us != NULL);
    assert(current.monotonic_ns != NULL);
}
