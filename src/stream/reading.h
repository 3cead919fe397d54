/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reading rule: which records of a carrier count, for who reads it in its own order. Every node
 * and every carrier has this same rule, and so has anybody else who reads the topic:
 *
 *     state (E, q). A barrier of epoch e: if e > E then E := e.
 *     A record (e, s) is accepted if e = E and s = q + 1; then q := s.
 *     e < E: fenced; s <= q: repeat; else early. These are dropped.
 *
 * All who have read everything stand at the same q when a barrier comes. Who began in the middle of
 * a carrier that has lost its end may stand further: a record of the new epoch with s <= q shows
 * it, and the reading is lost.
 *
 * A barrier that names a start begins a stream behind that seq (another stream, or one that was not
 * there): if it is newer, q := start. Nothing here allocates. Thread: none of its own; a value.
 */
#pragma once

#include "base/limits.h"
#include "base/slice.h"

/* Where a reader stands: everything before `position` was read, and this is the rule's state. */
struct checkpoint {
    char stream[LIMIT_STREAM_ID]; /* "": nothing was read yet, of no stream */
    int64_t epoch, seq;
    int64_t record_epoch; /* of the record `seq`, as tokens name it; 0: not known */
    int64_t states;       /* of a beacon's start: sum of the states from there on (state_sum), by
                             which who begins there knows that it has them all; else 0 */
    int64_t position;     /* in the carrier's own order; -1: the carrier has no positions */
};

/* An epoch begins. The first one of an epoch in a carrier owns it. */
struct barrier {
    const char *stream; /* borrowed, terminated */
    int64_t epoch;
    int64_t start;      /* the stream begins anew: its next record is start + 1; -1: it goes on */
    const char *writer; /* who writes in this epoch: unique for each leadership; borrowed */
    const char *node;   /* its id; borrowed */
    int64_t position;   /* of the barrier; -1 while it is written */
};

enum reading_verdict {
    READING_ACCEPTED,
    READING_FENCED,
    READING_REPEATED,
    READING_EARLY,
    READING_FOREIGN, /* another stream */
    READING_LOST     /* the epoch began elsewhere than here: begin anew, nothing is accepted */
};

struct reading {
    char stream[LIMIT_STREAM_ID]; /* "": none */
    int64_t epoch;                /* E: of the newest barrier */
    int64_t seq;                  /* q */
    int64_t record_epoch;         /* of the record q; 0: not known */
    bool lost;                    /* see READING_LOST */
};

void reading_begin(struct reading *reading, const struct checkpoint *from);

/* True when it is newer than all before it, and was obeyed. One that names no start and another
 * stream than the present one is not obeyed. */
bool reading_barrier(struct reading *reading, const struct barrier *barrier);

/* An accepted record moves q. */
enum reading_verdict reading_record(struct reading *reading, const char *stream, int64_t epoch,
                                    int64_t seq);
