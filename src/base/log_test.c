/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/clock.h"
#include "base/log_priv.h"
#include "base/metrics.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* 2026-01-02T03:04:05.006789Z */
#define WALL_US 1767323045006789

static int64_t wall_now = WALL_US;
static int64_t monotonic_now = 1;

static int64_t read_number(void *context)
{
    return *(int64_t *)context;
}

static int64_t fixed_wall_us(void *context)
{
    (void)context;
    return read_number(&wall_now);
}

static int64_t fixed_monotonic_ns(void *context)
{
    (void)context;
    return read_number(&monotonic_now);
}

/* ---- how a line looks ---- */

static const char *line_of(enum log_format format, struct slice value)
{
    static struct log_line line;
    static char text[LIMIT_LOG_LINE + 1];
    struct log_head head = {.wall_us = WALL_US, .level = LOG_WARN, .part = "feed"};
    struct log_field fields[] = {log_slice("msg", value), log_int("want", -81), {.key = NULL}};
    log_line_write(&line, format, &head, fields);
    memcpy(text, line.text, line.size);
    text[line.size] = '\0';
    return text;
}

static void values_are_quoted_when_they_must(void **state)
{
    (void)state;
    static const struct {
        struct slice value;
        const char *logfmt;
        const char *json; /* NULL: as logfmt */
    } rows[] = {
        {{"plain", 5}, "plain", "\"plain\""},
        {{"", 0}, "\"\"", NULL},
        {{NULL, 0}, "\"\"", NULL},
        {{"two words", 9}, "\"two words\"", NULL},
        {{"a=b", 3}, "\"a=b\"", NULL},
        {{"say \"x\"", 7}, "\"say \\\"x\\\"\"", NULL},
        {{"\"", 1}, "\"\\\"\"", NULL},
        {{"back\\slash", 10}, "\"back\\\\slash\"", NULL},
        {{"a\nb\tc\rd", 7}, "\"a\\nb\\tc\\u000dd\"", NULL},
        {{"\0\x1b[31m", 6}, "\"\\u0000\\u001b[31m\"", NULL},
        {{"\x7f", 1}, "\"\\u007f\"", NULL},
        {{"\xc2\x9b", 2}, "\"\\u009b\"", NULL},
        {{"\xed\x95\x9c", 3}, "\xed\x95\x9c", "\"\xed\x95\x9c\""},
        {{"\xf0\x9f\x98\x80", 4}, "\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\""},
        {{"a\xff", 2}, "\"a\\ufffd\"", NULL},                                /* no such byte */
        {{"\xed\x95", 2}, "\"\\ufffd\\ufffd\"", NULL},                       /* cut short */
        {{"\xc0\x80", 2}, "\"\\ufffd\\ufffd\"", NULL},                       /* overlong */
        {{"\xe0\x80\x80", 3}, "\"\\ufffd\\ufffd\\ufffd\"", NULL},            /* overlong */
        {{"\xed\xa0\x80", 3}, "\"\\ufffd\\ufffd\\ufffd\"", NULL},            /* surrogate */
        {{"\xf4\x90\x80\x80", 4}, "\"\\ufffd\\ufffd\\ufffd\\ufffd\"", NULL}, /* too high */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char expected[256];
        snprintf(expected, sizeof expected,
                 "time=2026-01-02T03:04:05.006Z level=warn part=feed msg=%s want=-81\n",
                 rows[i].logfmt);
        assert_string_equal(line_of(LOG_LOGFMT, rows[i].value), expected);
        snprintf(expected, sizeof expected,
                 "{\"time\":\"2026-01-02T03:04:05.006Z\",\"level\":\"warn\",\"part\":\"feed\","
                 "\"msg\":%s,\"want\":-81}\n",
                 rows[i].json != NULL ? rows[i].json : rows[i].logfmt);
        assert_string_equal(line_of(LOG_JSON, rows[i].value), expected);
    }
}

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text);
    size_t end_size = strlen(end);
    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

/* At every length around the limit, and with each kind of character at the cut. */
static void long_lines_are_cut_and_say_so(void **state)
{
    (void)state;
    static const char *const fillings[] = {"x", "\xed\x95\x9c", "\n", "\xff", " "};
    static char value[2 * LIMIT_LOG_LINE];
    for (size_t i = 0; i < COUNT_OF(fillings); i++) {
        size_t unit = strlen(fillings[i]);
        for (size_t size = 1; size < sizeof value; size += unit) {
            memcpy(value + size - 1, fillings[i], unit);
            if (size < 200)
                continue;
            struct slice text = {.data = value, .size = size - 1 + unit};
            const char *logfmt = line_of(LOG_LOGFMT, text);
            bool cut = ends_with(logfmt, "\" cut=true\n");
            assert_true(cut || ends_with(logfmt, " want=-81\n") ||
                        ends_with(logfmt, "x cut=true\n") || ends_with(logfmt, "\x9c cut=true\n"));
            assert_true(cut || text.size < LIMIT_LOG_LINE);
            const char *json = line_of(LOG_JSON, text);
            assert_true(ends_with(json, "\",\"want\":-81}\n") ||
                        ends_with(json, "\",\"cut\":true}\n"));
            assert_true(strchr(json, '\n') == json + strlen(json) - 1);
        }
        value[0] = '\0';
    }
}

static void times_before_the_epoch_and_far_ahead(void **state)
{
    (void)state;
    static const struct {
        int64_t wall_us;
        const char *text;
    } rows[] = {
        {0, "time=1970-01-01T00:00:00.000Z "},
        {-1, "time=1969-12-31T23:59:59.999Z "},
        {951782399999999, "time=2000-02-28T23:59:59.999Z "},
        {951782400000000, "time=2000-02-29T00:00:00.000Z "},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct log_line line;
        struct log_head head = {.wall_us = rows[i].wall_us, .level = LOG_INFO, .part = "x"};
        log_line_write(&line, LOG_LOGFMT, &head, (struct log_field[]){{.key = NULL}});
        assert_memory_equal(line.text, rows[i].text, strlen(rows[i].text));
    }
}

/* ---- where lines go: standard error is a file, or a pipe, for the time of a test ---- */

static int saved_stderr = -1;

static void redirect(int fd)
{
    fflush(stderr);
    saved_stderr = dup(STDERR_FILENO);
    assert_true(saved_stderr >= 0);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
}

static void restore(void)
{
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
}

static int open_file(void)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    int fd = dup(fileno(file));
    fclose(file);
    return fd;
}

static char *content(int fd)
{
    static char text[1024 * 1024];
    ssize_t size = pread(fd, text, sizeof text - 1, 0);
    assert_true(size >= 0);
    text[size] = '\0';
    close(fd);
    return text;
}

static size_t count(const char *text, const char *part)
{
    size_t found = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
        found++;
    return found;
}

static void log_same_site(int64_t number)
{
    log_info("test", log_text("msg", "again"), log_int("number", number));
}

static void one_site_is_limited_each_second(void **state)
{
    (void)state;
    int fd = open_file();
    redirect(fd);
    for (int i = 0; i < LIMIT_LOG_SITE_PER_SECOND + 7; i++)
        log_same_site(i);
    monotonic_now += 999999999;
    log_same_site(1000);
    log_info("test", log_text("msg", "another site"));
    monotonic_now += 1;
    log_same_site(1001);
    log_same_site(1002);
    restore();
    const char *text = content(fd);
    assert_int_equal(count(text, "msg=again"), LIMIT_LOG_SITE_PER_SECOND + 2);
    assert_int_equal(count(text, "another site"), 1);
    assert_int_equal(count(text, "held_back="), 1);
    assert_non_null(strstr(text, "part=test held_back=8 msg=again number=1001\n"));
}

static void levels_below_are_silent(void **state)
{
    (void)state;
    int fd = open_file();
    redirect(fd);
    log_configure(LOG_WARN, LOG_JSON);
    log_debug("test", log_text("msg", "one"));
    log_info("test", log_text("msg", "two"));
    log_warn("test", log_text("msg", "three"));
    log_error("test", log_text("msg", "four"));
    log_configure(LOG_INFO, LOG_LOGFMT);
    log_debug("test", log_text("msg", "five"));
    restore();
    const char *text = content(fd);
    assert_int_equal(count(text, "\n"), 2);
    assert_int_equal(count(text, "\"msg\":\"three\""), 1);
    assert_int_equal(count(text, "\"level\":\"error\""), 1);
}

#define THREADS 4
#define LINES 500

static void *log_lines(void *context)
{
    int64_t thread = *(int64_t *)context;
    for (int64_t i = 0; i < LINES; i++) {
        struct log_site site = {.lines = 0}; /* of its own: this test wants every line */
        log_write(
            &site, LOG_INFO, "test",
            (struct log_field[]){log_int("thread", thread), log_int("number", i), {.key = NULL}});
    }
    return NULL;
}

static void threads_do_not_mix_lines(void **state)
{
    (void)state;
    int fd = open_file();
    redirect(fd);
    log_start();
    pthread_t threads[THREADS];
    int64_t numbers[THREADS];
    for (int64_t i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, log_lines, &numbers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    log_stop();
    restore();

    const char *line = content(fd);
    int64_t next[THREADS] = {0};
    int64_t lines = 0;
    for (; *line != '\0'; line = strchr(line, '\n') + 1) {
        long thread = -1;
        long number = -1;
        assert_int_equal(
            sscanf(line, "time=%*s level=info part=test thread=%ld number=%ld\n", &thread, &number),
            2);
        assert_in_range(thread, 0, THREADS - 1);
        assert_int_equal(number, next[thread]); /* in order, none missing */
        next[thread]++;
        lines++;
    }
    assert_int_equal(lines, THREADS * LINES);
}

/* Nobody reads the pipe: lines are dropped instead of the caller being held up. */
static void blocked_stderr_loses_lines_and_says_so(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    redirect(ends[1]);
    log_start();
    int64_t before = metric_value(metric_series(METRIC_LOG_LINES_LOST, ""));
    for (int i = 0; i < 10000; i++) {
        struct log_site site = {.lines = 0};
        log_write(&site, LOG_INFO, "test",
                  (struct log_field[]){log_int("number", i), {.key = NULL}});
    }
    int64_t lost = metric_value(metric_series(METRIC_LOG_LINES_LOST, "")) - before;
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    static char text[2 * 1024 * 1024];
    size_t size = 0;
    /* Until every line that was not lost has come; if one is missing, the test's time is up. */
    do {
        ssize_t got = read(ends[0], text + size, sizeof text - 1 - size);
        size += got > 0 ? (size_t)got : 0;
        text[size] = '\0';
    } while (size < sizeof text - 1 && (int64_t)count(text, " number=") < 10000 - lost);
    log_stop();
    restore();
    close(ends[0]);
    close(ends[1]);

    assert_true(lost > 0);
    int64_t said = 0;
    for (const char *at = strstr(text, " lost="); at != NULL; at = strstr(at + 1, " lost=")) {
        long number = 0;
        assert_int_equal(sscanf(at, " lost=%ld", &number), 1);
        said += number;
    }
    assert_int_equal(said, lost);
}

/* Neither a pipe that nobody reads nor one that is gone keeps the process from ending. */
static void stop_does_not_wait_for_ever(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    static const char filling[4096];
    while (write(ends[1], filling, sizeof filling) > 0)
        continue;
    redirect(ends[1]);
    log_start();
    log_info("test", log_text("msg", "nobody reads"));
    log_stop();
    close(ends[0]);
    log_start();
    log_info("test", log_text("msg", "nobody is there"));
    log_stop();
    log_stop(); /* a second time is a no-op */
    restore();
    close(ends[1]);
}

int main(void)
{
    clock_replace(
        &(struct clock_source){.wall_us = fixed_wall_us, .monotonic_ns = fixed_monotonic_ns});
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_quoted_when_they_must),
        cmocka_unit_test(long_lines_are_cut_and_say_so),
        cmocka_unit_test(times_before_the_epoch_and_far_ahead),
        cmocka_unit_test(one_site_is_limited_each_second),
        cmocka_unit_test(levels_below_are_silent),
        cmocka_unit_test(threads_do_not_mix_lines),
        cmocka_unit_test(blocked_stderr_loses_lines_and_says_so),
        cmocka_unit_test(stop_does_not_wait_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
