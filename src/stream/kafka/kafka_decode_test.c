/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/kafka/kafka_decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define TRADE                                                                                      \
    "{\"type\":\"trade\",\"seq\":7,\"exchange\":\"upbit\",\"symbol\":\"BTC-KRW\",\"id\":\"1\"}"

struct sample {
    const char *stream, *epoch, *seq, *type, *node; /* NULL: no such header */
    const char *text;
    enum kafka_verdict verdict;
};

static const struct sample good_record = {"tw-1", "3", "7", "trade", "gw-1", TRADE, KAFKA_GOOD};

static void add(struct kafka_headers *headers, const char *name, const char *value)
{
    if (value != NULL)
        kafka_headers_add(headers, name, slice_of(value));
}

static enum kafka_verdict decode(const struct sample *sample, struct kafka_name *name,
                                 struct kafka_decoded *decoded)
{
    static char text[LIMIT_RECORD + 1 + LIMIT_PADDING];
    struct kafka_headers headers = {0};
    size_t size = strlen(sample->text);
    memset(text, 0, sizeof text);
    memcpy(text, sample->text, size);
    add(&headers, "tw-stream", sample->stream);
    add(&headers, "traceparent", "00-1-2-00");
    add(&headers, "tw-epoch", sample->epoch);
    add(&headers, "tw-seq", sample->seq);
    add(&headers, "tw-type", sample->type);
    add(&headers, "tw-node", sample->node);
    enum kafka_verdict verdict = kafka_name_read(&headers, name);
    if (verdict != KAFKA_GOOD)
        return verdict;
    return kafka_decode(name, &headers, (struct slice){text, size}, 1000, decoded);
}

static void a_record_comes_out_as_it_went_in(void **state)
{
    (void)state;
    struct kafka_name name;
    struct kafka_decoded decoded;
    assert_int_equal(decode(&good_record, &name, &decoded), KAFKA_GOOD);
    assert_int_equal(name.kind, KAFKA_RECORD);
    assert_string_equal(decoded.record.stream, "tw-1");
    assert_int_equal(decoded.record.epoch, 3);
    assert_int_equal(decoded.record.seq, 7);
    assert_true(slice_is(decoded.record.type, "trade"));
    assert_true(slice_is(decoded.record.key, "upbit:BTC-KRW"));
    assert_true(slice_is(decoded.record.text, TRADE));
    assert_int_equal(decoded.record.text.data[decoded.record.text.size], 0);
}

static void notes_come_out_as_they_went_in(void **state)
{
    (void)state;
    struct kafka_name name;
    struct kafka_decoded decoded;
    struct sample barrier = {
        "tw-1",
        "3",
        NULL,
        "barrier",
        "gw-1",
        "{\"type\":\"barrier\",\"stream\":\"tw-1\",\"epoch\":3,\"writer\":\"w\",\"node\":\"n\"}",
        KAFKA_GOOD};
    assert_int_equal(decode(&barrier, &name, &decoded), KAFKA_GOOD);
    assert_int_equal(name.kind, KAFKA_BARRIER);
    assert_int_equal(decoded.barrier.barrier.position, 1000);
    assert_string_equal(decoded.barrier.barrier.writer, "w");
    struct sample note = {
        "tw-1",    "3",    NULL,
        "state",   "gw-1", "{\"type\":\"state\",\"seq\":9,\"exchange\":\"upbit\",\"trades\":[]}",
        KAFKA_GOOD};
    assert_int_equal(decode(&note, &name, &decoded), KAFKA_GOOD);
    assert_int_equal(name.kind, KAFKA_STATE);
    assert_int_equal(decoded.state.seq, 9);
    assert_int_equal(decoded.state.epoch, 3);
    assert_string_equal(decoded.state.stream, "tw-1");
}

static void strangers_are_told_by_what_is_wrong(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {NULL, NULL, NULL, NULL, NULL, "hello", KAFKA_FOREIGN},
        {NULL, "3", "7", "trade", "gw-1", TRADE, KAFKA_BAD_HEADERS},
        {"tw-1", NULL, "7", "trade", "gw-1", TRADE, KAFKA_BAD_HEADERS},
        {"tw-1", "3", "7", NULL, "gw-1", TRADE, KAFKA_BAD_HEADERS},
        {"tw-1", "3", "7", "trade", NULL, TRADE, KAFKA_BAD_HEADERS},
        {"tw-1", "3", NULL, "trade", "gw-1", TRADE, KAFKA_BAD_HEADERS},
        {"tw.1", "3", "7", "trade", "gw-1", TRADE, KAFKA_BAD_HEADERS},
        {"", "3", "7", "trade", "gw-1", TRADE, KAFKA_BAD_HEADERS},
        {"tw-1", "0", "7", "trade", "gw-1", TRADE, KAFKA_BAD_HEADERS},
        {"tw-1", "03", "7", "trade", "gw-1", TRADE, KAFKA_BAD_HEADERS},
        {"tw-1", "-3", "7", "trade", "gw-1", TRADE, KAFKA_BAD_HEADERS},
        {"tw-1", "three", "7", "trade", "gw-1", TRADE, KAFKA_BAD_HEADERS},
        {"tw-1", "9007199254740992", "7", "trade", "gw-1", TRADE, KAFKA_BAD_HEADERS},
        {"tw-1", "3", "0", "trade", "gw-1", TRADE, KAFKA_BAD_HEADERS},
        {"tw-1", "3", "", "trade", "gw-1", TRADE, KAFKA_BAD_HEADERS},
        {"tw-1", "3", "7 ", "trade", "gw-1", TRADE, KAFKA_BAD_HEADERS},
        {"tw-1", "3", "8", "trade", "gw-1", TRADE, KAFKA_BAD_TEXT},
        {"tw-1", "3", "7", "book", "gw-1", TRADE, KAFKA_BAD_TEXT},
        {"tw-1", "3", "7", "trade", "gw-1", "", KAFKA_BAD_TEXT},
        {"tw-1", "3", "7", "trade", "gw-1", "{\"type\":\"trade\",\"seq\":7", KAFKA_BAD_TEXT},
        {"tw-1", "3", "7", "trade", "gw-1", "{\"type\":\"trade\",\"seq\":7,\n\"a\":1}",
         KAFKA_BAD_TEXT},
        {"tw-1", "3", "7", "trade", "gw-1", "{\"type\":\"trade\",\"seq\":7,\"a\":\"\xff\"}",
         KAFKA_BAD_TEXT},
        {"tw-1", "3", NULL, "state", "gw-1", TRADE, KAFKA_BAD_TEXT},
        {"tw-1", "3", NULL, "barrier", "gw-1", "{\"type\":\"barrier\"}", KAFKA_BAD_TEXT},
        {"tw-1", "3", NULL, "barrier", "gw-1",
         "{\"type\":\"barrier\",\"stream\":\"tw-1\",\"epoch\":4,\"writer\":\"w\",\"node\":\"n\"}",
         KAFKA_BAD_TEXT},
        {"tw-1", "3", NULL, "barrier", "gw-1",
         "{\"type\":\"barrier\",\"stream\":\"tw-2\",\"epoch\":3,\"writer\":\"w\",\"node\":\"n\"}",
         KAFKA_BAD_TEXT},
    };
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct kafka_name name;
        struct kafka_decoded decoded;
        enum kafka_verdict verdict = decode(&samples[i], &name, &decoded);
        if (verdict != samples[i].verdict)
            fail_msg("sample %zu: %s", i, kafka_verdict_names[verdict]);
    }
}

static void a_header_twice_is_refused(void **state)
{
    (void)state;
    struct kafka_name name;
    struct kafka_headers headers = {0};
    add(&headers, "tw-stream", "tw-1");
    add(&headers, "tw-epoch", "3");
    add(&headers, "tw-seq", "7");
    add(&headers, "tw-type", "trade");
    add(&headers, "tw-node", "gw-1");
    assert_int_equal(kafka_name_read(&headers, &name), KAFKA_GOOD);
    add(&headers, "tw-epoch", "3");
    assert_int_equal(kafka_name_read(&headers, &name), KAFKA_BAD_HEADERS);
    headers = (struct kafka_headers){0};
    kafka_headers_add(&headers, "tw-stream", (struct slice){0});
    assert_int_equal(kafka_name_read(&headers, &name), KAFKA_BAD_HEADERS);
}

static enum kafka_verdict beacon(int64_t now, int64_t barrier, int64_t start)
{
    struct kafka_name name;
    struct kafka_decoded decoded;
    char text[512];
    snprintf(text, sizeof text,
             "{\"type\":\"beacon\",\"stream\":\"tw-1\",\"epoch\":3,\"seq\":9,\"position\":%lld,"
             "\"barrier\":%lld,\"start\":{\"stream\":\"tw-1\",\"epoch\":3,\"seq\":5,"
             "\"position\":%lld},\"node\":\"n\"}",
             (long long)now, (long long)barrier, (long long)start);
    struct sample sample = {"tw-1", "3", NULL, "beacon", "gw-1", text, KAFKA_GOOD};
    return decode(&sample, &name, &decoded);
}

/* It stands at position 1000. */
static void a_beacon_speaks_of_what_is_before_it(void **state)
{
    (void)state;
    assert_int_equal(beacon(1000, 999, 1000), KAFKA_GOOD);
    assert_int_equal(beacon(990, -1, 0), KAFKA_GOOD);
    assert_int_equal(beacon(1001, 10, 20), KAFKA_BAD_POSITION);
    assert_int_equal(beacon(990, 1000, 20), KAFKA_BAD_POSITION);
    assert_int_equal(beacon(990, 10, 991), KAFKA_BAD_POSITION);
    assert_int_equal(beacon(-1, 10, 20), KAFKA_BAD_POSITION);
    assert_int_equal(beacon(990, 10, -1), KAFKA_BAD_POSITION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_comes_out_as_it_went_in),
        cmocka_unit_test(notes_come_out_as_they_went_in),
        cmocka_unit_test(strangers_are_told_by_what_is_wrong),
        cmocka_unit_test(a_header_twice_is_refused),
        cmocka_unit_test(a_beacon_speaks_of_what_is_before_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
