/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, and what the peer says; ws_client_life_test.c has how it ends. */
#include "net/ws_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "net/ws_client_fixture_test.h"

static void serve_script_and_leave(struct peer *peer)
{
    peer->keeps_running = true;
    if (answer_handshake(peer))
        shutdown(peer->fd, SHUT_WR);
    peer_receive_all(peer);
}

/* The script as one piece and byte by byte; the log must be as expected both times. */
static void expect(struct slice script, const char *expected)
{
    for (int round = 0; round < 2; round++) {
        struct fixture fixture;
        fixture_init(&fixture);
        set_script(&fixture, script);
        fixture.byte_by_byte = round == 1;
        run(&fixture, serve_script);
        assert_string_equal(fixture.log.data, expected);
        assert_int_equal(fixture.closed, 1);
        release(&fixture);
    }
}

static void test_messages(void **state)
{
    (void)state;
    expect(SLICE("\x81\x02"
                 "AB"
                 "\x82\x01"
                 "C"
                 "\x81\x00" CLOSE_FRAME),
           "open 1:AB 2:C 1: " CLOSED);
}

static void test_bearer(void **state)
{
    (void)state;
    static char line[LIMIT_ACCESS_TOKEN + 64] = "\r\nAuthorization: Bearer ";
    char longest[LIMIT_ACCESS_TOKEN + 1] = "";
    size_t size = strlen(line);
    memset(longest, 't', LIMIT_ACCESS_TOKEN);
    snprintf(line + size, sizeof line - size, "%s\r\n", longest);
    struct fixture fixture;
    fixture_init(&fixture);
    set_script(&fixture, SLICE(CLOSE_FRAME));
    fixture.bearer = longest;
    fixture.bearer_line = line;
    run(&fixture, serve_script);
    assert_string_equal(fixture.log.data, "open " CLOSED);
    assert_true(fixture.bearer_seen);
    release(&fixture);
}

static void test_fragments(void **state)
{
    (void)state;
    expect(SLICE("\x01\x01"
                 "a"
                 "\x89\x01"
                 "p"
                 "\x00\x00\x00\x02"
                 "bc"
                 "\x80\x01"
                 "d"
                 "\x81\x01"
                 "e"
                 "\x8a\x00" CLOSE_FRAME),
           "open ping:p 1:abcd 1:e pong: " CLOSED);
}

static void test_close_without_code(void **state)
{
    (void)state;
    expect(SLICE("\x88\x00"), "open closed:1005:");
}

static void test_violations(void **state)
{
    (void)state;
    expect(SLICE("\x81\x01"
                 "a"
                 "\x83\x00"),
           "open 1:a closed:1006:the peer broke the WebSocket protocol (1002)");
    expect(SLICE("\x81\x81"
                 "abcd"
                 "e"),
           "open closed:1006:the peer broke the WebSocket protocol (1002)");
    expect(SLICE("\x81\x03\xed\xa0\x80"),
           "open closed:1006:the peer broke the WebSocket protocol (1007)");
    expect(SLICE("\x82\x7f\0\0\0\0\0\x20\0\x01"),
           "open closed:1006:a message of more than 2097152 bytes");
}

static void test_request_and_what_the_peer_gets(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    set_script(&fixture, SLICE("\x89\x02"
                               "hi"
                               "\x83\x00"));
    run(&fixture, serve_script);
    const uint8_t *seen = (const uint8_t *)fixture.peer.seen.data;
    assert_int_equal(fixture.peer.seen.size, 8 + 8);
    assert_int_equal(seen[0], 0x8a); /* a masked pong with the ping's payload */
    assert_int_equal(seen[1], 0x82);
    assert_int_equal(seen[6] ^ seen[2], 'h');
    assert_int_equal(seen[7] ^ seen[3], 'i');
    assert_int_equal(seen[8], 0x88); /* a masked close with 1002 */
    assert_int_equal(seen[9], 0x82);
    assert_int_equal((seen[14] ^ seen[10]) << 8 | (seen[15] ^ seen[11]), 1002);
    assert_memory_not_equal(seen + 2, seen + 10, 4); /* a mask of its own for each frame */
    release(&fixture);
}

static void keep_request(struct peer *peer)
{
    peer->keeps_running = true;
    peer_accept(peer);
    peer_receive_until(peer, "\r\n\r\n");
}

static void test_request(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    run(&fixture, keep_request);
    char host[40];
    snprintf(host, sizeof(host), "\r\nHost: 127.0.0.1:%u\r\n", (unsigned)fixture.peer.port);
    const char *seen = fixture.peer.seen.data;
    assert_memory_equal(seen, "GET /path?q=1 HTTP/1.1\r\n", 24);
    assert_non_null(strstr(seen, host));
    assert_non_null(strstr(seen, "\r\nSec-WebSocket-Version: 13\r\n"));
    assert_non_null(strstr(seen, "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"));
    assert_null(strstr(seen, "Origin"));
    assert_non_null(strstr(fixture.log.data, "closed:1006:"));
    assert_non_null(strstr(fixture.log.data, "before the handshake ended"));
    release(&fixture);
}

#define GRANTED                                                                                    \
    "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "                   \
    "server_max_window_bits=9\r\n"
#define COMPRESSED                                                                                 \
    "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"                                                         \
    "\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00" CLOSE_FRAME
#define REFUSED "closed:1006:HTTP 101 with an extension that was not "

struct compression_case {
    bool offered;
    const char *extensions;
    const char *expected;
};

static void test_compression(void **state)
{
    (void)state;
    static const struct compression_case cases[] = {
        {true, GRANTED, "open 1:Hello 1:Hello " CLOSED},
        {true, NULL, "open closed:1006:the peer broke the WebSocket protocol (1002)"},
        {false, GRANTED, REFUSED "asked for"},
        {true, "Sec-WebSocket-Extensions: permessage-deflate\r\n", REFUSED "offered"},
        {true, "Sec-WebSocket-Extensions: mux\r\n", REFUSED "offered"},
    };
    for (size_t i = 0; i < 2 * COUNT_OF(cases); i++) {
        struct fixture fixture;
        fixture_init(&fixture);
        set_script(&fixture, SLICE(COMPRESSED));
        fixture.deflate = cases[i / 2].offered;
        fixture.extensions = cases[i / 2].extensions;
        fixture.byte_by_byte = i % 2 != 0;
        run(&fixture, serve_script);
        assert_string_equal(fixture.log.data, cases[i / 2].expected);
        release(&fixture);
    }
}

/* The message that is being told lies in memory of the client. */
static void test_destroyed_by_a_compressed_message(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    set_script(&fixture, SLICE(COMPRESSED));
    fixture.deflate = true;
    fixture.extensions = GRANTED;
    fixture.on_message = ACTION_DESTROY;
    run(&fixture, serve_script);
    assert_string_equal(fixture.log.data, "open 1:Hello ");
    release(&fixture);
}

static void test_offer(void **state)
{
    (void)state;
    for (int offered = 0; offered < 2; offered++) {
        struct fixture fixture;
        fixture_init(&fixture);
        fixture.deflate = offered != 0;
        run(&fixture, keep_request);
        bool found = strstr(fixture.peer.seen.data,
                            "\r\nSec-WebSocket-Extensions: permessage-deflate; "
                            "server_no_context_takeover; client_no_context_takeover; "
                            "client_max_window_bits\r\n\r\n") != NULL;
        assert_int_equal(found, offered);
        release(&fixture);
    }
}

static void test_peer_leaves(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    set_script(&fixture, SLICE("\x81\x01"
                               "a"
                               "\x81\x05"
                               "x"));
    run(&fixture, serve_script_and_leave);
    assert_string_equal(fixture.log.data, "open 1:a closed:1006:the peer closed the connection");
    release(&fixture);
}

static void test_refused_handshakes(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
         "closed:1006:HTTP 403 instead of a WebSocket"},
        {"HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n",
         "closed:1006:HTTP 301 instead of a WebSocket"},
        {"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
         "closed:1006:HTTP 101 with a wrong Sec-WebSocket-Accept"},
        {"SSH-2.0-OpenSSH\r\n\r\n",
         "closed:1006:not an HTTP answer: the first line has no HTTP version"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct fixture fixture;
        fixture_init(&fixture);
        fixture.answer = cases[i][0];
        run(&fixture, serve_script);
        assert_string_equal(fixture.log.data, cases[i][1]);
        release(&fixture);
    }
}

static void accept_and_wait(struct peer *peer)
{
    peer->keeps_running = true;
    peer_accept(peer);
    peer_receive_all(peer);
}

static void test_no_answer_to_the_handshake(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    fixture.connect_ms = 100;
    run(&fixture, accept_and_wait);
    assert_non_null(strstr(fixture.log.data, "no answer to the handshake within 100 ms"));
    release(&fixture);
}

static void test_nobody_listens(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    peer_init(&fixture.peer, fixture.loop, NULL);
    peer_listen(&fixture.peer);
    close(fixture.peer.listen_fd);
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", (unsigned)fixture.peer.port);
    open_url(&fixture, url);
    assert_false(ws_client_send(fixture.client, WS_TEXT, SLICE("too early")));
    loop_run(fixture.loop);
    assert_non_null(strstr(fixture.log.data, "Connection refused"));
    assert_memory_equal(fixture.log.data, "closed:1006:127.0.0.1:", 22);
    release(&fixture);
}

static void test_bad_urls(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "localhost",
                                      "ftp://a/",
                                      "ws://",
                                      "ws:///path",
                                      "ws://a:0/",
                                      "ws://a:65536/",
                                      "ws://a:x/",
                                      "ws://user:secret@a/",
                                      "ws://a/ b",
                                      "ws://a/\r\nX: y",
                                      "ws://a/#f",
                                      "ws://a b/",
                                      "ws://[::1/",
                                      "ws://[::1]x/"};
    struct loop *loop = loop_create();
    struct ws_client *client = NULL;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        const struct ws_client_options options = {
            .url = bad[i], .message_max = 1, .queue_max = 1, .connect_ms = 1};
        struct err err = {.code = 0};
        assert_int_equal(ws_client_open(loop, &options, &callbacks, NULL, &client, &err), -EINVAL);
        assert_true(strlen(err.text) > 0);
        assert_null(strstr(err.text, "secret"));
    }
    assert_null(client);
    loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_bearer),
        cmocka_unit_test(test_fragments),
        cmocka_unit_test(test_close_without_code),
        cmocka_unit_test(test_violations),
        cmocka_unit_test(test_request_and_what_the_peer_gets),
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_compression),
        cmocka_unit_test(test_destroyed_by_a_compressed_message),
        cmocka_unit_test(test_offer),
        cmocka_unit_test(test_peer_leaves),
        cmocka_unit_test(test_refused_handshakes),
        cmocka_unit_test(test_no_answer_to_the_handshake),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_bad_urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
