/* SPDX-License-Identifier: Apache-2.0 */
/* Of whole states from several connections the newer one goes on, and time never runs backwards for
 * long. */
#include "feed/recency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void what_says_nothing_passes(void **state)
{
    (void)state;
    struct recency recency = {0};
    for (unsigned i = 0; i < 10; i++)
        assert_true(recency_pass(&recency, i % 2, 0, 0));
    assert_true(recency_pass(&recency, 0, 7, 0));
    assert_true(recency_pass(&recency, 1, 0, 0)); /* nor is it compared with what does */
    assert_false(recency_pass(&recency, 1, 7, 0));
}

static void the_first_of_equal_ones_wins(void **state)
{
    (void)state;
    struct recency recency = {0};
    assert_true(recency_pass(&recency, 1, 0, 100));
    assert_false(recency_pass(&recency, 0, 0, 100));
    assert_true(recency_pass(&recency, 1, 0, 100)); /* its own next one, in the same tick */
    assert_true(recency_pass(&recency, 0, 0, 101));
    assert_false(recency_pass(&recency, 1, 0, 101));
}

static void numbers_count_before_times(void **state)
{
    (void)state;
    struct recency recency = {0};
    assert_true(recency_pass(&recency, 0, 5, 100));
    assert_true(recency_pass(&recency, 1, 6, 90));
    assert_false(recency_pass(&recency, 0, 5, 200));
    assert_true(recency_pass(&recency, 0, 6, 91));
}

static void another_connection_never_brings_older_ones(void **state)
{
    (void)state;
    struct recency recency = {0};
    assert_true(recency_pass(&recency, 0, 0, 1000));
    for (int64_t us = 1; us < 100; us++)
        assert_false(recency_pass(&recency, 1, 0, us));
    assert_true(recency_pass(&recency, 0, 0, 1001));
}

static void who_goes_on_with_older_ones_is_believed(void **state)
{
    (void)state;
    struct recency recency = {0};
    assert_true(recency_pass(&recency, 0, 0, 1000));
    for (int64_t us = 1; us < RECENCY_PATIENCE; us++)
        assert_false(recency_pass(&recency, 0, 0, us));
    assert_true(recency_pass(&recency, 0, 0, RECENCY_PATIENCE));
    assert_true(recency_pass(&recency, 0, 0, RECENCY_PATIENCE + 1));
}

static void patience_begins_anew(void **state)
{
    (void)state;
    struct recency recency = {0};
    for (int64_t us = 1000; us < 1100; us++) {
        assert_true(recency_pass(&recency, 0, 0, us));
        for (int i = 1; i < RECENCY_PATIENCE; i++)
            assert_false(recency_pass(&recency, 0, 0, us - 500));
    }
}

static void who_is_left_is_believed_when_the_other_is_gone(void **state)
{
    (void)state;
    struct recency recency = {0};
    assert_true(recency_pass(&recency, 0, 1000, 0));
    recency_end(&recency, 1); /* not the one that brought the newest */
    for (int64_t id = 1; id < 100; id++)
        assert_false(recency_pass(&recency, 1, id, 0));
    recency_end(&recency, 0);
    for (int64_t id = 1; id < RECENCY_PATIENCE; id++)
        assert_false(recency_pass(&recency, 1, id, 0));
    assert_true(recency_pass(&recency, 1, RECENCY_PATIENCE, 0));
}

/* Whatever two connections bring of one growing series, only growing ones pass. */
static void what_passes_grows(void **state)
{
    (void)state;
    uint32_t random = 12345;
    struct recency recency = {0};
    int64_t at[2] = {0}, last = 0, newest = 0;
    for (int step = 0; step < 100000; step++) {
        random = random * 1664525 + 1013904223;
        unsigned source = random >> 31;
        at[source] += 1 + (random >> 28 & 3);
        newest = at[source] > newest ? at[source] : newest;
        if (recency_pass(&recency, source, at[source], 0)) {
            assert_true(at[source] > last);
            last = at[source];
        }
        assert_int_equal(last, newest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_says_nothing_passes),
        cmocka_unit_test(the_first_of_equal_ones_wins),
        cmocka_unit_test(numbers_count_before_times),
        cmocka_unit_test(another_connection_never_brings_older_ones),
        cmocka_unit_test(who_goes_on_with_older_ones_is_believed),
        cmocka_unit_test(patience_begins_anew),
        cmocka_unit_test(who_is_left_is_believed_when_the_other_is_gone),
        cmocka_unit_test(what_passes_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
