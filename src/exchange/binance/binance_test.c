/* SPDX-License-Identifier: Apache-2.0 */
/* Binance: its fixtures, what is asked for, and the reading of its symbols. */
#include "exchange/binance/binance.h"

#include "base/buffer.h"
#include "tests/tools/fixtures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char *const symbols[] = {"BTC-USDT", "ETH-USDT", "1INCH-USDT", "币安人生-USDT", NULL};

static const struct fixtures fixtures = {.exchange = &exchange_binance,
                                         .path = "src/exchange/binance/fixtures/messages.jsonl",
                                         .symbols = symbols};

static void messages_decode_as_expected(void **state)
{
    (void)state;
    assert_true(fixtures_check_whole(&fixtures) > 100);
}

static void no_cut_message_gives_events(void **state)
{
    (void)state;
    fixtures_check_cuts(&fixtures);
}

static void key_order_does_not_matter(void **state)
{
    (void)state;
    fixtures_check_orders(&fixtures);
}

static void damaged_messages_break_no_promise(void **state)
{
    (void)state;
    fixtures_check_damage(&fixtures);
}

/* ---- requests ---- */

static struct slice next_request(struct instruments *instruments, struct buffer *out)
{
    buffer_clear(out);
    size_t size = exchange_binance.next_request(instruments, 7, out);
    assert_int_equal(size, out->size);
    assert_false(out->overflowed);
    return buffer_slice(out);
}

static void assert_request(struct instruments *instruments, struct buffer *out, const char *text)
{
    struct slice request = next_request(instruments, out);
    assert_int_equal(request.size, strlen(text));
    assert_memory_equal(request.data, text, request.size);
}

static void subscribes_in_steps(void **state)
{
    struct instruments *instruments = instruments_create(8, false);
    struct buffer out;
    (void)state;
    buffer_init(&out, LIMIT_REQUEST);
    struct instrument *btc = fixtures_add(instruments, &exchange_binance, "BTC-USDT");
    struct instrument *eth = fixtures_add(instruments, &exchange_binance, "ETH-USDT");
    assert_int_equal(next_request(instruments, &out).size, 0);

    btc->wanted = CHANNEL_BIT(CHANNEL_TRADE) | CHANNEL_BIT(CHANNEL_BOOK);
    eth->wanted = CHANNEL_BIT(CHANNEL_TICKER) | CHANNEL_BIT(CHANNEL_QUOTE);
    assert_request(
        instruments, &out,
        "{\"method\":\"SUBSCRIBE\",\"params\":[\"btcusdt@trade\","
        "\"btcusdt@depth20@100ms\",\"ethusdt@ticker\",\"ethusdt@bookTicker\"],\"id\":7}");
    assert_int_equal(btc->asked, btc->wanted);
    assert_int_equal(next_request(instruments, &out).size, 0);

    btc->wanted = CHANNEL_BIT(CHANNEL_TRADE) | CHANNEL_BIT(CHANNEL_TICKER);
    eth->wanted = 0;
    assert_request(instruments, &out,
                   "{\"method\":\"UNSUBSCRIBE\",\"params\":[\"btcusdt@depth20@100ms\","
                   "\"ethusdt@ticker\",\"ethusdt@bookTicker\"],\"id\":7}");
    assert_request(instruments, &out,
                   "{\"method\":\"SUBSCRIBE\",\"params\":[\"btcusdt@ticker\"],\"id\":7}");
    assert_int_equal(next_request(instruments, &out).size, 0);
    assert_int_equal(eth->asked, 0);

    btc->asked = 0; /* as after a new connection */
    assert_request(
        instruments, &out,
        "{\"method\":\"SUBSCRIBE\",\"params\":[\"btcusdt@trade\",\"btcusdt@ticker\"],\"id\":7}");
    buffer_release(&out);
    instruments_destroy(instruments);
}

static unsigned count_of(struct slice text, char byte)
{
    unsigned count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += text.data[i] == byte;
    return count;
}

/* Long names reach the limit of bytes before that of streams. */
static void requests_stay_within_limits(void **state)
{
    struct instruments *instruments = instruments_create(600, false);
    struct buffer out;
    unsigned streams = 0;
    unsigned requests = 0;
    (void)state;
    buffer_init(&out, LIMIT_REQUEST);
    for (unsigned i = 0; i < 600; i++) {
        char name[LIMIT_SYMBOL];
        snprintf(name, sizeof(name), "%s%u-USDT", i % 2 ? "B" : "AVERYLONGNAMEOFACOINTHATISSOLD",
                 i);
        fixtures_add(instruments, &exchange_binance, name)->wanted = exchange_binance.channels;
    }
    for (;; requests++) {
        struct slice request = next_request(instruments, &out);
        if (request.size == 0)
            break;
        unsigned quotes = count_of(request, '"');
        unsigned in_request = (quotes - 8) / 2; /* method, SUBSCRIBE, params, id */
        assert_true(request.size <= 4000);
        assert_true(in_request >= 1 && in_request <= 100);
        streams += in_request;
    }
    assert_int_equal(streams, 2400);
    assert_true(requests >= 24);
    buffer_release(&out);
    instruments_destroy(instruments);
}

/* ---- symbols ---- */

static void reads_the_quote_from_the_end(void **state)
{
    static const char *const pairs[][2] = {
        {"NKNUSDT", "NKN-USDT"},   {"VETETH", "VET-ETH"},       {"BUSDTRY", "BUSD-TRY"},
        {"ADARUB", "ADA-RUB"},     {"PERLBNB", "PERL-BNB"},     {"OMGBUSD", "OMG-BUSD"},
        {"RUNEEUR", "RUNE-EUR"},   {"BADGERBTC", "BADGER-BTC"}, {"btcusdt", "BTC-USDT"},
        {"BTCFDUSD", "BTC-FDUSD"}, {"ADAEUR", "ADA-EUR"},       {"USDCUSDT", "USDC-USDT"},
        {"1INCHBTC", "1INCH-BTC"}, {"ETHBTC", "ETH-BTC"},       {"BTCEURI", "BTC-EURI"},
        {"LTCBRL", "LTC-BRL"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        struct symbol symbol;
        assert_true(exchange_binance.from_native(slice_of(pairs[i][0]), &symbol));
        assert_string_equal(symbol.text, pairs[i][1]);
    }
}

static void refuses_what_it_cannot_read(void **state)
{
    static const char *const names[] = {"", "USDT", "BTC", "BTCXYZ", "BTCUSDT_260925", "A\"USDT"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct symbol symbol;
        assert_false(exchange_binance.from_native(slice_of(names[i]), &symbol));
    }
}

/* ---- REST ---- */

static void assert_rest(const struct rest_query *query, const char *path, uint32_t weight)
{
    struct rest_request request;
    assert_true(exchange_binance.rest_request(query, &request));
    assert_string_equal(request.path, path);
    assert_int_equal(request.weight, weight);
}

static void asks_by_rest(void **state)
{
    struct instrument btc = {.native = "BTCUSDT"};
    struct instrument foreign = {.native = "\xe5\xb8\x81USDT"};
    (void)state;
    assert_rest(&(struct rest_query){.kind = REST_MARKETS},
                "/api/v3/exchangeInfo?showPermissionSets=false", 20);
    assert_rest(&(struct rest_query){.kind = REST_BOOK, .instrument = &btc},
                "/api/v3/depth?symbol=BTCUSDT&limit=5000", 250);
    assert_rest(&(struct rest_query){.kind = REST_BOOK, .instrument = &foreign, .limit = 100},
                "/api/v3/depth?symbol=%E5%B8%81USDT&limit=100", 5);
    assert_rest(&(struct rest_query){.kind = REST_BOOK, .instrument = &btc, .limit = 101},
                "/api/v3/depth?symbol=BTCUSDT&limit=101", 25);
    assert_rest(&(struct rest_query){.kind = REST_BOOK, .instrument = &btc, .limit = 1000},
                "/api/v3/depth?symbol=BTCUSDT&limit=1000", 50);
    assert_rest(&(struct rest_query){.kind = REST_TRADES, .instrument = &btc, .from_id = -1},
                "/api/v3/trades?symbol=BTCUSDT&limit=1000", 25);
    assert_rest(
        &(struct rest_query){
            .kind = REST_TRADES, .instrument = &btc, .limit = 500, .from_id = 9007199254740993},
        "/api/v3/historicalTrades?symbol=BTCUSDT&limit=500&fromId=9007199254740993", 25);
    assert_rest(&(struct rest_query){.kind = REST_TICKERS}, "/api/v3/ticker/24hr", 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_decode_as_expected),
        cmocka_unit_test(no_cut_message_gives_events),
        cmocka_unit_test(key_order_does_not_matter),
        cmocka_unit_test(damaged_messages_break_no_promise),
        cmocka_unit_test(subscribes_in_steps),
        cmocka_unit_test(requests_stay_within_limits),
        cmocka_unit_test(reads_the_quote_from_the_end),
        cmocka_unit_test(refuses_what_it_cannot_read),
        cmocka_unit_test(asks_by_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
