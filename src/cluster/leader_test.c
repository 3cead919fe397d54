/* SPDX-License-Identifier: Apache-2.0 */
/* Who leads, or takes over, while a carrier begins anew or brings what nobody should have written.
 */
#include "cluster/nodes_fixture_test.h"

#include "base/metrics.h"

#include <stdio.h>

/* A node of this stream and epoch, `seq` being of `record_epoch`, was where it begins now. */
static void begin_at(struct node *node, int64_t epoch, int64_t seq, int64_t record_epoch)
{
    const struct carrier_reader *reader = &node->fake.reader;
    struct checkpoint from = {.epoch = epoch,
                              .seq = seq,
                              .record_epoch = record_epoch,
                              .position = (int64_t)node->fake.at};
    snprintf(from.stream, sizeof from.stream, "%s", journal_stream(replica_journal(node->replica)));
    reader->began(reader->context, &from);
}

/* ---- taking over ---- */

/* One that follows, and whose leader has gone. */
static struct node *make_heir(void)
{
    make_pair();
    replica_detach(nodes[0].replica, 0);
    nodes[0].attached = false;
    return &nodes[1];
}

static void assert_leads_behind(struct node *node, int64_t epoch)
{
    struct replica_info info;
    replica_describe(node->replica, &info);
    assert_true(info.leader);
    assert_int_equal(journal_epoch(replica_journal(node->replica)), epoch + 1);
    assert_int_equal(node->renamed, 0); /* no new stream */
}

/* Before it has looked, its barrier is back, and a newer one stands behind it. */
static void what_it_waited_for_may_be_of_the_past(void **state)
{
    (void)state;
    struct node *heir = make_heir();
    const struct carrier_reader *reader = &heir->fake.reader;
    int64_t last = last_of(heir), epoch = journal_epoch(replica_journal(heir->replica));
    replica_lead(heir->replica, 0);
    replica_tick(heir->replica);
    (void)fake_carrier_kind.poll(&heir->fake.carrier);
    begin_at(heir, epoch + 9, last, epoch);
    reader->caught_up(reader->context);
    live(2000);
    assert_leads_behind(heir, epoch + 9);
}

/* Its own barrier will never count: it is lost, and the carrier goes on with a newer one. */
static void what_it_waits_for_may_never_come(void **state)
{
    (void)state;
    struct node *heir = make_heir();
    const struct carrier_reader *reader = &heir->fake.reader;
    int64_t last = last_of(heir), epoch = journal_epoch(replica_journal(heir->replica));
    fake_topic.losing = true;
    replica_lead(heir->replica, 0);
    live(STEP_MS);
    fake_topic.losing = false;
    begin_at(heir, epoch + 9, last, epoch);
    reader->caught_up(reader->context);
    live(12000);
    assert_leads_behind(heir, epoch + 9);
}

/* It followed a deposed leader for a while, and then the carrier, whose numbers are lower. */
static void what_a_former_log_had_is_not_waited_for(void **state)
{
    (void)state;
    struct node *heir = make_heir();
    const struct journal *log = replica_journal(heir->replica);
    int64_t last = last_of(heir), epoch = journal_epoch(log);
    live(1200);
    hello(heir, journal_stream(log), epoch, last + 1);
    for (int i = 1; i <= 50; i++)
        hear(heir, last + i);
    live(1000);
    assert_int_equal(last_of(heir), last + 50);
    foreign_barrier(epoch + 1);
    foreign_record(epoch + 1, last + 1);
    live(2 * STEP_MS);
    assert_int_equal(last_of(heir), last + 1);
    replica_lead(heir->replica, 0);
    live(500);
    assert_leads_behind(heir, epoch + 1);
    assert_int_equal(mode_of(heir), REPLICA_LEADER_CARRIER);
}

/* ---- leading ---- */

/* What is pending comes before the carrier has said that it is where it was. */
static void a_carrier_that_begins_anew_is_gone_up_to_again(void **state)
{
    struct node *leader = *state;
    make_pair();
    int64_t last = last_of(leader), epoch = journal_epoch(replica_journal(leader->replica));
    fake_topic.silent = true;
    for (int i = 0; i < 3; i++)
        publish(leader);
    begin_at(leader, epoch, last, epoch);
    leader->fake.end = fake_topic.count;
    leader->fake.caught_up = false;
    fake_topic.silent = false;
    live(STEP_MS);
    assert_int_equal(mode_of(leader), REPLICA_LEADER_DIRECT);
    assert_int_equal(last_of(leader), last + 3);
    live(6000);
    assert_int_equal(mode_of(leader), REPLICA_LEADER_CARRIER);
    assert_int_equal(leader->renamed, 1); /* the first */
}

/* The barrier itself is not seen, since the carrier is read from behind it. */
static void a_carrier_that_begins_in_a_newer_epoch_deposes(void **state)
{
    struct node *leader = *state;
    const struct carrier_reader *reader = &leader->fake.reader;
    struct replica_info info;
    make_pair();
    int64_t last = last_of(leader), epoch = journal_epoch(replica_journal(leader->replica));
    begin_at(leader, epoch + 9, last, epoch);
    reader->caught_up(reader->context);
    live(3000);
    replica_describe(leader->replica, &info);
    assert_false(info.leader);
    assert_int_equal(info.fenced_epoch, epoch + 9);
    assert_int_equal(leader->renamed, 1); /* the first */
}

/* It says nothing of where it is in this stream, and has not come to its end: until then the leader
 * delivers. */
static void a_barrier_without_a_place_stops_no_leader(void **state)
{
    struct node *leader = *state;
    replica_lead(leader->replica, 0);
    live(STEP_MS);
    fake_topic.silent = true;
    node_attach(leader);
    const struct carrier_reader *reader = &leader->fake.reader;
    const char *stream = journal_stream(replica_journal(leader->replica));
    reader->began(reader->context,
                  &(struct checkpoint){.stream = "tw-other", .epoch = 1, .seq = 5, .position = 7});
    reader->barrier(reader->context, &(struct barrier){.stream = stream,
                                                       .epoch = 9,
                                                       .start = -1,
                                                       .writer = "another",
                                                       .node = "another",
                                                       .position = 7});
    int64_t last = last_of(leader);
    publish(leader);
    assert_int_equal(last_of(leader), last + 1);
}

/* A record with the next of its numbers, while it looks at what is there. */
static void nobody_speaks_for_who_delivers_direct(void **state)
{
    struct node *leader = *state;
    make_pair();
    int64_t epoch = journal_epoch(replica_journal(leader->replica));
    replica_detach(leader->replica, 0);
    live(STEP_MS);
    assert_int_equal(mode_of(leader), REPLICA_LEADER_DIRECT);
    foreign_record(epoch, last_of(leader) + 1);
    node_attach(leader);
    live(STEP_MS);
    publish(leader);
    assert_int_equal(leader->renamed, 2); /* what is there can't be a prefix of its stream */
}

/* What a deposed one wrote comes late, of a quiet market, whose leader is there. */
static void a_leader_that_is_heard_is_no_alarm(void **state)
{
    (void)state;
    make_pair();
    const struct metric *alarms = metric_series(METRIC_FENCED_ALARMS, "");
    int64_t before = metric_value(alarms), epoch = journal_epoch(replica_journal(nodes[0].replica));
    for (int i = 0; i < 3; i++) {
        foreign_record(epoch - 1, last_of(&nodes[0]) + 1);
        live(3000);
    }
    assert_int_equal(metric_value(alarms), before);
}

static void nobody_speaks_for_who_stands_alone(void **state)
{
    struct node *node = *state;
    live(20000);
    assert_int_equal(mode_of(node), REPLICA_ALONE);
    const struct journal *log = replica_journal(node->replica);
    int64_t last = last_of(node);
    hello(node, journal_stream(log), journal_epoch(log), last + 1);
    hear(node, last + 1);
    assert_int_equal(last_of(node), last);
    publish(node);
    assert_int_equal(last_of(node), last + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_it_waited_for_may_be_of_the_past),
        TEST(what_it_waits_for_may_never_come),
        TEST(what_a_former_log_had_is_not_waited_for),
        TEST(a_carrier_that_begins_anew_is_gone_up_to_again),
        TEST(a_carrier_that_begins_in_a_newer_epoch_deposes),
        TEST(a_barrier_without_a_place_stops_no_leader),
        TEST(nobody_speaks_for_who_delivers_direct),
        TEST(a_leader_that_is_heard_is_no_alarm),
        TEST(nobody_speaks_for_who_stands_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
