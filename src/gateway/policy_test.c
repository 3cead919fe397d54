/* SPDX-License-Identifier: Apache-2.0 */
/* A policy that changes under clients (SIGHUP). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/gateway_fixture_test.h"

#define STEPS_BETWEEN 20 /* two messages: so few that no batch is ever full */

static bool both_have_come(struct fixture *fixture)
{
    if (fixture->steps % STEPS_BETWEEN == 0)
        fixture_publish(fixture, 1);
    return fixture->listeners[0].messages >= 1 && fixture->listeners[1].messages >= 1;
}

static bool three_seconds_are_over(struct fixture *fixture)
{
    if (fixture->steps % STEPS_BETWEEN == 0)
        fixture_publish(fixture, 1);
    return clock_monotonic_ns() - fixture->began_ns >= INT64_C(3000000000);
}

/* Whoever we let wait for a batch is not slow by that, however little lag is allowed meanwhile. */
static void a_lesser_lag_shortens_the_wait_for_a_batch(void **state)
{
    (void)state;
    struct fixture fixture;
    struct gateway_options options = fixture_options();
    options.batch_interval_ms = 6000;
    fixture_init_with(&fixture, "tw-1", RETAIN, &options);
    fixture_publish_tickers(&fixture);
    fixture_listen(&fixture, 2);
    fixture_connect(&fixture, &fixture.listeners[0], "exchange?batch=1", false);
    fixture_connect(&fixture, &fixture.listeners[1], "exchange?batch=1", true);
    run_until(&fixture, all_are_up);
    fixture_publish(&fixture, 1); /* of a batch that may wait for long */
    options.policy.max_lag_ms = 1600;
    gateway_change(fixture.gateway, &options.policy);
    run_until(&fixture, both_have_come);
    run_until(&fixture, three_seconds_are_over);
    run_until(&fixture, all_are_up);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(fixture.listeners[i].skipped, 0);
        assert_int_equal(fixture.listeners[i].hellos, 1);
    }
    fixture_release(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lesser_lag_shortens_the_wait_for_a_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
