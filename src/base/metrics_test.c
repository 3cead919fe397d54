/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metrics.h"

#include "base/clock.h"
#include "base/limits.h"

#include <pthread.h>
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

static int64_t number_of(const struct buffer *out, const char *name)
{
    char start[100];
    long long number = -1;
    int size = snprintf(start, sizeof start, "\ntickwire_%s ", name);
    const char *line = strstr(out->data, start);
    assert_non_null(line);
    assert_int_equal(sscanf(line + size, "%lld", &number), 1);
    return number;
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
    assert_in_range(number_of(out, "process_threads"), 1, 16);
    assert_in_range(number_of(out, "process_max_fds"), 3, INT64_MAX);
    if (strstr(out->data, "process_open_fds") != NULL)
        assert_in_range(number_of(out, "process_open_fds"), 1, 1000);
}

static void start_time_is_near_now_and_stays(void **state)
{
    struct buffer *out = *state;
    written(out);
    int64_t started = number_of(out, "process_start_time_seconds");
    int64_t now = clock_wall_us() / 1000000;
    assert_in_range(started, now - 600, now);
    written(out);
    assert_int_equal(number_of(out, "process_start_time_seconds"), started);
}

/* ---- histograms ---- */

struct histogram_row {
    int64_t value_us;
    const char *first;  /* the bucket that is the first to count it */
    const char *before; /* the one below; NULL: none */
};

static void expect_line(struct buffer *out, const char *labels, const char *le, unsigned count)
{
    char line[200];
    snprintf(line, sizeof line, "\ntickwire_delivery_latency_seconds_bucket{%s,le=\"%s\"} %u\n",
             labels, le, count);
    if (strstr(written(out), line) == NULL)
        fail_msg("no%sin:\n%s", line, out->data);
}

static void a_bound_belongs_to_its_bucket(void **state)
{
    static const struct histogram_row rows[] = {
        {INT64_MIN, "0.00001", NULL}, {-1, "0.00001", NULL},       {0, "0.00001", NULL},
        {10, "0.00001", NULL},        {11, "0.000025", "0.00001"}, {50, "0.00005", "0.000025"},
        {101, "0.00025", "0.0001"},   {1000, "0.001", "0.0005"},   {1001, "0.0025", "0.001"},
        {1000000, "1.0", "0.5"},      {10000000, "10.0", "5.0"},   {10000001, "+Inf", "10.0"},
        {INT64_MAX, "+Inf", "10.0"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char labels[32];
        snprintf(labels, sizeof labels, "row=\"%zu\"", i);
        metric_observe(metric_series(METRIC_DELIVERY_LATENCY, labels), rows[i].value_us);
        expect_line(*state, labels, rows[i].first, 1);
        expect_line(*state, labels, "+Inf", 1);
        if (rows[i].before != NULL)
            expect_line(*state, labels, rows[i].before, 0);
    }
}

static void a_histogram_is_written_whole(void **state)
{
    struct buffer *out = *state;
    struct metric *latency = metric_series(METRIC_PUBLISH_LATENCY, "");
    metric_observe_many(latency, 400, 3);
    metric_observe(latency, 1500000);
    metric_observe(latency, -7);
    const char *expected = "# TYPE tickwire_publish_latency_seconds histogram\n"
                           "tickwire_publish_latency_seconds_bucket{le=\"0.00001\"} 1\n"
                           "tickwire_publish_latency_seconds_bucket{le=\"0.000025\"} 1\n"
                           "tickwire_publish_latency_seconds_bucket{le=\"0.00005\"} 1\n"
                           "tickwire_publish_latency_seconds_bucket{le=\"0.0001\"} 1\n"
                           "tickwire_publish_latency_seconds_bucket{le=\"0.00025\"} 1\n"
                           "tickwire_publish_latency_seconds_bucket{le=\"0.0005\"} 4\n"
                           "tickwire_publish_latency_seconds_bucket{le=\"0.001\"} 4\n"
                           "tickwire_publish_latency_seconds_bucket{le=\"0.0025\"} 4\n"
                           "tickwire_publish_latency_seconds_bucket{le=\"0.005\"} 4\n"
                           "tickwire_publish_latency_seconds_bucket{le=\"0.01\"} 4\n"
                           "tickwire_publish_latency_seconds_bucket{le=\"0.025\"} 4\n"
                           "tickwire_publish_latency_seconds_bucket{le=\"0.05\"} 4\n"
                           "tickwire_publish_latency_seconds_bucket{le=\"0.1\"} 4\n"
                           "tickwire_publish_latency_seconds_bucket{le=\"0.25\"} 4\n"
                           "tickwire_publish_latency_seconds_bucket{le=\"0.5\"} 4\n"
                           "tickwire_publish_latency_seconds_bucket{le=\"1.0\"} 4\n"
                           "tickwire_publish_latency_seconds_bucket{le=\"2.5\"} 5\n"
                           "tickwire_publish_latency_seconds_bucket{le=\"5.0\"} 5\n"
                           "tickwire_publish_latency_seconds_bucket{le=\"10.0\"} 5\n"
                           "tickwire_publish_latency_seconds_bucket{le=\"+Inf\"} 5\n"
                           "tickwire_publish_latency_seconds_sum 1.501200\n"
                           "tickwire_publish_latency_seconds_count 5\n";
    assert_non_null(strstr(written(out), expected));
}

static void an_endless_value_counts_as_an_hour(void **state)
{
    struct buffer *out = *state;
    struct metric *latency = metric_series(METRIC_EXCHANGE_LATENCY, "exchange=\"x\"");
    metric_observe(latency, INT64_MAX);
    metric_observe(latency, 3600000000);
    assert_non_null(strstr(
        written(out), "\ntickwire_exchange_latency_seconds_sum{exchange=\"x\"} 7200.000000\n"));
}

#define OBSERVERS 4
#define OBSERVATIONS 20000

static void *observe_often(void *context)
{
    for (int64_t i = 0; i < OBSERVATIONS; i++)
        metric_observe(context, i % 2 == 0 ? 5 : 700);
    return NULL;
}

static void threads_observe_together(void **state)
{
    struct metric *latency = metric_series(METRIC_DELIVERY_LATENCY, "by=\"threads\"");
    pthread_t threads[OBSERVERS];
    for (size_t i = 0; i < OBSERVERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, observe_often, latency), 0);
    for (size_t i = 0; i < OBSERVERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    expect_line(*state, "by=\"threads\"", "0.00001", OBSERVERS * OBSERVATIONS / 2);
    expect_line(*state, "by=\"threads\"", "0.0005", OBSERVERS * OBSERVATIONS / 2);
    expect_line(*state, "by=\"threads\"", "0.001", OBSERVERS * OBSERVATIONS);
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
    metric_observe(metric_series(METRIC_EXCHANGE_LATENCY, "exchange=\"late\""), 1);
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
        cmocka_unit_test_prestate(start_time_is_near_now_and_stays, &out),
        cmocka_unit_test_prestate(a_bound_belongs_to_its_bucket, &out),
        cmocka_unit_test_prestate(a_histogram_is_written_whole, &out),
        cmocka_unit_test_prestate(an_endless_value_counts_as_an_hour, &out),
        cmocka_unit_test_prestate(threads_observe_together, &out),
        cmocka_unit_test_prestate(too_many_series_share_one, &out),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buffer_release(&out);
    return failed;
}
