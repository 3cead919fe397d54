/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One message costs no allocation: the linker puts counting functions in the place of malloc and
 * its kin (-Wl,--wrap), and all fixtures are decoded and encoded between two counts.
 */
#include "base/memory.h"
#include "bench/recorded.h"
#include "market/encode.h"
#include "tests/tools/counted_allocations_test.h"
#include "tests/tools/fixtures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define ENCODED_MAX ((size_t)4 * MEBIBYTE)

struct work {
    const struct exchange *exchange;
    struct instruments *instruments;
    struct event_batch *batch;
    char *encoded;
    unsigned messages, events;
};

static void message_work(struct work *work, struct slice text)
{
    struct decode_input input = {.text = text, .received_us = 1, .instruments = work->instruments};
    size_t before = allocations;
    (void)work->exchange->decode(NULL, &input, work->batch);
    for (uint32_t i = 0; i < work->batch->event_count; i++) {
        const struct event *event = &work->batch->event[i];
        if (event->type == EVENT_CANDLE) /* not part of the stream */
            continue;
        assert_true(event_encode_max(event, slice_of(work->exchange->name)) <= ENCODED_MAX);
        (void)event_encode(work->encoded, event, slice_of(work->exchange->name));
        work->events++;
    }
    assert_int_equal(allocations, before);
    work->messages++;
}

static void file_work(struct work *work, const char *path)
{
    struct buffer file;
    struct buffer message;
    struct slice line;
    struct slice text;
    int64_t i;
    buffer_init(&file, ENCODED_MAX);
    buffer_init(&message, ENCODED_MAX);
    assert_true(recorded_load(path, &file));
    struct slice rest = buffer_slice(&file);
    while (recorded_next_line(&rest, &line)) {
        assert_true(recorded_message(line, &message, &text, &i));
        message_work(work, text);
    }
    buffer_release(&file);
    buffer_release(&message);
}

static void fact_ignore(void *context, const struct rest_fact *fact)
{
    (void)fact;
    ++*(unsigned *)context;
}

/* Each as every kind: refusals must not allocate either. */
static unsigned answers_work(const struct exchange *exchange, const char *path)
{
    struct buffer file;
    struct buffer answer;
    struct slice line;
    struct slice text;
    struct slice note;
    int64_t i;
    unsigned facts = 0;
    buffer_init(&file, ENCODED_MAX);
    buffer_init(&answer, ENCODED_MAX);
    assert_true(recorded_load(path, &file));
    struct slice rest = buffer_slice(&file);
    while (recorded_next_line(&rest, &line)) {
        assert_true(recorded_message(line, &answer, &text, &i));
        size_t before = allocations;
        for (unsigned kind = REST_MARKETS; kind <= REST_TICKERS; kind++)
            (void)exchange->rest_read((enum rest_kind)kind, text, fact_ignore, &facts, &note);
        assert_int_equal(allocations, before);
    }
    buffer_release(&file);
    buffer_release(&answer);
    return facts;
}

static void no_answer_allocates(void **state)
{
    (void)state;
    assert_true(answers_work(exchange_find(SLICE("binance"), 0),
                             "src/exchange/binance/fixtures/rest.jsonl") > 10);
    assert_true(answers_work(exchange_find(SLICE("upbit"), 0),
                             "src/exchange/upbit/fixtures/rest.jsonl") > 10);
    assert_true(answers_work(exchange_find(SLICE("bithumb"), 2),
                             "src/exchange/bithumb/fixtures/rest.jsonl") > 10);
    assert_true(answers_work(exchange_find(SLICE("bithumb"), 1),
                             "src/exchange/bithumb/fixtures/rest_old.jsonl") > 10);
}

static void no_message_allocates(void **state)
{
    static const struct {
        const char *name;
        unsigned generation;
        const char *path;
    } files[] = {
        {"binance", 0, "src/exchange/binance/fixtures/messages.jsonl"},
        {"upbit", 0, "src/exchange/upbit/fixtures/messages.jsonl"},
        {"bithumb", 2, "src/exchange/bithumb/fixtures/messages.jsonl"},
        {"bithumb", 1, "src/exchange/bithumb/fixtures/old.jsonl"},
    };
    struct work work = {.messages = 0};
    (void)state;
    work.batch = memory_alloc(sizeof(*work.batch));
    work.encoded = memory_alloc(ENCODED_MAX);
    assert_true(allocations > 0); /* the counter counts */
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        work.exchange = exchange_find(slice_of(files[i].name), files[i].generation);
        work.instruments = instruments_create(64, true); /* to learn must not allocate either */
        file_work(&work, files[i].path);
        instruments_destroy(work.instruments);
    }
    assert_true(work.messages > 300);
    assert_true(work.events > 600);
    memory_free(work.batch);
    memory_free(work.encoded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_message_allocates),
                                       cmocka_unit_test(no_answer_allocates)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
