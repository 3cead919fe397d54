/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked at any time, from records written by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "keeper/keeper_fixture_test.h"
#include "keeper/trade_ring.h"
#include "market/event.h"

#define BTC_USDT ((struct keeper_pair){.exchange = SLICE("binance"), .symbol = SLICE("BTC-USDT")})
#define BTC_KRW ((struct keeper_pair){.exchange = SLICE("upbit"), .symbol = SLICE("BTC-KRW")})
#define ETH_KRW ((struct keeper_pair){.exchange = SLICE("upbit"), .symbol = SLICE("ETH-KRW")})
#define ETH "\"exchange\":\"upbit\",\"symbol\":\"ETH-KRW\",\"recv\":1790133513740000"
#define BOOK                                                                                       \
    BTC ",\"action\":\"snapshot\",\"proof\":\"whole\",\"depth\":3,"                                \
        "\"bids\":[[\"10\",\"1\"],[\"9\",\"1\"],[\"8\",\"1\"]],\"asks\":[[\"11\",\"1\"]]"

/* ---- tickers ---- */

static const char *tickers(struct fixture *fixture, struct keeper_pair pair, uint32_t count,
                           int64_t seq)
{
    buffer_clear(&fixture->told);
    struct keeper_found silent = keeper_find_tickers(fixture->keeper, &pair, NULL, NULL);
    struct keeper_found found = keeper_find_tickers(fixture->keeper, &pair, append_line, fixture);
    assert_int_equal(silent.count, found.count);
    assert_int_equal(silent.seq, found.seq);
    assert_int_equal(found.count, count);
    assert_int_equal(found.seq, seq);
    assert_int_equal(found.left_out, 0);
    return fixture->told.data;
}

static void tickers_are_filtered_by_either(void **state)
{
    accept(*state, "ticker", BTC ",\"last\":\"1\"");
    accept(*state, "ticker", KRW ",\"last\":\"2\"");
    accept(*state, "trade", KRW ",\"price\":\"3\",\"size\":\"1\",\"side\":\"buy\"");
    accept(*state, "ticker", ETH ",\"last\":\"4\"");
    accept(*state, "ticker", BTC ",\"last\":\"5\"");
    struct keeper_pair pair = {.exchange = SLICE("")};
    assert_string_equal(tickers(*state, pair, 3, 5),
                        "{\"type\":\"ticker\",\"seq\":5," BTC ",\"last\":\"5\"}\n"
                        "{\"type\":\"ticker\",\"seq\":2," KRW ",\"last\":\"2\"}\n"
                        "{\"type\":\"ticker\",\"seq\":4," ETH ",\"last\":\"4\"}\n");
    pair.exchange = SLICE("upbit");
    assert_string_equal(tickers(*state, pair, 2, 4),
                        "{\"type\":\"ticker\",\"seq\":2," KRW ",\"last\":\"2\"}\n"
                        "{\"type\":\"ticker\",\"seq\":4," ETH ",\"last\":\"4\"}\n");
    pair = (struct keeper_pair){.symbol = SLICE("BTC-KRW")};
    assert_string_equal(tickers(*state, pair, 1, 2),
                        "{\"type\":\"ticker\",\"seq\":2," KRW ",\"last\":\"2\"}\n");
    assert_string_equal(tickers(*state, BTC_USDT, 1, 5),
                        "{\"type\":\"ticker\",\"seq\":5," BTC ",\"last\":\"5\"}\n");
}

static void tickers_that_are_not_there(void **state)
{
    struct keeper_pair pair = {.exchange = SLICE("")};
    assert_string_equal(tickers(*state, pair, 0, 0), "");
    accept(*state, "ticker", BTC ",\"last\":\"1\"");
    assert_string_equal(tickers(*state, BTC_KRW, 0, 0), "");
    pair.exchange = SLICE("binanc");
    assert_string_equal(tickers(*state, pair, 0, 0), "");
    pair.exchange = SLICE("binances");
    assert_string_equal(tickers(*state, pair, 0, 0), "");
}

/* ---- pairs ---- */

static void append_pair(void *context, const struct keeper_pair *pair, uint32_t types)
{
    struct fixture *fixture = context;
    buffer_append_format(
        &fixture->told, "%.*s %.*s%s%s%s%s\n", (int)pair->exchange.size, pair->exchange.data,
        (int)pair->symbol.size, pair->symbol.data, types & 1u << EVENT_TRADE ? " trade" : "",
        types & 1u << EVENT_TICKER ? " ticker" : "", types & 1u << EVENT_QUOTE ? " quote" : "",
        types & 1u << EVENT_BOOK ? " book" : "");
}

static void pairs_are_found_once(void **state)
{
    struct fixture *fixture = *state;
    assert_false(keeper_knows(fixture->keeper, &BTC_USDT));
    accept(fixture, "status", "\"exchange\":\"upbit\",\"recv\":5,\"state\":\"live\"");
    accept(fixture, "status",
           "\"exchange\":\"upbit\",\"symbol\":\"DOGE-KRW\",\"recv\":5,\"state\":\"stale\"");
    accept(fixture, "book", BOOK);
    accept(fixture, "ticker", KRW ",\"last\":\"2\"");
    accept(fixture, "trade", BTC ",\"price\":\"3\",\"size\":\"1\",\"side\":\"buy\"");
    accept(fixture, "gap", ETH ",\"channel\":\"book\",\"filled\":false");
    buffer_clear(&fixture->told);
    keeper_find_pairs(fixture->keeper, append_pair, fixture);
    assert_string_equal(fixture->told.data, "upbit BTC-KRW ticker\nbinance BTC-USDT trade book\n"
                                            "upbit ETH-KRW book\n");
    assert_true(keeper_knows(fixture->keeper, &BTC_USDT));
    assert_true(keeper_knows(fixture->keeper, &ETH_KRW));
    struct keeper_pair other = {.exchange = SLICE("upbit"), .symbol = SLICE("DOGE-KRW")};
    assert_false(keeper_knows(fixture->keeper, &other));
}

/* ---- trades ---- */

static void accept_trade(struct fixture *fixture, int id, size_t padding)
{
    char rest[1024];
    snprintf(rest, sizeof rest,
             BTC
             ",\"id\":\"%d\",\"price\":\"1\",\"size\":\"2\",\"side\":\"buy\",\"later\":\"%0*d\"",
             id, (int)padding, 0);
    accept(fixture, "trade", rest);
}

static const char *trades(struct fixture *fixture, uint32_t limit, struct keeper_found expected)
{
    buffer_clear(&fixture->told);
    struct keeper_found silent = keeper_find_trades(fixture->keeper, &BTC_USDT, limit, NULL, NULL);
    struct keeper_found found =
        keeper_find_trades(fixture->keeper, &BTC_USDT, limit, append_line, fixture);
    assert_memory_equal(&silent, &found, sizeof found);
    assert_int_equal(found.count, expected.count);
    assert_int_equal(found.left_out, expected.left_out);
    assert_int_equal(found.seq, expected.seq);
    return fixture->told.data;
}

static void trades_come_newest_first(void **state)
{
    assert_string_equal(trades(*state, 100, (struct keeper_found){.seq = 0}), "");
    accept(*state, "trade", BTC ",\"price\":\"1\",\"size\":\"1\",\"side\":\"buy\"");
    accept(*state, "trade", KRW ",\"price\":\"2\",\"size\":\"1\",\"side\":\"buy\"");
    accept(*state, "trade", BTC ",\"price\":\"3\",\"size\":\"1\",\"side\":\"sell\"");
    const char *newest =
        "{\"type\":\"trade\",\"seq\":3," BTC ",\"price\":\"3\",\"size\":\"1\",\"side\":\"sell\"}\n";
    const char *told = trades(*state, 100, (struct keeper_found){.count = 2, .seq = 3});
    assert_memory_equal(told, newest, strlen(newest));
    assert_string_equal(told + strlen(newest),
                        "{\"type\":\"trade\",\"seq\":1," BTC
                        ",\"price\":\"1\",\"size\":\"1\",\"side\":\"buy\"}\n");
    assert_string_equal(trades(*state, 1, (struct keeper_found){.count = 1, .seq = 3}), newest);
}

static void only_the_last_trades_are_kept(void **state)
{
    const int last = 2 * LIMIT_KEEPER_TRADES + 7;
    for (int i = 1; i <= last; i++)
        accept_trade(*state, i, 1);
    const char *at = trades(*state, UINT32_MAX,
                            (struct keeper_found){.count = LIMIT_KEEPER_TRADES, .seq = last});
    for (int i = 0; i < LIMIT_KEEPER_TRADES; i++) {
        char id[32];
        snprintf(id, sizeof id, "\"id\":\"%d\"", last - i);
        const char *end = strchr(at, '\n');
        const char *found = strstr(at, id);
        assert_true(end != NULL && found != NULL && found < end);
        at = end + 1;
    }
    assert_string_equal(at, "");
}

/* The longest record that is kept, and one byte more. */
static void a_trade_that_is_too_long_is_told(void **state)
{
    char text[LIMIT_KEEPER_TRADE + 1];
    memset(text, 'x', sizeof text);
    struct trade_ring *ring = trade_ring_create();
    trade_ring_add(ring, (struct slice){.data = text, .size = LIMIT_KEEPER_TRADE});
    trade_ring_add(ring, (struct slice){.data = text, .size = LIMIT_KEEPER_TRADE + 1});
    assert_int_equal(trade_ring_count(ring), 2);
    assert_int_equal(trade_ring_at(ring, 0).size, 0);
    assert_int_equal(trade_ring_at(ring, 1).size, LIMIT_KEEPER_TRADE);
    assert_memory_equal(trade_ring_at(ring, 1).data, text, LIMIT_KEEPER_TRADE);
    trade_ring_destroy(ring);

    accept_trade(*state, 1, 1);
    accept_trade(*state, 2, LIMIT_KEEPER_TRADE);
    accept_trade(*state, 3, 1);
    const char *told =
        trades(*state, 100, (struct keeper_found){.count = 2, .left_out = 1, .seq = 3});
    assert_non_null(strstr(told, "\"id\":\"3\""));
    assert_null(strstr(told, "\"id\":\"2\""));
    assert_non_null(strstr(told, "\"id\":\"1\""));
    trades(*state, 2, (struct keeper_found){.count = 1, .left_out = 1, .seq = 3});
}

/* ---- books ---- */

static void lost(struct fixture *fixture, const char *reason)
{
    struct keeper_book book;
    assert_int_equal(keeper_find_book(fixture->keeper, &BTC_USDT, &book), KEEPER_BOOK_LOST);
    assert_string_equal(book.reason, reason);
}

static void found(struct fixture *fixture, int64_t seq)
{
    struct keeper_book book;
    assert_int_equal(keeper_find_book(fixture->keeper, &BTC_USDT, &book), KEEPER_BOOK_FOUND);
    assert_int_equal(book.seq, seq);
    assert_null(book.reason);
}

static const char *book_text(struct fixture *fixture, uint32_t depth)
{
    buffer_clear(&fixture->told);
    keeper_append_book(fixture->keeper, &BTC_USDT, depth, &fixture->told);
    buffer_append_text(&fixture->told, ""); /* puts the NUL behind what was committed */
    return fixture->told.data;
}

static void a_book_is_cut_to_its_best_levels(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(keeper_book_depth(fixture->keeper), 3);
    accept(fixture, "book", BOOK);
    accept(fixture, "book", BTC ",\"action\":\"update\",\"bids\":[[\"9.5\",\"7\"]],\"asks\":[]");
    found(fixture, 2);
#define HEAD "{\"type\":\"book\",\"seq\":2," BTC ",\"action\":\"snapshot\",\"proof\":\"whole\","
    assert_string_equal(book_text(fixture, 1),
                        HEAD "\"depth\":1,\"bids\":[[\"10\",\"1\"]],\"asks\":[[\"11\",\"1\"]]}");
    assert_string_equal(book_text(fixture, 2),
                        HEAD "\"depth\":2,\"bids\":[[\"10\",\"1\"],[\"9.5\",\"7\"]],"
                             "\"asks\":[[\"11\",\"1\"]]}");
    assert_string_equal(book_text(fixture, 3),
                        HEAD "\"depth\":3,\"bids\":[[\"10\",\"1\"],[\"9.5\",\"7\"],[\"9\",\"1\"]],"
                             "\"asks\":[[\"11\",\"1\"]]}");
#undef HEAD
}

static void a_lost_book_says_why(void **state)
{
    struct fixture *fixture = *state;
    struct keeper_book book;
    assert_int_equal(keeper_find_book(fixture->keeper, &BTC_USDT, &book), KEEPER_BOOK_NONE);
    accept(fixture, "gap",
           BTC ",\"channel\":\"book\",\"filled\":false,\"reason\":\"no snapshot came\"");
    lost(fixture, "no snapshot came");
    accept(fixture, "book", BOOK);
    found(fixture, 2);
    accept(fixture, "gap", BTC ",\"channel\":\"trade\",\"filled\":false");
    accept(fixture, "gap", KRW ",\"channel\":\"book\",\"filled\":false");
    found(fixture, 2);
    accept(fixture, "gap", BTC ",\"channel\":\"book\",\"filled\":false");
    lost(fixture, "its snapshot is missing");
    accept(fixture, "book", BTC ",\"action\":\"update\",\"bids\":[[\"9\",\"1\"]],\"asks\":[]");
    lost(fixture, "its snapshot is missing");
    accept(fixture, "book", BOOK);
    found(fixture, 7);
    accept(fixture, "epoch",
           "\"recv\":8,\"epoch\":2,\"prev\":{\"epoch\":1,\"seq\":7},\"node\":\"n\"");
    lost(fixture, "a new epoch began");
}

static void a_book_needs_a_live_exchange(void **state)
{
    struct fixture *fixture = *state;
    accept(fixture, "book", BOOK);
    accept(fixture, "status", "\"exchange\":\"upbit\",\"recv\":5,\"state\":\"down\"");
    found(fixture, 1);
    accept(fixture, "status", "\"exchange\":\"binance\",\"recv\":5,\"state\":\"down\"");
    lost(fixture, "the exchange is down");
    accept(fixture, "status", "\"exchange\":\"binance\",\"recv\":5,\"state\":\"connecting\"");
    lost(fixture, "the exchange is being connected to");
    accept(fixture, "status", "\"exchange\":\"binance\",\"recv\":5,\"state\":\"live\"");
    found(fixture, 1);
    accept(fixture, "status",
           "\"exchange\":\"binance\",\"symbol\":\"BTC-USDT\",\"recv\":5,\"state\":\"stale\","
           "\"channel\":\"trade\"");
    found(fixture, 1);
    accept(fixture, "status",
           "\"exchange\":\"binance\",\"symbol\":\"BTC-USDT\",\"recv\":5,\"state\":\"stale\","
           "\"channel\":\"book\"");
    lost(fixture, "the exchange is stale");
}

/* Names that no message has, from outside. */
static void names_that_are_too_long(void **state)
{
    struct fixture *fixture = *state;
    char name[4 * LIMIT_KEY];
    memset(name, 'a', sizeof name);
    struct keeper_pair pair = {.exchange = {.data = name, .size = sizeof name},
                               .symbol = {.data = name, .size = sizeof name}};
    struct keeper_book book;
    accept(fixture, "ticker", BTC ",\"last\":\"1\"");
    assert_false(keeper_knows(fixture->keeper, &pair));
    assert_int_equal(keeper_find_tickers(fixture->keeper, &pair, NULL, NULL).count, 0);
    assert_int_equal(keeper_find_trades(fixture->keeper, &pair, 1, NULL, NULL).count, 0);
    assert_int_equal(keeper_find_book(fixture->keeper, &pair, &book), KEEPER_BOOK_NONE);
}

static void what_was_told_last_of_a_channel(void **state)
{
    struct fixture *fixture = *state;
    struct keeper_pair pair = {.exchange = SLICE("upbit"), .symbol = SLICE("BTC-KRW")};
    struct keeper_pair exchange = {.exchange = SLICE("upbit")};
    struct slice trade = SLICE("trade");
    assert_false(keeper_told_not_live(fixture->keeper, &pair, trade));
    accept(fixture, "status", "\"exchange\":\"upbit\",\"recv\":6,\"state\":\"down\"");
    assert_false(keeper_told_not_live(fixture->keeper, &pair, trade));
    assert_false(keeper_told_not_live(fixture->keeper, &exchange, trade));
    accept(fixture, "status", KRW ",\"state\":\"stale\",\"channel\":\"trade\"");
    assert_true(keeper_told_not_live(fixture->keeper, &pair, trade));
    assert_false(keeper_told_down(fixture->keeper, &pair, trade));
    assert_false(keeper_told_not_live(fixture->keeper, &pair, SLICE("book")));
    accept(fixture, "status", KRW ",\"state\":\"down\"");
    assert_true(keeper_told_down(fixture->keeper, &pair, trade));
    assert_true(keeper_told_down(fixture->keeper, &pair, SLICE("book")));
    accept(fixture, "status", KRW ",\"state\":\"live\",\"channel\":\"trade\"");
    assert_false(keeper_told_not_live(fixture->keeper, &pair, trade));
    accept(fixture, "status",
           "\"exchange\":\"upbit\",\"recv\":6,\"state\":\"stale\",\"channel\":\"trade\"");
    assert_true(keeper_told_not_live(fixture->keeper, &exchange, trade));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(tickers_are_filtered_by_either),
        TEST(tickers_that_are_not_there),
        TEST(pairs_are_found_once),
        TEST(trades_come_newest_first),
        TEST(only_the_last_trades_are_kept),
        TEST(a_trade_that_is_too_long_is_told),
        TEST(a_book_is_cut_to_its_best_levels),
        TEST(a_lost_book_says_why),
        TEST(a_book_needs_a_live_exchange),
        TEST(names_that_are_too_long),
        TEST(what_was_told_last_of_a_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
