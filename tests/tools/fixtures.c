/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages are decoded in memory of just their size and padding, so that the address sanitizer
 * sees a decoder that looks further. Chance comes from a generator with a fixed seed.
 */
#include "tests/tools/fixtures.h"

#include "bench/recorded.h"
#include "tests/tools/dump.h"

#include "base/memory.h"
#include "market/book.h"
#include "market/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define FILE_MAX ((size_t)4 * MEBIBYTE)
#define DAMAGES_PER_MESSAGE 400
#define ORDERS_PER_MESSAGE 40
#define OBJECTS_MAX 64
#define MEMBERS_MAX 64

/* Everything that one pass over a file needs. */
struct bench {
    const struct fixtures *fixtures;
    struct instruments *instruments;
    struct event_batch *batch;
    struct buffer file;
    struct buffer message;
    struct buffer dump;
    struct slice rest;
    struct recorded recorded;
    struct slice text; /* the present message */
    uint64_t random;
};

struct instrument *fixtures_add(struct instruments *instruments, const struct exchange *exchange,
                                const char *name)
{
    struct symbol symbol;
    char native[LIMIT_NATIVE_SYMBOL];
    assert_true(symbol_read(slice_of(name), &symbol));
    assert_true(exchange->to_native(&symbol, native));
    struct instrument *instrument = instruments_add(instruments, &symbol, slice_of(native));
    assert_non_null(instrument);
    return instrument;
}

static void bench_open(struct bench *bench, const struct fixtures *fixtures)
{
    *bench = (struct bench){.fixtures = fixtures, .random = 88172645463325252u};
    bench->instruments = instruments_create(64, false);
    for (const char *const *name = fixtures->symbols; *name != NULL; name++)
        fixtures_add(bench->instruments, fixtures->exchange, *name);
    bench->batch = memory_alloc(sizeof(*bench->batch));
    buffer_init(&bench->file, FILE_MAX);
    buffer_init(&bench->message, FILE_MAX);
    buffer_init(&bench->dump, FILE_MAX);
    assert_true(recorded_load(fixtures->path, &bench->file));
    bench->rest = buffer_slice(&bench->file);
}

static void bench_close(struct bench *bench)
{
    instruments_destroy(bench->instruments);
    memory_free(bench->batch);
    buffer_release(&bench->file);
    buffer_release(&bench->message);
    buffer_release(&bench->dump);
}

static bool bench_next(struct bench *bench)
{
    struct slice line;
    if (!recorded_next_line(&bench->rest, &line))
        return false;
    if (!recorded_read(line, &bench->recorded))
        fail_msg("%s: not a fixture: %.*s", bench->fixtures->path, (int)line.size, line.data);
    buffer_clear(&bench->message);
    assert_true(recorded_unescape(bench->recorded.from, &bench->message));
    bench->text = buffer_slice(&bench->message);
    return true;
}

static uint32_t bench_random(struct bench *bench, uint32_t below)
{
    bench->random ^= bench->random << 13;
    bench->random ^= bench->random >> 7;
    bench->random ^= bench->random << 17;
    return (uint32_t)(bench->random >> 32) % below;
}

/* A copy of exactly the size that a decoder is promised. */
static char *padded_copy(struct slice text)
{
    char *copy = memory_alloc(text.size + 1 + LIMIT_PADDING);
    memcpy(copy, text.data, text.size);
    return copy;
}

static enum decode_verdict decode_copy(struct bench *bench, const char *copy, size_t size)
{
    const struct exchange *exchange = bench->fixtures->exchange;
    struct decode_input input = {
        .text = {.data = copy, .size = size}, .received_us = 1, .instruments = bench->instruments};
    assert_int_equal(exchange->state_size, 0);
    enum decode_verdict verdict = exchange->decode(NULL, &input, bench->batch);
    fixtures_check_batch(exchange, verdict, bench->batch);
    return verdict;
}

static struct slice dump_now(struct bench *bench, enum decode_verdict verdict)
{
    buffer_clear(&bench->dump);
    dump_batch(&bench->dump, verdict, bench->batch);
    assert_false(bench->dump.overflowed);
    return buffer_slice(&bench->dump);
}

/* ---- the promises of a batch ---- */

static void check_levels(struct levels levels)
{
    for (uint32_t i = 0; i < levels.count; i++) {
        assert_true(levels.level[i].price.mantissa > 0);
        assert_true(levels.level[i].size.mantissa >= 0);
    }
}

static void check_book(const struct exchange *exchange, const struct book_change *book)
{
    check_levels(book->bids);
    check_levels(book->asks);
    if (book->action == BOOK_UPDATE) {
        assert_int_equal(book->proof, BOOK_PROOF_NONE);
        return;
    }
    assert_int_equal(book->proof, BOOK_PROOF_WHOLE);
    assert_true(book->depth > 0);
    assert_true(book->depth <= LIMIT_MESSAGE_LEVELS);
    assert_true(levels_ordered(book->bids, true));
    assert_true(levels_ordered(book->asks, false));
    (void)exchange;
}

static void check_event(const struct exchange *exchange, const struct event *event)
{
    assert_true(event->exchange_us >= 0);
    assert_true(event->order_id >= 0);
    if (event->type == EVENT_TRADE) {
        assert_true(event->trade.price.mantissa > 0);
        assert_true(event->trade.size.mantissa > 0);
        assert_true(event->trade.id.size <= LIMIT_TRADE_ID);
    } else if (event->type == EVENT_BOOK) {
        check_book(exchange, &event->book);
    } else if (event->type == EVENT_QUOTE) {
        assert_true(event->ticker.present != 0);
    } else {
        assert_true(event->type == EVENT_TICKER || event->type == EVENT_CANDLE);
    }
}

void fixtures_check_batch(const struct exchange *exchange, enum decode_verdict verdict,
                          const struct event_batch *batch)
{
    assert_true((unsigned)verdict < DECODE_VERDICT_COUNT);
    assert_int_equal(batch->event_count > 0, verdict == DECODE_EVENTS);
    assert_true(batch->event_count <= LIMIT_MESSAGE_EVENTS);
    for (uint32_t i = 0; i < batch->event_count; i++) {
        assert_non_null(batch->instrument[i]);
        assert_ptr_equal(batch->event[i].symbol, &batch->instrument[i]->symbol);
        check_event(exchange, &batch->event[i]);
    }
}

/* ---- whole, cut, damaged ---- */

static bool is_json(struct slice text)
{
    struct scan scan = scan_begin(text);
    scan_skip(&scan);
    return scan_finish(&scan);
}

unsigned fixtures_check_whole(const struct fixtures *fixtures)
{
    struct bench bench;
    unsigned count = 0;
    unsigned wrong = 0;
    bench_open(&bench, fixtures);
    for (; bench_next(&bench); count++) {
        char *copy = padded_copy(bench.text);
        struct slice dump = dump_now(&bench, decode_copy(&bench, copy, bench.text.size));
        if (!slice_equal(dump, bench.recorded.expect)) {
            wrong++;
            print_error("%s: %.*s\n  expected %.*s\n  got      %.*s\n", fixtures->path,
                        (int)bench.recorded.note.size, bench.recorded.note.data,
                        (int)bench.recorded.expect.size, bench.recorded.expect.data, (int)dump.size,
                        dump.data);
        }
        memory_free(copy);
    }
    bench_close(&bench);
    assert_int_equal(wrong, 0);
    return count;
}

void fixtures_check_cuts(const struct fixtures *fixtures)
{
    struct bench bench;
    bench_open(&bench, fixtures);
    while (bench_next(&bench)) {
        char *copy = padded_copy(bench.text);
        size_t whole = is_json((struct slice){.data = copy, .size = bench.text.size})
                           ? bench.text.size
                           : 0; /* what begins with a message is one, cut there */
        memory_free(copy);
        while (whole > 0 && strchr(" \t\r\n", bench.text.data[whole - 1]) != NULL)
            whole--;
        for (size_t size = 0; size < whole; size++) {
            copy = padded_copy((struct slice){.data = bench.text.data, .size = size});
            assert_int_not_equal(decode_copy(&bench, copy, size), DECODE_EVENTS);
            memory_free(copy);
        }
    }
    bench_close(&bench);
}

/* A byte replaced by one that means something in JSON, or by any, or left out, or doubled. */
static size_t damage_once(struct bench *bench, char *text, size_t size)
{
    static const char meaningful[] = "{}[]\",:-+.eE0123456789ntfu\\ ";
    if (size == 0)
        return 0;
    size_t at = bench_random(bench, (uint32_t)size);
    switch (bench_random(bench, 4)) {
    case 0:
        text[at] = meaningful[bench_random(bench, sizeof(meaningful) - 1)];
        return size;
    case 1:
        text[at] = (char)bench_random(bench, 256);
        return size;
    case 2:
        memmove(text + at, text + at + 1, size - at - 1);
        text[size - 1] = '\0';
        return size - 1;
    default:
        text[at] = text[bench_random(bench, (uint32_t)size)];
        return size;
    }
}

void fixtures_check_damage(const struct fixtures *fixtures)
{
    struct bench bench;
    bench_open(&bench, fixtures);
    while (bench_next(&bench)) {
        for (unsigned i = 0; i < DAMAGES_PER_MESSAGE; i++) {
            char *copy = padded_copy(bench.text);
            size_t size = bench.text.size;
            for (unsigned damages = 1 + bench_random(&bench, 4); damages > 0; damages--)
                size = damage_once(&bench, copy, size);
            enum decode_verdict verdict = decode_copy(&bench, copy, size);
            (void)dump_now(&bench, verdict); /* reads all that the events borrow */
            memory_free(copy);
        }
    }
    bench_close(&bench);
}

/* ---- other orders ---- */

struct object {
    uint32_t count;
    struct slice member[MEMBERS_MAX]; /* key, colon and value */
};

/* Where objects begin, outside of strings. */
static uint32_t objects_find(struct slice text, const char *starts[OBJECTS_MAX])
{
    uint32_t count = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.size && count < OBJECTS_MAX; i++) {
        if (quoted && text.data[i] == '\\')
            i++;
        else if (text.data[i] == '"')
            quoted = !quoted;
        else if (!quoted && text.data[i] == '{')
            starts[count++] = text.data + i;
    }
    return count;
}

static bool object_read(struct object *object, const char *start, const char *end)
{
    struct scan scan = {.at = start, .end = end};
    struct slice key;
    bool first = true;
    object->count = 0;
    scan_expect(&scan, '{');
    while (object->count < MEMBERS_MAX && scan_next_key(&scan, &first, &key)) {
        const char *begin = key.data - 1;
        scan_skip(&scan);
        if (scan.failed)
            return false;
        object->member[object->count++] =
            (struct slice){.data = begin, .size = (size_t)(scan.at - begin)};
    }
    return !scan.failed && object->count >= 2;
}

/* Writes into `copy` the text with two members of an object exchanged. */
static void members_swap(char *copy, struct slice text, struct slice one, struct slice other)
{
    struct slice front = one.data < other.data ? one : other;
    struct slice back = one.data < other.data ? other : one;
    const char *between = front.data + front.size;
    size_t between_size = (size_t)(back.data - between);
    char *at = copy + (front.data - text.data);
    memcpy(at, back.data, back.size);
    memcpy(at + back.size, between, between_size);
    memcpy(at + back.size + between_size, front.data, front.size);
}

static bool order_change(struct bench *bench, char *copy, size_t size)
{
    const char *starts[OBJECTS_MAX];
    struct object object;
    char *before = padded_copy((struct slice){.data = copy, .size = size});
    struct slice text = {.data = before, .size = size};
    uint32_t count = objects_find(text, starts);
    bool changed = count > 0 &&
                   object_read(&object, starts[bench_random(bench, count)], text.data + text.size);
    if (changed) {
        uint32_t one = bench_random(bench, object.count);
        uint32_t other = (one + 1 + bench_random(bench, object.count - 1)) % object.count;
        members_swap(copy, text, object.member[one], object.member[other]);
    }
    memory_free(before);
    return changed;
}

void fixtures_check_orders(const struct fixtures *fixtures)
{
    struct bench bench;
    unsigned changes = 0;
    bench_open(&bench, fixtures);
    while (bench_next(&bench)) {
        char *copy = padded_copy(bench.text);
        size_t size = bench.text.size;
        /* Of valid JSON with keys that are all different; else the order may matter. */
        bool is_free = is_json((struct slice){.data = copy, .size = size}) &&
                       !slice_is(bench.recorded.expect, "{\"verdict\":\"malformed\"}");
        for (unsigned i = 0; is_free && i < ORDERS_PER_MESSAGE; i++) {
            changes += order_change(&bench, copy, size);
            struct slice dump = dump_now(&bench, decode_copy(&bench, copy, size));
            if (!slice_equal(dump, bench.recorded.expect))
                fail_msg("%s\n  expected %.*s\n  got      %.*s", copy,
                         (int)bench.recorded.expect.size, bench.recorded.expect.data,
                         (int)dump.size, dump.data);
        }
        memory_free(copy);
    }
    bench_close(&bench);
    assert_true(changes > 100);
}
