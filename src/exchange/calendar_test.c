/* SPDX-License-Identifier: Apache-2.0 */
/* Against the C library's timegm for every day, and by hand for what must be refused. */
#include "exchange/calendar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

static void agrees_with_the_library_on_every_day(void **state)
{
    (void)state;
    for (int64_t day = 0; day < 60000; day++) {
        time_t seconds = (time_t)(day * 86400 + day * 7919 % 86400);
        struct tm tm;
        char text[64];
        int64_t us;
        gmtime_r(&seconds, &tm);
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S.000007", &tm);
        assert_true(calendar_read(slice_of(text), ' ', &us));
        assert_int_equal(us, (int64_t)seconds * 1000000 + 7);
        char date[16];
        char clock[16];
        strftime(date, sizeof(date), "%Y%m%d", &tm);
        strftime(clock, sizeof(clock), "%H%M%S", &tm);
        assert_true(calendar_read_compact(slice_of(date), slice_of(clock), &us));
        assert_int_equal(us, (int64_t)seconds * 1000000);
    }
}

static void fractions_are_scaled(void **state)
{
    int64_t us;
    (void)state;
    assert_true(calendar_read(SLICE("1970-01-01T00:00:01.5"), 'T', &us));
    assert_int_equal(us, 1500000);
    assert_true(calendar_read(SLICE("1970-01-01T00:00:01.000001"), 'T', &us));
    assert_int_equal(us, 1000001);
    assert_true(calendar_read(SLICE("1970-01-01T00:00:01"), 'T', &us));
    assert_int_equal(us, 1000000);
    assert_true(calendar_read(SLICE("9999-12-31T23:59:59.999999"), 'T', &us));
    assert_int_equal(us, INT64_C(253402300799999999));
}

static void refuses_what_does_not_exist(void **state)
{
    static const char *const bad[] = {
        "",
        "1970-01-01",
        "1969-12-31 00:00:00",
        "2023-02-29 00:00:00",
        "2100-02-29 00:00:00",
        "2024-02-30 00:00:00",
        "2024-04-31 00:00:00",
        "2024-00-01 00:00:00",
        "2024-13-01 00:00:00",
        "2024-01-00 00:00:00",
        "2024-01-32 00:00:00",
        "2024-01-01 24:00:00",
        "2024-01-01 00:60:00",
        "2024-01-01 00:00:60",
        "2024-01-01T00:00:00",
        "2024-01-01 00:00:00.",
        "2024-01-01 00:00:00.1234567",
        "2024-01-01 00:00:00.12x",
        "2024-01-01 00:00:00Z",
        "2024-1-01 00:00:00",
        "+024-01-01 00:00:00",
    };
    int64_t us;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(calendar_read(slice_of(bad[i]), ' ', &us));
    assert_false(calendar_read_compact(SLICE("2024010"), SLICE("000000"), &us));
    assert_false(calendar_read_compact(SLICE("202401011"), SLICE("000000"), &us));
    assert_false(calendar_read_compact(SLICE("20240101"), SLICE("00000"), &us));
    assert_false(calendar_read_compact(SLICE("20240101"), SLICE("0000000"), &us));
    assert_false(calendar_read_compact(SLICE("20230229"), SLICE("000000"), &us));
    assert_false(calendar_read_compact((struct slice){.size = 0}, SLICE("000000"), &us));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_library_on_every_day),
        cmocka_unit_test(fractions_are_scaled),
        cmocka_unit_test(refuses_what_does_not_exist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
