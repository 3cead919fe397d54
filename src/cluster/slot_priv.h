/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One road of the stream: its reading side, which a carrier and the peer have (path.c), and for a
 * carrier its writing side (writer.c, notes.c); both together are a slot.
 */
#pragma once

#include "cluster/replica.h"
#include "stream/stream.h"

/* One road by which the stream comes. */
struct path {
    struct reading reading;
    bool caught_up;    /* everything that was there when it began has been given */
    bool joined;       /* the log is a prefix of it: what it accepts is appended */
    bool unfit;        /* the log is no prefix of it */
    bool lost;         /* its reading cannot go on: it must begin anew */
    int64_t early_ns;  /* since when it has only been early; 0: it was not */
    int64_t fenced_ns; /* since when all that comes is of an older epoch; 0: it is not */
    bool alarmed;      /* that was told */
    bool heard;        /* ever, since it was attached or opened */
    int64_t heard_ns;  /* when a record or beacon came last */
    int64_t barrier_position;
    int64_t believed; /* position from where on its states were taken, for the log or a shadow */
    int64_t newest;   /* epoch of anything that was read, also of what did not count */
    char leader[LIMIT_NODE_ID]; /* who writes, as it said */
};

/* All states, one after the other; whoever begins where it began has everything, when all of them
 * have come back. */
struct round {
    struct checkpoint from;
    size_t index;    /* of the next one */
    int64_t next_ns; /* its time */
    bool hurry;      /* they do not wait for their time: the first ones after a barrier */
    bool written;    /* all, since written_ns */
    int64_t written_ns;
    int64_t out_sum, back_sum; /* state_sum: of what went out, and of what came back */
};

/* A place in the log or in what is pending. */
struct place {
    bool in_pending;
    struct cursor cursor;
};

struct writer {      /* of one carrier */
    bool active;     /* this node writes there */
    bool judged;     /* leader.c has looked at what is there, since its reading began, or our
                      * barrier came back */
    int64_t next;    /* seq to be written next */
    int64_t barrier; /* the newest epoch whose barrier was written or read there */
    int64_t progress_ns;
    int64_t refill_seq;        /* after a break: from here on; 0: no break */
    struct place place, check; /* of what is written next, and of what comes back next */
    /* notes.c */
    int64_t beacon_ns;
    struct round round; /* of states */
    struct checkpoint start;
};

struct slot {
    struct replica *replica;
    struct carrier *carrier; /* borrowed; NULL: none */
    struct path path;
    struct writer writer;
    enum carrier_state state; /* as last described */
    uint64_t breaks;
    bool restart;       /* to be asked to begin anew, outside its callbacks */
    int64_t restart_ns; /* when it was asked to, last; 0: never */
    int64_t healthy_ns; /* since when it has been fit to be gone up to; 0: it is not */
};

static inline bool slot_is_up(const struct slot *slot)
{
    return slot->carrier != NULL && slot->state == CARRIER_UP;
}
