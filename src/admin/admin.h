/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator reads: /healthz, /readyz, /metrics, /api/ws/infra-health, and the page at /. It
 * knows nothing by itself: the node fills in a struct admin_health when asked, so that no stage has
 * to know this one. Thread: the server's loop.
 */
#pragma once

#include "net/http_server.h"

struct admin_exchange {
    const char *name;
    const char *state; /* "connecting", "live", "stale", "down" */
    int64_t since_us;
    int64_t age_ms; /* of its last message; -1: none yet */
    uint32_t connections;
};

struct admin_health {
    const char *not_ready; /* NULL: ready; else why not */
    const char *mode;
    const char *source;
    const char *better; /* NULL: nothing better is configured */
    size_t exchange_count;
    struct admin_exchange exchanges[LIMIT_EXCHANGES];
};

typedef void admin_fill_fn(void *context, struct admin_health *ret_health);

struct admin_options {
    struct http_server *server; /* gets the routes; borrowed */
    admin_fill_fn *fill;
    void *context;
    int64_t started_us;
};

struct admin;
struct admin *admin_create(const struct admin_options *options) MUST_CHECK;
void admin_destroy(struct admin *admin);
