/* SPDX-License-Identifier: Apache-2.0 */
/* The link to a leader: when it is asked for, what is believed of it, and what is not. */
#include "cluster/nodes_fixture_test.h"

#include <stdio.h>

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
    hear(follower, last + 1);
    assert_int_equal(last_of(follower), last + 1);
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

static void a_snapshot_that_ends_elsewhere_is_left(void **state)
{
    struct node *follower = *state;
    live(3000);
    assert_true(follower->peer_open);
    hello_with_snapshot(follower, "tw-1", 1, 8, 6);
    follower->peer_open = false;
    live(1900);
    assert_false(follower->peer_open);
    live(300);
    assert_true(follower->peer_open); /* anew */
    assert_int_equal(follower->taken, 0);
    hello_with_snapshot(follower, "tw-1", 1, 8, 7);
    live(STEP_MS);
    assert_int_equal(mode_of(follower), REPLICA_FOLLOWER_PEER);
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
    hear(follower, last + 1);
    assert_int_equal(last_of(follower), last + 1);
    hello(follower, journal_stream(log), epoch - 1, last + 2);
    hear(follower, last + 2);
    assert_int_equal(last_of(follower), last + 1);
    live(STEP_MS);
    assert_string_equal(follower->since, ""); /* at once: it may be our log that is behind */
    hello_anew(follower, journal_stream(log), epoch - 1, last + 3);
    follower->peer_open = false;
    live(1900);
    assert_false(follower->peer_open);
    live(300);
    assert_true(follower->peer_open); /* anew */
    hello(follower, journal_stream(log), epoch, last + 2);
    hear(follower, last + 2);
    assert_int_equal(last_of(follower), last + 2);
}

/* The topic's head is gone, so nothing of it can be placed; who leads by the peer was deposed. */
static void a_barrier_that_cannot_be_placed_fences_the_peer(void **state)
{
    struct node *follower = *state;
    follower++;
    make_pair();
    const struct journal *log = replica_journal(follower->replica);
    const struct carrier_reader *reader = &follower->fake.reader;
    int64_t last = last_of(follower), epoch = journal_epoch(log);
    fake_topic.silent = true;
    live(1200);
    hello(follower, journal_stream(log), epoch, last + 1);
    hear(follower, last + 1);
    assert_int_equal(last_of(follower), last + 1);
    reader->began(reader->context, &(struct checkpoint){.position = 7});
    reader->barrier(reader->context, &(struct barrier){.stream = journal_stream(log),
                                                       .epoch = epoch + 1,
                                                       .start = -1,
                                                       .writer = "another",
                                                       .node = "another",
                                                       .position = 7});
    hear(follower, last + 2);
    assert_int_equal(last_of(follower), last + 1);
}

/* The topic loses its end while its barrier is under way, and nobody told the last values in what
 * is left. */
static void who_waits_for_its_barrier_and_reads_anew_may_know_too_little(void **state)
{
    struct node *follower = (struct node *)*state + 1;
    const struct journal *log = replica_journal(follower->replica);
    size_t kept = 0;
    make_pair();
    int64_t last = last_of(follower), epoch = journal_epoch(log);
    for (size_t i = 0; i < fake_topic.count; i++)
        if (fake_topic.items[i].kind != ITEM_BEACON)
            fake_topic.items[kept++] = fake_topic.items[i];
    follower->fake.at = fake_topic.count = kept;
    fake_topic.silent = true;
    replica_detach(nodes[0].replica, 0);
    nodes[0].attached = false;
    live(1200);
    hello_anew(follower, journal_stream(log), epoch, last + 4);
    live(STEP_MS);
    replica_peer_lost(follower->replica, "a test");
    for (int64_t seq = last + 1; seq <= last + 4; seq++)
        foreign_record(epoch, seq);
    fake_topic.silent = false;
    live(STEP_MS);
    assert_int_equal(last_of(follower), last + 4);
    fake_topic.losing = true;
    replica_lead(follower->replica, 0);
    live(STEP_MS);
    fake_topic.count = kept;
    fake_topic.losing = false;
    live(3000);
    assert_int_equal(follower->taken, 3);
    assert_int_equal(follower->renamed, 1);
}

/* A node that has no log, nor any reading of that stream. */
static void a_barrier_that_has_no_place_is_known_all_the_same(void **state)
{
    struct node *follower = *state;
    node_attach(follower);
    live(STEP_MS);
    follower->fake.reader.barrier(follower->fake.reader.context,
                                  &(struct barrier){.stream = "tw-1",
                                                    .epoch = 2,
                                                    .start = -1,
                                                    .writer = "another",
                                                    .node = "another",
                                                    .position = 7});
    live(3000);
    assert_true(follower->peer_open);
    hello_anew(follower, "tw-1", 1, 50);
    live(STEP_MS);
    assert_int_equal(follower->taken, 0);
    hello_anew(follower, "tw-1", 2, 50);
    live(STEP_MS);
    assert_int_equal(follower->taken, 1);
    assert_int_equal(mode_of(follower), REPLICA_FOLLOWER_PEER);
}

/* What it reads has begun with the other barrier of an epoch, of a stream in which nobody writes.
 */
static void who_reads_beside_a_leader_begins_anew(void **state)
{
    struct node *follower = *state;
    struct fake_item barrier = {.kind = ITEM_BARRIER, .epoch = 7, .stream = "tw-1", .writer = "w"};
    struct checkpoint here = {.stream = "tw-2", .epoch = 7, .seq = 100};
    (void)fake_put(&barrier);
    node_attach(follower);
    live(5000);
    int restarts = follower->fake.restarts;
    for (int i = 0; i < 12; i++) { /* 3 s */
        (void)fake_put(&(struct fake_item){.kind = ITEM_BEACON, .now = here, .begin = here});
        assert_true(i > 8 || follower->fake.restarts == restarts);
        live(200);
    }
    assert_int_equal(follower->fake.restarts, restarts + 1);
}

/* Its own barrier comes late, and older than what it has heard by then. */
static void who_hears_of_a_newer_leader_by_the_peer_does_not_lead(void **state)
{
    struct node *follower = *state;
    struct replica_info info;
    follower++;
    make_pair();
    const struct journal *log = replica_journal(follower->replica);
    int64_t last = last_of(follower), epoch = journal_epoch(log);
    fake_topic.silent = true;
    live(1200);
    hello(follower, journal_stream(log), epoch, last + 1);
    replica_lead(follower->replica, 0);
    live(STEP_MS);
    hear_epoch(follower, last + 1, epoch + 2);
    assert_int_equal(last_of(follower), last + 1);
    fake_topic.silent = false;
    live(100);
    replica_describe(follower->replica, &info);
    assert_false(info.leader);
    assert_true(info.fenced);
    assert_int_equal(last_of(follower), last + 1);
}

/* An epoch is given once. If it is not, who waits for its barrier of it does not open it as well.
 */
static void an_epoch_that_another_has_opened_is_not_opened_again(void **state)
{
    struct node *follower = (struct node *)*state + 1;
    const struct journal *log = replica_journal(follower->replica);
    struct replica_info info;
    make_pair();
    int64_t last = last_of(follower), epoch = journal_epoch(log);
    fake_topic.silent = true;
    live(1200);
    hello(follower, journal_stream(log), epoch, last + 1);
    replica_lead(follower->replica, 0);
    live(STEP_MS);
    hear_epoch(follower, last + 1, epoch + 1);
    fake_topic.silent = false;
    live(100);
    replica_describe(follower->replica, &info);
    assert_false(info.leader);
    assert_int_equal(info.fenced_epoch, epoch + 1);
    assert_int_equal(last_of(follower), last + 1);
}

/* A follower whose log ends before a barrier that it has read, with a link that is silent yet. */
static void make_fenced(struct node *follower)
{
    const struct journal *log = replica_journal(follower->replica);
    make_pair();
    replica_detach(nodes[0].replica, 0);
    nodes[0].attached = false;
    foreign_barrier(journal_epoch(log) + 1);
    live(1200);
    assert_true(follower->peer_open);
}

/* The record behind which it resumes is of the old epoch in any case. */
static void a_link_that_resumes_where_an_epoch_ends_is_heard(void **state)
{
    struct node *follower = (struct node *)*state + 1;
    const struct journal *log = replica_journal(follower->replica);
    make_fenced(follower);
    int64_t last = last_of(follower), epoch = journal_epoch(log);
    hello(follower, journal_stream(log), epoch, last + 1);
    live(STEP_MS);
    assert_int_equal(mode_of(follower), REPLICA_FOLLOWER_CARRIER); /* it may be a deposed one */
    hear_epoch(follower, last + 1, epoch + 1);
    hear(follower, last + 2);
    live(STEP_MS);
    assert_int_equal(last_of(follower), last + 2);
    assert_int_equal(mode_of(follower), REPLICA_FOLLOWER_PEER);
}

static void a_deposed_leader_that_is_linked_to_is_none(void **state)
{
    struct node *follower = (struct node *)*state + 1;
    const struct journal *log = replica_journal(follower->replica);
    make_fenced(follower);
    int64_t last = last_of(follower), epoch = journal_epoch(log);
    for (int i = 0; i < 8 && mode_of(follower) != REPLICA_ALONE; i++) { /* 20 s */
        hello(follower, journal_stream(log), epoch, last + 1);
        hear(follower, last + 1);
        assert_int_equal(last_of(follower), last);
        follower->peer_open = false;
        live(2500);
        assert_true(follower->peer_open); /* another one is looked for */
    }
    assert_int_equal(mode_of(follower), REPLICA_ALONE);
}

/* It leads, and has records of before its epoch that the follower's log can't take any more. */
static void a_leader_ahead_of_a_fenced_log_is_asked_for_a_snapshot(void **state)
{
    struct node *follower = (struct node *)*state + 1;
    const struct journal *log = replica_journal(follower->replica);
    make_fenced(follower);
    int64_t last = last_of(follower), epoch = journal_epoch(log);
    assert_string_not_equal(follower->since, "");
    hello(follower, journal_stream(log), epoch, last + 1);
    hear(follower, last + 1);
    live(STEP_MS);
    assert_string_equal(follower->since, "");
    hello_anew(follower, journal_stream(log), epoch + 1, last + 5);
    live(STEP_MS);
    assert_int_equal(mode_of(follower), REPLICA_FOLLOWER_PEER);
    assert_int_equal(last_of(follower), last + 4);
}

/* It comes home to a leader that was deposed meanwhile, as its carrier says. */
static void a_barrier_fences_what_the_peer_fills(void **state)
{
    struct node *follower = (struct node *)*state + 1;
    make_pair();
    const struct journal *cluster = replica_journal(nodes[0].replica);
    fake_topic.silent = true;
    live(18000);
    assert_int_equal(mode_of(follower), REPLICA_ALONE);
    int64_t last = last_of(&nodes[0]), epoch = journal_epoch(cluster);
    hello_anew(follower, journal_stream(cluster), epoch, last + 1);
    live(1000);
    foreign_barrier(epoch + 1);
    fake_topic.silent = false;
    live(STEP_MS);
    fake_topic.silent = true;
    live(1500);
    assert_int_equal(mode_of(follower), REPLICA_FOLLOWER_PEER);
    assert_string_equal(journal_stream(replica_journal(follower->replica)),
                        journal_stream(cluster));
    follower->fake.reader.began(follower->fake.reader.context, &(struct checkpoint){.position = 9});
    hear(follower, last + 1);
    assert_int_equal(last_of(follower), last);
}

/* Its log is of the peer, and ends before a barrier that its carrier, read anew, brings in one go
 * with what is before it. */
static void a_log_that_lacks_what_is_fenced_starts_over(void **state)
{
    struct node *follower = (struct node *)*state + 1;
    const struct journal *log = replica_journal(follower->replica);
    make_pair();
    int64_t last = last_of(follower), epoch = journal_epoch(log);
    fake_topic.silent = true;
    replica_detach(nodes[0].replica, 0);
    nodes[0].attached = false;
    live(1200);
    hello_anew(follower, journal_stream(log), epoch, last + 3); /* the topic is behind */
    live(STEP_MS);
    assert_int_equal(follower->taken, 2);
    replica_peer_lost(follower->replica, "a test");
    struct fake_item beacon = {.kind = ITEM_BEACON, .now = {.epoch = epoch, .seq = last}};
    snprintf(beacon.now.stream, sizeof beacon.now.stream, "%s", journal_stream(log));
    (void)fake_put(&beacon); /* of the leader, which is to be read anew therefore */
    fake_topic.silent = false;
    live(STEP_MS);
    for (int64_t seq = last + 1; seq <= last + 4; seq++)
        foreign_record(epoch, seq);
    foreign_barrier(epoch + 1);
    live(3000);
    assert_int_equal(last_of(follower), last + 4);
    assert_int_equal(follower->taken, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(behind_a_silent_carrier_it_asks_the_leader),
        TEST(a_hello_that_cannot_be_is_not_believed),
        TEST(a_snapshot_that_ends_elsewhere_is_left),
        TEST(a_deposed_leader_is_left_and_another_looked_for),
        TEST(a_barrier_that_cannot_be_placed_fences_the_peer),
        TEST(a_link_that_resumes_where_an_epoch_ends_is_heard),
        TEST(a_deposed_leader_that_is_linked_to_is_none),
        TEST(a_leader_ahead_of_a_fenced_log_is_asked_for_a_snapshot),
        TEST(a_barrier_fences_what_the_peer_fills),
        TEST(who_waits_for_its_barrier_and_reads_anew_may_know_too_little),
        TEST(a_barrier_that_has_no_place_is_known_all_the_same),
        TEST(a_log_that_lacks_what_is_fenced_starts_over),
        TEST(who_reads_beside_a_leader_begins_anew),
        TEST(who_hears_of_a_newer_leader_by_the_peer_does_not_lead),
        TEST(an_epoch_that_another_has_opened_is_not_opened_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
