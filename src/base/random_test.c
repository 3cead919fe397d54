/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void bytes_differ_each_time(void **state)
{
    (void)state;
    uint8_t first[1000] = {0};
    uint8_t second[1000] = {0};
    random_bytes(first, sizeof first);
    random_bytes(second, sizeof second);
    assert_memory_not_equal(first, second, sizeof first);
    assert_memory_not_equal(first + 900, second + 900, 100); /* the end is filled as well */
    random_bytes(first, 0);
}

static void bound_is_never_reached(void **state)
{
    (void)state;
    bool seen[3] = {false};
    for (int i = 0; i < 1000; i++) {
        uint32_t value = random_below(3);
        assert_in_range(value, 0, 2);
        seen[value] = true;
        assert_int_equal(random_below(1), 0);
    }
    assert_true(seen[0] && seen[1] && seen[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_differ_each_time),
        cmocka_unit_test(bound_is_never_reached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
