/* SPDX-License-Identifier: Apache-2.0 */
/* Segments of whole frames, linked oldest to newest; resume finds a frame by walking one segment's
 * headers. */
#include "stream/journal.h"

#include "base/frame.h"
#include "base/memory.h"
#include "base/metrics.h"

#include <assert.h>

#define LISTENERS_MAX 4

struct segment {
    struct segment *next;
    int64_t first; /* seq of its first frame */
    int64_t count; /* frames */
    size_t size;   /* bytes in use */
    size_t capacity;
    uint32_t references; /* cursors in it */
    bool unlinked;       /* dropped from the journal; freed with its last cursor */
    char data[];
};

struct epoch_start {
    int64_t epoch;
    int64_t first;
};

struct journal {
    char stream[LIMIT_STREAM_ID];
    int64_t barrier; /* E of the reading rule */
    int64_t first, next;
    size_t retain, held; /* bytes */
    struct segment *head, *tail;
    struct epoch_start epochs[LIMIT_LOG_EPOCHS]; /* oldest first */
    uint32_t epoch_count;
    uint32_t listener_count;
    struct {
        journal_listener_fn *function;
        void *context;
    } listeners[LISTENERS_MAX];
    struct metric *fenced, *repeated, *early, *bytes, *sequence;
};

static struct segment *segment_create(int64_t first, size_t capacity)
{
    struct segment *segment = memory_alloc(sizeof *segment + capacity);
    segment->first = first;
    segment->capacity = capacity;
    return segment;
}

struct journal *journal_create(const char *stream, int64_t first, size_t retain)
{
    assert(first >= 1);
    struct journal *journal = memory_alloc(sizeof *journal);
    bool fits = slice_copy(slice_of(stream), journal->stream, sizeof journal->stream);
    assert(fits);
    (void)fits;
    journal->first = journal->next = first;
    journal->retain = retain < LIMIT_SEGMENT ? LIMIT_SEGMENT : retain;
    journal->head = journal->tail = segment_create(first, LIMIT_SEGMENT);
    journal->fenced = metric_series(METRIC_FENCED, "");
    journal->repeated = metric_series(METRIC_REPEATED, "");
    journal->early = metric_series(METRIC_EARLY, "");
    journal->bytes = metric_series(METRIC_LOG_BYTES, "");
    journal->sequence = metric_series(METRIC_SEQUENCE, "");
    return journal;
}

void journal_destroy(struct journal *journal)
{
    if (journal == NULL)
        return;
    while (journal->head != NULL) {
        struct segment *segment = journal->head;
        assert(segment->references == 0);
        journal->head = segment->next;
        memory_free(segment);
    }
    memory_free(journal);
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

/* Forgets epochs that ended before the record just before the first one held. */
static void epochs_trim(struct journal *journal)
{
    uint32_t drop = 0;
    while (drop + 1 < journal->epoch_count && journal->epochs[drop + 1].first <= journal->first - 1)
        drop++;
    if (drop == 0)
        return;
    journal->epoch_count -= drop;
    memmove(journal->epochs, journal->epochs + drop,
            journal->epoch_count * sizeof journal->epochs[0]);
}

static void journal_drop_head(struct journal *journal)
{
    struct segment *segment = journal->head;
    assert(segment != journal->tail);
    journal->head = segment->next;
    journal->first = journal->head->first;
    journal->held -= segment->size;
    segment->unlinked = true;
    segment->next = NULL;
    if (segment->references == 0)
        memory_free(segment);
    epochs_trim(journal);
}

/* Room for a frame of `size` bytes at the tail. */
static char *journal_room(struct journal *journal, size_t size)
{
    struct segment *tail = journal->tail;
    if (tail->capacity - tail->size < size) {
        struct segment *segment =
            segment_create(journal->next, size > LIMIT_SEGMENT ? size : LIMIT_SEGMENT);
        tail->next = segment;
        journal->tail = segment;
    }
    journal->held += size;
    while (journal->held > journal->retain && journal->head != journal->tail)
        journal_drop_head(journal);
    tail = journal->tail;
    char *room = tail->data + tail->size;
    tail->size += size;
    tail->count++;
    return room;
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

/* The reading rule of the design (stream.md), in its own order. */
static enum journal_verdict journal_judge(const struct journal *journal,
                                          const struct record *record)
{
    if (strcmp(record->stream, journal->stream) != 0)
        return JOURNAL_FOREIGN;
    if (record->epoch < journal->barrier)
        return JOURNAL_FENCED;
    if (record->seq < journal->next)
        return JOURNAL_REPEATED;
    if (record->seq > journal->next || record->epoch > journal->barrier)
        return JOURNAL_EARLY;
    return JOURNAL_ACCEPTED;
}

static void journal_count(struct journal *journal, enum journal_verdict verdict)
{
    switch (verdict) {
    case JOURNAL_ACCEPTED:
        metric_set(journal->bytes, (int64_t)journal->held);
        metric_set(journal->sequence, journal->next - 1);
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

enum journal_verdict journal_append(struct journal *journal, const struct record *record)
{
    enum journal_verdict verdict = journal_judge(journal, record);
    if (verdict == JOURNAL_ACCEPTED) {
        uint8_t header[FRAME_HEADER_MAX];
        size_t header_size = frame_header_write(header, FRAME_TEXT, record->text.size);
        char *room = journal_room(journal, header_size + record->text.size);
        memcpy(room, header, header_size);
        memcpy(room + header_size, record->text.data, record->text.size);
        journal_note_epoch(journal, record->epoch, record->seq);
        journal->next++;
    }
    journal_count(journal, verdict);
    if (verdict == JOURNAL_ACCEPTED)
        for (uint32_t i = 0; i < journal->listener_count; i++)
            journal->listeners[i].function(journal->listeners[i].context, record);
    return verdict;
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
    return journal->first;
}

int64_t journal_next(const struct journal *journal)
{
    return journal->next;
}

int64_t journal_epoch_at(const struct journal *journal, int64_t seq)
{
    if (seq < journal->first - 1 || seq >= journal->next)
        return 0;
    for (uint32_t i = journal->epoch_count; i > 0; i--)
        if (journal->epochs[i - 1].first <= seq)
            return journal->epochs[i - 1].epoch;
    return 0;
}

/* ---- cursors ---- */

static struct segment *journal_segment(const struct journal *journal, int64_t seq)
{
    struct segment *segment = journal->head;
    while (segment->next != NULL && segment->next->first <= seq)
        segment = segment->next;
    return segment;
}

static size_t next_frame(const struct segment *segment, size_t offset)
{
    return offset + frame_size((const uint8_t *)segment->data + offset);
}

bool cursor_attach(struct cursor *cursor, struct journal *journal, int64_t seq)
{
    assert(cursor->segment == NULL);
    if (seq < journal->first || seq > journal->next)
        return false;
    struct segment *segment = journal_segment(journal, seq);
    size_t offset = 0;
    if (seq == segment->first + segment->count)
        offset = segment->size;
    else
        for (int64_t at = segment->first; at < seq; at++)
            offset = next_frame(segment, offset);
    segment->references++;
    *cursor = (struct cursor){.journal = journal, .segment = segment, .offset = offset, .seq = seq};
    return true;
}

static void segment_unref(struct segment *segment)
{
    assert(segment->references > 0);
    segment->references--;
    if (segment->unlinked && segment->references == 0)
        memory_free(segment);
}

void cursor_detach(struct cursor *cursor)
{
    if (cursor->segment == NULL)
        return;
    segment_unref(cursor->segment);
    cursor->segment = NULL;
    cursor->journal = NULL;
}

bool cursor_lost(const struct cursor *cursor)
{
    return cursor->segment->unlinked && cursor->seq < cursor->journal->first;
}

/* At the end of a segment: on to the one that starts with this seq. A dropped segment no longer
 * knows its successor. */
static void cursor_follow(struct cursor *cursor)
{
    struct segment *segment = cursor->segment;
    struct segment *next = segment->unlinked ? cursor->journal->head : segment->next;
    if (next == NULL || next->first != cursor->seq)
        return;
    next->references++;
    segment_unref(segment);
    cursor->segment = next;
    cursor->offset = 0;
}

struct slice cursor_peek(struct cursor *cursor, size_t max)
{
    if (cursor->offset == cursor->segment->size)
        cursor_follow(cursor);
    const struct segment *segment = cursor->segment;
    size_t size = segment->size - cursor->offset;
    if (cursor_lost(cursor))
        size = 0;
    if (size > 0)
        size = frames_fit(segment->data + cursor->offset, size, max);
    return (struct slice){.data = segment->data + cursor->offset, .size = size};
}

struct slice cursor_advance(struct cursor *cursor, size_t sent)
{
    const struct segment *segment = cursor->segment;
    size_t target = cursor->offset + sent;
    assert(target <= segment->size);
    if (target == segment->size) {
        cursor->offset = target;
        cursor->seq = segment->first + segment->count;
        return (struct slice){0};
    }
    cursor->offset += frames_boundary(segment->data + cursor->offset, sent, &cursor->seq);
    return (struct slice){.data = segment->data + target, .size = cursor->offset - target};
}
