/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many WebSocket clients on one epoll, as cheap as they can be: frames are cut, messages told to
 * the tally, pings answered; nothing is parsed but that. A fragment of a message counts as a
 * message; fragments of a compressed one end the connection. A server that asks for more than
 * reading (authentication, subscriptions) cannot be loaded. One thread.
 *
 * Many clients from one address run out of ports: a server on a 127.0.0.0/8 address is connected to
 * from as many such addresses as it takes.
 */
#pragma once

#include "base/err.h"
#include "bench/joining.h"

struct load;

struct load_options {
    const char *url; /* ws:// or wss://host[:port]/path; certificates are not looked at */
    size_t clients;
    bool lines;              /* a frame holds several messages, one a line */
    bool deflate;            /* permessage-deflate, without context takeover, or no connection */
    struct tally *tally;     /* borrowed */
    struct joining *joining; /* borrowed; NULL: nobody asks */
};

/* Resolves and gets ready; load_connect or load_join makes the connections. */
int load_create(const struct load_options *options, struct load **ret_load,
                struct err *err) MUST_CHECK;
void load_destroy(struct load *load); /* NULL is a no-op */

/* All clients connected and through their handshakes, few at a time, within the time. */
int load_connect(struct load *load, uint32_t timeout_ms, struct err *err) MUST_CHECK;

/*
 * The same all at once: connections begin evenly spread over join_ms, however far the others are.
 * Returns when every client is served or has ended, or when the time is over; what is missing then
 * stands in `joining` and load_closed. *ret_begun_us: from the first connect to the last.
 */
void load_join(struct load *load, uint32_t join_ms, uint32_t timeout_ms, int64_t *ret_begun_us);

/* Reads for that long. */
void load_run(struct load *load, uint32_t time_ms);

/* Connections that the server ended, or that broke its protocol; why the first of them did. */
size_t load_closed(const struct load *load);
const char *load_error(const struct load *load); /* "" when none did */

/* How many clients are not at the newest message that any client has seen. */
size_t load_behind(const struct load *load);
