/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an exchange's bytes to the journal and the keeper nothing is allocated per message: the
 * constructed recording goes through the product's own objects twice, and in the second pass only
 * journal segments (each thousands of frames) may be new.
 */
#include "base/limits.h"
#include "base/memory.h"
#include "feed/publisher.h"
#include "keeper/keeper.h"
#include "sim/recording.h"
#include "stream/journal.h"
#include "tests/tools/counted_allocations_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define STREAM "tw-allocation"
#define RECORDING "demo/recording.jsonl.gz"

struct line { /* one exchange's way into the stream */
    const struct exchange *exchange;
    struct instruments *instruments;
    struct publisher *publisher;
    void *state;
};

struct path {
    struct journal *journal;
    struct keeper *keeper;
    struct carrier *carrier;
    struct sequencer *sequencer;
    struct event_batch *batch;
    struct line lines[RECORDING_EXCHANGES_MAX];
    size_t events;
    size_t bytes;
    char text[LIMIT_READ_BUFFER + 1 + LIMIT_PADDING];
};

static void accept_record(void *context, const struct record *record)
{
    struct path *path = context;
    assert_int_equal(journal_append(path->journal, record), JOURNAL_ACCEPTED);
    path->bytes += record->text.size + 10;
}

static void accept_barrier(void *context, const char *stream, int64_t epoch)
{
    struct path *path = context;
    journal_barrier(path->journal, stream, epoch);
}

static void open_path(struct path *path, const struct recording *recording)
{
    struct err err = {0};
    struct carrier_reader reader = {
        .record = accept_record, .barrier = accept_barrier, .context = path};
    path->journal = journal_create(STREAM, 1, 64 * MEBIBYTE);
    path->keeper = keeper_create(path->journal, 100);
    path->carrier = carrier_kind_find("memory")->open(&reader, &err);
    path->sequencer = sequencer_create(STREAM, 1, 0, 0, path->carrier);
    path->batch = memory_alloc(sizeof *path->batch);
    sequencer_open_epoch(path->sequencer, "n", 1);
    for (size_t i = 0; i < recording->exchange_count; i++) {
        struct line *line = &path->lines[i];
        line->exchange = exchange_find(slice_of(recording->exchanges[i]), 0);
        assert_non_null(line->exchange);
        line->instruments = instruments_create(LIMIT_EXCHANGE_SYMBOLS, true);
        line->publisher = publisher_create(line->exchange, path->sequencer, 100);
        if (line->exchange->state_size > 0)
            line->state = memory_alloc(line->exchange->state_size);
    }
}

static void close_path(struct path *path, const struct recording *recording)
{
    for (size_t i = 0; i < recording->exchange_count; i++) {
        struct line *line = &path->lines[i];
        for (uint32_t j = 0; j < instruments_count(line->instruments); j++)
            publisher_forget(line->publisher, instruments_at(line->instruments, j));
        publisher_destroy(line->publisher);
        instruments_destroy(line->instruments);
        memory_free(line->state);
    }
    memory_free(path->batch);
    sequencer_destroy(path->sequencer);
    path->carrier->kind->close(path->carrier);
    keeper_destroy(path->keeper);
    journal_destroy(path->journal);
    memory_free(path);
}

static void play(struct path *path, const struct recording *recording)
{
    for (size_t i = 0; i < recording->count; i++) {
        const struct recorded_message *message = &recording->messages[i];
        struct line *line = &path->lines[message->exchange];
        assert_true(message->size <= LIMIT_READ_BUFFER);
        memcpy(path->text, recording->text.data + message->offset, message->size);
        memset(path->text + message->size, 0, 1 + LIMIT_PADDING);
        struct decode_input input = {.text = {.data = path->text, .size = message->size},
                                     .received_us = 1,
                                     .instruments = line->instruments};
        assert_int_equal(line->exchange->decode(line->state, &input, path->batch), DECODE_EVENTS);
        for (uint32_t j = 0; j < path->batch->event_count; j++)
            publisher_event(line->publisher, 0, path->batch->instrument[j], &path->batch->event[j]);
        path->events += path->batch->event_count;
    }
}

static void nothing_is_allocated_per_message(void **state)
{
    (void)state;
    struct recording recording;
    struct err err = {0};
    if (recording_load(&recording, RECORDING, NULL, &err) != 0)
        fail_msg("%s", err.text);
    struct path *path = memory_alloc(sizeof *path);
    open_path(path, &recording);
    play(path, &recording);
    allocations = 0;
    path->bytes = 0;
    path->events = 0;
    play(path, &recording);
    assert_true(path->events >= recording.count);
    print_message("%zu messages, %zu events, %zu bytes, %zu allocations\n", recording.count,
                  path->events, path->bytes, allocations);
    assert_true(allocations <= path->bytes / (LIMIT_SEGMENT / 2) + 1);
    close_path(path, &recording);
    recording_release(&recording);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_allocated_per_message)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
