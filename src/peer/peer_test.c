/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peers and an HTTP server of ours on one loop: what the reader may do from inside, what it is
 * told, and with which token a link begins. tests/e2e/test_peer.py has real nodes, and hostile
 * ones.
 */
#include "peer/peer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/frame.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "net/http_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DEADLINE_MS 20000
#define LINKS_MAX 16
#define CLUSTER                                                                                    \
    "{\"self\":\"lead\",\"epoch\":2,\"stream\":\"tw-x\",\"nodes\":[{\"id\":\"lead\",\"role\":"     \
    "\"leader\",\"version\":\"1\"}]}"
#define HELLO(resumed)                                                                             \
    "{\"type\":\"hello\",\"node\":\"lead\",\"stream\":\"tw-x\",\"epoch\":2,\"next\":8,"            \
    "\"resumed\":" resumed "}"
#define RECORD(seq) "{\"type\":\"trade\",\"seq\":" seq ",\"exchange\":\"upbit\"}"
#define EPOCH(seq) "{\"type\":\"epoch\",\"seq\":" seq ",\"epoch\":3,\"node\":\"lead\"}"

enum place { AT_NONE, AT_HELLO, AT_SNAPSHOT, AT_SNAPSHOT_END, AT_RECORD, AT_ALIVE, AT_LOST };

struct fixture {
    struct loop *loop;
    struct http_server *server;
    struct peers *peers;
    struct timer *deadline, *beat;
    struct tcp *links[LINKS_MAX];
    size_t link_count;
    char queries[LINKS_MAX][128];
    const char *const *script; /* what each link is sent; NULL ends it */
    size_t leaves_after;       /* the server closes that many links behind their script */
    size_t stop_at;            /* links */
    char authorization[128];
    /* the reader */
    struct buffer told; /* "hello record:8 lost " */
    bool inside;        /* a function of peer.h */
    enum place act_at;
    const char *since; /* what is done there: a link is opened behind it; NULL: closed */
    bool late;
};

/* ---- the reader ---- */

static void act(struct fixture *fixture, enum place place)
{
    assert_false(fixture->inside);
    if (fixture->act_at != place)
        return;
    fixture->act_at = AT_NONE;
    fixture->inside = true;
    if (fixture->since != NULL)
        peers_open_link(fixture->peers, fixture->since);
    else
        peers_close_link(fixture->peers);
    fixture->inside = false;
}

static void tell(struct fixture *fixture, const char *what, struct slice text, enum place place)
{
    volatile char sum = 0;
    assert_int_equal(text.data[text.size], 0);
    for (size_t i = 0; i <= LIMIT_PADDING; i++)
        sum = (char)(sum ^ text.data[text.size + i]); /* readable: AddressSanitizer's to say */
    buffer_append_format(&fixture->told, "%s ", what);
    act(fixture, place);
}

static void on_hello(void *context, struct slice message)
{
    tell(context, "hello", message, AT_HELLO);
}

static void on_snapshot(void *context, struct slice message)
{
    tell(context, "snapshot", message, AT_SNAPSHOT);
}

static void on_snapshot_end(void *context, struct slice message)
{
    tell(context, "snapshot_end", message, AT_SNAPSHOT_END);
}

static void on_record(void *context, struct slice message)
{
    tell(context, "record", message, AT_RECORD);
}

static void on_alive(void *context)
{
    act(context, AT_ALIVE);
}

static void on_lost(void *context, const char *reason)
{
    struct fixture *fixture = context;
    assert_true(reason[0] != '\0');
    buffer_append_text(&fixture->told, "lost ");
    act(fixture, AT_LOST);
}

/* ---- the server ---- */

static void note_authorization(struct fixture *fixture, const struct http_head *request)
{
    fixture->authorization[0] = '\0';
    for (size_t i = 0; i < request->header_count; i++)
        if (slice_is(request->header[i].name, "Authorization"))
            assert_true(slice_copy(request->header[i].value, fixture->authorization,
                                   sizeof fixture->authorization));
}

static void handle_cluster(void *context, struct http_connection *connection,
                           const struct http_head *request)
{
    note_authorization(context, request);
    http_answer(connection, 200, "application/json", NULL, SLICE(CLUSTER));
}

static void on_tcp_data(void *context, char *data, size_t size)
{
    (void)context;
    (void)data;
    (void)size;
}

static void on_tcp_closed(void *context, int error)
{
    struct fixture *fixture = context;
    (void)error;
    buffer_append_text(&fixture->told, "gone ");
    if (fixture->stop_at == 0)
        loop_stop(fixture->loop);
}

static void send_text(struct tcp *tcp, const char *text)
{
    uint8_t header[FRAME_HEADER_MAX];
    size_t size = frame_header_write(header, FRAME_TEXT, strlen(text));
    assert_int_equal(tcp_send(tcp, (const char *)header, size), size);
    assert_int_equal(tcp_send(tcp, text, strlen(text)), strlen(text));
}

static void handle_stream(void *context, struct http_connection *connection,
                          const struct http_head *request)
{
    static const struct tcp_callbacks callbacks = {.on_data = on_tcp_data,
                                                   .on_closed = on_tcp_closed};
    struct fixture *fixture = context;
    struct slice rest;
    size_t index = fixture->link_count++;
    assert_true(index < LINKS_MAX);
    assert_true(
        slice_copy(request->query, fixture->queries[index], sizeof fixture->queries[index]));
    note_authorization(fixture, request);
    struct tcp *tcp = http_upgrade(connection, request, NULL, &rest);
    tcp_set_callbacks(tcp, &callbacks, fixture);
    fixture->links[index] = tcp;
    for (size_t i = 0; fixture->script[i] != NULL; i++)
        send_text(tcp, fixture->script[i]);
    if (index < fixture->leaves_after)
        tcp_shutdown(tcp);
    if (fixture->link_count == fixture->stop_at)
        loop_stop(fixture->loop);
}

/* The first link hears something all the time. */
static void on_beat(void *context)
{
    const struct fixture *fixture = context;
    if (fixture->link_count == 1 && strstr(fixture->told.data, "gone") == NULL)
        send_text(fixture->links[0], "{\"type\":\"heartbeat\",\"seq\":7,\"ts\":1}");
}

/* ---- running ---- */

static void on_deadline(void *context)
{
    struct fixture *fixture = context;
    fixture->late = true;
    loop_stop(fixture->loop);
}

static void fixture_init(struct fixture *fixture, const char *const *script)
{
    struct err err;
    *fixture = (struct fixture){.loop = loop_create(), .script = script};
    buffer_init(&fixture->told, 1 << 20);
    const struct http_server_options options = {.listen = "127.0.0.1:0", .connections_max = 64};
    assert_int_equal(http_server_open(fixture->loop, &options, &fixture->server, &err), 0);
    const struct http_route routes[] = {
        {.path = "/api/v1/cluster", .handler = handle_cluster, .context = fixture},
        {.path = "/ws/exchange", .handler = handle_stream, .context = fixture, .websocket = true},
    };
    for (size_t i = 0; i < COUNT_OF(routes); i++)
        http_server_route(fixture->server, &routes[i]);
    fixture->deadline = timer_create_on(fixture->loop, on_deadline, fixture);
    timer_start(fixture->deadline, DEADLINE_MS, 0);
    fixture->beat = timer_create_on(fixture->loop, on_beat, fixture);
}

static int create(struct fixture *fixture, const char *token_file, struct err *err)
{
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u", (unsigned)http_server_port(fixture->server));
    const char *const urls[] = {url, NULL};
    const struct peers_options options = {
        .loop = fixture->loop,
        .urls = urls,
        .node = "me",
        .token_file = token_file,
        .reader = {.hello = on_hello,
                   .snapshot = on_snapshot,
                   .snapshot_end = on_snapshot_end,
                   .record = on_record,
                   .alive = on_alive,
                   .lost = on_lost,
                   .context = fixture},
    };
    return peers_create(&options, &fixture->peers, err);
}

static void start(struct fixture *fixture, const char *token_file, const char *since)
{
    struct err err;
    if (create(fixture, token_file, &err) != 0)
        fail_msg("%s", err.text);
    fixture->inside = true;
    peers_open_link(fixture->peers, since);
    fixture->inside = false;
}

static void run(struct fixture *fixture)
{
    loop_run(fixture->loop);
    assert_false(fixture->late);
}

static void release(struct fixture *fixture)
{
    peers_destroy(fixture->peers);
    for (size_t i = 0; i < fixture->link_count; i++)
        tcp_destroy(fixture->links[i]);
    timer_destroy(fixture->deadline);
    timer_destroy(fixture->beat);
    http_server_close(fixture->server);
    loop_destroy(fixture->loop);
    buffer_release(&fixture->told);
}

/* ---- with which token a link begins ---- */

static void expect_queries(const char *const *script, const char *since, const char *second)
{
    char first[128];
    struct fixture fixture;
    fixture_init(&fixture, script);
    fixture.leaves_after = 1;
    fixture.stop_at = 2;
    start(&fixture, "", since);
    run(&fixture);
    snprintf(first, sizeof first, "%s%s", since[0] == '\0' ? "" : "since=", since);
    assert_string_equal(fixture.queries[0], first);
    assert_string_equal(fixture.queries[1], second);
    release(&fixture);
}

static void test_a_link_goes_on_where_it_stood(void **state)
{
    (void)state;
    static const char *const records[] = {HELLO("true"), RECORD("8"), RECORD("9"), NULL};
    static const char *const epoch[] = {HELLO("true"), EPOCH("8"), RECORD("9"), NULL};
    static const char *const hello[] = {HELLO("true"), NULL};
    static const char *const again[] = {HELLO("true"), RECORD("8"), HELLO("true"), NULL};
    expect_queries(records, "tw-x.2.7", "since=tw-x.2.9");
    expect_queries(epoch, "tw-x.2.7", "since=tw-x.3.9");
    expect_queries(hello, "tw-x.2.7", "since=tw-x.2.7");
    expect_queries(again, "tw-x.2.7", "since=tw-x.2.7");
}

static void test_a_snapshot_that_was_cut_begins_anew(void **state)
{
    (void)state;
    static const char *const cut[] = {HELLO("false"), RECORD("3"), NULL};
    static const char *const whole[] = {HELLO("false"), RECORD("3"),
                                        "{\"type\":\"snapshot_end\",\"seq\":7}", NULL};
    static const char *const nothing[] = {NULL};
    expect_queries(cut, "", "");
    expect_queries(cut, "tw-w.1.5", "since=tw-w.1.5");
    expect_queries(whole, "", "since=tw-x.2.7");
    expect_queries(nothing, "tw-w.1.5", "since=tw-w.1.5");
}

/* It is alive, and says nothing of what is missing. */
static void test_a_snapshot_that_stands_still_is_left(void **state)
{
    (void)state;
    static const char *const script[] = {HELLO("false"), RECORD("3"), NULL};
    struct fixture fixture;
    fixture_init(&fixture, script);
    fixture.stop_at = 2;
    timer_start(fixture.beat, LIMIT_PEER_PING_MS, LIMIT_PEER_PING_MS);
    start(&fixture, "", "");
    run(&fixture);
    assert_ptr_equal(strstr(fixture.told.data, "hello snapshot lost "), fixture.told.data);
    release(&fixture);
}

static void test_what_is_told(void **state)
{
    (void)state;
    static const char *const script[] = {HELLO("false"),
                                         RECORD("3"),
                                         "{\"type\":\"heartbeat\",\"seq\":7,\"ts\":1}",
                                         EPOCH("2"),
                                         "{\"type\":\"snapshot_end\",\"seq\":7}",
                                         RECORD("8"),
                                         "{\"type\":\"later\",\"seq\":8}",
                                         RECORD("9"),
                                         NULL};
    struct fixture fixture;
    fixture_init(&fixture, script);
    fixture.leaves_after = 1;
    fixture.stop_at = 2;
    int64_t linked = metric_value(metric_series(METRIC_PEER_LINKS, "result=\"linked\""));
    start(&fixture, "", "");
    run(&fixture);
    assert_ptr_equal(strstr(fixture.told.data, "hello snapshot snapshot snapshot_end record record "
                                               "lost "),
                     fixture.told.data);
    assert_int_equal(metric_value(metric_series(METRIC_PEER_LINKS, "result=\"linked\"")),
                     linked + 1);
    assert_int_equal(metric_value(metric_series(METRIC_PEER_LINK, "")), 0);
    assert_int_equal(metric_value(metric_series(METRIC_PEERS_REACHABLE, "")), 1);
    release(&fixture);
}

/* ---- what the reader does from inside ---- */

static const char *const everything[] = {HELLO("false"),
                                         RECORD("3"),
                                         "{\"type\":\"snapshot_end\",\"seq\":7}",
                                         RECORD("8"),
                                         RECORD("9"),
                                         "{\"type\":\"heartbeat\",\"seq\":9,\"ts\":1}",
                                         NULL};

static void test_opened_from_inside(void **state)
{
    (void)state;
    for (enum place place = AT_HELLO; place <= AT_LOST; place++) {
        struct fixture fixture;
        fixture_init(&fixture, everything);
        fixture.stop_at = 2;
        fixture.leaves_after = place == AT_LOST;
        fixture.act_at = place;
        fixture.since = "tw-other.1.2";
        start(&fixture, "", "");
        run(&fixture);
        assert_string_equal(fixture.queries[1], "since=tw-other.1.2");
        assert_true(place == AT_LOST || strstr(fixture.told.data, "lost") == NULL);
        release(&fixture);
    }
}

static void test_closed_from_inside(void **state)
{
    (void)state;
    for (enum place place = AT_HELLO; place <= AT_ALIVE; place++) {
        struct fixture fixture;
        fixture_init(&fixture, everything);
        fixture.act_at = place;
        start(&fixture, "", "");
        run(&fixture); /* until the server sees that the link has gone */
        assert_int_equal(fixture.link_count, 1);
        assert_null(strstr(fixture.told.data, "lost"));
        const char *last = strstr(fixture.told.data, " gone ");
        assert_non_null(last);
        assert_int_equal(strlen(last), strlen(" gone "));
        release(&fixture);
    }
}

/* ---- the token file ---- */

static void test_the_token_is_sent(void **state)
{
    (void)state;
    static const char *const script[] = {HELLO("true"), NULL};
    char path[] = "peer_test.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "0123456789abcdef~+/==\n", 22), 22);
    close(fd);
    struct fixture fixture;
    fixture_init(&fixture, script);
    fixture.stop_at = 1;
    start(&fixture, path, "");
    unlink(path);
    run(&fixture);
    assert_string_equal(fixture.authorization, "Bearer 0123456789abcdef~+/==");
    release(&fixture);
}

static void test_too_many_peers(void **state)
{
    (void)state;
    const char *urls[LIMIT_PEERS + 2] = {NULL};
    struct loop *loop = loop_create();
    struct peers *peers = NULL;
    struct err err;
    for (size_t i = 0; i <= LIMIT_PEERS; i++)
        urls[i] = "http://127.0.0.1:1";
    const struct peers_options options = {
        .loop = loop, .urls = urls, .node = "me", .token_file = ""};
    assert_int_equal(peers_create(&options, &peers, &err), -E2BIG);
    urls[LIMIT_PEERS] = NULL;
    assert_int_equal(peers_create(&options, &peers, &err), 0);
    assert_int_equal(peers_count(peers), LIMIT_PEERS);
    peers_destroy(peers);
    loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_link_goes_on_where_it_stood),
        cmocka_unit_test(test_a_snapshot_that_was_cut_begins_anew),
        cmocka_unit_test(test_a_snapshot_that_stands_still_is_left),
        cmocka_unit_test(test_what_is_told),
        cmocka_unit_test(test_opened_from_inside),
        cmocka_unit_test(test_closed_from_inside),
        cmocka_unit_test(test_the_token_is_sent),
        cmocka_unit_test(test_too_many_peers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
