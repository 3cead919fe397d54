/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct tally tally;
static int64_t last;

static int setup(void **state)
{
    (void)state;
    last = -1;
    if (!tally_init(&tally, "seq", "recv"))
        return -1;
    tally.counting = true;
    return 0;
}

/* Padded, as the reader of a socket gives it. */
static struct slice padded(const char *text)
{
    static char room[512];
    struct slice slice = {.data = room, .size = strlen(text)};
    memset(room, 'x', sizeof room);
    memcpy(room, text, slice.size);
    return slice;
}

static void take(const char *text, int64_t now_us)
{
    tally_message(&tally, &last, padded(text), now_us);
}

static void test_in_order(void **state)
{
    (void)state;
    take("{\"type\":\"trade\",\"seq\":9,\"recv\":1000000}", 1000100);
    take("{\"type\":\"trade\",\"seq\":10,\"recv\":1000000}", 1000200); /* the fields move */
    take("{\"recv\" : 1000000, \"seq\": 11}", 1000200);
    assert_int_equal(tally.delivered, 3);
    assert_int_equal(tally.gaps + tally.repeats + tally.others, 0);
    assert_int_equal(last, 11);
    assert_int_equal(histogram_quantile(&tally.latency, 0), 100);
    assert_int_equal(tally.latency.max, 200);
}

static void test_gap_and_repeat(void **state)
{
    (void)state;
    take("{\"seq\":5,\"recv\":1}", 1);
    take("{\"seq\":9,\"recv\":1}", 1);
    take("{\"seq\":9,\"recv\":1}", 1);
    take("{\"seq\":3,\"recv\":1}", 1);
    take("{\"seq\":10,\"recv\":1}", 1);
    assert_int_equal(tally.gaps, 1);
    assert_int_equal(tally.missing, 3);
    assert_int_equal(tally.repeats, 2);
    assert_int_equal(last, 10);
}

static void test_others_take_no_part(void **state)
{
    (void)state;
    take("{\"type\":\"heartbeat\",\"seq\":7,\"ts\":1}", 1);
    take("{\"type\":\"hello\"}", 1);
    take("{\"seq\":\"7\",\"recv\":1}", 1); /* no number */
    take("{\"seq\"", 1);
    take("", 1);
    assert_int_equal(tally.others, 5);
    assert_int_equal(tally.delivered, 0);
    assert_int_equal(last, -1);
}

static void test_long_numbers(void **state)
{
    (void)state;
    take("{\"seq\":1234567890123456,\"recv\":1790133513739123}", 1790133513739223);
    assert_int_equal(last, 1234567890123456);
    assert_int_equal(tally.latency.max, 100);
    take("{\"seq\":123456789012345678,\"recv\":1790133513739123}", 1790133513739000);
    assert_int_equal(last, 123456789012345678);
    assert_int_equal(tally.latency.buckets[0], 1); /* from the future */
}

static void test_only_while_counting(void **state)
{
    (void)state;
    tally.counting = false;
    take("{\"seq\":1,\"recv\":1}", 1);
    take("{\"seq\":4,\"recv\":1}", 1);
    assert_int_equal(tally.delivered, 0);
    assert_int_equal(tally.latency.count, 0);
    assert_int_equal(tally.gaps, 1);
}

static void test_names(void **state)
{
    (void)state;
    char longest[TALLY_FIELD_MAX + 2];
    memset(longest, 'a', sizeof longest);
    longest[TALLY_FIELD_MAX] = '\0';
    assert_true(tally_init(&tally, longest, "t"));
    longest[TALLY_FIELD_MAX] = 'a';
    longest[TALLY_FIELD_MAX + 1] = '\0';
    assert_false(tally_init(&tally, longest, "t"));
    assert_false(tally_init(&tally, "", "t"));
    assert_false(tally_init(&tally, "seq", "a\"b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_in_order, setup),
        cmocka_unit_test_setup(test_gap_and_repeat, setup),
        cmocka_unit_test_setup(test_others_take_no_part, setup),
        cmocka_unit_test_setup(test_long_numbers, setup),
        cmocka_unit_test_setup(test_only_while_counting, setup),
        cmocka_unit_test_setup(test_names, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
