/* SPDX-License-Identifier: Apache-2.0 */
/* Closing, destroying, pausing, and output that the peer does not take. */
#include "net/ws_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "net/ws_client_fixture_test.h"

static void serve_script_read_nothing(struct peer *peer)
{
    char byte;
    peer->keeps_running = true;
    if (!answer_handshake(peer))
        return;
    (void)recv(peer->fd, &byte, 1, MSG_PEEK);
    while (send(peer->fd, "\x8a\x00", 2, MSG_NOSIGNAL) == 2) { /* until the client has gone */
        struct timeval pause = {.tv_usec = 10000};
        select(0, NULL, NULL, NULL, &pause);
    }
}

/* Echoes whole unfragmented frames back, unmasked, of any length. */
static void serve_echo(struct peer *peer)
{
    peer->keeps_running = true;
    if (!answer_handshake(peer))
        return;
    drop_head(peer);
    struct ws_parser parser;
    ws_parser_init(&parser, WS_SERVER, 1 << 30);
    struct buffer out;
    buffer_init(&out, 64 << 20);
    bool open = true;
    while (open && (peer->seen.size > 0 || peer_receive(peer))) {
        char *cursor = peer->seen.data;
        char *end = cursor + peer->seen.size;
        struct ws_part part;
        struct ws_control control;
        enum ws_result result;
        while ((result = ws_parse(&parser, &cursor, end, &part, &control)) != WS_NEED_MORE &&
               open) {
            open = result == WS_DATA;
            if (!open)
                break;
            buffer_append(&out, part.data, part.size);
            if (!part.last)
                continue;
            uint8_t header[WS_HEADER_MAX];
            peer_send(peer, header, ws_write_header(header, part.opcode, out.size, NULL));
            peer_send(peer, out.data, out.size);
            buffer_clear(&out);
        }
        buffer_clear(&peer->seen);
    }
    ws_parser_release(&parser);
    buffer_release(&out);
}

static void test_large_messages_both_ways(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    char *text = memory_alloc(MESSAGE_MAX + 1);
    memset(text, 'x', MESSAGE_MAX);
    fixture.to_send = text;
    fixture.on_open = ACTION_SEND;
    fixture.on_message = ACTION_CLOSE;
    fixture.long_messages = true;
    run(&fixture, serve_echo);
    /* The echo does not answer close frames: it just leaves. */
    assert_string_equal(fixture.log.data,
                        "open 1:2097152 closed:1006:the peer closed the connection");
    memory_free(text);
    release(&fixture);
}

static void test_closing(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    fixture.on_open = ACTION_CLOSE;
    set_script(&fixture, SLICE("\x81\x01"
                               "a"
                               "\x89\x00"
                               "\x88\x02\x03\xe8"));
    run(&fixture, serve_script);
    assert_string_equal(fixture.log.data, "open closed:1000:"); /* no message after the close */
    const uint8_t *seen = (const uint8_t *)fixture.peer.seen.data;
    assert_int_equal(fixture.peer.seen.size, 6 + 2 + 4);
    assert_int_equal(seen[1], 0x86);
    assert_int_equal((seen[6] ^ seen[2]) << 8 | (seen[7] ^ seen[3]), 1000);
    assert_int_equal(seen[8] ^ seen[4], 'd');
    release(&fixture);
}

static void test_close_that_is_not_answered(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    fixture.on_open = ACTION_CLOSE;
    run(&fixture, serve_script);
    assert_string_equal(fixture.log.data,
                        "open closed:1006:the peer did not answer our close frame");
    release(&fixture);
}

static void test_closed_before_open(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    peer_init(&fixture.peer, fixture.loop, NULL);
    open_url(&fixture, "ws://localhost:9/");
    ws_client_close(fixture.client, 1001, "");
    ws_client_close(fixture.client, 1001, "");
    assert_int_equal(fixture.closed, 0);
    loop_run(fixture.loop);
    assert_string_equal(fixture.log.data, "closed:1006:closed before it was open");
    release(&fixture);
}

static void test_peer_that_reads_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    fixture.on_open = ACTION_FLOOD;
    run(&fixture, serve_script_read_nothing);
    assert_true(fixture.refused);
    assert_non_null(strstr(fixture.log.data, "the output queue is full"));
    assert_int_equal(fixture.closed, 1);
    release(&fixture);
}

static void test_destroyed_in_each_callback(void **state)
{
    (void)state;
    static const char *const logs[] = {"open ", "open 1:a ", "open 1:a ping: "};
    for (size_t i = 0; i < COUNT_OF(logs); i++) {
        struct fixture fixture;
        fixture_init(&fixture);
        set_script(&fixture, SLICE("\x81\x01"
                                   "a"
                                   "\x89\x00"
                                   "\x81\x01"
                                   "b"));
        fixture.on_open = i == 0 ? ACTION_DESTROY : ACTION_NONE;
        fixture.on_message = i == 1 ? ACTION_DESTROY : ACTION_NONE;
        fixture.on_control = i == 2 ? ACTION_DESTROY : ACTION_NONE;
        run(&fixture, serve_script);
        assert_string_equal(fixture.log.data, logs[i]);
        assert_int_equal(fixture.closed, 0);
        release(&fixture);
    }
}

static void test_destroyed_while_collecting(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    set_script(&fixture, SLICE("\x01\x01"
                               "a"
                               "\x80\x01"
                               "b"
                               "\x81\x01"
                               "c"));
    fixture.on_message = ACTION_DESTROY;
    run(&fixture, serve_script);
    assert_string_equal(fixture.log.data, "open 1:ab ");
    release(&fixture);
}

static void resume(void *context)
{
    struct fixture *fixture = context;
    buffer_append_text(&fixture->log, "resumed ");
    ws_client_pause(fixture->client, false);
}

static void send_after_the_first(struct peer *peer)
{
    peer->keeps_running = true;
    if (!answer_handshake(peer))
        return;
    peer_receive_until(peer, "\x8a"); /* the pong: the client has read the first part */
    peer_send(peer,
              "\x81\x01"
              "b" CLOSE_FRAME,
              10);
    peer_receive_all(peer);
}

static void test_pause(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    set_script(&fixture, SLICE("\x89\x00"
                               "\x81\x01"
                               "a"));
    fixture.on_message = ACTION_PAUSE;
    struct timer *timer = timer_create_on(fixture.loop, resume, &fixture);
    timer_start(timer, 300, 0);
    run(&fixture, send_after_the_first);
    assert_string_equal(fixture.log.data, "open ping: 1:a resumed 1:b " CLOSED);
    timer_destroy(timer);
    release(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_large_messages_both_ways),
        cmocka_unit_test(test_closing),
        cmocka_unit_test(test_close_that_is_not_answered),
        cmocka_unit_test(test_closed_before_open),
        cmocka_unit_test(test_peer_that_reads_nothing),
        cmocka_unit_test(test_destroyed_in_each_callback),
        cmocka_unit_test(test_destroyed_while_collecting),
        cmocka_unit_test(test_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
