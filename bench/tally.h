/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the clients of a load test got: messages told apart by a sequence field, their age by a time
 * field (integer microseconds of the wall clock). Only these two are looked for; a message without
 * both (hello, heartbeat) is counted as another one and takes no part. One thread.
 */
#pragma once

#include "base/slice.h"
#include "bench/histogram.h"

#define TALLY_FIELD_MAX 48
#define TALLY_PADDING 32 /* readable bytes behind every message */

struct tally_field {
    char key[TALLY_FIELD_MAX + 3]; /* with its quotes */
    size_t size;
    size_t place; /* where it stood in the message before: the next one looks alike */
};

struct tally {
    struct tally_field sequence, time;
    bool counting;       /* delivered, bytes, frames and latency; the rest counts always */
    uint64_t delivered;  /* while counting */
    uint64_t bytes;      /* of all frames, as they came out of TLS */
    uint64_t frames;     /* of data */
    uint64_t compressed; /* of these */
    uint64_t sequenced;  /* messages with both fields, always counted */
    uint64_t gaps;
    uint64_t missing; /* messages, in these gaps */
    uint64_t repeats; /* or going back */
    uint64_t others;
    struct histogram latency; /* microseconds; of a message from the future: 0 */
};

/* False when a name is empty, too long, or not plain. */
bool tally_init(struct tally *tally, const char *sequence_field, const char *time_field) MUST_CHECK;

/* One message, received at now_us. *last is the client's last sequence number, or -1. */
void tally_message(struct tally *tally, int64_t *last, struct slice message, int64_t now_us);
