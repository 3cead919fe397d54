/* SPDX-License-Identifier: Apache-2.0 */
/* A real sequencer, carrier and journal for tests of who publishes: what was accepted is read as
 * text. Include cmocka.h first. */
#pragma once

#include "stream/journal.h"

struct written_stream {
    struct journal *journal;
    struct carrier *carrier;
    struct sequencer *sequencer;
    struct buffer records; /* one a line, as accepted */
    int64_t count;
};

static inline void written_record(void *context, const struct record *record)
{
    struct written_stream *stream = context;
    buffer_append_slice(&stream->records, record->text);
    buffer_append_text(&stream->records, "\n");
    stream->count++;
}

static inline void written_accept(void *context, const struct record *record)
{
    struct written_stream *stream = context;
    assert_int_equal(journal_append(stream->journal, record), JOURNAL_ACCEPTED);
}

static inline void written_barrier(void *context, const struct barrier *barrier)
{
    struct written_stream *stream = context;
    journal_barrier(stream->journal, barrier->stream, barrier->epoch);
}

/* The stream must not move. Its first record, the epoch, is not among `records`. */
static inline void written_stream_open(struct written_stream *stream, const char *stream_id)
{
    struct carrier_reader reader = {
        .record = written_accept, .barrier = written_barrier, .context = stream};
    struct err err = {0};
    *stream = (struct written_stream){.journal = journal_create(stream_id, 1, 0)};
    stream->carrier =
        carrier_kind_find("memory")->open(&(struct carrier_options){.reader = reader}, &err);
    stream->sequencer = sequencer_create(stream_id, 1, 0, 0, stream->carrier);
    assert_int_equal(sequencer_open_epoch(stream->sequencer, "n", 1), CARRIER_TAKEN);
    journal_listen(stream->journal, written_record, stream);
    buffer_init(&stream->records, 16 * MEBIBYTE);
}

static inline void written_stream_close(struct written_stream *stream)
{
    sequencer_destroy(stream->sequencer);
    stream->carrier->kind->close(stream->carrier);
    journal_destroy(stream->journal);
    buffer_release(&stream->records);
}
