/* SPDX-License-Identifier: Apache-2.0 */
/* Each body is written into memory of exactly the promised size, for the address sanitizer. */
#include "market/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct symbol btc_usdt = {.size = 8, .text = "BTC-USDT"};

static void check_body(struct event event, const char *exchange, const char *wanted)
{
    size_t room = event_encode_max(&event, slice_of(exchange));
    char *body = malloc(room);
    assert_non_null(body);
    char *end = event_encode(body, &event, slice_of(exchange));
    assert_true(end > body && end <= body + room);
    struct slice written = {.data = body, .size = (size_t)(end - body)};
    if (!slice_is(written, wanted))
        fail_msg("%.*s\nnot %s", (int)written.size, written.data, wanted);
    free(body);
}

static struct event trade_event(void)
{
    return (struct event){.type = EVENT_TRADE,
                          .symbol = &btc_usdt,
                          .exchange_us = 1628952396394000,
                          .received_us = 1628952396395001,
                          .trade = {.id = SLICE("1004567890"),
                                    .price = {4712345000000, -8},
                                    .size = {1234000, -8},
                                    .side = SIDE_SELL}};
}

static void test_trade(void **state)
{
    (void)state;
    struct event event = trade_event();
    check_body(event, "binance",
               "\"exchange\":\"binance\",\"symbol\":\"BTC-USDT\",\"ts\":1628952396394000,"
               "\"recv\":1628952396395001,\"id\":\"1004567890\",\"price\":\"47123.45\","
               "\"size\":\"0.01234\",\"side\":\"sell\"}");
    event.trade.origin = TRADE_REST;
    event.trade.side = SIDE_BUY;
    event.trade.id = (struct slice){0};
    event.exchange_us = 0;
    check_body(event, "upbit",
               "\"exchange\":\"upbit\",\"symbol\":\"BTC-USDT\",\"recv\":1628952396395001,"
               "\"price\":\"47123.45\",\"size\":\"0.01234\",\"side\":\"buy\","
               "\"origin\":\"rest\"}");
    event.trade.origin = TRADE_SNAPSHOT;
    event.received_us = 0;
    event.trade.price = (struct decimal){1, -40};
    event.trade.size = (struct decimal){999999999999999999, 40};
    check_body(event, "upbit",
               "\"exchange\":\"upbit\",\"symbol\":\"BTC-USDT\","
               "\"price\":\"0.0000000000000000000000000000000000000001\","
               "\"size\":\"9999999999999999990000000000000000000000000000000000000000\","
               "\"side\":\"buy\",\"origin\":\"snapshot\"}");
}

static void test_trade_id_is_escaped(void **state)
{
    (void)state;
    struct event event = trade_event();
    event.trade.id = SLICE("\"},{\\\n\x01\xff");
    event.exchange_us = event.received_us = 0;
    check_body(event, "x",
               "\"exchange\":\"x\",\"symbol\":\"BTC-USDT\",\"id\":\"\\\"},{\\\\\\n\\u0001"
               "\xef\xbf\xbd\",\"price\":\"47123.45\",\"size\":\"0.01234\",\"side\":\"sell\"}");
}

static void test_long_symbol(void **state)
{
    (void)state;
    struct event event = {.type = EVENT_STATUS, .status = {.state = STATUS_LIVE}};
    struct symbol symbol;
    char text[LIMIT_SYMBOL];
    /* Every length, as the copy is made of fixed pieces. */
    for (size_t size = 3; size < LIMIT_SYMBOL; size++) {
        memset(text, 'A', size);
        text[1] = '-';
        assert_true(symbol_read((struct slice){.data = text, .size = size}, &symbol));
        event.symbol = &symbol;
        char wanted[160];
        snprintf(wanted, sizeof(wanted),
                 "\"exchange\":\"okx\",\"symbol\":\"%.*s\",\"state\":\"live\"}", (int)size, text);
        check_body(event, "okx", wanted);
    }
}

static void test_ticker(void **state)
{
    (void)state;
    struct event event = {.type = EVENT_TICKER, .symbol = &btc_usdt, .received_us = 5};
    for (unsigned i = 0; i < TICKER_FIELD_COUNT; i++)
        event.ticker.value[i] = (struct decimal){(int64_t)i * 10, -1};
    event.ticker.present = (1u << TICKER_FIELD_COUNT) - 1;
    check_body(event, "upbit",
               "\"exchange\":\"upbit\",\"symbol\":\"BTC-USDT\",\"recv\":5,\"last\":\"0\","
               "\"open\":\"1\",\"high\":\"2\",\"low\":\"3\",\"volume\":\"4\","
               "\"quote_volume\":\"5\",\"bid\":\"6\",\"bid_size\":\"7\",\"ask\":\"8\","
               "\"ask_size\":\"9\"}");
    event.ticker.present = 1u << TICKER_HIGH | 1u << TICKER_ASK;
    check_body(event, "upbit",
               "\"exchange\":\"upbit\",\"symbol\":\"BTC-USDT\",\"recv\":5,\"high\":\"2\","
               "\"ask\":\"8\"}");
    event.type = EVENT_QUOTE;
    event.ticker.present = 0;
    check_body(event, "upbit", "\"exchange\":\"upbit\",\"symbol\":\"BTC-USDT\",\"recv\":5}");
    /* The longest numbers in all fields still fit what was promised. */
    for (unsigned i = 0; i < TICKER_FIELD_COUNT; i++)
        event.ticker.value[i] = (struct decimal){-999999999999999999, 40};
    event.ticker.present = (1u << TICKER_FIELD_COUNT) - 1;
    size_t room = event_encode_max(&event, SLICE("upbit"));
    char *body = malloc(room);
    assert_non_null(body);
    assert_true(event_encode(body, &event, SLICE("upbit")) <= body + room);
    free(body);
}

static void test_book(void **state)
{
    (void)state;
    const struct level bids[] = {{{1270, -1}, {28046037885666, -8}}, {{1260, -1}, {50000000, -8}}};
    const struct level asks[] = {{{1280, -1}, {0, -8}}};
    struct event event = {.type = EVENT_BOOK,
                          .symbol = &btc_usdt,
                          .exchange_us = 7,
                          .received_us = 8,
                          .book = {.action = BOOK_UPDATE, .bids = {bids, 2}, .asks = {asks, 1}}};
    check_body(event, "upbit",
               "\"exchange\":\"upbit\",\"symbol\":\"BTC-USDT\",\"ts\":7,\"recv\":8,"
               "\"action\":\"update\",\"bids\":[[\"127\",\"280460.37885666\"],[\"126\",\"0.5\"]],"
               "\"asks\":[[\"128\",\"0\"]]}");
    event.book.action = BOOK_SNAPSHOT;
    event.book.proof = BOOK_PROOF_WHOLE;
    event.book.depth = 15;
    event.book.asks.count = 0;
    check_body(event, "upbit",
               "\"exchange\":\"upbit\",\"symbol\":\"BTC-USDT\",\"ts\":7,\"recv\":8,"
               "\"action\":\"snapshot\",\"proof\":\"whole\",\"depth\":15,"
               "\"bids\":[[\"127\",\"280460.37885666\"],[\"126\",\"0.5\"]],\"asks\":[]}");
    event.book = (struct book_change){.action = BOOK_SNAPSHOT, .proof = BOOK_PROOF_CHAIN};
    check_body(event, "upbit",
               "\"exchange\":\"upbit\",\"symbol\":\"BTC-USDT\",\"ts\":7,\"recv\":8,"
               "\"action\":\"snapshot\",\"proof\":\"chain\",\"depth\":0,\"bids\":[],\"asks\":[]}");
}

static void test_book_of_longest_numbers(void **state)
{
    (void)state;
    struct level *levels = calloc(LIMIT_MESSAGE_LEVELS, sizeof(*levels));
    assert_non_null(levels);
    for (size_t i = 0; i < LIMIT_MESSAGE_LEVELS; i++)
        levels[i] = (struct level){{-999999999999999999, 40}, {-999999999999999999, 40}};
    struct event event = {.type = EVENT_BOOK, .symbol = &btc_usdt};
    event.book = (struct book_change){.action = BOOK_SNAPSHOT,
                                      .proof = BOOK_PROOF_CHECKSUM,
                                      .bids = {levels, LIMIT_MESSAGE_LEVELS},
                                      .asks = {levels, LIMIT_MESSAGE_LEVELS}};
    size_t room = event_encode_max(&event, SLICE("upbit"));
    char *body = malloc(room);
    assert_non_null(body);
    char *end = event_encode(body, &event, SLICE("upbit"));
    assert_true(end <= body + room);
    assert_true((size_t)(end - body) > 2 * LIMIT_MESSAGE_LEVELS * 2 * 59);
    free(body);
    free(levels);
}

static void test_status(void **state)
{
    (void)state;
    struct event event = {
        .type = EVENT_STATUS,
        .received_us = 9,
        .status = {.state = STATUS_STALE, .reason = SLICE("no data"), .channel = SLICE("trade")}};
    check_body(event, "okx",
               "\"exchange\":\"okx\",\"recv\":9,\"state\":\"stale\",\"reason\":\"no data\","
               "\"channel\":\"trade\"}");
    event.status = (struct status){.state = STATUS_CONNECTING};
    event.symbol = &btc_usdt;
    check_body(event, "okx",
               "\"exchange\":\"okx\",\"symbol\":\"BTC-USDT\",\"recv\":9,"
               "\"state\":\"connecting\"}");
}

static void test_gap(void **state)
{
    (void)state;
    struct event event = {.type = EVENT_GAP,
                          .symbol = &btc_usdt,
                          .received_us = 9,
                          .gap = {.channel = SLICE("trade"),
                                  .after_id = SLICE("17"),
                                  .before_id = SLICE("20"),
                                  .from_us = 1,
                                  .to_us = 2,
                                  .missing = 2,
                                  .filled = true,
                                  .reason = SLICE("reconnect")}};
    check_body(event, "okx",
               "\"exchange\":\"okx\",\"symbol\":\"BTC-USDT\",\"recv\":9,\"channel\":\"trade\","
               "\"after_id\":\"17\",\"before_id\":\"20\",\"from_ts\":1,\"to_ts\":2,\"missing\":2,"
               "\"filled\":true,\"reason\":\"reconnect\"}");
    event.gap = (struct gap){.channel = SLICE("book"), .missing = -1};
    check_body(event, "okx",
               "\"exchange\":\"okx\",\"symbol\":\"BTC-USDT\",\"recv\":9,\"channel\":\"book\","
               "\"filled\":false}");
    event.gap.missing = 0;
    check_body(event, "okx",
               "\"exchange\":\"okx\",\"symbol\":\"BTC-USDT\",\"recv\":9,\"channel\":\"book\","
               "\"missing\":0,\"filled\":false}");
}

static void test_epoch(void **state)
{
    (void)state;
    struct event event = {
        .type = EVENT_EPOCH,
        .received_us = 9,
        .epoch = {.epoch = 4, .previous_epoch = 3, .previous_seq = 1000, .node = SLICE("gw-1")}};
    check_body(event, "",
               "\"recv\":9,\"epoch\":4,\"prev\":{\"epoch\":3,\"seq\":1000},\"node\":\"gw-1\"}");
}

static void test_candle(void **state)
{
    (void)state;
    struct event event = {.type = EVENT_CANDLE,
                          .symbol = &btc_usdt,
                          .candle = {.interval = SLICE("1m"),
                                     .open_us = 1,
                                     .close_us = 2,
                                     .open = {1, 0},
                                     .high = {2, 0},
                                     .low = {3, 0},
                                     .close = {4, 0},
                                     .volume = {5, 0},
                                     .quote_volume = {6, 0},
                                     .has_quote_volume = true,
                                     .closed = true}};
    check_body(event, "okx",
               "\"exchange\":\"okx\",\"symbol\":\"BTC-USDT\",\"interval\":\"1m\",\"from_ts\":1,"
               "\"to_ts\":2,\"open\":\"1\",\"high\":\"2\",\"low\":\"3\",\"close\":\"4\","
               "\"volume\":\"5\",\"quote_volume\":\"6\",\"closed\":true}");
}

static void test_text(void **state)
{
    (void)state;
    static const struct {
        const char *text, *json;
    } rows[] = {
        {"", "\"\""},
        {"a", "\"a\""},
        {"ab", "\"ab\""},
        {"abc", "\"abc\""},
        {"abcd", "\"abcd\""},
        {"abcdefg", "\"abcdefg\""},
        {"abcdefgh", "\"abcdefgh\""},
        {"abcdefghi", "\"abcdefghi\""},
        {"\"", "\"\\\"\""},
        {"\\", "\"\\\\\""},
        {"/", "\"/\""},
        {"\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\""},
        {"\x01\x1f\x7f", "\"\\u0001\\u001f\x7f\""},
        {"12345678\"", "\"12345678\\\"\""},
        {"1234567\"8", "\"1234567\\\"8\""},
        {"\xed\x95\x9c", "\"\xed\x95\x9c\""},
        {"\xed\x95", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {"a\xff"
         "b",
         "\"a\xef\xbf\xbd"
         "b\""},
        {"\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xf4\x8f\xbf\xbf", "\"\xf4\x8f\xbf\xbf\""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct slice text = slice_of(rows[i].text);
        char *source = malloc(text.size + 1); /* not a byte more to read, nor to write */
        char *json = malloc(6 * text.size + 2);
        assert_true(source != NULL && json != NULL);
        memcpy(source, text.data, text.size);
        char *end = json_write_text(
            json, (struct slice){.data = source + (text.size == 0), .size = text.size});
        struct slice written = {.data = json, .size = (size_t)(end - json)};
        if (!slice_is(written, rows[i].json))
            fail_msg("%.*s, not %s", (int)written.size, written.data, rows[i].json);
        free(source);
        free(json);
    }
}

static void test_text_of_every_byte(void **state)
{
    (void)state;
    for (size_t size = 1; size < 20; size++) {
        for (size_t at = 0; at < size; at++) {
            for (int byte = 0; byte < 256; byte++) {
                char text[20];
                char json[6 * 20 + 2];
                char wanted[160];
                const char *escape = byte == '"' ? "\\\"" : byte == '\\' ? "\\\\" : NULL;
                bool plain = byte >= ' ' && byte < 0x80 && escape == NULL;
                if (byte < ' ' && strchr("\b\f\n\r\t", byte) != NULL && byte != 0)
                    continue; /* in test_text */
                memset(text, 'x', size);
                text[at] = (char)byte;
                char *end = json_write_text(json, (struct slice){.data = text, .size = size});
                *end = '\0';
                int written =
                    snprintf(wanted, sizeof(wanted), "\"%.*s", (int)at, "xxxxxxxxxxxxxxxxxxxx");
                char *tail = wanted + written;
                size_t left = sizeof(wanted) - (size_t)written;
                if (plain)
                    written = snprintf(tail, left, "%c", byte);
                else if (escape != NULL)
                    written = snprintf(tail, left, "%s", escape);
                else if (byte < ' ')
                    written = snprintf(tail, left, "\\u%04x", (unsigned)byte);
                else
                    written = snprintf(tail, left, "\xef\xbf\xbd");
                snprintf(tail + written, left - (size_t)written, "%.*s\"", (int)(size - at - 1),
                         "xxxxxxxxxxxxxxxxxxxx");
                assert_string_equal(json, wanted);
            }
        }
    }
}

static void check_integer(int64_t value)
{
    char *written = malloc(20);
    assert_non_null(written);
    char wanted[32];
    int size = snprintf(wanted, sizeof(wanted), "%lld", (long long)value);
    assert_int_equal(json_write_integer(written, value) - written, size);
    assert_memory_equal(written, wanted, (size_t)size);
    free(written);
}

static void test_integer(void **state)
{
    (void)state;
    check_integer(INT64_MIN);
    check_integer(INT64_MAX);
    for (int64_t power = 1; power <= INT64_MAX / 10; power *= 10) {
        for (int64_t offset = -2; offset <= 2; offset++) {
            check_integer(power + offset);
            check_integer(-power + offset);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trade),       cmocka_unit_test(test_trade_id_is_escaped),
        cmocka_unit_test(test_long_symbol), cmocka_unit_test(test_ticker),
        cmocka_unit_test(test_book),        cmocka_unit_test(test_book_of_longest_numbers),
        cmocka_unit_test(test_status),      cmocka_unit_test(test_gap),
        cmocka_unit_test(test_epoch),       cmocka_unit_test(test_candle),
        cmocka_unit_test(test_text),        cmocka_unit_test(test_text_of_every_byte),
        cmocka_unit_test(test_integer),
    };
    return cmocka_run_group_tests_name("encode", tests, NULL, NULL);
}
