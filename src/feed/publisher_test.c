/* SPDX-License-Identifier: Apache-2.0 */
/* What of an exchange's events becomes a record, through a real sequencer, carrier and journal. */
#include "feed/publisher.h"

#include "base/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "feed/stream_fixture_test.h"

#define STREAM "tw-publisher"

struct fixture {
    struct written_stream stream;
    struct publisher *publisher;
    struct instrument instrument;
};

static int setup(void **state)
{
    static const struct exchange exchange = {.name = "venue"};
    struct fixture *fixture = calloc(1, sizeof *fixture);
    written_stream_open(&fixture->stream, STREAM);
    fixture->publisher = publisher_create(&exchange, fixture->stream.sequencer, 2);
    assert_true(symbol_read(SLICE("BTC-KRW"), &fixture->instrument.symbol));
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    publisher_forget(fixture->publisher, &fixture->instrument);
    publisher_destroy(fixture->publisher);
    written_stream_close(&fixture->stream);
    free(fixture);
    return 0;
}

static struct decimal whole(int64_t number)
{
    return (struct decimal){.mantissa = number, .exponent = 0};
}

/* Publishes and gives what was accepted because of it. */
static const char *published(struct fixture *fixture, struct event event)
{
    event.symbol = &fixture->instrument.symbol;
    event.received_us = 5;
    buffer_clear(&fixture->stream.records);
    publisher_event(fixture->publisher, 0, &fixture->instrument, &event);
    return fixture->stream.records.size == 0 ? "" : fixture->stream.records.data;
}

static struct event trade(const char *id, enum trade_origin origin)
{
    return (struct event){.type = EVENT_TRADE,
                          .trade = {.id = slice_of(id),
                                    .price = whole(7),
                                    .size = whole(2),
                                    .side = SIDE_SELL,
                                    .origin = origin}};
}

static struct event book(const struct level *bids, uint32_t bid_count, const struct level *asks,
                         uint32_t ask_count)
{
    return (struct event){.type = EVENT_BOOK,
                          .book = {.action = BOOK_SNAPSHOT,
                                   .proof = BOOK_PROOF_WHOLE,
                                   .depth = 30,
                                   .bids = {.level = bids, .count = bid_count},
                                   .asks = {.level = asks, .count = ask_count}}};
}

static void a_trade_becomes_one_record(void **state)
{
    assert_string_equal(
        published(*state, trade("17", TRADE_LIVE)),
        "{\"type\":\"trade\",\"seq\":2,\"exchange\":\"venue\",\"symbol\":\"BTC-KRW\",\"recv\":5,"
        "\"id\":\"17\",\"price\":\"7\",\"size\":\"2\",\"side\":\"sell\"}\n");
}

static void trades_repeated_at_subscription_are_dropped(void **state)
{
    assert_string_not_equal(published(*state, trade("17", TRADE_LIVE)), "");
    assert_string_not_equal(published(*state, trade("18446744073709551615", TRADE_LIVE)), "");
    assert_string_equal(published(*state, trade("17", TRADE_SNAPSHOT)), "");
    assert_string_equal(published(*state, trade("18446744073709551615", TRADE_SNAPSHOT)), "");
    assert_string_not_equal(published(*state, trade("18", TRADE_SNAPSHOT)), "");
    assert_string_equal(published(*state, trade("18", TRADE_SNAPSHOT)), "");
    assert_string_equal(published(*state, trade("17", TRADE_LIVE)), ""); /* whatever it is called */
    assert_string_not_equal(published(*state, trade("", TRADE_SNAPSHOT)), "");
    assert_string_not_equal(published(*state, trade("", TRADE_SNAPSHOT)),
                            ""); /* no id: cannot be told apart */
}

static void a_whole_book_becomes_a_snapshot_then_differences(void **state)
{
    const struct level bids[] = {{whole(10), whole(1)}, {whole(9), whole(1)}, {whole(8), whole(1)}};
    const struct level asks[] = {{whole(11), whole(1)}};
    const struct level fewer[] = {{whole(9), whole(1)}, {whole(8), whole(3)}};
    assert_non_null(strstr(published(*state, book(bids, 3, asks, 1)),
                           "\"action\":\"snapshot\",\"proof\":\"whole\",\"depth\":2,"
                           "\"bids\":[[\"10\",\"1\"],[\"9\",\"1\"]],\"asks\":[[\"11\",\"1\"]]}"));
    assert_string_equal(published(*state, book(bids, 3, asks, 1)), ""); /* the same again */
    assert_string_equal(published(*state, book(bids, 2, asks, 1)), ""); /* below the view */
    assert_non_null(
        strstr(published(*state, book(fewer, 2, asks, 1)),
               "\"action\":\"update\",\"bids\":[[\"10\",\"0\"],[\"8\",\"3\"]],\"asks\":[]}"));
    assert_non_null(strstr(published(*state, book(fewer, 2, asks, 0)),
                           "\"action\":\"update\",\"bids\":[],\"asks\":[[\"11\",\"0\"]]}"));
}

static void a_difference_without_a_snapshot_is_said_once_a_connection(void **state)
{
    struct fixture *fixture = *state;
    const struct level bids[] = {{whole(10), whole(1)}};
    struct event event = book(bids, 1, NULL, 0);
    event.book.action = BOOK_UPDATE;
    event.book.proof = BOOK_PROOF_NONE;
    const char *said = published(fixture, event);
    assert_non_null(strstr(said, "{\"type\":\"gap\""));
    assert_non_null(strstr(said, "\"channel\":\"book\""));
    assert_non_null(strstr(said, "\"filled\":false"));
    assert_string_equal(published(fixture, event), "");
    struct instruments *instruments = instruments_create(4, false);
    struct instrument *again =
        instruments_add(instruments, &fixture->instrument.symbol, SLICE("KRW-BTC"));
    again->context = fixture->instrument.context;
    publisher_restart(fixture->publisher, instruments);
    assert_string_not_equal(published(fixture, event), "");
    instruments_destroy(instruments);
}

static void the_first_book_in_an_epoch_is_a_snapshot(void **state)
{
    struct fixture *fixture = *state;
    struct sequencer *sequencer = fixture->stream.sequencer;
    const struct level bids[] = {{whole(10), whole(1)}};
    assert_non_null(strstr(published(fixture, book(bids, 1, NULL, 0)), "snapshot"));
    assert_string_equal(published(fixture, book(bids, 1, NULL, 0)), "");
    sequencer_begin(sequencer, sequencer_stream(sequencer), 2, 1, sequencer_next(sequencer) - 1);
    assert_int_equal(sequencer_open_epoch(sequencer, "n", 1), CARRIER_TAKEN);
    assert_non_null(strstr(published(fixture, book(bids, 1, NULL, 0)), "snapshot"));
    assert_string_equal(published(fixture, book(bids, 1, NULL, 0)), "");
}

static void a_lost_connection_takes_the_books_back(void **state)
{
    struct fixture *fixture = *state;
    const struct level bids[] = {{whole(10), whole(1)}};
    struct instruments *instruments = instruments_create(4, false);
    struct instrument *instrument =
        instruments_add(instruments, &fixture->instrument.symbol, SLICE("KRW-BTC"));
    assert_non_null(strstr(published(fixture, book(bids, 1, NULL, 0)), "snapshot"));
    instrument->context = fixture->instrument.context;
    buffer_clear(&fixture->stream.records);
    publisher_lost(fixture->publisher, instruments, 9);
    assert_non_null(strstr(fixture->stream.records.data, "{\"type\":\"gap\""));
    int64_t count = fixture->stream.count;
    publisher_lost(fixture->publisher, instruments, 9);
    assert_int_equal(fixture->stream.count, count); /* once */
    assert_non_null(strstr(published(fixture, book(bids, 1, NULL, 0)), "snapshot"));
    instruments_destroy(instruments);
}

static void expect_written(const char *line)
{
    struct buffer out;
    buffer_init(&out, MEBIBYTE);
    metric_write_all(&out);
    if (strstr(out.data, line) == NULL)
        fail_msg("no %s in:\n%s", line, out.data);
    buffer_release(&out);
}

/* In a series of its own, because the others count as well. */
static void latency_is_from_the_exchange_to_us(void **state)
{
    static const struct exchange exchange = {.name = "timed"};
    struct fixture *fixture = *state;
    struct publisher *publisher = publisher_create(&exchange, fixture->stream.sequencer, 2);
    const struct {
        int64_t exchange_us;
        enum trade_origin origin;
    } rows[] = {
        {1000000 - 300, TRADE_LIVE},
        {1000000 + 70, TRADE_LIVE}, /* its clock is ahead: 0 */
        {0, TRADE_LIVE},            /* not given */
        {5, TRADE_SNAPSHOT},        /* old by nature */
        {5, TRADE_REST},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct event event = trade("", rows[i].origin);
        event.symbol = &fixture->instrument.symbol;
        event.exchange_us = rows[i].exchange_us;
        event.received_us = 1000000;
        publisher_event(publisher, 0, &fixture->instrument, &event);
    }
#define LATENCY "\ntickwire_exchange_latency_seconds"
    expect_written(LATENCY "_bucket{exchange=\"timed\",le=\"0.00001\"} 1\n");
    expect_written(LATENCY "_bucket{exchange=\"timed\",le=\"0.00025\"} 1\n");
    expect_written(LATENCY "_bucket{exchange=\"timed\",le=\"0.0005\"} 2\n");
    expect_written(LATENCY "_sum{exchange=\"timed\"} 0.000300\n");
    expect_written(LATENCY "_count{exchange=\"timed\"} 2\n");
    publisher_destroy(publisher);
}

static void candles_are_not_part_of_the_stream(void **state)
{
    assert_string_equal(published(*state, (struct event){.type = EVENT_CANDLE}), "");
}

static void a_status_is_of_the_exchange(void **state)
{
    struct fixture *fixture = *state;
    publisher_status(
        fixture->publisher,
        &(struct publisher_notice){.state = STATUS_DOWN, .reason = SLICE("it \"said\" no\n")}, 77);
    assert_string_equal(
        fixture->stream.records.data,
        "{\"type\":\"status\",\"seq\":2,\"exchange\":\"venue\",\"recv\":77,\"state\":\"down\","
        "\"reason\":\"it \\\"said\\\" no\\n\"}\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_trade_becomes_one_record),
        TEST(trades_repeated_at_subscription_are_dropped),
        TEST(a_whole_book_becomes_a_snapshot_then_differences),
        TEST(a_difference_without_a_snapshot_is_said_once_a_connection),
        TEST(the_first_book_in_an_epoch_is_a_snapshot),
        TEST(a_lost_connection_takes_the_books_back),
        TEST(latency_is_from_the_exchange_to_us),
        TEST(candles_are_not_part_of_the_stream),
        TEST(a_status_is_of_the_exchange),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
