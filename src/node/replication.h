/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream on this node: the replica with its keeper, the carriers that the settings name, the
 * link to other nodes, and time. What collects and what serves are told what to do. Thread: main.
 */
#pragma once

#include "admin/admin.h"
#include "cluster/replica.h"
#include "feed/publisher.h"
#include "keeper/keeper.h"
#include "net/loop.h"
#include "node/settings_reload.h"

struct replication;

struct replication_options {
    struct loop *loop;                       /* borrowed, like all below */
    const struct settings *settings;         /* what reload changes is read again */
    void (*collect)(void *context, bool on); /* see replica_ports */
    void (*changed)(void *context);          /* mode, source or health */
    void (*start_over)(void *context);       /* the journal and keeper have another content */
    void *context;
};

/* Whether what the settings name can be read: kafka.password_file, cluster.token_file. */
int replication_check(const struct settings *settings, struct err *err) MUST_CHECK;

/* Nothing happens before replication_start. */
int replication_create(const struct replication_options *options,
                       struct replication **ret_replication, struct err *err) MUST_CHECK;
void replication_destroy(struct replication *replication); /* NULL is a no-op */

/* Opens the carriers, and leads or follows as cluster.role says. */
int replication_start(struct replication *replication, struct err *err) MUST_CHECK;

/* Nothing is collected any more; what was sequenced still goes to the carriers. */
void replication_leave(struct replication *replication);
bool replication_is_flushed(const struct replication *replication);

/* Takes over what has changed in the settings, or in kafka.password_file: carriers are closed and
 * opened. */
void replication_reload(struct replication *replication, const struct settings_reload *reload);

/* Valid for its whole life. */
struct journal *replication_journal(struct replication *replication);
struct keeper *replication_keeper(struct replication *replication);
struct sequencer *replication_sequencer(struct replication *replication);

/* What the log has, for who collects. Valid for its whole life. */
const struct publisher_past *replication_past(struct replication *replication);

/* ---- what there is ---- */

/* "leader", "follower", "alone", "starting" */
const char *replication_role(const struct replica_info *info);

void replication_describe(const struct replication *replication, struct replica_info *ret_info);

/* Wall time since which it has its role. */
int64_t replication_role_since_us(const struct replication *replication);

/* "kafka+redis", "kafka", "redis", "websocket": what is configured and healthy now. */
const char *replication_mode(const struct replication *replication);

/* Why not better; NULL: it is as good as it was configured. Valid until the next call. */
const char *replication_better(struct replication *replication);

void replication_fill_dependency(const struct replication *replication,
                                 struct admin_dependency *ret_kafka);

/* Base URLs of the other nodes, ends with NULL: one array for its whole life, kept up to date. */
const char *const *replication_nodes(const struct replication *replication);

/* Other nodes, behind those that are in it, and who led. */
void replication_fill_cluster(const struct replication *replication,
                              struct admin_cluster *ret_cluster);
