/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbered stream: names, the sequencer that gives numbers, the carriers that take encoded
 * records and give accepted ones back, and the reading rule. A record is named (stream, epoch,
 * seq), and a name stands for the same bytes everywhere, for ever. This folder knows no market: a
 * record's value is bytes.
 *
 *     sequencer -> carrier -> reading rule -> journal: accepted records -> keeper, gateway
 *
 * Thread: all of it lives on the writer's loop, but for what stream/frame_log.h lends to readers.
 */
#pragma once

#include "stream/carrier.h"

/* ---- the sequencer ---- */

/* Gives numbers in one (stream, epoch); there is one a process. */
struct sequencer;

/*
 * A leadership of `stream` (terminated, at most LIMIT_STREAM_ID - 1 bytes, letters, digits and
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

/*
 * Another leadership, of this stream or another, from now on: as if it had been created so. Nothing
 * is written. No place may be reserved.
 */
void sequencer_begin(struct sequencer *sequencer, const char *stream, int64_t epoch,
                     int64_t previous_epoch, int64_t previous_seq);

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

/* Strict: no signs, no leading zeros (one message has one token), epoch >= 1, seq >= 0, neither
 * over LIMIT_NUMBER. */
bool token_read(struct slice text, struct token *ret_token) MUST_CHECK;
