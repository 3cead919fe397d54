/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int64_t fixed(void *context)
{
    return *(int64_t *)context;
}

static void replaced_clock_is_read(void **state)
{
    (void)state;
    int64_t now = 1234567;
    clock_replace(&(struct clock_source){.wall_us = fixed, .monotonic_ns = fixed, .context = &now});
    assert_true(clock_wall_us() == 1234567);
    now++;
    assert_true(clock_monotonic_ns() == 1234568);
    clock_replace(NULL);
    assert_true(clock_wall_us() != 1234568);
}

/* The resolution of neither clock is worse than its unit; both move on, and by the same amount. */
static void units_are_right(void **state)
{
    (void)state;
    assert_in_range(clock_wall_us(), 1767225600000000, 4102444800000000); /* 2026 to 2100 */
    int64_t first_us = clock_wall_us();
    int64_t first_ns = clock_monotonic_ns();
    while (clock_monotonic_ns() < first_ns + 20000000)
        continue;
    int64_t passed_us = clock_wall_us() - first_us;
    assert_in_range(passed_us, 15000, 20000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replaced_clock_is_read),
        cmocka_unit_test(units_are_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
