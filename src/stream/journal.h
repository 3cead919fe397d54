/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal (the "log" of the design; the name keeps it apart from base/log): what this node has
 * accepted, framed once as WebSocket text frames (base/frame.h), in a frame_log that cursors read.
 * Appending obeys the reading rule of the stream.
 *
 * Thread: the writer's loop; journal_log, frame_log_first, frame_log_next and cursors from any
 * (stream/frame_log.h).
 */
#pragma once

#include "base/buffer.h"
#include "stream/frame_log.h"
#include "stream/stream.h"

struct journal; /* the accepted records of one node */

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

/* Its bytes and its last number are the node's gauges from now on. Others of the same process (what
 * is pending, a shadow) are not measured. */
void journal_measure(struct journal *journal);

void journal_listen(struct journal *journal, journal_listener_fn *listener,
                    void *context); /* at most 4 */

/* Barrier of epoch e: from now on only records of it are accepted, if it is newer. */
void journal_barrier(struct journal *journal, const char *stream, int64_t epoch);

/* The reading rule: accepted when epoch is the log's and seq the next one; everything else is
 * dropped and counted. */
enum journal_verdict journal_append(struct journal *journal, const struct record *record);

/*
 * The log begins anew, empty, under this name: its next record is `first`. Cursors in what it held
 * are lost at once (cursor_lost, cursor_former; stream/frame_log.h) and never come into what it
 * will hold; nothing is told to the listeners.
 */
void journal_restart(struct journal *journal, const char *stream, int64_t first);

/* The record before the first one was of this epoch (0: not known): so tokens of it are honoured.
 * Before the first append. */
void journal_behind(struct journal *journal, int64_t epoch);

/*
 * The log becomes what `other` is: its name, its records, its barrier. `other` is destroyed; it has
 * no cursors, its listeners are forgotten, those of the log stay and are told nothing. Cursors in
 * what the log held: as by journal_restart. journal_log stays the same.
 */
void journal_take(struct journal *journal, struct journal *other);

/*
 * The record at the cursor, read again; the cursor moves behind it. The text is copied to `scratch`
 * (its owner's, of at least LIMIT_RECORD + LIMIT_PADDING + 1), as records are; the key to
 * `ret_key`. False at the end, or when the cursor is lost. Writing thread.
 */
bool journal_read(struct journal *journal, struct cursor *cursor, struct buffer *scratch,
                  char ret_key[LIMIT_KEY], struct record *ret_record) MUST_CHECK;

int64_t journal_barrier_epoch(const struct journal *journal); /* E of its rule; 0: none yet */

const char *journal_stream(const struct journal *journal);
int64_t journal_epoch(const struct journal *journal); /* of the last record; 0 before the first */
int64_t
journal_first(const struct journal *journal); /* oldest seq still held; journal_next when empty */
int64_t journal_next(const struct journal *journal); /* seq of the next record */

/* The epoch of the record `seq`; 0 when the log does not hold it (or no longer knows). first - 1
 * counts as held when it was once. */
int64_t journal_epoch_at(const struct journal *journal, int64_t seq);

size_t journal_retain(const struct journal *journal); /* bytes, as asked for */

/* Its frames, one record each. Borrowed; any thread may read them. */
struct frame_log *journal_log(const struct journal *journal);

/* Puts a detached cursor before the record `seq`; false when it is not held (nor the next one to
 * come). */
bool cursor_attach(struct cursor *cursor, struct journal *journal, int64_t seq) MUST_CHECK;
