/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/backoff.h"
#include "feed/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MS INT64_C(1000000)

static void allows_count_in_any_window(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 5, 1000);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(budget_wait_ns(&budget, 100 * i * MS), 0);
        budget_spend(&budget, 100 * i * MS);
    }
    assert_int_equal(budget_wait_ns(&budget, 500 * MS),
                     500 * MS); /* until the first is a second old */
    assert_int_equal(budget_wait_ns(&budget, 999 * MS), 1 * MS);
    assert_int_equal(budget_wait_ns(&budget, 1000 * MS), 0);
    budget_spend(&budget, 1000 * MS);
    assert_int_equal(budget_wait_ns(&budget, 1000 * MS), 100 * MS);
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
        now += budget_wait_ns(&budget, now);
        budget_spend(&budget, now);
        times[i] = now;
        now += (int64_t)(i % 7) * 10 * MS;
        if (i >= 100)
            assert_true(times[i] - times[i - 100] >= 60000 * MS);
    }
    assert_true(times[999] < 10 * 60000 * MS); /* and it is not held back longer than needed */
}

static void no_limit_is_no_limit(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 0, 1000);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(budget_wait_ns(&budget, 0), 0);
        budget_spend(&budget, 0);
    }
    budget_init(&budget, 100000, 1000);
    assert_int_equal(budget.count, BUDGET_COUNT_MAX);
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
        cmocka_unit_test(backoff_doubles_with_jitter_up_to_its_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
