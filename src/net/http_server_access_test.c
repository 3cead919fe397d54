/* SPDX-License-Identifier: Apache-2.0 */
/* Who may ask what, and from where: grants, origins, proxies, rates; files; the access log. */
#include "net/http_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "net/http_server_fixture_test.h"

#define SHAKE HANDSHAKE "Sec-WebSocket-Version: 13\r\n"
#define PREFLIGHT "Access-Control-Request-Method: GET\r\n"

struct access_case {
    const char *request;
    const char *contains[3];
    const char *lacks;
};

/* One connection for each request. */
static void run_cases(const struct http_server_options *options, const struct access_case *cases,
                      size_t count, const struct http_route *route)
{
    for (size_t i = 0; i < count; i++) {
        struct fixture fixture;
        fixture_init_with(&fixture, options);
        if (route != NULL)
            http_server_route(fixture.server, route);
        fixture.request = cases[i].request;
        run_peer(&fixture, send_request);
        const char *seen = fixture.peer.seen.data;
        for (size_t j = 0; j < COUNT_OF(cases[i].contains); j++)
            if (cases[i].contains[j] != NULL && strstr(seen, cases[i].contains[j]) == NULL)
                fail_msg("%s\nno %s in: %s", cases[i].request, cases[i].contains[j], seen);
        if (cases[i].lacks != NULL && strstr(seen, cases[i].lacks) != NULL)
            fail_msg("%s\n%s in: %s", cases[i].request, cases[i].lacks, seen);
        peer_release(&fixture.peer);
        fixture_release(&fixture);
    }
}

/* ---- grants ---- */

static void authorize(void *context, const struct http_head *request, struct http_grant *ret_grant)
{
    (void)context;
    struct slice given = http_header_find(request, "Authorization");
    if (slice_is(given, "Bearer good")) {
        ret_grant->subprotocol = "tickwire";
        ret_grant->expires_us = 77;
    } else if (slice_is(given, "Bearer weak")) {
        *ret_grant = (struct http_grant){.status = 403, .detail = "this token is for less"};
    } else {
        *ret_grant = (struct http_grant){.status = 401,
                                         .detail = "this needs a token",
                                         .headers = "WWW-Authenticate: Bearer\r\n"};
    }
}

static void handle_open(void *context, struct http_connection *connection,
                        const struct http_head *request)
{
    (void)context;
    (void)request;
    char body[64];
    snprintf(body, sizeof(body), "open until %lld",
             (long long)http_granted(connection)->expires_us);
    http_answer(connection, 200, "text/plain", NULL, slice_of(body));
}

static const struct access_case grants[] = {
    {"GET /ok HTTP/1.1\r\n" CLOSE,
     {"HTTP/1.1 401 ", "WWW-Authenticate: Bearer\r\n", "problem+json"},
     "ok:"},
    {"GET /none HTTP/1.1\r\n" CLOSE, {"HTTP/1.1 401 "}, "404"},
    {"OPTIONS * HTTP/1.1\r\n" CLOSE, {"HTTP/1.1 401 "}, "405"},
    {"GET /none HTTP/1.1\r\nAuthorization: Bearer good\r\n" CLOSE, {"HTTP/1.1 404 "}, "401"},
    {"GET /ok HTTP/1.1\r\nAuthorization: Bearer weak\r\n" CLOSE,
     {"HTTP/1.1 403 ", "this token is for less"},
     "WWW-Auth"},
    {"GET /ok HTTP/1.1\r\nAuthorization: Bearer good\r\n" CLOSE, {"HTTP/1.1 200 ", "ok:"}, "401"},
    {"GET /open HTTP/1.1\r\n" CLOSE, {"HTTP/1.1 200 ", "open until 0"}, "401"},
    {"DELETE /open HTTP/1.1\r\n" CLOSE, {"HTTP/1.1 405 "}, "401"},
    {"GET /ws HTTP/1.1\r\n" SHAKE "Connection: close\r\n\r\n", {"HTTP/1.1 401 "}, "101"},
    /* Each request of a connection is asked about, and what one was granted is not the next's. */
    {"GET /ok?q=1 HTTP/1.1\r\nAuthorization: Bearer good\r\n" HOST "\r\n"
     "GET /ok?q=2 HTTP/1.1\r\n" CLOSE,
     {"ok:1", "HTTP/1.1 401 "},
     "ok:2"},
    {"GET /ok HTTP/1.1\r\nAuthorization: Bearer good\r\n" HOST "\r\n"
     "GET /open HTTP/1.1\r\n" CLOSE,
     {"open until 0"},
     "401"},
    /* A browser asks without its token. */
    {"OPTIONS /ok HTTP/1.1\r\nOrigin: http://a\r\n" PREFLIGHT CLOSE,
     {"HTTP/1.1 204 ", "Access-Control-Allow-Headers: Authorization, If-None-Match\r\n"},
     "401"},
};

static void test_grants(void **state)
{
    (void)state;
    const struct http_server_options options = {.connections_max = 10, .authorize = authorize};
    const struct http_route route = {.path = "/open", .handler = handle_open, .open = true};
    run_cases(&options, grants, COUNT_OF(grants), &route);
}

static void shake_hands(struct peer *peer)
{
    peer_connect(peer);
    peer_send_text(peer, "GET /ws HTTP/1.1\r\nAuthorization: Bearer good\r\n" SHAKE "\r\nearly");
    peer_receive_until(peer, "early");
}

static void test_upgrade_names_the_subprotocol(void **state)
{
    (void)state;
    struct fixture fixture;
    const struct http_server_options options = {.connections_max = 10, .authorize = authorize};
    fixture_init_with(&fixture, &options);
    run_peer(&fixture, shake_hands);
    assert_non_null(
        strstr(fixture.peer.seen.data, "\r\nSec-WebSocket-Protocol: tickwire\r\n\r\nearly"));
    peer_release(&fixture.peer);
    fixture_release(&fixture);
}

/* ---- origins ---- */

static const struct access_case any_origin[] = {
    {"GET /ok HTTP/1.1\r\nOrigin: http://a\r\n" CLOSE,
     {"HTTP/1.1 200 ", "\r\nAccess-Control-Allow-Origin: *\r\n",
      "\r\nAccess-Control-Expose-Headers: ETag"},
     "Vary"},
    {"GET /none HTTP/1.1\r\n" CLOSE, {"HTTP/1.1 404 ", "Access-Control-Allow-Origin: *\r\n"}, NULL},
    {"OPTIONS /ok HTTP/1.1\r\nOrigin: http://a\r\n" PREFLIGHT CLOSE,
     {"HTTP/1.1 204 No Content\r\n", "Access-Control-Allow-Origin: *\r\n",
      "Access-Control-Allow-Methods: GET, HEAD\r\n"},
     "Content-Length"},
    {"OPTIONS /ok HTTP/1.1\r\nOrigin: http://a\r\n" CLOSE,
     {"HTTP/1.1 405 ", "\r\nAllow: GET, HEAD\r\n"},
     "204"},
    {"OPTIONS /ok HTTP/1.1\r\n" PREFLIGHT CLOSE, {"HTTP/1.1 405 "}, "204"},
    {"OPTIONS /none HTTP/1.1\r\nOrigin: http://a\r\n" PREFLIGHT CLOSE, {"HTTP/1.1 404 "}, "204"},
    {"OPTIONS /ws HTTP/1.1\r\nOrigin: http://a\r\n" PREFLIGHT CLOSE,
     {"HTTP/1.1 405 ", "\r\nAllow: GET\r\n"},
     "204"},
    {"OPTIONS /own HTTP/1.1\r\nOrigin: http://a\r\n" PREFLIGHT CLOSE, {"HTTP/1.1 405 "}, "204"},
    {"GET /own HTTP/1.1\r\nOrigin: http://a\r\n" CLOSE, {"HTTP/1.1 200 "}, "Access-Control"},
    /* What follows a 204 is found behind it. */
    {"OPTIONS /ok HTTP/1.1\r\nOrigin: http://a\r\n" PREFLIGHT HOST "\r\n"
     "GET /ok?q=1 HTTP/1.1\r\n" CLOSE,
     {"Access-Control-Max-Age: 600\r\n\r\nHTTP/1.1 200 ", "ok:1"},
     NULL},
};

static const struct access_case listed_origins[] = {
    {"GET /ok HTTP/1.1\r\nOrigin: HTTPS://App.Example:443\r\n" CLOSE,
     {"\r\nAccess-Control-Allow-Origin: HTTPS://App.Example:443\r\n", "\r\nVary: Origin\r\n",
      "Expose"},
     "Origin: *"},
    {"GET /ok HTTP/1.1\r\nOrigin: https://evil.example\r\n" CLOSE,
     {"HTTP/1.1 200 ", "\r\nVary: Origin\r\n"},
     "Access-Control"},
    {"GET /ok HTTP/1.1\r\n" CLOSE, {"HTTP/1.1 200 ", "\r\nVary: Origin\r\n"}, "Access-Control"},
    {"GET /own HTTP/1.1\r\nOrigin: https://app.example\r\n" CLOSE, {"HTTP/1.1 200 "}, "Access-"},
    {"OPTIONS /ok HTTP/1.1\r\nOrigin: https://evil.example\r\n" PREFLIGHT CLOSE,
     {"HTTP/1.1 403 ", "pages of this origin"},
     "Access-Control"},
    {"OPTIONS /ok HTTP/1.1\r\nOrigin: https://app.example\r\n" PREFLIGHT CLOSE,
     {"HTTP/1.1 204 ", "Access-Control-Allow-Origin: https://app.example\r\n", "Vary: Origin\r\n"},
     NULL},
    {"GET /ws HTTP/1.1\r\nOrigin: https://evil.example\r\n" SHAKE "Connection: close\r\n\r\n",
     {"HTTP/1.1 403 ", "problem+json"},
     "101"},
    {"GET /ws HTTP/1.1\r\nOrigin: null\r\n" SHAKE "Connection: close\r\n\r\n",
     {"HTTP/1.1 403 "},
     "101"},
    {"GET /ws HTTP/1.1\r\nOrigin:\r\n" SHAKE "Connection: close\r\n\r\n", {"HTTP/1.1 403 "}, "101"},
};

static void test_origins(void **state)
{
    (void)state;
    char *const items[] = {(char[]){"https://app.example"}};
    const struct http_route own = {.path = "/own", .handler = handle_open, .same_origin = true};
    struct http_server_options options = {.connections_max = 10};
    run_cases(&options, any_origin, COUNT_OF(any_origin), &own);
    options.allowed_origins = (struct http_texts){.items = items, .count = 1};
    run_cases(&options, listed_origins, COUNT_OF(listed_origins), &own);
}

static void shake_hands_from_page(struct peer *peer)
{
    peer_connect(peer);
    peer_send_text(peer, "GET /ws HTTP/1.1\r\nOrigin: https://app.example\r\n" SHAKE "\r\nearly");
    peer_receive_until(peer, "early");
}

static void test_allowed_origin_connects(void **state)
{
    (void)state;
    char *const items[] = {(char[]){"https://app.example"}};
    struct http_server_options options = {.connections_max = 10,
                                          .allowed_origins = {.items = items, .count = 1}};
    struct fixture fixture;
    fixture_init_with(&fixture, &options);
    run_peer(&fixture, shake_hands_from_page);
    assert_memory_equal(fixture.peer.seen.data, "HTTP/1.1 101 ", 13);
    peer_release(&fixture.peer);
    fixture_release(&fixture);
}

/* ---- proxies ---- */

static void handle_who(void *context, struct http_connection *connection,
                       const struct http_head *request)
{
    (void)context;
    (void)request;
    struct address address;
    char text[ADDRESS_TEXT];
    char body[512];
    struct slice host = http_request_host(connection);
    http_client_address(connection, &address);
    address_write(&address, text);
    snprintf(body, sizeof(body), "[%s %s %.*s]", text, http_request_scheme(connection),
             (int)host.size, host.data);
    http_answer(connection, 200, "text/plain", NULL, slice_of(body));
}

#define FORWARDED                                                                                  \
    "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: gw:8443\r\n"

static const struct access_case trusting[] = {
    {"GET /who HTTP/1.1\r\n" FORWARDED CLOSE, {"[192.0.2.7 https gw:8443]"}, NULL},
    {"GET /who HTTP/1.1\r\n" CLOSE, {"[127.0.0.1 http a]"}, NULL},
    {"GET /who HTTP/1.1\r\nX-Forwarded-For: x\r\n" CLOSE,
     {"HTTP/1.1 400 ", "X-Forwarded-For, -Proto or -Host is malformed"},
     "[127"},
};

static const struct access_case trusting_nobody[] = {
    {"GET /who HTTP/1.1\r\n" FORWARDED CLOSE, {"[127.0.0.1 https a]"}, NULL},
    {"GET http://b:81/who HTTP/1.1\r\nX-Forwarded-For: x\r\n" CLOSE,
     {"[127.0.0.1 https b:81]"},
     NULL},
};

static void test_proxies(void **state)
{
    (void)state;
    char *const items[] = {(char[]){"10.0.0.0/8"}, (char[]){"127.0.0.1"}};
    char *const wrong[] = {(char[]){"10.0.0.1/8"}};
    const struct http_route who = {.path = "/who", .handler = handle_who};
    struct http_server_options options = {.connections_max = 10,
                                          .trusted_proxies = {.items = items, .count = 2}};
    run_cases(&options, trusting, COUNT_OF(trusting), &who);
    options.trusted_proxies.count = 1;
    options.secure = true;
    run_cases(&options, trusting_nobody, COUNT_OF(trusting_nobody), &who);
    options.listen = "127.0.0.1:0";
    options.trusted_proxies.items = wrong;
    struct loop *loop = loop_create();
    struct http_server *server;
    struct err err;
    assert_int_equal(http_server_open(loop, &options, &server, &err), -EINVAL);
    assert_non_null(strstr(err.text, "trusted proxies"));
    options.trusted_proxies.count = 0;
    options.allowed_origins = (struct http_texts){.items = wrong, .count = 1};
    assert_int_equal(http_server_open(loop, &options, &server, &err), -EINVAL);
    loop_destroy(loop);
}

/* ---- files ---- */

static const struct http_file file = {.path = "/file",
                                      .type = "text/html; charset=utf-8",
                                      .etag = "\"e1\"",
                                      .gzip_etag = "\"e1-gzip\"",
                                      .body = {.data = "plain body", .size = 10},
                                      .gzip_body = {.data = "\x1f\x8bzip", .size = 5}};

static void handle_file(void *context, struct http_connection *connection,
                        const struct http_head *request)
{
    http_answer_file(connection, request, context, "X-More: yes\r\n");
}

static const struct access_case files[] = {
    {"GET /file HTTP/1.1\r\n" CLOSE,
     {"HTTP/1.1 200 ", "ETag: \"e1\"\r\nCache-Control: no-cache\r\nAccept-Ranges: none\r\nX-More",
      "Vary: Accept-Encoding\r\n"},
     "Content-Encoding"},
    {"GET /file HTTP/1.1\r\nRange: bytes=0-1\r\n" CLOSE, {"HTTP/1.1 200 ", "plain body"}, "206"},
    {"GET /file HTTP/1.1\r\nAccept-Encoding: gzip\r\n" CLOSE,
     {"ETag: \"e1-gzip\"\r\n", "Content-Encoding: gzip\r\n",
      "Content-Type: text/html; charset=utf-8\r\nContent-Length: 5\r\n"},
     "plain"},
    {"HEAD /file HTTP/1.1\r\nAccept-Encoding: gzip\r\n" CLOSE,
     {"Content-Encoding: gzip\r\n", "Content-Length: 5\r\n"},
     "zip\x1f"},
    {"HEAD /file HTTP/1.1\r\n" CLOSE, {"Content-Length: 10\r\n"}, "plain"},
    {"GET /file HTTP/1.1\r\nAccept-Encoding: *;q=0\r\n" CLOSE, {"HTTP/1.1 406 "}, "plain"},
    {"GET /file HTTP/1.1\r\nIf-None-Match: \"e1\"\r\n" CLOSE,
     {"HTTP/1.1 304 ", "ETag: \"e1\"\r\n", "Vary: Accept-Encoding\r\n"},
     "\nContent-"},
    {"GET /file HTTP/1.1\r\nIf-None-Match: \"e1\"\r\nAccept-Encoding: gzip\r\n" CLOSE,
     {"HTTP/1.1 200 ", "Content-Encoding: gzip\r\n"},
     "304"},
    {"GET /file HTTP/1.1\r\nIf-None-Match: \"e1-gzip\"\r\nAccept-Encoding: gzip\r\n" CLOSE,
     {"HTTP/1.1 304 ", "ETag: \"e1-gzip\"\r\n"},
     "\nContent-"},
};

static void test_files(void **state)
{
    (void)state;
    const struct http_server_options options = {.connections_max = 10};
    const struct http_route route = {
        .path = "/file", .handler = handle_file, .context = (void *)(uintptr_t)&file};
    run_cases(&options, files, COUNT_OF(files), &route);
    char *const items[] = {(char[]){"https://app.example"}};
    const struct http_server_options listed = {.connections_max = 10,
                                               .allowed_origins = {.items = items, .count = 1}};
    const struct access_case both = {
        "GET /file HTTP/1.1\r\n" CLOSE, {"\r\nVary: Origin, Accept-Encoding\r\n"}, NULL};
    run_cases(&listed, &both, 1, &route);
}

/* ---- the access log ---- */

/* What is written to stderr meanwhile. */
static void run_logged(struct fixture *fixture, char *text, size_t text_size)
{
    FILE *log = tmpfile();
    assert_non_null(log);
    fflush(stderr);
    int saved = dup(STDERR_FILENO);
    dup2(fileno(log), STDERR_FILENO);
    run_peer(fixture, send_request);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(log);
    text[fread(text, 1, text_size - 1, log)] = '\0';
    fclose(log);
}

static void test_access_log(void **state)
{
    (void)state;
    char text[16384];
    struct fixture fixture;
    const struct http_server_options options = {.connections_max = 10, .access_log_every = 3};
    fixture_init_with(&fixture, &options);
    fixture.request = "GET /ok?q=sesame HTTP/1.1\r\nAuthorization: Bearer sesame\r\n" HOST "\r\n"
                      "GET /ok?q=2 HTTP/1.1\r\n" HOST "\r\nGET /none?q=sesame HTTP/1.1\r\n" HOST
                      "\r\nGET /ok?q=3 HTTP/1.1\r\n" HOST "\r\nHEAD /ok?q=4 HTTP/1.1\r\n" HOST
                      "Sec-WebSocket-Protocol: bearer.sesame\r\n\r\nrubbish\r\n\r\n";
    run_logged(&fixture, text, sizeof(text));
    assert_int_equal(count_of(text, "msg=request"), 4);
    assert_non_null(strstr(text, "level=info"));
    assert_non_null(strstr(text, "part=http"));
    assert_non_null(strstr(text, "client=127.0.0.1 method=GET path=/ok status=200 bytes=9 ms="));
    assert_non_null(strstr(text, "method=GET path=/none status=404 bytes="));
    assert_non_null(strstr(text, "method=HEAD path=/ok status=200 bytes=0"));
    assert_non_null(strstr(text, "method=- path=- status=400"));
    assert_null(strstr(text, "sesame"));
    assert_null(strstr(text, "?"));
    peer_release(&fixture.peer);
    fixture_release(&fixture);
}

static void test_no_access_log(void **state)
{
    (void)state;
    char text[16384];
    struct fixture fixture;
    fixture_init(&fixture, 10);
    fixture.request = "GET /ok HTTP/1.1\r\n" HOST "\r\nGET /none HTTP/1.1\r\n" CLOSE;
    run_logged(&fixture, text, sizeof(text));
    assert_null(strstr(text, "msg=request"));
    peer_release(&fixture.peer);
    fixture_release(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grants),     cmocka_unit_test(test_upgrade_names_the_subprotocol),
        cmocka_unit_test(test_origins),    cmocka_unit_test(test_allowed_origin_connects),
        cmocka_unit_test(test_proxies),    cmocka_unit_test(test_files),
        cmocka_unit_test(test_access_log), cmocka_unit_test(test_no_access_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
