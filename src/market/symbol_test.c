/* SPDX-License-Identifier: Apache-2.0 */
#include "market/symbol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define LONG_HALF "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFG" /* 43 bytes */

static void test_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
    } rows[] = {
        {"BTC-USDT", true},
        {"1INCH-KRW", true},
        {"A-B", true},
        {"\xed\x95\x9c-KRW", true},
        {LONG_HALF "-ABC", true},   /* 47 bytes: the most */
        {LONG_HALF "-ABCD", false}, /* no room for the terminator */
        {"", false},
        {"-", false},
        {"BTC", false},
        {"BTC-", false},
        {"-USDT", false},
        {"BTC--USDT", false},
        {"BTC-USDT-", false},
        {"BTC-USD-T", false},
        {"btc-USDT", false},
        {"BTC-USDt", false},
        {"BTC_USDT", false},
        {"BTC-US DT", false},
        {"BTC-\"", false},
        {"BTC-\\", false},
        {"BTC-US.D", false},
        {"BTC-\x1f", false},
        {"BTC-\x7f", false},
        {"BTC-\xed\x95", false},
        {"BTC-\xff", false},
        {"BTC-\xc0\x80", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct symbol symbol;
        if (symbol_read(slice_of(rows[i].text), &symbol) != rows[i].valid)
            fail_msg("%s", rows[i].text);
        if (!rows[i].valid)
            continue;
        assert_string_equal(symbol.text, rows[i].text);
        assert_int_equal(symbol.size, strlen(rows[i].text));
    }
}

static void test_nul_is_no_letter(void **state)
{
    (void)state;
    struct symbol symbol;
    assert_false(symbol_read((struct slice){.data = "BTC-US\0T", .size = 8}, &symbol));
    assert_false(symbol_read((struct slice){0}, &symbol));
}

static void test_make(void **state)
{
    (void)state;
    static const struct {
        const char *base, *quote, *text;
    } rows[] = {
        {"btc", "usdt", "BTC-USDT"},
        {"1inch", "Krw", "1INCH-KRW"},
        {"\xed\x95\x9c", "krw", "\xed\x95\x9c-KRW"},
        {"", "usdt", NULL},
        {"btc", "", NULL},
        {"b-tc", "usdt", NULL},
        {"btc", "us-dt", NULL},
        {"b/tc", "usdt", NULL},
        {LONG_HALF, "abc", LONG_HALF "-ABC"},
        {LONG_HALF, "abcd", NULL},
        {LONG_HALF LONG_HALF, "abc", NULL},
        {"a", LONG_HALF LONG_HALF, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct symbol symbol;
        bool made = symbol_make(slice_of(rows[i].base), slice_of(rows[i].quote), &symbol);
        assert_int_equal(made, rows[i].text != NULL);
        if (made)
            assert_string_equal(symbol.text, rows[i].text);
    }
}

static void test_halves(void **state)
{
    (void)state;
    struct symbol symbol;
    assert_true(symbol_read(SLICE("BTC-USDT"), &symbol));
    assert_true(slice_is(symbol_base(&symbol), "BTC"));
    assert_true(slice_is(symbol_quote(&symbol), "USDT"));
    assert_true(slice_is(symbol_slice(&symbol), "BTC-USDT"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_nul_is_no_letter),
        cmocka_unit_test(test_make),
        cmocka_unit_test(test_halves),
    };
    return cmocka_run_group_tests_name("symbol", tests, NULL, NULL);
}
