/* SPDX-License-Identifier: Apache-2.0 */
/* Both generations of Bithumb. */
#include "exchange/bithumb/bithumb.h"

#include "base/buffer.h"
#include "tests/tools/fixtures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char *const symbols[] = {"BTC-KRW", "ETH-KRW", NULL};

static const struct fixtures sets[] = {
    {.exchange = &exchange_bithumb,
     .path = "src/exchange/bithumb/fixtures/messages.jsonl",
     .symbols = symbols},
    {.exchange = &exchange_bithumb1,
     .path = "src/exchange/bithumb/fixtures/old.jsonl",
     .symbols = symbols},
};

static void messages_decode_as_expected(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sets); i++)
        assert_true(fixtures_check_whole(&sets[i]) > 10);
}

static void no_cut_message_gives_events(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sets); i++)
        fixtures_check_cuts(&sets[i]);
}

static void key_order_does_not_matter(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sets); i++)
        fixtures_check_orders(&sets[i]);
}

static void damaged_messages_break_no_promise(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sets); i++)
        fixtures_check_damage(&sets[i]);
}

static void assert_request(struct instruments *instruments, struct buffer *out, const char *text)
{
    buffer_clear(out);
    size_t size = exchange_bithumb1.next_request(instruments, 7, out);
    assert_int_equal(size, strlen(text));
    if (size > 0)
        assert_memory_equal(out->data, text, size);
}

static void the_old_one_asks_by_type(void **state)
{
    struct instruments *instruments = instruments_create(8, false);
    struct buffer out;
    (void)state;
    buffer_init(&out, LIMIT_REQUEST);
    struct instrument *btc = fixtures_add(instruments, &exchange_bithumb1, "BTC-KRW");
    struct instrument *eth = fixtures_add(instruments, &exchange_bithumb1, "ETH-KRW");
    assert_request(instruments, &out, "");

    btc->wanted = exchange_bithumb1.channels;
    eth->wanted = CHANNEL_BIT(CHANNEL_TRADE);
    assert_request(instruments, &out,
                   "{\"type\":\"transaction\",\"symbols\":[\"BTC_KRW\",\"ETH_KRW\"]}");
    assert_request(instruments, &out,
                   "{\"type\":\"ticker\",\"symbols\":[\"BTC_KRW\"],\"tickTypes\":[\"24H\"]}");
    assert_request(instruments, &out, "{\"type\":\"orderbooksnapshot\",\"symbols\":[\"BTC_KRW\"]}");
    assert_request(instruments, &out, "");

    btc->wanted = 0; /* of two types nothing is left, which cannot be said */
    assert_request(instruments, &out, "{\"type\":\"transaction\",\"symbols\":[\"ETH_KRW\"]}");
    assert_request(instruments, &out, "");
    assert_int_equal(btc->asked, 0);
    buffer_release(&out);
    instruments_destroy(instruments);
}

static void spellings(void **state)
{
    struct symbol symbol;
    char native[LIMIT_NATIVE_SYMBOL];
    (void)state;
    assert_true(exchange_bithumb.from_native(SLICE("KRW-BTC"), &symbol));
    assert_string_equal(symbol.text, "BTC-KRW");
    assert_true(exchange_bithumb1.from_native(SLICE("GOM2_KRW"), &symbol));
    assert_string_equal(symbol.text, "GOM2-KRW");
    assert_true(exchange_bithumb1.to_native(&symbol, native));
    assert_string_equal(native, "GOM2_KRW");
    assert_false(exchange_bithumb1.from_native(SLICE("GOM2-KRW"), &symbol));
    assert_false(exchange_bithumb1.from_native(SLICE("GOM2"), &symbol));
}

static void assert_rest(const struct exchange *exchange, const struct rest_query *query,
                        const char *path)
{
    struct rest_request request;
    assert_int_equal(exchange->rest_request(query, &request), path != NULL);
    if (path == NULL)
        return;
    assert_string_equal(request.path, path);
    assert_int_equal(request.weight, 1);
}

static void asks_by_rest(void **state)
{
    struct instrument new = {.native = "KRW-BTC"};
    struct instrument old = {.native = "BTC_KRW"};
    struct rest_query query = {.kind = REST_MARKETS};
    (void)state;
    assert_rest(&exchange_bithumb, &query, "/v1/market/all?isDetails=true");
    assert_rest(&exchange_bithumb1, &query, "/public/ticker/ALL_KRW");
    query = (struct rest_query){.kind = REST_BOOK, .instrument = &new};
    assert_rest(&exchange_bithumb, &query, "/v1/orderbook?markets=KRW-BTC");
    query.instrument = &old;
    assert_rest(&exchange_bithumb1, &query, "/public/orderbook/BTC_KRW?count=30");
    query =
        (struct rest_query){.kind = REST_TRADES, .instrument = &new, .limit = 20, .from_id = -1};
    assert_rest(&exchange_bithumb, &query, "/v1/trades/ticks?market=KRW-BTC&count=20");
    query.from_id = 1;
    assert_rest(&exchange_bithumb, &query, NULL);
    query = (struct rest_query){.kind = REST_TICKERS, .instrument = &new};
    assert_rest(&exchange_bithumb, &query, "/v1/ticker?markets=KRW-BTC");
    query.instrument = NULL;
    assert_rest(&exchange_bithumb, &query, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_decode_as_expected),
        cmocka_unit_test(no_cut_message_gives_events),
        cmocka_unit_test(key_order_does_not_matter),
        cmocka_unit_test(damaged_messages_break_no_promise),
        cmocka_unit_test(the_old_one_asks_by_type),
        cmocka_unit_test(spellings),
        cmocka_unit_test(asks_by_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
