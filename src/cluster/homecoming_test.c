/* SPDX-License-Identifier: Apache-2.0 */
/* Standing alone and coming home: what the clients of such a node are told of trades. */
#include "cluster/nodes_fixture_test.h"

#include <stdio.h>

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

static void stand_alone(struct node *leader, struct node *follower)
{
    make_pair();
    (void)trade(leader, "A-K", 1); /* so that it is known from when on trades are compared */
    live(100);
    fake_topic.silent = true;
    live(18000);
    assert_int_equal(mode_of(follower), REPLICA_ALONE);
}

static void trades_that_come_home_too_are_waited_for(void **state)
{
    struct node *leader = *state, *follower = leader + 1;
    stand_alone(leader, follower);
    (void)trade(follower, "A-K", 2);
    (void)trade(leader, "A-K", 2);
    fake_topic.silent = false;
    live(1500);
    assert_true(follower->collecting); /* for a while from both */
    live(2500);
    assert_int_equal(mode_of(follower), REPLICA_FOLLOWER_CARRIER);
    assert_int_equal(follower->doubts, 0);
    assert_same_logs();
}

static void trades_that_do_not_are_declared_market_by_market(void **state)
{
    struct node *leader = *state, *follower = leader + 1;
    stand_alone(leader, follower);
    int64_t first_us = trade(follower, "A-K", 2);
    live(100);
    (void)trade(follower, "A-K", 3);
    (void)trade(follower, "B-K", 4);
    (void)trade(follower, "C-K", 5);
    (void)trade(leader, "C-K", 5); /* of these markets alone this one is complete */
    fake_topic.silent = false;
    live(4000);
    assert_int_equal(mode_of(follower), REPLICA_ALONE);
    assert_false(follower->collecting);
    assert_int_equal(follower->doubts, 0);
    live(6000);
    assert_int_equal(mode_of(follower), REPLICA_FOLLOWER_CARRIER);
    assert_int_equal(follower->doubts, 2);
    assert_string_equal(follower->doubted[0], "x:A-K");
    assert_string_equal(follower->doubted[1], "x:B-K");
    assert_in_range(follower->doubted_from_us, first_us - 2000000, first_us);
    assert_int_equal(follower->gaps, 2); /* in the stream that its clients had */
    assert_same_logs();                  /* and in no other one */
}

/* Nothing is collected while it waits, so a hole of the leader's is one of its clients too. */
static void what_is_declared_meanwhile_is_told_here_too(void **state)
{
    struct node *leader = *state, *follower = leader + 1;
    stand_alone(leader, follower);
    (void)trade(follower, "A-K", 2);
    say_gap(leader); /* while this node collected for itself */
    fake_topic.silent = false;
    live(4000);
    assert_int_equal(mode_of(follower), REPLICA_ALONE);
    assert_false(follower->collecting);
    assert_int_equal(follower->gaps, 0);
    say_gap(leader);
    live(STEP_MS);
    assert_int_equal(mode_of(follower), REPLICA_ALONE);
    assert_int_equal(follower->gaps, 1);
}

/* Its leader has all since then: what was missed here is given late, and nothing twice. */
static void by_its_leaders_link_it_goes_on_where_it_left(void **state)
{
    struct node *leader = *state, *follower = leader + 1;
    const struct journal *log = replica_journal(follower->replica);
    char token[LIMIT_STREAM_ID + 48], home[LIMIT_STREAM_ID];
    follower->states = 3;
    stand_alone(leader, follower);
    const struct journal *cluster = replica_journal(leader->replica);
    int64_t left = journal_next(log) - 2, epoch = journal_epoch(cluster); /* and an `epoch` */
    snprintf(home, sizeof home, "%s", journal_stream(cluster));
    snprintf(token, sizeof token, "%s.%lld.%lld", home, (long long)epoch, (long long)left);
    assert_string_equal(follower->since, token);
    int64_t received_us = trade(follower, "A-K", 3);
    assert_int_equal(follower->trades, 1);
    hello(follower, home, epoch, left + 1);
    assert_int_equal(follower->loaded, 3); /* what it knew then */
    hear_trade(follower, left + 1, 2, received_us - 1000);
    hear_trade(follower, left + 2, 3, received_us);
    live(4900);
    assert_int_equal(mode_of(follower), REPLICA_ALONE); /* there may be much of it */
    live(200);
    assert_int_equal(mode_of(follower), REPLICA_FOLLOWER_PEER);
    assert_int_equal(follower->trades, 2);
    assert_int_equal(follower->doubts, 0);
    assert_string_equal(journal_stream(log), home);
    assert_int_equal(journal_first(log), left + 1);
    assert_int_equal(last_of(follower), left + 2);
}

static void who_loses_the_way_home_collects_again(void **state)
{
    struct node *leader = *state, *follower = leader + 1;
    stand_alone(leader, follower);
    fake_topic.silent = false;
    live(500);
    (void)trade(leader, "A-K", 2);
    live(1000);
    (void)trade(follower, "A-K", 3);
    live(500);
    (void)trade(follower, "A-K", 4);
    live(2000);
    (void)trade(follower, "A-K", 5); /* is waited for */
    assert_false(follower->collecting);
    assert_int_equal(mode_of(follower), REPLICA_ALONE);
    fake_topic.silent = true;
    live(1500);
    assert_true(follower->collecting);
    assert_int_equal(mode_of(follower), REPLICA_ALONE);
}

/* Its leader's link came while the topic was about to bring it home, and then did not. */
static void a_link_that_was_not_needed_is_asked_again(void **state)
{
    struct node *leader = *state, *follower = leader + 1;
    const struct journal *cluster = replica_journal(leader->replica);
    stand_alone(leader, follower);
    fake_topic.silent = false;
    live(500);
    assert_true(follower->peer_open);
    hello_anew(follower, journal_stream(cluster), journal_epoch(cluster), journal_next(cluster));
    fake_topic.silent = true;
    follower->peer_open = false;
    live(1500);
    assert_int_equal(mode_of(follower), REPLICA_ALONE);
    assert_true(follower->peer_open);
    hello_anew(follower, journal_stream(cluster), journal_epoch(cluster), journal_next(cluster));
    live(2100);
    assert_int_equal(mode_of(follower), REPLICA_FOLLOWER_PEER);
}

/* It does not know the last values either, so it comes home by its leader's. */
static void who_knew_too_little_comes_home_by_a_snapshot(void **state)
{
    struct node *node = *state;
    live(20000);
    assert_int_equal(mode_of(node), REPLICA_ALONE);
    assert_string_equal(node->since, "");
    hello_anew(node, "tw-1", 7, 100);
    live(2100);
    assert_int_equal(mode_of(node), REPLICA_FOLLOWER_PEER);
    assert_int_equal(last_of(node), 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_leader_it_stands_alone_and_comes_home),
        TEST(trades_that_come_home_too_are_waited_for),
        TEST(trades_that_do_not_are_declared_market_by_market),
        TEST(what_is_declared_meanwhile_is_told_here_too),
        TEST(by_its_leaders_link_it_goes_on_where_it_left),
        TEST(who_loses_the_way_home_collects_again),
        TEST(a_link_that_was_not_needed_is_asked_again),
        TEST(who_knew_too_little_comes_home_by_a_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
