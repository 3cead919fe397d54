/* SPDX-License-Identifier: Apache-2.0 */
/* States as text, written by hand: what is refused, what is left out; and what a trade is known by.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "keeper/keeper_fixture_test.h"

#define TICKER(seq, more)                                                                          \
    "{\"type\":\"ticker\",\"seq\":" seq                                                            \
    ",\"exchange\":\"one\",\"symbol\":\"A-KRW\",\"recv\":1," more "\"snapshot\":true}"
#define STATE(seq, symbol, messages, trades)                                                       \
    "{\"type\":\"state\",\"seq\":" seq ",\"exchange\":\"one\",\"symbol\":\"" symbol                \
    "\",\"messages\":[" messages "],\"trades\":[" trades "]}"

static bool load_text(struct fixture *fixture, const char *text)
{
    char padded[4096] = {0};
    snprintf(padded, sizeof padded - LIMIT_PADDING, "%s", text);
    return keeper_load_state(fixture->keeper, slice_of(padded));
}

static struct buffer saved(struct fixture *fixture)
{
    struct buffer out;
    buffer_init(&out, 2 * LIMIT_STATE);
    (void)keeper_save_state(fixture->keeper, 0, &out);
    return out;
}

static void what_is_no_state_changes_nothing(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        STATE("9", "A-KRW", "", "") "x",
        STATE("0", "A-KRW", "", ""),
        STATE("-1", "A-KRW", "", ""),
        STATE("9007199254740992", "A-KRW", "", ""),
        STATE("9", "a-krw", "", ""),
        STATE("9", "A-KRW", "1", ""),
        STATE("9", "B-KRW", TICKER("5", ""), ""),
        STATE("4", "A-KRW", TICKER("5", ""), ""),
        STATE("9", "A-KRW", TICKER("0", ""), ""),
        STATE("9", "A-KRW", TICKER("5", "") "," TICKER("6", ""), ""),
        STATE("9", "A-KRW", TICKER("5", "\"last\":1,"), ""),
        STATE("9", "A-KRW", TICKER("5", "") ",", ""),
        STATE("9", "A-KRW", "{\"type\":\"epoch\",\"seq\":5,\"snapshot\":true}", ""),
        STATE("9", "A-KRW", TICKER("5", ""), "1"),
        STATE("9", "A-KRW", TICKER("5", ""), "[]"),
        STATE("9", "A-KRW", TICKER("5", ""), "[\"\",1,2]"),
        STATE("9", "A-KRW", TICKER("5", ""), "[\"\\u0041\",1,2]"),
        STATE("9", "A-KRW", TICKER("5", ""), "[\"12345678901234567890123456789012345678901\",1,2]"),
        STATE("9", "A-KRW", TICKER("5", ""), "[\"7\",-1,2]"),
        STATE("9", "A-KRW", TICKER("5", ""), "[\"7\",1]"),
        STATE("9", "A-KRW", TICKER("5", ""), "[\"7\",1,2,3]"),
        STATE("9", "A-KRW", TICKER("5", ""), "[1,2,\"hold\",\"1\",\"1\"]"),
        STATE("9", "A-KRW", TICKER("5", ""), "[1,2,\"buy\",\"-1\",\"1\"]"),
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        if (load_text(*state, bad[i]))
            fail_msg("taken: %s", bad[i]);
        struct buffer none = saved(*state);
        assert_int_equal(none.size, 0);
        buffer_release(&none);
        assert_string_equal(snapshot(*state), "");
    }
    assert_true(load_text(*state, STATE("9", "A-KRW", TICKER("5", ""), "[\"7\",1,2]")));
    assert_string_equal(snapshot(*state), TICKER("5", "") "\n");
}

static void a_state_before_what_was_heard_tells_nothing(void **state)
{
    struct fixture *fixture = *state;
    journal_restart(fixture->journal, STREAM, 6);
    journal_barrier(fixture->journal, STREAM, 1);
    keeper_clear(fixture->keeper);
    fixture->next = 6;
    assert_true(load_text(fixture, STATE("4", "A-KRW", TICKER("4", ""), "")));
    assert_null(strstr(snapshot(fixture), "A-KRW"));
    accept(fixture, "ticker", "\"exchange\":\"one\",\"symbol\":\"B-KRW\",\"recv\":1");
    assert_true(load_text(fixture, STATE("4", "A-KRW", TICKER("4", ""), "")));
    assert_null(strstr(snapshot(fixture), "A-KRW"));
    assert_true(load_text(fixture, STATE("5", "A-KRW", TICKER("4", ""), "")));
    assert_non_null(strstr(snapshot(fixture), TICKER("4", "")));
    keeper_clear(fixture->keeper);
    assert_string_equal(snapshot(fixture), "");
    assert_true(load_text(fixture, STATE("5", "A-KRW", TICKER("4", ""), "")));
    assert_string_equal(snapshot(fixture), "");
}

static void a_state_that_is_ahead_is_not_passed_on(void **state)
{
    assert_true(load_text(*state, STATE("2", "A-KRW", TICKER("2", ""), "")));
    struct buffer none = saved(*state);
    assert_int_equal(none.size, 0);
    accept(*state, "later", "\"a\":1");
    accept(*state, "later", "\"a\":1");
    struct buffer state_text = saved(*state);
    assert_string_equal(state_text.data, STATE("2", "A-KRW", TICKER("2", ""), ""));
    buffer_release(&none);
    buffer_release(&state_text);
}

/* A reason may be long, and have many channels. */
static void what_does_not_fit_a_state_is_left_out(void **state)
{
    struct fixture *fixture = *state;
    struct buffer small, whole = {0};
    for (int i = 0; i < 300; i++) {
        char rest[300];
        snprintf(rest, sizeof rest,
                 "\"exchange\":\"one\",\"symbol\":\"A-KRW\",\"recv\":1,\"id\":\"%d\","
                 "\"price\":\"1\",\"size\":\"1\",\"side\":\"buy\"",
                 i);
        accept(fixture, "trade", rest);
    }
    whole = saved(fixture);
    assert_non_null(strstr(whole.data, "\"trades\":[[\"0\",0,1],[\"1\",0,1],"));
    buffer_init(&small, KIBIBYTE);
    assert_int_equal(keeper_save_state(fixture->keeper, 0, &small), 1);
    assert_false(small.overflowed);
    assert_true(small.size > KIBIBYTE - 40);
    assert_null(strstr(small.data, "[\"0\",0,1]"));
    assert_non_null(strstr(small.data, ",[\"298\",0,1],[\"299\",0,1]]}"));
    assert_int_equal(keeper_save_state(fixture->keeper, 1, &small), 1);
    buffer_release(&small);
    buffer_release(&whole);
}

static bool identify(const char *text, uint64_t *ret_hash, int64_t *ret_recv_us)
{
    char padded[1024] = {0}, key[LIMIT_KEY];
    struct record record = {0};
    snprintf(padded, sizeof padded - LIMIT_PADDING, "%s", text);
    record.text = slice_of(padded);
    assert_true(record_read_head(record.text, key, &record));
    return keeper_identify_trade(&record, ret_hash, ret_recv_us);
}

#define TRADE(seq, symbol, rest)                                                                   \
    "{\"type\":\"trade\",\"seq\":" seq ",\"exchange\":\"one\",\"symbol\":\"" symbol "\"," rest "}"
#define TERMS(price, size, side)                                                                   \
    "\"price\":\"" price "\",\"size\":\"" size "\",\"side\":\"" side "\""

static void a_trade_is_the_same_on_any_node(void **state)
{
    static const char *const other[] = {
        TRADE("1", "A-KRW", "\"ts\":5,\"recv\":6,\"id\":\"8\"," TERMS("1", "2", "buy")),
        TRADE("1", "B-KRW", "\"ts\":5,\"recv\":6,\"id\":\"7\"," TERMS("1", "2", "buy")),
        TRADE("1", "A-KRW", "\"ts\":5,\"recv\":6," TERMS("1", "2", "buy")),
        TRADE("1", "A-KRW", "\"ts\":6,\"recv\":6," TERMS("1", "2", "buy")),
        TRADE("1", "A-KRW", "\"ts\":5,\"recv\":6," TERMS("3", "2", "buy")),
        TRADE("1", "A-KRW", "\"ts\":5,\"recv\":6," TERMS("1", "3", "buy")),
        TRADE("1", "A-KRW", "\"ts\":5,\"recv\":6," TERMS("1", "2", "sell")),
    };
    uint64_t hash[COUNT_OF(other)], again = 0;
    int64_t recv_us = 0;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(other); i++) {
        assert_true(identify(other[i], &hash[i], &recv_us));
        assert_int_equal(recv_us, 6);
        for (size_t j = 0; j < i; j++)
            assert_true(hash[i] != hash[j]);
    }
    assert_true(identify(TRADE("99", "A-KRW", "\"recv\":9,\"id\":\"8\"," TERMS("9", "9", "sell")),
                         &again, &recv_us));
    assert_true(again == hash[0] && recv_us == 9);
    assert_true(
        identify(TRADE("99", "A-KRW", "\"ts\":5," TERMS("1.00", "2.0", "buy")), &again, &recv_us));
    assert_true(again == hash[2] && recv_us == 0);
    assert_false(identify(TICKER("5", ""), &again, &recv_us));
    assert_false(identify(TRADE("1", "A-KRW", "\"price\":1"), &again, &recv_us));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_no_state_changes_nothing),
        TEST(a_state_before_what_was_heard_tells_nothing),
        TEST(a_state_that_is_ahead_is_not_passed_on),
        TEST(what_does_not_fit_a_state_is_left_out),
        cmocka_unit_test(a_trade_is_the_same_on_any_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
