/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metrics.h"

#include "base/limits.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char *written(struct buffer *out)
{
    buffer_clear(out);
    metric_write_all(out);
    assert_false(out->overflowed);
    return out->data;
}

static void series_are_written_by_family(void **state)
{
    struct buffer *out = *state;
    struct metric *first = metric_series(METRIC_EVENTS, "exchange=\"upbit\",type=\"trade\"");
    metric_add(metric_series(METRIC_RECONNECTS, "exchange=\"upbit\""), 1);
    struct metric *second = metric_series(METRIC_EVENTS, "exchange=\"upbit\",type=\"book\"");
    assert_ptr_equal(first, metric_series(METRIC_EVENTS, "exchange=\"upbit\",type=\"trade\""));
    assert_ptr_not_equal(first, second);
    metric_add(first, 40);
    metric_add(first, 2);
    assert_int_equal(metric_value(first), 42);
    assert_non_null(strstr(written(out),
                           "# HELP tickwire_messages_in_total Normalized messages made, by "
                           "exchange and type\n# TYPE tickwire_messages_in_total counter\n"
                           "tickwire_messages_in_total{exchange=\"upbit\",type=\"trade\"} 42\n"
                           "tickwire_messages_in_total{exchange=\"upbit\",type=\"book\"} 0\n#"));
    assert_null(strstr(out->data, "tickwire_epoch")); /* no series, no family */
}

static void gauges_stand_without_labels(void **state)
{
    struct buffer *out = *state;
    metric_set(metric_series(METRIC_CLIENTS, ""), -3);
    assert_non_null(strstr(written(out), "# TYPE tickwire_clients gauge\ntickwire_clients -3\n"));
}

static void seconds_are_decimals(void **state)
{
    struct buffer *out = *state;
    struct metric *age = metric_series(METRIC_EXCHANGE_AGE, "exchange=\"upbit\"");
    static const struct {
        int64_t value;
        const char *text;
    } rows[] = {
        {0, "} 0.000000\n"},
        {1, "} 0.000001\n"},
        {1767225600123456, "} 1767225600.123456\n"},
        {-1, "} -0.000001\n"},
        {-1500000, "} -1.500000\n"},
        {INT64_MIN, "} -9223372036854.775808\n"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        metric_set(age, rows[i].value);
        char line[160];
        snprintf(line, sizeof line,
                 "\ntickwire_exchange_last_message_timestamp_seconds{exchange=\"upbit\"%s",
                 rows[i].text);
        assert_non_null(strstr(written(out), line));
    }
}

static void process_is_read(void **state)
{
    struct buffer *out = *state;
    written(out);
    long long bytes = 0;
    const char *memory = strstr(out->data, "\ntickwire_process_resident_memory_bytes ");
    assert_non_null(memory);
    assert_int_equal(sscanf(memory, " tickwire_process_resident_memory_bytes %lld", &bytes), 1);
    assert_in_range(bytes, 100000, 100000000000);
    assert_non_null(strstr(out->data, "\ntickwire_process_cpu_seconds_total "));
}

/* Last: it uses up the series. */
static void too_many_series_share_one(void **state)
{
    struct buffer *out = *state;
    struct metric *overflow = NULL;
    for (unsigned i = 0; i <= LIMIT_METRIC_SERIES; i++) {
        char labels[64];
        snprintf(labels, sizeof labels, "reason=\"%u\"", i);
        overflow = metric_series(METRIC_CLIENTS_REFUSED, labels);
    }
    assert_ptr_equal(overflow, metric_series(METRIC_EPOCH, ""));
    metric_add(overflow, 1); /* harmless */
    assert_null(strstr(written(out), "tickwire_epoch"));

    char labels[LIMIT_METRIC_LABELS + 1];
    memset(labels, 'x', sizeof labels);
    labels[sizeof labels - 1] = '\0';
    assert_ptr_equal(overflow, metric_series(METRIC_EVENTS, labels));
}

int main(void)
{
    struct buffer out;
    buffer_init(&out, MEBIBYTE);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(series_are_written_by_family, &out),
        cmocka_unit_test_prestate(gauges_stand_without_labels, &out),
        cmocka_unit_test_prestate(seconds_are_decimals, &out),
        cmocka_unit_test_prestate(process_is_read, &out),
        cmocka_unit_test_prestate(too_many_series_share_one, &out),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buffer_release(&out);
    return failed;
}
