/* SPDX-License-Identifier: Apache-2.0 */
#include "access/timestamp.h"

#include <stdio.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void moments_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
    } rows[] = {
        {"0", 0},
        {"1790133513", 1790133513000000},
        {"253402300799", 253402300799000000},
        {"1970-01-01T00:00:00Z", 0},
        {"1985-04-12T23:20:50.52Z", 482196050520000}, /* RFC 3339, section 5.8, as the next two */
        {"1996-12-19T16:39:57-08:00", 851042397000000},
        {"2000-02-29t23:59:59.9999999z", 951868799999999},
        {"2026-09-23T12:05:13+09:00", 1790132713000000},
        {"9999-12-31T23:59:59Z", 253402300799000000},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t us = -1;
        if (!timestamp_read(slice_of(rows[i].text), &us) || us != rows[i].us)
            fail_msg("%s: %lld", rows[i].text, (long long)us);
    }
}

/* Each day, against the C library. */
static void every_day_is_right(void **state)
{
    (void)state;
    for (int64_t day = 0; day * 86400 <= TIMESTAMP_SECONDS_MAX; day += 13) {
        time_t seconds = day * 86400 + 3723;
        struct tm parts;
        char text[64];
        int64_t us = -1;
        assert_non_null(gmtime_r(&seconds, &parts));
        assert_true(strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts) > 0);
        assert_true(timestamp_read(slice_of(text), &us));
        assert_int_equal(us, (int64_t)seconds * 1000000);
    }
}

static void everything_else_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "-1",
        "+1",
        " 1",
        "1.5",
        "253402300800",
        "99999999999999999999",
        "2026-09-23",
        "2026-09-23T12:05:13",
        "2026-09-23 12:05:13Z",
        "2026-09-23T12:05Z",
        "2026-9-23T12:05:13Z",
        "2026-00-23T12:05:13Z",
        "2026-13-23T12:05:13Z",
        "2026-09-00T12:05:13Z",
        "2026-09-31T12:05:13Z",
        "2026-02-29T12:05:13Z",
        "2100-02-29T12:05:13Z",
        "2026-09-23T24:00:00Z",
        "2026-09-23T12:60:13Z",
        "2026-09-23T12:05:60Z",
        "2026-09-23T12:05:13.Z",
        "2026-09-23T12:05:13,5Z",
        "2026-09-23T12:05:13+0900",
        "2026-09-23T12:05:13+09",
        "2026-09-23T12:05:13+24:00",
        "2026-09-23T12:05:13+09:60",
        "2026-09-23T12:05:13ZZ",
        "2026-09-23T12:05:13Z ",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "2026/09/23T12:05:13Z",
        "2026-09-23T12-05-13Z",
        "20260923T120513Z",
        "-026-09-23T12:05:13Z",
        "tomorrow",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t us;
        if (timestamp_read(slice_of(rows[i]), &us))
            fail_msg("taken: %s", rows[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_are_read),
        cmocka_unit_test(every_day_is_right),
        cmocka_unit_test(everything_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
