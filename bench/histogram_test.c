/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct histogram histogram;

static int setup(void **state)
{
    (void)state;
    histogram_clear(&histogram);
    return 0;
}

static void test_empty(void **state)
{
    (void)state;
    assert_int_equal(histogram_quantile(&histogram, 0), 0);
    assert_int_equal(histogram_quantile(&histogram, 50000), 0);
    assert_int_equal(histogram_quantile(&histogram, 100000), 0);
}

static void test_small_values_are_exact(void **state)
{
    (void)state;
    for (uint64_t value = 1; value <= 200; value++)
        histogram_add(&histogram, value);
    assert_int_equal(histogram.count, 200);
    assert_int_equal(histogram_quantile(&histogram, 0), 1);
    assert_int_equal(histogram_quantile(&histogram, 500), 1); /* 1 of 200 */
    assert_int_equal(histogram_quantile(&histogram, 501), 2); /* more than 1 of 200 */
    assert_int_equal(histogram_quantile(&histogram, 50000), 100);
    assert_int_equal(histogram_quantile(&histogram, 99000), 198);
    assert_int_equal(histogram_quantile(&histogram, 100000), 200);
}

static void test_one_value_in_a_thousand(void **state)
{
    (void)state;
    for (int i = 0; i < 999; i++)
        histogram_add(&histogram, 10);
    histogram_add(&histogram, 5000000);
    assert_int_equal(histogram_quantile(&histogram, 50000), 10);
    assert_int_equal(histogram_quantile(&histogram, 99900), 10);
    assert_int_equal(histogram_quantile(&histogram, 99901), 5000000);
    assert_int_equal(histogram.max, 5000000);
}

/* Around each power of two: never below the value, never 1/128 of it above. */
static void test_error_is_bounded(void **state)
{
    (void)state;
    for (unsigned bit = 1; bit < HISTOGRAM_VALUE_BITS; bit++) {
        for (uint64_t value = (UINT64_C(1) << bit) - 1; value <= (UINT64_C(1) << bit) + 1;
             value++) {
            histogram_clear(&histogram);
            histogram_add(&histogram, value);
            histogram_add(&histogram, value + value / 2); /* so that max does not cut it */
            uint64_t found = histogram_quantile(&histogram, 50000);
            assert_true(found >= value);
            assert_true(found <= value + value / 128);
        }
    }
}

static void test_order_is_kept(void **state)
{
    (void)state;
    uint64_t before = 0;
    for (uint64_t value = 0; value < 300000; value += 37) {
        histogram_clear(&histogram);
        histogram_add(&histogram, value);
        histogram_add(&histogram, UINT64_C(1) << 39);
        uint64_t found = histogram_quantile(&histogram, 50000);
        assert_true(found >= before);
        before = found;
    }
}

static void test_too_large_is_the_largest(void **state)
{
    (void)state;
    histogram_add(&histogram, UINT64_MAX);
    histogram_add(&histogram, UINT64_C(1) << HISTOGRAM_VALUE_BITS);
    assert_int_equal(histogram.count, 2);
    assert_int_equal(histogram_quantile(&histogram, 100000),
                     (UINT64_C(1) << HISTOGRAM_VALUE_BITS) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_empty, setup),
        cmocka_unit_test_setup(test_small_values_are_exact, setup),
        cmocka_unit_test_setup(test_one_value_in_a_thousand, setup),
        cmocka_unit_test_setup(test_error_is_bounded, setup),
        cmocka_unit_test_setup(test_order_is_kept, setup),
        cmocka_unit_test_setup(test_too_large_is_the_largest, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
