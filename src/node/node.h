/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One node: the only place that knows all stages. It opens them in the order of the data's way,
 * wires them together, and takes them down again in reverse. Thread: main.
 */
#pragma once

#include "net/loop.h"
#include "node/front.h"
#include "node/settings.h"

struct node;

struct node_options {
    struct loop *loop;         /* borrowed */
    struct settings *settings; /* borrowed until node_destroy; a reload changes them */
    /* Where the settings came from, to be read again on SIGHUP; borrowed. NULL: they are not. */
    const struct settings_options *sources;
    struct front *front; /* borrowed until node_destroy */
    bool simulated;      /* no real prices: said everywhere */
    bool learn;          /* take data of symbols that were not asked for (replay) */
    bool blind;          /* there is no REST to ask (replay) */
    bool as_is;          /* what repeats itself is passed on (replay) */
};

/* Opens everything and starts to listen and to connect. */
int node_create(const struct node_options *options, struct node **ret_node,
                struct err *err) MUST_CHECK;

/*
 * Leaves in order: /readyz says 503, exchanges are left, clients are told `draining` and closed,
 * and the loop is stopped when all have gone, at the latest after node.drain_timeout.
 */
void node_drain(struct node *node);
void node_destroy(struct node *node); /* NULL is a no-op */

/* Runs the loop until SIGTERM or SIGINT has drained the node; a second signal ends it at once. */
void node_run(struct node *node);
