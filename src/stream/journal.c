/* SPDX-License-Identifier: Apache-2.0 */
/* The reading rule in front of a frame_log, and the epochs of what it holds. */
#include "stream/journal.h"

#include "base/frame.h"
#include "base/memory.h"
#include "base/metrics.h"

#include <assert.h>

#define LISTENERS_MAX 4

struct epoch_start {
    int64_t epoch;
    int64_t first;
};

struct journal {
    char stream[LIMIT_STREAM_ID];
    int64_t barrier;                             /* E of the reading rule */
    struct frame_log *log;                       /* owned */
    size_t retain;                               /* bytes */
    struct epoch_start epochs[LIMIT_LOG_EPOCHS]; /* oldest first */
    uint32_t epoch_count;
    uint32_t listener_count;
    struct {
        journal_listener_fn *function;
        void *context;
    } listeners[LISTENERS_MAX];
    struct metric *fenced, *repeated, *early;
    struct metric *bytes, *sequence; /* NULL: not measured */
};

static void journal_name(struct journal *journal, const char *stream)
{
    bool fits = slice_copy(slice_of(stream), journal->stream, sizeof journal->stream);
    assert(fits);
    (void)fits;
}

struct journal *journal_create(const char *stream, int64_t first, size_t retain)
{
    assert(first >= 1);
    struct journal *journal = memory_alloc(sizeof *journal);
    journal_name(journal, stream);
    journal->retain = retain;
    journal->log = frame_log_create(FRAME_LOG_SINGLE, first, retain);
    journal->fenced = metric_series(METRIC_FENCED, "");
    journal->repeated = metric_series(METRIC_REPEATED, "");
    journal->early = metric_series(METRIC_EARLY, "");
    return journal;
}

static void journal_gauge(const struct journal *journal)
{
    if (journal->bytes == NULL)
        return;
    metric_set(journal->bytes, (int64_t)frame_log_held(journal->log));
    metric_set(journal->sequence, journal_next(journal) - 1);
}

void journal_measure(struct journal *journal)
{
    journal->bytes = metric_series(METRIC_LOG_BYTES, "");
    journal->sequence = metric_series(METRIC_SEQUENCE, "");
    journal_gauge(journal);
}

void journal_destroy(struct journal *journal)
{
    if (journal == NULL)
        return;
    frame_log_destroy(journal->log);
    memory_free(journal);
}

static void journal_note_epoch(struct journal *journal, int64_t epoch, int64_t seq)
{
    if (journal->epoch_count > 0 && journal->epochs[journal->epoch_count - 1].epoch == epoch)
        return;
    if (journal->epoch_count ==
        LIMIT_LOG_EPOCHS) { /* tokens of the oldest are no longer honoured */
        journal->epoch_count--;
        memmove(journal->epochs, journal->epochs + 1,
                journal->epoch_count * sizeof journal->epochs[0]);
    }
    journal->epochs[journal->epoch_count++] = (struct epoch_start){.epoch = epoch, .first = seq};
}

static void journal_count(struct journal *journal, enum journal_verdict verdict)
{
    switch (verdict) {
    case JOURNAL_ACCEPTED:
        journal_gauge(journal);
        return;
    case JOURNAL_FENCED:
        metric_add(journal->fenced, 1);
        return;
    case JOURNAL_REPEATED:
        metric_add(journal->repeated, 1);
        return;
    case JOURNAL_EARLY:
        metric_add(journal->early, 1);
        return;
    case JOURNAL_FOREIGN:
        return;
    }
}

void journal_restart(struct journal *journal, const char *stream, int64_t first)
{
    assert(first >= 1);
    journal_name(journal, stream);
    journal->barrier = 0;
    journal->epoch_count = 0;
    frame_log_restart(journal->log, first);
    journal_gauge(journal);
}

void journal_behind(struct journal *journal, int64_t epoch)
{
    assert(journal->epoch_count == 0);
    if (epoch > 0)
        journal_note_epoch(journal, epoch, journal_next(journal) - 1);
}

void journal_take(struct journal *journal, struct journal *other)
{
    journal_name(journal, other->stream);
    journal->barrier = other->barrier;
    journal->epoch_count = other->epoch_count;
    memcpy(journal->epochs, other->epochs, other->epoch_count * sizeof other->epochs[0]);
    frame_log_take(journal->log, other->log);
    journal_gauge(journal);
    memory_free(other);
}

void journal_listen(struct journal *journal, journal_listener_fn *listener, void *context)
{
    assert(journal->listener_count < LISTENERS_MAX);
    journal->listeners[journal->listener_count].function = listener;
    journal->listeners[journal->listener_count].context = context;
    journal->listener_count++;
}

void journal_barrier(struct journal *journal, const char *stream, int64_t epoch)
{
    if (strcmp(stream, journal->stream) == 0 && epoch > journal->barrier)
        journal->barrier = epoch;
}

int64_t journal_barrier_epoch(const struct journal *journal)
{
    return journal->barrier;
}

/* Forgets epochs that ended before the record just before the first one held. */
static void epochs_trim(struct journal *journal)
{
    uint32_t drop = 0;
    int64_t first = journal_first(journal);
    while (drop + 1 < journal->epoch_count && journal->epochs[drop + 1].first <= first - 1)
        drop++;
    if (drop == 0)
        return;
    journal->epoch_count -= drop;
    memmove(journal->epochs, journal->epochs + drop,
            journal->epoch_count * sizeof journal->epochs[0]);
}

/* The reading rule of the design (stream.md), in its own order. */
static enum journal_verdict journal_judge(const struct journal *journal,
                                          const struct record *record)
{
    if (strcmp(record->stream, journal->stream) != 0)
        return JOURNAL_FOREIGN;
    if (record->epoch < journal->barrier)
        return JOURNAL_FENCED;
    if (record->seq < journal_next(journal))
        return JOURNAL_REPEATED;
    if (record->seq > journal_next(journal) || record->epoch > journal->barrier)
        return JOURNAL_EARLY;
    return JOURNAL_ACCEPTED;
}

static void journal_write(struct journal *journal, const struct record *record)
{
    uint8_t header[FRAME_HEADER_MAX];
    size_t header_size = frame_header_write(header, FRAME_TEXT, record->text.size);
    size_t size = header_size + record->text.size;
    char *room = frame_log_reserve(journal->log, size);
    memcpy(room, header, header_size);
    memcpy(room + header_size, record->text.data, record->text.size);
    journal_note_epoch(journal, record->epoch, record->seq);
    frame_log_publish(journal->log, size, record->seq + 1);
    epochs_trim(journal);
}

enum journal_verdict journal_append(struct journal *journal, const struct record *record)
{
    enum journal_verdict verdict = journal_judge(journal, record);
    if (verdict == JOURNAL_ACCEPTED)
        journal_write(journal, record);
    journal_count(journal, verdict);
    if (verdict == JOURNAL_ACCEPTED)
        for (uint32_t i = 0; i < journal->listener_count; i++)
            journal->listeners[i].function(journal->listeners[i].context, record);
    return verdict;
}

bool journal_read(struct journal *journal, struct cursor *cursor, struct buffer *scratch,
                  char ret_key[LIMIT_KEY], struct record *ret_record)
{
    static const char padding[LIMIT_PADDING + 1];
    int64_t seq = cursor->seq;
    struct slice frame = cursor_peek_until(cursor, LIMIT_FRAME, seq + 1);
    if (frame.size == 0 || cursor_lost(cursor))
        return false;
    size_t header = frame_header_size((const uint8_t *)frame.data);
    buffer_clear(scratch);
    buffer_append(scratch, frame.data + header, frame.size - header);
    buffer_append(scratch, padding, sizeof padding);
    assert(!scratch->overflowed);
    (void)cursor_advance(cursor, frame.size);
    struct slice text = {.data = scratch->data, .size = frame.size - header};
    *ret_record = (struct record){
        .stream = journal->stream, .epoch = journal_epoch_at(journal, seq), .seq = seq};
    bool ours = record_read_head(text, ret_key, ret_record);
    assert(ours && ret_record->seq == seq);
    (void)ours;
    ret_record->text = text;
    return true;
}

const char *journal_stream(const struct journal *journal)
{
    return journal->stream;
}

int64_t journal_epoch(const struct journal *journal)
{
    return journal->epoch_count == 0 ? 0 : journal->epochs[journal->epoch_count - 1].epoch;
}

int64_t journal_first(const struct journal *journal)
{
    return frame_log_first(journal->log);
}

int64_t journal_next(const struct journal *journal)
{
    return frame_log_next(journal->log);
}

int64_t journal_epoch_at(const struct journal *journal, int64_t seq)
{
    if (seq < journal_first(journal) - 1 || seq >= journal_next(journal))
        return 0;
    for (uint32_t i = journal->epoch_count; i > 0; i--)
        if (journal->epochs[i - 1].first <= seq)
            return journal->epochs[i - 1].epoch;
    return 0;
}

size_t journal_retain(const struct journal *journal)
{
    return journal->retain;
}

struct frame_log *journal_log(const struct journal *journal)
{
    return journal->log;
}

bool cursor_attach(struct cursor *cursor, struct journal *journal, int64_t seq)
{
    return frame_log_attach(journal->log, seq, cursor);
}
