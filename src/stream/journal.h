/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal (the "log" of the design; the name keeps it apart from base/log): what this node has
 * accepted, framed once as WebSocket text frames (base/frame.h) in immutable memory, and read by
 * cursors. Appending obeys the reading rule of the stream. Segments hold whole frames; a segment is
 * unlinked when the log is over `retain` and freed when the last cursor has left it.
 *
 * Thread: one loop writes and reads (gateway threads come with reference counts of their own).
 */
#pragma once

#include "stream/stream.h"

struct journal; /* the accepted records of one node */
struct segment; /* a run of frames */

enum journal_verdict {
    JOURNAL_ACCEPTED,
    JOURNAL_FENCED,
    JOURNAL_REPEATED,
    JOURNAL_EARLY,
    JOURNAL_FOREIGN /* another stream */
};

/* Called for each accepted record, after it was appended. */
typedef void journal_listener_fn(void *context, const struct record *record);

/* stream: its id. first: the seq of the first record that will be accepted. retain: bytes of frames
 * to keep, at least one segment. */
struct journal *journal_create(const char *stream, int64_t first, size_t retain) MUST_CHECK;
void journal_destroy(struct journal *journal); /* no cursor may be left */

void journal_listen(struct journal *journal, journal_listener_fn *listener,
                    void *context); /* at most 4 */

/* Barrier of epoch e: from now on only records of it are accepted, if it is newer. */
void journal_barrier(struct journal *journal, const char *stream, int64_t epoch);

/* The reading rule: accepted when epoch is the log's and seq the next one; everything else is
 * dropped and counted. */
enum journal_verdict journal_append(struct journal *journal, const struct record *record);

const char *journal_stream(const struct journal *journal);
int64_t journal_epoch(const struct journal *journal); /* of the last record; 0 before the first */
int64_t
journal_first(const struct journal *journal); /* oldest seq still held; journal_next when empty */
int64_t journal_next(const struct journal *journal); /* seq of the next record */

/* The epoch of the record `seq`; 0 when the log does not hold it (or no longer knows). first - 1
 * counts as held when it was once. */
int64_t journal_epoch_at(const struct journal *journal, int64_t seq);

/* ---- cursors ---- */

struct cursor {
    struct journal *journal; /* borrowed; NULL when detached */
    struct segment *segment; /* shared: counted */
    size_t offset;           /* of the next frame in it */
    int64_t seq;             /* of the next frame */
};

/* Puts a detached cursor before the record `seq`; false when it is not held (nor the next one to
 * come). */
bool cursor_attach(struct cursor *cursor, struct journal *journal, int64_t seq) MUST_CHECK;

/* A detached cursor stays detached. */
void cursor_detach(struct cursor *cursor);

/*
 * Whole frames from the cursor on that lie contiguous: at most `max` bytes, but at least one frame.
 * Empty when the cursor is at the end or lost. Valid until the cursor moves.
 */
struct slice cursor_peek(struct cursor *cursor, size_t max);

/*
 * Moves ahead by what was sent of the peeked bytes, to the next frame boundary at or behind it, and
 * returns the unsent rest of a frame that was cut: copy it aside at once.
 */
struct slice cursor_advance(struct cursor *cursor, size_t sent);

/* True when the record at the cursor was dropped from the journal: the client fell out. */
bool cursor_lost(const struct cursor *cursor);
