/* SPDX-License-Identifier: Apache-2.0 */
/* Tags: who has something already is told so only when it is the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "admin/admin_fixture_test.h"

/* rest: the message behind its seq. */
static void append(struct fixture *fixture, int64_t epoch, const char *type, const char *rest)
{
    char text[512 + LIMIT_PADDING + 1] = {0};
    struct record record = {.stream = STREAM,
                            .epoch = epoch,
                            .seq = journal_next(fixture->journal),
                            .type = slice_of(type),
                            .key = SLICE("k")};
    int size =
        snprintf(text, 512, "{\"type\":\"%s\",\"seq\":%lld,%s}", type, (long long)record.seq, rest);
    record.text = (struct slice){.data = text, .size = (size_t)size};
    assert_int_equal(journal_append(fixture->journal, &record), JOURNAL_ACCEPTED);
}

/* The body of what is there and has a tag. */
static const char *get_tagged(struct fixture *fixture, const char *path)
{
    const char *body = get(fixture, path);
    assert_int_equal(fixture->status, 200);
    assert_true(fixture->tag[0] != '\0');
    return body;
}

#define PAIR "\"exchange\":\"upbit\",\"symbol\":\"BTC-KRW\",\"recv\":7"
#define TRADE PAIR ",\"id\":\"1\",\"size\":\"1\",\"side\":\"buy\",\"price\":"
#define BOOK PAIR ",\"action\":\"snapshot\",\"proof\":\"whole\",\"depth\":1,\"bids\":[],\"asks\":"

static void append_all(struct fixture *fixture, int64_t epoch, bool others)
{
    append(fixture, epoch, "ticker", others ? PAIR ",\"last\":\"2\"" : PAIR ",\"last\":\"1\"");
    append(fixture, epoch, "trade", others ? TRADE "\"2\"" : TRADE "\"1\"");
    append(fixture, epoch, "book", others ? BOOK "[[\"2\",\"1\"]]" : BOOK "[[\"1\",\"1\"]]");
}

/* A leader died with an end of the log that nobody else had: its numbers are given again. */
static void numbers_given_again_have_other_tags(void **state)
{
    static const char *const paths[] = {"/api/v1/tickers", "/api/v1/trades/upbit/BTC-KRW",
                                        "/api/v1/books/upbit/BTC-KRW"};
    struct fixture *fixture = *state;
    char tags[3][sizeof fixture->tag], bodies[3][1024];
    journal_barrier(fixture->journal, STREAM, 4);
    append_all(fixture, 4, false);
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        assert_true(
            slice_copy(slice_of(get_tagged(fixture, paths[i])), bodies[i], sizeof bodies[i]));
        memcpy(tags[i], fixture->tag, sizeof tags[i]);
        (void)get_tagged(fixture, paths[i]);
        assert_string_equal(fixture->tag, tags[i]);
    }
    journal_restart(fixture->journal, STREAM, 1);
    journal_barrier(fixture->journal, STREAM, 5);
    keeper_clear(fixture->keeper);
    append_all(fixture, 5, true);
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        assert_string_not_equal(get_tagged(fixture, paths[i]), bodies[i]);
        assert_string_not_equal(fixture->tag, tags[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_given_again_have_other_tags, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
