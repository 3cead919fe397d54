/* SPDX-License-Identifier: Apache-2.0 */
/* A carrier that is late, as on a busy machine, and when a node goes up to it again. */
#include "cluster/nodes_fixture_test.h"

#include <string.h>

static void what_comes_back_a_little_late_is_delivered_when_it_does(void **state)
{
    struct node *leader = *state;
    node_attach(leader);
    replica_lead(leader->replica, 0);
    live(6000);
    fake_topic.silent = true;
    publish(leader);
    live(1000);
    assert_int_equal(mode_of(leader), REPLICA_LEADER_DIRECT);
    fake_topic.silent = false;
    leader->fake.late = 400 / STEP_MS;
    for (int i = 0; i < 7000 / STEP_MS; i++) {
        publish(leader);
        live(STEP_MS);
    }
    assert_int_equal(mode_of(leader), REPLICA_LEADER_CARRIER);
}

/* A follower that has its leader's records from the leader itself, and the topic again. */
static void follow_the_peer(struct node *leader, struct node *follower)
{
    const struct journal *log = replica_journal(leader->replica);
    make_pair();
    replica_detach(follower->replica, 0);
    follower->attached = false;
    live(1500);
    assert_true(follower->peer_open);
    replica_peer_hello(follower->replica, &(struct peer_hello){.stream = journal_stream(log),
                                                               .node = "node-1",
                                                               .epoch = journal_epoch(log),
                                                               .next = journal_next(log),
                                                               .resumed = true});
    live(STEP_MS);
    assert_int_equal(mode_of(follower), REPLICA_FOLLOWER_PEER);
    node_attach(follower);
}

/* The leader says something in each step, and its link brings it at once. */
static void live_by_peer(struct node *leader, struct node *follower, int64_t ms)
{
    for (int64_t i = 0; i < ms; i += STEP_MS) {
        char text[200 + LIMIT_PADDING + 1] = {0};
        publish(leader);
        memcpy(text, fake_topic.items[fake_topic.count - 1].text, 200);
        live(STEP_MS);
        replica_peer_record(follower->replica, slice_of(text));
        if (mode_of(follower) == REPLICA_FOLLOWER_PEER)
            assert_int_equal(last_of(follower), last_of(leader));
    }
}

static void a_carrier_that_is_a_little_late_is_used(void **state)
{
    struct node *leader = *state, *follower = leader + 1;
    follow_the_peer(leader, follower);
    live_by_peer(leader, follower, 1000);
    follower->fake.late = 600 / STEP_MS; /* a slow machine; more than 750 ms are too many */
    live_by_peer(leader, follower, 3500);
    assert_int_equal(mode_of(follower), REPLICA_FOLLOWER_PEER);
    live_by_peer(leader, follower, 1000);
    assert_int_equal(mode_of(follower), REPLICA_FOLLOWER_CARRIER);
}

/* Of a quiet market there are beacons alone. */
static void five_seconds_are_to_be_in_a_row(void **state)
{
    struct node *leader = *state, *follower = leader + 1;
    follow_the_peer(leader, follower);
    live(3000);
    follower->fake.late = FAKE_ITEMS;
    live(3000);
    follower->fake.late = 0;
    live(4500);
    assert_int_equal(mode_of(follower), REPLICA_FOLLOWER_PEER);
    live(1000);
    assert_int_equal(mode_of(follower), REPLICA_FOLLOWER_CARRIER);
}

/* A leader that is heard in the topic, and says nothing else. */
static void beat(void)
{
    struct checkpoint here = {.stream = "tw-1", .epoch = 7, .seq = 0};
    (void)fake_put(&(struct fake_item){.kind = ITEM_BEACON, .now = here, .begin = here});
}

/* Reading takes longer than a new node waits for it; the link that it asks for meanwhile is cut
 * before it has served for anything, and does not come again. */
static void what_a_link_cut_short_is_read_anew(void **state)
{
    struct node *node = *state;
    (void)fake_put(
        &(struct fake_item){.kind = ITEM_BARRIER, .epoch = 7, .stream = "tw-1", .writer = "w"});
    for (int i = 0; i < 120; i++)
        beat();
    fake_topic.most = 1;
    node_attach(node);
    live(2500);
    assert_true(node->peer_open);
    replica_peer_hello(node->replica,
                       &(struct peer_hello){.stream = "tw-1", .node = "w", .epoch = 7, .next = 1});
    live(STEP_MS);
    replica_peer_lost(node->replica, "a test");
    for (int i = 0; i < 50; i++) { /* 10 s */
        beat();
        live(200);
    }
    assert_int_equal(mode_of(node), REPLICA_FOLLOWER_CARRIER);
}

/* The carrier begins while the link's snapshot comes, and goes for good. */
static void a_link_is_asked_again_when_a_carrier_came_and_went(void **state)
{
    struct node *node = *state;
    struct checkpoint from = {
        .stream = "tw-1", .epoch = 7, .seq = 50, .record_epoch = 7, .position = 3};
    fake_topic.silent = true;
    node_attach(node);
    live(2500);
    assert_true(node->peer_open);
    replica_peer_hello(node->replica, &(struct peer_hello){
                                          .stream = "tw-1", .node = "w", .epoch = 7, .next = 100});
    node->fake.reader.began(node->fake.reader.context, &from);
    fake_topic.failed = true;
    node->peer_open = false;
    live(1200);
    assert_true(node->peer_open);
    hello_anew(node, "tw-1", 7, 100);
    live(STEP_MS);
    assert_int_equal(mode_of(node), REPLICA_FOLLOWER_PEER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_comes_back_a_little_late_is_delivered_when_it_does),
        TEST(a_carrier_that_is_a_little_late_is_used),
        TEST(five_seconds_are_to_be_in_a_row),
        TEST(what_a_link_cut_short_is_read_anew),
        TEST(a_link_is_asked_again_when_a_carrier_came_and_went),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
