/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands between clients and the node: who may (access/), TLS, and the HTTP server with its
 * limits, all from the settings. The files it names are read when it is made, and again on a
 * reload.
 *
 * Thread: main.
 */
#pragma once

#include "net/http_server.h"
#include "node/settings.h"

struct front;

/* Reads certificate, key and token files: an error is one of the configuration, and names its key.
 * settings: borrowed until front_destroy. */
int front_create(const struct settings *settings, struct front **ret_front,
                 struct err *err) MUST_CHECK;

/* The server must have been closed; NULL is a no-op. */
void front_destroy(struct front *front);

struct front_options {
    struct loop *loop; /* borrowed */
    uint32_t connections_max;
    uint32_t (*handed_over)(void *context); /* see http_server.h */
    void *context;                          /* borrowed */
};

/* The server is owned by the caller, who closes it before the front. */
int front_listen(struct front *front, const struct front_options *options,
                 struct http_server **ret_server, struct err *err) MUST_CHECK;

/* Reads the same files again and says in the log what came of it. What is bad leaves the old in
 * force; connections that are there stay as they are. */
void front_reload(struct front *front, struct http_server *server);
