/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator reads: /healthz, /readyz, /metrics, /api/ws/infra-health, and the page at /; and
 * the REST reads under /api/v1/ (docs/rest.md), from the keeper's last values. It knows nothing by
 * itself: the node fills in a struct admin_health, or admin_cluster, when asked, so that no stage
 * has to know this one. Texts in them are borrowed until the answer is written. Thread: the
 * server's loop, which is the keeper's.
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

enum admin_dependency_name {
    ADMIN_KAFKA,
    ADMIN_REDIS,
    ADMIN_ZOOKEEPER,
    ADMIN_DATABASE,
    ADMIN_DEPENDENCY_COUNT
};

struct admin_dependency { /* zeroed: disabled, since the start */
    bool enabled;
    const char *state; /* of an enabled one: "connecting", "up", "down" */
    const char *error; /* NULL or "": none */
    int64_t since_us;  /* in that state */
    int64_t rtt_us;    /* 0: not known */
};

struct admin_health {
    const char *mode;
    const char *source;
    const char *better; /* NULL: nothing better is configured */
    struct admin_dependency dependencies[ADMIN_DEPENDENCY_COUNT];
    size_t exchange_count;
    struct admin_exchange exchanges[LIMIT_EXCHANGES];
};

typedef void admin_fill_fn(void *context, struct admin_health *ret_health);

/* Why the node is not ready; NULL: it is. Asked often, and by anybody: to be answered at once. */
typedef const char *admin_not_ready_fn(void *context);

struct admin_node {      /* of the cluster */
    const char *id;      /* NULL or "": not known */
    const char *role;    /* "leader", "follower", "alone", "starting"; NULL or "": not known */
    const char *url;     /* as clients and peers reach it; NULL or "": not known */
    const char *version; /* NULL or "": not known */
    int64_t clients;     /* -1: not known */
    int64_t lag_ms;      /* -1: not known */
    int64_t since_us;    /* in that role; 0: not known */
};

struct admin_leadership {
    int64_t epoch;
    const char *node;       /* who led; NULL or "": not known */
    const char *reason;     /* why it began; NULL or "": not known */
    int64_t from_us, to_us; /* to 0: it still does */
};

struct admin_cluster {
    const char *leader; /* its id; NULL or "": not known */
    int64_t epoch;      /* 0: not known */
    const char *stream; /* "": none yet */
    size_t node_count;  /* at least 1: this node is the first */
    struct admin_node nodes[LIMIT_PEERS + 1];
    size_t history_count; /* newest first */
    struct admin_leadership history[LIMIT_LEADERSHIPS];
};

typedef void admin_fill_cluster_fn(void *context, struct admin_cluster *ret_cluster);

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
    admin_not_ready_fn *not_ready;
    admin_fill_cluster_fn *fill_cluster; /* NULL: /api/v1/cluster is not there */
    admin_markets_fn *markets;
    void *context;
    int64_t started_us;
};

struct admin;
struct admin *admin_create(const struct admin_options *options) MUST_CHECK;
void admin_destroy(struct admin *admin);
