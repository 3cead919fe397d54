/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of records in one frame, starting over, and readers of other threads beside the writer. */
#include "stream/frame_log.h"

#include "base/frame.h"

#include <pthread.h>
#include <sched.h>
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

/* ---- another content ---- */

/* What was there before stays for who is in it, and ends there; the seqs prove nothing. */
static void no_cursor_passes_into_another_content(void **state)
{
    static const int64_t firsts[] = {1, 5, 11, 500};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(firsts); i++) {
        struct frame_log *log = frame_log_create(FRAME_LOG_SINGLE, 1, 0);
        struct cursor begin = {0}, end = {0}, fresh = {0};
        for (int64_t seq = 1; seq <= 10; seq++)
            append(log, seq + 1, 100);
        assert_true(frame_log_attach(log, 1, &begin));
        assert_true(frame_log_attach(log, 11, &end));
        assert_false(cursor_at_end(&begin));
        assert_true(cursor_at_end(&end));
        assert_false(cursor_former(&end));
        frame_log_restart(log, firsts[i]);
        for (int64_t seq = firsts[i]; seq < firsts[i] + 20; seq++)
            append(log, seq + 1, 100);
        assert_true(cursor_lost(&begin) && cursor_former(&begin));
        assert_true(cursor_lost(&end) && cursor_former(&end));
        assert_true(cursor_at_end(&end));
        assert_int_equal(cursor_peek_until(&end, 1 << 20, INT64_MAX).size, 0);
        assert_int_equal(cursor_peek(&begin, 1 << 20).size, 0);
        struct slice frames = cursor_peek_until(&begin, 1 << 20, INT64_MAX);
        assert_int_equal(number_of(frames.data), 1);
        assert_int_equal(cursor_advance(&begin, frames.size).size, 0);
        assert_int_equal(begin.seq, 11); /* all that there was, and no more */
        assert_true(cursor_at_end(&begin));
        assert_true(frame_log_attach(log, firsts[i], &fresh));
        assert_false(cursor_lost(&fresh) || cursor_former(&fresh));
        assert_int_equal(number_of(cursor_peek(&fresh, 1).data), firsts[i]);
        cursor_detach(&begin);
        cursor_detach(&end);
        cursor_detach(&fresh);
        frame_log_destroy(log);
    }
}

static struct frame_log *filled(int64_t first, int64_t count, size_t size)
{
    struct frame_log *log = frame_log_create(FRAME_LOG_SINGLE, first, (size_t)64 * MEBIBYTE);
    for (int64_t seq = first; seq < first + count; seq++)
        append(log, seq + 1, size);
    return log;
}

static void takes_all_segments_of_another_log(void **state)
{
    (void)state;
    struct frame_log *log = filled(1, 10, 100);
    struct cursor former = {0}, cursor = {0};
    assert_true(frame_log_attach(log, 5, &former));
    struct frame_log *other = filled(5, 40, LIMIT_SEGMENT / 3); /* many segments */
    frame_log_restart(other, 3);                                /* a history of its own */
    for (int64_t seq = 3; seq < 43; seq++)
        append(other, seq + 1, LIMIT_SEGMENT / 3);
    size_t held = frame_log_held(other);
    frame_log_take(log, other);
    assert_int_equal(frame_log_first(log), 3);
    assert_int_equal(frame_log_next(log), 43);
    assert_int_equal(frame_log_held(log), held);
    assert_true(cursor_lost(&former) && cursor_former(&former));
    assert_true(frame_log_attach(log, 3, &cursor));
    for (int64_t seq = 3; seq < 45; seq++) {
        if (seq >= 43)
            append(log, seq + 1, 100); /* and it goes on */
        assert_false(cursor_lost(&cursor));
        struct slice frames = cursor_peek(&cursor, 1);
        assert_int_equal(number_of(frames.data), seq);
        assert_int_equal(cursor_advance(&cursor, frames.size).size, 0);
    }
    assert_int_equal(number_of(cursor_peek_until(&former, 1, INT64_MAX).data), 5);
    cursor_detach(&former);
    cursor_detach(&cursor);
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

/* ---- another content, beside readers ---- */

#define CONTENTS 400
#define CONTENT_FRAMES 300

/* A place for one cursor, which goes to and fro between the writer and one reader. */
struct place {
    struct cursor cursor;
    int64_t content; /* its number */
    int64_t passed;  /* contents read to their end */
    _Atomic int given;
};

/* A frame of content `number`: its payload says so, and its seq. */
static void append_of(struct frame_log *log, int64_t number)
{
    char payload[48];
    uint8_t header[FRAME_HEADER_MAX];
    int64_t seq = frame_log_next(log);
    snprintf(payload, sizeof payload, "%020lld %020lld", (long long)seq, (long long)number);
    size_t header_size = frame_header_write(header, FRAME_TEXT, sizeof payload);
    char *room = frame_log_reserve(log, header_size + sizeof payload);
    memcpy(room, header, header_size);
    memcpy(room + header_size, payload, sizeof payload);
    frame_log_publish(log, header_size + sizeof payload, seq + 1);
}

static void read_frames(struct place *place, struct slice frames)
{
    int64_t seq = place->cursor.seq;
    for (size_t at = 0; at < frames.size;) {
        const char *frame = frames.data + at;
        const char *payload = frame + frame_header_size((const uint8_t *)frame);
        if (number_of(frame) != seq++ || strtoll(payload + 21, NULL, 10) != place->content)
            abort();
        at += frame_size((const uint8_t *)frame);
    }
    if (cursor_advance(&place->cursor, frames.size).size != 0 || place->cursor.seq != seq)
        abort();
}

/* Reads what it is given until its content has passed. Nothing is ever dropped from the log but by
 * a restart: a cursor that is lost and not former was taken for one that fell behind. */
static void *read_contents(void *context)
{
    struct place *place = context;
    for (;;) {
        int given = atomic_load(&place->given);
        if (given < 0)
            return NULL;
        if (given == 0) {
            sched_yield();
            continue;
        }
        if (cursor_lost(&place->cursor) && !cursor_former(&place->cursor))
            abort();
        bool former = cursor_former(&place->cursor);
        struct slice frames = cursor_peek_until(&place->cursor, 4096, INT64_MAX);
        read_frames(place, frames);
        if (frames.size == 0 && !cursor_at_end(&place->cursor) && former)
            abort();
        if (frames.size > 0 || !former)
            continue;
        cursor_detach(&place->cursor);
        place->passed++;
        atomic_store(&place->given, 0);
    }
}

static void give_places(struct frame_log *log, struct place *places, int64_t content)
{
    for (size_t i = 0; i < READERS; i++) {
        if (atomic_load(&places[i].given) != 0)
            continue;
        int64_t held = frame_log_next(log) - frame_log_first(log);
        int64_t seq = frame_log_first(log) + (int64_t)i * held / READERS;
        assert_true(frame_log_attach(log, seq, &places[i].cursor));
        places[i].content = content;
        atomic_store(&places[i].given, 1);
    }
}

/* The new content overlaps the former one, lies before it, or behind it. */
static void begin_content(struct frame_log *log, int64_t content)
{
    static const int64_t firsts[] = {1, CONTENT_FRAMES / 2, 100000, CONTENT_FRAMES + 1};
    int64_t first = firsts[content % 4];
    if (content % 3 != 0) {
        frame_log_restart(log, first);
        return;
    }
    struct frame_log *other = frame_log_create(FRAME_LOG_SINGLE, first, (size_t)64 * MEBIBYTE);
    for (int i = 0; i < CONTENT_FRAMES / 3; i++)
        append_of(other, content);
    frame_log_take(log, other);
}

static void readers_never_pass_while_contents_change(void **state)
{
    (void)state;
    struct frame_log *log = frame_log_create(FRAME_LOG_SINGLE, 1, (size_t)64 * MEBIBYTE);
    struct place places[READERS] = {0};
    pthread_t threads[READERS];
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_contents, &places[i]), 0);
    for (int64_t content = 1; content <= CONTENTS; content++) {
        begin_content(log, content);
        for (int i = 0; i < CONTENT_FRAMES; i++) {
            append_of(log, content);
            if (i % 50 == 49)
                give_places(log, places, content);
        }
    }
    frame_log_restart(log, 1);
    for (size_t i = 0; i < READERS; i++) {
        while (atomic_load(&places[i].given) != 0)
            sched_yield(); /* it comes to the end of what it is in */
        atomic_store(&places[i].given, -1);
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(places[i].passed > 1);
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
        cmocka_unit_test(no_cursor_passes_into_another_content),
        cmocka_unit_test(takes_all_segments_of_another_log),
        cmocka_unit_test(readers_see_whole_frames_while_it_is_written),
        cmocka_unit_test(readers_never_pass_while_contents_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
