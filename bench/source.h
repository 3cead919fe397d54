/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source of a load test: a process of its own that connects to a server's input port and writes
 * synthetic messages to it, one a line, evenly spaced in time. Each carries the time at which it
 * was due, so that a server that reads late cannot hide it. A server under test sends every line to
 * every client (with a sequence number of its own, if it likes).
 */
#pragma once

#include "base/err.h"

#include <sys/types.h>

#define SOURCE_SIZE_MIN 200
#define SOURCE_SIZE_MAX 60000
#define SOURCE_RATE_MAX 1000000

struct source_options {
    const char *address; /* host:port; IPv6 in brackets */
    uint32_t rate;       /* messages a second */
    uint32_t size;       /* bytes of one, without its line end */
};

/* Connected, and sending from now on; it ends with us, or when the server closes. */
int source_start(const struct source_options *options, pid_t *ret_process,
                 struct err *err) MUST_CHECK;

void source_stop(pid_t process);

/* A connected socket, blocking, without delay; or a negative errno. */
int socket_connect(const char *host, const char *port, struct err *err) MUST_CHECK;

/* Writes message number `number`, due at due_us, with its line end; returns the end. out has room
 * for size + 1 bytes; size is at least SOURCE_SIZE_MIN. */
char *source_message(char *out, uint32_t size, uint64_t number, int64_t due_us);
