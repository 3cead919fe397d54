/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests: two nodes of one cluster, each a replica with ports of the test's own, over one topic
 * (fake_topic.h) and under one clock, which only nodes_live moves. Thread: the test's.
 */
#pragma once

#include "cluster/fake_topic.h"
#include "cluster/replica.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NODES 2
#define STEP_MS 25
#define NS_PER_MS INT64_C(1000000)

struct node {
    struct replica *replica;
    struct fake_carrier fake;
    bool attached, collecting, peer_open;
    char since[LIMIT_STREAM_ID + 48];
    int taken, renamed, collected, loaded; /* how often; the last: states */
    size_t states;                         /* that it has to give */
    int gaps, trades;                      /* that were said while it stood alone */
    char doubted[2][16];                   /* markets whose trades it declared, in order */
    int64_t doubted_from_us;
    int doubts;
};

extern int64_t clock_ns;
extern struct node *nodes; /* of the test that runs; its state too */

/* Before and after each test. */
int nodes_make(void **state);
int nodes_destroy(void **state);

#define TEST(name) cmocka_unit_test_setup_teardown(name, nodes_make, nodes_destroy)

void node_attach(struct node *node); /* to the topic */
void live(int64_t ms);               /* all of them, in steps */

/* The first leads, the second follows it, both in Kafka's mode. */
void make_pair(void);

enum replica_mode mode_of(const struct node *node);
const char *source_of(const struct node *node);
int64_t last_of(const struct node *node); /* seq */

/* What a node says through its sequencer, which must take it. */
void publish(struct node *node); /* a status */
void say_gap(struct node *node);
int64_t trade(struct node *node, const char *symbol, int id); /* returns when it was received */

void assert_same_logs(void);

/* What another node, which is not here, writes into the topic, in the first one's stream. */
void foreign_barrier(int64_t epoch);
void foreign_record(int64_t epoch, int64_t seq);

/* What the link to a leader brings: a hello that resumes, one with a snapshot, which says where it
 * ends, or ends as it must; its records. */
void hello(struct node *node, const char *stream, int64_t epoch, int64_t next);
void hello_with_snapshot(struct node *node, const char *stream, int64_t epoch, int64_t next,
                         int64_t end);
void hello_anew(struct node *node, const char *stream, int64_t epoch, int64_t next);
void hear(struct node *node, int64_t seq);
void hear_trade(struct node *node, int64_t seq, int id, int64_t recv_us);
void hear_epoch(struct node *node, int64_t seq, int64_t epoch);
