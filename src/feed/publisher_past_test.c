/* SPDX-License-Identifier: Apache-2.0 */
/* A publisher that goes on behind what another node has written: through a real sequencer, carrier
 * and journal. */
#include "feed/publisher.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "feed/stream_fixture_test.h"
#include "feed/trade_filter.h"

#define MS INT64_C(1000000)
#define SECOND_US INT64_C(1000000)
#define NOW_US (INT64_C(1790000000) * SECOND_US)
#define LOG_MAX 8

struct fixture {
    struct written_stream stream;
    struct exchange exchange;
    struct publisher *publisher;
    struct instruments *instruments;
    struct instrument *instrument;
    struct event log[LOG_MAX]; /* what it holds of the symbol */
    unsigned log_count, asked;
    uint32_t not_live, exchange_not_live, down;
    int64_t now_us;
};

static int64_t wall_us(void *context)
{
    return ((struct fixture *)context)->now_us;
}

static int64_t monotonic_ns(void *context)
{
    return ((struct fixture *)context)->now_us * 1000;
}

static void visit_trades(void *context, struct slice exchange, struct slice symbol,
                         publisher_trade_fn *visit, void *visitor)
{
    struct fixture *fixture = context;
    assert_true(slice_is(exchange, "venue") && slice_is(symbol, "BTC-KRW"));
    fixture->asked++;
    for (unsigned i = 0; i < fixture->log_count; i++)
        visit(visitor, &fixture->log[i]);
}

static uint32_t not_live(void *context, struct slice exchange, struct slice symbol)
{
    struct fixture *fixture = context;
    assert_true(slice_is(exchange, "venue"));
    return symbol.size == 0 ? fixture->exchange_not_live : fixture->not_live;
}

static uint32_t down(void *context, struct slice exchange, struct slice symbol)
{
    assert_true(slice_is(exchange, "venue") && slice_is(symbol, "BTC-KRW"));
    return ((struct fixture *)context)->down;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct symbol symbol;
    static struct clock_source source = {.wall_us = wall_us, .monotonic_ns = monotonic_ns};
    written_stream_open(&fixture->stream, "tw-past");
    fixture->exchange = (struct exchange){.name = "venue"};
    fixture->instruments = instruments_create(4, false);
    assert_true(symbol_read(SLICE("BTC-KRW"), &symbol));
    fixture->instrument = instruments_add(fixture->instruments, &symbol, SLICE("KRW-BTC"));
    fixture->instrument->wanted = CHANNEL_BIT(CHANNEL_TRADE) | CHANNEL_BIT(CHANNEL_BOOK);
    fixture->now_us = NOW_US;
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

static void take_over(struct fixture *fixture)
{
    const struct publisher_past past = {
        .visit_trades = visit_trades, .not_live = not_live, .down = down, .context = fixture};
    fixture->publisher = publisher_create(&fixture->exchange, fixture->stream.sequencer, 2);
    publisher_go_on(fixture->publisher, &past);
}

/* id "": none. before_s: how long ago it was made. */
static struct event trade(const char *id, int64_t before_s, enum trade_origin origin)
{
    return (struct event){.type = EVENT_TRADE,
                          .exchange_us = NOW_US - before_s * SECOND_US,
                          .received_us = NOW_US - before_s * SECOND_US + 7,
                          .trade = {.id = slice_of(id),
                                    .price = {.mantissa = 150, .exponent = -2},
                                    .size = {.mantissa = 1},
                                    .side = SIDE_BUY,
                                    .origin = origin}};
}

static void log_has(struct fixture *fixture, struct event event)
{
    fixture->log[fixture->log_count++] = event;
}

static bool put(struct fixture *fixture, struct event event)
{
    event.symbol = &fixture->instrument->symbol;
    event.received_us = fixture->now_us;
    return publisher_event(fixture->publisher, 0, fixture->instrument, &event);
}

static unsigned said(struct fixture *fixture, const char *what)
{
    unsigned count = 0;
    const char *text = fixture->stream.records.size == 0 ? "" : fixture->stream.records.data;
    for (const char *at = strstr(text, what); at != NULL; at = strstr(at + 1, what))
        count++;
    return count;
}

static void wait_ms(struct fixture *fixture, int64_t ms)
{
    fixture->now_us += ms * 1000;
    publisher_check(fixture->publisher, fixture->instruments, fixture->now_us * 1000);
}

/* ---- trades ---- */

static void what_the_log_has_is_not_said_again(void **state)
{
    struct fixture *fixture = *state;
    log_has(fixture, trade("7", 20, TRADE_LIVE));
    log_has(fixture, trade("5", 10, TRADE_LIVE));
    take_over(fixture);
    assert_false(put(fixture, trade("5", 10, TRADE_SNAPSHOT)));
    assert_false(put(fixture, trade("7", 20, TRADE_SNAPSHOT)));
    assert_int_equal(fixture->stream.records.size, 0);
    /* The exchange's newest was there: nothing is missing. */
    assert_true(put(fixture, trade("3", 0, TRADE_LIVE)));
    assert_int_equal(said(fixture, "\"type\":\"gap\""), 0);
    assert_int_equal(said(fixture, "\"type\":\"trade\""), 1);
    assert_int_equal(fixture->asked, 1);
}

static void trades_without_ids_are_counted(void **state)
{
    struct fixture *fixture = *state;
    log_has(fixture, trade("", 10, TRADE_LIVE));
    log_has(fixture, trade("", 10, TRADE_LIVE));
    take_over(fixture);
    struct event other_scale = trade("", 10, TRADE_SNAPSHOT);
    other_scale.trade.price = (struct decimal){.mantissa = 15, .exponent = -1};
    assert_false(put(fixture, other_scale));
    assert_false(put(fixture, trade("", 10, TRADE_SNAPSHOT)));
    assert_true(put(fixture, trade("", 10, TRADE_SNAPSHOT))); /* the third of them */
    assert_int_equal(said(fixture, "\"type\":\"trade\""), 1);
}

static void without_ids_in_order_nobody_knows_what_is_missing(void **state)
{
    struct fixture *fixture = *state;
    log_has(fixture, trade("7", 20, TRADE_LIVE));
    take_over(fixture);
    assert_true(put(fixture, trade("9", 0, TRADE_LIVE)));
    char times[100];
    snprintf(times, sizeof times, "\"from_ts\":%lld,\"to_ts\":%lld",
             (long long)(NOW_US - 21 * SECOND_US), (long long)NOW_US);
    assert_int_equal(said(fixture, times), 1);
    assert_int_equal(said(fixture, "\"filled\":false"), 1);
    assert_true(put(fixture, trade("10", 0, TRADE_LIVE)));
    assert_int_equal(said(fixture, "\"type\":\"gap\""), 1);
}

static void nothing_comes_and_that_is_said(void **state)
{
    struct fixture *fixture = *state;
    log_has(fixture, trade("7", 20, TRADE_LIVE));
    take_over(fixture);
    publisher_missing(fixture->publisher, fixture->instrument, fixture->now_us);
    assert_int_equal(said(fixture, "\"channel\":\"trade\""), 1);
    assert_int_equal(said(fixture, "\"channel\":\"book\""), 1);
}

/* Its last trade is older than keys are kept. */
static void a_quiet_symbol_does_not_repeat_itself(void **state)
{
    struct fixture *fixture = *state;
    log_has(fixture, trade("", 3600, TRADE_LIVE));
    take_over(fixture);
    assert_false(put(fixture, trade("", 3600, TRADE_SNAPSHOT)));
    assert_int_equal(fixture->stream.records.size, 0);
    assert_true(put(fixture, trade("", 1, TRADE_LIVE)));
    assert_int_equal(said(fixture, "\"type\":\"gap\""), 0);
    fixture->now_us += 3600 * SECOND_US; /* nor does it at the next connection */
    publisher_lost(fixture->publisher, fixture->instruments, fixture->now_us);
    publisher_restart(fixture->publisher, fixture->instruments);
    assert_false(put(fixture, trade("", 1, TRADE_SNAPSHOT)));
    assert_int_equal(said(fixture, "\"type\":\"trade\""), 1);
    assert_int_equal(said(fixture, "\"type\":\"gap\""), 0);
}

static void consecutive_ids_go_on(void **state)
{
    struct fixture *fixture = *state;
    fixture->exchange.trade_ids_consecutive = true;
    log_has(fixture, trade("100", 30, TRADE_LIVE));
    log_has(fixture, trade("102", 20, TRADE_LIVE)); /* a gap was said then */
    log_has(fixture, trade("101", 20, TRADE_REST));
    take_over(fixture);
    assert_true(put(fixture, trade("103", 0, TRADE_LIVE)));
    wait_ms(fixture, 1000);
    assert_int_equal(said(fixture, "\"type\":\"gap\""), 0);
    assert_int_equal(said(fixture, "\"id\":\"103\""), 1);
}

static void a_jump_of_consecutive_ids_is_a_hole(void **state)
{
    struct fixture *fixture = *state;
    fixture->exchange.trade_ids_consecutive = true;
    log_has(fixture, trade("100", 20, TRADE_LIVE));
    take_over(fixture);
    assert_true(put(fixture, trade("105", 0, TRADE_LIVE)));
    assert_int_equal(fixture->stream.records.size, 0); /* it waits */
    wait_ms(fixture, 1000);
    assert_int_equal(said(fixture, "\"after_id\":\"100\",\"before_id\":\"105\""), 1);
    assert_int_equal(said(fixture, "\"missing\":4,\"filled\":false"), 1);
    assert_int_equal(said(fixture, "\"id\":\"105\""), 1);
    assert_int_equal(said(fixture, "\"type\":\"gap\""), 1);
}

static void while_it_was_not_collected_nothing_is_missing(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct fixture *fixture = *state;
        fixture->exchange.trade_ids_consecutive = i == 0;
        fixture->down = CHANNEL_BIT(CHANNEL_TRADE);
        log_has(fixture, trade("100", 20, TRADE_LIVE));
        take_over(fixture);
        assert_false(put(fixture, trade("100", 20, TRADE_SNAPSHOT)));
        assert_true(put(fixture, trade("105", 0, TRADE_LIVE)));
        publisher_missing(fixture->publisher, fixture->instrument, fixture->now_us);
        assert_int_equal(said(fixture, "\"channel\":\"trade\""), 0);
        assert_int_equal(said(fixture, "\"type\":\"trade\""), 1);
        teardown(state);
        setup(state);
    }
    take_over(*state);
}

static void a_log_that_has_nothing_is_a_first_start(void **state)
{
    struct fixture *fixture = *state;
    take_over(fixture);
    assert_true(put(fixture, trade("9", 3600, TRADE_SNAPSHOT)));
    publisher_missing(fixture->publisher, fixture->instrument, fixture->now_us);
    assert_int_equal(said(fixture, "\"channel\":\"trade\""), 0);
    assert_int_equal(said(fixture, "\"type\":\"trade\""), 1);
}

/* ---- what was told ---- */

static void what_was_not_live_is_told_as_live(void **state)
{
    struct fixture *fixture = *state;
    fixture->not_live = CHANNEL_BIT(CHANNEL_TRADE);
    fixture->exchange_not_live = CHANNEL_BIT(CHANNEL_TICKER);
    take_over(fixture);
    assert_true(put(fixture, (struct event){.type = EVENT_TICKER}));
    assert_int_equal(said(fixture, "\"exchange\":\"venue\",\"recv\":1790000000000000,"
                                   "\"state\":\"live\",\"channel\":\"ticker\""),
                     1);
    assert_true(put(fixture, trade("9", 0, TRADE_LIVE)));
    assert_int_equal(said(fixture, "\"symbol\":\"BTC-KRW\",\"recv\":1790000000000000,"
                                   "\"state\":\"live\",\"channel\":\"trade\""),
                     1);
    assert_true(put(fixture, trade("10", 0, TRADE_LIVE)));
    assert_true(put(fixture, (struct event){.type = EVENT_TICKER, .exchange_us = 9}));
    assert_int_equal(said(fixture, "\"type\":\"status\""), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_the_log_has_is_not_said_again),
        TEST(trades_without_ids_are_counted),
        TEST(without_ids_in_order_nobody_knows_what_is_missing),
        TEST(nothing_comes_and_that_is_said),
        TEST(a_quiet_symbol_does_not_repeat_itself),
        TEST(consecutive_ids_go_on),
        TEST(a_jump_of_consecutive_ids_is_a_hole),
        TEST(while_it_was_not_collected_nothing_is_missing),
        TEST(a_log_that_has_nothing_is_a_first_start),
        TEST(what_was_not_live_is_told_as_live),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
