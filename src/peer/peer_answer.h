/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What another node says in JSON: its answer at /api/v1/cluster (docs/rest.md), and on its stream
 * `hello` and `epoch` (docs/messages.md). Read strictly: what is needed must be there and of its
 * type, names are of the characters that names have, numbers are whole and at most LIMIT_NUMBER;
 * what is not known is passed over. Pure; any thread.
 */
#pragma once

#include "base/err.h"
#include "base/limits.h"
#include "base/slice.h"

#define PEER_URL_MAX (LIMIT_HOST + 16) /* http(s)://host:port */

struct peer_answer {              /* of a node about itself */
    char node[LIMIT_PEER_NAME];   /* its id: letters, digits, '.', '_' and '-' */
    const char *role;             /* "leader", "follower", "alone", "starting"; static */
    char stream[LIMIT_STREAM_ID]; /* "": none yet */
    char version[32];
    char
        url[PEER_URL_MAX]; /* where it is to be reached, as it says: node.advertise; "": not told */
    int64_t epoch;
    int64_t clients, lag_ms; /* -1: not told */
    int64_t since_us;        /* 0: not told */
};

/* -EINVAL with what is wrong. */
int peer_answer_read(struct slice text, struct peer_answer *ret_answer, struct err *err) MUST_CHECK;

/* Why a node has answered 401 or 403; static. */
const char *peer_refusal(bool has_token);

struct peer_greeting {
    char node[LIMIT_PEER_NAME];
    char stream[LIMIT_STREAM_ID];
    int64_t epoch, next;
    bool resumed;
};

/* A `hello`. -EINVAL with what is wrong. */
int peer_greeting_read(struct slice text, struct peer_greeting *ret_greeting,
                       struct err *err) MUST_CHECK;

/* The epoch that an `epoch` message opens; -1: it says none. */
int64_t peer_epoch_read(struct slice text);
