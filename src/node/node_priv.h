/* SPDX-License-Identifier: Apache-2.0 */
/* What the node's files share: node.c (life), node_report.c (what operators read). */
#pragma once

#include "admin/admin.h"
#include "gateway/gateway.h"
#include "node/collection.h"
#include "node/node.h"
#include "node/replication.h"

struct node {
    struct node_options options;
    int64_t started_us;
    bool draining;
    int64_t drain_until_ns;
    uint32_t clients_max;
    struct timer *drain_timer;
    struct http_server *server;
    struct replication *replication;
    struct gateway *gateway;
    struct admin *admin;
    struct collection *collection;
};

/* For admin_options. */
void node_fill_health(void *context, struct admin_health *ret_health);
const char *node_why_not_ready(void *context);
void node_fill_cluster(void *context, struct admin_cluster *ret_cluster);
void node_visit_markets(void *context, admin_visit_market_fn *visit, void *visit_context);
