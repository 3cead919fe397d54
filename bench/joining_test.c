/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/joining.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define HELLO "{\"type\":\"hello\",\"next\":8}"
#define HELD "{\"type\":\"ticker\",\"seq\":3,\"snapshot\":true}"
#define END "{\"type\":\"snapshot_end\",\"seq\":7}"
#define LIVE "{\"type\":\"trade\",\"seq\":8}"
#define HEARTBEAT "{\"type\":\"heartbeat\",\"seq\":7,\"ts\":1}"

static struct joining joining;
static struct joiner joiner;
static int64_t last;

static void begin(bool snapshot)
{
    last = -1;
    joining_init(&joining, snapshot);
    joining_begin(&joining, &joiner, 1000);
}

static bool take(const char *message, int64_t now_us)
{
    return joining_take(&joining, &joiner, &last, slice_of(message), now_us);
}

static void test_snapshot(void **state)
{
    (void)state;
    begin(true);
    assert_true(take(HELLO, 1100));
    assert_true(take(HELD, 1200));
    assert_true(take(HEARTBEAT, 1200));
    assert_true(take(END, 1300));
    assert_int_equal(last, 7);
    assert_int_equal(joining.served, 0);
    assert_false(take(LIVE, 1500)); /* the tally's, which sees whether it is number 8 */
    assert_false(take(LIVE, 1600));
    assert_int_equal(joining.served, 1);
    assert_int_equal(joining.wrong, 0);
    assert_int_equal(joining.messages, 2);
    assert_int_equal(joining.bytes, strlen(HELD) + strlen(END));
    assert_int_equal(joining.last_us, 1500);
    assert_int_equal(joining.times.max, 500);
}

static void test_no_hello(void **state)
{
    (void)state;
    begin(true);
    assert_true(take(HELD, 1));
    assert_int_equal(joining.wrong, 1);
}

static void test_live_before_the_end(void **state)
{
    (void)state;
    begin(true);
    assert_true(take(HELLO, 1));
    assert_true(take(LIVE, 1));
    assert_int_equal(joining.wrong, 1);
    assert_int_equal(joining.served, 0);
}

static void test_end_without_number(void **state)
{
    (void)state;
    begin(true);
    assert_true(take(HELLO, 1));
    assert_true(take("{\"type\":\"snapshot_end\",\"seq\":\"x\"}", 1));
    assert_int_equal(joining.wrong, 1);
}

static void test_none(void **state)
{
    (void)state;
    begin(false);
    assert_true(take(HELLO, 1));
    assert_false(take(LIVE, 900)); /* the clock went back */
    assert_int_equal(joining.served, 1);
    assert_int_equal(joining.times.max, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_no_hello),
        cmocka_unit_test(test_live_before_the_end),
        cmocka_unit_test(test_end_without_number),
        cmocka_unit_test(test_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
