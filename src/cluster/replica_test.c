/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of a replica, one by one, in the order in which one learns them: what a node does
 * alone, with a carrier, behind a leader, and when things fail. Here each rule is small and
 * readable; that they hold together in any order of events is shown by tests/simulation.
 */
#include "cluster/replica.h"

#include "base/memory.h"
#include "cluster/fake_topic.h"
#include "stream/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

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
    int taken, renamed;
};

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
    ((struct node *)context)->collecting = on;
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
    (void)context;
    (void)journal;
    (void)state;
}

static void port_load_message(void *context, struct journal *journal, struct slice message)
{
    (void)context;
    (void)journal;
    (void)message;
}

static size_t port_save_state(void *context, size_t index, struct buffer *out)
{
    (void)context;
    (void)index;
    (void)out;
    return 0;
}

static bool port_identify(void *context, const struct record *record,
                          struct replica_trade *ret_trade)
{
    (void)context;
    (void)record;
    (void)ret_trade;
    return false;
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
                                  .context = node};
    node->replica = replica_create(&(struct replica_options){
        .node = name, .retain = RETAIN, .times = REPLICA_TIMES, .ports = ports});
}

static void node_attach(struct node *node)
{
    node->fake.begun = false;
    replica_reader(node->replica, 0, &node->fake.reader);
    replica_attach(node->replica, 0, &node->fake.carrier);
    node->attached = true;
}

static struct node *nodes; /* of the test that runs */

static int make(void **state)
{
    clock_ns = INT64_C(1000000000);
    memset(&fake_topic, 0, sizeof fake_topic);
    nodes = memory_array(NODES, sizeof *nodes);
    node_create(&nodes[0], "node-1");
    node_create(&nodes[1], "node-2");
    *state = nodes;
    return 0;
}

static int destroy(void **state)
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

static void live(int64_t ms)
{
    for (int64_t i = 0; i < ms; i += STEP_MS) {
        clock_ns += STEP_MS * NS_PER_MS;
        step();
    }
}

/* ---- what the tests say ---- */

static enum replica_mode mode_of(const struct node *node)
{
    struct replica_info info;
    replica_describe(node->replica, &info);
    return info.mode;
}

static const char *source_of(const struct node *node)
{
    struct replica_info info;
    replica_describe(node->replica, &info);
    return info.source;
}

static int64_t last_of(const struct node *node)
{
    return journal_next(replica_journal(node->replica)) - 1;
}

static void publish(struct node *node)
{
    static const char body[] = "\"exchange\":\"x\",\"n\":1}";
    struct sequencer *sequencer = replica_sequencer(node->replica);
    char *room = sequencer_reserve(sequencer, "status", sizeof body);
    assert_non_null(room);
    memcpy(room, body, sizeof body - 1);
    assert_int_equal(sequencer_commit(sequencer, SLICE("x"), sizeof body - 1), CARRIER_TAKEN);
}

static void assert_same_logs(void)
{
    const struct journal *one = replica_journal(nodes[0].replica);
    const struct journal *other = replica_journal(nodes[1].replica);
    assert_string_equal(journal_stream(one), journal_stream(other));
    assert_int_equal(journal_next(one), journal_next(other));
    assert_int_equal(journal_epoch(one), journal_epoch(other));
}

/* A leader, and a follower behind it, both in Kafka's mode. */
static void make_pair(void)
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

/* What another node, which is not here, writes. */
static void foreign_barrier(int64_t epoch)
{
    struct fake_item item = {.kind = ITEM_BARRIER, .epoch = epoch, .start = -1};
    snprintf(item.stream, sizeof item.stream, "%s",
             journal_stream(replica_journal(nodes[0].replica)));
    snprintf(item.writer, sizeof item.writer, "another");
    (void)fake_put(&item);
}

static void foreign_record(int64_t epoch, int64_t seq)
{
    struct fake_item item = {.kind = ITEM_RECORD, .epoch = epoch, .seq = seq};
    snprintf(item.stream, sizeof item.stream, "%s",
             journal_stream(replica_journal(nodes[0].replica)));
    snprintf(item.text, sizeof item.text, "{\"type\":\"status\",\"seq\":%lld,\"exchange\":\"y\"}",
             (long long)seq);
    (void)fake_put(&item);
}

/* ---- what the link to a leader brings ---- */

static void hello(struct node *node, const char *stream, int64_t epoch, int64_t next)
{
    replica_peer_hello(
        node->replica,
        &(struct peer_hello){
            .stream = stream, .node = "node-1", .epoch = epoch, .next = next, .resumed = true});
}

static void say(struct node *node, int64_t seq)
{
    char text[128] = {0};
    snprintf(text, sizeof text, "{\"type\":\"status\",\"seq\":%lld,\"exchange\":\"x\",\"n\":1}",
             (long long)seq);
    replica_peer_record(node->replica, slice_of(text));
}

/* ---- the leader ---- */

static void a_leader_without_carrier_delivers_at_once(void **state)
{
    struct node *leader = *state;
    replica_lead(leader->replica, 0);
    live(STEP_MS);
    assert_int_equal(mode_of(leader), REPLICA_LEADER_DIRECT);
    assert_string_equal(source_of(leader), "direct");
    assert_int_equal(leader->renamed, 1); /* a stream of its own */
    assert_true(leader->collecting);
    assert_int_equal(last_of(leader), 1); /* the `epoch` message */
    publish(leader);
    assert_int_equal(last_of(leader), 2);
}

static void a_leader_with_a_carrier_delivers_what_comes_back(void **state)
{
    struct node *leader = *state;
    make_pair();
    assert_string_equal(source_of(leader), "kafka");
    int64_t before = last_of(leader);
    publish(leader);
    assert_int_equal(last_of(leader), before); /* written, and not yet read */
    assert_false(replica_is_flushed(leader->replica));
    live(STEP_MS);
    assert_int_equal(last_of(leader), before + 1);
    assert_true(replica_is_flushed(leader->replica));
}

static void it_goes_up_after_five_healthy_seconds(void **state)
{
    struct node *leader = *state;
    node_attach(leader);
    replica_lead(leader->replica, 0);
    live(4000);
    assert_int_equal(mode_of(leader), REPLICA_LEADER_DIRECT);
    live(2000);
    assert_int_equal(mode_of(leader), REPLICA_LEADER_CARRIER);
}

static void what_does_not_come_back_is_delivered_direct(void **state)
{
    struct node *leader = *state;
    make_pair();
    int64_t before = last_of(leader);
    fake_topic.silent = true;
    publish(leader);
    live(650);
    assert_int_equal(mode_of(leader), REPLICA_LEADER_CARRIER);
    assert_int_equal(last_of(leader), before);
    live(250);
    assert_int_equal(mode_of(leader), REPLICA_LEADER_DIRECT);
    assert_int_equal(last_of(leader), before + 1);
    fake_topic.silent = false; /* and back: its followers read the same */
    live(6000);
    assert_int_equal(mode_of(leader), REPLICA_LEADER_CARRIER);
    assert_same_logs();
}

static void what_was_lost_is_written_again_in_order(void **state)
{
    struct node *leader = *state;
    struct replica_info info;
    make_pair();
    fake_topic.losing = true;
    publish(leader);
    fake_topic.losing = false;
    publish(leader); /* comes back, ahead of its turn */
    live(1300);
    replica_describe(leader->replica, &info);
    assert_int_equal(info.rewrites, 1);
    live(100);
    assert_same_logs();
}

static void a_newer_barrier_deposes_it(void **state)
{
    struct node *leader = *state;
    struct replica_info info;
    make_pair();
    foreign_barrier(journal_epoch(replica_journal(leader->replica)) + 1);
    live(STEP_MS);
    replica_describe(leader->replica, &info);
    assert_true(info.fenced);
    assert_false(info.leader);
    assert_false(leader->collecting);
    live(8000); /* and stays so, though nobody else leads any more */
    replica_describe(leader->replica, &info);
    assert_true(info.fenced);
    assert_false(info.leader);
}

static void it_leaves_without_collecting(void **state)
{
    struct node *leader = *state;
    make_pair();
    publish(leader);
    replica_leave(leader->replica);
    assert_false(leader->collecting);
    assert_false(replica_is_flushed(leader->replica));
    live(100);
    assert_true(replica_is_flushed(leader->replica));
    assert_false(leader->collecting);
    assert_same_logs();
}

/* ---- the follower ---- */

static void a_follower_serves_what_it_reads(void **state)
{
    struct node *follower = *state;
    follower++;
    make_pair();
    assert_int_equal(follower->taken, 1);
    assert_false(follower->collecting);
    assert_string_equal(source_of(follower), "kafka");
    live(20000); /* beacons alone keep it where it is */
    assert_int_equal(mode_of(follower), REPLICA_FOLLOWER_CARRIER);
}

/* Its log has what the topic lost, and the topic goes on otherwise: no prefix, so it starts over.
 */
static void a_fork_starts_it_over(void **state)
{
    struct node *follower = *state;
    follower++;
    make_pair();
    int64_t last = last_of(follower), epoch = journal_epoch(replica_journal(follower->replica));
    while (fake_topic.items[fake_topic.count - 1].kind != ITEM_RECORD)
        fake_topic.count--;
    fake_topic.count--; /* its end is lost, with the record `last` */
    follower->fake.begun = false;
    replica_detach(nodes[0].replica, 0);
    nodes[0].attached = false;
    foreign_barrier(epoch + 1);
    foreign_record(epoch + 1, last);
    foreign_record(epoch + 1, last + 1);
    live(5000);
    const struct journal *log = replica_journal(follower->replica);
    assert_int_equal(follower->taken, 2);
    assert_int_equal(journal_next(log), last + 2);
    assert_int_equal(journal_epoch_at(log, last), epoch + 1);
}

static void what_is_fenced_comes_to_nobody(void **state)
{
    struct node *follower = *state;
    follower++;
    make_pair();
    int64_t last = last_of(follower), epoch = journal_epoch(replica_journal(follower->replica));
    foreign_barrier(epoch + 1);
    foreign_record(epoch, last + 1); /* of the leader that was, too late */
    foreign_record(epoch + 1, last + 1);
    live(STEP_MS);
    assert_int_equal(last_of(follower), last + 1);
    assert_int_equal(journal_epoch_at(replica_journal(follower->replica), last + 1), epoch + 1);
}

static void behind_a_silent_carrier_it_asks_the_leader(void **state)
{
    struct node *follower = *state;
    char expected[LIMIT_STREAM_ID + 48];
    follower++;
    make_pair();
    const struct journal *log = replica_journal(follower->replica);
    int64_t last = last_of(follower), epoch = journal_epoch(log);
    fake_topic.silent = true;
    live(900);
    assert_false(follower->peer_open);
    live(300);
    assert_true(follower->peer_open);
    snprintf(expected, sizeof expected, "%s.%lld.%lld", journal_stream(log), (long long)epoch,
             (long long)last);
    assert_string_equal(follower->since, expected);
    hello(follower, journal_stream(log), epoch, last + 1);
    live(STEP_MS);
    assert_int_equal(mode_of(follower), REPLICA_FOLLOWER_PEER);
    assert_string_equal(source_of(follower), "peer");
    say(follower, last + 1);
    assert_int_equal(last_of(follower), last + 1);
}

/* What it says after that is of its own epoch, whatever the one before it on the link was. */
static void a_deposed_leader_is_left_and_another_looked_for(void **state)
{
    struct node *follower = *state;
    follower++;
    make_pair();
    const struct journal *log = replica_journal(follower->replica);
    int64_t last = last_of(follower), epoch = journal_epoch(log);
    fake_topic.silent = true;
    live(1200);
    hello(follower, journal_stream(log), epoch, last + 1);
    say(follower, last + 1);
    assert_int_equal(last_of(follower), last + 1);
    hello(follower, journal_stream(log), epoch - 1, last + 2);
    say(follower, last + 2);
    assert_int_equal(last_of(follower), last + 1);
    follower->peer_open = false;
    live(1900);
    assert_false(follower->peer_open);
    live(300);
    assert_true(follower->peer_open); /* anew */
    hello(follower, journal_stream(log), epoch, last + 2);
    say(follower, last + 2);
    assert_int_equal(last_of(follower), last + 2);
}

static void a_hello_that_cannot_be_is_not_believed(void **state)
{
    struct node *follower = *state;
    live(3000);
    assert_true(follower->peer_open);
    hello(follower, "tw-1", 1, INT64_MAX);
    hello(follower, "tw-1", INT64_MAX, 1);
    hello(follower, "tw-1", 1, 0);
    hello(follower, "a-name-that-is-longer-than-a-stream-id-may-be", 1, 1);
    replica_peer_snapshot_end(follower->replica, 0);
    live(STEP_MS);
    assert_int_equal(follower->taken, 0);
    assert_int_equal(mode_of(follower), REPLICA_STARTING);
}

/* ---- alone ---- */

static void without_a_leader_it_stands_alone_and_comes_home(void **state)
{
    struct node *leader = *state, *follower = leader + 1;
    make_pair();
    fake_topic.silent = true;
    live(9900);
    assert_int_equal(mode_of(follower), REPLICA_FOLLOWER_CARRIER); /* nothing better is known */
    live(8000);
    assert_int_equal(mode_of(follower), REPLICA_ALONE);
    assert_int_equal(follower->renamed, 1);
    assert_true(follower->collecting);
    assert_string_not_equal(journal_stream(replica_journal(follower->replica)),
                            journal_stream(replica_journal(leader->replica)));
    publish(follower);
    fake_topic.silent = false;
    live(8000);
    assert_int_equal(mode_of(follower), REPLICA_FOLLOWER_CARRIER);
    assert_int_equal(follower->taken, 2);
    assert_false(follower->collecting);
    assert_same_logs();
}

/* A minute in which the process did not run is no minute of silence. */
static void time_that_was_not_lived_does_not_count(void **state)
{
    struct node *leader = *state, *follower = leader + 1;
    make_pair();
    clock_ns += 60000 * NS_PER_MS;
    replica_tick(follower->replica);
    replica_tick(leader->replica);
    assert_int_equal(mode_of(follower), REPLICA_FOLLOWER_CARRIER);
    assert_false(follower->peer_open);
    assert_int_equal(mode_of(leader), REPLICA_LEADER_CARRIER);
    live(100);
    assert_int_equal(mode_of(follower), REPLICA_FOLLOWER_CARRIER);
    assert_same_logs();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_leader_without_carrier_delivers_at_once),
        TEST(a_leader_with_a_carrier_delivers_what_comes_back),
        TEST(it_goes_up_after_five_healthy_seconds),
        TEST(what_does_not_come_back_is_delivered_direct),
        TEST(what_was_lost_is_written_again_in_order),
        TEST(a_newer_barrier_deposes_it),
        TEST(it_leaves_without_collecting),
        TEST(a_follower_serves_what_it_reads),
        TEST(a_fork_starts_it_over),
        TEST(what_is_fenced_comes_to_nobody),
        TEST(behind_a_silent_carrier_it_asks_the_leader),
        TEST(a_deposed_leader_is_left_and_another_looked_for),
        TEST(a_hello_that_cannot_be_is_not_believed),
        TEST(without_a_leader_it_stands_alone_and_comes_home),
        TEST(time_that_was_not_lived_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
