/* SPDX-License-Identifier: Apache-2.0 */
/* Trades in order, whatever comes: holes wait, are filled, or are declared. */
#include "feed/trade_order.h"

#include "base/attr.h"
#include "base/random.h"
#include "base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MS INT64_C(1000000)

struct fixture {
    struct trade_order order;
    char said[4096];
};

static void on_take(void *context, const struct event *event)
{
    struct fixture *fixture = context;
    size_t size = strlen(fixture->said);
    snprintf(fixture->said + size, sizeof fixture->said - size, "%.*s ", (int)event->trade.id.size,
             event->trade.id.data);
}

static void on_missing(void *context, const struct trade_hole *hole)
{
    struct fixture *fixture = context;
    size_t size = strlen(fixture->said);
    snprintf(fixture->said + size, sizeof fixture->said - size, "(%llu..%llu) ",
             (unsigned long long)hole->after, (unsigned long long)hole->before);
}

static const struct trade_order_callbacks callbacks = {.take = on_take, .missing = on_missing};

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct fixture));
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    trade_order_release(&fixture->order);
    free(fixture);
    return 0;
}

static void put(struct fixture *fixture, const char *id, int64_t now_ms)
{
    char own[LIMIT_TRADE_ID + 1]; /* what it borrows ends with the call */
    snprintf(own, sizeof own, "%s", id);
    struct trade_order_taker taker = {
        .callbacks = &callbacks, .context = fixture, .now_ns = now_ms * MS};
    struct event event = {.type = EVENT_TRADE, .trade = {.id = slice_of(own)}};
    trade_order_put(&fixture->order, &taker, &event);
    memset(own, 'x', sizeof own);
}

static void check(struct fixture *fixture, int64_t now_ms, bool end)
{
    struct trade_order_taker taker = {
        .callbacks = &callbacks, .context = fixture, .now_ns = now_ms * MS};
    trade_order_check(&fixture->order, &taker, end);
}

static void what_follows_goes_at_once(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "7", 0);
    put(fixture, "8", 0);
    put(fixture, "9", 0);
    assert_string_equal(fixture->said, "7 8 9 ");
    assert_null(fixture->order.waiting);
}

static void swapped_ones_are_put_right(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "7", 0);
    put(fixture, "10", 1);
    put(fixture, "9", 2);
    assert_string_equal(fixture->said, "7 ");
    put(fixture, "8", 3);
    assert_string_equal(fixture->said, "7 8 9 10 ");
    assert_null(fixture->order.waiting);
}

static void a_hole_is_declared_when_its_time_is_over(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "7", 0);
    put(fixture, "10", 1);
    put(fixture, "11", 100);
    check(fixture, TRADE_ORDER_WAIT_MS, false);
    assert_string_equal(fixture->said, "7 ");
    check(fixture, TRADE_ORDER_WAIT_MS + 1, false);
    assert_string_equal(fixture->said, "7 (7..10) 10 11 ");
}

static void each_hole_has_its_own_time(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "1", 0);
    put(fixture, "3", 10);
    put(fixture, "5", 20);
    check(fixture, 10 + TRADE_ORDER_WAIT_MS, false);
    assert_string_equal(fixture->said, "1 (1..3) 3 ");
    put(fixture, "4", 11 + TRADE_ORDER_WAIT_MS);
    assert_string_equal(fixture->said, "1 (1..3) 3 4 5 ");
}

/* Every second one is missing: none of the others waits for longer than one hole may take. */
static void holes_in_a_row_do_not_add_up(void **state)
{
    struct fixture *fixture = *state;
    char id[24];
    put(fixture, "1", 0);
    for (unsigned i = 1; i <= 100; i++) {
        snprintf(id, sizeof id, "%u", 1 + 2 * i);
        put(fixture, id, 10 * (int64_t)i);
        check(fixture, 10 * (int64_t)i, false);
    }
    check(fixture, 1000 + TRADE_ORDER_WAIT_MS, false);
    assert_null(fixture->order.waiting);
    assert_non_null(strstr(fixture->said, "(199..201) 201 "));
}

static void the_end_declares_all_at_once(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "1", 0);
    put(fixture, "3", 0);
    put(fixture, "6", 0);
    check(fixture, 0, true);
    assert_string_equal(fixture->said, "1 (1..3) 3 (3..6) 6 ");
}

static void late_ones_and_those_without_a_number_pass(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "5", 0);
    put(fixture, "2", 0);
    put(fixture, "abc", 0);
    put(fixture, "", 0);
    put(fixture, "6", 0);
    assert_string_equal(fixture->said, "5 2 abc  6 ");
}

static void no_more_wait_than_there_is_room_for(void **state)
{
    struct fixture *fixture = *state;
    char id[24];
    put(fixture, "1", 0);
    for (unsigned i = 0; i <= TRADE_ORDER_WAITING; i++) {
        snprintf(id, sizeof id, "%u", 3 + i);
        put(fixture, id, 0);
    }
    assert_null(fixture->order.waiting);
    assert_non_null(strstr(fixture->said, "1 (1..3) 3 4 "));
    assert_non_null(strstr(fixture->said, id));
}

static void one_id_far_away_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "7", 0);
    put(fixture, "9223372036854775807", 0);
    put(fixture, "8", 0);
    put(fixture, "10", 0);
    check(fixture, 0, true);
    assert_string_equal(fixture->said, "7 9223372036854775807 8 (8..10) 10 ");
}

static void two_ids_far_away_are_where_it_goes_on(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "7", 0);
    put(fixture, "5000007", 0);
    put(fixture, "5000008", 0);
    put(fixture, "5000009", 0);
    assert_string_equal(fixture->said, "7 5000007 (7..5000007) 5000008 5000009 ");
    put(fixture, "20", 0); /* and back again: its numbers were set back */
    put(fixture, "21", 0);
    put(fixture, "22", 0);
    assert_non_null(strstr(fixture->said, "5000009 20 21 22 "));
}

/* Any order within the waiting time and room comes out sorted, each once. */
static void any_shuffle_comes_out_in_order(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned round = 0; round < 200; round++) {
        char expected[512] = "100 ", id[24];
        unsigned ids[24];
        trade_order_release(&fixture->order);
        fixture->said[0] = '\0';
        put(fixture, "100", 0);
        for (unsigned i = 0; i < COUNT_OF(ids); i++) {
            ids[i] = 101 + i;
            snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "%u ",
                     ids[i]);
        }
        for (unsigned i = 0; i < COUNT_OF(ids); i++) {
            unsigned other = i + random_below((uint32_t)COUNT_OF(ids) - i);
            unsigned kept = ids[i];
            ids[i] = ids[other];
            ids[other] = kept;
            snprintf(id, sizeof id, "%u", ids[i]);
            put(fixture, id, i);
        }
        assert_string_equal(fixture->said, expected);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_follows_goes_at_once),
        TEST(swapped_ones_are_put_right),
        TEST(a_hole_is_declared_when_its_time_is_over),
        TEST(each_hole_has_its_own_time),
        TEST(holes_in_a_row_do_not_add_up),
        TEST(the_end_declares_all_at_once),
        TEST(late_ones_and_those_without_a_number_pass),
        TEST(no_more_wait_than_there_is_room_for),
        TEST(one_id_far_away_changes_nothing),
        TEST(two_ids_far_away_are_where_it_goes_on),
        TEST(any_shuffle_comes_out_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
