/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many WebSocket clients on one epoll, as cheap as they can be: frames are cut, messages told to
 * the tally, pings answered; nothing is parsed but that. A fragment of a message counts as a
 * message. A server that asks for more than reading (authentication, TLS, subscriptions) cannot be
 * loaded. One thread.
 */
#pragma once

#include "base/err.h"
#include "bench/tally.h"

struct load;

struct load_options {
    const char *url; /* ws://host[:port]/path */
    size_t clients;
    bool lines;          /* a frame holds several messages, one a line */
    struct tally *tally; /* borrowed */
};

/* Resolves and gets ready; load_connect makes the connections. */
int load_create(const struct load_options *options, struct load **ret_load,
                struct err *err) MUST_CHECK;
void load_destroy(struct load *load); /* NULL is a no-op */

/* All clients connected and through their handshakes, few at a time, within the time. */
int load_connect(struct load *load, uint32_t timeout_ms, struct err *err) MUST_CHECK;

/* Reads for that long. */
void load_run(struct load *load, uint32_t time_ms);

/* Connections that the server ended, or that broke its protocol. */
size_t load_closed(const struct load *load);

/* How many clients are not at the newest message that any client has seen. */
size_t load_behind(const struct load *load);
