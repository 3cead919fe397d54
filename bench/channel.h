/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A load client's connection as bytes, plain or in TLS. It shares no code with the product's TLS,
 * so that a mistake there is not made twice. Certificates are not looked at: what is measured is on
 * this machine. Sockets are non-blocking; one thread.
 */
#pragma once

#include "base/attr.h"

#include <sys/types.h>

struct channel_tls; /* what all TLS connections share */
struct ssl_st;      /* OpenSSL's */

struct channel {
    int fd;             /* owned; -1: closed */
    struct ssl_st *tls; /* owned; NULL: plain */
};

/* NULL when the library refuses. The process ignores SIGPIPE from now on. */
struct channel_tls *channel_tls_create(void);
void channel_tls_destroy(struct channel_tls *tls); /* NULL is a no-op */

/* Takes the socket. tls: borrowed while open; NULL for a plain one. */
void channel_open(struct channel *channel, int fd, struct channel_tls *tls);
void channel_close(struct channel *channel);

/* One step of the TLS handshake. 0: done, also for a plain one; -EAGAIN: wait for what
 * *ret_wants_write says; -EPROTO: it failed. */
int channel_secure(struct channel *channel, bool *ret_wants_write) MUST_CHECK;

/* Up to `size` bytes, as many as there are; 0: the other end has closed; a negative errno, -EAGAIN
 * while there are none. */
ssize_t channel_receive(struct channel *channel, char *out, size_t size) MUST_CHECK;

/* All of it, or a negative errno: what is sent here is small, and sent to an empty socket. */
int channel_send(struct channel *channel, const char *data, size_t size);
