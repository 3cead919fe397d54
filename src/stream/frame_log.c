/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log's atomics, and why each is enough. `published` and `next` of a segment are what readers
 * follow; everything they point to was written before.
 *
 * A restart or take needs no more: the former chain is left as it is, its last `next` stays NULL
 * for ever, and the new one is reached through frame_log_attach alone, on the writing thread. All
 * that readers see of it are three numbers of the log. `generation` is written before `first`, and
 * `first` is read (acquire) before `generation`: who sees the new first sees the new generation,
 * and never takes a restart for having fallen behind. Who sees them late, or only the generation,
 * reads on in memory that it holds.
 */
#include "stream/frame_log.h"

#include "base/frame.h"
#include "base/memory.h"

#include <assert.h>
#include <stdatomic.h>

/* Frames of a segment that is indexed; the rest of its bytes is then left unused. */
#define RUNS_PER_SEGMENT 8192

struct segment {
    _Atomic(struct segment *) next; /* counted; set once */
    _Atomic uint64_t published;     /* frames << 32 | bytes: one load gives both */
    _Atomic uint32_t references;
    uint32_t capacity;
    uint32_t generation; /* of its content; set before anybody may read it */
    int64_t first;       /* seq of its first record */
    int64_t *ends;       /* owned; of runs: the seq behind each frame; NULL: one record a frame */
    char data[];
};

struct extent {
    uint32_t frames, bytes;
};

struct frame_log {
    _Atomic int64_t first, next;
    _Atomic uint32_t generation; /* of its content */
    enum frame_log_kind kind;
    size_t retain, held;         /* bytes */
    struct segment *head, *tail; /* the writer's; head is counted, the tail by who is before it */
};

static_assert(LIMIT_FRAME <= UINT32_MAX, "offsets have 32 bits");

/* ---- segments ---- */

static struct segment *segment_create(enum frame_log_kind kind, int64_t first, size_t capacity)
{
    struct segment *segment = memory_alloc(sizeof *segment + capacity);
    atomic_init(&segment->references, 1); /* its maker's */
    segment->first = first;
    segment->capacity = (uint32_t)capacity;
    if (kind == FRAME_LOG_RUNS)
        segment->ends = memory_array(RUNS_PER_SEGMENT, sizeof(int64_t));
    return segment;
}

/* Acquire: the bytes and ends of all these frames are visible then. */
static struct extent segment_extent(const struct segment *segment)
{
    uint64_t published = atomic_load_explicit(&segment->published, memory_order_acquire);
    return (struct extent){.frames = (uint32_t)(published >> 32), .bytes = (uint32_t)published};
}

/* Acquire: the next segment's own fields are visible then. */
static struct segment *segment_next(const struct segment *segment)
{
    return atomic_load_explicit(&segment->next, memory_order_acquire);
}

/* Relaxed: who takes one more already has one, or follows one that somebody holds. */
static void segment_ref(struct segment *segment)
{
    atomic_fetch_add_explicit(&segment->references, 1, memory_order_relaxed);
}

/* Release, so that every reader's last look came before; acquire, so that the last one sees them
 * all. The segments behind it lose the reference that it had, one after the other. */
static void segment_unref(struct segment *segment)
{
    while (segment != NULL) {
        uint32_t before = atomic_fetch_sub_explicit(&segment->references, 1, memory_order_acq_rel);
        assert(before > 0);
        if (before > 1)
            return;
        struct segment *next = segment_next(segment);
        memory_free(segment->ends);
        memory_free(segment);
        segment = next;
    }
}

static int64_t segment_seq(const struct segment *segment, uint32_t index)
{
    if (segment->ends == NULL)
        return segment->first + index;
    return index == 0 ? segment->first : segment->ends[index - 1];
}

/* ---- writing ---- */

struct frame_log *frame_log_create(enum frame_log_kind kind, int64_t first, size_t retain)
{
    assert(first >= 1);
    struct frame_log *log = memory_alloc(sizeof *log);
    log->kind = kind;
    log->retain = retain < LIMIT_SEGMENT ? LIMIT_SEGMENT : retain;
    atomic_init(&log->first, first);
    atomic_init(&log->next, first);
    log->head = log->tail = segment_create(kind, first, LIMIT_SEGMENT);
    return log;
}

static void frame_log_assert_unread(const struct frame_log *log)
{
    for (const struct segment *each = log->head; each != NULL; each = segment_next(each))
        assert(atomic_load_explicit(&each->references, memory_order_acquire) == 1);
}

void frame_log_destroy(struct frame_log *log)
{
    if (log == NULL)
        return;
    frame_log_assert_unread(log);
    segment_unref(log->head);
    memory_free(log);
}

/* Another content: the former one is its cursors' from now on. */
static void frame_log_replace(struct frame_log *log, struct segment *head, struct segment *tail,
                              int64_t next)
{
    /* Relaxed: the writer's own. */
    uint32_t generation = atomic_load_explicit(&log->generation, memory_order_relaxed) + 1;
    for (struct segment *each = head; each != NULL; each = segment_next(each))
        each->generation = generation; /* no cursor has been put there */
    struct segment *former = log->head;
    log->head = head;
    log->tail = tail;
    /* Relaxed, as the release of `first` comes behind it. */
    atomic_store_explicit(&log->generation, generation, memory_order_relaxed);
    atomic_store_explicit(&log->first, head->first, memory_order_release);
    atomic_store_explicit(&log->next, next, memory_order_release);
    segment_unref(former);
}

void frame_log_take(struct frame_log *log, struct frame_log *other)
{
    assert(log->kind == other->kind);
    frame_log_assert_unread(other);
    log->held = other->held;
    frame_log_replace(log, other->head, other->tail, frame_log_next(other));
    memory_free(other);
}

void frame_log_restart(struct frame_log *log, int64_t first)
{
    assert(first >= 1);
    struct segment *only = segment_create(log->kind, first, LIMIT_SEGMENT);
    log->held = 0;
    frame_log_replace(log, only, only, first);
}

static void frame_log_drop_head(struct frame_log *log)
{
    struct segment *old = log->head;
    assert(old != log->tail);
    log->head = segment_next(old);
    segment_ref(log->head);
    log->held -= segment_extent(old).bytes;
    /* Who sees it late reads on in memory that it holds. Release: who sees this first, and not the
     * one of the restart before it, sees that one's generation as well. */
    atomic_store_explicit(&log->first, log->head->first, memory_order_release);
    segment_unref(old);
}

static bool segment_has_room(const struct segment *segment, size_t size)
{
    struct extent extent = segment_extent(segment);
    if (segment->ends != NULL && extent.frames == RUNS_PER_SEGMENT)
        return false;
    return segment->capacity - extent.bytes >= size;
}

char *frame_log_reserve(struct frame_log *log, size_t size)
{
    assert(size > 0 && size <= LIMIT_FRAME);
    if (!segment_has_room(log->tail, size)) {
        struct segment *segment = segment_create(log->kind, frame_log_next(log),
                                                 size > LIMIT_SEGMENT ? size : LIMIT_SEGMENT);
        segment->generation = log->tail->generation;
        /* Release: its fields come before it. The reference of its maker becomes the tail's. */
        atomic_store_explicit(&log->tail->next, segment, memory_order_release);
        log->tail = segment;
    }
    return log->tail->data + segment_extent(log->tail).bytes;
}

void frame_log_publish(struct frame_log *log, size_t size, int64_t next)
{
    struct segment *tail = log->tail;
    struct extent extent = segment_extent(tail);
    assert(tail->capacity - extent.bytes >= size);
    assert(log->kind == FRAME_LOG_RUNS || next == frame_log_next(log) + 1);
    assert(next > frame_log_next(log));
    if (tail->ends != NULL)
        tail->ends[extent.frames] = next;
    uint64_t published = (uint64_t)(extent.frames + 1) << 32 | (extent.bytes + (uint32_t)size);
    /* Release: the frame and its end come before. */
    atomic_store_explicit(&tail->published, published, memory_order_release);
    log->held += size;
    while (log->held > log->retain && log->head != log->tail)
        frame_log_drop_head(log);
    /* Release: who sees this number finds the frame in its segment. */
    atomic_store_explicit(&log->next, next, memory_order_release);
}

int64_t frame_log_first(const struct frame_log *log)
{
    return atomic_load_explicit(&log->first, memory_order_acquire);
}

int64_t frame_log_next(const struct frame_log *log)
{
    return atomic_load_explicit(&log->next, memory_order_acquire);
}

size_t frame_log_held(const struct frame_log *log)
{
    return log->held;
}

/* ---- cursors ---- */

static size_t segment_frame_end(const struct segment *segment, size_t offset)
{
    return offset + frame_size((const uint8_t *)segment->data + offset);
}

bool frame_log_attach(struct frame_log *log, int64_t seq, struct cursor *cursor)
{
    assert(cursor->segment == NULL);
    if (seq < frame_log_first(log) || seq > frame_log_next(log))
        return false;
    struct segment *segment = log->head;
    for (struct segment *next = segment_next(segment); next != NULL && next->first <= seq;
         next = segment_next(segment))
        segment = next;
    struct extent extent = segment_extent(segment);
    size_t offset = seq == frame_log_next(log) ? extent.bytes : 0;
    uint32_t index = seq == frame_log_next(log) ? extent.frames : 0;
    while (index < extent.frames && segment_seq(segment, index) < seq) {
        offset = segment_frame_end(segment, offset);
        index++;
    }
    if (segment_seq(segment, index) != seq)
        return false;
    segment_ref(segment);
    *cursor = (struct cursor){
        .log = log, .segment = segment, .seq = seq, .offset = (uint32_t)offset, .index = index};
    return true;
}

void cursor_detach(struct cursor *cursor)
{
    segment_unref(cursor->segment);
    *cursor = (struct cursor){0};
}

bool cursor_lost(const struct cursor *cursor)
{
    return cursor->seq < frame_log_first(cursor->log) || cursor_former(cursor);
}

/* Relaxed: it is compared, and nothing is reached through it. */
bool cursor_former(const struct cursor *cursor)
{
    return cursor->segment->generation !=
           atomic_load_explicit(&cursor->log->generation, memory_order_relaxed);
}

/* At the end of a full segment: on to the next. What was published last is looked at after `next`,
 * so it is all that there will be. */
static struct extent cursor_follow(struct cursor *cursor)
{
    struct segment *segment = cursor->segment;
    struct segment *next = segment_next(segment);
    struct extent extent = segment_extent(segment);
    if (next == NULL || cursor->offset < extent.bytes)
        return extent;
    segment_ref(next);
    segment_unref(segment);
    cursor->segment = next;
    cursor->offset = 0;
    cursor->index = 0;
    return segment_extent(next);
}

static struct slice cursor_frames(struct cursor *cursor, struct extent extent, size_t max)
{
    const char *data = cursor->segment->data + cursor->offset;
    size_t size = extent.bytes - cursor->offset;
    return (struct slice){.data = data, .size = size == 0 ? 0 : frames_fit(data, size, max)};
}

struct slice cursor_peek(struct cursor *cursor, size_t max)
{
    struct extent extent = cursor_follow(cursor);
    if (cursor_lost(cursor))
        extent.bytes = cursor->offset;
    return cursor_frames(cursor, extent, max);
}

bool cursor_at_end(struct cursor *cursor)
{
    struct extent extent = cursor_follow(cursor); /* which may move it on to the next segment */
    return cursor->offset >= extent.bytes;
}

struct slice cursor_peek_until(struct cursor *cursor, size_t max, int64_t until)
{
    struct slice frames = cursor_frames(cursor, cursor_follow(cursor), max);
    if (until == INT64_MAX)
        return frames;
    assert(cursor->log->kind == FRAME_LOG_SINGLE);
    size_t size = 0;
    for (int64_t seq = cursor->seq; seq < until && size < frames.size; seq++)
        size += frame_size((const uint8_t *)frames.data + size);
    return (struct slice){.data = frames.data, .size = size};
}

struct slice cursor_advance(struct cursor *cursor, size_t sent)
{
    const struct segment *segment = cursor->segment;
    struct extent extent = segment_extent(segment);
    const char *data = segment->data + cursor->offset;
    size_t moved = sent;
    assert(cursor->offset + sent <= extent.bytes);
    if (cursor->offset + sent == extent.bytes) {
        cursor->index = extent.frames; /* the usual case: no need to count */
    } else {
        int64_t passed = 0;
        moved = frames_boundary(data, sent, &passed);
        cursor->index += (uint32_t)passed;
    }
    cursor->offset += (uint32_t)moved;
    cursor->seq = segment_seq(segment, cursor->index);
    return (struct slice){.data = data + sent, .size = moved - sent};
}
