/* SPDX-License-Identifier: Apache-2.0 */
/* Two nodes of one test, and what is done with them. */
#include "cluster/nodes_fixture_test.h"

#include "base/memory.h"
#include "stream/stream.h"

#include <stdio.h>
#include <stdlib.h>

#define RETAIN ((size_t)4 * MEBIBYTE)

int64_t clock_ns;

static int64_t port_now_ns(void *context)
{
    (void)context;
    return clock_ns;
}

static int64_t port_wall_us(void *context)
{
    (void)context;
    return INT64_C(1700000000000000) + clock_ns / 1000;
}

static uint64_t port_random(void *context)
{
    static uint64_t last = 1000;
    (void)context;
    return ++last;
}

static void port_collect(void *context, bool on)
{
    struct node *node = context;
    node->collecting = on;
    node->collected += on;
}

static void port_peer_open(void *context, const char *since)
{
    struct node *node = context;
    node->peer_open = true;
    snprintf(node->since, sizeof node->since, "%s", since);
}

static void port_peer_close(void *context)
{
    ((struct node *)context)->peer_open = false;
}

static void port_changed(void *context)
{
    (void)context;
}

static void port_shadow(void *context, struct journal *shadow)
{
    (void)context;
    (void)shadow;
}

static void port_taken(void *context)
{
    ((struct node *)context)->taken++;
}

static void port_renamed(void *context)
{
    ((struct node *)context)->renamed++;
}

static void port_load_state(void *context, struct journal *journal, const struct state_note *state)
{
    (void)journal;
    (void)state;
    ((struct node *)context)->loaded++;
}

static void port_load_message(void *context, struct journal *journal, struct slice message)
{
    (void)context;
    (void)journal;
    (void)message;
}

static size_t port_save_state(void *context, size_t index, struct buffer *out)
{
    const struct node *node = context;
    if (index < node->states)
        buffer_append_text(out, "{}");
    return node->states;
}

static int64_t number_behind(struct slice text, const char *name)
{
    const char *at = memmem(text.data, text.size, name, strlen(name));
    assert_non_null(at);
    return strtoll(at + strlen(name), NULL, 10);
}

static bool port_identify(void *context, const struct record *record,
                          struct replica_trade *ret_trade)
{
    (void)context;
    if (!slice_is(record->type, "trade"))
        return false;
    *ret_trade = (struct replica_trade){.hash = (uint64_t)number_behind(record->text, "\"id\":"),
                                        .recv_us = number_behind(record->text, "\"recv\":")};
    return true;
}

static void say(struct node *node, const char *type, const char *key, struct slice body)
{
    struct sequencer *sequencer = replica_sequencer(node->replica);
    char *room = sequencer_reserve(sequencer, type, body.size);
    assert_non_null(room);
    memcpy(room, body.data, body.size);
    assert_int_equal(sequencer_commit(sequencer, slice_of(key), body.size), CARRIER_TAKEN);
}

void say_gap(struct node *node)
{
    say(node, "gap", "x", SLICE("\"exchange\":\"x\",\"channel\":\"trade\"}"));
}

static void port_declare_gap(void *context, struct slice key, int64_t from_us, int64_t to_us)
{
    struct node *node = context;
    assert_in_range(node->doubts, 0, COUNT_OF(node->doubted) - 1);
    assert_true(slice_copy(key, node->doubted[node->doubts], sizeof node->doubted[0]));
    if (node->doubts++ == 0)
        node->doubted_from_us = from_us;
    assert_int_equal(to_us, port_wall_us(node));
    say_gap(node);
}

static void heard(void *context, const struct record *record)
{
    struct node *node = context;
    struct replica_info info;
    replica_describe(node->replica, &info);
    node->gaps += info.mode == REPLICA_ALONE && slice_is(record->type, "gap");
    node->trades += info.mode == REPLICA_ALONE && slice_is(record->type, "trade");
}

static void node_create(struct node *node, const char *name)
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
                                  .declare_gap = port_declare_gap,
                                  .context = node};
    node->replica = replica_create(&(struct replica_options){
        .node = name, .retain = RETAIN, .times = REPLICA_TIMES, .ports = ports});
    journal_listen(replica_journal(node->replica), heard, node);
}

void node_attach(struct node *node)
{
    node->fake.begun = false;
    replica_reader(node->replica, 0, &node->fake.reader);
    replica_attach(node->replica, 0, &node->fake.carrier);
    node->attached = true;
}

struct node *nodes;

int nodes_make(void **state)
{
    clock_ns = INT64_C(1000000000);
    memset(&fake_topic, 0, sizeof fake_topic);
    nodes = memory_array(NODES, sizeof *nodes);
    node_create(&nodes[0], "node-1");
    node_create(&nodes[1], "node-2");
    *state = nodes;
    return 0;
}

int nodes_destroy(void **state)
{
    (void)state;
    for (size_t i = 0; i < NODES; i++) {
        replica_detach(nodes[i].replica, 0);
        replica_destroy(nodes[i].replica);
    }
    memory_free(nodes);
    return 0;
}

static void step(void)
{
    for (size_t i = 0; i < NODES; i++) {
        if (nodes[i].attached)
            (void)fake_carrier_kind.poll(&nodes[i].fake.carrier);
        replica_tick(nodes[i].replica);
    }
}

void live(int64_t ms)
{
    for (int64_t i = 0; i < ms; i += STEP_MS) {
        clock_ns += STEP_MS * NS_PER_MS;
        step();
    }
}

/* ---- what the tests say ---- */

enum replica_mode mode_of(const struct node *node)
{
    struct replica_info info;
    replica_describe(node->replica, &info);
    return info.mode;
}

const char *source_of(const struct node *node)
{
    struct replica_info info;
    replica_describe(node->replica, &info);
    return info.source;
}

int64_t last_of(const struct node *node)
{
    return journal_next(replica_journal(node->replica)) - 1;
}

void publish(struct node *node)
{
    say(node, "status", "x", SLICE("\"exchange\":\"x\",\"n\":1}"));
}

/* Returns when it was received. */
int64_t trade(struct node *node, const char *symbol, int id)
{
    char body[96], key[16];
    int64_t recv_us = port_wall_us(node);
    int size =
        snprintf(body, sizeof body, "\"exchange\":\"x\",\"symbol\":\"%s\",\"id\":%d,\"recv\":%lld}",
                 symbol, id, (long long)recv_us);
    snprintf(key, sizeof key, "x:%s", symbol);
    say(node, "trade", key, (struct slice){.data = body, .size = (size_t)size});
    return recv_us;
}

void assert_same_logs(void)
{
    const struct journal *one = replica_journal(nodes[0].replica);
    const struct journal *other = replica_journal(nodes[1].replica);
    assert_string_equal(journal_stream(one), journal_stream(other));
    assert_int_equal(journal_next(one), journal_next(other));
    assert_int_equal(journal_epoch(one), journal_epoch(other));
}

/* A leader, and a follower behind it, both in Kafka's mode. */
void make_pair(void)
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

/* ---- what others say ---- */

void foreign_barrier(int64_t epoch)
{
    struct fake_item item = {.kind = ITEM_BARRIER, .epoch = epoch, .start = -1};
    snprintf(item.stream, sizeof item.stream, "%s",
             journal_stream(replica_journal(nodes[0].replica)));
    snprintf(item.writer, sizeof item.writer, "another");
    (void)fake_put(&item);
}

void foreign_record(int64_t epoch, int64_t seq)
{
    struct fake_item item = {.kind = ITEM_RECORD, .epoch = epoch, .seq = seq};
    snprintf(item.stream, sizeof item.stream, "%s",
             journal_stream(replica_journal(nodes[0].replica)));
    snprintf(item.text, sizeof item.text, "{\"type\":\"status\",\"seq\":%lld,\"exchange\":\"y\"}",
             (long long)seq);
    (void)fake_put(&item);
}

void hello(struct node *node, const char *stream, int64_t epoch, int64_t next)
{
    replica_peer_hello(
        node->replica,
        &(struct peer_hello){
            .stream = stream, .node = "node-1", .epoch = epoch, .next = next, .resumed = true});
}

void hello_with_snapshot(struct node *node, const char *stream, int64_t epoch, int64_t next,
                         int64_t end)
{
    replica_peer_hello(
        node->replica,
        &(struct peer_hello){.stream = stream, .node = "node-1", .epoch = epoch, .next = next});
    replica_peer_snapshot_end(node->replica, end);
}

void hello_anew(struct node *node, const char *stream, int64_t epoch, int64_t next)
{
    hello_with_snapshot(node, stream, epoch, next, next - 1);
}

void hear(struct node *node, int64_t seq)
{
    char text[128] = {0};
    snprintf(text, sizeof text, "{\"type\":\"status\",\"seq\":%lld,\"exchange\":\"x\",\"n\":1}",
             (long long)seq);
    replica_peer_record(node->replica, slice_of(text));
}

void hear_trade(struct node *node, int64_t seq, int id, int64_t recv_us)
{
    char text[160] = {0};
    snprintf(text, sizeof text,
             "{\"type\":\"trade\",\"seq\":%lld,\"exchange\":\"x\",\"symbol\":\"A-K\",\"id\":%d,"
             "\"recv\":%lld}",
             (long long)seq, id, (long long)recv_us);
    replica_peer_record(node->replica, slice_of(text));
}

void hear_epoch(struct node *node, int64_t seq, int64_t epoch)
{
    char text[128] = {0};
    snprintf(text, sizeof text, "{\"type\":\"epoch\",\"seq\":%lld,\"epoch\":%lld}", (long long)seq,
             (long long)epoch);
    replica_peer_record(node->replica, slice_of(text));
}
