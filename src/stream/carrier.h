/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carriers: what takes encoded records and gives accepted ones back, to this node and to others.
 * A carrier keeps what it was given in one order, which is the same for all who read it. It may
 * lose its end, write twice, write late: the reading rule (stream/reading.h) makes that harmless.
 *
 * Beside records it holds notes, which are no messages and have no seq:
 * - barrier: an epoch begins;
 * - beacon: every BEACON_MS by the leader: it is there, where it has read to, and where one can
 * begin;
 * - state: what a node that begins in the middle needs of one exchange and symbol.
 *
 * Thread: all calls and callbacks on one thread, the stream's, but for `wake`. No call blocks.
 */
#pragma once

#include "base/err.h"
#include "base/slice.h"
#include "stream/reading.h"
#include "stream/record.h"

struct beacon {
    const char *node;        /* the leader's id; borrowed */
    struct checkpoint now;   /* the writer has read everything before now.position */
    struct checkpoint start; /* who begins to read there has been given a state of everything by
                                now; stream "": there is no such place yet */
    int64_t barrier;         /* position of the epoch's barrier; -1: unknown */
};

struct state_note {
    const char *stream; /* borrowed */
    int64_t epoch;
    int64_t seq;       /* it holds up to this record */
    struct slice text; /* JSON; a NUL and LIMIT_PADDING readable bytes follow */
};

/* A state's part in the sum of all; to be added up by state_sum_add. Never negative. */
int64_t state_sum(const struct state_note *state);
int64_t state_sum_add(int64_t sum, int64_t more);

/*
 * What a carrier brings, in its own order. All borrowed during the call. From inside poll, or from
 * inside a write (memory).
 */
struct carrier_reader {
    /*
     * What follows comes from here on, whatever was given before. After open, after
     * carrier_kind.restart, and when the carrier finds that what it had read is no longer there.
     * stream "": from its very beginning, or it is empty.
     */
    void (*began)(void *context, const struct checkpoint *from);
    void (*record)(void *context, const struct record *record); /* apply the reading rule */
    void (*barrier)(void *context, const struct barrier *barrier);
    void (*beacon)(void *context, const struct beacon *beacon);
    void (*state)(void *context, const struct state_note *state);
    /* All that the carrier held when it began has been given. Once for each `began`. */
    void (*caught_up)(void *context);
    void *context; /* of the above; borrowed until close */
    /* Any thread: there is something for poll. NULL: poll is called often anyway. */
    void (*wake)(void *wake_context);
    void *wake_context; /* borrowed until close */
};

enum carrier_result {
    CARRIER_TAKEN, /* will come back through the reader, now, later or (when it fails) never */
    CARRIER_FULL,  /* not now: write again from what was not read back */
    CARRIER_DOWN,
};

enum carrier_state {
    CARRIER_CONNECTING, /* never was up */
    CARRIER_UP,         /* reads and takes; what was read last is known to be there still */
    CARRIER_FAILED,     /* was up, or can't be; tries again by itself */
};

struct carrier_info {
    enum carrier_state state;
    int64_t since_us;  /* wall time of the last change of state */
    const char *error; /* a clause, without secrets; "": none; borrowed until the next poll */
    int64_t rtt_us;    /* of the last request or write that was answered; -1: unknown */
    uint64_t breaks;   /* times it was up and failed */
};

struct carrier_options {
    struct carrier_reader reader;
    const char *node;    /* this node's id; borrowed until close */
    const void *details; /* of the kind: see its header; borrowed during open. memory: NULL */
};

struct carrier_kind;

/* The head of every carrier: the first member of each kind's own struct. */
struct carrier {
    const struct carrier_kind *kind;
};

/* One kind of carrier; a row of the registry. */
struct carrier_kind {
    const char *name;
    /* Begins to connect. NULL only when the details are wrong, with err. */
    struct carrier *(*open)(const struct carrier_options *options, struct err *err);
    void (*close)(struct carrier *carrier); /* at once; what was not written is lost */

    /* Borrows the record during the call only. A carrier may hand it back before write returns
     * (memory does). */
    enum carrier_result (*write)(struct carrier *carrier, const struct record *record);
    enum carrier_result (*write_barrier)(struct carrier *carrier, const struct barrier *barrier);
    enum carrier_result (*write_beacon)(struct carrier *carrier, const struct beacon *beacon);
    enum carrier_result (*write_state)(struct carrier *carrier, const struct state_note *state);
    /* Forgets what it took and has not sent: the caller writes again from what it read back. */
    void (*forget)(struct carrier *carrier);

    /* Gives what has come, at most a turn's share; true: there is more, call again soon. */
    bool (*poll)(struct carrier *carrier);
    /* Reads again from a place where one can begin: `began` comes anew. */
    void (*restart)(struct carrier *carrier);
    int64_t (*position)(const struct carrier *carrier); /* of what will be given next; -1: none */
    void (*describe)(const struct carrier *carrier, struct carrier_info *ret_info);
};

/* NULL when there is none of that name. */
const struct carrier_kind *carrier_kind_find(const char *name);
size_t carrier_kind_count(void);
const struct carrier_kind *carrier_kind_at(size_t index);
