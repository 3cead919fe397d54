/* SPDX-License-Identifier: Apache-2.0 */
/* The same from several connections, through a real sequencer, carrier and journal: each trade once
 * and in order, books that never go back, and what is said of what is missing or dropped. */
#include "feed/publisher.h"

#include "base/clock.h"
#include "base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "feed/stream_fixture_test.h"

#define MS INT64_C(1000000)
#define STREAM "tw-sources"

struct fixture {
    struct written_stream stream;
    struct exchange exchange;
    struct publisher *publisher;
    struct instruments *instruments;
    struct instrument *instrument;
    int64_t now_ns;
    uint64_t random;
};

static int64_t wall_us(void *context)
{
    return ((struct fixture *)context)->now_ns / 1000;
}

static int64_t monotonic_ns(void *context)
{
    return ((struct fixture *)context)->now_ns;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct symbol symbol;
    written_stream_open(&fixture->stream, STREAM);
    fixture->exchange = (struct exchange){.name = "venue", .trade_ids_consecutive = true};
    fixture->publisher = publisher_create(&fixture->exchange, fixture->stream.sequencer, 2);
    fixture->instruments = instruments_create(4, false);
    assert_true(symbol_read(SLICE("BTC-KRW"), &symbol));
    fixture->instrument = instruments_add(fixture->instruments, &symbol, SLICE("KRW-BTC"));
    fixture->instrument->wanted = CHANNEL_BIT(CHANNEL_TRADE) | CHANNEL_BIT(CHANNEL_BOOK);
    fixture->now_ns = 1000000 * MS;
    fixture->random = 88172645463325252u;
    static struct clock_source source = {.wall_us = wall_us, .monotonic_ns = monotonic_ns};
    source.context = fixture;
    clock_replace(&source);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    clock_replace(NULL);
    publisher_forget(fixture->publisher, fixture->instrument);
    publisher_destroy(fixture->publisher);
    instruments_destroy(fixture->instruments);
    written_stream_close(&fixture->stream);
    free(fixture);
    return 0;
}

static uint32_t below(struct fixture *fixture, uint32_t bound)
{
    fixture->random ^= fixture->random << 13;
    fixture->random ^= fixture->random >> 7;
    fixture->random ^= fixture->random << 17;
    return (uint32_t)(fixture->random >> 33) % bound;
}

static const char *said(struct fixture *fixture)
{
    return fixture->stream.records.size == 0 ? "" : fixture->stream.records.data;
}

static void clear(struct fixture *fixture)
{
    buffer_clear(&fixture->stream.records);
}

static unsigned said_count(struct fixture *fixture, const char *what)
{
    unsigned count = 0;
    for (const char *at = strstr(said(fixture), what); at != NULL; at = strstr(at + 1, what))
        count++;
    return count;
}

static void wait_ms(struct fixture *fixture, int64_t ms)
{
    fixture->now_ns += ms * MS;
    publisher_check(fixture->publisher, fixture->instruments, fixture->now_ns);
}

static bool put(struct fixture *fixture, unsigned source, struct event event)
{
    event.symbol = &fixture->instrument->symbol;
    event.received_us = wall_us(fixture);
    return publisher_event(fixture->publisher, source, fixture->instrument, &event);
}

/* number: its id and its price; without an id equal ones have the same time. */
static bool put_trade(struct fixture *fixture, unsigned source, unsigned number, bool named,
                      enum trade_origin origin)
{
    char id[24];
    snprintf(id, sizeof id, "%u", number);
    struct event event = {.type = EVENT_TRADE,
                          .exchange_us = 5000 + (named ? number : number / 3),
                          .trade = {.id = named ? slice_of(id) : (struct slice){0},
                                    .price = {.mantissa = named ? number : number / 3},
                                    .size = {.mantissa = 1},
                                    .side = SIDE_BUY,
                                    .origin = origin}};
    return put(fixture, source, event);
}

static void put_live(struct fixture *fixture, unsigned source, unsigned number)
{
    put_trade(fixture, source, number, true, TRADE_LIVE);
}

/* Prices of the trades that were said, each `count` of them in order, from 1. */
static void expect_trades(struct fixture *fixture, unsigned first, unsigned last, bool named)
{
    const char *at = said(fixture);
    for (unsigned number = first; number <= last; number++) {
        char price[48];
        at = strstr(at, "\"price\":\"");
        snprintf(price, sizeof price, "\"price\":\"%u\"", named ? number : number / 3);
        assert_non_null(at);
        assert_memory_equal(at, price, strlen(price));
        at++;
    }
    assert_null(strstr(at, "\"price\":\""));
    assert_int_equal(said_count(fixture, "\"type\":\"gap\""), 0);
}

/* ---- trades ---- */

/* Two connections run through the same trades, each at its own pace. */
static void interleave(struct fixture *fixture, unsigned count, bool named)
{
    unsigned at[2] = {1, 1};
    while (at[0] <= count || at[1] <= count) {
        unsigned source = below(fixture, 2);
        unsigned burst = 1 + below(fixture, 20);
        for (unsigned i = 0; i < burst && at[source] <= count; i++)
            put_trade(fixture, source, at[source]++, named, TRADE_LIVE);
        wait_ms(fixture, 1);
    }
}

static void any_interleaving_gives_each_once_in_order(void **state)
{
    for (int round = 0; round < 30; round++) {
        struct fixture *fixture = *state;
        fixture->random += (uint64_t)round * 7919;
        fixture->exchange.trade_ids_consecutive = round % 2 == 0;
        interleave(fixture, 400, round % 3 != 0);
        expect_trades(fixture, 1, 400, round % 3 != 0);
        teardown(state);
        setup(state);
    }
}

/* Either may lose some, never both the same: nothing is missing. */
static void what_one_loses_the_other_fills(void **state)
{
    for (int round = 0; round < 30; round++) {
        struct fixture *fixture = *state;
        unsigned at[2] = {2, 2}; /* both have 1 */
        put_live(fixture, 0, 1);
        fixture->random += (uint64_t)round * 104729;
        while (at[0] <= 400 || at[1] <= 400) {
            unsigned source = below(fixture, 2), other = 1 - source;
            if (at[source] > at[other] + 40)
                source = other; /* one is not further behind than a hole may wait */
            unsigned number = at[source]++;
            if (number <= 400 && (number % 10 >= 3 || number % 2 == source))
                put_live(fixture, source, number);
            wait_ms(fixture, 2);
        }
        expect_trades(fixture, 1, 400, true);
        teardown(state);
        setup(state);
    }
}

static void what_both_lose_is_declared_once(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned number = 1; number <= 20; number++)
        for (unsigned source = 0; source < 2; source++)
            if (number < 8 || number > 12)
                put_live(fixture, source, number);
    assert_int_equal(said_count(fixture, "\"type\":\"trade\""), 7);
    wait_ms(fixture, 400);
    assert_int_equal(said_count(fixture, "\"type\":\"trade\""), 15);
    assert_int_equal(said_count(fixture, "\"type\":\"gap\""), 1);
    assert_non_null(strstr(said(fixture), "\"after_id\":\"7\",\"before_id\":\"13\""));
    assert_non_null(strstr(said(fixture), "\"missing\":5"));
}

static void a_new_connection_on_an_old_place_counts_anew(void **state)
{
    struct fixture *fixture = *state;
    fixture->exchange.trade_ids_consecutive = false;
    for (unsigned number = 3; number <= 5; number++) /* three equal ones, without an id */
        assert_true(put_trade(fixture, 0, number, false, TRADE_LIVE));
    publisher_end_source(fixture->publisher, fixture->instruments, 0);
    for (unsigned number = 3; number <= 5; number++)
        assert_false(put_trade(fixture, 0, number, false, TRADE_LIVE));
    assert_true(put_trade(fixture, 0, 3, false, TRADE_LIVE));
}

/* ---- what nobody heard ---- */

static void lose(struct fixture *fixture)
{
    publisher_lost(fixture->publisher, fixture->instruments, wall_us(fixture));
    publisher_end_source(fixture->publisher, fixture->instruments, 0);
    wait_ms(fixture, 5000);
    publisher_restart(fixture->publisher, fixture->instruments);
    clear(fixture);
}

static void trades_that_nobody_heard_are_declared_before_the_next(void **state)
{
    struct fixture *fixture = *state;
    fixture->exchange.trade_ids_consecutive = false;
    put_live(fixture, 0, 7);
    lose(fixture);
    put_live(fixture, 0, 9);
    const char *gap = strstr(said(fixture), "\"type\":\"gap\"");
    const char *trade = strstr(said(fixture), "\"type\":\"trade\"");
    assert_non_null(gap);
    assert_true(trade > gap);
    assert_non_null(strstr(gap, "\"from_ts\":5007,"));
    assert_non_null(strstr(gap, "\"to_ts\":1005000000"));
    put_live(fixture, 0, 11);
    publisher_missing(fixture->publisher, fixture->instrument, wall_us(fixture));
    assert_int_equal(said_count(fixture, "\"channel\":\"trade\""), 1);
}

static void the_exchanges_newest_shows_that_none_was_missed(void **state)
{
    struct fixture *fixture = *state;
    fixture->exchange.trade_ids_consecutive = false;
    put_live(fixture, 0, 7);
    lose(fixture);
    put_trade(fixture, 0, 7, true, TRADE_SNAPSHOT);
    put_live(fixture, 0, 8);
    publisher_missing(fixture->publisher, fixture->instrument, wall_us(fixture));
    assert_int_equal(said_count(fixture, "\"channel\":\"trade\""), 0);
}

static void what_stays_unknown_is_declared_in_the_end(void **state)
{
    struct fixture *fixture = *state;
    fixture->exchange.trade_ids_consecutive = false;
    put_live(fixture, 0, 7);
    lose(fixture);
    publisher_missing(fixture->publisher, fixture->instrument, wall_us(fixture));
    publisher_missing(fixture->publisher, fixture->instrument, wall_us(fixture));
    put_live(fixture, 0, 8);
    assert_int_equal(said_count(fixture, "\"channel\":\"trade\""), 1);
}

static void ids_say_what_was_missed(void **state)
{
    struct fixture *fixture = *state;
    put_live(fixture, 0, 7);
    put_live(fixture, 0, 9); /* waits, and the connection is lost: it goes out, behind its gap */
    publisher_lost(fixture->publisher, fixture->instruments, wall_us(fixture));
    assert_non_null(strstr(said(fixture), "\"after_id\":\"7\",\"before_id\":\"9\""));
    lose(fixture);
    put_live(fixture, 0, 10);
    publisher_missing(fixture->publisher, fixture->instrument, wall_us(fixture));
    assert_int_equal(said_count(fixture, "\"type\":\"trade\""), 1);
    assert_int_equal(said_count(fixture, "\"channel\":\"trade\""), 0);
}

/* ---- books ---- */

static bool put_book(struct fixture *fixture, unsigned source, int64_t id, int64_t us,
                     int64_t price)
{
    const struct level bid = {{.mantissa = price}, {.mantissa = 1}};
    struct event event = {.type = EVENT_BOOK,
                          .exchange_us = us,
                          .order_id = id,
                          .book = {.action = BOOK_SNAPSHOT,
                                   .proof = BOOK_PROOF_WHOLE,
                                   .depth = 2,
                                   .bids = {.level = &bid, .count = 1}}};
    return put(fixture, source, event);
}

/* Two connections through the same books, by number or by time: each price is said once, rising. */
static void books_never_go_back(void **state)
{
    for (int round = 0; round < 20; round++) {
        struct fixture *fixture = *state;
        unsigned at[2] = {1, 1}, newest = 0;
        fixture->random += (uint64_t)round * 31337;
        while (at[0] <= 200 && at[1] <= 200) {
            unsigned source = below(fixture, 2);
            unsigned number = at[source];
            at[source] += below(fixture, 4) == 0 ? 2 : 1; /* one is lost sometimes */
            clear(fixture);
            bool taken =
                put_book(fixture, source, round % 2 == 0 ? number : 0, 1000 + number, 100 + number);
            assert_int_equal(taken, number > newest);
            assert_int_equal(said_count(fixture, "\"type\":\"book\""), number > newest);
            newest = number > newest ? number : newest;
        }
        teardown(state);
        setup(state);
    }
}

static void an_exchange_that_begins_anew_is_followed(void **state)
{
    struct fixture *fixture = *state;
    assert_true(put_book(fixture, 0, 5000, 0, 100));
    assert_true(put_book(fixture, 1, 5001, 0, 101));
    publisher_end_source(fixture->publisher, fixture->instruments, 1);
    clear(fixture);
    for (int64_t id = 1; id <= 20; id++)
        put_book(fixture, 0, id, 0, 200 + id);
    assert_non_null(strstr(said(fixture), "\"220\""));
    publisher_restart(fixture->publisher, fixture->instruments);
    assert_true(put_book(fixture, 0, 3, 0, 300)); /* a new connection: at once */
}

static void a_book_that_does_not_come_is_declared_once(void **state)
{
    struct fixture *fixture = *state;
    publisher_missing(fixture->publisher, fixture->instrument, wall_us(fixture));
    publisher_missing(fixture->publisher, fixture->instrument, wall_us(fixture));
    assert_int_equal(said_count(fixture, "\"channel\":\"book\""), 1);
    clear(fixture);
    put_book(fixture, 0, 1, 0, 100);
    publisher_missing(fixture->publisher, fixture->instrument, wall_us(fixture));
    assert_int_equal(said_count(fixture, "\"type\":\"gap\""), 0);
}

/* ---- what is dropped ---- */

#define BOTH (CHANNEL_BIT(CHANNEL_TRADE) | CHANNEL_BIT(CHANNEL_BOOK))

static void what_is_dropped_and_comes_again_is_told_once_each(void **state)
{
    struct fixture *fixture = *state;
    put_live(fixture, 0, 7);
    put_book(fixture, 0, 50, 0, 100);
    put_live(fixture, 0, 9); /* waits behind a hole that nobody will ask about */
    clear(fixture);
    publisher_drop(fixture->publisher, fixture->instrument, BOTH, SLICE("gone"));
    publisher_drop(fixture->publisher, fixture->instrument, BOTH, SLICE("gone"));
    assert_int_equal(said_count(fixture, "\"state\":\"down\""), 2);
    assert_int_equal(said_count(fixture, "\"reason\":\"gone\""), 2);
    clear(fixture);
    wait_ms(fixture, 60000);
    lose(fixture);
    assert_string_equal(said(fixture), "");
    put_live(fixture, 0, 500);
    put_live(fixture, 0, 501);
    assert_int_equal(said_count(fixture, "\"state\":\"live\""), 1);
    assert_int_equal(said_count(fixture, "\"type\":\"trade\""), 2);
    put_book(fixture, 0, 60, 0, 100); /* the same as before, but clients have forgotten it */
    assert_int_equal(said_count(fixture, "\"state\":\"live\""), 2);
    assert_int_equal(said_count(fixture, "\"action\":\"snapshot\""), 1);
    assert_int_equal(said_count(fixture, "\"type\":\"gap\""), 0);
}

static void what_is_traded_while_dropped_is_not_missing(void **state)
{
    struct fixture *fixture = *state;
    fixture->exchange.trade_ids_consecutive = false;
    put_live(fixture, 0, 7);
    publisher_drop(fixture->publisher, fixture->instrument, BOTH, SLICE("gone"));
    lose(fixture);
    put_live(fixture, 0, 9);
    publisher_missing(fixture->publisher, fixture->instrument, wall_us(fixture));
    assert_int_equal(said_count(fixture, "no connection"), 0);
}

static void what_was_collected_before_says_that_it_is_again(void **state)
{
    struct fixture *fixture = *state;
    publisher_return(fixture->publisher);
    put_live(fixture, 0, 7);
    put_live(fixture, 0, 8);
    assert_int_equal(said_count(fixture, "\"state\":\"live\""), 1);
    put_book(fixture, 0, 50, 0, 100);
    assert_int_equal(said_count(fixture, "\"state\":\"live\""), 2);
    clear(fixture);
    publisher_drop(fixture->publisher, fixture->instrument, BOTH, SLICE("gone"));
    assert_int_equal(said_count(fixture, "\"state\":\"down\""), 2);
}

/* It is no use to whoever asks why nothing comes that it was told for another reason before. */
static void what_was_collected_before_may_be_dropped_unseen(void **state)
{
    struct fixture *fixture = *state;
    publisher_return(fixture->publisher);
    publisher_drop(fixture->publisher, fixture->instrument, BOTH, SLICE("not listed"));
    assert_int_equal(said_count(fixture, "\"reason\":\"not listed\""), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(any_interleaving_gives_each_once_in_order),
        TEST(what_one_loses_the_other_fills),
        TEST(what_both_lose_is_declared_once),
        TEST(a_new_connection_on_an_old_place_counts_anew),
        TEST(trades_that_nobody_heard_are_declared_before_the_next),
        TEST(the_exchanges_newest_shows_that_none_was_missed),
        TEST(what_stays_unknown_is_declared_in_the_end),
        TEST(ids_say_what_was_missed),
        TEST(books_never_go_back),
        TEST(an_exchange_that_begins_anew_is_followed),
        TEST(a_book_that_does_not_come_is_declared_once),
        TEST(what_is_dropped_and_comes_again_is_told_once_each),
        TEST(what_is_traded_while_dropped_is_not_missing),
        TEST(what_was_collected_before_says_that_it_is_again),
        TEST(what_was_collected_before_may_be_dropped_unseen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
