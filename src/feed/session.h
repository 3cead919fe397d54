/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session with one exchange: connect, subscribe within the exchange's message limit, keep alive,
 * decode, reconnect with a capped, jittered backoff for ever. It owns the connection, the adapter's
 * state, the batch and the instruments; the adapter owns nothing. What should be subscribed
 * (`wanted`) is compared with what was asked for (`asked`) whenever either changes, so a change at
 * run time is nothing special.
 *
 * Thread: its loop's. Everything that it learns goes to the publisher.
 */
#pragma once

#include "feed/publisher.h"
#include "net/loop.h"

struct session;

struct session_options {
    const struct exchange *exchange; /* borrowed */
    const char *ws_url;              /* without the exchange's path; copied */
    const struct symbol *symbols;    /* copied */
    size_t symbol_count;
    uint32_t channels; /* CHANNEL_BITs wanted for each */
    bool learn;        /* take data of symbols that were not asked for (replay) */
};

struct session_info {
    const char *exchange;
    enum status_state state;
    int64_t since_us;        /* of the state */
    int64_t last_message_us; /* 0: none yet */
    uint32_t connections;    /* open now */
};

struct session *session_create(struct loop *loop, const struct session_options *options,
                               struct sequencer *sequencer, uint32_t book_depth,
                               struct err *err) MUST_CHECK;
void session_start(struct session *session);
void session_destroy(struct session *session); /* NULL is a no-op */

/* What should be collected of a symbol from now on; 0 channels: nothing. False when it cannot be
 * spelled or there is no room. */
bool session_want(struct session *session, const struct symbol *symbol,
                  uint32_t channels) MUST_CHECK;

void session_describe(const struct session *session, struct session_info *ret_info);
