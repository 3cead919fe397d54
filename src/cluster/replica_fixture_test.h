/* SPDX-License-Identifier: Apache-2.0 */
/* For the replica's test files, behind <cmocka.h>: two nodes, one topic, and a clock that is moved
 * by hand. */
#pragma once

#include "cluster/replica.h"

#include "base/memory.h"
#include "cluster/fake_topic.h"
#include "stream/stream.h"

#include <stdio.h>

#define NODES 2
#define STEP_MS 25
#define NS_PER_MS INT64_C(1000000)
#define RETAIN ((size_t)4 * MEBIBYTE)

/* ---- nodes ---- */

static int64_t clock_ns;

struct node {
    struct replica *replica;
    struct fake_carrier fake;
    bool attached, collecting, peer_open;
    char since[LIMIT_STREAM_ID + 48];
    int taken, renamed, collected, loaded; /* how often; the last: states */
};

static inline int64_t port_now_ns(void *context)
{
    (void)context;
    return clock_ns;
}

static inline int64_t port_wall_us(void *context)
{
    (void)context;
    return INT64_C(1700000000000000) + clock_ns / 1000;
}

static inline uint64_t port_random(void *context)
{
    static uint64_t last = 1000;
    (void)context;
    return ++last;
}

static inline void port_collect(void *context, bool on)
{
    struct node *node = context;
    node->collecting = on;
    node->collected += on;
}

static inline void port_peer_open(void *context, const char *since)
{
    struct node *node = context;
    node->peer_open = true;
    snprintf(node->since, sizeof node->since, "%s", since);
}

static inline void port_peer_close(void *context)
{
    ((struct node *)context)->peer_open = false;
}

static inline void port_changed(void *context)
{
    (void)context;
}

static inline void port_shadow(void *context, struct journal *shadow)
{
    (void)context;
    (void)shadow;
}

static inline void port_taken(void *context)
{
    ((struct node *)context)->taken++;
}

static inline void port_renamed(void *context)
{
    ((struct node *)context)->renamed++;
}

static inline void port_load_state(void *context, struct journal *journal,
                                   const struct state_note *state)
{
    (void)journal;
    (void)state;
    ((struct node *)context)->loaded++;
}

static inline void port_load_message(void *context, struct journal *journal, struct slice message)
{
    (void)context;
    (void)journal;
    (void)message;
}

static inline size_t port_save_state(void *context, size_t index, struct buffer *out)
{
    (void)context;
    (void)index;
    (void)out;
    return 0;
}

static inline bool port_identify(void *context, const struct record *record,
                                 struct replica_trade *ret_trade)
{
    (void)context;
    (void)record;
    (void)ret_trade;
    return false;
}

static inline void node_create(struct node *node, const char *name)
{
    *node = (struct node){.fake.carrier.kind = &fake_carrier_kind};
    struct replica_ports ports = {.now_ns = port_now_ns,
                                  .wall_us = port_wall_us,
                                  .random = port_random,
                                  .collect = port_collect,
                                  .peer_open = port_peer_open,
                                  .peer_close = port_peer_close,
                                  .changed = port_changed,
                                  .shadow = port_shadow,
                                  .taken = port_taken,
                                  .renamed = port_renamed,
                                  .load_state = port_load_state,
                                  .load_message = port_load_message,
                                  .save_state = port_save_state,
                                  .identify = port_identify,
                                  .context = node};
    node->replica = replica_create(&(struct replica_options){
        .node = name, .retain = RETAIN, .times = REPLICA_TIMES, .ports = ports});
}

static inline void node_attach(struct node *node)
{
    node->fake.begun = false;
    replica_reader(node->replica, 0, &node->fake.reader);
    replica_attach(node->replica, 0, &node->fake.carrier);
    node->attached = true;
}

static struct node *nodes; /* of the test that runs */

static inline int make(void **state)
{
    clock_ns = INT64_C(1000000000);
    memset(&fake_topic, 0, sizeof fake_topic);
    nodes = memory_array(NODES, sizeof *nodes);
    node_create(&nodes[0], "node-1");
    node_create(&nodes[1], "node-2");
    *state = nodes;
    return 0;
}

static inline int destroy(void **state)
{
    (void)state;
    for (size_t i = 0; i < NODES; i++) {
        replica_detach(nodes[i].replica, 0);
        replica_destroy(nodes[i].replica);
    }
    memory_free(nodes);
    return 0;
}

static inline void step(void)
{
    for (size_t i = 0; i < NODES; i++) {
        if (nodes[i].attached)
            (void)fake_carrier_kind.poll(&nodes[i].fake.carrier);
        replica_tick(nodes[i].replica);
    }
}

static inline void live(int64_t ms)
{
    for (int64_t i = 0; i < ms; i += STEP_MS) {
        clock_ns += STEP_MS * NS_PER_MS;
        step();
    }
}

/* ---- what the tests say ---- */

static inline enum replica_mode mode_of(const struct node *node)
{
    struct replica_info info;
    replica_describe(node->replica, &info);
    return info.mode;
}

static inline const char *source_of(const struct node *node)
{
    struct replica_info info;
    replica_describe(node->replica, &info);
    return info.source;
}

static inline int64_t last_of(const struct node *node)
{
    return journal_next(replica_journal(node->replica)) - 1;
}

static inline void publish(struct node *node)
{
    static const char body[] = "\"exchange\":\"x\",\"n\":1}";
    struct sequencer *sequencer = replica_sequencer(node->replica);
    char *room = sequencer_reserve(sequencer, "status", sizeof body);
    assert_non_null(room);
    memcpy(room, body, sizeof body - 1);
    assert_int_equal(sequencer_commit(sequencer, SLICE("x"), sizeof body - 1), CARRIER_TAKEN);
}

static inline void assert_same_logs(void)
{
    const struct journal *one = replica_journal(nodes[0].replica);
    const struct journal *other = replica_journal(nodes[1].replica);
    assert_string_equal(journal_stream(one), journal_stream(other));
    assert_int_equal(journal_next(one), journal_next(other));
    assert_int_equal(journal_epoch(one), journal_epoch(other));
}

/* A leader, and a follower behind it, both in Kafka's mode. */
static inline void make_pair(void)
{
    node_attach(&nodes[0]);
    replica_lead(nodes[0].replica, 100);
    live(6000);
    assert_int_equal(mode_of(&nodes[0]), REPLICA_LEADER_CARRIER);
    node_attach(&nodes[1]);
    live(500);
    assert_int_equal(mode_of(&nodes[1]), REPLICA_FOLLOWER_CARRIER);
    publish(&nodes[0]);
    live(100);
    assert_same_logs();
}
