/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of a replica, one by one, in the order in which one learns them: what a node does
 * alone, with a carrier, behind a leader, and when things fail. Here each rule is small and
 * readable; that they hold together in any order of events is shown by tests/simulation.
 */
#include "cluster/nodes_fixture_test.h"

#include "base/metrics.h"

#include <stdio.h>

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

static void in_an_empty_carrier_it_waits_for_its_barrier_alone(void **state)
{
    struct node *leader = *state;
    node_attach(leader);
    replica_lead(leader->replica, 0);
    live(4 * STEP_MS);
    assert_int_equal(mode_of(leader), REPLICA_LEADER_CARRIER);
    assert_string_equal(source_of(leader), "kafka");
    fake_topic.silent = true; /* once only: from now on it has failed */
    publish(leader);
    live(1000);
    assert_int_equal(mode_of(leader), REPLICA_LEADER_DIRECT);
    fake_topic.silent = false;
    live(4000);
    assert_int_equal(mode_of(leader), REPLICA_LEADER_DIRECT);
    live(2000);
    assert_int_equal(mode_of(leader), REPLICA_LEADER_CARRIER);
}

static void it_goes_up_after_five_healthy_seconds(void **state)
{
    struct node *leader = *state;
    replica_lead(leader->replica, 0);
    live(STEP_MS);
    assert_int_equal(mode_of(leader), REPLICA_LEADER_DIRECT); /* without it first */
    node_attach(leader);
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

static void what_falls_out_of_the_log_is_told_before_it_costs_the_stream(void **state)
{
    struct node *leader = *state;
    struct replica_info info;
    make_pair();
    fake_topic.silent = fake_topic.failed = true;
    live(1000);
    assert_int_equal(mode_of(leader), REPLICA_LEADER_DIRECT);
    replica_describe(leader->replica, &info);
    assert_false(info.fallen_out);
    while (journal_first(replica_journal(leader->replica)) < 1000)
        publish(leader);
    live(STEP_MS);
    replica_describe(leader->replica, &info);
    assert_true(info.fallen_out);
    assert_int_equal(leader->renamed, 1);
    fake_topic.silent = fake_topic.failed = false;
    live(100);
    replica_describe(leader->replica, &info);
    assert_false(info.fallen_out);
    assert_int_equal(leader->renamed, 2);
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
    struct checkpoint from = {.epoch = journal_epoch(replica_journal(leader->replica)),
                              .seq = last_of(leader)};
    from.record_epoch = from.epoch;
    snprintf(from.stream, sizeof from.stream, "%s",
             journal_stream(replica_journal(leader->replica)));
    foreign_barrier(from.epoch + 1);
    live(STEP_MS);
    replica_describe(leader->replica, &info);
    assert_true(info.fenced);
    assert_string_equal(info.fenced_by, "leader"); /* as the fake topic names who writes */
    assert_int_equal(info.fenced_epoch, journal_epoch(replica_journal(leader->replica)) + 1);
    assert_false(info.leader);
    assert_false(leader->collecting);
    int64_t last = last_of(leader);
    fake_topic.count--; /* the barrier is lost, and what was under way from here comes late */
    leader->fake.at--;
    leader->fake.reader.began(leader->fake.reader.context, &from);
    leader->fake.reader.caught_up(leader->fake.reader.context);
    foreign_record(from.epoch, last + 1);
    live(STEP_MS);
    assert_int_equal(last_of(leader), last);
    live(8000); /* and stays so, though nobody else leads any more */
    replica_describe(leader->replica, &info);
    assert_true(info.fenced);
    assert_false(info.leader);
}

static size_t records_in_topic(int64_t epoch)
{
    size_t count = 0;
    for (size_t i = 0; i < fake_topic.count; i++)
        count += fake_topic.items[i].kind == ITEM_RECORD && fake_topic.items[i].epoch == epoch;
    return count;
}

/* The topic has lost everything, and another node finds it before this one. */
static void who_returns_writes_nothing_before_its_own_barrier_is_back(void **state)
{
    struct node *leader = *state;
    struct replica_info info;
    make_pair();
    int64_t epoch = journal_epoch(replica_journal(leader->replica));
    fake_topic.count = 0;
    (void)fake_carrier_kind.poll(&leader->fake.carrier); /* it has looked: nothing is there */
    foreign_barrier(epoch);
    fake_topic.items[0].start = 0;
    replica_tick(leader->replica);
    assert_in_range(fake_topic.count, 2, FAKE_ITEMS); /* with its own, the second */
    assert_int_equal(records_in_topic(epoch), 0);
    live(STEP_MS);
    replica_describe(leader->replica, &info);
    assert_true(info.fenced);
    assert_int_equal(records_in_topic(epoch), 0);
}

/* The topic has lost this epoch, and who led before, and does not know it, was quicker. */
static void who_returns_looks_again_when_its_barrier_is_back(void **state)
{
    struct node *leader = *state;
    make_pair();
    const struct journal *log = replica_journal(leader->replica);
    size_t kept = fake_topic.count;
    int64_t before = journal_epoch(log), last = last_of(leader);
    replica_lead(leader->replica, before + 10);
    live(200);
    publish(leader);
    live(200);
    assert_int_equal(journal_epoch(log), before + 11);
    int64_t end = last_of(leader);
    fake_topic.count = kept;
    (void)fake_carrier_kind.poll(&leader->fake.carrier);
    for (int64_t seq = last + 1; seq <= end; seq++)
        foreign_record(before, seq);
    for (int i = 0; i < 2; i++) {
        clock_ns += 500 * NS_PER_MS; /* nothing comes back, so it is written again */
        replica_tick(leader->replica);
    }
    (void)fake_carrier_kind.poll(&leader->fake.carrier);
    publish(leader);
    assert_int_equal(records_in_topic(before + 11), 0);
    replica_tick(leader->replica);
    assert_int_equal(leader->renamed, 2); /* that is another history */
}

static bool topic_has_barrier(int64_t epoch)
{
    for (size_t i = 0; i < fake_topic.count; i++)
        if (fake_topic.items[i].kind == ITEM_BARRIER && fake_topic.items[i].epoch == epoch)
            return true;
    return false;
}

/* The same, where nothing of this epoch was read back before it was lost, and this node slept. */
static void what_others_wrote_is_not_gone_on_with_by_what_is_pending(void **state)
{
    struct node *leader = *state;
    make_pair();
    const struct journal *log = replica_journal(leader->replica);
    int64_t before = journal_epoch(log), last = last_of(leader);
    replica_lead(leader->replica, before + 10);
    size_t kept = fake_topic.count;
    for (int i = 0; i < 10 && !topic_has_barrier(before + 11); i++) {
        kept = fake_topic.count;
        live(STEP_MS);
    }
    fake_topic.losing = true;
    live(STEP_MS);
    assert_int_equal(mode_of(leader), REPLICA_LEADER_CARRIER);
    for (int i = 0; i < 3; i++)
        publish(leader);
    assert_int_equal(last_of(leader), last); /* with the `epoch` record it is 4 that are pending */
    fake_topic.count = kept;
    fake_topic.losing = leader->fake.begun = false;
    foreign_record(before, last + 1);
    foreign_record(before, last + 2);
    clock_ns += 3000 * NS_PER_MS;
    live(2000);
    assert_int_equal(leader->renamed, 2);
    assert_int_equal(mode_of(leader), REPLICA_LEADER_DIRECT);
}

static void who_returns_writes_everything_behind_its_own_barrier(void **state)
{
    struct node *leader = *state;
    make_pair();
    fake_topic.count = 0;
    fake_topic.losing = true; /* the first barrier is lost as well */
    live(100);
    fake_topic.losing = false;
    publish(leader);
    live(2000);
    assert_int_equal(fake_topic.items[0].kind, ITEM_BARRIER);
    assert_int_equal(records_in_topic(journal_epoch(replica_journal(leader->replica))),
                     last_of(leader));
    assert_same_logs();
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

/* It is elected again, and the carrier is gone at the same time: it stops, and leads anew. */
static void what_was_pending_and_is_dropped_is_collected_again(void **state)
{
    struct node *leader = *state;
    make_pair();
    assert_int_equal(leader->collected, 1);
    fake_topic.losing = true;
    publish(leader);
    replica_detach(leader->replica, 0);
    leader->attached = false;
    replica_lead(leader->replica, 200);
    live(100);
    assert_int_equal(mode_of(leader), REPLICA_LEADER_DIRECT);
    assert_true(leader->collecting);
    assert_int_equal(leader->collected, 2);
}

/* Direct, while the topic has lost its head: of what is there nothing has a place. */
static void a_leader_is_deposed_by_a_barrier_that_it_cannot_place(void **state)
{
    struct node *leader = *state;
    struct replica_info info;
    make_pair();
    const struct carrier_reader *reader = &leader->fake.reader;
    fake_topic.silent = true;
    live(1000);
    assert_int_equal(mode_of(leader), REPLICA_LEADER_DIRECT);
    reader->began(reader->context, &(struct checkpoint){.position = 7});
    reader->barrier(reader->context,
                    &(struct barrier){.stream = journal_stream(replica_journal(leader->replica)),
                                      .epoch = 102,
                                      .start = -1,
                                      .writer = "another",
                                      .node = "another",
                                      .position = 7});
    live(STEP_MS);
    replica_describe(leader->replica, &info);
    assert_true(info.fenced);
    assert_false(leader->collecting);
}

/* The barrier has expired with the topic's head; what is written behind it tells as much. */
static void a_leader_is_deposed_by_what_is_behind_a_barrier(void **state)
{
    struct node *leader = *state;
    struct replica_info info;
    make_pair();
    int64_t epoch = journal_epoch(replica_journal(leader->replica));
    leader->fake.reader.began(leader->fake.reader.context, &(struct checkpoint){.position = 7});
    foreign_record(epoch, 50);
    live(STEP_MS);
    replica_describe(leader->replica, &info);
    assert_true(info.leader);
    foreign_record(epoch + 1, 51);
    live(STEP_MS);
    replica_describe(leader->replica, &info);
    assert_true(info.fenced);
    assert_int_equal(info.fenced_epoch, epoch + 1);
    assert_false(leader->collecting);
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

static const char *reason_of(const struct node *node)
{
    struct replica_info info;
    replica_describe(node->replica, &info);
    return info.reason;
}

static void a_follower_says_why_its_carrier_is_no_source(void **state)
{
    struct node *follower = *state;
    follower++;
    make_pair();
    replica_detach(follower->replica, 0);
    follower->attached = false;
    assert_string_equal(source_of(follower), "peer");
    assert_string_equal(reason_of(follower), "the carrier is not used any more");
    node_attach(follower);
    assert_string_equal(source_of(follower), "kafka");
    assert_string_equal(reason_of(follower), "the carrier is used again");
    live(3000);
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

    const struct metric *alarms = metric_series(METRIC_FENCED_ALARMS, "");
    int64_t before = metric_value(alarms);
    for (int i = 0; i < 30; i++) { /* 3 s of nothing else */
        foreign_record(epoch, last + 2 + i);
        live(100);
        assert_true(i > 18 || metric_value(alarms) == before);
    }
    assert_int_equal(metric_value(alarms), before + 2); /* once by each node, which both read it */
    assert_int_equal(last_of(follower), last + 1);
}

/* It was written before the topic lost its end, and came into it after that. */
static void a_state_ahead_of_its_reading_tells_nothing(void **state)
{
    struct node *follower = *state;
    follower++;
    make_pair();
    const struct journal *log = replica_journal(follower->replica);
    const struct carrier_reader *reader = &follower->fake.reader;
    struct state_note note = {.stream = journal_stream(log),
                              .epoch = journal_epoch(log),
                              .seq = last_of(follower) + 1,
                              .text = SLICE("{}")};
    reader->state(reader->context, &note);
    assert_int_equal(follower->loaded, 0);
    note.seq--;
    reader->state(reader->context, &note);
    assert_int_equal(follower->loaded, 1);
}

/* A node whose log is read from a topic in which nobody told the last values. */
static void make_unwhole(struct node *node)
{
    size_t kept = 0;
    node_attach(&nodes[0]);
    replica_lead(nodes[0].replica, 100);
    live(200);
    replica_detach(nodes[0].replica, 0);
    nodes[0].attached = false;
    for (size_t i = 0; i < fake_topic.count; i++)
        if (fake_topic.items[i].kind != ITEM_BEACON)
            fake_topic.items[kept++] = fake_topic.items[i];
    fake_topic.count = kept;
    node_attach(node);
    live(2000);
    assert_int_equal(node->taken, 1);
}

/* It begins anew, is told of states that began `behind` the place where its log and the topic turn
 * out to be one, and is elected. Returns whether it goes on with the stream. */
static bool goes_on_by_states_from(struct node *node, int64_t behind)
{
    make_unwhole(node);
    const struct journal *log = replica_journal(node->replica);
    const struct carrier_reader *reader = &node->fake.reader;
    struct checkpoint from = {.epoch = journal_epoch(log), .seq = last_of(node) - 1};
    snprintf(from.stream, sizeof from.stream, "%s", journal_stream(log));
    reader->began(reader->context, &from);
    foreign_record(from.epoch, last_of(node));
    live(STEP_MS);
    reader->caught_up(reader->context);
    struct beacon beacon = {.node = "node-1", .now = from, .start = from, .barrier = -1};
    beacon.now.seq++;
    beacon.start.position = (int64_t)node->fake.at + behind;
    reader->beacon(reader->context, &beacon);
    replica_lead(node->replica, 0);
    live(100);
    return node->renamed == 0;
}

static void states_from_before_it_joined_make_no_log_whole(void **state)
{
    assert_false(goes_on_by_states_from((struct node *)*state + 1, -1));
}

static void states_from_where_it_joined_make_it_whole(void **state)
{
    assert_true(goes_on_by_states_from((struct node *)*state + 1, 0));
}

/* ---- time ---- */

/* Twenty seconds of reading are no silence, and no reason for another stream. */
static void reading_may_take_its_time(void **state)
{
    struct node *reader = *state, *leader = reader + 1;
    struct fake_item barrier = {.kind = ITEM_BARRIER, .epoch = 7, .stream = "tw-1", .writer = "w"};
    (void)fake_put(&barrier);
    for (int64_t seq = 1; seq <= 800; seq++) {
        struct fake_item item = {.kind = ITEM_RECORD, .epoch = 7, .seq = seq, .stream = "tw-1"};
        snprintf(item.text, sizeof item.text,
                 "{\"type\":\"status\",\"seq\":%lld,\"exchange\":\"y\"}", (long long)seq);
        (void)fake_put(&item);
    }
    struct checkpoint here = {.stream = "tw-1", .epoch = 7, .seq = 800};
    struct fake_item beacon = {.kind = ITEM_BEACON, .now = here, .begin = here};
    (void)fake_put(&beacon); /* everything that was to be known was written */
    fake_topic.most = 1;
    node_attach(reader);
    node_attach(leader);
    replica_lead(leader->replica, 0);
    live(19000);
    assert_int_equal(mode_of(reader), REPLICA_STARTING);
    assert_int_equal(mode_of(leader), REPLICA_STARTING);
    fake_topic.most = 0;
    live(3000);
    assert_int_equal(mode_of(reader), REPLICA_FOLLOWER_CARRIER);
    assert_int_equal(mode_of(leader), REPLICA_LEADER_CARRIER);
    assert_string_equal(journal_stream(replica_journal(leader->replica)), "tw-1");
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

    /* Who slept for long and wakes without its carrier gives that time to come back. */
    clock_ns += 60000 * NS_PER_MS;
    fake_topic.silent = fake_topic.failed = true;
    publish(leader);
    live(2000);
    assert_int_equal(mode_of(leader), REPLICA_LEADER_CARRIER);
    live(1500);
    assert_int_equal(mode_of(leader), REPLICA_LEADER_DIRECT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_leader_without_carrier_delivers_at_once),
        TEST(a_leader_with_a_carrier_delivers_what_comes_back),
        TEST(in_an_empty_carrier_it_waits_for_its_barrier_alone),
        TEST(it_goes_up_after_five_healthy_seconds),
        TEST(what_does_not_come_back_is_delivered_direct),
        TEST(what_falls_out_of_the_log_is_told_before_it_costs_the_stream),
        TEST(what_was_lost_is_written_again_in_order),
        TEST(a_newer_barrier_deposes_it),
        TEST(who_returns_writes_nothing_before_its_own_barrier_is_back),
        TEST(who_returns_looks_again_when_its_barrier_is_back),
        TEST(what_others_wrote_is_not_gone_on_with_by_what_is_pending),
        TEST(who_returns_writes_everything_behind_its_own_barrier),
        TEST(it_leaves_without_collecting),
        TEST(what_was_pending_and_is_dropped_is_collected_again),
        TEST(a_follower_serves_what_it_reads),
        TEST(a_follower_says_why_its_carrier_is_no_source),
        TEST(a_fork_starts_it_over),
        TEST(what_is_fenced_comes_to_nobody),
        TEST(a_state_ahead_of_its_reading_tells_nothing),
        TEST(a_leader_is_deposed_by_a_barrier_that_it_cannot_place),
        TEST(a_leader_is_deposed_by_what_is_behind_a_barrier),
        TEST(states_from_before_it_joined_make_no_log_whole),
        TEST(states_from_where_it_joined_make_it_whole),
        TEST(reading_may_take_its_time),
        TEST(time_that_was_not_lived_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
