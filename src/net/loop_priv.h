/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's inside, for the files of this folder that make libuv handles. */
#pragma once

#include "base/limits.h"
#include "net/loop.h"

#include <uv.h>

struct signal_handler;

struct loop {
    uv_loop_t uv;
    uv_check_t check;               /* runs the deferred functions when the input is handled */
    uv_idle_t idle;                 /* active while one is scheduled, so that polling won't block */
    struct deferred *deferred_head; /* scheduled, in order */
    struct deferred *deferred_tail; /* meaningful when the list is not empty */
    struct signal_handler *signals; /* owned */
    unsigned handshakes;            /* of TLS, steps in this turn */
    unsigned lookups;               /* of names, in libuv's thread pool: they can't be broken off */
    char *read_buffer;              /* LIMIT_READ_BUFFER + 1 + LIMIT_PADDING bytes */
};

static_assert(LIMIT_PADDING >= 1, "the NUL and the padding lie behind the data");
