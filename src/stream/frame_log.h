/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSocket frames in order, in immutable memory, read by cursors: segments of whole frames, linked
 * oldest to newest. A frame stands for one record, or for a run of them (a batch); positions are
 * seqs of records.
 *
 * Threads: one writes (it makes, appends, attaches, destroys); any number read, each through
 * cursors of its own. What is published is never changed again.
 *
 * Memory: a segment is counted by the log (its oldest one), by the segment before it, and by the
 * cursors in it. So from any cursor on everything is there, and a segment goes when the log has
 * dropped it and nobody is in it or before it. A cursor that has fallen out of the log
 * (cursor_lost) holds memory beyond `retain`: its owner must let go of it soon.
 *
 * Contents: a log may begin anew, or take another's content. Each content is a chain of segments of
 * its own that nothing links to the next one, and has a number (its generation) that its segments
 * bear. So who reads what was there before comes to its end and never into what came after, and
 * knows that it is there (cursor_former) whatever the seqs are.
 */
#pragma once

#include "base/limits.h"
#include "base/slice.h"

struct frame_log;
struct segment; /* a run of frames */

enum frame_log_kind {
    FRAME_LOG_SINGLE, /* one record a frame */
    FRAME_LOG_RUNS    /* one or more */
};

/* first: the seq of the first record that will be appended. retain: bytes of frames to keep; at
 * least the newest segment is kept. */
struct frame_log *frame_log_create(enum frame_log_kind kind, int64_t first,
                                   size_t retain) MUST_CHECK;
void frame_log_destroy(struct frame_log *log); /* no cursor may be left; NULL is a no-op */

/*
 * Forgets everything and goes on with the record `first`, which may be any number. Cursors in what
 * it held, on any thread, are lost and former from now on; they may read on to its end
 * (cursor_peek_until), which is where they stay. Writing thread.
 */
void frame_log_restart(struct frame_log *log, int64_t first);

/* Becomes what `other` is, which is of the same kind, has no cursors, and is destroyed. For what it
 * held itself, and cursors in that, it is a restart. Keeps its own `retain`. Writing thread. */
void frame_log_take(struct frame_log *log, struct frame_log *other);

/* Room for the next frame, of `size` bytes (at most LIMIT_FRAME); it is published whole, or
 * replaced by the next reserve. Writing thread. */
char *frame_log_reserve(struct frame_log *log, size_t size);

/* The frame in the room last reserved is there, up to the record next - 1. */
void frame_log_publish(struct frame_log *log, size_t size, int64_t next);

/* Oldest seq still held (frame_log_next when empty), and the seq of the next record. Any thread. */
int64_t frame_log_first(const struct frame_log *log);
int64_t frame_log_next(const struct frame_log *log);

size_t frame_log_held(const struct frame_log *log); /* bytes; writing thread */

/* ---- cursors ---- */

struct cursor {              /* a value; moved between threads, never copied */
    struct frame_log *log;   /* borrowed; NULL when detached */
    struct segment *segment; /* shared: counted */
    int64_t seq;             /* of the next record */
    uint32_t offset;         /* of the next frame in the segment */
    uint32_t index;          /* frames before it there */
};

/* Puts a detached cursor before the record `seq`; false when it is not held (nor the next one to
 * come), or not the first of its frame. Writing thread. */
bool frame_log_attach(struct frame_log *log, int64_t seq, struct cursor *cursor) MUST_CHECK;

/* A detached cursor stays detached. */
void cursor_detach(struct cursor *cursor);

/*
 * Whole frames from the cursor on that lie contiguous: at most `max` bytes, but at least one frame.
 * Empty when the cursor is at the end or lost. Valid until the cursor moves.
 */
struct slice cursor_peek(struct cursor *cursor, size_t max);

/*
 * The same, and also when it is lost, since what a cursor is in is held: for who reads on at once.
 * Only records before `until` (INT64_MAX: all), which is asked of a FRAME_LOG_SINGLE alone.
 */
struct slice cursor_peek_until(struct cursor *cursor, size_t max, int64_t until);

/* Nothing lies behind the cursor now; behind a former one nothing ever will. Lost or not. */
bool cursor_at_end(struct cursor *cursor);

/*
 * Moves ahead by what was sent of the peeked bytes, to the next frame boundary at or behind it, and
 * returns the unsent rest of a frame that was cut: copy it aside at once.
 */
struct slice cursor_advance(struct cursor *cursor, size_t sent);

/* True when the record at the cursor was dropped from the log: the reader fell out. */
bool cursor_lost(const struct cursor *cursor);

/* True when the log has another content than the one that the cursor is in; such a cursor is lost
 * as well. Who asks cursor_lost first is told right: a restart is never taken for a fall. */
bool cursor_former(const struct cursor *cursor);
