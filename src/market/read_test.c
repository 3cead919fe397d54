/* SPDX-License-Identifier: Apache-2.0 */
/* Messages are read from memory that ends where the contract allows reading. */
#include "market/read.h"

#include "market/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct read_scratch *scratch;
static char *copy; /* of the last message read; slices borrow from it */

static int set_up(void **state)
{
    (void)state;
    scratch = calloc(1, sizeof(*scratch));
    return scratch == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    free(scratch);
    free(copy);
    copy = NULL;
    return 0;
}

static enum read_verdict read_slice(struct slice text, struct read_message *message)
{
    free(copy);
    copy = malloc(text.size + 1 + LIMIT_PADDING);
    assert_non_null(copy);
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    memset(copy + text.size + 1, '"', LIMIT_PADDING);
    return message_read((struct slice){.data = copy, .size = text.size}, scratch, message);
}

static enum read_verdict read_text(const char *text, struct read_message *message)
{
    return read_slice(slice_of(text), message);
}

#define HEAD "{\"type\":\"trade\",\"seq\":7,"
#define MARKET "\"exchange\":\"upbit\",\"symbol\":\"BTC-KRW\",\"ts\":1628952396394000,\"recv\":9,"
#define EPOCH "{\"type\":\"epoch\",\"epoch\":1,\"node\":\"a\",\"prev\":"
#define TRADE "\"id\":\"17\",\"price\":\"127\",\"size\":\"0.5\",\"side\":\"sell\""

static void test_trade(void **state)
{
    (void)state;
    struct read_message message;
    assert_int_equal(read_text(HEAD MARKET TRADE "}", &message), READ_EVENT);
    assert_true(slice_is(message.type, "trade"));
    assert_true(slice_is(message.exchange, "upbit"));
    assert_int_equal(message.seq, 7);
    assert_false(message.snapshot);
    assert_int_equal(message.event.type, EVENT_TRADE);
    assert_string_equal(message.event.symbol->text, "BTC-KRW");
    assert_int_equal(message.event.exchange_us, 1628952396394000);
    assert_int_equal(message.event.received_us, 9);
    assert_true(slice_is(message.event.trade.id, "17"));
    assert_true(decimal_equal(message.event.trade.price, (struct decimal){127, 0}));
    assert_true(decimal_equal(message.event.trade.size, (struct decimal){5, -1}));
    assert_int_equal(message.event.trade.side, SIDE_SELL);
    assert_int_equal(message.event.trade.origin, TRADE_LIVE);
    assert_int_equal(
        read_text(HEAD MARKET TRADE ",\"origin\":\"rest\",\"snapshot\":true}", &message),
        READ_EVENT);
    assert_int_equal(message.event.trade.origin, TRADE_REST);
    assert_true(message.snapshot);
}

static void test_any_order_and_unknown_keys(void **state)
{
    (void)state;
    struct read_message message;
    assert_int_equal(
        read_text(" { \"new\" : [{\"type\":\"book\"}] ,\"side\":\"buy\",\"size\":\"1\","
                  "\"price\":\"2\",\"future\":null,\"symbol\":\"BTC-KRW\",\"exchange\":\"okx\","
                  "\"seq\":3,\"type\":\"trade\"} ",
                  &message),
        READ_EVENT);
    assert_int_equal(message.seq, 3);
    assert_int_equal(message.event.trade.side, SIDE_BUY);
    assert_int_equal(message.event.trade.id.size, 0);
    assert_int_equal(message.event.exchange_us, 0);
}

static const char *const malformed_texts[] = {
    "",
    "null",
    "[]",
    "{}",
    "{\"seq\":1}",
    "{\"type\":7}",
    "{\"type\":null,\"type\":\"hello\"}",
    "{\"type\":\"hello\"",
    "{\"type\":\"hello\"}}",
    "{\"type\":\"hello\",}",
    "{\"type\":\"hello\",\"type\":\"hello\"}",
    "{\"type\":\"hello\",\"seq\":1,\"seq\":1}",
    "{\"type\":\"heartbeat\",\"seq\":-1}",
    "{\"type\":\"heartbeat\",\"seq\":1.5}",
    "{\"type\":\"heartbeat\",\"seq\":\"1\"}",
    "{\"type\":\"heartbeat\",\"seq\":9007199254740993}",
    "{\"type\":\"hello\",\"x\":[1,}",
    HEAD MARKET "}",
    HEAD TRADE "}",
    "{\"type\":\"trade\",\"type\":\"trade\"," MARKET TRADE "}",
    HEAD "\"seq\":7," MARKET TRADE "}",
    HEAD MARKET TRADE ",\"price\":\"127\"}",
    HEAD MARKET TRADE ",\"symbol\":\"BTC-KRW\"}",
    HEAD MARKET TRADE ",\"side\":\"sell\"}",
    HEAD MARKET TRADE ",\"snapshot\":1}",
    HEAD MARKET TRADE ",\"snapshot\":\"true\"}",
    HEAD MARKET TRADE ",\"snapshot\":null}",
    HEAD MARKET TRADE ",\"origin\":\"live\"}",
    HEAD MARKET TRADE ",\"origin\":\"\"}",
    HEAD MARKET "\"id\":17,\"price\":\"1\",\"size\":\"1\",\"side\":\"buy\"}",
    HEAD MARKET "\"price\":1,\"size\":\"1\",\"side\":\"buy\"}",
    HEAD MARKET "\"price\":\"\",\"size\":\"1\",\"side\":\"buy\"}",
    HEAD MARKET "\"price\":\"-1\",\"size\":\"1\",\"side\":\"buy\"}",
    HEAD MARKET "\"price\":\"1234567890123456789\",\"size\":\"1\",\"side\":\"buy\"}",
    HEAD MARKET "\"price\":\"1\",\"size\":\"1\",\"side\":\"BUY\"}",
    HEAD MARKET "\"price\":\"1\",\"size\":\"1\",\"side\":true}",
    HEAD MARKET "\"price\":\"1\",\"side\":\"buy\"}",
    HEAD "\"exchange\":\"\",\"symbol\":\"BTC-KRW\"," TRADE "}",
    HEAD "\"exchange\":\"Upbit\",\"symbol\":\"BTC-KRW\"," TRADE "}",
    HEAD "\"exchange\":\"up\\u0062it\",\"symbol\":\"BTC-KRW\"," TRADE "}",
    HEAD "\"exchange\":\"abcdefghijklmnopqrstuvwxyzabcdefg\",\"symbol\":\"A-B\"," TRADE "}",
    HEAD "\"exchange\":\"upbit\",\"symbol\":\"BTCKRW\"," TRADE "}",
    HEAD "\"exchange\":\"upbit\",\"symbol\":\"btc-KRW\"," TRADE "}",
    HEAD "\"exchange\":\"upbit\",\"symbol\":null," TRADE "}",
    HEAD "\"ts\":-1,\"exchange\":\"upbit\",\"symbol\":\"BTC-KRW\"," TRADE "}",
    HEAD "\"ts\":\"1\",\"exchange\":\"upbit\",\"symbol\":\"BTC-KRW\"," TRADE "}",
    HEAD "\"recv\":1e3,\"exchange\":\"upbit\",\"symbol\":\"BTC-KRW\"," TRADE "}",
    HEAD MARKET TRADE "} x",
    HEAD MARKET TRADE ",\"x\":\"\xff\"}",
    "{\"type\":\"ticker\",\"seq\":1," MARKET "\"last\":1}",
    "{\"type\":\"ticker\",\"seq\":1," MARKET "\"last\":\"1\",\"last\":\"1\"}",
    "{\"type\":\"ticker\",\"seq\":1,\"exchange\":\"upbit\",\"last\":\"1\"}",
    "{\"type\":\"status\",\"exchange\":\"okx\"}",
    "{\"type\":\"status\",\"exchange\":\"okx\",\"state\":\"up\"}",
    "{\"type\":\"status\",\"state\":\"live\"}",
    "{\"type\":\"gap\"," MARKET "\"channel\":\"trade\"}",
    "{\"type\":\"gap\"," MARKET "\"channel\":\"trade\",\"filled\":0}",
    "{\"type\":\"gap\"," MARKET "\"channel\":\"trade\",\"filled\":true,\"missing\":-1}",
    "{\"type\":\"gap\"," MARKET "\"filled\":true}",
    "{\"type\":\"epoch\",\"epoch\":1,\"node\":\"a\"}",
    "{\"type\":\"epoch\",\"epoch\":1,\"prev\":{},\"node\":\"a\"}",
    "{\"type\":\"epoch\",\"epoch\":1,\"prev\":{\"epoch\":1},\"node\":\"a\"}",
    "{\"type\":\"epoch\",\"epoch\":1,\"prev\":{\"seq\":1},\"node\":\"a\"}",
    EPOCH "{\"epoch\":1,\"seq\":1,\"seq\":1}}",
    EPOCH "{\"epoch\":1,\"epoch\":1,\"seq\":1}}",
    "{\"type\":\"epoch\",\"epoch\":1,\"prev\":[1,1],\"node\":\"a\"}",
    "{\"type\":\"epoch\",\"epoch\":1,\"prev\":{\"epoch\":1,\"seq\":-1},\"node\":\"a\"}",
    "{\"type\":\"epoch\",\"prev\":{\"epoch\":1,\"seq\":1},\"node\":\"a\"}",
};

static void test_malformed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(malformed_texts); i++) {
        struct read_message message = {.seq = 77};
        if (read_text(malformed_texts[i], &message) != READ_MALFORMED)
            fail_msg("accepted: %s", malformed_texts[i]);
        assert_int_equal(message.seq, 77); /* set on success only */
    }
}

#define BOOK "{\"type\":\"book\",\"seq\":1," MARKET

static void test_malformed_books(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "\"bids\":[],\"asks\":[]}",
        "\"action\":\"update\",\"asks\":[]}",
        "\"action\":\"update\",\"bids\":[]}",
        "\"action\":\"delta\",\"bids\":[],\"asks\":[]}",
        "\"action\":\"update\",\"bids\":[],\"asks\":[],\"bids\":[]}",
        "\"action\":\"update\",\"depth\":1,\"bids\":[],\"asks\":[]}",
        "\"action\":\"update\",\"proof\":\"chain\",\"bids\":[],\"asks\":[]}",
        "\"action\":\"snapshot\",\"proof\":\"chain\",\"bids\":[],\"asks\":[]}",
        "\"action\":\"snapshot\",\"proof\":\"none\",\"depth\":1,\"bids\":[],\"asks\":[]}",
        "\"action\":\"snapshot\",\"proof\":\"chain\",\"depth\":-1,\"bids\":[],\"asks\":[]}",
        "\"action\":\"snapshot\",\"proof\":\"chain\",\"depth\":4294967296,\"bids\":[],\"asks\":[]}",
        "\"action\":\"snapshot\",\"depth\":9,\"bids\":[[\"1\",\"0\"]],\"asks\":[]}",
        "\"action\":\"snapshot\",\"depth\":9,\"bids\":[[\"1\",\"1\"],[\"2\",\"1\"]],\"asks\":[]}",
        "\"action\":\"snapshot\",\"depth\":9,\"bids\":[],\"asks\":[[\"2\",\"1\"],[\"1\",\"1\"]]}",
        "\"action\":\"snapshot\",\"depth\":9,\"bids\":[],\"asks\":[[\"1\",\"1\"],[\"1.0\",\"1\"]]}",
        "\"action\":\"update\",\"bids\":{},\"asks\":[]}",
        "\"action\":\"update\",\"bids\":[[]],\"asks\":[]}",
        "\"action\":\"update\",\"bids\":[[\"1\"]],\"asks\":[]}",
        "\"action\":\"update\",\"bids\":[[\"1\",\"1\",\"1\"]],\"asks\":[]}",
        "\"action\":\"update\",\"bids\":[[1,1]],\"asks\":[]}",
        "\"action\":\"update\",\"bids\":[[\"1\",\"x\"]],\"asks\":[]}",
        "\"action\":\"update\",\"bids\":[[\"1\",\"-1\"]],\"asks\":[]}",
        "\"action\":\"update\",\"bids\":[[\"-1\",\"1\"]],\"asks\":[]}",
        "\"action\":\"update\",\"bids\":[[\"1\",\"1234567890123456789\"]],\"asks\":[]}",
        "\"action\":\"update\",\"bids\":[[\"1\",\"1\"],],\"asks\":[]}",
        "\"action\":\"update\",\"bids\":[[\"1\",\"1\"][\"1\",\"1\"]],\"asks\":[]}",
        "\"action\":\"update\",\"bids\":[\"1\",\"1\"],\"asks\":[]}",
    };
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        char text[512];
        struct read_message message;
        snprintf(text, sizeof(text), BOOK "%s", bodies[i]);
        if (read_text(text, &message) != READ_MALFORMED)
            fail_msg("accepted: %s", text);
    }
}

static void test_book(void **state)
{
    (void)state;
    struct read_message message;
    assert_int_equal(read_text(BOOK "\"action\":\"snapshot\",\"proof\":\"checksum\",\"depth\":100,"
                                    "\"bids\":[ [ \"2\" , \"1.5\" ] , [\"1e0\",\"12345678.5\"]],"
                                    "\"asks\":[]}",
                               &message),
                     READ_EVENT);
    const struct book_change *book = &message.event.book;
    assert_int_equal(book->action, BOOK_SNAPSHOT);
    assert_int_equal(book->proof, BOOK_PROOF_CHECKSUM);
    assert_int_equal(book->depth, 100);
    assert_int_equal(book->bids.count, 2);
    assert_int_equal(book->asks.count, 0);
    assert_true(decimal_equal(book->bids.level[0].size, (struct decimal){15, -1}));
    assert_true(decimal_equal(book->bids.level[1].price, (struct decimal){1, 0}));
    assert_true(decimal_equal(book->bids.level[1].size, (struct decimal){123456785, -1}));
    assert_int_equal(read_text(BOOK "\"action\":\"update\",\"bids\":[[\"2\",\"0\"]],"
                                    "\"asks\":[[\"5\",\"1\"],[\"4\",\"1\"]]}",
                               &message),
                     READ_EVENT);
    assert_int_equal(book->action, BOOK_UPDATE);
    assert_true(decimal_is_zero(book->bids.level[0].size));
}

/* As many levels as there is room for, and one more. */
static void test_book_of_most_levels(void **state)
{
    (void)state;
    for (uint32_t extra = 0; extra < 2; extra++) {
        uint32_t count = LIMIT_MESSAGE_LEVELS + extra;
        struct buffer_of_text {
            char text[LIMIT_MESSAGE_LEVELS * 16];
        } *text = calloc(1, sizeof(*text));
        assert_non_null(text);
        int size = snprintf(text->text, 512, BOOK "\"action\":\"update\",\"bids\":[],\"asks\":[");
        for (uint32_t i = 0; i < count; i++)
            size += snprintf(text->text + size, 32, "%s[\"%u\",\"1\"]", i > 0 ? "," : "", i);
        size += snprintf(text->text + size, 8, "]}");
        struct read_message message;
        enum read_verdict verdict =
            read_slice((struct slice){.data = text->text, .size = (size_t)size}, &message);
        assert_int_equal(verdict, extra == 0 ? READ_EVENT : READ_MALFORMED);
        if (extra == 0)
            assert_int_equal(message.event.book.asks.count, LIMIT_MESSAGE_LEVELS);
        free(text);
    }
}

static void test_other(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seq;
    } rows[] = {
        {"{\"type\":\"hello\",\"version\":1,\"exchange\":5,\"price\":{}}", 0},
        {"{\"type\":\"heartbeat\",\"seq\":12,\"ts\":5}", 12},
        {"{\"type\":\"snapshot_end\",\"seq\":9007199254740991}", 9007199254740991},
        {"{\"type\":\"source\",\"source\":\"kafka\"}", 0},
        {"{\"type\":\"skipped\",\"from\":1,\"to\":2}", 0},
        {"{\"type\":\"draining\",\"within_ms\":5}", 0},
        {"{\"type\":\"candle\",\"seq\":4}", 4},
        {"{\"seq\":4,\"type\":\"\"}", 4},
        {"{\"type\":\"tr\\u0061de\"}", 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct read_message message;
        if (read_text(rows[i].text, &message) != READ_OTHER)
            fail_msg("%s", rows[i].text);
        assert_int_equal(message.seq, rows[i].seq);
    }
}

/* The reader takes what the writer writes, and the same comes out when it is written again. */
static void check_round_trip(const struct event *event, const char *exchange)
{
    char text[4096];
    char again[4096];
    struct read_message message;
    int head =
        snprintf(text, sizeof(text), "{\"type\":\"%s\",\"seq\":12,", event_type_names[event->type]);
    assert_true((size_t)head + event_encode_max(event, slice_of(exchange)) < sizeof(text));
    char *end = event_encode(text + head, event, slice_of(exchange));
    struct slice written = {.data = text, .size = (size_t)(end - text)};
    if (read_slice(written, &message) != READ_EVENT)
        fail_msg("%.*s", (int)written.size, written.data);
    assert_int_equal(message.seq, 12);
    char *again_end = event_encode(again, &message.event, message.exchange);
    assert_int_equal(again_end - again, end - text - head);
    assert_memory_equal(again, text + head, (size_t)(again_end - again));
    /* Cut anywhere it is malformed. */
    for (size_t size = 0; size < written.size; size++)
        assert_int_equal(read_slice((struct slice){.data = text, .size = size}, &message),
                         READ_MALFORMED);
}

static void test_round_trips(void **state)
{
    (void)state;
    static const struct symbol symbol = {.size = 8, .text = "BTC-USDT"};
    static const struct level levels[] = {{{30, 0}, {1, -40}}, {{20, 0}, {7, 40}}};
    struct event event = {.symbol = &symbol, .exchange_us = 5, .received_us = 6};
    event.type = EVENT_TRADE;
    event.trade = (struct trade){.id = SLICE("x"), .price = {1, 0}, .origin = TRADE_SNAPSHOT};
    check_round_trip(&event, "okx");
    for (unsigned field = 0; field < TICKER_FIELD_COUNT; field++) {
        event.type = field % 2 == 0 ? EVENT_TICKER : EVENT_QUOTE;
        event.ticker = (struct ticker){.present = 1u << field};
        event.ticker.value[field] = (struct decimal){field + 1, -3};
        check_round_trip(&event, "okx");
    }
    event.ticker.present = (1u << TICKER_FIELD_COUNT) - 1;
    check_round_trip(&event, "okx");
    event.type = EVENT_BOOK;
    event.book = (struct book_change){.action = BOOK_UPDATE, .bids = {levels, 2}};
    check_round_trip(&event, "okx");
    event.book.action = BOOK_SNAPSHOT;
    for (int proof = BOOK_PROOF_NONE; proof <= BOOK_PROOF_WHOLE; proof++) {
        event.book.proof = (enum book_proof)proof;
        check_round_trip(&event, "okx");
    }
    event.type = EVENT_STATUS;
    event.status =
        (struct status){.state = STATUS_DOWN, .reason = SLICE("a"), .channel = SLICE("b")};
    check_round_trip(&event, "okx");
    event.symbol = NULL;
    event.status = (struct status){.state = STATUS_CONNECTING};
    check_round_trip(&event, "okx");
    event.symbol = &symbol;
    event.type = EVENT_GAP;
    event.gap = (struct gap){.channel = SLICE("trade"), .missing = -1};
    check_round_trip(&event, "okx");
    event.gap = (struct gap){.channel = SLICE("trade"),
                             .after_id = SLICE("1"),
                             .before_id = SLICE("9"),
                             .from_us = 1,
                             .to_us = 2,
                             .missing = 0,
                             .filled = true,
                             .reason = SLICE("r")};
    check_round_trip(&event, "okx");
    event = (struct event){.type = EVENT_EPOCH,
                           .received_us = 3,
                           .epoch = {.epoch = 2, .previous_epoch = 1, .previous_seq = 8}};
    check_round_trip(&event, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trade),     cmocka_unit_test(test_any_order_and_unknown_keys),
        cmocka_unit_test(test_malformed), cmocka_unit_test(test_malformed_books),
        cmocka_unit_test(test_book),      cmocka_unit_test(test_book_of_most_levels),
        cmocka_unit_test(test_other),     cmocka_unit_test(test_round_trips),
    };
    return cmocka_run_group_tests_name("read", tests, set_up, tear_down);
}
