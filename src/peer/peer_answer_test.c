/* SPDX-License-Identifier: Apache-2.0 */
/* What other nodes may say in JSON, and what they may not. */
#include "peer/peer_answer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#define NODE                                                                                       \
    "{\"id\":\"gw-1\",\"role\":\"leader\",\"url\":\"http://h:1\",\"version\":\"0.1.0\","           \
    "\"clients\":7,\"lag_ms\":0,\"since\":1700000000000000}"
#define OTHER "{\"id\":\"gw-2\",\"role\":\"follower\"}"
#define ANSWER(nodes)                                                                              \
    "{\"self\":\"gw-1\",\"leader\":\"gw-1\",\"epoch\":4,\"stream\":\"tw-7f3a\",\"nodes\":[" nodes  \
    "],\"history\":[{\"epoch\":4}]}"
#define HELLO                                                                                      \
    "{\"type\":\"hello\",\"version\":1,\"node\":\"gw-1\",\"stream\":\"tw-7f3a\",\"epoch\":4,"      \
    "\"next\":12,\"source\":\"kafka\",\"mode\":\"kafka\",\"resumed\":true}"

static int read_answer(const char *text, struct peer_answer *ret_answer)
{
    struct err err = {0};
    int result = peer_answer_read(slice_of(text), ret_answer, &err);
    assert_true(result == 0 ? err.text[0] == '\0' : err.text[0] != '\0');
    return result;
}

static void test_an_answer(void **state)
{
    (void)state;
    struct peer_answer answer;
    assert_int_equal(read_answer(ANSWER(OTHER "," NODE), &answer), 0);
    assert_string_equal(answer.node, "gw-1");
    assert_string_equal(answer.role, "leader");
    assert_string_equal(answer.stream, "tw-7f3a");
    assert_string_equal(answer.version, "0.1.0");
    assert_string_equal(answer.url, "http://h:1");
    assert_int_equal(answer.epoch, 4);
    assert_int_equal(answer.clients, 7);
    assert_int_equal(answer.lag_ms, 0);
    assert_int_equal(answer.since_us, 1700000000000000);
}

static void test_what_may_be_missing(void **state)
{
    (void)state;
    struct peer_answer answer;
    assert_int_equal(read_answer("{\"self\":\"a\",\"epoch\":0,\"stream\":null,\"nodes\":[{\"id\":"
                                 "\"a\",\"role\":\"starting\",\"version\":\"2\",\"clients\":null,"
                                 "\"lag_ms\":null,\"since\":null}],\"later\":{}}",
                                 &answer),
                     0);
    assert_string_equal(answer.role, "starting");
    assert_string_equal(answer.stream, "");
    assert_string_equal(answer.url, "");
    assert_int_equal(answer.clients, -1);
    assert_int_equal(answer.lag_ms, -1);
    assert_int_equal(answer.since_us, 0);
}

static void test_a_role_of_a_later_version_is_no_leader(void **state)
{
    (void)state;
    struct peer_answer answer;
    assert_int_equal(
        read_answer(ANSWER("{\"id\":\"gw-1\",\"role\":\"leader2\",\"version\":\"9\"}"), &answer),
        0);
    assert_string_equal(answer.role, "unknown");
}

/* `text` with the first `from` in it replaced; both must have been there before. */
static void replace(const char *text, const char *from, const char *to, char *out, size_t out_size)
{
    const char *at = strstr(text, from);
    assert_non_null(at);
    int size = snprintf(out, out_size, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    assert_true(size > 0 && (size_t)size < out_size);
}

static void test_answers_that_are_none(void **state)
{
    (void)state;
    static const char *const changes[][2] = {
        {"\"self\":\"gw-1\"", "\"self\":\"\""},
        {"\"self\":\"gw-1\"", "\"self\":7"},
        {"\"self\":\"gw-1\"", "\"self\":\"gw 1\""},
        {"\"self\":\"gw-1\"", "\"self\":\"gw-\\u00e9\""},
        {"\"self\":\"gw-1\"", "\"self\":\"gw-3\""},
        {"\"self\":\"gw-1\",", ""},
        {"\"epoch\":4", "\"epoch\":-1"},
        {"\"epoch\":4", "\"epoch\":4.0"},
        {"\"epoch\":4", "\"epoch\":9007199254740992"},
        {"\"epoch\":4", "\"epoch\":9223372036854775808"},
        {"\"epoch\":4", "\"epoch\":\"4\""},
        {"\"epoch\":4", "\"epoch\":4,\"epoch\":5"},
        {"\"tw-7f3a\"", "\"tw.7f3a\""},
        {"\"tw-7f3a\"", "\"tw-7f3atw-7f3atw-7f3atw-7f3atw-7f3a\""},
        {"\"tw-7f3a\"", "false"},
        {"\"role\":\"leader\"", "\"role\":1"},
        {"\"version\":\"0.1.0\"", "\"version\":\"<b>\""},
        {"\"clients\":7", "\"clients\":-7"},
        {"\"clients\":7", "\"clients\":true"},
        {"\"lag_ms\":0", "\"lag_ms\":0.5"},
        {"\"since\":1700000000000000", "\"since\":\"now\""},
        {"\"id\":\"gw-1\"", "\"id\":null"},
        {"\"http://h:1\"", "7"},
        {"\"http://h:1\"", "\"http://\""},
        {"\"http://h:1\"", "\"\""},
        {"\"http://h:1\"", "\"gw-1:8080\""},
        {"\"http://h:1\"", "\"http://gw-1:8080/\\\"\""},
        {"\"http://h:1\"", "\"http://gw-1:8080/path\""},
    };
    struct peer_answer answer;
    char text[1024];
    for (size_t i = 0; i < COUNT_OF(changes); i++) {
        replace(ANSWER(NODE), changes[i][0], changes[i][1], text, sizeof text);
        if (read_answer(text, &answer) != -EINVAL)
            fail_msg("%s", text);
    }
}

static void test_a_cut_text_is_none(void **state)
{
    (void)state;
    static const char text[] = ANSWER(NODE);
    struct peer_answer answer;
    struct peer_greeting greeting;
    struct err err;
    for (size_t size = 0; size + 1 < sizeof text; size++)
        assert_int_equal(
            peer_answer_read((struct slice){.data = text, .size = size}, &answer, &err), -EINVAL);
    for (size_t size = 0; size + 1 < sizeof HELLO; size++)
        assert_int_equal(
            peer_greeting_read((struct slice){.data = HELLO, .size = size}, &greeting, &err),
            -EINVAL);
}

static void test_a_greeting(void **state)
{
    (void)state;
    static const char *const changes[][2] = {
        {"\"node\":\"gw-1\"", "\"node\":\"\""},
        {"\"stream\":\"tw-7f3a\"", "\"stream\":null"},
        {"\"epoch\":4", "\"epoch\":null"},
        {"\"next\":12", "\"next\":0"},
        {"\"next\":12", "\"next\":1e3"},
        {"\"resumed\":true", "\"resumed\":1"},
        {"\"resumed\":true", "\"resumed\":\"yes\""},
    };
    char text[1024];
    struct err err;
    struct peer_greeting greeting;
    assert_int_equal(peer_greeting_read(SLICE(HELLO), &greeting, &err), 0);
    assert_string_equal(greeting.node, "gw-1");
    assert_string_equal(greeting.stream, "tw-7f3a");
    assert_int_equal(greeting.epoch, 4);
    assert_int_equal(greeting.next, 12);
    assert_true(greeting.resumed);
    for (size_t i = 0; i < COUNT_OF(changes); i++) {
        replace(HELLO, changes[i][0], changes[i][1], text, sizeof text);
        if (peer_greeting_read(slice_of(text), &greeting, &err) != -EINVAL)
            fail_msg("%s", text);
    }
}

static void test_epochs(void **state)
{
    (void)state;
    assert_int_equal(peer_epoch_read(SLICE("{\"type\":\"epoch\",\"seq\":9,\"epoch\":5,\"prev\":"
                                           "{\"epoch\":4,\"seq\":8},\"node\":\"a\"}")),
                     5);
    assert_int_equal(peer_epoch_read(SLICE("{\"prev\":{\"epoch\":4,\"seq\":8}}")), -1);
    assert_int_equal(peer_epoch_read(SLICE("{\"epoch\":0}")), -1);
    assert_int_equal(peer_epoch_read(SLICE("{\"epoch\":5")), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answer),
        cmocka_unit_test(test_what_may_be_missing),
        cmocka_unit_test(test_a_role_of_a_later_version_is_no_leader),
        cmocka_unit_test(test_answers_that_are_none),
        cmocka_unit_test(test_a_cut_text_is_none),
        cmocka_unit_test(test_a_greeting),
        cmocka_unit_test(test_epochs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
