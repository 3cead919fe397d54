/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How clients get into a stream: when each was served, and whether in the agreed order. Of a server
 * that sends a snapshot that is `hello`, messages with "snapshot":true, `snapshot_end` with the
 * number it holds up to, and then the live message with the next one (docs/messages.md); of any
 * other server the first message serves. One thread.
 */
#pragma once

#include "bench/tally.h"

enum joiner_stage {
    JOINER_NEW,     /* nothing came yet */
    JOINER_GREETED, /* hello came: the snapshot is under way */
    JOINER_READY,   /* whatever is numbered next is live */
    JOINER_SERVED
};

struct joiner { /* one client */
    enum joiner_stage stage;
    int64_t began_us; /* wall clock, at its connect */
};

struct joining {
    bool snapshot;          /* hello and a snapshot are expected */
    uint64_t served;        /* clients */
    uint64_t wrong;         /* messages that do not belong where they came */
    uint64_t messages;      /* of snapshots */
    uint64_t bytes;         /* in them */
    int64_t last_us;        /* when the last client so far was served */
    struct histogram times; /* microseconds from connect to served */
};

void joining_init(struct joining *joining, bool snapshot);

/* A client that connects now. */
void joining_begin(const struct joining *joining, struct joiner *joiner, int64_t now_us);

/* Looks at a client's next message; *last becomes the number that a snapshot holds up to. True: it
 * was part of joining and is not for the tally. */
bool joining_take(struct joining *joining, struct joiner *joiner, int64_t *last,
                  struct slice message, int64_t now_us);
