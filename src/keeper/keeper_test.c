/* SPDX-License-Identifier: Apache-2.0 */
/* What a joiner is told, from records written by hand: nothing here was made by our own encoder. */
#include "base/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "keeper/keeper_fixture_test.h"

static void an_empty_stream_has_nothing_to_tell(void **state)
{
    assert_string_equal(snapshot(*state), "");
}

static void keeps_the_last_of_each_in_order_of_type(void **state)
{
    accept(*state, "trade",
           BTC ",\"id\":\"1\",\"price\":\"84000.1\",\"size\":\"0.5\",\"side\":\"buy\"");
    accept(*state, "status", "\"exchange\":\"upbit\",\"recv\":5,\"state\":\"live\"");
    accept(*state, "trade",
           BTC ",\"id\":\"2\",\"price\":\"84000.2\",\"size\":\"0.25\",\"side\":\"sell\"");
    accept(*state, "trade",
           KRW ",\"id\":\"9\",\"price\":\"116208000\",\"size\":\"1\",\"side\":\"buy\"");
    accept(*state, "ticker", KRW ",\"last\":\"116208000\"");
    accept(*state, "quote",
           BTC ",\"bid\":\"1\",\"bid_size\":\"2\",\"ask\":\"3\",\"ask_size\":\"4\"");
    accept(*state, "status",
           "\"exchange\":\"upbit\",\"recv\":6,\"state\":\"down\",\"reason\":\"gone\"");
    assert_string_equal(
        snapshot(*state),
        "{\"type\":\"status\",\"seq\":7,\"exchange\":\"upbit\",\"recv\":6,\"state\":\"down\","
        "\"reason\":\"gone\",\"snapshot\":true}\n"
        "{\"type\":\"ticker\",\"seq\":5," KRW ",\"last\":\"116208000\",\"snapshot\":true}\n"
        "{\"type\":\"quote\",\"seq\":6," BTC
        ",\"bid\":\"1\",\"bid_size\":\"2\",\"ask\":\"3\",\"ask_size\":\"4\",\"snapshot\":true}\n"
        "{\"type\":\"trade\",\"seq\":3," BTC ",\"id\":\"2\",\"price\":\"84000.2\",\"size\":\"0."
        "25\",\"side\":\"sell\",\"snapshot\":true}\n"
        "{\"type\":\"trade\",\"seq\":4," KRW ",\"id\":\"9\",\"price\":\"116208000\",\"size\":\"1\","
        "\"side\":\"buy\",\"snapshot\":true}\n");
}

#define BOOK_1                                                                                     \
    BTC ",\"action\":\"snapshot\",\"proof\":\"whole\",\"depth\":3,"                                \
        "\"bids\":[[\"10\",\"1\"],[\"9\",\"1\"],[\"8\",\"1\"]],\"asks\":[[\"11\",\"1\"]]"

static void rebuilds_a_book_from_snapshot_and_updates(void **state)
{
    accept(*state, "book", BOOK_1);
    accept(*state, "book",
           "\"exchange\":\"binance\",\"symbol\":\"BTC-USDT\",\"recv\":7,\"action\":\"update\","
           "\"bids\":[[\"9\",\"0\"],[\"9.5\",\"2\"]],\"asks\":[[\"11\",\"0\"],[\"11.5\",\"4\"]]");
    assert_string_equal(
        snapshot(*state),
        "{\"type\":\"book\",\"seq\":2,\"exchange\":\"binance\",\"symbol\":\"BTC-USDT\",\"recv\":7,"
        "\"action\":\"snapshot\",\"proof\":\"whole\",\"depth\":3,"
        "\"bids\":[[\"10\",\"1\"],[\"9.5\",\"2\"],[\"8\",\"1\"]],\"asks\":[[\"11.5\",\"4\"]],"
        "\"snapshot\":true}\n");
}

static void a_book_without_a_snapshot_is_not_told(void **state)
{
    accept(*state, "book", BTC ",\"action\":\"update\",\"bids\":[[\"9\",\"1\"]],\"asks\":[]");
    assert_string_equal(snapshot(*state), "");
}

/* Its leader is configured with more levels than this node, whose clients read on in that stream.
 */
static void a_book_is_as_deep_as_the_stream_has_it(void **state)
{
    accept(*state, "book",
           BTC ",\"action\":\"snapshot\",\"proof\":\"whole\",\"depth\":8,\"bids\":["
               "[\"10\",\"1\"],[\"9\",\"1\"],[\"8\",\"1\"],[\"7\",\"1\"],[\"6\",\"1\"],"
               "[\"5\",\"1\"],[\"4\",\"1\"],[\"3\",\"1\"]],\"asks\":[[\"11\",\"1\"]]");
    accept(*state, "book",
           BTC ",\"action\":\"update\",\"bids\":["
               "[\"10\",\"0\"],[\"9\",\"0\"],[\"8\",\"0\"],[\"7\",\"0\"],[\"3\",\"2\"]],\"asks\":"
               "[[\"12\",\"1\"],[\"13\",\"1\"],[\"14\",\"1\"],[\"15\",\"1\"],[\"16\",\"1\"],"
               "[\"17\",\"1\"],[\"18\",\"1\"]]");
    const char *told = snapshot(*state);
    assert_non_null(strstr(told, "\"depth\":8,\"bids\":["
                                 "[\"6\",\"1\"],[\"5\",\"1\"],[\"4\",\"1\"],[\"3\",\"2\"]]"));
    assert_non_null(strstr(told, "[\"17\",\"1\"],[\"18\",\"1\"]]"));
}

static void a_gap_and_an_epoch_take_books_back(void **state)
{
    accept(*state, "book", BOOK_1);
    accept(*state, "gap", BTC ",\"channel\":\"trade\",\"filled\":false");
    assert_string_not_equal(snapshot(*state), "");
    accept(*state, "gap", BTC ",\"channel\":\"book\",\"filled\":false");
    assert_string_equal(snapshot(*state), "");
    accept(*state, "book", BTC ",\"action\":\"update\",\"bids\":[[\"9\",\"1\"]],\"asks\":[]");
    assert_string_equal(snapshot(*state), "");
    accept(*state, "book", BOOK_1);
    assert_string_not_equal(snapshot(*state), "");
    accept(*state, "epoch",
           "\"recv\":8,\"epoch\":2,\"prev\":{\"epoch\":1,\"seq\":6},\"node\":\"n\"");
    assert_string_equal(snapshot(*state), "");
}

static void what_it_cannot_read_is_counted_and_changes_nothing(void **state)
{
    struct metric *unreadable = metric_series(METRIC_RECORDS_UNREADABLE, "");
    int64_t before = metric_value(unreadable);
    accept(*state, "trade",
           BTC ",\"id\":\"1\",\"price\":\"84000.1\",\"size\":\"0.5\",\"side\":\"buy\"");
    char *told = strdup(snapshot(*state));
    accept(*state, "trade",
           BTC ",\"id\":\"2\",\"price\":84000.2,\"size\":\"0.5\",\"side\":\"buy\"");
    accept(*state, "trade", BTC ",\"id\":\"2\",\"price\":\"1\",\"size\":\"0.5\",\"side\":\"hold\"");
    accept(*state, "trade", "\"price\":\"1\"");
    accept(*state, "book", BTC ",\"action\":\"snapshot\",\"bids\":[[\"x\",\"1\"]],\"asks\":[]");
    accept(*state, "trade", "garbage");
    accept(*state, "ticker", BTC ",\"last\":\"2\",\"snapshot\":true");
    assert_int_equal(metric_value(unreadable) - before, 6);
    accept(*state, "candle9", "\"of\":\"a later version\"");
    assert_int_equal(metric_value(unreadable) - before, 6);
    assert_string_equal(snapshot(*state), told);
    free(told);
}

static void keeps_many_symbols(void **state)
{
    char rest[256];
    for (int i = 0; i < 5000; i++) {
        snprintf(rest, sizeof rest,
                 "\"exchange\":\"upbit\",\"symbol\":\"S%d-KRW\",\"recv\":1,\"last\":\"%d\"",
                 i % 2500, i);
        accept(*state, "ticker", rest);
    }
    const char *at = snapshot(*state);
    int lines = 0;
    for (; *at != '\0'; at++)
        lines += *at == '\n';
    assert_int_equal(lines, 2500);
    assert_non_null(
        strstr(snapshot(*state), "\"symbol\":\"S2499-KRW\",\"recv\":1,\"last\":\"4999\""));
    assert_null(strstr(snapshot(*state), "\"last\":\"2499\""));
}

/* As a node begins a stream whose numbers somebody had driven up (cluster/shadow.c). */
static void a_log_that_begins_anew_below_is_kept_like_any_other(void **state)
{
    struct fixture *fixture = *state;
    static const char trade[] =
        BTC ",\"id\":\"%d\",\"price\":\"84000.1\",\"size\":\"0.5\",\"side\":\"buy\"";
    char rest[256];
    accept(fixture, "ticker", BTC ",\"last\":\"1\"");
    snprintf(rest, sizeof rest, trade, 1);
    accept(fixture, "trade", rest);
    accept(fixture, "ticker", BTC ",\"last\":\"2\"");
    fixture->next = 1;
    journal_restart(fixture->journal, STREAM, 1);
    journal_barrier(fixture->journal, STREAM, 1);
    accept(fixture, "ticker", BTC ",\"last\":\"3\"");
    const char *told = snapshot(fixture);
    assert_non_null(strstr(told, "\"last\":\"3\""));
    assert_null(strstr(told, "\"type\":\"trade\"")); /* its number is still to come */
    snprintf(rest, sizeof rest, trade, 2);
    accept(fixture, "trade", rest);
    assert_non_null(strstr(snapshot(fixture), "\"id\":\"2\""));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_empty_stream_has_nothing_to_tell),
        TEST(keeps_the_last_of_each_in_order_of_type),
        TEST(rebuilds_a_book_from_snapshot_and_updates),
        TEST(a_book_without_a_snapshot_is_not_told),
        TEST(a_book_is_as_deep_as_the_stream_has_it),
        TEST(a_gap_and_an_epoch_take_books_back),
        TEST(what_it_cannot_read_is_counted_and_changes_nothing),
        TEST(keeps_many_symbols),
        TEST(a_log_that_begins_anew_below_is_kept_like_any_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
