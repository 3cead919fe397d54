/* SPDX-License-Identifier: Apache-2.0 */
/* The reading rule row by row, and cursors over segments, cuts and dropped memory. */
#include "stream/journal.h"

#include "base/frame.h"
#include "base/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define STREAM "tw-test"
#define BIG (LIMIT_RECORD - 64)

static char text[LIMIT_RECORD + 1];

static struct record record_of(int64_t epoch, int64_t seq, size_t size)
{
    memset(text, 'a' + (int)(seq % 26), size);
    snprintf(text, 24, "%020lld", (long long)seq);
    text[20] = '.';
    return (struct record){.stream = STREAM,
                           .epoch = epoch,
                           .seq = seq,
                           .type = SLICE("t"),
                           .key = SLICE("k"),
                           .text = {text, size}};
}

static enum journal_verdict append(struct journal *journal, int64_t epoch, int64_t seq)
{
    struct record record = record_of(epoch, seq, 100);
    return journal_append(journal, &record);
}

static struct journal *filled(int64_t count, size_t size, size_t retain)
{
    struct journal *journal = journal_create(STREAM, 1, retain);
    journal_barrier(journal, STREAM, 1);
    for (int64_t seq = 1; seq <= count; seq++) {
        struct record record = record_of(1, seq, size);
        assert_int_equal(journal_append(journal, &record), JOURNAL_ACCEPTED);
    }
    return journal;
}

static void follows_the_reading_rule(void **state)
{
    (void)state;
    struct journal *journal = journal_create(STREAM, 1, 0);
    assert_int_equal(append(journal, 1, 1), JOURNAL_EARLY); /* before any barrier */
    journal_barrier(journal, STREAM, 3);
    assert_int_equal(append(journal, 3, 1), JOURNAL_ACCEPTED);
    assert_int_equal(append(journal, 3, 1), JOURNAL_REPEATED);
    assert_int_equal(append(journal, 3, 3), JOURNAL_EARLY);
    assert_int_equal(append(journal, 2, 2), JOURNAL_FENCED);
    assert_int_equal(append(journal, 4, 2), JOURNAL_EARLY); /* its barrier has not come */
    journal_barrier(journal, STREAM, 2);                    /* an older one changes nothing */
    assert_int_equal(append(journal, 3, 2), JOURNAL_ACCEPTED);
    journal_barrier(journal, "tw-other", 9);
    journal_barrier(journal, STREAM, 5);
    assert_int_equal(append(journal, 3, 3), JOURNAL_FENCED);
    assert_int_equal(append(journal, 5, 3), JOURNAL_ACCEPTED);
    struct record foreign = record_of(5, 4, 10);
    foreign.stream = "tw-other";
    assert_int_equal(journal_append(journal, &foreign), JOURNAL_FOREIGN);
    assert_int_equal(journal_next(journal), 4);
    assert_int_equal(journal_epoch(journal), 5);
    journal_destroy(journal);
}

static void knows_the_epoch_of_what_it_holds(void **state)
{
    (void)state;
    struct journal *journal = filled(10, 100, 0);
    journal_barrier(journal, STREAM, 7);
    append(journal, 7, 11);
    append(journal, 7, 12);
    assert_int_equal(journal_epoch_at(journal, 1), 1);
    assert_int_equal(journal_epoch_at(journal, 10), 1);
    assert_int_equal(journal_epoch_at(journal, 11), 7);
    assert_int_equal(journal_epoch_at(journal, 12), 7);
    assert_int_equal(journal_epoch_at(journal, 13), 0);
    assert_int_equal(journal_epoch_at(journal, 0), 0); /* there never was such a record */
    assert_int_equal(journal_epoch_at(journal, -5), 0);
    journal_destroy(journal);
}

/* Reads everything from the cursor on, the kernel taking `step` bytes at a time; checks frames and
 * numbers. */
static int64_t read_all(struct cursor *cursor, size_t max, size_t step)
{
    static char got[4 * LIMIT_RECORD];
    size_t size = 0;
    int64_t first = cursor->seq, seq = first;
    for (struct slice part = cursor_peek(cursor, max); part.size > 0;
         part = cursor_peek(cursor, max)) {
        size_t sent = part.size < step ? part.size : step;
        assert_true(size + sent <= sizeof got);
        memcpy(got + size, part.data, sent);
        size += sent;
        struct slice rest = cursor_advance(cursor, sent);
        if (rest.size > 0)
            memcpy(got + size, rest.data, rest.size);
        size += rest.size;
        size_t at = 0;
        for (; at < size; seq++) {
            const uint8_t *frame = (const uint8_t *)got + at;
            assert_int_equal(strtoll((const char *)frame + frame_header_size(frame), NULL, 10),
                             seq);
            at += frame_size(frame);
        }
        assert_int_equal(at, size); /* whole frames only */
        assert_int_equal(seq, cursor->seq);
        size = 0;
    }
    return seq - first;
}

static void cursors_read_every_frame_once(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 3, 99, 101, 1000, 65536, 1 << 20};
    struct journal *journal = filled(30000, 100, (size_t)64 << 20); /* several segments */
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct cursor cursor = {0};
        int64_t from = 29000 - (int64_t)i;
        assert_true(cursor_attach(&cursor, journal, from));
        assert_int_equal(read_all(&cursor, sizes[i], sizes[COUNT_OF(sizes) - 1 - i]), 30001 - from);
        cursor_detach(&cursor);
    }
    struct cursor cursor = {0};
    assert_true(cursor_attach(&cursor, journal, 1));
    assert_int_equal(read_all(&cursor, 1 << 18, 1 << 18), 30000);
    assert_int_equal(append(journal, 1, 30001), JOURNAL_ACCEPTED); /* and what comes later */
    assert_int_equal(read_all(&cursor, 1 << 18, 7), 1);
    cursor_detach(&cursor);
    journal_destroy(journal);
}

static void attaches_only_where_it_can_go_on(void **state)
{
    (void)state;
    struct journal *journal = filled(5, 100, 0);
    struct cursor cursor = {0};
    assert_false(cursor_attach(&cursor, journal, 0));
    assert_false(cursor_attach(&cursor, journal, 7));
    assert_true(cursor_attach(&cursor, journal, 6)); /* the next to come */
    assert_int_equal(cursor_peek(&cursor, 100).size, 0);
    cursor_detach(&cursor);
    cursor_detach(&cursor); /* a detached one stays so */
    assert_true(cursor_attach(&cursor, journal, 1));
    cursor_detach(&cursor);
    journal_destroy(journal);
}

static void drops_old_segments_and_says_who_fell_out(void **state)
{
    (void)state;
    struct journal *journal = filled(1, 100, 0);
    struct cursor slow = {0}, end = {0};
    assert_true(cursor_attach(&slow, journal, 1));
    assert_true(cursor_attach(&end, journal, 2));
    for (int64_t seq = 2; seq <= 4; seq++) { /* each needs a segment of its own */
        struct record record = record_of(1, seq, BIG);
        assert_int_equal(journal_append(journal, &record), JOURNAL_ACCEPTED);
        if (seq == 2) {
            assert_true(cursor_lost(&slow));
            assert_int_equal(cursor_peek(&slow, BIG).size, 0);
            assert_false(
                cursor_lost(&end)); /* at the end of a dropped segment: what comes next is there */
            assert_int_equal(read_all(&end, BIG, BIG), 1);
        }
    }
    assert_int_equal(journal_first(journal), 4);
    assert_int_equal(journal_epoch_at(journal, 3),
                     1); /* just before the first: whoever has it lacks nothing */
    assert_int_equal(journal_epoch_at(journal, 2), 0);
    assert_true(cursor_lost(&slow));
    assert_true(cursor_lost(&end));
    assert_int_equal(cursor_peek(&end, BIG).size, 0);
    cursor_detach(&slow);
    cursor_detach(&end);
    assert_false(cursor_attach(&slow, journal, 3));
    assert_true(cursor_attach(&slow, journal, 4));
    assert_int_equal(read_all(&slow, 1, 1000), 1);
    cursor_detach(&slow);
    journal_destroy(journal);
}

static void forgets_epochs_with_their_records(void **state)
{
    (void)state;
    struct journal *journal = journal_create(STREAM, 1, 0);
    for (int64_t seq = 1; seq <= 2 * LIMIT_LOG_EPOCHS; seq++) {
        journal_barrier(journal, STREAM, seq);
        assert_int_equal(append(journal, seq, seq), JOURNAL_ACCEPTED);
    }
    int64_t last = 2 * LIMIT_LOG_EPOCHS;
    assert_int_equal(journal_epoch_at(journal, last), last);
    assert_int_equal(journal_epoch_at(journal, last - LIMIT_LOG_EPOCHS + 1),
                     last - LIMIT_LOG_EPOCHS + 1);
    assert_int_equal(journal_epoch_at(journal, 5),
                     0); /* held, but its epoch is no longer known: not honoured */
    journal_destroy(journal);
}

static void count_record(void *context, const struct record *record)
{
    int64_t *seqs = context;
    seqs[0]++;
    seqs[1] = record->seq;
}

static void listeners_hear_accepted_records_only(void **state)
{
    (void)state;
    int64_t heard[2] = {0};
    struct journal *journal = journal_create(STREAM, 1, 0);
    journal_listen(journal, count_record, heard);
    journal_barrier(journal, STREAM, 1);
    append(journal, 1, 2);
    assert_int_equal(heard[0], 0);
    append(journal, 1, 1);
    append(journal, 1, 1);
    append(journal, 1, 2);
    assert_int_equal(heard[0], 2);
    assert_int_equal(heard[1], 2);
    journal_destroy(journal);
}

static struct record named_of(const char *stream, int64_t epoch, int64_t seq)
{
    static char named[256];
    int size = snprintf(named, sizeof named, "{\"type\":\"trade\",\"seq\":%lld,\"exchange\":\"x\"}",
                        (long long)seq);
    struct record record = record_of(epoch, seq, 24);
    record.stream = stream;
    record.text = (struct slice){named, (size_t)size};
    return record;
}

static bool read_next(struct journal *journal, struct cursor *cursor, struct record *ret_record)
{
    static struct buffer scratch;
    static char key[LIMIT_KEY];
    if (scratch.max == 0)
        buffer_init(&scratch, LIMIT_RECORD + LIMIT_PADDING + 1);
    bool read = journal_read(journal, cursor, &scratch, key, ret_record);
    if (!read)
        buffer_release(&scratch);
    return read;
}

static void begins_anew_under_another_name(void **state)
{
    (void)state;
    int64_t heard[2] = {0};
    struct journal *journal = filled(10, 100, 0);
    struct frame_log *log = journal_log(journal);
    struct cursor middle = {0}, end = {0};
    struct record record;
    journal_listen(journal, count_record, heard);
    assert_true(cursor_attach(&middle, journal, 5));
    assert_true(cursor_attach(&end, journal, 11));
    journal_restart(journal, "tw-other", 11);
    assert_int_equal(heard[0], 0);
    assert_ptr_equal(journal_log(journal), log);
    assert_string_equal(journal_stream(journal), "tw-other");
    assert_int_equal(journal_first(journal), 11);
    assert_int_equal(journal_next(journal), 11);
    assert_int_equal(journal_epoch(journal), 0);
    assert_int_equal(journal_epoch_at(journal, 10), 0);
    assert_int_equal(journal_barrier_epoch(journal), 0);
    struct record foreign = record_of(1, 11, 100);
    assert_int_equal(journal_append(journal, &foreign), JOURNAL_FOREIGN);
    journal_barrier(journal, "tw-other", 4);
    record = named_of("tw-other", 4, 11);
    assert_int_equal(journal_append(journal, &record), JOURNAL_ACCEPTED);
    assert_int_equal(heard[1], 11);
    /* The former next is the same number: it is not read for all that. */
    assert_false(read_next(journal, &end, &record));
    assert_false(read_next(journal, &middle, &record));
    assert_true(cursor_former(&end) && cursor_former(&middle));
    cursor_detach(&middle);
    cursor_detach(&end);
    journal_destroy(journal);
}

static void becomes_what_another_is(void **state)
{
    (void)state;
    int64_t heard[2] = {0}, forgotten[2] = {0};
    struct journal *journal = filled(10, 100, 0);
    struct journal *other = journal_create("tw-shadow", 8, 0);
    struct cursor former = {0}, cursor = {0};
    struct record record;
    journal_listen(journal, count_record, heard);
    journal_listen(other, count_record, forgotten);
    assert_true(cursor_attach(&former, journal, 9));
    for (int64_t seq = 8; seq <= 12; seq++) {
        journal_barrier(other, "tw-shadow", seq < 11 ? 3 : 6);
        record = named_of("tw-shadow", seq < 11 ? 3 : 6, seq);
        assert_int_equal(journal_append(other, &record), JOURNAL_ACCEPTED);
    }
    journal_take(journal, other);
    assert_string_equal(journal_stream(journal), "tw-shadow");
    assert_int_equal(journal_first(journal), 8);
    assert_int_equal(journal_next(journal), 13);
    assert_int_equal(journal_epoch_at(journal, 10), 3);
    assert_int_equal(journal_epoch_at(journal, 11), 6);
    assert_int_equal(journal_barrier_epoch(journal), 6);
    assert_int_equal(heard[0], 0);
    record = named_of("tw-shadow", 6, 13);
    assert_int_equal(journal_append(journal, &record), JOURNAL_ACCEPTED);
    assert_int_equal(heard[0], 1);
    assert_int_equal(forgotten[0], 5);
    assert_true(cursor_attach(&cursor, journal, 8));
    for (int64_t seq = 8; seq <= 13; seq++) {
        assert_true(read_next(journal, &cursor, &record));
        assert_int_equal(record.seq, seq);
        assert_string_equal(record.stream, "tw-shadow");
        assert_int_equal(record.epoch, seq < 11 ? 3 : 6);
    }
    assert_false(read_next(journal, &cursor, &record));
    assert_false(read_next(journal, &former, &record));
    assert_true(cursor_former(&former) && !cursor_former(&cursor));
    cursor_detach(&former);
    cursor_detach(&cursor);
    journal_destroy(journal);
}

static void one_of_a_process_is_measured(void **state)
{
    (void)state;
    struct metric *sequence = metric_series(METRIC_SEQUENCE, "");
    struct metric *bytes = metric_series(METRIC_LOG_BYTES, "");
    struct journal *journal = filled(10, 100, 0);
    journal_measure(journal);
    assert_int_equal(metric_value(sequence), 10);
    int64_t held = metric_value(bytes);
    assert_true(held >= 1000);
    struct journal *pending = filled(20, 100, 0); /* says nothing */
    assert_int_equal(metric_value(sequence), 10);
    assert_int_equal(metric_value(bytes), held);
    journal_take(journal, pending);
    assert_int_equal(metric_value(sequence), 20);
    journal_destroy(journal);
}

/* Tokens of the last record before the first one are honoured: who has it lacks nothing. */
static void knows_the_epoch_before_its_first(void **state)
{
    (void)state;
    struct journal *journal = journal_create(STREAM, 8, 0);
    assert_int_equal(journal_epoch_at(journal, 7), 0);
    journal_behind(journal, 0); /* not known */
    assert_int_equal(journal_epoch_at(journal, 7), 0);
    journal_behind(journal, 3);
    assert_int_equal(journal_epoch_at(journal, 7), 3);
    assert_int_equal(journal_epoch_at(journal, 6), 0);
    assert_int_equal(journal_epoch(journal), 3);
    journal_barrier(journal, STREAM, 5);
    assert_int_equal(append(journal, 5, 8), JOURNAL_ACCEPTED);
    assert_int_equal(journal_epoch_at(journal, 7), 3);
    assert_int_equal(journal_epoch_at(journal, 8), 5);
    journal_destroy(journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_reading_rule),
        cmocka_unit_test(knows_the_epoch_of_what_it_holds),
        cmocka_unit_test(cursors_read_every_frame_once),
        cmocka_unit_test(attaches_only_where_it_can_go_on),
        cmocka_unit_test(drops_old_segments_and_says_who_fell_out),
        cmocka_unit_test(forgets_epochs_with_their_records),
        cmocka_unit_test(listeners_hear_accepted_records_only),
        cmocka_unit_test(begins_anew_under_another_name),
        cmocka_unit_test(becomes_what_another_is),
        cmocka_unit_test(one_of_a_process_is_measured),
        cmocka_unit_test(knows_the_epoch_before_its_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
