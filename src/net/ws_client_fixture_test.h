/* SPDX-License-Identifier: Apache-2.0 */
/* For the client's two test files, behind <cmocka.h>: a server of a few lines in a thread, and a
 * client that logs. */
#pragma once

#include "base/memory.h"
#include "net/http.h"
#include "net/peer_test.h"
#include "net/ws_client.h"

#include <stdio.h>

#define CLOSE_FRAME                                                                                \
    "\x88\x05\x0f\xa1"                                                                             \
    "bye"
#define CLOSED "closed:4001:bye"

#define MESSAGE_MAX (2 << 20)
#define QUEUE_MAX (4 << 20)

enum action {
    ACTION_NONE,
    ACTION_SEND,    /* the text in fixture->to_send */
    ACTION_DESTROY, /* the client */
    ACTION_CLOSE,
    ACTION_FLOOD, /* send until it is refused */
    ACTION_PAUSE
};

struct fixture {
    struct loop *loop;
    struct peer peer;
    struct ws_client *client;
    struct buffer log; /* what the callbacks were told */
    enum action on_open;
    enum action on_message;
    enum action on_control;
    const char *to_send;
    const char *script; /* what the peer sends after the handshake */
    size_t script_size;
    bool byte_by_byte;
    const char *answer;     /* instead of a handshake */
    bool deflate;           /* is offered */
    const char *extensions; /* what the peer says of them, a whole line; NULL: nothing */
    uint32_t connect_ms;
    const char *bearer;      /* NULL: none is sent */
    const char *bearer_line; /* what is expected in the head then */
    bool bearer_seen;
    size_t message_max;
    bool long_messages; /* logged by size alone */
    bool refused;
    unsigned closed;
};

static inline void act(struct fixture *fixture, enum action action)
{
    static const char flood[1 << 20];
    switch (action) {
    case ACTION_NONE:
        return;
    case ACTION_SEND:
        assert_true(ws_client_send(fixture->client, WS_TEXT, slice_of(fixture->to_send)));
        return;
    case ACTION_DESTROY:
        ws_client_destroy(fixture->client);
        fixture->client = NULL;
        loop_stop(fixture->loop);
        return;
    case ACTION_CLOSE:
        ws_client_close(fixture->client, 1000, "done");
        return;
    case ACTION_PAUSE:
        ws_client_pause(fixture->client, true);
        return;
    case ACTION_FLOOD:
        for (int i = 0; i < 100 && !fixture->refused; i++)
            fixture->refused = !ws_client_send(
                fixture->client, WS_BINARY, (struct slice){.data = flood, .size = sizeof(flood)});
        assert_int_equal(fixture->closed, 0); /* not from inside */
        return;
    }
}

static inline void on_open(void *context)
{
    struct fixture *fixture = context;
    buffer_append_text(&fixture->log, "open ");
    act(fixture, fixture->on_open);
}

static inline void on_message(void *context, enum ws_opcode opcode, char *data, size_t size)
{
    struct fixture *fixture = context;
    assert_int_equal(data[size], 0);
    volatile char sum = 0;
    for (size_t i = 0; i <= LIMIT_PADDING; i++)
        sum = (char)(sum ^ data[size + i]); /* readable: AddressSanitizer's to say */
    if (fixture->long_messages)
        buffer_append_format(&fixture->log, "%u:%zu ", (unsigned)opcode, size);
    else
        buffer_append_format(&fixture->log, "%u:%s ", (unsigned)opcode, data);
    if (size > 0)
        data[0] = 'w'; /* writable */
    act(fixture, fixture->on_message);
}

static inline void on_control(void *context, enum ws_opcode opcode, struct slice payload)
{
    struct fixture *fixture = context;
    buffer_append_format(&fixture->log, "%s:", opcode == WS_PING ? "ping" : "pong");
    buffer_append_slice(&fixture->log, payload);
    buffer_append_text(&fixture->log, " ");
    act(fixture, fixture->on_control);
}

static inline void on_closed(void *context, uint16_t code, const char *reason)
{
    struct fixture *fixture = context;
    fixture->closed++;
    buffer_append_format(&fixture->log, "closed:%u:%s", (unsigned)code, reason);
    ws_client_destroy(fixture->client);
    fixture->client = NULL;
    loop_stop(fixture->loop);
}

static const struct ws_client_callbacks callbacks = {
    .on_open = on_open, .on_message = on_message, .on_control = on_control, .on_closed = on_closed};

/* ---- the peer: a server of a few lines ---- */

static inline bool answer_handshake(struct peer *peer)
{
    struct fixture *fixture = peer->context;
    char key[WS_KEY_SIZE + 1];
    char accept[WS_ACCEPT_SIZE + 1];
    char answer[400];
    peer_accept(peer);
    if (!peer_receive_until(peer, "\r\n\r\n"))
        return false;
    if (fixture->answer != NULL) {
        peer_send_text(peer, fixture->answer);
        return false;
    }
    const char *at = strstr(peer->seen.data, "Sec-WebSocket-Key: ");
    if (at == NULL)
        return false;
    memcpy(key, at + 19, WS_KEY_SIZE);
    ws_accept_for((struct slice){.data = key, .size = WS_KEY_SIZE}, accept);
    snprintf(answer, sizeof(answer),
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n%s\r\n",
             accept, fixture->extensions == NULL ? "" : fixture->extensions);
    struct buffer out; /* the first frames come in the same packet as the answer */
    buffer_init(&out, 16 << 20);
    buffer_append_text(&out, answer);
    buffer_append(&out, fixture->script, fixture->script_size);
    if (fixture->byte_by_byte)
        for (size_t i = 0; i < out.size; i++)
            peer_send(peer, out.data + i, 1);
    else
        peer_send(peer, out.data, out.size);
    buffer_release(&out);
    return true;
}

/* Drops the request's head; what is left is frames. */
static inline void drop_head(struct peer *peer)
{
    struct fixture *fixture = peer->context;
    if (fixture->bearer != NULL)
        fixture->bearer_seen = strstr(peer->seen.data, fixture->bearer_line) != NULL;
    const char *end = strstr(peer->seen.data, "\r\n\r\n");
    if (end != NULL)
        buffer_consume(&peer->seen, (size_t)(end - peer->seen.data) + 4);
}

static inline void serve_script(struct peer *peer)
{
    peer->keeps_running = true;
    if (answer_handshake(peer))
        drop_head(peer);
    peer_receive_all(peer); /* until the client has gone */
}

/* ---- running ---- */

static inline void fixture_init(struct fixture *fixture)
{
    *fixture = (struct fixture){
        .loop = loop_create(), .connect_ms = 5000, .script = "", .message_max = MESSAGE_MAX};
    buffer_init(&fixture->log, 1 << 20);
}

static inline void open_url(struct fixture *fixture, const char *url)
{
    const struct ws_client_options options = {.url = url,
                                              .message_max = fixture->message_max,
                                              .queue_max = QUEUE_MAX,
                                              .connect_ms = fixture->connect_ms,
                                              .deflate = fixture->deflate,
                                              .bearer = fixture->bearer};
    struct err err = {.code = 0};
    int failed =
        ws_client_open(fixture->loop, &options, &callbacks, fixture, &fixture->client, &err);
    if (failed != 0)
        fail_msg("%s", err.text);
}

static inline void run(struct fixture *fixture, void (*serve)(struct peer *peer))
{
    struct peer *peer = &fixture->peer;
    char url[64];
    peer_init(peer, fixture->loop, serve);
    peer->context = fixture;
    peer_listen(peer);
    snprintf(url, sizeof(url), "ws://127.0.0.1:%u/path?q=1", (unsigned)peer->port);
    peer_start(peer);
    open_url(fixture, url);
    loop_run(fixture->loop);
    peer_join(peer);
    assert_false(peer->timed_out);
    assert_null(fixture->client);
}

static inline void release(struct fixture *fixture)
{
    loop_destroy(fixture->loop);
    buffer_release(&fixture->log);
    peer_release(&fixture->peer);
}

static inline void set_script(struct fixture *fixture, struct slice script)
{
    fixture->script = script.data;
    fixture->script_size = script.size;
}
