/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/write.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef void write_fn(struct buffer *out, int64_t value, unsigned scale);

static void expect(write_fn *write, int64_t value, unsigned scale, const char *text)
{
    struct buffer out;
    buffer_init(&out, 256);
    write(&out, value, scale);
    assert_string_equal(out.data, text);
    buffer_release(&out);
}

static void eight(struct buffer *out, int64_t value, unsigned scale)
{
    write_fixed(out, value, scale, 8);
}

static void four(struct buffer *out, int64_t value, unsigned scale)
{
    write_fixed(out, value, scale, 4);
}

static void numbers_are_spelled(void **state)
{
    (void)state;
    expect(eight, 12345, 2, "123.45000000");
    expect(eight, -5, 1, "-0.50000000");
    expect(eight, 7, 0, "7.00000000");
    expect(four, 4999, 8, "0.0000");
    expect(four, 50001, 8, "0.0005");
    expect(four, 12, 0, "12.0000");
    expect(write_plain, 1234500, 4, "123.45");
    expect(write_plain, 100, 2, "1");
    expect(write_plain, 0, 8, "0");
    expect(write_plain, -10, 3, "-0.01");
    expect(write_pointed, 100, 2, "1.0");
    expect(write_pointed, 12345, 2, "123.45");
}

static void java_spells_exponents(void **state)
{
    (void)state;
    expect(write_java, 116539000, 0, "1.16539E8");
    expect(write_java, 10000000, 0, "1.0E7");
    expect(write_java, 9999999, 0, "9999999.0");
    expect(write_java, 99, 8, "9.9E-7");
    expect(write_java, 6, 8, "6.0E-8");
    expect(write_java, 50000, 8, "5.0E-4");
    expect(write_java, 100000, 8, "0.001");
    expect(write_java, 79276, 8, "7.9276E-4");
    expect(write_java, 0, 8, "0.0");
    expect(write_java, -25, 1, "-2.5");
}

static void ratios_do_not_overflow(void **state)
{
    (void)state;
    assert_int_equal(write_ratio(9000000000000000000, 1000000000, 1000000000), 9000000000000000000);
    assert_int_equal(write_ratio(123456789012345678, 100000000, 1234567890123), 10000000000003);
    assert_int_equal(write_ratio(-7, 10, 3), -23);
    assert_int_equal(write_ratio(7, -10, 3), -23);
    assert_int_equal(write_ratio(0, 5, 3), 0);
}

static void expect_date(int64_t us, const char *pattern, const char *text)
{
    struct buffer out;
    struct civil civil = civil_from_us(us);
    buffer_init(&out, 256);
    write_date(&out, &civil, pattern);
    assert_string_equal(out.data, text);
    buffer_release(&out);
}

static void dates_are_right(void **state)
{
    (void)state;
    expect_date(0, "Y-M-DTh:m:s", "1970-01-01T00:00:00");
    expect_date(951782399999999, "YMDhms.u", "20000228235959.999999");
    expect_date(951782400000000, "Y-M-D", "2000-02-29");
    expect_date(1709164800000000, "Y-M-D", "2024-02-29");
    expect_date(1790133513739000, "Y-M-D h:m:s.u", "2026-09-23 03:18:33.739000");
    expect_date(-1, "Y-M-D h:m:s.u", "1969-12-31 23:59:59.999999");
}

static void texts_are_escaped(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 256);
    write_text(&out, SLICE("a\"b\\c\n\x01 비"));
    assert_string_equal(out.data, "\"a\\\"b\\\\c\\u000a\\u0001 비\"");
    assert_int_equal(write_crc32(0, SLICE("123456789")), 0xcbf43926);
    assert_int_equal(write_crc32(write_crc32(0, SLICE("1234")), SLICE("56789")), 0xcbf43926);
    buffer_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_spelled),    cmocka_unit_test(java_spells_exponents),
        cmocka_unit_test(ratios_do_not_overflow), cmocka_unit_test(dates_are_right),
        cmocka_unit_test(texts_are_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
