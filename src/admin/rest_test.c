/* SPDX-License-Identifier: Apache-2.0 */
/* Tags: who has something already is told so only when it is the same. */
#include "admin/admin.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/memory.h"
#include "net/http.h"
#include "net/http_client.h"

#include <stdio.h>

#define STREAM "tw-rest"

struct fixture {
    struct loop *loop;
    struct http_server *server;
    struct journal *journal;
    struct keeper *keeper;
    struct admin *admin;
    char tag[128], body[1024];
};

static void fill(void *context, struct admin_health *ret_health)
{
    (void)context;
    *ret_health = (struct admin_health){.mode = "websocket", .source = "direct"};
}

static void visit_none(void *context, admin_visit_market_fn *visit, void *visit_context)
{
    (void)context;
    (void)visit;
    (void)visit_context;
}

static int set_up(void **state)
{
    struct err err;
    struct fixture *fixture = memory_alloc(sizeof *fixture);
    fixture->loop = loop_create();
    fixture->journal = journal_create(STREAM, 1, 0);
    fixture->keeper = keeper_create(fixture->journal, 10);
    const struct http_server_options options = {.listen = "127.0.0.1:0", .connections_max = 4};
    assert_int_equal(http_server_open(fixture->loop, &options, &fixture->server, &err), 0);
    fixture->admin =
        admin_create(&(struct admin_options){.server = fixture->server,
                                             .keeper = fixture->keeper,
                                             .stream = journal_stream(fixture->journal),
                                             .fill = fill,
                                             .markets = visit_none,
                                             .context = fixture});
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    http_server_close(fixture->server);
    admin_destroy(fixture->admin);
    keeper_destroy(fixture->keeper);
    journal_destroy(fixture->journal);
    loop_destroy(fixture->loop);
    memory_free(fixture);
    return 0;
}

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

static void on_done(void *context, const struct http_client_result *result)
{
    struct fixture *fixture = context;
    assert_int_equal(result->status, 200);
    struct slice tag = http_header_find(result->head, "etag");
    assert_true(tag.size > 0 && slice_copy(tag, fixture->tag, sizeof fixture->tag));
    assert_true(slice_copy(result->body, fixture->body, sizeof fixture->body));
    loop_stop(fixture->loop);
}

/* The tag and the body of what is there. */
static void get(struct fixture *fixture, const char *path)
{
    char url[128];
    struct err err;
    struct http_client *client;
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", (unsigned)http_server_port(fixture->server),
             path);
    const struct http_client_options options = {
        .url = url, .body_max = MEBIBYTE, .timeout_ms = 10000};
    assert_int_equal(http_client_get(fixture->loop, &options, on_done, fixture, &client, &err), 0);
    loop_run(fixture->loop);
    http_client_destroy(client);
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
    char tags[3][sizeof fixture->tag], bodies[3][sizeof fixture->body];
    journal_barrier(fixture->journal, STREAM, 4);
    append_all(fixture, 4, false);
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        get(fixture, paths[i]);
        memcpy(tags[i], fixture->tag, sizeof tags[i]);
        memcpy(bodies[i], fixture->body, sizeof bodies[i]);
        get(fixture, paths[i]);
        assert_string_equal(fixture->tag, tags[i]);
    }
    journal_restart(fixture->journal, STREAM, 1);
    journal_barrier(fixture->journal, STREAM, 5);
    keeper_clear(fixture->keeper);
    append_all(fixture, 5, true);
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        get(fixture, paths[i]);
        assert_string_not_equal(fixture->body, bodies[i]);
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
