/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is usual decays with time, not with the number of messages: a channel that sends a hundred
 * at once every ten seconds has an interval of ten seconds, not of none.
 */
#include "feed/watch.h"

#include <assert.h>

#define NS_PER_US 1000
#define NS_PER_MS INT64_C(1000000)
#define DECAY_US                                                                                   \
    INT64_C(60000000) /* in which steady data forgets about 63 % of a longer interval */
#define ALLOWED_MAX_MS INT64_C(1000000000) /* eleven days: nothing below overflows */

void watch_begin(struct watch *watch, int64_t now_ns)
{
    assert(now_ns > 0);
    *watch = (struct watch){.asked_ns = now_ns, .interval_ns = watch->interval_ns};
}

void watch_end(struct watch *watch)
{
    *watch = (struct watch){.interval_ns = watch->interval_ns};
}

/* interval * (1 - gap / DECAY_US), without a product that could overflow. gap < DECAY_US. */
static int64_t decayed(int64_t interval_ns, int64_t gap_us)
{
    int64_t whole = interval_ns / DECAY_US * gap_us;
    int64_t part = interval_ns % DECAY_US * gap_us / DECAY_US;
    return interval_ns - whole - part;
}

static int64_t usual_after(int64_t interval_ns, int64_t gap_ns)
{
    if (gap_ns >= interval_ns || gap_ns / NS_PER_US >= DECAY_US)
        return gap_ns;
    int64_t usual_ns = decayed(interval_ns, gap_ns / NS_PER_US);
    return usual_ns > gap_ns ? usual_ns : gap_ns;
}

void watch_seen(struct watch *watch, int64_t now_ns)
{
    assert(now_ns > 0);
    if (watch->asked_ns == 0)
        return;
    if (watch->seen_ns != 0 && now_ns > watch->seen_ns)
        watch->interval_ns = usual_after(watch->interval_ns, now_ns - watch->seen_ns);
    watch->seen_ns = now_ns;
    watch->quiet_ns = 0;
    watch->looks = 0;
}

/* How long a silence must be. */
static int64_t watch_silence_ns(const struct watch *watch, int64_t allowed_ns)
{
    int64_t half_ns = allowed_ns / 2;
    if (watch->seen_ns == 0 || watch->interval_ns == 0 ||
        watch->interval_ns >= half_ns / WATCH_FACTOR)
        return half_ns;
    int64_t silence_ns = watch->interval_ns * WATCH_FACTOR;
    if (silence_ns < WATCH_FLOOR_MS * NS_PER_MS)
        silence_ns = WATCH_FLOOR_MS * NS_PER_MS;
    return silence_ns < half_ns ? silence_ns : half_ns;
}

bool watch_suspects(const struct watch *watch, int64_t now_ns, int64_t allowed_ms)
{
    assert(allowed_ms > 0);
    if (watch->asked_ns == 0)
        return false;
    int64_t allowed_ns = (allowed_ms < ALLOWED_MAX_MS ? allowed_ms : ALLOWED_MAX_MS) * NS_PER_MS;
    int64_t wait_ns = watch_silence_ns(watch, allowed_ns);
    if (watch->looks == 0)
        return watch_age_ns(watch, now_ns) >= wait_ns;
    for (uint32_t i = 0; i < watch->looks && wait_ns < allowed_ns; i++)
        wait_ns *= 2;
    return now_ns - watch->quiet_ns >= (wait_ns < allowed_ns ? wait_ns : allowed_ns);
}

void watch_quiet(struct watch *watch, int64_t now_ns)
{
    assert(now_ns > 0);
    if (watch->asked_ns == 0)
        return;
    watch->quiet_ns = now_ns;
    if (watch->looks < UINT32_MAX)
        watch->looks++;
}

int64_t watch_age_ns(const struct watch *watch, int64_t now_ns)
{
    if (watch->asked_ns == 0)
        return -1;
    int64_t since_ns = watch->seen_ns != 0 ? watch->seen_ns : watch->asked_ns;
    return now_ns > since_ns ? now_ns - since_ns : 0;
}
