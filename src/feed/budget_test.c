/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/backoff.h"
#include "feed/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MS INT64_C(1000000)

static uint64_t random_state;

static uint32_t next_below(uint32_t bound)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % bound;
}

static void allows_count_in_any_window(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 5, 1000);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(budget_wait_ns(&budget, NULL, 1, 100 * i * MS), 0);
        budget_spend(&budget, 1, 100 * i * MS);
    }
    assert_int_equal(budget_wait_ns(&budget, NULL, 1, 500 * MS),
                     500 * MS); /* until the first is a second old */
    assert_int_equal(budget_wait_ns(&budget, NULL, 1, 999 * MS), 1 * MS);
    assert_int_equal(budget_wait_ns(&budget, NULL, 1, 1000 * MS), 0);
    budget_spend(&budget, 1, 1000 * MS);
    assert_int_equal(budget_wait_ns(&budget, NULL, 1, 1000 * MS), 100 * MS);
    budget_release(&budget);
}

/* Whoever obeys the budget never does more than count within a window, wherever the window starts.
 */
static void a_greedy_user_never_breaks_it(void **state)
{
    (void)state;
    static int64_t times[1000];
    struct budget budget;
    int64_t now = 0;
    budget_init(&budget, 100, 60000);
    for (size_t i = 0; i < 1000; i++) {
        now += budget_wait_ns(&budget, NULL, 1, now);
        budget_spend(&budget, 1, now);
        times[i] = now;
        now += (int64_t)(i % 7) * 10 * MS;
        if (i >= 100)
            assert_true(times[i] - times[i - 100] >= 60000 * MS);
    }
    assert_true(times[999] < 10 * 60000 * MS); /* and it is not held back longer than needed */
    budget_release(&budget);
}

static void no_limit_is_no_limit(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 0, 1000);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(budget_wait_ns(&budget, NULL, UINT32_MAX, 0), 0);
        budget_spend(&budget, UINT32_MAX, 0);
    }
    assert_int_equal(budget_used(&budget, 0), 0);
    budget_release(&budget);
    budget_release(&budget);
}

static void a_weight_over_the_count_waits_for_an_empty_window(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 10, 1000);
    assert_int_equal(budget_wait_ns(&budget, NULL, 11, 5 * MS), 0);
    budget_spend(&budget, 11, 5 * MS);
    assert_int_equal(budget_used(&budget, 1004 * MS), 11);
    assert_int_equal(budget_wait_ns(&budget, NULL, 1, 5 * MS), 1000 * MS);
    assert_int_equal(budget_wait_ns(&budget, NULL, 11, 1005 * MS), 0);
    budget_spend(&budget, 1, 1005 * MS);
    budget_spend(&budget, 2, 1105 * MS);
    assert_int_equal(budget_wait_ns(&budget, NULL, 7, 1105 * MS), 0);
    assert_int_equal(budget_wait_ns(&budget, NULL, 8, 1105 * MS), 900 * MS);
    assert_int_equal(budget_wait_ns(&budget, NULL, 9, 1105 * MS), 1000 * MS);
    assert_int_equal(budget_wait_ns(&budget, NULL, 99, 1105 * MS), 1000 * MS);
    budget_clear(&budget);
    assert_int_equal(budget_wait_ns(&budget, NULL, 10, 1105 * MS), 0);
    budget_release(&budget);
}

static void what_another_spent_counts_as_well(void **state)
{
    (void)state;
    struct budget own, other;
    budget_init(&own, 4, 1000);
    budget_init(&other, 4, 1000);
    budget_spend(&other, 1, 0);
    budget_spend(&own, 1, 100 * MS);
    budget_spend(&other, 1, 200 * MS);
    budget_spend(&own, 1, 300 * MS);
    for (uint32_t weight = 1; weight <= 4; weight++)
        assert_int_equal(budget_wait_ns(&own, &other, weight, 400 * MS),
                         (600 + 100 * (weight - 1)) * MS);
    assert_int_equal(budget_wait_ns(&own, &other, 3, 1150 * MS), 50 * MS);
    budget_release(&own);
    budget_release(&other);
}

/* Random weights at random times: against the sum over all that was ever done, the wait is never
 * too short and never longer than needed. */
static void it_agrees_with_adding_up(void **state)
{
    (void)state;
    static struct budget_entry done[2000];
    for (uint64_t seed = 1; seed <= 20; seed++) {
        random_state = seed;
        uint32_t count = 1 + next_below(400);
        int64_t window = (1 + next_below(2000)) * MS;
        struct budget budget;
        budget_init(&budget, count, (uint32_t)(window / MS));
        int64_t now = -500 * MS; /* an origin is any */
        size_t first = 0;
        for (size_t i = 0; i < COUNT_OF(done); i++) {
            uint32_t weight = 1 + next_below(count / 4 + 1);
            int64_t wait = budget_wait_ns(&budget, NULL, weight, now);
            for (int early = 1; early >= 0; early--) {
                int64_t at = now + wait - early;
                uint64_t sum = weight;
                for (size_t k = first; k < i; k++)
                    sum += at - done[k].time_ns < window ? done[k].weight : 0;
                if (early == 0)
                    assert_true(sum <= count);
                else if (wait > 0)
                    assert_true(sum > count);
            }
            now += wait;
            budget_spend(&budget, weight, now);
            done[i] = (struct budget_entry){.time_ns = now, .weight = weight};
            while (now - done[first].time_ns >= window)
                first++;
            now += next_below(4) * window / count;
        }
        budget_release(&budget);
    }
}

/* Whoever spends without asking, or with a clock that goes back, makes it stricter and no larger.
 */
static void misuse_is_strict_and_bounded(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 5, 1000);
    for (int i = 0; i < 100; i++)
        budget_spend(&budget, 1, i * MS);
    assert_true(budget.used <= 5);
    assert_int_equal(budget_used(&budget, 99 * MS), 100);
    assert_int_equal(budget_wait_ns(&budget, NULL, 1, 99 * MS), 1000 * MS);
    budget_spend(&budget, 1, 50 * MS);
    assert_int_equal(budget_wait_ns(&budget, NULL, 5, 1098 * MS), 1 * MS);
    budget_spend(&budget, UINT32_MAX, 99 * MS);
    budget_spend(&budget, UINT32_MAX, 99 * MS);
    assert_true(budget_wait_ns(&budget, NULL, 1, 99 * MS) == 1000 * MS);
    assert_int_equal(budget_wait_ns(&budget, NULL, 5, 1099 * MS), 0);
    budget_release(&budget);

    budget_init(&budget, UINT32_MAX, 60000);
    for (int i = 0; i < 2 * BUDGET_ENTRIES_MAX; i++)
        budget_spend(&budget, 1, i);
    assert_true(budget.used <= BUDGET_ENTRIES_MAX);
    assert_int_equal(budget_used(&budget, 0), 2 * BUDGET_ENTRIES_MAX);
    budget_release(&budget);
}

static void backoff_doubles_with_jitter_up_to_its_cap(void **state)
{
    (void)state;
    struct backoff backoff = {0};
    uint32_t full = BACKOFF_FIRST_MS;
    for (int i = 0; i < 40; i++) {
        struct backoff same = backoff;
        assert_int_equal(backoff_next_ms(&same, 0), full / 2);
        uint32_t wait = backoff_next_ms(&backoff, 0xfffffff1u);
        assert_true(wait >= full / 2 && wait <= full);
        full = full * 2 > LIMIT_BACKOFF_MS ? LIMIT_BACKOFF_MS : full * 2;
    }
    assert_int_equal(full, LIMIT_BACKOFF_MS);
    backoff_reset(&backoff);
    assert_true(backoff_next_ms(&backoff, 5) <= BACKOFF_FIRST_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allows_count_in_any_window),
        cmocka_unit_test(a_greedy_user_never_breaks_it),
        cmocka_unit_test(no_limit_is_no_limit),
        cmocka_unit_test(a_weight_over_the_count_waits_for_an_empty_window),
        cmocka_unit_test(what_another_spent_counts_as_well),
        cmocka_unit_test(it_agrees_with_adding_up),
        cmocka_unit_test(misuse_is_strict_and_bounded),
        cmocka_unit_test(backoff_doubles_with_jitter_up_to_its_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
