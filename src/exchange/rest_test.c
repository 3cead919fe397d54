/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REST of every exchange: answers whole, cut at every byte and damaged, from fixtures
 * {"note","op","raw","expect"} whose op is the kind of the query and whose expect is what
 * facts_append or note_append must write; and lists of symbols in paths.
 */
#include "exchange/rest.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "bench/recorded.h"
#include "exchange/exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define TEXT_MAX ((size_t)1 * MEBIBYTE)
#define DAMAGES_PER_ANSWER 400

static const struct {
    const char *name;
    unsigned generation;
    const char *path;
} files[] = {
    {"binance", 0, "src/exchange/binance/fixtures/rest.jsonl"},
    {"upbit", 0, "src/exchange/upbit/fixtures/rest.jsonl"},
    {"bithumb", 2, "src/exchange/bithumb/fixtures/rest.jsonl"},
    {"bithumb", 1, "src/exchange/bithumb/fixtures/rest_old.jsonl"},
};

/* One fixture. */
struct answer {
    const struct exchange *exchange;
    enum rest_kind kind;
    struct slice note;   /* what is special about it */
    struct slice text;   /* without padding */
    struct slice expect; /* as it stands */
};

typedef void answer_check(const struct answer *answer);

/* ---- fixtures ---- */

static enum rest_kind kind_read(struct slice line)
{
    static const char *const names[] = {"op", NULL};
    static const char *const kinds[] = {
        [REST_MARKETS] = "markets",
        [REST_BOOK] = "book",
        [REST_TRADES] = "trades",
        [REST_TICKERS] = "tickers",
    };
    struct slice value[REST_MEMBERS_MAX];
    struct scan scan = {.at = line.data, .end = line.data + line.size};
    assert_true(rest_members_read(&scan, names, value));
    for (unsigned i = 0; i < COUNT_OF(kinds); i++)
        if (slice_is(value[0], kinds[i]))
            return (enum rest_kind)i;
    fail_msg("no such kind: %.*s", (int)line.size, line.data);
    return REST_MARKETS;
}

static unsigned file_check(size_t index, answer_check *check)
{
    struct buffer file;
    struct buffer message;
    struct slice line;
    unsigned count = 0;
    buffer_init(&file, TEXT_MAX);
    buffer_init(&message, TEXT_MAX);
    assert_true(recorded_load(files[index].path, &file));
    struct slice rest = buffer_slice(&file);
    for (; recorded_next_line(&rest, &line); count++) {
        struct recorded recorded;
        assert_true(recorded_read(line, &recorded));
        buffer_clear(&message);
        assert_true(recorded_unescape(recorded.from, &message));
        check(&(struct answer){
            .exchange = exchange_find(slice_of(files[index].name), files[index].generation),
            .kind = kind_read(line),
            .note = recorded.note,
            .text = buffer_slice(&message),
            .expect = recorded.expect});
    }
    buffer_release(&file);
    buffer_release(&message);
    return count;
}

/* A copy of exactly the size that a reader is promised, so that the address sanitizer sees one that
 * looks further. */
static char *padded_copy(struct slice text)
{
    char *copy = memory_alloc(text.size + 1 + LIMIT_PADDING);
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    return copy;
}

/* ---- what was read, as text ---- */

static void number_append(struct buffer *out, const char *name, int64_t value)
{
    assert_true(value >= 0);
    if (value != 0)
        buffer_append_format(out, ",\"%s\":%lld", name, (long long)value);
}

static void fact_append(void *context, const struct rest_fact *fact)
{
    struct buffer *out = context;
    struct buffer members;
    buffer_init(&members, TEXT_MAX);
    if (fact->native.size > 0) {
        buffer_append_text(&members, ",\"native\":\"");
        buffer_append_slice(&members, fact->native);
        buffer_append_text(&members, "\"");
    }
    if (fact->tradable)
        buffer_append_text(&members, ",\"tradable\":true");
    number_append(&members, "trade_us", fact->trade_us);
    number_append(&members, "trade_id", fact->trade_id);
    number_append(&members, "book_us", fact->book_us);
    number_append(&members, "book_id", fact->book_id);
    assert_true(members.size > 0);
    buffer_append_text(out, out->data[out->size - 1] == '[' ? "{" : ",{");
    buffer_append(out, members.data + 1, members.size - 1);
    buffer_append_text(out, "}");
    buffer_release(&members);
}

/* {"facts":[...]} or {"note":"..."}. */
static bool answer_dump(const struct answer *answer, struct slice text, struct buffer *out)
{
    struct slice note = SLICE("not set");
    buffer_clear(out);
    buffer_append_text(out, "{\"facts\":[");
    bool good = answer->exchange->rest_read(answer->kind, text, fact_append, out, &note);
    if (good) {
        assert_int_equal(note.size, 0);
    } else {
        buffer_clear(out);
        buffer_append_text(out, "{\"note\":\"");
        buffer_append_slice(out, note);
    }
    buffer_append_text(out, good ? "]}" : "\"}");
    assert_false(out->overflowed);
    return good;
}

/* ---- whole, cut, damaged ---- */

static void check_whole(const struct answer *answer)
{
    struct buffer out;
    buffer_init(&out, TEXT_MAX);
    char *copy = padded_copy(answer->text);
    answer_dump(answer, (struct slice){.data = copy, .size = answer->text.size}, &out);
    if (!slice_equal(buffer_slice(&out), answer->expect))
        fail_msg("%.*s\n  expected %.*s\n  got      %.*s", (int)answer->note.size,
                 answer->note.data, (int)answer->expect.size, answer->expect.data, (int)out.size,
                 out.data);
    memory_free(copy);
    buffer_release(&out);
}

static void answers_are_read_as_expected(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(files); i++)
        assert_true(file_check(i, check_whole) > 20);
}

static void check_cuts(const struct answer *answer)
{
    struct buffer out;
    size_t whole = answer->text.size;
    buffer_init(&out, TEXT_MAX);
    while (whole > 0 && strchr(" \t\r\n", answer->text.data[whole - 1]) != NULL)
        whole--;
    bool complete = slice_starts_with(answer->expect, SLICE("{\"facts\""));
    for (size_t size = 0; complete && size < whole; size++) {
        char *copy = padded_copy((struct slice){.data = answer->text.data, .size = size});
        assert_false(answer_dump(answer, (struct slice){.data = copy, .size = size}, &out));
        memory_free(copy);
    }
    buffer_release(&out);
}

static void no_cut_answer_is_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(files); i++)
        (void)file_check(i, check_cuts);
}

static uint32_t random_below(uint64_t *random, uint32_t below)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return (uint32_t)(*random >> 32) % below;
}

/* Bytes are replaced by what means something in JSON, or by any; answer_dump sees to the promises,
 * and the sanitizers to the rest. */
static void check_damage(const struct answer *answer)
{
    static const char meaningful[] = "{}[]\",:-+.eE0123456789ntfu\\ ";
    static uint64_t random = 88172645463325252u;
    struct buffer out;
    buffer_init(&out, TEXT_MAX);
    for (unsigned i = 0; answer->text.size > 0 && i < DAMAGES_PER_ANSWER; i++) {
        char *copy = padded_copy(answer->text);
        for (uint32_t damages = 1 + random_below(&random, 4); damages > 0; damages--) {
            char byte = meaningful[random_below(&random, sizeof(meaningful) - 1)];
            if (random_below(&random, 4) == 0)
                byte = (char)random_below(&random, 256);
            copy[random_below(&random, (uint32_t)answer->text.size)] = byte;
        }
        (void)answer_dump(answer, (struct slice){.data = copy, .size = answer->text.size}, &out);
        memory_free(copy);
    }
    buffer_release(&out);
}

static void damaged_answers_break_no_promise(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(files); i++)
        (void)file_check(i, check_damage);
}

/* ---- a list as long as the real one ---- */

#define MARKETS 3000
#define MARKET_FILLING 5000 /* bytes of what nobody looks for, of each */

static void fact_count(void *context, const struct rest_fact *fact)
{
    uint32_t *tradable = context;
    assert_true(fact->native.size > 0);
    *tradable += fact->tradable;
}

static void a_list_of_15_megabytes_is_read(void **state)
{
    struct buffer text;
    struct slice note;
    uint32_t tradable = 0;
    (void)state;
    buffer_init(&text, LIMIT_REST_ANSWER);
    buffer_append_text(&text, "{\"timezone\":\"UTC\",\"symbols\":[");
    for (unsigned i = 0; i < MARKETS; i++) {
        buffer_append_format(&text, "%s{\"symbol\":\"A%uUSDT\",\"status\":\"%s\",\"filling\":[\"",
                             i == 0 ? "" : ",", i, i % 3 == 0 ? "BREAK" : "TRADING");
        for (unsigned size = 0; size < MARKET_FILLING; size += 10)
            buffer_append_text(&text, "TRD_GRP\",\"");
        buffer_append_text(&text, "\"]}");
    }
    buffer_append_text(&text, "]}");
    size_t size = text.size;
    assert_true(size > (size_t)15 * 1000 * 1000);
    static const char padding[LIMIT_PADDING + 1];
    buffer_append(&text, padding, sizeof(padding));
    assert_false(text.overflowed);
    assert_true(exchange_find(SLICE("binance"), 0)
                    ->rest_read(REST_MARKETS, (struct slice){.data = text.data, .size = size},
                                fact_count, &tradable, &note));
    assert_int_equal(tradable, 2 * MARKETS / 3);
    buffer_release(&text);
}

/* ---- lists in paths ---- */

#define SYMBOLS 400

struct list {
    struct instrument instruments[SYMBOLS];
    const struct instrument *pointers[SYMBOLS];
};

/* Names of `digits` digits, or of as many signs that need three bytes each. */
static void list_init(struct list *list, const char *before, int digits, const char *behind)
{
    for (unsigned i = 0; i < SYMBOLS; i++) {
        list->instruments[i] = (struct instrument){.wanted = 0};
        snprintf(list->instruments[i].native, LIMIT_NATIVE_SYMBOL, "%s%0*u%s", before, digits, i,
                 behind);
        list->pointers[i] = &list->instruments[i];
    }
}

static uint32_t fits(const char *name, const struct list *list, uint32_t count,
                     struct rest_request *request)
{
    struct rest_query query = {
        .kind = REST_TICKERS, .instruments = list->pointers, .instrument_count = count};
    assert_true(exchange_find(slice_of(name), 0)->rest_request(&query, request));
    assert_true(strlen(request->path) < LIMIT_REST_PATH);
    return request->instrument_count;
}

static void lists_name_what_fits(void **state)
{
    struct list list;
    struct rest_request request;
    (void)state;
    list_init(&list, "", 3, "USDT");
    assert_int_equal(fits("binance", &list, 3, &request), 3);
    assert_string_equal(request.path, "/api/v3/ticker/24hr?symbols="
                                      "%5B%22000USDT%22,%22001USDT%22,%22002USDT%22%5D");
    assert_int_equal(request.weight, 2);
    assert_int_equal(fits("binance", &list, 20, &request), 20);
    assert_int_equal(fits("binance", &list, SYMBOLS, &request), 20);
    assert_int_equal(request.weight, 2);

    list_init(&list, "KRW-", 3, "");
    assert_int_equal(fits("upbit", &list, 2, &request), 2);
    assert_string_equal(request.path, "/v1/ticker?markets=KRW-000,KRW-001");
    assert_int_equal(fits("upbit", &list, SYMBOLS, &request), SYMBOLS);
    assert_int_equal(fits("bithumb", &list, 2, &request), 2);
    assert_string_equal(request.path, "/v1/ticker?markets=KRW-000,KRW-001");
    assert_int_equal(fits("bithumb", &list, SYMBOLS, &request), 200);
    assert_int_equal(request.weight, 1);
}

static void long_names_end_a_list_early(void **state)
{
    struct list list;
    struct rest_request request;
    (void)state;
    list_init(&list, "\xe5\xb8\x81\xe5\xb8\x81\xe5\xb8\x81\xe5\xb8\x81\xe5\xb8\x81\xe5\xb8\x81", 24,
              "USDT"); /* 18 bytes of 3, and 28 */
    assert_int_equal(fits("binance", &list, SYMBOLS, &request), 20);
    uint32_t count = fits("upbit", &list, SYMBOLS, &request);
    assert_true(count < SYMBOLS);
    assert_true(strlen(request.path) + 83 >= LIMIT_REST_PATH);
    assert_int_equal(strlen(request.path), strlen("/v1/ticker?markets=") + count * 83 - 1);
}

static void one_or_all_without_a_list(void **state)
{
    struct instrument btc = {.native = "KRW-BTC"};
    struct rest_query query = {.kind = REST_TICKERS, .instrument = &btc};
    struct rest_request request;
    (void)state;
    for (size_t i = 0; i < exchange_count(); i++) {
        assert_true(exchange_at(i)->rest_request(&query, &request));
        assert_int_equal(request.instrument_count, 1);
        assert_non_null(strstr(request.path, "KRW-BTC"));
    }
    query.instrument = NULL;
    assert_true(exchange_find(SLICE("binance"), 0)->rest_request(&query, &request));
    assert_int_equal(request.instrument_count, 0);
    assert_int_equal(request.weight, 80);
    assert_false(exchange_find(SLICE("bithumb"), 2)->rest_request(&query, &request));
    query.instrument_count = 7; /* the old one gives all, whatever is asked */
    assert_true(exchange_find(SLICE("bithumb"), 1)->rest_request(&query, &request));
    assert_int_equal(request.instrument_count, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_read_as_expected),
        cmocka_unit_test(no_cut_answer_is_taken),
        cmocka_unit_test(damaged_answers_break_no_promise),
        cmocka_unit_test(a_list_of_15_megabytes_is_read),
        cmocka_unit_test(lists_name_what_fits),
        cmocka_unit_test(long_names_end_a_list_early),
        cmocka_unit_test(one_or_all_without_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
