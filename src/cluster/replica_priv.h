/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this folder share: replica.c (making, time, modes), path.c (what comes is held
 * against the log), shadow.c (another log that will take its place), writer.c (what a carrier is
 * given), notes.c (beacons and states), leader.c (taking over, direct, deposed), follower.c
 * (carrier, peer, alone), homecoming.c (back from alone).
 */
#pragma once

#include "base/metrics.h"
#include "cluster/ledger.h"
#include "cluster/replica.h"
#include "cluster/slot_priv.h"
#include "stream/stream.h"

#include <stdio.h>

#define NS_PER_MS INT64_C(1000000)
#define WRITER_ID (2 * LIMIT_STREAM_ID)
#define SAMPLES 320 /* of what was written when: 12 s */
#define FENCES 8
#define LEFT_STATES_MAX (8 * MEBIBYTE)

/* Copied, and cut when it is too long. */
static inline void keep_text(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text);
}

/* ---- leader.c ---- */

enum leading {
    NOT_LEADING,
    TAKE_READING, /* the carriers are read to their ends */
    TAKE_COPYING, /* what the log holds beyond is written */
    TAKE_BARRIER, /* it is written, and waited for */
    LEADING,
};

struct sample {
    int64_t seq, ns; /* what had been written by then */
};

struct fence { /* the newest barrier of a stream that a carrier brought */
    char stream[LIMIT_STREAM_ID];
    int64_t epoch;
};

struct inlet { /* what the sequencer writes to */
    struct carrier carrier;
    struct replica *replica; /* whose it is */
};

struct replica {
    struct replica_options options;
    struct inlet inlet;
    struct journal *log;
    struct journal *pending; /* written, and not read back: in mode leader-carrier alone */
    uint64_t pending_bytes;
    struct sequencer *sequencer;
    struct slot slots[REPLICA_CARRIERS];
    struct path peer;
    struct fence fences[FENCES]; /* a ring, since the log was last taken from a carrier */
    uint32_t fence_count;
    int64_t woken_ns, stopped_ns; /* when it had been stopped for a while, 0: never; for how long */
    int64_t refused_ns;           /* since when the link is to one who was deposed; 0: it is not */
    bool peer_wanted;             /* a link is looked for */
    bool peer_linked;             /* it has said hello */
    bool peer_anew;               /* the next one is asked for without a token */
    bool peer_there;              /* and comes from a leader, as far as is known */
    bool leaving;                 /* see replica_leave */
    bool served, writing;         /* the log was ever taken or named; the sequencer may write */
    bool collecting, collect;     /* so it is, and so it shall be at the end of the tick */
    bool changed;                 /* told at the end of the tick */
    enum replica_mode mode;
    enum leading leading;

    int64_t now_ns, clock_ns; /* its own time: see replica_tick */
    int64_t since_us;         /* of the mode */
    const char *reason;
    uint64_t changes, rewrites;

    /* leader.c, shadow.c */
    char fenced_by[LIMIT_NODE_ID];
    int64_t fenced_epoch;
    bool fallen_out;       /* of the log, and a carrier lacks it */
    bool fenced, owned;    /* owned: our barrier was read in a carrier, in this leadership */
    bool untried, usurped; /* the first stream's carrier never failed; others wrote in this epoch */
    bool barrier_read;     /* ours, that was waited for */
    bool shadow_whole, whole; /* states of everything have been given; so had the log's */
    int64_t epoch_floor, epoch;
    int64_t epoch_first, take_ns, barrier_ns; /* seq of the `epoch` record; times */
    struct slot *home;                        /* whose carrier is taken over, or carries */
    char writer_id[WRITER_ID];
    struct sample samples[SAMPLES]; /* a ring */
    uint64_t sample_count;
    int64_t sampled_ns;
    struct journal *shadow;
    struct path *shadow_path;
    int64_t shadow_states, shadow_sum; /* what its beginning promised, what has come; 0: nothing */
    int64_t shadow_ns;                 /* since when its path is at the end, and it is not whole */
    int64_t opened_ns;                 /* since when it is there */

    /* follower.c, homecoming.c */
    int64_t lonely_ns;     /* since when no leader was heard of; 0: one is there */
    int64_t lonely_for_ns; /* how long that is borne: drawn once */
    int64_t home_ns;       /* since when the shadow is complete; 0: not coming home */
    char left_stream[LIMIT_STREAM_ID];
    int64_t left_epoch;        /* of the newest barrier read there */
    int64_t left_seq, left_us; /* the cluster's stream, and when its last record was here */
    int64_t left_record_epoch; /* of that record; 0: no token of it is asked with */
    struct buffer left_states; /* as they were then: each its size, its text, padding */
    bool shadow_resumes;       /* the shadow goes on behind what was left */
    int64_t shadow_us;         /* receipt of the first trade in the shadow; 0: none yet */
    struct ledger *ledger;

    struct buffer scratch; /* one record read again, or one state */
    char key[LIMIT_KEY];
    struct metric *fenced_records, *repeated_records, *early_records;
};

/* ---- replica.c ---- */

void replica_set_mode(struct replica *replica, enum replica_mode mode, const char *reason);
int64_t replica_written(const struct replica *replica); /* seq of the newest record we know of */
/* The carrier that has been read to its end, by preference; alive: and somebody leads there. */
struct slot *replica_slot(struct replica *replica, bool alive);
bool any_attached(const struct replica *replica);
bool any_reading(const struct replica *replica); /* on its way to a carrier's end, and moving */
void slot_begin_anew(struct slot *slot);         /* its carrier is read again, into a shadow */
void replica_want_peer(struct replica *replica);
void replica_drop_peer(struct replica *replica);
void replica_forget_peer(struct replica *replica); /* what it says counts no more, until `hello` */

/* ---- path.c ---- */

void path_begin(struct replica *replica, struct path *path, const struct checkpoint *from);
void path_record(struct replica *replica, struct path *path, const struct record *record);
bool path_barrier(struct replica *replica, struct path *path, const struct barrier *barrier);
void path_caught_up(struct replica *replica, struct path *path);
void path_join(struct replica *replica, struct path *path);
/* The newest epoch of a stream that a barrier in a carrier told of, also one that could not be
 * placed; 0: none is known. */
int64_t fence_of(const struct replica *replica, const char *stream);
bool path_is_alive(const struct replica *replica, const struct path *path);
/* A record for the log; true: appended. */
bool log_accept(struct replica *replica, const struct record *record);

/* ---- shadow.c ---- */

void shadow_open(struct replica *replica, struct path *path, const char *stream, int64_t first);
void shadow_drop(struct replica *replica);
void shadow_record(struct replica *replica, const struct record *record);
void shadow_state(struct replica *replica, const struct state_note *state);
bool shadow_is_ready(const struct replica *replica);
/* They are one: the log takes what it lacks, and nobody is told. */
bool shadow_goes_on(struct replica *replica);
void shadow_take(struct replica *replica);
/* The log under a new stream id, empty, with the epoch begun. */
void log_rename(struct replica *replica, int64_t epoch);

/* ---- writer.c ---- */

void writer_start(struct slot *slot, int64_t next);
void writer_stop(struct slot *slot);
void writer_pump(struct slot *slot);
void writer_tick(struct slot *slot);
/* The record is what this leader has written under its name. */
bool writer_wrote(struct slot *slot, const struct record *record);
void writer_progress(struct slot *slot);            /* its path's q moved */
bool writer_can_fill(const struct slot *slot);      /* the log still holds what the carrier lacks */
void writer_forget_places(struct replica *replica); /* before a log changes under them */
void pending_deliver(struct replica *replica);      /* everything pending goes to the log */
void pending_begin(struct replica *replica);
/* Under new numbers, from `seq` on: under the old ones stand other bytes. */
void pending_sequence_again(struct replica *replica, int64_t seq);
void sequence_again(struct replica *replica, const struct record *record);
void pending_read_back(struct replica *replica, const struct record *record);
int64_t sample_seq_at(const struct replica *replica, int64_t ns);
int64_t unread_age_ns(const struct replica *replica, const struct slot *slot);
extern const struct carrier_kind replica_inlet_kind;

/* ---- notes.c ---- */

void notes_tick(struct slot *slot);
void notes_reset(struct writer *writer);
void notes_again(struct writer *writer); /* states may have been lost: this round counts no more */
void notes_read_back(struct slot *slot, const struct state_note *state);

/* ---- leader.c ---- */

/* The sequencer numbers from the log's end on, in replica.epoch, and says so first. */
void open_epoch(struct replica *replica, int64_t previous_epoch);
void leader_tick(struct replica *replica);
void leader_barrier(struct replica *replica, struct slot *slot, const struct barrier *barrier);
void leader_stop(struct replica *replica);

/* ---- follower.c ---- */

void follower_tick(struct replica *replica);
struct slot *slot_of(struct replica *replica, const struct path *path); /* NULL: the peer's */

/* ---- homecoming.c ---- */

void alone_begin(struct replica *replica);
void alone_tick(struct replica *replica);
/* The token of the cluster's stream, as it was left; "": with a snapshot. */
void left_token(const struct replica *replica, char *out, size_t size);
/* The leader goes on behind what was left here: so does a shadow. */
bool left_resumes(const struct replica *replica, const struct peer_hello *hello);
void left_resume(struct replica *replica, const struct checkpoint *from);
void left_forget(struct replica *replica);
void homecoming_record(struct replica *replica, const struct record *record);
void homecoming_stop(struct replica *replica); /* the way home is lost: it stays alone */
