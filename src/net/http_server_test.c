/* SPDX-License-Identifier: Apache-2.0 */
/* What the server answers; http_server_peers_test.c has the peers that misbehave. */
#include "net/http_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "net/http_server_fixture_test.h"

/* ---- requests ---- */

struct request_case {
    const char *request;
    const char *first_line;
    const char *contains;
    const char *lacks;
};

static const struct request_case requests[] = {
    {"GET /ok?q=%41b HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 OK\r\n", "\r\n\r\nok:Ab",
     "Content-Length: 5x"},
    {"GET /ok HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 OK\r\n", "Connection: close\r\n", "chunked"},
    {"GET /ok HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 OK\r\n", "Cache-Control: no-store\r\n", "problem"},
    {"GET /ok HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 OK\r\n", "X-Content-Type-Options: nosniff\r\n",
     "\nAllow"},
    {"GET /ok HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\nok:", "keep-alive"},
    {"HEAD /ok HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 OK\r\n", "Content-Length: 3\r\n", "ok:"},
    {"GET /none HTTP/1.1\r\n" CLOSE, "HTTP/1.1 404 Not Found\r\n",
     "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,\"detail\":\"", "\nAllow"},
    {"GET /none HTTP/1.1\r\n" CLOSE, "HTTP/1.1 404 Not Found\r\n",
     "Content-Type: application/problem+json\r\n", "text/plain"},
    {"GET /ok/ HTTP/1.1\r\n" CLOSE, "HTTP/1.1 404 Not Found\r\n", "404", "ok:"},
    {"DELETE /ok HTTP/1.1\r\n" CLOSE, "HTTP/1.1 405 Method Not Allowed\r\n", "Allow: GET, HEAD\r\n",
     "ok:"},
    {"BREW /ok HTTP/1.1\r\n" CLOSE, "HTTP/1.1 405 Method Not Allowed\r\n", "Allow: GET, HEAD\r\n",
     "ok:"},
    {"GET /ok HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello", "HTTP/1.1 413 ",
     "Connection: close\r\n", "400"},
    {"GET /ok HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
     "HTTP/1.1 413 ", "Connection: close\r\n", "400"},
    {"GET /problem HTTP/1.1\r\n" CLOSE, "HTTP/1.1 503 Service Unavailable\r\n",
     "\"detail\":\"say \\\"when\\\"\\u000a\"}", "\nAllow"},
    {"GET /too-big HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 500 ", "too large", "200"},
    {"nonsense\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", "Connection: close\r\n", "ok"},
    {"GET /ok HTTP/1.1\nHost: a\n\n", "HTTP/1.1 400 Bad Request\r\n", "problem+json", "ok:"},
    {"GET /ok HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", "Host", "ok:"},
    {"GET /ok HTTP/3.0\r\n" CLOSE, "HTTP/1.1 505 ", "problem+json", "ok:"},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 505 ", "problem+json", "ok:"},
    {"GET http://b:81/ok?q=1 HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 ", "\r\n\r\nok:1", "problem"},
    {"GET HTTP://b/none HTTP/1.1\r\n" CLOSE, "HTTP/1.1 404 ", "nothing is served", "ok:"},
    {"OPTIONS * HTTP/1.1\r\n" CLOSE, "HTTP/1.1 405 ", "\r\nAllow: GET, HEAD\r\n", "ok:"},
    {"OPTIONS /ok HTTP/1.1\r\n" CLOSE, "HTTP/1.1 405 ", "\r\nAllow: GET, HEAD\r\n", "ok:"},
    {"GET /ws HTTP/1.1\r\n" CLOSE, "HTTP/1.1 426 Upgrade Required\r\n", "Upgrade: websocket\r\n",
     "101"},
    {"GET /ws HTTP/1.1\r\n" HANDSHAKE "Sec-WebSocket-Version: 12\r\nConnection: close\r\n\r\n",
     "HTTP/1.1 426 ", "Sec-WebSocket-Version: 13\r\n", "101"},
    {"POST /ws HTTP/1.1\r\n" CLOSE, "HTTP/1.1 405 ", "Allow: GET\r\n", "101"},
    {"GET /ws HTTP/1.1\r\n" HANDSHAKE "Sec-WebSocket-Version: 13\r\nContent-Length: 1\r\n\r\nx",
     "HTTP/1.1 413 ", "close", "101"},
};

static void test_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(requests); i++) {
        struct fixture fixture;
        fixture_init(&fixture, 10);
        fixture.request = requests[i].request;
        run_peer(&fixture, send_request);
        const char *seen = fixture.peer.seen.data;
        if (strncmp(seen, requests[i].first_line, strlen(requests[i].first_line)) != 0 ||
            strstr(seen, requests[i].contains) == NULL || strstr(seen, requests[i].lacks) != NULL)
            fail_msg("%s\ngot: %s", requests[i].request, seen);
        assert_int_equal(fixture.answers, 1);
        assert_memory_equal(seen + 9, (char[]){(char)('0' + fixture.last_status / 100)}, 1);
        peer_release(&fixture.peer);
        fixture_release(&fixture);
    }
}

static void test_oversized(void **state)
{
    (void)state;
    static const struct {
        size_t target_size;
        size_t value_size;
        const char *first_line;
    } cases[] = {{LIMIT_HTTP_TARGET + 10, 1, "HTTP/1.1 414 "},
                 {10, LIMIT_HTTP_HEAD, "HTTP/1.1 431 "},
                 {10, 10 * LIMIT_HTTP_HEAD, "HTTP/1.1 431 "}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buffer request;
        buffer_init(&request, 32 * LIMIT_HTTP_HEAD);
        buffer_append_format(&request,
                             "GET /%0*d HTTP/1.1\r\n" HOST "X: ", (int)cases[i].target_size, 0);
        buffer_append_format(&request, "%0*d\r\n\r\n", (int)cases[i].value_size, 0);
        struct fixture fixture;
        fixture_init(&fixture, 10);
        fixture.request = request.data;
        run_peer(&fixture, send_request);
        assert_memory_equal(fixture.peer.seen.data, cases[i].first_line, 13);
        peer_release(&fixture.peer);
        fixture_release(&fixture);
        buffer_release(&request);
    }
}

static void test_pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 10);
    fixture.request = "GET /ok?q=1 HTTP/1.1\r\n" HOST "\r\nHEAD /ok?q=22 HTTP/1.1\r\n" HOST
                      "\r\nGET /big HTTP/1.1\r\n" HOST "\r\nGET /none HTTP/1.1\r\n" HOST
                      "\r\nGET /ok?q=3 HTTP/1.1\r\n" CLOSE "GET /ok?q=never HTTP/1.1\r\n" CLOSE;
    run_peer(&fixture, send_request);
    const char *seen = fixture.peer.seen.data;
    assert_int_equal(count_of(seen, "HTTP/1.1 200 OK\r\n"), 4);
    assert_int_equal(count_of(seen, "HTTP/1.1 404 "), 1);
    assert_non_null(strstr(seen, "ok:1HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(seen, "Content-Length: 5\r\n"));
    assert_non_null(strstr(seen, "\r\n\r\nok:3"));
    assert_null(strstr(seen, "never"));
    assert_true(fixture.peer.seen.size > BIG_SIZE);
    assert_int_equal(fixture.answers, 5);
    peer_release(&fixture.peer);
    fixture_release(&fixture);
}

static void send_byte_by_byte(struct peer *peer)
{
    struct fixture *fixture = peer->context;
    peer_connect(peer);
    for (const char *cursor = fixture->request; *cursor != '\0'; cursor++)
        peer_send(peer, cursor, 1);
    peer_receive_all(peer);
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 10);
    fixture.request = "GET /ok?q=1 HTTP/1.1\r\n" HOST "\r\nGET /ok?q=2 HTTP/1.1\r\n" CLOSE;
    run_peer(&fixture, send_byte_by_byte);
    assert_int_equal(count_of(fixture.peer.seen.data, "HTTP/1.1 200 OK\r\n"), 2);
    assert_memory_equal(fixture.from, "127.0.0.1:", 10);
    peer_release(&fixture.peer);
    fixture_release(&fixture);
}

/* ---- prefixes ---- */

static void answer_path(struct http_connection *connection, const struct http_head *request,
                        const char *name)
{
    char body[128];
    snprintf(body, sizeof(body), "%s %.*s", name, (int)request->path.size, request->path.data);
    http_answer(connection, 200, "text/plain", NULL, slice_of(body));
}

static void handle_tree(void *context, struct http_connection *connection,
                        const struct http_head *request)
{
    (void)context;
    answer_path(connection, request, "tree");
}

static void handle_deep(void *context, struct http_connection *connection,
                        const struct http_head *request)
{
    (void)context;
    answer_path(connection, request, "deep");
}

static void handle_leaf(void *context, struct http_connection *connection,
                        const struct http_head *request)
{
    (void)context;
    answer_path(connection, request, "leaf");
}

static const struct request_case prefixes[] = {
    {"GET /tree/a HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 ", "\r\n\r\ntree /tree/a", "deep"},
    {"GET /tree/a/b?c=/tree/deep/ HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 ", "\r\n\r\ntree /tree/a/b",
     "deep"},
    {"GET /tree/ HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 ", "\r\n\r\ntree /tree/", "leaf"},
    {"GET /tree HTTP/1.1\r\n" CLOSE, "HTTP/1.1 404 ", "nothing is served", "tree /tree"},
    {"GET /trees/a HTTP/1.1\r\n" CLOSE, "HTTP/1.1 404 ", "nothing is served", "tree /tree"},
    {"GET /tree/deep HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 ", "\r\n\r\ntree /tree/deep", "deep /"},
    {"GET /tree/deep/a HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 ", "\r\n\r\ndeep /tree/deep/a", "leaf"},
    {"GET /tree/deep/leaf HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 ", "\r\n\r\nleaf /tree/deep/leaf",
     "deep /"},
    {"GET /tree/deep/leaf/ HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 ", "\r\n\r\ndeep /tree/deep/leaf/",
     "leaf /"},
    {"GET /tr%65e/deep/a HTTP/1.1\r\n" CLOSE, "HTTP/1.1 404 ", "nothing is served", "tree/"},
    {"GET /tree/d%65ep/a HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 ", "\r\n\r\ntree /tree/d%65ep/a",
     "deep /"},
    {"HEAD /tree/a HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 ", "Content-Length: 12\r\n", "tree /"},
    {"PUT /tree/a HTTP/1.1\r\n" CLOSE, "HTTP/1.1 405 ", "Allow: GET, HEAD\r\n", "tree /"},
};

/* In an order that no match may depend on. */
static const struct http_route prefix_routes[] = {
    {.path = "/tree/", .handler = handle_tree, .prefix = true},
    {.path = "/tree/deep/", .handler = handle_deep, .prefix = true},
    {.path = "/tree/deep/leaf", .handler = handle_leaf},
};

static void test_prefixes(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * COUNT_OF(prefixes); i++) {
        const struct request_case *each = &prefixes[i / 2];
        struct fixture fixture;
        fixture_init(&fixture, 10);
        for (size_t j = 0; j < COUNT_OF(prefix_routes); j++)
            http_server_route(fixture.server,
                              &prefix_routes[i % 2 == 0 ? j : COUNT_OF(prefix_routes) - 1 - j]);
        fixture.request = each->request;
        run_peer(&fixture, send_request);
        const char *seen = fixture.peer.seen.data;
        if (strncmp(seen, each->first_line, strlen(each->first_line)) != 0 ||
            strstr(seen, each->contains) == NULL || strstr(seen, each->lacks) != NULL)
            fail_msg("%s\ngot: %s", each->request, seen);
        peer_release(&fixture.peer);
        fixture_release(&fixture);
    }
}

static void handle_everything(void *context, struct http_connection *connection,
                              const struct http_head *request)
{
    (void)context;
    answer_path(connection, request, "everything");
}

static void test_an_exact_route_beats_a_prefix_of_its_length(void **state)
{
    (void)state;
    struct fixture fixture;
    const struct http_route everything = {
        .path = "/", .handler = handle_everything, .prefix = true};
    const struct http_route root = {.path = "/", .handler = handle_leaf};
    fixture_init(&fixture, 10);
    http_server_route(fixture.server, &everything);
    http_server_route(fixture.server, &root);
    fixture.request =
        "GET / HTTP/1.1\r\n" HOST "\r\nGET /ok HTTP/1.1\r\n" HOST "\r\nGET /x HTTP/1.1\r\n" CLOSE;
    run_peer(&fixture, send_request);
    const char *seen = fixture.peer.seen.data;
    assert_non_null(strstr(seen, "\r\n\r\nleaf /HTTP"));
    assert_non_null(strstr(seen, "\r\n\r\nok:HTTP"));
    assert_non_null(strstr(seen, "\r\n\r\neverything /x"));
    peer_release(&fixture.peer);
    fixture_release(&fixture);
}

/* ---- not modified ---- */

static void handle_unchanged(void *context, struct http_connection *connection,
                             const struct http_head *request)
{
    (void)context;
    if (http_etag_matches(request, SLICE("\"v1\"")))
        http_answer(connection, 304, NULL, "ETag: \"v1\"\r\n", SLICE("never"));
    else
        http_answer_problem_with(connection, 404, "X-Other: yes\r\n", "changed");
}

/* A 304 ends with its head, so that the next answer is found behind it. */
static void test_not_modified_has_no_body(void **state)
{
    (void)state;
    struct fixture fixture;
    const struct http_route route = {.path = "/unchanged", .handler = handle_unchanged};
    fixture_init(&fixture, 10);
    http_server_route(fixture.server, &route);
    fixture.request = "GET /unchanged HTTP/1.1\r\n" HOST "If-None-Match: \"v1\"\r\n\r\n"
                      "GET /unchanged HTTP/1.1\r\n" HOST "If-None-Match: \"v2\"\r\n\r\n"
                      "GET /ok HTTP/1.1\r\n" CLOSE;
    run_peer(&fixture, send_request);
    const char *seen = fixture.peer.seen.data;
    assert_memory_equal(seen, "HTTP/1.1 304 Not Modified\r\n", 27);
    const char *second = strstr(seen, "\r\n\r\n") + 4;
    assert_memory_equal(second, "HTTP/1.1 404 Not Found\r\n", 24);
    const char *length = strstr(seen, "\r\nContent-");
    assert_true(length > second);
    assert_non_null(strstr(second, "X-Other: yes\r\n"));
    assert_non_null(strstr(second, "\"detail\":\"changed\""));
    assert_non_null(strstr(second, "\r\n\r\nok:"));
    assert_null(strstr(seen, "never"));
    peer_release(&fixture.peer);
    fixture_release(&fixture);
}

/* ---- handing over ---- */

static void shake_hands(struct peer *peer)
{
    peer_connect(peer);
    peer_send_text(peer, "GET /ok HTTP/1.1\r\n" HOST "\r\nGET /ws HTTP/1.1\r\n" HANDSHAKE
                         "Sec-WebSocket-Version: 13\r\n\r\nearly");
    peer_receive_until(peer, "early");
    peer_send_text(peer, "later");
    peer_receive_until(peer, "later");
}

static void test_upgrade_keeps_what_came_early(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 10);
    run_peer(&fixture, shake_hands);
    const char *seen = fixture.peer.seen.data;
    assert_non_null(strstr(seen, "HTTP/1.1 101 Switching Protocols\r\n"));
    assert_non_null(strstr(seen, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert_non_null(strstr(seen, "\r\n\r\nearlylater"));
    assert_string_equal(fixture.rest, "early");
    assert_int_equal(fixture.upgraded, 1);
    assert_int_equal(fixture.last_status, 101);
    peer_release(&fixture.peer);
    fixture_release(&fixture);
}

static void test_port_in_use(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 10);
    char listen_on[32];
    snprintf(listen_on, sizeof(listen_on), "127.0.0.1:%u",
             (unsigned)http_server_port(fixture.server));
    struct http_server_options options = {.listen = listen_on, .connections_max = 1};
    struct http_server *second;
    struct err err;
    assert_int_equal(http_server_open(fixture.loop, &options, &second, &err), -EADDRINUSE);
    assert_non_null(strstr(err.text, listen_on));
    http_server_close(NULL);
    fixture_release(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_oversized),
        cmocka_unit_test(test_pipelined_requests_are_answered_in_order),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_an_exact_route_beats_a_prefix_of_its_length),
        cmocka_unit_test(test_not_modified_has_no_body),
        cmocka_unit_test(test_upgrade_keeps_what_came_early),
        cmocka_unit_test(test_port_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
