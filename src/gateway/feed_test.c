/* SPDX-License-Identifier: Apache-2.0 */
/* What feeds the log: who is told, and which endpoints are there by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/metrics.h"
#include "gateway/gateway_fixture_test.h"

static const struct gateway_feed by_kafka = {
    .source = "kafka", .mode = "kafka", .reason = "it is up", .kafka = true};
static const struct gateway_feed by_peer = {
    .source = "peer", .mode = "websocket", .reason = "no \"broker\"\n answers", .kafka = true};

static bool all_are_told_peer(struct fixture *fixture)
{
    for (size_t i = 0; i < fixture->listener_count; i++)
        if (strcmp(fixture->listeners[i].source, "peer") != 0)
            return false;
    return true;
}

static void every_client_is_told_once(void **state)
{
    static const char *const queries[] = {"", "batch=1", "", "batch=1", "snapshot=0", ""};
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_listen(&fixture, COUNT_OF(queries) + 1);
    fixture.listener_count--; /* one comes later */
    for (size_t i = 0; i < COUNT_OF(queries); i++) {
        char path[64];
        snprintf(path, sizeof path, "exchange?%s", queries[i]);
        fixture_connect(&fixture, &fixture.listeners[i], path, i == 2 || i == 3);
    }
    run_until(&fixture, all_are_up);
    for (size_t i = 0; i < COUNT_OF(queries); i++) {
        assert_string_equal(fixture.listeners[i].source, "direct");
        assert_string_equal(fixture.listeners[i].mode, "websocket");
    }
    gateway_feed_changed(fixture.gateway, &by_peer);
    run_until(&fixture, all_are_told_peer);
    struct gateway_feed other_mode = by_peer;
    other_mode.mode = "kafka"; /* which nobody is told */
    other_mode.reason = "again";
    gateway_feed_changed(fixture.gateway, &other_mode);
    fixture_publish(&fixture, 10);
    run_until(&fixture, all_are_up);
    for (size_t i = 0; i < COUNT_OF(queries); i++) {
        assert_int_equal(fixture.listeners[i].sources, 1);
        assert_int_equal(fixture.listeners[i].hellos, 1);
        assert_string_equal(fixture.listeners[i].reason, "no \\\"broker\\\"\\n answers");
    }
    struct listener *late = &fixture.listeners[fixture.listener_count++];
    fixture_connect(&fixture, late, "exchange", false);
    run_until(&fixture, all_are_up);
    assert_string_equal(late->source, "peer");
    assert_string_equal(late->mode, "kafka");
    assert_int_equal(late->sources, 0);
    fixture_release(&fixture);
}

static bool is_over(struct fixture *fixture)
{
    return fixture->listeners[0].ws == NULL;
}

static bool is_up_or_over(struct fixture *fixture)
{
    return is_over(fixture) || is_up(fixture, &fixture->listeners[0]);
}

/* The status of a handshake there; 0: it was granted, and the client is up. */
static unsigned knock(struct fixture *fixture, const char *path)
{
    fixture_connect(fixture, &fixture->listeners[0], path, false);
    run_until(fixture, is_up_or_over);
    return fixture->listeners[0].refusal.status;
}

static void an_endpoint_is_there_while_its_source_feeds(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_listen(&fixture, 1);
    struct listener *listener = &fixture.listeners[0];
    assert_int_equal(knock(&fixture, "kafka"), 404);
    assert_int_equal(knock(&fixture, "redis"), 404);
    ask(&fixture, "/ws/kafka");
    assert_int_equal(fixture.asker.status, 404); /* not even as something to upgrade to */

    gateway_feed_changed(fixture.gateway, &by_peer);
    assert_int_equal(knock(&fixture, "kafka"), 503);
    assert_int_equal(listener->refusal.retry_after_s, 1);
    assert_int_equal(knock(&fixture, "redis"), 404);
    assert_null(strstr(ask(&fixture, "/ws/info"), "/ws/kafka"));

    gateway_feed_changed(fixture.gateway, &by_kafka);
    assert_int_equal(knock(&fixture, "kafka?batch=1&since=tw-1.1.5"), 0);
    assert_true(listener->resumed);
    assert_string_equal(listener->source, "kafka");
    const char *info = ask(&fixture, "/ws/info");
    assert_non_null(strstr(info, "\"mode\":\"kafka\",\"source\":\"kafka\""));
    assert_non_null(strstr(info, "/ws/kafka\"}"));
    assert_non_null(strstr(info, "/ws/exchange\",\"ws://other:8080/ws/exchange\","
                                 "\"wss://third.example/ws/exchange\"]"));

    fixture_publish(&fixture, 10);
    fixture_start_over(&fixture); /* which it goes through like the others */
    run_until(&fixture, is_up_or_over);
    assert_int_equal(listener->hellos, 2);
    gateway_feed_changed(fixture.gateway, &by_peer);
    run_until(&fixture, is_over);
    assert_int_equal(listener->close_code, 1013);
    assert_non_null(strstr(listener->close_reason, "kafka"));
    assert_int_equal(listener->sources, 0);
    fixture_release(&fixture);
}

/* One reload with kafka.enabled false. */
static void an_endpoint_that_is_switched_off_is_gone(void **state)
{
    (void)state;
    struct fixture fixture;
    struct gateway_feed feed = by_kafka;
    fixture_init(&fixture);
    fixture_listen(&fixture, 1);
    gateway_feed_changed(fixture.gateway, &feed);
    assert_int_equal(knock(&fixture, "kafka"), 0);
    feed.kafka = false;
    gateway_feed_changed(fixture.gateway, &feed);
    run_until(&fixture, is_over);
    assert_int_equal(fixture.listeners[0].close_code, 1013);
    assert_int_equal(knock(&fixture, "kafka"), 404);
    fixture_release(&fixture);
}

static bool one_has_come(struct fixture *fixture)
{
    (void)fixture;
    return metric_value(metric_series(METRIC_CLIENTS, "")) == 1;
}

/* Let in, and kept waiting for what its token names; by then the source is another one. */
static void who_waits_while_the_feed_changes_is_sent_away(void **state)
{
    (void)state;
    struct fixture fixture;
    char path[64];
    fixture_init(&fixture);
    fixture_listen(&fixture, 1);
    gateway_feed_changed(fixture.gateway, &by_kafka);
    snprintf(path, sizeof path, "kafka?since=tw-1.1.%lld",
             (long long)journal_next(fixture.journal) + 5);
    fixture_connect(&fixture, &fixture.listeners[0], path, false);
    run_until(&fixture, one_has_come);
    gateway_feed_changed(fixture.gateway, &by_peer);
    fixture_publish(&fixture, 10);
    run_until(&fixture, is_over);
    assert_int_equal(fixture.listeners[0].close_code, 1013);
    assert_int_equal(fixture.listeners[0].hellos, 0);
    fixture_release(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_client_is_told_once),
        cmocka_unit_test(an_endpoint_is_there_while_its_source_feeds),
        cmocka_unit_test(an_endpoint_that_is_switched_off_is_gone),
        cmocka_unit_test(who_waits_while_the_feed_changes_is_sent_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
