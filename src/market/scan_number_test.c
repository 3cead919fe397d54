/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers where the scanner meets them: stricter than decimal_read unless they stand in quotes. */
#include "market/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static char *exact(struct slice text)
{
    char *copy = malloc(text.size + 1 + LIMIT_PADDING);
    assert_non_null(copy);
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    memset(copy + text.size + 1, '"', LIMIT_PADDING);
    return copy;
}

static struct scan scan_of(const char *text, char **ret_copy)
{
    *ret_copy = exact(slice_of(text));
    return scan_begin((struct slice){.data = *ret_copy, .size = strlen(text)});
}

static void test_integer(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
        int64_t value;
    } rows[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"7", true, 7},
        {"-7", true, -7},
        {" 10", true, 10},
        {"12345678", true, 12345678},
        {"123456789", true, 123456789},
        {"1628952396395000", true, 1628952396395000},
        {"123456789012345", true, 123456789012345},
        {"-123456789012345", true, -123456789012345},
        {"12345678901234567", true, 12345678901234567},
        {"1234567890123456789", true, 1234567890123456789},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775807", true, -INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"9999999999999999999", false, 0},
        {"18446744073709551616", false, 0},
        {"18446744073709551617", false, 0},
        {"10000000000000000000", false, 0},
        {"123456789012345678901234567890123456789", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"+1", false, 0},
        {"01", false, 0},
        {"-01", false, 0},
        {"00", false, 0},
        {"0000000000000000", false, 0},
        {"0000000000000001", false, 0},
        {"1.0", false, 0},
        {"1234567890123456.0", false, 0},
        {"0.0", false, 0},
        {"1e3", false, 0},
        {"0e3", false, 0},
        {"1E3", false, 0},
        {"\"1\"", false, 0},
        {"null", false, 0},
        {"--1", false, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *copy;
        struct scan scan = scan_of(rows[i].text, &copy);
        int64_t value = scan_integer(&scan);
        if (scan_finish(&scan) != rows[i].valid || value != rows[i].value)
            fail_msg("%s: %lld", rows[i].text, (long long)value);
        free(copy);
    }
}

static void test_number(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum decimal_verdict verdict;
        struct decimal value;
    } rows[] = {
        {"127.0", DECIMAL_OK, {1270, -1}},
        {" -0.5", DECIMAL_OK, {-5, -1}},
        {"0", DECIMAL_OK, {0, 0}},
        {"-0", DECIMAL_OK, {0, 0}},
        {"0.0", DECIMAL_OK, {0, -1}},
        {"9.9E-7", DECIMAL_OK, {99, -8}},
        {"280460.37885666", DECIMAL_OK, {28046037885666, -8}},
        {"1234567890123456789", DECIMAL_TOO_LONG, {0, 0}},
        {"1e999999999999", DECIMAL_TOO_LONG, {0, 0}},
        {"+1", DECIMAL_INVALID, {0, 0}},
        {"-+1", DECIMAL_INVALID, {0, 0}},
        {"01", DECIMAL_INVALID, {0, 0}},
        {"-01.5", DECIMAL_INVALID, {0, 0}},
        {"00", DECIMAL_INVALID, {0, 0}},
        {".5", DECIMAL_INVALID, {0, 0}},
        {"5.", DECIMAL_INVALID, {0, 0}},
        {"\"5\"", DECIMAL_INVALID, {0, 0}},
        {"", DECIMAL_INVALID, {0, 0}},
        {"nan", DECIMAL_INVALID, {0, 0}},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *copy;
        struct scan scan = scan_of(rows[i].text, &copy);
        struct decimal value = {0};
        assert_int_equal(scan_number(&scan, &value), rows[i].verdict);
        assert_int_equal(scan_finish(&scan), rows[i].verdict != DECIMAL_INVALID);
        assert_int_equal(value.mantissa, rows[i].value.mantissa);
        assert_int_equal(value.exponent, rows[i].value.exponent);
        free(copy);
    }
}

static void test_quoted_decimal(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum decimal_verdict verdict;
    } rows[] = {
        {"\"1.50\"", DECIMAL_OK},
        {" \"+1.5\"", DECIMAL_OK},
        {"\"007\"", DECIMAL_OK},
        {"\"1e5\"", DECIMAL_OK},
        {"\"12345678901234567800\"", DECIMAL_OK}, /* two zeros can go */
        {"\"12345678901234567891\"", DECIMAL_TOO_LONG},
        {"\"\"", DECIMAL_INVALID},
        {"\" 1\"", DECIMAL_INVALID},
        {"\"1 \"", DECIMAL_INVALID},
        {"\"1,5\"", DECIMAL_INVALID},
        {"\"1", DECIMAL_INVALID},
        {"\"12345678901234567891", DECIMAL_INVALID},
        {"\"", DECIMAL_INVALID},
        {"1\"", DECIMAL_INVALID},
        {"1.5", DECIMAL_INVALID},
        {"null", DECIMAL_INVALID},
        {"\"abc\"", DECIMAL_INVALID},
        {"\"\\u0031\"", DECIMAL_INVALID},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *copy;
        struct scan scan = scan_of(rows[i].text, &copy);
        struct decimal value = {0};
        if (scan_quoted_decimal(&scan, &value) != rows[i].verdict)
            fail_msg("%s", rows[i].text);
        assert_int_equal(scan_finish(&scan), rows[i].verdict != DECIMAL_INVALID);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integer),
        cmocka_unit_test(test_number),
        cmocka_unit_test(test_quoted_decimal),
    };
    return cmocka_run_group_tests_name("scan_number", tests, NULL, NULL);
}
