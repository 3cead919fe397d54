/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the stream on this node share: replication.c (life), replication_ports.c (what
 * the replica asks for, and what peers say), replication_kafka.c (the carrier from the settings).
 */
#pragma once

#include "node/replication.h"
#include "peer/peer.h"
#include "stream/stream.h"

#define KAFKA_INDEX 0 /* the first in preference */

struct replication {
    struct replication_options options;
    struct replica *replica;
    struct keeper *keeper;
    struct publisher_past past;     /* of the keeper */
    struct keeper *shadow_keeper;   /* owned, while there is a shadow; else NULL */
    struct journal *shadow_journal; /* the replica's */
    struct carrier *kafka;          /* NULL: not enabled, or see kafka_error */
    char *kafka_password;           /* owned: what it was opened with, "" for none; NULL as kafka */
    struct err kafka_error;         /* why it could not be opened, at the last reload */
    int64_t kafka_failed_us;        /* when, wall time */
    struct waker *waker;            /* a carrier has something */
    struct timer *tick;
    int64_t measured_ns;   /* when the metrics were set */
    const char *role;      /* at that time; static; NULL before */
    int64_t role_since_us; /* wall time */
    int64_t reminded_ns;   /* when the log was told last of what a person must do */
    uint64_t reminded_change;
    struct peers *peers;          /* NULL: none */
    struct proxy *proxy;          /* NULL: none */
    char *nodes[LIMIT_PEERS + 1]; /* owned, each; ends with NULL */
    char why[320];
    /* who led, as this node saw it; oldest first */
    struct leadership {
        int64_t epoch, from_us;
        char node[LIMIT_NODE_ID];
        char reason[64];
    } led[LIMIT_LEADERSHIPS];
    size_t led_count;
};

/* ---- replication.c ---- */

/* Role, mode and carriers as metrics. */
void replication_measure(struct replication *replication);
void replication_note_leader(struct replication *replication);

/* ---- replication_ports.c ---- */

struct replica_ports replication_ports(struct replication *replication);
struct publisher_past replication_past_of(struct replication *replication);
/* The text behind "node" in an `epoch` message. */
bool replication_read_node(struct slice text, char *out, size_t out_size);
struct peer_reader replication_peer_reader(struct replication *replication);

/* ---- replication_kafka.c ---- */

/* Whether kafka.password_file, if there is one, can be read and holds a password. */
int kafka_check(const struct settings *settings, struct err *err) MUST_CHECK;
/* Whether kafka.password_file says another one than is in use, or can't be read. */
bool kafka_password_differs(const struct replication *replication);
int kafka_open(struct replication *replication, struct err *err) MUST_CHECK;
void kafka_close(struct replication *replication);
void kafka_settle(void); /* its threads end before the process does, if they end soon */
