/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the commands that run a node (serve, replay, demo) do alike. Thread: main.
 */
#pragma once

#include "node/commands.h"
#include "node/node.h"

/* Where the settings come from, for settings_load and settings_reload. Borrows from `arguments`. */
void run_sources(const struct node_arguments *arguments, struct settings_options *ret_options);

/* Prices that are not real stay on this node: no carrier, no other nodes. Three settings behind the
 * user's. */
#define RUN_ALONE_SETS 3
void run_alone(struct node_arguments *arguments);

/* The settings, and what the files that they name hold. 0; or EXIT_CONFIGURATION with the reason
 * said, and then there is nothing to release. A SIGHUP that comes before the node is there waits
 * for node_create: who starts a node and has it reload at once does not end it. */
int run_load(const struct node_arguments *arguments, struct settings *ret_settings,
             struct front **ret_front);
void run_release(struct settings *settings, struct front *front);

/* As the settings say; log_stop ends it. */
void run_start_log(const struct settings *settings);

/* Opens the node, runs it until it has been told to leave, and returns the exit status. */
int run_node(const struct node_options *options);
