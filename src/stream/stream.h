/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbered stream: names, the sequencer that gives numbers, the carriers that take encoded
 * records and give accepted ones back, and the reading rule. A record is named (stream, epoch,
 * seq), and a name stands for the same bytes everywhere, for ever. This folder knows no market: a
 * record's value is bytes.
 *
 *     sequencer -> carrier -> journal (reading rule) -> accepted records: keeper, gateway
 *
 * Thread: all of it lives on the writer's loop; the gateway reads the log on the same loop (for now
 * one loop in all).
 */
#pragma once

#include "base/err.h"
#include "base/limits.h"
#include "base/slice.h"

struct record {
    const char *stream; /* borrowed, terminated */
    int64_t epoch;
    int64_t seq;
    struct slice type; /* "trade", ... */
    struct slice key;  /* "exchange:symbol", "exchange" or "tickwire" */
    struct slice text; /* the JSON that clients get, with its seq; a NUL and LIMIT_PADDING readable
                          bytes follow */
};

/* ---- carriers ---- */

typedef void carrier_accept_fn(void *context, const struct record *record);
typedef void carrier_barrier_fn(void *context, const char *stream, int64_t epoch);

struct carrier_reader {
    carrier_accept_fn
        *record; /* the next record in the carrier's order; the callee applies the reading rule */
    carrier_barrier_fn *barrier; /* the next barrier in that order */
    void *context;               /* borrowed until close */
};

enum carrier_result {
    CARRIER_TAKEN, /* the record will come back through the reader, now or later */
    CARRIER_FULL,  /* not now: the memory log is the queue, write again from what was not read back
                    */
    CARRIER_DOWN,
};

struct carrier_kind;

/* The head of every carrier: the first member of each kind's own struct. */
struct carrier {
    const struct carrier_kind *kind;
};

/* One kind of carrier; a row of the registry. */
struct carrier_kind {
    const char *name;
    struct carrier *(*open)(const struct carrier_reader *reader, struct err *err);
    void (*close)(struct carrier *carrier);

    /* Borrows the record during the call only. A carrier may hand it back before write returns
     * (memory does). */
    enum carrier_result (*write)(struct carrier *carrier, const struct record *record);
    enum carrier_result (*write_barrier)(struct carrier *carrier, const char *stream,
                                         int64_t epoch);
    bool (*healthy)(const struct carrier *carrier);
};

/* NULL when there is none of that name. */
const struct carrier_kind *carrier_kind_find(const char *name);
size_t carrier_kind_count(void);
const struct carrier_kind *carrier_kind_at(size_t index);

/* ---- the sequencer ---- */

/* Gives numbers in one (stream, epoch); there is one a process. */
struct sequencer;

/*
 * A new leadership of `stream` (terminated, at most LIMIT_STREAM_ID - 1 bytes, letters, digits and
 * '-'), whose first record will be seq previous_seq + 1. Nothing is written yet:
 * sequencer_open_epoch does that. carrier is borrowed.
 */
struct sequencer *sequencer_create(const char *stream, int64_t epoch, int64_t previous_epoch,
                                   int64_t previous_seq, struct carrier *carrier) MUST_CHECK;
void sequencer_destroy(struct sequencer *sequencer);

/* Writes the barrier, then the `epoch` record, the first of this leadership. wall_us is its recv.
 */
enum carrier_result sequencer_open_epoch(struct sequencer *sequencer, const char *node,
                                         int64_t wall_us);

/*
 * A place for the next record's body of at most body_max bytes: write it there, then commit with
 * its real size. The body is everything behind `{"type":"T","seq":N,`, up to and with the closing
 * brace. NULL when body_max could pass LIMIT_RECORD.
 */
char *sequencer_reserve(struct sequencer *sequencer, const char *type, size_t body_max);
enum carrier_result sequencer_commit(struct sequencer *sequencer, struct slice key,
                                     size_t body_size);

int64_t sequencer_next(const struct sequencer *sequencer);
int64_t sequencer_epoch(const struct sequencer *sequencer);
const char *sequencer_stream(const struct sequencer *sequencer); /* as long as it lives */

/* A fresh stream id, "tw-" and 16 hexadecimal digits from the system's random source. */
void stream_id_make(char ret_id[LIMIT_STREAM_ID]);

/* ---- tokens: STREAM.EPOCH.SEQ ---- */

struct token {
    char stream[LIMIT_STREAM_ID];
    int64_t epoch;
    int64_t seq;
};

/* Strict: no signs, no leading zeros, epoch >= 1, seq >= 0. */
bool token_read(struct slice text, struct token *ret_token) MUST_CHECK;
