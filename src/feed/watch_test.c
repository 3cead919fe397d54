/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MS INT64_C(1000000)
#define START (INT64_C(5000000) * MS)

static uint64_t random_state;

static int64_t next_below(int64_t bound)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int64_t)(random_state >> 1) % bound;
}

/* When it is suspect first, looked at every tick_ns. */
static int64_t suspect_at(const struct watch *watch, int64_t from_ns, int64_t allowed_ms,
                          int64_t tick_ns)
{
    int64_t now = from_ns;
    while (!watch_suspects(watch, now, allowed_ms)) {
        now += tick_ns;
        assert_true(now - from_ns < 100000 * MS);
    }
    return now;
}

static void what_nobody_wants_is_never_suspect(void **state)
{
    (void)state;
    struct watch watch = {0};
    watch_seen(&watch, START);
    watch_quiet(&watch, START);
    assert_false(watch_suspects(&watch, START + 1000000 * MS, 10000));
    assert_int_equal(watch_age_ns(&watch, START), -1);
    watch_begin(&watch, START);
    watch_end(&watch);
    assert_false(watch_suspects(&watch, START + 1000000 * MS, 10000));
    assert_int_equal(watch_age_ns(&watch, START), -1);
}

static void what_never_came_is_suspect_after_half(void **state)
{
    (void)state;
    struct watch watch = {0};
    watch_begin(&watch, START);
    assert_int_equal(watch_age_ns(&watch, START + 3 * MS), 3 * MS);
    assert_false(watch_suspects(&watch, START + 5000 * MS - 1, 10000));
    assert_true(watch_suspects(&watch, START + 5000 * MS, 10000));
    /* The same after a new subscription, whatever is usual. */
    watch_seen(&watch, START + 100 * MS);
    watch_seen(&watch, START + 200 * MS);
    watch_begin(&watch, START + 300 * MS);
    assert_false(watch_suspects(&watch, START + 5300 * MS - 1, 10000));
    assert_true(watch_suspects(&watch, START + 5300 * MS, 10000));
}

static void how_long_a_silence_must_be(void **state)
{
    (void)state;
    static const struct {
        int64_t interval_ms, allowed_ms, silence_ms;
    } cases[] = {
        {10, 60000, WATCH_FLOOR_MS},
        {499, 60000, WATCH_FLOOR_MS},
        {1000, 60000, 4000},
        {7000, 60000, 28000},
        {8000, 60000, 30000},
        {50000, 60000, 30000},
        {10, 3000, 1500},
        {1, 1, 0},
        {10, INT64_MAX, WATCH_FLOOR_MS},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct watch watch = {0};
        watch_begin(&watch, START);
        for (int k = 0; k <= 5; k++)
            watch_seen(&watch, START + k * cases[i].interval_ms * MS);
        int64_t last = START + 5 * cases[i].interval_ms * MS;
        int64_t silence = cases[i].silence_ms == 0 ? MS / 2 : cases[i].silence_ms * MS;
        assert_false(watch_suspects(&watch, last + silence - 1, cases[i].allowed_ms));
        assert_true(watch_suspects(&watch, last + silence, cases[i].allowed_ms));
        assert_int_equal(watch_age_ns(&watch, last + silence), silence);
    }
}

/* Gaps vary by four, as long as the longest fits into half of what is allowed. */
static void steady_data_is_never_suspect_and_an_end_always_is(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        random_state = seed;
        int64_t allowed_ms = 1000 + next_below(120000);
        int64_t tick = (1 + next_below(500)) * MS;
        int64_t shortest = 1 + next_below(allowed_ms * MS / 10);
        struct watch watch = {0};
        int64_t now = START;
        watch_begin(&watch, now);
        watch_seen(&watch, now);
        for (int i = 0; i < 200; i++) {
            int64_t gap = shortest + next_below(3 * shortest);
            int64_t ask = now + next_below(gap + 1);
            assert_false(watch_suspects(&watch, ask, allowed_ms));
            assert_false(watch_suspects(&watch, now + gap, allowed_ms));
            now += gap;
            watch_seen(&watch, now);
        }
        int64_t half = allowed_ms * MS / 2;
        int64_t suspect = suspect_at(&watch, now + next_below(tick), allowed_ms, tick);
        assert_true(suspect - now <= half + tick);
        int64_t least = 4 * shortest > WATCH_FLOOR_MS * MS ? 4 * shortest : WATCH_FLOOR_MS * MS;
        assert_true(suspect - now >= (least < half ? least : half));
    }
}

/* A hundred messages at once every two seconds are no reason to look between. */
static void bursts_are_usual(void **state)
{
    (void)state;
    struct watch watch = {0};
    int64_t now = START;
    watch_begin(&watch, now);
    for (int burst = 0; burst < 300; burst++) {
        for (int i = 0; i < 100; i++)
            watch_seen(&watch, now += 10000);
        if (burst > 1)
            assert_false(watch_suspects(&watch, now + 2000 * MS, 20000));
        now += 2000 * MS;
    }
}

static void what_was_long_ago_is_forgotten(void **state)
{
    (void)state;
    struct watch watch = {0};
    int64_t now = START;
    watch_begin(&watch, now);
    watch_seen(&watch, now);
    watch_seen(&watch, now += 20000 * MS); /* a stall */
    assert_false(watch_suspects(&watch, now + 29999 * MS, 60000));
    for (int i = 0; i < 6 * 60 * 100; i++) /* six minutes of data */
        watch_seen(&watch, now += 10 * MS);
    assert_true(watch_suspects(&watch, now + WATCH_FLOOR_MS * MS, 60000));
    /* An interval of years cannot break the arithmetic. */
    watch_seen(&watch, INT64_MAX / 2);
    watch_seen(&watch, INT64_MAX / 2 + 50000 * MS);
    assert_true(watch.interval_ns > 0);
}

static void looks_get_rarer_but_never_rarer_than_allowed(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        random_state = seed;
        int64_t allowed_ms = 5000 + next_below(60000);
        struct watch watch = {0};
        int64_t now = START;
        watch_begin(&watch, now);
        if (seed % 3 != 0)
            for (int i = 0; i < 10; i++)
                watch_seen(&watch, now += (1 + next_below(5000)) * MS);
        now = suspect_at(&watch, now, allowed_ms, MS);
        int64_t before = now - (watch.seen_ns != 0 ? watch.seen_ns : START);
        for (int look = 0; look < 60; look++) {
            watch_quiet(&watch, now);
            int64_t next = suspect_at(&watch, now, allowed_ms, MS);
            int64_t wanted = 2 * before < allowed_ms * MS ? 2 * before : allowed_ms * MS;
            assert_true(next - now <= allowed_ms * MS);
            assert_true(next - now >= wanted - MS * 2 && next - now <= wanted + MS * 2);
            before = next - now;
            now = next;
        }
        watch_seen(&watch, now); /* and from the beginning */
        assert_true(suspect_at(&watch, now, allowed_ms, MS) - now <= allowed_ms * MS / 2 + MS);
    }
    struct watch watch = {.asked_ns = 1, .looks = UINT32_MAX, .quiet_ns = 1};
    watch_quiet(&watch, 2);
    assert_int_equal(watch.looks, UINT32_MAX);
    assert_true(watch_suspects(&watch, 2 + 10 * MS, 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_nobody_wants_is_never_suspect),
        cmocka_unit_test(what_never_came_is_suspect_after_half),
        cmocka_unit_test(how_long_a_silence_must_be),
        cmocka_unit_test(steady_data_is_never_suspect_and_an_end_always_is),
        cmocka_unit_test(bursts_are_usual),
        cmocka_unit_test(what_was_long_ago_is_forgotten),
        cmocka_unit_test(looks_get_rarer_but_never_rarer_than_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
