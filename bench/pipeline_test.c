/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_one_turn_is_its_own_summary(void **state)
{
    (void)state;
    const struct bench_fanout_result run = {.delivered = 7,
                                            .elapsed_us = 100,
                                            .p50_us = 1,
                                            .p99_us = 2,
                                            .p999_us = 3,
                                            .max_us = 4,
                                            .gaps = 5,
                                            .missing = 6,
                                            .repeats = 8,
                                            .closed = 9,
                                            .server_us = 10};
    struct bench_fanout_result summary;
    bench_pipeline_summarize(&run, 1, &summary);
    assert_memory_equal(&summary, &run, sizeof run);
}

static void test_medians_and_sums(void **state)
{
    (void)state;
    const struct bench_fanout_result runs[] = {
        {.p50_us = 9, .p99_us = 30, .p999_us = 50, .max_us = 70, .delivered = 1, .gaps = 1},
        {.p50_us = 1, .p99_us = 90, .p999_us = 60, .max_us = 99, .delivered = 2, .missing = 2},
        {.p50_us = 5, .p99_us = 20, .p999_us = 40, .max_us = 80, .delivered = 4, .repeats = 3},
    };
    struct bench_fanout_result summary;
    bench_pipeline_summarize(runs, 3, &summary);
    assert_int_equal(summary.p50_us, 5);
    assert_int_equal(summary.p99_us, 30);
    assert_int_equal(summary.p999_us, 50);
    assert_int_equal(summary.max_us, 99);
    assert_int_equal(summary.delivered, 7);
    assert_int_equal(summary.gaps, 1);
    assert_int_equal(summary.missing, 2);
    assert_int_equal(summary.repeats, 3);
    bench_pipeline_summarize(runs, 2, &summary); /* the lower one of two */
    assert_int_equal(summary.p50_us, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_turn_is_its_own_summary),
        cmocka_unit_test(test_medians_and_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
