/* SPDX-License-Identifier: Apache-2.0 */
/* Another content in the journal, under clients of all forms: each one's messages are contiguous
 * from hello to hello, and at the end all are in the newest. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/gateway_fixture_test.h"

#define CLIENTS 50

/* Plain, batch, deflate, both; every third without a snapshot, every fourth with a token. */
static void listen_all(struct fixture *fixture, size_t count)
{
    fixture_listen(fixture, count);
    for (size_t i = 0; i < count; i++) {
        char path[128];
        snprintf(path, sizeof path, "exchange?batch=%d&snapshot=%d%s", (i & 1) != 0, i % 3 != 0,
                 i / 4 % 4 == 0 ? "&since=tw-1.1.5" : "");
        fixture_connect(fixture, &fixture->listeners[i], path, (i & 2) != 0);
    }
}

static bool all_are_greeted(struct fixture *fixture)
{
    for (size_t i = 0; i < fixture->listener_count; i++)
        if (fixture->listeners[i].hellos == 0)
            return false;
    return true;
}

static void all_forms_start_over_under_load(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    listen_all(&fixture, CLIENTS);
    fixture.per_step = 5;
    run_until(&fixture, all_are_greeted);
    fixture.start_overs = 100;
    run_until(&fixture, all_are_up);
    assert_int_equal(gateway_clients(fixture.gateway), CLIENTS);
    for (size_t i = 0; i < CLIENTS; i++) {
        const struct listener *listener = &fixture.listeners[i];
        assert_true(listener->hellos >= 2);
        assert_false(listener->resumed);
        assert_int_equal(listener->skipped, 0);
        assert_true(listener->messages > 0);
        assert_true(listener->snapshot == (listener->snapshot_messages >= TICKERS));
    }
    fixture.per_step = 5; /* and it goes on */
    fixture.start_overs = 1;
    run_until(&fixture, all_are_up);
    fixture_release(&fixture);
}

/* One that comes to rest is told every time, and gets what it was owed before. */
static void each_is_told_once_when_it_keeps_up(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    listen_all(&fixture, 8);
    run_until(&fixture, all_are_up);
    for (int64_t round = 1; round <= 3; round++) {
        int64_t heard[8], hellos[8];
        for (size_t i = 0; i < 8; i++) {
            heard[i] = (int64_t)fixture.listeners[i].messages;
            hellos[i] = (int64_t)fixture.listeners[i].hellos;
        }
        fixture_publish(&fixture, 10);
        fixture_start_over(&fixture);
        run_until(&fixture, all_are_up);
        for (size_t i = 0; i < 8; i++) {
            const struct listener *listener = &fixture.listeners[i];
            assert_int_equal(listener->hellos, hellos[i] + 1);
            assert_int_equal(listener->messages, heard[i] + 10);
        }
    }
    fixture_release(&fixture);
}

/* A new stream's first record may be in the log before the order: it is of the new stream, and for
 * nobody who was told of the former one. */
static void a_new_stream_is_not_told_in_the_former_one(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    listen_all(&fixture, 8);
    run_until(&fixture, all_are_up);
    uint64_t heard[8];
    for (size_t i = 0; i < 8; i++)
        heard[i] = fixture.listeners[i].messages;
    fixture_publish(&fixture, 10);
    fixture_change_content(&fixture);
    fixture_publish(&fixture, 1);
    gateway_start_over(fixture.gateway);
    run_until(&fixture, all_are_up);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(fixture.listeners[i].messages, heard[i] + 10);
    fixture_publish(&fixture, 3);
    run_until(&fixture, all_are_up);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(fixture.listeners[i].messages, heard[i] + 13);
    fixture_release(&fixture);
}

static bool journal_is_full(struct fixture *fixture)
{
    return fixture->steps >= 100;
}

static bool blocked_long_enough(struct fixture *fixture)
{
    return fixture->steps >= 200;
}

/* Of the workers, whose own loops go on. */
static void wait_ticks(int64_t count)
{
    int64_t end_ns = clock_monotonic_ns() + count * 100000000;
    while (clock_monotonic_ns() < end_ns)
        sched_yield();
}

/* Who takes nothing, in the middle of a long backlog and of a frame, does not get all of it, and is
 * not told that it was slow; nor is it closed for it. */
static void the_slow_leave_the_former_content(void **state)
{
    (void)state;
    struct fixture fixture;
    struct gateway_options options = fixture_options();
    options.policy.disconnect_slow = true;
    fixture_init_with(&fixture, "tw-1", RETAIN, &options);
    fixture_publish_tickers(&fixture);
    listen_all(&fixture, 8);
    run_until(&fixture, all_are_up);
    uint64_t heard[8];
    for (size_t i = 0; i < 8; i++) {
        heard[i] = fixture.listeners[i].messages;
        ws_client_pause(fixture.listeners[i].ws, true);
    }
    fixture.size = 3000;
    fixture.per_step = 30; /* 9 MB */
    fixture.steps = 0;
    run_until(&fixture, journal_is_full);
    fixture.per_step = 0;
    uint64_t owed = 30 * 100;
    fixture_change_content(&fixture);
    wait_ticks(3); /* the workers know nothing yet but what the log says */
    gateway_start_over(fixture.gateway);
    fixture_publish(&fixture, 10);
    run_until(&fixture, blocked_long_enough); /* the ticks pass at which they are found blocked */
    for (size_t i = 0; i < 8; i++)
        ws_client_pause(fixture.listeners[i].ws, false);
    run_until(&fixture, all_are_up);
    for (size_t i = 0; i < 8; i++) {
        const struct listener *listener = &fixture.listeners[i];
        assert_non_null(listener->ws);
        assert_int_equal(listener->skipped, 0);
        assert_int_equal(listener->hellos, 2);
        assert_true(listener->messages - heard[i] < owed);
    }
    fixture_release(&fixture);
}

/* ---- those who wait, or are just being placed ---- */

static void answer_over(void *context, struct http_connection *connection,
                        const struct http_head *request)
{
    (void)request;
    fixture_start_over(context);
    http_answer(connection, 200, "text/plain", NULL, SLICE("over"));
}

static bool is_answered_and_up(struct fixture *fixture)
{
    return is_answered(fixture) && all_are_up(fixture);
}

/* In one turn of the loop: clients come and are given to their workers, and all is over again. */
static void a_letter_under_way_is_asked_again(void **state)
{
    enum { ROUNDS = 25, EACH = 6 };
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    http_server_route(
        fixture.server,
        &(struct http_route){.path = "/over", .handler = answer_over, .context = &fixture});
    fixture_listen(&fixture, ROUNDS * EACH);
    fixture.listener_count = 0;
    for (int round = 0; round < ROUNDS; round++) {
        ask_for(&fixture, "/over");
        for (int i = 0; i < EACH; i++)
            fixture_connect(&fixture, &fixture.listeners[fixture.listener_count++],
                            i % 2 == 0 ? "exchange" : "exchange?snapshot=0&batch=1", i % 3 == 0);
        run_until(&fixture, is_answered_and_up);
        for (size_t i = 0; i < fixture.listener_count; i++)
            assert_int_equal(fixture.listeners[i].skipped, 0);
    }
    fixture_release(&fixture);
}

static bool both_are_up(struct fixture *fixture)
{
    return is_up(fixture, &fixture->listeners[0]) && is_up(fixture, &fixture->listeners[1]);
}

static bool two_are_clients(struct fixture *fixture)
{
    return gateway_clients(fixture->gateway) == 2;
}

/* Tokens of what this node does not have yet: of the former stream, and of one that is still the
 * same stream afterwards. */
static void waiting_tokens_are_judged_by_the_new_content(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_listen(&fixture, 2);
    fixture_connect(&fixture, &fixture.listeners[0], "exchange?since=tw-1.1.300", false);
    fixture_connect(&fixture, &fixture.listeners[1], "exchange?since=tw-1.1.400", true);
    run_until(&fixture, two_are_clients);
    assert_int_equal(fixture.listeners[0].hellos + fixture.listeners[1].hellos, 0);
    struct journal *shadow = journal_create("tw-1", 250, MEBIBYTE);
    struct journal *own = fixture.journal;
    journal_barrier(shadow, "tw-1", 1);
    fixture.journal = shadow;
    fixture_publish(&fixture, 200);
    fixture.journal = own;
    journal_take(own, shadow);
    gateway_start_over(fixture.gateway);
    run_until(&fixture, both_are_up);
    assert_true(fixture.listeners[0].resumed && fixture.listeners[1].resumed);
    assert_int_equal(fixture.listeners[0].messages, 149);
    assert_int_equal(fixture.listeners[1].messages, 49);
    fixture_release(&fixture);

    fixture_init(&fixture);
    fixture_listen(&fixture, 2);
    fixture_connect(&fixture, &fixture.listeners[0], "exchange?since=tw-1.1.300", false);
    fixture_connect(&fixture, &fixture.listeners[1], "exchange?since=tw-1.1.300&batch=1", true);
    run_until(&fixture, two_are_clients);
    fixture.content++; /* so that the next one is another journal's, with tickers */
    fixture_start_over(&fixture);
    run_until(&fixture, both_are_up);
    for (size_t i = 0; i < 2; i++) {
        assert_false(fixture.listeners[i].resumed);
        assert_int_equal(fixture.listeners[i].hellos, 1);
        assert_int_equal(fixture.listeners[i].snapshot_messages, TICKERS);
    }
    fixture_release(&fixture);
}

/* ---- the ends ---- */

static bool is_refused(struct fixture *fixture)
{
    return fixture->listeners[0].ws == NULL;
}

static void nobody_is_served_before_there_is_a_log(void **state)
{
    (void)state;
    struct fixture fixture;
    const struct gateway_options options = fixture_options();
    fixture_init_with(&fixture, "", RETAIN, &options);
    assert_false(gateway_is_open(fixture.gateway));
    fixture_listen(&fixture, 1);
    fixture_connect(&fixture, &fixture.listeners[0], "exchange", false);
    run_until(&fixture, is_refused);
    assert_int_equal(fixture.listeners[0].refusal.status, 503);
    assert_int_equal(fixture.listeners[0].refusal.retry_after_s, 1);
    assert_non_null(strstr(ask(&fixture, "/ws/info"), "\"stream\":\"\""));
    fixture_start_over(&fixture);
    assert_true(gateway_is_open(fixture.gateway));
    fixture_connect(&fixture, &fixture.listeners[0], "exchange", false);
    run_until(&fixture, all_are_up);
    assert_string_equal(fixture.listeners[0].stream, "tw-2");
    fixture_release(&fixture);
}

static bool all_have_ended(struct fixture *fixture)
{
    for (size_t i = 0; i < fixture->listener_count; i++)
        if (fixture->listeners[i].ws != NULL)
            return false;
    return gateway_clients(fixture->gateway) == 0;
}

static bool drained(struct fixture *fixture)
{
    if (fixture->start_overs == 90 && fixture->steps % 5 == 0)
        gateway_drain(fixture->gateway, 1000);
    return all_have_ended(fixture);
}

static void a_node_that_leaves_starts_over_all_the_same(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    listen_all(&fixture, 20);
    run_until(&fixture, all_are_up);
    fixture.per_step = 5;
    fixture.start_overs = 100;
    fixture.steps = 0;
    run_until(&fixture, drained);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(fixture.listeners[i].draining, 1);
        assert_int_equal(fixture.listeners[i].close_code, 1001);
    }
    fixture_release(&fixture);
}

static bool has_begun(struct fixture *fixture)
{
    return fixture->start_overs < 15;
}

/* Nothing is leaked, and nobody hangs, when it ends in the middle. */
static void may_end_at_any_moment(void **state)
{
    (void)state;
    struct fixture fixture;
    for (int i = 0; i < 5; i++) {
        fixture_init(&fixture);
        listen_all(&fixture, 12);
        run_until(&fixture, all_are_greeted);
        fixture.per_step = 5;
        fixture.start_overs = 20;
        run_until(&fixture, has_begun);
        fixture_start_over(&fixture);
        fixture_release(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_forms_start_over_under_load),
        cmocka_unit_test(each_is_told_once_when_it_keeps_up),
        cmocka_unit_test(a_new_stream_is_not_told_in_the_former_one),
        cmocka_unit_test(the_slow_leave_the_former_content),
        cmocka_unit_test(a_letter_under_way_is_asked_again),
        cmocka_unit_test(waiting_tokens_are_judged_by_the_new_content),
        cmocka_unit_test(nobody_is_served_before_there_is_a_log),
        cmocka_unit_test(a_node_that_leaves_starts_over_all_the_same),
        cmocka_unit_test(may_end_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
