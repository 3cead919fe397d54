/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator reads: /healthz, /readyz, /metrics, /api/ws/infra-health, and the page at /; and
 * the REST reads under /api/v1/ (docs/rest.md), from the keeper's last values. It knows nothing by
 * itself: the node fills in a struct admin_health when asked, so that no stage has to know this
 * one. Thread: the server's loop, which is the keeper's.
 */
#pragma once

#include "keeper/keeper.h"
#include "net/http_server.h"

#define ADMIN_CHANNELS_MAX 8

struct admin_exchange {
    const char *name;
    const char *state;  /* "connecting", "live", "stale", "down" */
    const char *reason; /* of the state; "": none */
    int64_t since_us;
    int64_t age_ms; /* of its last message; -1: none yet */
    uint32_t connections;
    uint32_t stale;                               /* channels of symbols that are stale */
    uint32_t quarantined;                         /* symbols that the exchange does not list */
    const char *channels[ADMIN_CHANNELS_MAX + 1]; /* collected of each symbol; ends with NULL */
    size_t symbol_count;                          /* that are collected */
};

struct admin_market { /* a pair that is collected */
    const char *exchange;
    const char *symbol;
    const char *native;                           /* the exchange's own spelling; NULL: not known */
    const char *channels[ADMIN_CHANNELS_MAX + 1]; /* ends with NULL */
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

/* Valid during the call only. */
typedef void admin_visit_market_fn(void *context, const struct admin_market *market);

/* Visits every pair that is collected, each once. */
typedef void admin_markets_fn(void *context, admin_visit_market_fn *visit, void *visit_context);

struct admin_options {
    struct http_server *server; /* gets the routes; borrowed */
    struct keeper *keeper;      /* what REST reads answer from; borrowed */
    const char *stream;         /* its id; borrowed */
    bool simulated;             /* no real prices: REST says so */
    admin_fill_fn *fill;
    admin_markets_fn *markets;
    void *context;
    int64_t started_us;
};

struct admin;
struct admin *admin_create(const struct admin_options *options) MUST_CHECK;
void admin_destroy(struct admin *admin);
