/* SPDX-License-Identifier: Apache-2.0 */
/* Queries and paths from outside, each with what is read or the words of the refusal. */
#include "admin/rest_query.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define NAME_32 "a23456789_123456789_123456789_12"

static const struct rest_parameter parameters[] = {
    {.name = "exchange", .kind = REST_EXCHANGE},
    {.name = "symbol", .kind = REST_SYMBOL},
    {.name = "limit", .kind = REST_NUMBER, .max = 100},
};

struct read_case {
    const char *text;
    const char *exchange; /* NULL: refused */
    const char *symbol;
    uint32_t number;
    const char *words; /* of the refusal */
};

static void check_read(const struct read_case *each, int result, const struct rest_query *query,
                       const struct err *err)
{
    if (each->exchange == NULL) {
        if (result >= 0 || strstr(err->text, each->words) == NULL)
            fail_msg("%s: %d, %s", each->text, result, err->text);
        assert_int_equal(result, err->code);
        return;
    }
    if (result != 0)
        fail_msg("%s: %s", each->text, err->text);
    assert_string_equal(query->exchange, each->exchange);
    assert_string_equal(query->symbol.text, each->symbol);
    assert_int_equal(query->number, each->number);
}

static void queries(void **state)
{
    (void)state;
    static const struct read_case cases[] = {
        {"", "", "", 0, NULL},
        {"exchange=upbit", "upbit", "", 0, NULL},
        {"symbol=BTC-KRW&exchange=upbit&limit=100", "upbit", "BTC-KRW", 100, NULL},
        {"limit=1", "", "", 1, NULL},
        {"limit=%31%30", "", "", 10, NULL},
        {"symbol=%42TC%2dKRW", "", "BTC-KRW", 0, NULL},
        {"symbol=%EB%B9%84-KRW", "", "\xeb\xb9\x84-KRW", 0, NULL},
        {"exchange=" NAME_32, NAME_32, "", 0, NULL},
        {"exchange=" NAME_32 "3", NULL, NULL, 0, "exchange: `a23456789"},
        {"exchange=Upbit", NULL, NULL, 0, "expected an exchange"},
        {"exchange=", NULL, NULL, 0, "expected an exchange"},
        {"exchange", NULL, NULL, 0, "expected an exchange"},
        {"exchange=up bit", NULL, NULL, 0, "expected an exchange"},
        {"exchange=up%00bit", NULL, NULL, 0, "`up%00bit`: expected an exchange"},
        {"exchange=up%2", NULL, NULL, 0, "expected an exchange"},
        {"exchange=up%zz", NULL, NULL, 0, "expected an exchange"},
        {"exchange=a=b", NULL, NULL, 0, "`a=b`: expected an exchange"},
        {"symbol=btc-krw", NULL, NULL, 0, "expected a symbol, BASE-QUOTE"},
        {"symbol=BTCKRW", NULL, NULL, 0, "expected a symbol"},
        {"symbol=BTC-", NULL, NULL, 0, "expected a symbol"},
        {"symbol=BTC-KRW%26limit=1", NULL, NULL, 0, "expected a symbol"},
        {"symbol=%ff-KRW", NULL, NULL, 0, "expected a symbol"},
        {"symbol=BTC+KRW", NULL, NULL, 0, "expected a symbol"},
        {"limit=0", NULL, NULL, 0, "limit: `0`: expected a whole number, 1 to 100"},
        {"limit=101", NULL, NULL, 0, "1 to 100"},
        {"limit=01", NULL, NULL, 0, "1 to 100"},
        {"limit=-1", NULL, NULL, 0, "1 to 100"},
        {"limit=+1", NULL, NULL, 0, "1 to 100"},
        {"limit=1.0", NULL, NULL, 0, "1 to 100"},
        {"limit=1e1", NULL, NULL, 0, "1 to 100"},
        {"limit=0x1", NULL, NULL, 0, "1 to 100"},
        {"limit=", NULL, NULL, 0, "1 to 100"},
        {"limit", NULL, NULL, 0, "1 to 100"},
        {"limit=%20"
         "1",
         NULL, NULL, 0, "1 to 100"},
        {"limit=4294967297", NULL, NULL, 0, "1 to 100"},
        {"limit=99999999999999999999999999", NULL, NULL, 0, "1 to 100"},
        {"limit=1&limit=1", NULL, NULL, 0, "`limit` is given twice: expected once"},
        {"limits=1", NULL, NULL, 0, "unknown parameter `limits`: expected exchange, symbol, limit"},
        {"Limit=1", NULL, NULL, 0, "unknown parameter `Limit`"},
        {"%6cimit=1", NULL, NULL, 0, "unknown parameter `%6cimit`"},
        {"limit=1&", NULL, NULL, 0, "unknown parameter ``"},
        {"&limit=1", NULL, NULL, 0, "unknown parameter ``"},
        {"limit=1&&exchange=upbit", NULL, NULL, 0, "unknown parameter ``"},
        {"=", NULL, NULL, 0, "unknown parameter ``"},
        {"&", NULL, NULL, 0, "unknown parameter ``"},
        {"limit=1;exchange=upbit", NULL, NULL, 0, "1 to 100"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rest_query query = {.number = 0};
        struct err err = {0};
        int result = rest_query_read(slice_of(cases[i].text), parameters, COUNT_OF(parameters),
                                     &query, &err);
        check_read(&cases[i], result, &query, &err);
    }
}

static void a_query_where_there_is_none(void **state)
{
    (void)state;
    struct rest_query query = {.number = 0};
    struct err err = {0};
    assert_int_equal(rest_query_read(SLICE(""), NULL, 0, &query, &err), 0);
    assert_int_equal(rest_query_read(SLICE("limit=1"), NULL, 0, &query, &err), -EINVAL);
    assert_string_equal(err.text, "unknown parameter `limit`: expected none");
}

/* A sentence never holds more of the input than fits. */
static void long_input_is_cut(void **state)
{
    (void)state;
    static char text[LIMIT_HTTP_TARGET];
    struct rest_query query = {.number = 0};
    struct err err = {0};
    memset(text, 'x', sizeof text);
    struct slice name = {.data = text, .size = sizeof text};
    assert_int_equal(rest_query_read(name, parameters, COUNT_OF(parameters), &query, &err),
                     -EINVAL);
    assert_non_null(strstr(err.text, "x`: expected exchange, symbol, limit"));
    memcpy(text, "symbol=", 7);
    assert_int_equal(rest_query_read(name, parameters, COUNT_OF(parameters), &query, &err),
                     -EINVAL);
    assert_non_null(strstr(err.text, "x`: expected a symbol"));
    assert_true(strlen(err.text) < 150);
}

static void pairs(void **state)
{
    (void)state;
    static const struct {
        struct read_case read;
        int result;
    } cases[] = {
        {{"upbit/BTC-KRW", "upbit", "BTC-KRW", 0, NULL}, 0},
        {{"%75pbit/BTC%2DKRW", "upbit", "BTC-KRW", 0, NULL}, 0},
        {{"", NULL, NULL, 0, "{exchange}/{symbol}"}, -ENOENT},
        {{"/", NULL, NULL, 0, "{exchange}/{symbol}"}, -ENOENT},
        {{"upbit", NULL, NULL, 0, "{exchange}/{symbol}"}, -ENOENT},
        {{"upbit/", NULL, NULL, 0, "{exchange}/{symbol}"}, -ENOENT},
        {{"/BTC-KRW", NULL, NULL, 0, "{exchange}/{symbol}"}, -ENOENT},
        {{"upbit/BTC-KRW/", NULL, NULL, 0, "{exchange}/{symbol}"}, -ENOENT},
        {{"upbit//BTC-KRW", NULL, NULL, 0, "{exchange}/{symbol}"}, -ENOENT},
        {{"upbit/BTC/KRW", NULL, NULL, 0, "{exchange}/{symbol}"}, -ENOENT},
        {{"upbit%2fBTC-KRW", NULL, NULL, 0, "{exchange}/{symbol}"}, -ENOENT},
        {{"../BTC-KRW", NULL, NULL, 0, "`..`: expected an exchange"}, -EINVAL},
        {{"upbit/BTC%2fKRW", NULL, NULL, 0, "expected a symbol"}, -EINVAL},
        {{"upbit/BTC-KRW%00", NULL, NULL, 0, "expected a symbol"}, -EINVAL},
        {{"upbit/BTC-KRW%", NULL, NULL, 0, "expected a symbol"}, -EINVAL},
        {{"upbit/BTC-KR%5", NULL, NULL, 0, "expected a symbol"}, -EINVAL},
        {{"upbit/%2542TC-KRW", NULL, NULL, 0, "expected a symbol"}, -EINVAL},
        {{"upbit/btc-krw", NULL, NULL, 0, "expected a symbol"}, -EINVAL},
        {{"UPBIT/BTC-KRW", NULL, NULL, 0, "expected an exchange"}, -EINVAL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rest_query query = {.number = 0};
        struct err err = {0};
        int result = rest_pair_read(slice_of(cases[i].read.text), &query, &err);
        assert_int_equal(result, cases[i].result);
        check_read(&cases[i].read, result, &query, &err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries),
        cmocka_unit_test(a_query_where_there_is_none),
        cmocka_unit_test(long_input_is_cut),
        cmocka_unit_test(pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
