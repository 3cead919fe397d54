/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of records in one frame, starting over, and readers of other threads beside the writer. */
#include "stream/frame_log.h"

#include "base/frame.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define READERS 3
#define RECORDS 200000

/* A frame whose payload is the seq of its first record, padded to `size`. */
static void append(struct frame_log *log, int64_t next, size_t size)
{
    uint8_t header[FRAME_HEADER_MAX];
    char number[24];
    int64_t seq = frame_log_next(log);
    size_t header_size = frame_header_write(header, FRAME_TEXT, size);
    char *room = frame_log_reserve(log, header_size + size);
    snprintf(number, sizeof number, "%020lld", (long long)seq);
    memcpy(room, header, header_size);
    memset(room + header_size, '.', size);
    memcpy(room + header_size, number, 20);
    frame_log_publish(log, header_size + size, next);
}

static int64_t number_of(const char *frame)
{
    return strtoll(frame + frame_header_size((const uint8_t *)frame), NULL, 10);
}

static void runs_are_read_by_their_ends(void **state)
{
    (void)state;
    struct frame_log *log = frame_log_create(FRAME_LOG_RUNS, 5, 0);
    struct cursor cursor = {0};
    append(log, 8, 100); /* 5 6 7 */
    append(log, 9, 100); /* 8 */
    append(log, 20, 100);
    assert_int_equal(frame_log_first(log), 5);
    assert_int_equal(frame_log_next(log), 20);
    assert_false(frame_log_attach(log, 6, &cursor)); /* inside a frame */
    assert_false(frame_log_attach(log, 4, &cursor));
    assert_false(frame_log_attach(log, 21, &cursor));
    assert_true(frame_log_attach(log, 8, &cursor));
    struct slice frames = cursor_peek(&cursor, 1); /* at least one frame */
    assert_int_equal(number_of(frames.data), 8);
    assert_int_equal(cursor_advance(&cursor, 3).size, frames.size - 3); /* cut: on to its end */
    assert_int_equal(cursor.seq, 9);
    frames = cursor_peek(&cursor, 1 << 20);
    assert_int_equal(number_of(frames.data), 9);
    assert_int_equal(cursor_advance(&cursor, frames.size).size, 0);
    assert_int_equal(cursor.seq, 20);
    assert_int_equal(cursor_peek(&cursor, 1 << 20).size, 0);
    cursor_detach(&cursor);
    assert_true(frame_log_attach(log, 20, &cursor));
    append(log, 21, 50);
    assert_int_equal(number_of(cursor_peek(&cursor, 1).data), 20);
    cursor_detach(&cursor);
    frame_log_destroy(log);
}

static void many_small_runs_fill_a_segment_by_number(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    struct frame_log *log = frame_log_create(FRAME_LOG_RUNS, 1, (size_t)64 * MEBIBYTE);
    struct cursor cursor = {0};
    for (int64_t i = 0; i < COUNT; i++)
        append(log, 2 * i + 3, 20);
    assert_true(frame_log_attach(log, 1, &cursor));
    for (int64_t i = 0; i < COUNT; i++) {
        struct slice frames = cursor_peek(&cursor, 1);
        assert_int_equal(cursor.seq, 2 * i + 1);
        assert_int_equal(number_of(frames.data), 2 * i + 1);
        assert_int_equal(cursor_advance(&cursor, frames.size).size, 0);
    }
    cursor_detach(&cursor);
    frame_log_destroy(log);
}

static void starts_over_where_it_is_told(void **state)
{
    (void)state;
    struct frame_log *log = frame_log_create(FRAME_LOG_RUNS, 1, 0);
    struct cursor cursor = {0};
    append(log, 10, 1000);
    frame_log_restart(log, 500);
    assert_int_equal(frame_log_first(log), 500);
    assert_int_equal(frame_log_held(log), 0);
    assert_false(frame_log_attach(log, 1, &cursor));
    assert_true(frame_log_attach(log, 500, &cursor));
    append(log, 501, 100);
    assert_int_equal(number_of(cursor_peek(&cursor, 1).data), 500);
    cursor_detach(&cursor);
    frame_log_destroy(log);
}

static void peeks_no_further_than_asked(void **state)
{
    (void)state;
    struct frame_log *log = frame_log_create(FRAME_LOG_SINGLE, 1, 0);
    struct cursor cursor = {0};
    assert_true(frame_log_attach(log, 1, &cursor));
    for (int64_t seq = 1; seq <= 10; seq++)
        append(log, seq + 1, 100);
    size_t frame = cursor_peek(&cursor, 1).size;
    assert_int_equal(cursor_peek_until(&cursor, 1 << 20, 4).size, 3 * frame);
    assert_int_equal(cursor_peek_until(&cursor, 2 * frame, 4).size, 2 * frame);
    assert_int_equal(cursor_peek_until(&cursor, 1 << 20, 11).size, 10 * frame);
    assert_int_equal(cursor_peek_until(&cursor, 1 << 20, 1).size, 0);
    cursor_detach(&cursor);
    frame_log_destroy(log);
}

/* What was dropped stays readable for who is in it: nothing he reads can be freed under him. */
static void a_cursor_keeps_what_follows_it(void **state)
{
    (void)state;
    struct frame_log *log = frame_log_create(FRAME_LOG_SINGLE, 1, 0);
    struct cursor cursor = {0};
    append(log, 2, 100);
    assert_true(frame_log_attach(log, 1, &cursor));
    struct slice frames = cursor_peek(&cursor, 1);
    for (int64_t seq = 2; seq < 40; seq++)
        append(log, seq + 1, LIMIT_SEGMENT / 2);
    assert_true(cursor_lost(&cursor));
    assert_int_equal(cursor_peek(&cursor, 1).size, 0);
    assert_int_equal(number_of(frames.data), 1);
    cursor_detach(&cursor); /* and frees the whole chain at once */
    frame_log_destroy(log);
}

/* ---- threads ---- */

struct reader {
    struct cursor cursor;
    int64_t read, lost_at;
    size_t step;
};

static _Atomic int written;

static void *read_on(void *context)
{
    struct reader *reader = context;
    int64_t expected = reader->cursor.seq;
    while (expected <= RECORDS) {
        bool all_written = atomic_load(&written) != 0;
        struct slice frames = cursor_peek(&reader->cursor, reader->step);
        if (frames.size == 0 && cursor_lost(&reader->cursor)) {
            reader->lost_at = reader->cursor.seq;
            break;
        }
        if (frames.size == 0 && all_written && frame_log_next(reader->cursor.log) == expected)
            break;
        for (size_t at = 0; at < frames.size;) {
            if (number_of(frames.data + at) != expected++)
                abort();
            at += frame_size((const uint8_t *)frames.data + at);
        }
        if (cursor_advance(&reader->cursor, frames.size).size != 0)
            abort();
        if (reader->cursor.seq != expected)
            abort();
    }
    reader->read = expected - 1;
    cursor_detach(&reader->cursor);
    return NULL;
}

static void readers_see_whole_frames_while_it_is_written(void **state)
{
    (void)state;
    struct frame_log *log = frame_log_create(FRAME_LOG_SINGLE, 1, (size_t)2 * MEBIBYTE);
    struct reader readers[READERS] = {{.step = 1}, {.step = 4096}, {.step = 1 << 20}};
    pthread_t threads[READERS];
    atomic_store(&written, 0);
    for (size_t i = 0; i < READERS; i++) {
        assert_true(frame_log_attach(log, 1, &readers[i].cursor));
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readers[i]), 0);
    }
    for (int64_t seq = 1; seq <= RECORDS; seq++)
        append(log, seq + 1, 20 + (size_t)(seq * 37 % 200));
    atomic_store(&written, 1);
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        /* Each read all, or knows exactly where it fell out. */
        assert_true(readers[i].read == RECORDS || readers[i].lost_at == readers[i].read + 1);
    }
    frame_log_destroy(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_are_read_by_their_ends),
        cmocka_unit_test(many_small_runs_fill_a_segment_by_number),
        cmocka_unit_test(starts_over_where_it_is_told),
        cmocka_unit_test(peeks_no_further_than_asked),
        cmocka_unit_test(a_cursor_keeps_what_follows_it),
        cmocka_unit_test(readers_see_whole_frames_while_it_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
