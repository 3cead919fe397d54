/* SPDX-License-Identifier: Apache-2.0 */
/* The registry, the instruments, and what every adapter's table must hold. */
#include "exchange/exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct exchange *find(const char *name, unsigned generation)
{
    return exchange_find(slice_of(name), generation);
}

static void registry_finds_by_name_and_generation(void **state)
{
    (void)state;
    assert_int_equal(exchange_count(), 3);
    assert_string_equal(exchange_at(0)->name, "binance");
    assert_string_equal(exchange_at(1)->name, "upbit");
    assert_string_equal(exchange_at(2)->name, "bithumb");
    assert_int_equal(exchange_at(2)->generation, 2);
    assert_int_equal(find("bithumb", 0)->generation, 2);
    assert_int_equal(find("bithumb", 1)->generation, 1);
    assert_ptr_equal(find("bithumb", 2), find("bithumb", 0));
    assert_null(find("bithumb", 3));
    assert_null(find("binance", 1));
    assert_null(find("Binance", 0));
    assert_null(find("", 0));
}

static void check_table(const struct exchange *exchange)
{
    assert_non_null(exchange);
    assert_int_equal(strncmp(exchange->ws_url, "wss://", 6), 0);
    assert_int_equal(strncmp(exchange->rest_url, "https://", 8), 0);
    assert_int_equal(exchange->ws_path[0], '/');
    assert_true(exchange->channels & CHANNEL_BIT(CHANNEL_TRADE));
    assert_true(exchange->book_depth > 0);
    assert_non_null(exchange->rest_read);
    assert_true(exchange->limits.rest.count > 0 && exchange->limits.rest.window_ms > 0);
    unsigned count = 0;
    for (; exchange->symbols[count] != NULL; count++) {
        struct symbol symbol;
        struct symbol again;
        char native[LIMIT_NATIVE_SYMBOL];
        assert_true(symbol_read(slice_of(exchange->symbols[count]), &symbol));
        assert_true(exchange->to_native(&symbol, native));
        assert_true(exchange->from_native(slice_of(native), &again));
        assert_string_equal(symbol.text, again.text);
    }
    assert_true(count >= 4);
}

static void every_table_is_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < exchange_count(); i++)
        check_table(exchange_at(i));
    check_table(find("bithumb", 1));
}

static void what_is_known_of_each(void **state)
{
    (void)state;
    assert_true(find("binance", 0)->trade_ids_consecutive);
    assert_false(find("upbit", 0)->trade_ids_consecutive);
    assert_false(find("bithumb", 2)->trade_ids_consecutive);
    assert_false(find("bithumb", 1)->trade_ids_consecutive);
    assert_false(find("binance", 0)->deflate);
    assert_true(find("upbit", 0)->deflate);
    assert_true(find("bithumb", 2)->deflate);
    assert_false(find("bithumb", 1)->deflate);
    assert_false(find("binance", 0)->limits.rest_by_kind);
    assert_true(find("upbit", 0)->limits.rest_by_kind);
    assert_true(find("bithumb", 2)->limits.rest_by_kind);
}

static void a_connection_takes_so_many_symbols(void **state)
{
    const struct exchange *binance = find("binance", 0);
    const uint32_t trades = CHANNEL_BIT(CHANNEL_TRADE);
    (void)state;
    assert_int_equal(exchange_symbols_max(binance, trades), 1024);
    assert_int_equal(exchange_symbols_max(binance, trades | CHANNEL_BIT(CHANNEL_BOOK)), 512);
    assert_int_equal(exchange_symbols_max(binance, binance->channels), 256);
    assert_int_equal(exchange_symbols_max(binance, binance->channels & ~trades), 341);
    assert_int_equal(exchange_symbols_max(binance, 0), UINT32_MAX);
    assert_int_equal(exchange_symbols_max(find("upbit", 0), trades), UINT32_MAX);
}

static void words_are_found(void **state)
{
    enum channel channel;
    (void)state;
    for (unsigned i = 0; i < CHANNEL_COUNT; i++) {
        assert_true(channel_find(slice_of(channel_names[i]), &channel));
        assert_int_equal(channel, i);
    }
    assert_false(channel_find(SLICE("trades"), &channel));
    assert_false(channel_find(SLICE(""), &channel));
    for (unsigned i = 0; i < DECODE_VERDICT_COUNT; i++)
        assert_non_null(decode_verdict_names[i]);
}

static struct instrument *add(struct instruments *instruments, const char *name, const char *native)
{
    struct symbol symbol;
    assert_true(symbol_read(slice_of(name), &symbol));
    return instruments_add(instruments, &symbol, slice_of(native));
}

static void instruments_are_found_in_any_case(void **state)
{
    const struct exchange *upbit = find("upbit", 0);
    struct instruments *instruments = instruments_create(4, false);
    (void)state;
    struct instrument *btc = add(instruments, "BTC-KRW", "KRW-BTC");
    assert_non_null(btc);
    assert_ptr_equal(add(instruments, "BTC-KRW", "krw-btc"), btc);
    assert_int_equal(instruments_count(instruments), 1);
    assert_ptr_equal(instruments_at(instruments, 0), btc);
    assert_ptr_equal(instruments_find(instruments, upbit, SLICE("KRW-BTC")), btc);
    assert_ptr_equal(instruments_find(instruments, upbit, SLICE("krw-BTC")), btc);
    assert_null(instruments_find(instruments, upbit, SLICE("KRW-BT")));
    assert_null(instruments_find(instruments, upbit, SLICE("KRW-BTCX")));
    assert_null(instruments_find(instruments, upbit, SLICE("KRW\rBTC"))); /* '-' less bit 5 */
    assert_null(instruments_find(instruments, upbit, SLICE("")));
    assert_null(instruments_find(instruments, upbit, (struct slice){.data = NULL, .size = 0}));
    assert_null(instruments_find(instruments, upbit, SLICE("KRW-BTC\0X")));
    assert_null(instruments_find(instruments, upbit,
                                 SLICE("KRW-0123456789012345678901234567890123456789012345")));
    instruments_destroy(instruments);
    instruments_destroy(NULL);
}

static void instruments_end_at_their_capacity(void **state)
{
    const struct exchange *upbit = find("upbit", 0);
    struct instruments *instruments = instruments_create(500, false);
    struct instrument *first[500];
    (void)state;
    for (unsigned i = 0; i < 500; i++) {
        char name[LIMIT_SYMBOL];
        char native[LIMIT_NATIVE_SYMBOL];
        snprintf(name, sizeof(name), "A%u-KRW", i);
        snprintf(native, sizeof(native), "KRW-A%u", i);
        first[i] = add(instruments, name, native);
        assert_non_null(first[i]);
    }
    assert_null(add(instruments, "ONEMORE-KRW", "KRW-ONEMORE"));
    for (unsigned i = 0; i < 500; i++) {
        char native[LIMIT_NATIVE_SYMBOL];
        snprintf(native, sizeof(native), "krw-a%u", i);
        assert_ptr_equal(instruments_find(instruments, upbit, slice_of(native)), first[i]);
    }
    instruments_destroy(instruments);
}

static void only_who_learns_adds_by_finding(void **state)
{
    const struct exchange *binance = find("binance", 0);
    struct instruments *fixed = instruments_create(2, false);
    struct instruments *learning = instruments_create(2, true);
    (void)state;
    assert_null(instruments_find(fixed, binance, SLICE("btcusdt")));
    struct instrument *btc = instruments_find(learning, binance, SLICE("btcusdt"));
    assert_non_null(btc);
    assert_string_equal(btc->symbol.text, "BTC-USDT");
    assert_string_equal(btc->native, "BTCUSDT");
    assert_ptr_equal(instruments_find(learning, binance, SLICE("BTCUSDT")), btc);
    assert_null(instruments_find(learning, binance, SLICE("NOSUCHQUOTE")));
    assert_non_null(instruments_find(learning, binance, SLICE("ETHUSDT")));
    assert_null(instruments_find(learning, binance, SLICE("XRPUSDT"))); /* full */
    instruments_destroy(fixed);
    instruments_destroy(learning);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registry_finds_by_name_and_generation),
        cmocka_unit_test(every_table_is_whole),
        cmocka_unit_test(what_is_known_of_each),
        cmocka_unit_test(a_connection_takes_so_many_symbols),
        cmocka_unit_test(words_are_found),
        cmocka_unit_test(instruments_are_found_in_any_case),
        cmocka_unit_test(instruments_end_at_their_capacity),
        cmocka_unit_test(only_who_learns_adds_by_finding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
