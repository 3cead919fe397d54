/* SPDX-License-Identifier: Apache-2.0 */
/* Upbit, and with it all of the quotation protocol that Bithumb shares. */
#include "exchange/upbit/upbit.h"

#include "base/buffer.h"
#include "tests/tools/fixtures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char *const symbols[] = {"BTC-KRW", "ETH-KRW", NULL};

static const struct fixtures fixtures = {.exchange = &exchange_upbit,
                                         .path = "src/exchange/upbit/fixtures/messages.jsonl",
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

static void assert_request(struct instruments *instruments, struct buffer *out, const char *text)
{
    buffer_clear(out);
    size_t size = exchange_upbit.next_request(instruments, 7, out);
    assert_int_equal(size, strlen(text));
    assert_int_equal(size, out->size);
    assert_memory_equal(out->data, text, size);
}

static void assert_no_request(struct instruments *instruments, struct buffer *out)
{
    buffer_clear(out);
    assert_int_equal(exchange_upbit.next_request(instruments, 8, out), 0);
    assert_int_equal(out->size, 0);
}

static void each_request_says_everything(void **state)
{
    struct instruments *instruments = instruments_create(8, false);
    struct buffer out;
    (void)state;
    buffer_init(&out, LIMIT_REQUEST);
    struct instrument *btc = fixtures_add(instruments, &exchange_upbit, "BTC-KRW");
    struct instrument *eth = fixtures_add(instruments, &exchange_upbit, "ETH-KRW");
    assert_no_request(instruments, &out);

    btc->wanted = CHANNEL_BIT(CHANNEL_TRADE) | CHANNEL_BIT(CHANNEL_BOOK);
    eth->wanted = CHANNEL_BIT(CHANNEL_TRADE);
    assert_request(instruments, &out,
                   "[{\"ticket\":\"tickwire-7\"},{\"type\":\"trade\",\"codes\":[\"KRW-BTC\","
                   "\"KRW-ETH\"]},{\"type\":\"orderbook\",\"codes\":[\"KRW-BTC\"]},"
                   "{\"format\":\"DEFAULT\"}]");
    assert_no_request(instruments, &out);

    eth->wanted |= CHANNEL_BIT(CHANNEL_TICKER) | CHANNEL_BIT(CHANNEL_QUOTE); /* there is no quote */
    btc->wanted = 0;
    assert_request(instruments, &out,
                   "[{\"ticket\":\"tickwire-7\"},{\"type\":\"trade\",\"codes\":[\"KRW-ETH\"]},"
                   "{\"type\":\"ticker\",\"codes\":[\"KRW-ETH\"]},{\"format\":\"DEFAULT\"}]");
    assert_no_request(instruments, &out);

    eth->wanted = 0; /* there is no request for nothing */
    assert_no_request(instruments, &out);
    assert_int_equal(eth->asked, 0);
    eth->wanted = CHANNEL_BIT(CHANNEL_TRADE);
    assert_request(instruments, &out,
                   "[{\"ticket\":\"tickwire-7\"},{\"type\":\"trade\",\"codes\":[\"KRW-ETH\"]},"
                   "{\"format\":\"DEFAULT\"}]");
    buffer_release(&out);
    instruments_destroy(instruments);
}

static void spells_the_quote_first(void **state)
{
    static const char *const bad[] = {"", "KRW", "KRW-", "-BTC", "KRW-BTC-X", "KRW BTC"};
    struct symbol symbol;
    char native[LIMIT_NATIVE_SYMBOL];
    (void)state;
    assert_true(exchange_upbit.from_native(SLICE("KRW-BTC"), &symbol));
    assert_string_equal(symbol.text, "BTC-KRW");
    assert_true(exchange_upbit.to_native(&symbol, native));
    assert_string_equal(native, "KRW-BTC");
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(exchange_upbit.from_native(slice_of(bad[i]), &symbol));
}

static void assert_rest(const struct rest_query *query, const char *path)
{
    struct rest_request request;
    assert_true(exchange_upbit.rest_request(query, &request));
    assert_string_equal(request.path, path);
    assert_int_equal(request.weight, 1);
}

static void asks_by_rest(void **state)
{
    struct instrument btc = {.native = "KRW-BTC"};
    struct rest_request request;
    (void)state;
    assert_rest(&(struct rest_query){.kind = REST_MARKETS}, "/v1/market/all?is_details=true");
    assert_rest(&(struct rest_query){.kind = REST_BOOK, .instrument = &btc, .limit = 99},
                "/v1/orderbook?markets=KRW-BTC&count=30");
    assert_rest(&(struct rest_query){.kind = REST_TRADES, .instrument = &btc, .from_id = -1},
                "/v1/trades/ticks?market=KRW-BTC&count=500");
    assert_rest(&(struct rest_query){.kind = REST_TICKERS},
                "/v1/ticker/all?quote_currencies=KRW,BTC,USDT");
    assert_false(exchange_upbit.rest_request(
        &(struct rest_query){.kind = REST_TRADES, .instrument = &btc, .from_id = 5}, &request));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_decode_as_expected),
        cmocka_unit_test(no_cut_message_gives_events),
        cmocka_unit_test(key_order_does_not_matter),
        cmocka_unit_test(damaged_messages_break_no_promise),
        cmocka_unit_test(each_request_says_everything),
        cmocka_unit_test(spells_the_quote_first),
        cmocka_unit_test(asks_by_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
