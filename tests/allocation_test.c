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

struct message {
    char *text; /* owned, with what a decoder may read behind it */
    size_t size;
    size_t exchange; /* index */
};

struct loaded { /* the recording, so that the passes need not read it */
    struct recording_survey survey;
    struct message *messages; /* owned */
    size_t count;
};

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
};

static size_t exchange_index(const struct recording_survey *survey, const char *name)
{
    size_t index = 0;
    while (strcmp(survey->exchanges[index], name) != 0)
        index++;
    return index;
}

static void load(struct loaded *loaded)
{
    const char *file = RECORDING;
    struct recording_options options = {.files = &file, .file_count = 1};
    struct recording *recording = NULL;
    struct recorded_message message;
    struct err err = {0};
    *loaded = (struct loaded){0};
    if (recording_survey(&options, &loaded->survey, &err) < 0 ||
        recording_open(&options, &recording, &err) < 0)
        fail_msg("%s", err.text);
    for (enum recording_result result = RECORDING_AGAIN; result != RECORDING_END;) {
        result = recording_next(recording, &message, &err);
        assert_true(result != RECORDING_FAILED);
        if (result != RECORDING_MESSAGE)
            continue;
        loaded->messages =
            memory_resize(loaded->messages, loaded->count + 1, sizeof *loaded->messages);
        struct message *next = &loaded->messages[loaded->count++];
        *next = (struct message){.text = memory_alloc(message.raw.size + 1 + LIMIT_PADDING),
                                 .size = message.raw.size,
                                 .exchange = exchange_index(&loaded->survey, message.exchange)};
        memcpy(next->text, message.raw.data, message.raw.size);
    }
    recording_close(recording);
}

static void unload(struct loaded *loaded)
{
    for (size_t i = 0; i < loaded->count; i++)
        memory_free(loaded->messages[i].text);
    memory_free(loaded->messages);
}

static void accept_record(void *context, const struct record *record)
{
    struct path *path = context;
    assert_int_equal(journal_append(path->journal, record), JOURNAL_ACCEPTED);
    path->bytes += record->text.size + 10;
}

static void accept_barrier(void *context, const struct barrier *barrier)
{
    struct path *path = context;
    journal_barrier(path->journal, barrier->stream, barrier->epoch);
}

static void open_path(struct path *path, const struct loaded *loaded)
{
    struct err err = {0};
    struct carrier_reader reader = {
        .record = accept_record, .barrier = accept_barrier, .context = path};
    path->journal = journal_create(STREAM, 1, 64 * MEBIBYTE);
    path->keeper = keeper_create(path->journal, 100);
    path->carrier =
        carrier_kind_find("memory")->open(&(struct carrier_options){.reader = reader}, &err);
    path->sequencer = sequencer_create(STREAM, 1, 0, 0, path->carrier);
    path->batch = memory_alloc(sizeof *path->batch);
    sequencer_open_epoch(path->sequencer, "n", 1);
    for (size_t i = 0; i < loaded->survey.exchange_count; i++) {
        struct line *line = &path->lines[i];
        line->exchange = exchange_find(slice_of(loaded->survey.exchanges[i]), 0);
        assert_non_null(line->exchange);
        line->instruments = instruments_create(LIMIT_EXCHANGE_SYMBOLS, true);
        line->publisher = publisher_create(line->exchange, path->sequencer, 100);
        if (line->exchange->state_size > 0)
            line->state = memory_alloc(line->exchange->state_size);
    }
}

static void close_path(struct path *path, const struct loaded *loaded)
{
    for (size_t i = 0; i < loaded->survey.exchange_count; i++) {
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

static void play(struct path *path, const struct loaded *loaded)
{
    for (size_t i = 0; i < loaded->count; i++) {
        const struct message *message = &loaded->messages[i];
        struct line *line = &path->lines[message->exchange];
        struct decode_input input = {.text = {.data = message->text, .size = message->size},
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
    struct loaded loaded;
    load(&loaded);
    struct path *path = memory_alloc(sizeof *path);
    open_path(path, &loaded);
    play(path, &loaded);
    allocations = 0;
    path->bytes = 0;
    path->events = 0;
    play(path, &loaded);
    assert_true(path->events >= loaded.count);
    print_message("%zu messages, %zu events, %zu bytes, %zu allocations\n", loaded.count,
                  path->events, path->bytes, allocations);
    assert_true(allocations <= path->bytes / (LIMIT_SEGMENT / 2) + 1);
    close_path(path, &loaded);
    unload(&loaded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_allocated_per_message)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
