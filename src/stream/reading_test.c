/* SPDX-License-Identifier: Apache-2.0 */
/* The reading rule, sentence by sentence (stream/reading.h). */
#include "stream/reading.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define STREAM "tw-a"
#define OTHER "tw-b"

/* Everything up to (epoch, seq) was read; the record `seq` was of record_epoch. */
static struct reading reading_at(int64_t epoch, int64_t seq, int64_t record_epoch)
{
    struct reading reading;
    struct checkpoint from = {
        .stream = STREAM, .epoch = epoch, .seq = seq, .record_epoch = record_epoch};
    reading_begin(&reading, &from);
    return reading;
}

static bool barrier(struct reading *reading, const char *stream, int64_t epoch, int64_t start)
{
    struct barrier barrier = {
        .stream = stream, .epoch = epoch, .start = start, .writer = "w", .node = "n"};
    return reading_barrier(reading, &barrier);
}

static void accepts_the_next_record_of_its_epoch(void **state)
{
    (void)state;
    struct reading reading = reading_at(3, 10, 3);
    assert_int_equal(reading_record(&reading, STREAM, 3, 11), READING_ACCEPTED);
    assert_int_equal(reading_record(&reading, STREAM, 3, 12), READING_ACCEPTED);
    assert_int_equal(reading.seq, 12);
    assert_int_equal(reading.record_epoch, 3);
}

static void drops_everything_else(void **state)
{
    (void)state;
    struct reading reading = reading_at(3, 10, 3);
    assert_int_equal(reading_record(&reading, STREAM, 2, 11), READING_FENCED);
    assert_int_equal(reading_record(&reading, STREAM, 3, 10), READING_REPEATED);
    assert_int_equal(reading_record(&reading, STREAM, 3, 1), READING_REPEATED);
    assert_int_equal(reading_record(&reading, STREAM, 3, 12), READING_EARLY);
    assert_int_equal(reading_record(&reading, STREAM, 4, 11), READING_EARLY); /* no barrier yet */
    assert_int_equal(reading_record(&reading, OTHER, 3, 11), READING_FOREIGN);
    assert_int_equal(reading.seq, 10);
    assert_int_equal(reading.epoch, 3);
}

static void a_newer_barrier_fences_what_is_older(void **state)
{
    (void)state;
    struct reading reading = reading_at(3, 10, 3);
    assert_true(barrier(&reading, STREAM, 5, -1));
    assert_int_equal(reading_record(&reading, STREAM, 3, 11), READING_FENCED);
    assert_int_equal(reading_record(&reading, STREAM, 5, 11), READING_ACCEPTED);
}

static void an_older_or_equal_barrier_changes_nothing(void **state)
{
    (void)state;
    struct reading reading = reading_at(3, 10, 3);
    assert_false(barrier(&reading, STREAM, 3, 100));
    assert_false(barrier(&reading, STREAM, 2, 100));
    assert_int_equal(reading.seq, 10);
    assert_int_equal(reading.epoch, 3);
}

static void a_start_begins_a_stream_behind_it(void **state)
{
    (void)state;
    struct reading reading = reading_at(3, 10, 3);
    assert_true(barrier(&reading, OTHER, 4, 500));
    assert_string_equal(reading.stream, OTHER);
    assert_int_equal(reading_record(&reading, STREAM, 3, 11), READING_FOREIGN);
    assert_int_equal(reading_record(&reading, OTHER, 4, 500), READING_REPEATED);
    assert_int_equal(reading_record(&reading, OTHER, 4, 501), READING_ACCEPTED);
}

static void another_stream_without_a_start_is_not_obeyed(void **state)
{
    (void)state;
    struct reading reading = reading_at(3, 10, 3);
    assert_false(barrier(&reading, OTHER, 9, -1));
    assert_int_equal(reading.epoch, 3);
    assert_int_equal(reading_record(&reading, STREAM, 3, 11), READING_ACCEPTED);
}

static void reads_an_empty_carrier_from_its_first_barrier(void **state)
{
    (void)state;
    struct reading reading;
    struct checkpoint nothing = {.position = -1};
    reading_begin(&reading, &nothing);
    assert_int_equal(reading_record(&reading, STREAM, 1, 1), READING_FOREIGN);
    assert_true(barrier(&reading, STREAM, 1, 0));
    assert_int_equal(reading_record(&reading, STREAM, 1, 1), READING_ACCEPTED);
}

/* All who have read everything stand at the same q when a barrier comes: so a record of the new
 * epoch that is behind one's own q shows that one has read what is no longer there. */
static void a_new_epoch_behind_our_own_end_is_lost(void **state)
{
    (void)state;
    struct reading reading = reading_at(3, 10, 3);
    assert_true(barrier(&reading, STREAM, 4, -1));
    assert_int_equal(reading_record(&reading, STREAM, 4, 8), READING_LOST);
    assert_int_equal(reading_record(&reading, STREAM, 4, 11), READING_LOST); /* and stays so */
    assert_int_equal(reading.seq, 10);
    assert_true(barrier(&reading, OTHER, 5, 20)); /* until a stream begins anew */
    assert_int_equal(reading_record(&reading, OTHER, 5, 21), READING_ACCEPTED);
}

/* record_epoch 0, as in old beacons: a repeat can't be told from that, and is none of our harm. */
static void what_is_not_known_is_not_lost(void **state)
{
    (void)state;
    struct reading reading = reading_at(4, 10, 0);
    assert_int_equal(reading_record(&reading, STREAM, 4, 8), READING_REPEATED);
    assert_int_equal(reading_record(&reading, STREAM, 4, 11), READING_ACCEPTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_the_next_record_of_its_epoch),
        cmocka_unit_test(drops_everything_else),
        cmocka_unit_test(a_newer_barrier_fences_what_is_older),
        cmocka_unit_test(an_older_or_equal_barrier_changes_nothing),
        cmocka_unit_test(a_start_begins_a_stream_behind_it),
        cmocka_unit_test(another_stream_without_a_start_is_not_obeyed),
        cmocka_unit_test(reads_an_empty_carrier_from_its_first_barrier),
        cmocka_unit_test(a_new_epoch_behind_our_own_end_is_lost),
        cmocka_unit_test(what_is_not_known_is_not_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
