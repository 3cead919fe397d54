/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/quotation_message.h"
#include "sim/quotation_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define AT_US INT64_C(1790133513739001) /* 2026-09-23 03:18:33 UTC */
#define DAY_US (INT64_C(86400) * 1000000)

static struct flow_level bids[] = {{116208, 90000, 1}, {116207, 4000, 2}, {116199, 250000, 1}};
static struct flow_level asks[] = {{116209, 100000, 1}};

/* Of the size of a won, with a book of three bids and one ask. */
struct fixture {
    struct market markets[2];
    struct exchange exchange;
    struct quotation_style upbit, bithumb;
    struct trade trade;
    struct buffer out;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){
        .markets = {{.index = 0,
                     .quote = "KRW",
                     .base = "BTC",
                     .native = "KRW-BTC",
                     .tick = 1000,
                     .size_scale = 8,
                     .value_scale = 3},
                    {.index = 1,
                     .quote = "USDT",
                     .base = "BTC",
                     .native = "USDT-BTC",
                     .tick = 1,
                     .price_scale = 2,
                     .size_scale = 8}},
        .upbit = {.only_snapshot = {"is_only_snapshot", "isOnlySnapshot"},
                  .only_realtime = {"is_only_realtime", "isOnlyRealtime"},
                  .units_max = 30,
                  .unit_counts = {1, 5, 15, 30},
                  .book_decimals = 8,
                  .spellings = true,
                  .best = true,
                  .lists = true,
                  .candles = true,
                  .format_strict = true,
                  .no_delisting = "null",
                  .no_type = QUOTATION_NO_TYPE,
                  .no_codes = QUOTATION_NO_CODES},
        .bithumb = {.only_snapshot = {"isOnlySnapshot"},
                    .only_realtime = {"isOnlyRealtime"},
                    .units_max = 15,
                    .book_decimals = 4,
                    .zone_us = 9 * DAY_US / 24,
                    .rest_ahead_us = 9 * DAY_US / 24,
                    .level_default = 1,
                    .book_time_us = true,
                    .level_strict = true,
                    .no_delisting = "\"\"",
                    .no_type = QUOTATION_WRONG_FORMAT,
                    .no_codes = QUOTATION_INVALID_PARAM},
        .trade = {.index = 1,
                  .id = 1790133513739001,
                  .price = 116208,
                  .size = 79276,
                  .at_us = AT_US,
                  .buyer_takes = true},
    };
    struct market *market = &fixture.markets[0];
    market->flow.sides[FLOW_BID] = (struct flow_levels){.items = bids, .count = COUNT_OF(bids)};
    market->flow.sides[FLOW_ASK] = (struct flow_levels){.items = asks, .count = COUNT_OF(asks)};
    market->truth.open = 115000;
    market->truth.last = 116208;
    fixture.exchange = (struct exchange){.markets = fixture.markets, .market_count = 2};
    buffer_init(&fixture.out, 65536);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    buffer_release(&fixture->out);
    return 0;
}

static struct quotation_view view_of(const struct fixture *fixture,
                                     const struct quotation_style *style)
{
    return (struct quotation_view){.style = style,
                                   .market = &fixture->markets[0],
                                   .trade = &fixture->trade,
                                   .units = 4,
                                   .level = 1,
                                   .now_us = AT_US + 300000,
                                   .book_us = AT_US};
}

static void trades_of_upbit(void **state)
{
    struct fixture *fixture = *state;
    struct quotation_view view = view_of(fixture, &fixture->upbit);
    view.snapshot = true;
    quotation_write_trade(&view, &fixture->out);
    assert_string_equal(
        fixture->out.data,
        "{\"type\":\"trade\",\"code\":\"KRW-BTC\",\"timestamp\":1790133514039,"
        "\"trade_date\":\"2026-09-23\",\"trade_time\":\"03:18:33\","
        "\"trade_timestamp\":1790133513739,\"trade_price\":1.16208E8,\"trade_volume\":7.9276E-4,"
        "\"ask_bid\":\"BID\",\"prev_closing_price\":1.15E8,\"change\":\"RISE\","
        "\"change_price\":1208000.0,\"sequential_id\":1790133513739001,"
        "\"best_ask_price\":1.16209E8,\"best_ask_size\":0.001,\"best_bid_price\":1.16208E8,"
        "\"best_bid_size\":9.0E-4,\"stream_type\":\"SNAPSHOT\"}");
}

static void trades_of_bithumb(void **state)
{
    struct fixture *fixture = *state;
    struct quotation_view view = view_of(fixture, &fixture->bithumb);
    view.format = QUOTATION_SIMPLE;
    fixture->trade.id = UINT64_C(1079953210371761683);
    quotation_write_trade(&view, &fixture->out);
    assert_string_equal(fixture->out.data,
                        "{\"ty\":\"trade\",\"cd\":\"KRW-BTC\",\"td\":\"2026-09-23\","
                        "\"ttm\":\"12:18:33\",\"ttms\":1790133513739,\"tp\":116208000,"
                        "\"tv\":0.00079276,\"ab\":\"BID\",\"pcp\":115000000,\"c\":\"RISE\","
                        "\"cp\":1208000,\"sid\":1079953210371761683,\"tms\":1790133514039,"
                        "\"st\":\"REALTIME\"}");
}

static void keys_turn(void **state)
{
    struct fixture *fixture = *state;
    struct quotation_view view = view_of(fixture, &fixture->bithumb);
    view.turn = 10;
    quotation_write_trade(&view, &fixture->out);
    assert_memory_equal(fixture->out.data, "{\"trade_price\":116208000,", 25);
    assert_non_null(strstr(fixture->out.data, ",\"code\":\"KRW-BTC\""));
}

/* Padding; a price that lives with a size of 0.00004, and one of 0.00025 that is rounded. */
static void books_of_bithumb(void **state)
{
    struct fixture *fixture = *state;
    struct quotation_view view = view_of(fixture, &fixture->bithumb);
    quotation_write_book(&view, &fixture->out);
    assert_string_equal(
        fixture->out.data,
        "{\"type\":\"orderbook\",\"code\":\"KRW-BTC\",\"total_ask_size\":0.001,"
        "\"total_bid_size\":0.0034,\"orderbook_units\":["
        "{\"ask_price\":116209000,\"bid_price\":116208000,\"ask_size\":0.001,\"bid_size\":0.0009},"
        "{\"ask_price\":0,\"bid_price\":116207000,\"ask_size\":0,\"bid_size\":0},"
        "{\"ask_price\":0,\"bid_price\":116199000,\"ask_size\":0,\"bid_size\":0.0025},"
        "{\"ask_price\":0,\"bid_price\":0,\"ask_size\":0,\"bid_size\":0}],"
        "\"level\":1,\"timestamp\":1790133513739001,\"stream_type\":\"REALTIME\"}");
}

static void books_of_upbit_are_grouped(void **state)
{
    struct fixture *fixture = *state;
    struct quotation_view view = view_of(fixture, &fixture->upbit);
    view.format = QUOTATION_SIMPLE_LIST;
    view.level = 10;
    view.units = 2;
    quotation_write_book(&view, &fixture->out);
    assert_string_equal(fixture->out.data,
                        "[{\"ty\":\"orderbook\",\"cd\":\"KRW-BTC\",\"tms\":1790133513739,"
                        "\"tas\":0.001,\"tbs\":0.00344,\"obu\":["
                        "{\"ap\":116210000,\"bp\":116200000,\"as\":0.001,\"bs\":9.4E-4},"
                        "{\"ap\":0,\"bp\":116190000,\"as\":0,\"bs\":0.0025}],"
                        "\"lv\":10000,\"st\":\"REALTIME\"}]");
}

static void numbers_have_many_spellings(void **state)
{
    struct fixture *fixture = *state;
    static const char *const prices[] = {":1.16208E8,", ":116208000.00000000,", ":116208000.0,"};
    fixture->trade.size = 6;
    for (unsigned spelling = 0; spelling < 3; spelling++) {
        struct quotation_view view = view_of(fixture, &fixture->upbit);
        view.spelling = spelling;
        buffer_clear(&fixture->out);
        quotation_write_trade(&view, &fixture->out);
        assert_non_null(strstr(fixture->out.data, prices[spelling]));
    }
    struct quotation_view view = view_of(fixture, &fixture->upbit);
    view.spelling = 4;
    buffer_clear(&fixture->out);
    quotation_write_trade(&view, &fixture->out);
    assert_non_null(strstr(fixture->out.data, "\"trade_volume\":6E-8,"));
}

/* ---- requests ---- */

static void expect_error(const struct fixture *fixture, const struct quotation_style *style,
                         const char *text, enum quotation_error error)
{
    struct quotation_request request;
    assert_int_equal(quotation_request_read(style, &fixture->exchange, slice_of(text), &request),
                     error);
}

static void wrong_requests(void **state)
{
    const struct fixture *fixture = *state;
    expect_error(fixture, &fixture->upbit, "", QUOTATION_WRONG_FORMAT);
    expect_error(fixture, &fixture->upbit, "{\"ticket\":\"x\"}", QUOTATION_WRONG_FORMAT);
    expect_error(fixture, &fixture->upbit, "[]", QUOTATION_NO_TICKET);
    expect_error(fixture, &fixture->upbit, "[{\"ticket\":1},{\"type\":\"trade\"}]",
                 QUOTATION_NO_TICKET);
    expect_error(fixture, &fixture->upbit, "[{\"ticket\":\"x\"},7]", QUOTATION_WRONG_FORMAT);
    expect_error(fixture, &fixture->upbit,
                 "[{\"ticket\":\"x\"},{\"type\":\"trade\",\"codes\":[5]}]", QUOTATION_WRONG_FORMAT);
    expect_error(fixture, &fixture->upbit,
                 "[{\"ticket\":\"x\"},{\"format\":\"XML\"},"
                 "{\"type\":\"trade\",\"codes\":[\"KRW-BTC\"]}]",
                 QUOTATION_INVALID_PARAM);
    expect_error(fixture, &fixture->bithumb,
                 "[{\"ticket\":\"x\"},{\"type\":\"candle.1s\",\"codes\":[\"KRW-BTC\"]}]",
                 QUOTATION_INVALID_PARAM);
}

static struct quotation_request read_good(const struct fixture *fixture,
                                          const struct quotation_style *style, const char *text)
{
    struct quotation_request request;
    assert_int_equal(quotation_request_read(style, &fixture->exchange, slice_of(text), &request),
                     QUOTATION_GOOD);
    return request;
}

static void requests_are_read(void **state)
{
    const struct fixture *fixture = *state;
    struct quotation_request request = read_good(
        fixture, &fixture->upbit,
        "[{\"format\":\"SIMPLE\"},{\"type\":\"orderbook\",\"codes\":[\"KRW-BTC.5\",\"KRW-NO\"],"
        "\"level\":10000,\"is_only_snapshot\":true},{\"ticket\":\"x\"},"
        "{\"type\":\"trade\",\"codes\":[\"USDT-BTC\",\"krw-btc\"],\"isOnlyRealtime\":true}]");
    const struct quotation_wish *wishes = request.subscription.wishes;
    assert_int_equal(request.subscription.format, QUOTATION_SIMPLE);
    assert_int_equal(wishes[0].live, 0);
    assert_int_equal(wishes[0].once, QUOTATION_BOOK);
    assert_int_equal(wishes[0].units, 5);
    assert_int_equal(wishes[0].level, 10);
    assert_int_equal(wishes[1].live, QUOTATION_TRADE);
    assert_int_equal(wishes[1].once, 0);
    assert_string_equal(request.ticket, "x");
    quotation_subscription_release(&request.subscription);
}

static void levels_that_there_are(void **state)
{
    const struct fixture *fixture = *state;
    json_t *level = json_integer(100000);
    assert_int_equal(quotation_level_ticks(&fixture->markets[0], level, 0), 100);
    assert_int_equal(quotation_level_ticks(&fixture->markets[1], level, 0), 0);
    json_integer_set(level, 7);
    assert_int_equal(quotation_level_ticks(&fixture->markets[0], level, 0), 0);
    json_integer_set(level, INT64_MAX);
    assert_int_equal(quotation_level_ticks(&fixture->markets[0], level, 0), 0);
    json_decref(level);
    level = json_real(1e300);
    assert_int_equal(quotation_level_ticks(&fixture->markets[0], level, 0), 0);
    json_decref(level);
    struct market cheap = {.quote = "KRW", .price_scale = 3, .tick = 1};
    level = json_real(0.01);
    assert_int_equal(quotation_level_ticks(&cheap, level, 0), 10);
    json_decref(level);
    level = json_real(0.0);
    assert_int_equal(quotation_level_ticks(&fixture->markets[0], level, 0), 1);
    json_decref(level);
    assert_int_equal(quotation_level_ticks(&fixture->markets[0], NULL, 1), 1);
}

static void ids_are_unique_and_mixed(void **state)
{
    struct quotation_market own = {0};
    uint64_t ids[1000];
    size_t backwards = 0;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        ids[i] = quotation_trade_id(&own, 1000, AT_US + (int64_t)i * 5000);
        assert_true(ids[i] >= UINT64_C(1000000000000000) && ids[i] < UINT64_C(10000000000000000));
        for (size_t k = 0; k < i; k++)
            assert_true(ids[i] != ids[k]);
        backwards += i > 0 && ids[i] < ids[i - 1];
    }
    assert_true(backwards > 10);
}

/* The fault `clock` may turn it back for long. */
static void ids_stay_unique_when_the_clock_goes_back(void **state)
{
    struct quotation_market own = {0};
    uint64_t before = quotation_trade_id(&own, 1, AT_US);
    uint64_t ids[200];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        ids[i] = quotation_trade_id(&own, 1, AT_US - DAY_US);
        assert_true(ids[i] != before);
        for (size_t k = 0; k < i; k++)
            assert_true(ids[i] != ids[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(trades_of_upbit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trades_of_bithumb, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(books_of_bithumb, set_up, tear_down),
        cmocka_unit_test_setup_teardown(books_of_upbit_are_grouped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(numbers_have_many_spellings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_requests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(requests_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(levels_that_there_are, set_up, tear_down),
        cmocka_unit_test(ids_are_unique_and_mixed),
        cmocka_unit_test(ids_stay_unique_when_the_clock_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
