/* SPDX-License-Identifier: Apache-2.0 */
/* Lines taken apart here, and by jansson: what it takes for an object says the same to us. */
#include "sim/recording_line.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#define LINE_SIZE 512

static void assert_string_of(const json_t *object, const char *key, struct slice text)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value)) {
        assert_null(text.data);
        return;
    }
    assert_non_null(text.data);
    assert_int_equal(text.size, json_string_length(value));
    assert_memory_equal(text.data, json_string_value(value), text.size + 1);
}

/* Returns whether jansson took it. */
static bool compare(const char *text, size_t size)
{
    struct recording_line line;
    json_error_t error;
    /* Of its own size, so that a sanitizer sees what is read behind it. */
    char *copy = memory_alloc(size + 1);
    memcpy(copy, text, size);
    json_t *object = json_loadb(text, size, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
    bool read = recording_line_read(copy, size, &line);
    bool taken = json_is_object(object);
    if (taken) {
        if (!read)
            fail_msg("not read: %.*s", (int)size, text);
        assert_string_of(object, "raw", line.raw);
        assert_string_of(object, "op", line.op);
        assert_string_of(object, "exchange", line.exchange);
        assert_string_of(object, "raw64", line.raw64);
        assert_string_of(object, "event", line.event);
        assert_int_equal(json_object_get(object, "event") != NULL, line.has_event);
        assert_int_equal(json_object_get(object, "exchange") != NULL, line.has_exchange);
    }
    json_decref(object);
    memory_free(copy);
    return taken;
}

static const char *const good[] = {
    "{}",
    " {\t\"raw\" : \"a\" , \"op\":\"binary\"}\r ",
    "{\"raw\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\"}",
    "{\"raw\":\"\\u00e9\\uD55c\\ud83d\\uDE00\\u007f\\u07ff\"}",
    "{\"raw\":\"\xc3\xa9\xed\x95\x9c\xf0\x9f\x98\x80\",\"ts\":1.5}",
    "{\"a\":{\"raw\":\"no\",\"b\":[\"]}\\\"\",{}]},\"raw\":\"yes\",\"x\":[[],[1,2]]}",
    "{\"raw\":7,\"op\":null,\"exchange\":[],\"event\":false,\"raw64\":{}}",
    "{\"ra\\u0077\":\"by its escaped name\",\"\":\"\"}",
};

static const char *const bad[] = {
    "",
    "[]",
    "7",
    "{",
    "{\"raw\"}",
    "{\"raw\":}",
    "{\"raw\":\"a\"",
    "{\"raw\":\"a\",}",
    "{\"raw\":\"a\"} x",
    "{\"raw\":\"\t\"}",
    "{\"raw\":\"\\x\"}",
    "{\"raw\":\"\\u12\"}",
    "{\"raw\":\"\\ud800\"}",
    "{\"raw\":\"\\udc00\"}",
    "{\"raw\":\"\\ud800\\u0041\"}",
    "{\"raw\":\"\xff\"}",
    "{\"raw\":\"\xed\xa0\x80\"}",
    "{\"raw\":\"\xc0\x80\"}",
    "{\"raw\":\"\xf4\x90\x80\x80\"}",
    "{\"raw\":\"\xe2\x82\"}",
    "{\"a\":[1,2}",
    "{\"a\":[\"]",
    "{raw:\"a\"}",
};

static void lines_are_read_as_jansson_reads_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_true(compare(good[i], strlen(good[i])));
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct recording_line line;
        char text[LINE_SIZE];
        size_t size = strlen(bad[i]);
        memcpy(text, bad[i], size + 1);
        assert_false(compare(bad[i], size));
        if (recording_line_read(text, size, &line))
            fail_msg("read: %s", bad[i]);
    }
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

/* Pieces of lines in any order, with bytes changed. */
static void lines_at_random_too(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "{",       "}",  "\"raw\":", "\"event\":", "\"exchange\":", "\"a\"",   ",",
        "\"op\":", "[",  "]",        "\\u0",       "\\ud83d",       "\\ude00", "\"",
        "1.5",     "{}", "\\\\",     "\\\"",       "\xc3\xa9"};
    uint32_t seed = 20260923, taken = 0;
    for (int round = 0; round < 300000; round++) {
        char text[LINE_SIZE];
        size_t size = 0;
        if (next_random(&seed) % 2 == 0) {
            const char *line = good[next_random(&seed) % COUNT_OF(good)];
            size = strlen(line);
            memcpy(text, line, size);
            text[next_random(&seed) % size] = (char)next_random(&seed);
        } else {
            text[size++] = '{';
            for (uint32_t i = next_random(&seed) % 12; i > 0; i--) {
                const char *piece = pieces[next_random(&seed) % COUNT_OF(pieces)];
                memcpy(text + size, piece, strlen(piece));
                size += strlen(piece);
            }
            text[size++] = '}';
        }
        taken += compare(text, size);
    }
    print_message("%u objects\n", taken);
    assert_true(taken > 10000);
}

static void times_and_counts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
    } cases[] = {
        {"1790133513.000001", INT64_C(1790133513000001)},
        {"1790133513", INT64_C(1790133513000000)},
        {"1628952396.26", INT64_C(1628952396260000)},
        {"1628952396.2599999904", INT64_C(1628952396260000)},
        {"9999999999.999999", INT64_C(9999999999999999)},
        {"10000000000", 0},
        {"1.628952396e9", 0},
        {"16E8", 0},
        {"-5", 0},
        {"null", 0},
        {"0", 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[LINE_SIZE];
        struct recording_line line;
        int size = snprintf(text, sizeof text, "{\"ts\":%s,\"count\":%s}", cases[i].text,
                            i == 1 ? "12" : "-1");
        assert_true(recording_line_read(text, (size_t)size, &line));
        assert_int_equal(line.ts_us, cases[i].us);
        assert_int_equal(line.count, i == 1 ? 12 : 0);
    }
}

static void names_of_the_exchanges(void **state)
{
    (void)state;
    char text[] = "{\"exchanges\":[\"binance\", \"upbit\"],\"raw\":\"\"}";
    struct recording_line line;
    struct slice name;
    assert_true(recording_line_read(text, sizeof text - 1, &line));
    struct slice rest = line.exchanges;
    assert_true(recording_line_name(&rest, &name) && slice_is(name, "binance"));
    assert_true(recording_line_name(&rest, &name) && slice_is(name, "upbit"));
    assert_false(recording_line_name(&rest, &name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_read_as_jansson_reads_them),
        cmocka_unit_test(lines_at_random_too),
        cmocka_unit_test(times_and_counts),
        cmocka_unit_test(names_of_the_exchanges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
