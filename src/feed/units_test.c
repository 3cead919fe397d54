/* SPDX-License-Identifier: Apache-2.0 */
/* What is told stale, at which width, when, and when no more; with made-up time and facts. */
#include "feed/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "feed/units_fixture_test.h"

static enum unit_state state_of(struct fixture *fixture, uint32_t index, enum channel channel)
{
    return units_at(fixture->units, index, channel)->state;
}

/* As the doctor does it: whoever is suspect is asked about, and the fact comes. */
static void fact(struct fixture *fixture, uint32_t index, enum channel channel, int64_t id)
{
    struct rest_fact fact = {.trade_id = id, .book_id = id};
    struct unit *unit = units_at(fixture->units, index, channel);
    assert_int_equal(unit->state, UNIT_SUSPECT);
    unit->state = UNIT_ASKED;
    units_fact(fixture->units, index, CHANNEL_BIT(channel), id == 0 ? NULL : &fact,
               fixture->now_ns);
}

/* Everything but these speaks every 500 ms, until the channel of this one is suspect. */
static void speak_until_suspect(struct fixture *fixture, uint32_t index, enum channel channel,
                                uint32_t silent_channels)
{
    int64_t id = 1000000;
    for (int step = 0; state_of(fixture, index, channel) != UNIT_SUSPECT; step++) {
        assert_true(step < 2 * ALLOWED_MS / 500);
        for (uint32_t i = 0; i < COUNT; i++)
            for (unsigned c = 0; c < CHANNEL_COUNT; c++)
                if ((silent_channels & CHANNEL_BIT(c)) == 0 &&
                    (i != index || c != (unsigned)channel))
                    seen(fixture, i, (enum channel)c, id + step);
        pass(fixture, 500);
    }
}

static void warm_up(struct fixture *fixture)
{
    for (int step = 1; step <= 20; step++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            seen(fixture, i, CHANNEL_TRADE, step);
            seen(fixture, i, CHANNEL_BOOK, step);
        }
        assert_int_equal(pass(fixture, 500), 0);
    }
    assert_string_equal(fixture->said, "");
}

/* ---- widths ---- */

static void one_symbols_channel_is_told_by_itself(void **state)
{
    struct fixture *fixture = *state;
    warm_up(fixture);
    speak_until_suspect(fixture, 1, CHANNEL_BOOK, 0);
    fact(fixture, 1, CHANNEL_BOOK, 25);
    assert_int_equal(state_of(fixture, 1, CHANNEL_BOOK), UNIT_NEWER);
    assert_string_equal(fixture->said, ""); /* the grace: it may be on its way */
    for (int i = 0; i < 3; i++) {
        seen(fixture, 0, CHANNEL_BOOK, 2000000 + i);
        seen(fixture, 0, CHANNEL_TRADE, 2000000 + i);
        pass(fixture, 400);
    }
    assert_string_equal(fixture->said, "S1.book+ ");
    assert_int_equal(units_stale(fixture->units), 1);
    seen(fixture, 1, CHANNEL_BOOK, 26);
    seen(fixture, 1, CHANNEL_BOOK, 27);
    assert_string_equal(fixture->said, "S1.book+ S1.book- ");
    assert_int_equal(units_stale(fixture->units), 0);
}

static void stop_channel(struct fixture *fixture)
{
    warm_up(fixture);
    speak_until_suspect(fixture, 0, CHANNEL_TRADE, CHANNEL_BIT(CHANNEL_TRADE));
    for (uint32_t i = 0; i < COUNT; i++)
        fact(fixture, i, CHANNEL_TRADE, 25);
    for (int i = 0; i < 3; i++) {
        seen(fixture, 0, CHANNEL_BOOK, 2000000 + i);
        pass(fixture, 400);
    }
    assert_string_equal(fixture->said, "trade+ ");
    assert_int_equal(units_stale(fixture->units), COUNT);
}

static void a_channel_is_told_as_a_whole(void **state)
{
    struct fixture *fixture = *state;
    stop_channel(fixture);
    seen(fixture, 2, CHANNEL_TRADE, 26);
    assert_string_equal(fixture->said, "trade+ trade- ");
    assert_int_equal(units_stale(fixture->units), 0);
}

static void everything_is_told_as_the_exchange(void **state)
{
    struct fixture *fixture = *state;
    warm_up(fixture);
    while (pass(fixture, 100) == 0)
        assert_true(fixture->now_ns < START + 30 * SECOND);
    uint32_t asked = 0;
    for (uint32_t i = 0; i < COUNT; i++)
        if (state_of(fixture, i, CHANNEL_TRADE) == UNIT_SUSPECT && asked++ < 2)
            fact(fixture, i, CHANNEL_TRADE, 25);
    assert_true(asked > 1); /* one alone is no witness of the others */
    pass(fixture, 1000);
    assert_string_equal(fixture->said, "all+ ");
    seen(fixture, 0, CHANNEL_BOOK, 26);
    assert_string_equal(fixture->said, "all+ all- ");
    assert_int_equal(units_stale(fixture->units), 0);
}

/* What came back with the exchange is watched by itself: still silent, it is told by itself. */
static void who_stays_away_is_told_afterwards(void **state)
{
    struct fixture *fixture = *state;
    everything_is_told_as_the_exchange(state);
    fixture->said[0] = '\0';
    int64_t id = 3000000;
    for (int step = 0; step < 60 && fixture->said[0] == '\0'; step++) {
        for (uint32_t i = 0; i < COUNT; i++)
            for (unsigned c = 0; c < CHANNEL_COUNT; c++)
                if (i != 2 || c != CHANNEL_TRADE)
                    seen(fixture, i, (enum channel)c, id + step);
        pass(fixture, 200);
        if (state_of(fixture, 2, CHANNEL_TRADE) == UNIT_SUSPECT)
            fact(fixture, 2, CHANNEL_TRADE, 30);
    }
    assert_string_equal(fixture->said, "S2.trade+ ");
}

/* One stops, the others are just quiet: it does not speak for them. */
static void who_stops_alone_is_no_witness_of_the_quiet(void **state)
{
    struct fixture *fixture = *state;
    warm_up(fixture);
    speak_until_suspect(fixture, 0, CHANNEL_TRADE, CHANNEL_BIT(CHANNEL_TRADE));
    fact(fixture, 0, CHANNEL_TRADE, 25);
    for (uint32_t i = 1; i < COUNT; i++)
        fact(fixture, i, CHANNEL_TRADE, 20);
    for (int i = 0; i < 3; i++) {
        seen(fixture, 0, CHANNEL_BOOK, 2000000 + i);
        pass(fixture, 400);
    }
    assert_string_equal(fixture->said, "S0.trade+ ");
}

/* ---- facts ---- */

static void a_quiet_market_is_not_stale(void **state)
{
    struct fixture *fixture = *state;
    warm_up(fixture);
    for (int step = 0; step < 600; step++) {
        for (uint32_t i = 0; i < COUNT; i++)
            for (unsigned c = 0; c < CHANNEL_COUNT; c++)
                if (state_of(fixture, i, (enum channel)c) == UNIT_SUSPECT)
                    fact(fixture, i, (enum channel)c, 20); /* what came last */
        pass(fixture, 100);
    }
    assert_string_equal(fixture->said, "");
}

static void what_comes_within_the_grace_is_no_stall(void **state)
{
    struct fixture *fixture = *state;
    warm_up(fixture);
    speak_until_suspect(fixture, 1, CHANNEL_BOOK, 0);
    fact(fixture, 1, CHANNEL_BOOK, 25);
    pass(fixture, 500);
    seen(fixture, 1, CHANNEL_BOOK, 25);
    pass(fixture, 600);
    assert_string_equal(fixture->said, "");
}

/* Before anything has come there is nothing to compare a fact with: the next one counts. */
static void what_was_made_before_it_was_asked_for_is_no_proof(void **state)
{
    struct fixture *fixture = *state;
    warm_up(fixture);
    units_stop(fixture->units); /* the connection was lost, trade 21 made, and it is back */
    units_follow(fixture->units, fixture->now_ns);
    speak_until_suspect(fixture, 1, CHANNEL_TRADE, 0);
    fact(fixture, 1, CHANNEL_TRADE, 21);
    assert_int_equal(state_of(fixture, 1, CHANNEL_TRADE), UNIT_FINE);
    int64_t looked_ns = fixture->now_ns;
    speak_until_suspect(fixture, 1, CHANNEL_TRADE, 0);
    assert_true(fixture->now_ns - looked_ns <= (ALLOWED_MS / 2 + 500) * MS);
    fact(fixture, 1, CHANNEL_TRADE, 21);
    assert_int_equal(state_of(fixture, 1, CHANNEL_TRADE), UNIT_FINE);
    speak_until_suspect(fixture, 1, CHANNEL_TRADE, 0);
    fact(fixture, 1, CHANNEL_TRADE, 22);
    assert_int_equal(state_of(fixture, 1, CHANNEL_TRADE), UNIT_NEWER);
}

static void a_fact_that_cannot_be_compared_says_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct rest_fact late = {.trade_us = INT64_MAX};
    warm_up(fixture); /* ids only */
    speak_until_suspect(fixture, 1, CHANNEL_TRADE, 0);
    units_at(fixture->units, 1, CHANNEL_TRADE)->state = UNIT_ASKED;
    units_fact(fixture->units, 1, CHANNEL_BIT(CHANNEL_TRADE), &late, fixture->now_ns);
    assert_int_equal(state_of(fixture, 1, CHANNEL_TRADE), UNIT_UNKNOWN);
}

static void times_count_where_ids_do_not(void **state)
{
    struct fixture *fixture = *state;
    struct event event = {.type = EVENT_TRADE, .exchange_us = 5000000};
    struct rest_fact same = {.trade_us = 5000900}, newer = {.trade_us = 5002000};
    struct unit *unit = units_at(fixture->units, 0, CHANNEL_TRADE);
    event.trade.id = SLICE("a-b");
    units_seen(fixture->units, 0, CHANNEL_TRADE, &event, fixture->now_ns);
    unit->state = UNIT_ASKED;
    units_fact(fixture->units, 0, CHANNEL_BIT(CHANNEL_TRADE), &same, fixture->now_ns);
    assert_int_equal(unit->state, UNIT_FINE); /* cut to milliseconds elsewhere */
    unit->state = UNIT_ASKED;
    units_fact(fixture->units, 0, CHANNEL_BIT(CHANNEL_TRADE), &newer, fixture->now_ns);
    assert_int_equal(unit->state, UNIT_NEWER);
}

static void facts_that_nobody_waits_for_change_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct rest_fact newer = {.trade_id = 99, .book_id = 99};
    warm_up(fixture);
    units_fact(fixture->units, 1, UINT32_MAX, &newer, fixture->now_ns);
    pass(fixture, 2000);
    assert_string_equal(fixture->said, "");
}

/* ---- a fresh subscription ---- */

static void a_fresh_subscription_that_brings_something_contradicts(void **state)
{
    struct fixture *fixture = *state;
    uint32_t unknown = 0;
    warm_up(fixture);
    speak_until_suspect(fixture, 1, CHANNEL_BOOK, 0);
    fact(fixture, 1, CHANNEL_BOOK, 0);
    units_check(fixture->units, fixture->now_ns, &unknown);
    assert_int_equal(unknown, 1);
    struct event event = {.type = EVENT_BOOK, .order_id = 30};
    units_contradicted(fixture->units, 1, CHANNEL_BOOK, &event, fixture->now_ns);
    pass(fixture, 500);
    assert_string_equal(fixture->said, ""); /* the other connection may bring it yet */
    pass(fixture, 600);
    assert_string_equal(fixture->said, "S1.book+ ");
    seen(fixture, 1, CHANNEL_BOOK, 30);
    assert_string_equal(fixture->said, "S1.book+ S1.book- ");
    assert_int_equal(units_stale(fixture->units), 0);
}

static void a_fresh_subscription_that_brings_nothing_shows_quiet(void **state)
{
    struct fixture *fixture = *state;
    uint32_t unknown = 0;
    warm_up(fixture);
    speak_until_suspect(fixture, 1, CHANNEL_BOOK, 0);
    fact(fixture, 1, CHANNEL_BOOK, 0);
    units_looked(fixture->units, false, fixture->now_ns);
    assert_int_equal(units_check(fixture->units, fixture->now_ns, &unknown), 0);
    assert_int_equal(unknown, 0);
    assert_string_equal(fixture->said, "");
    speak_until_suspect(fixture, 1, CHANNEL_BOOK, 0); /* it is looked at again */
}

/* Longer than the grace. */
static void others_speak(struct fixture *fixture)
{
    for (int i = 0; i < 3; i++) {
        seen(fixture, 0, CHANNEL_BOOK, 5000000 + i);
        seen(fixture, 0, CHANNEL_TRADE, 5000000 + i);
        pass(fixture, 400);
    }
}

static void stop_one(struct fixture *fixture)
{
    warm_up(fixture);
    speak_until_suspect(fixture, 1, CHANNEL_TRADE, 0);
    fact(fixture, 1, CHANNEL_TRADE, 25);
    others_speak(fixture);
    assert_string_equal(fixture->said, "S1.trade+ ");
    units_looked(fixture->units, true, fixture->now_ns); /* a fresh connection carries it now */
    assert_int_equal(units_stale(fixture->units), 0);
}

/* What was missed is missed: a symbol that is quiet since is not stale for ever. */
static void what_was_missed_is_not_stale_for_ever(void **state)
{
    struct fixture *fixture = *state;
    stop_one(fixture);
    fact(fixture, 1, CHANNEL_TRADE, 25);
    assert_string_equal(fixture->said, "S1.trade+ S1.trade- ");
    assert_int_equal(state_of(fixture, 1, CHANNEL_TRADE), UNIT_FINE);
}

static void what_goes_on_without_us_stays_stale_and_is_told_once(void **state)
{
    struct fixture *fixture = *state;
    stop_one(fixture);
    fact(fixture, 1, CHANNEL_TRADE, 26);
    others_speak(fixture);
    assert_int_equal(state_of(fixture, 1, CHANNEL_TRADE), UNIT_STALE);
    assert_int_equal(units_stale(fixture->units), 1);
    seen(fixture, 1, CHANNEL_TRADE, 27);
    assert_string_equal(fixture->said, "S1.trade+ S1.trade- ");
    assert_int_equal(units_stale(fixture->units), 0);
}

/* ---- what is watched ---- */

static void what_is_not_wanted_is_not_watched(void **state)
{
    struct fixture *fixture = *state;
    warm_up(fixture);
    for (uint32_t i = 0; i < COUNT; i++)
        instruments_at(fixture->catalogue, i)->wanted = 0;
    units_follow(fixture->units, fixture->now_ns);
    assert_int_equal(pass(fixture, 10 * ALLOWED_MS), 0);
    assert_int_equal(units_age_ns(fixture->units, fixture->now_ns), -1);
}

static void a_stop_ends_what_was_stale(void **state)
{
    struct fixture *fixture = *state;
    one_symbols_channel_is_told_by_itself(state);
    speak_until_suspect(fixture, 1, CHANNEL_BOOK, 0);
    fact(fixture, 1, CHANNEL_BOOK, 4000000);
    pass(fixture, 1000);
    assert_int_equal(units_stale(fixture->units), 1);
    units_stop(fixture->units);
    assert_int_equal(units_stale(fixture->units), 0);
    assert_true(fixture->unit[1][CHANNEL_BOOK]);
    assert_int_equal(pass(fixture, 10 * ALLOWED_MS), 0);
    units_follow(fixture->units, fixture->now_ns);
    assert_int_equal(pass(fixture, 100), 0);
    assert_true(pass(fixture, ALLOWED_MS / 2) > 0); /* nothing came since */
    assert_true(fixture->unit[1][CHANNEL_BOOK]);
    seen(fixture, 1, CHANNEL_BOOK, 4000001);
    assert_false(fixture->unit[1][CHANNEL_BOOK]); /* what was told is taken back */
}

static void a_channel_that_was_stale_before_a_stop_is_live_after_it(void **state)
{
    struct fixture *fixture = *state;
    stop_channel(fixture);
    units_stop(fixture->units);
    units_follow(fixture->units, fixture->now_ns);
    assert_string_equal(fixture->said, "trade+ ");
    seen(fixture, 2, CHANNEL_TRADE, 26);
    assert_string_equal(fixture->said, "trade+ trade- ");
}

/* It was told stale before the connection was lost; the new one brings nothing, rightly. */
static void a_quiet_market_is_live_again_after_a_stop(void **state)
{
    struct fixture *fixture = *state;
    stop_one(fixture);
    units_stop(fixture->units);
    units_follow(fixture->units, fixture->now_ns);
    speak_until_suspect(fixture, 1, CHANNEL_TRADE, 0);
    assert_string_equal(fixture->said, "S1.trade+ ");
    fact(fixture, 1, CHANNEL_TRADE, 26);
    assert_string_equal(fixture->said, "S1.trade+ S1.trade- ");
}

/* Of symbols that are given up `down` is told, so of their channel something must be as well. */
static void a_channel_that_nobody_wants_is_stale_no_more(void **state)
{
    struct fixture *fixture = *state;
    stop_channel(fixture);
    for (uint32_t i = 0; i < COUNT; i++)
        instruments_at(fixture->catalogue, i)->wanted = CHANNEL_BIT(CHANNEL_BOOK);
    units_follow(fixture->units, fixture->now_ns);
    assert_string_equal(fixture->said, "trade+ trade- ");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(one_symbols_channel_is_told_by_itself),
        TEST(a_channel_is_told_as_a_whole),
        TEST(everything_is_told_as_the_exchange),
        TEST(who_stays_away_is_told_afterwards),
        TEST(who_stops_alone_is_no_witness_of_the_quiet),
        TEST(a_quiet_market_is_not_stale),
        TEST(what_comes_within_the_grace_is_no_stall),
        TEST(what_was_made_before_it_was_asked_for_is_no_proof),
        TEST(a_fact_that_cannot_be_compared_says_nothing),
        TEST(times_count_where_ids_do_not),
        TEST(facts_that_nobody_waits_for_change_nothing),
        TEST(a_fresh_subscription_that_brings_something_contradicts),
        TEST(a_fresh_subscription_that_brings_nothing_shows_quiet),
        TEST(what_was_missed_is_not_stale_for_ever),
        TEST(what_goes_on_without_us_stays_stale_and_is_told_once),
        TEST(what_is_not_wanted_is_not_watched),
        TEST(a_stop_ends_what_was_stale),
        TEST(a_channel_that_was_stale_before_a_stop_is_live_after_it),
        TEST(a_quiet_market_is_live_again_after_a_stop),
        TEST(a_channel_that_nobody_wants_is_stale_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
