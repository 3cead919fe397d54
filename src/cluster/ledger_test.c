/* SPDX-License-Identifier: Apache-2.0 */
/* Trades counted as a multiset, and what is forgotten. */
#include "cluster/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static int make(void **state)
{
    *state = ledger_create();
    return 0;
}

static int destroy(void **state)
{
    ledger_destroy(*state);
    ledger_destroy(NULL);
    return 0;
}

static void sees_what_was_delivered_once_each(void **state)
{
    struct ledger *ledger = *state;
    assert_false(ledger_see(ledger, 7));
    ledger_deliver(ledger, 7, 100, 1);
    ledger_deliver(ledger, 7, 101, 1); /* two trades that look alike */
    ledger_deliver(ledger, 8, 102, 1);
    assert_true(ledger_see(ledger, 7));
    assert_true(ledger_see(ledger, 7));
    assert_false(ledger_see(ledger, 7)); /* a third one was never delivered here */
    assert_true(ledger_see(ledger, 8));
}

static void waits_for_its_own_alone(void **state)
{
    struct ledger *ledger = *state;
    ledger_deliver(ledger, 1, 100, 0); /* came by the cluster's stream */
    ledger_deliver(ledger, 2, 100, 1);
    ledger_deliver(ledger, 3, 200, 1);
    assert_int_equal(ledger_unseen(ledger, 0), 2);
    assert_int_equal(ledger_unseen(ledger, 200), 1);
    assert_int_equal(ledger_unseen(ledger, INT64_MAX), 0);
    assert_true(ledger_see(ledger, 3));
    assert_int_equal(ledger_unseen(ledger, 0), 1);
}

static void names_what_was_not_seen_as_it_was_delivered(void **state)
{
    struct ledger *ledger = *state;
    struct ledger_trade trade;
    uint32_t step = 0;
    for (uint64_t i = 1; i <= LEDGER_TRADES; i++)
        ledger_deliver(ledger, i, 100, 0);
    ledger_deliver(ledger, 71, 300, 4); /* the ring begins anew */
    ledger_deliver(ledger, 72, 100, 5);
    ledger_deliver(ledger, 73, 200, 6);
    ledger_deliver(ledger, 74, 200, 7);
    assert_true(ledger_see(ledger, 73));
    assert_true(ledger_next_unseen(ledger, 200, &step, &trade));
    assert_int_equal(trade.seq, 4);
    assert_int_equal(trade.hash, 71);
    assert_int_equal(trade.recv_us, 300);
    assert_true(ledger_next_unseen(ledger, 200, &step, &trade));
    assert_int_equal(trade.seq, 7);
    assert_false(ledger_next_unseen(ledger, 200, &step, &trade));
    assert_false(ledger_next_unseen(ledger, 200, &step, &trade));
}

static void forgets_what_was_seen_when_it_is_read_anew(void **state)
{
    struct ledger *ledger = *state;
    ledger_deliver(ledger, 5, 100, 1);
    assert_true(ledger_see(ledger, 5));
    ledger_forget_seen(ledger);
    assert_int_equal(ledger_unseen(ledger, 0), 1);
    assert_true(ledger_see(ledger, 5));
}

static void forgets_the_oldest_and_says_so(void **state)
{
    struct ledger *ledger = *state;
    assert_int_equal(ledger_knows_since(ledger), 0);
    for (int64_t i = 0; i < LEDGER_TRADES; i++)
        ledger_deliver(ledger, (uint64_t)i + 1, 1000 + i, 1);
    assert_int_equal(ledger_knows_since(ledger), 0);
    for (int64_t i = 0; i < 10; i++)
        ledger_deliver(ledger, 1, 900000 + i, 1); /* all of one chain */
    assert_int_equal(ledger_knows_since(ledger), 1009);
    assert_false(ledger_see(ledger, 2)); /* forgotten */
    assert_true(ledger_see(ledger, 11)); /* the oldest that is left */
    for (int i = 0; i < 10; i++)
        assert_true(ledger_see(ledger, 1));
    assert_false(ledger_see(ledger, 1));
    assert_int_equal(ledger_unseen(ledger, 0), LEDGER_TRADES - 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sees_what_was_delivered_once_each, make, destroy),
        cmocka_unit_test_setup_teardown(waits_for_its_own_alone, make, destroy),
        cmocka_unit_test_setup_teardown(names_what_was_not_seen_as_it_was_delivered, make, destroy),
        cmocka_unit_test_setup_teardown(forgets_what_was_seen_when_it_is_read_anew, make, destroy),
        cmocka_unit_test_setup_teardown(forgets_the_oldest_and_says_so, make, destroy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
