/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A WebSocket echo server on the program's own HTTP server and codec, for conformance suites: whole
 * messages come back with their opcode, compressed when that was negotiated. While a peer takes
 * less than it is sent, nothing more of it is read or parsed, so that what waits for it is bounded:
 * a read of compressed messages may hold many times its size.
 *
 *     ws_echo      prints its port on 127.0.0.1 and serves "/" until SIGTERM
 */
#include "base/buffer.h"
#include "base/memory.h"
#include "net/http_server.h"
#include "net/ws_deflate.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#define MESSAGE_MAX ((size_t)17 * MEBIBYTE) /* the largest case sends 16 MiB */
#define OUTPUT_MANY ((size_t)MEBIBYTE)      /* more is sent before anything else is parsed */
#define OUTPUT_MAX (OUTPUT_MANY + MESSAGE_MAX + KIBIBYTE)
#define CONNECTIONS_MAX 64
#define CODE_ABSENT 1005
#define LEVEL 1
#define WAITING_MAX (2 * MESSAGE_MAX)

enum peer_state {
    PEER_OPEN,
    PEER_ENDING, /* our close frame is written; what the peer says is thrown away */
    PEER_ENDED   /* all is sent, the peer's end of data is awaited */
};

struct peer {
    struct peer **list;    /* borrowed: where the first one stands */
    struct peer *previous; /* in the list */
    struct peer *next;
    struct tcp *tcp;     /* owned */
    struct timer *timer; /* owned: how long the peer's end is awaited */
    enum peer_state state;
    struct buffer message; /* one that comes in parts */
    struct buffer output;
    size_t sent;                  /* of output */
    struct buffer rest;           /* read, and not parsed because output waits */
    struct ws_deflater *deflater; /* borrowed; NULL when compression was not negotiated */
    struct ws_parser parser;
};

struct echo {
    struct loop *loop;
    struct peer *peers;
    struct ws_deflater *deflater;
    struct ws_inflater *inflater;
};

static void peer_destroy(struct peer *peer)
{
    if (peer->previous != NULL)
        peer->previous->next = peer->next;
    else
        *peer->list = peer->next;
    if (peer->next != NULL)
        peer->next->previous = peer->previous;
    timer_destroy(peer->timer);
    tcp_destroy(peer->tcp);
    ws_parser_release(&peer->parser);
    buffer_release(&peer->message);
    buffer_release(&peer->output);
    buffer_release(&peer->rest);
    memory_free(peer);
}

/* ---- sending ---- */

static void flush(struct peer *peer)
{
    size_t left = peer->output.size - peer->sent;
    if (left > 0)
        peer->sent += tcp_send(peer->tcp, peer->output.data + peer->sent, left);
    bool waits = peer->sent < peer->output.size;
    tcp_read_pause(peer->tcp, waits && peer->state == PEER_OPEN);
    if (waits)
        return;
    buffer_clear(&peer->output);
    peer->sent = 0;
    if (peer->state != PEER_ENDING)
        return;
    peer->state = PEER_ENDED;
    tcp_shutdown(peer->tcp);
    timer_start(peer->timer, LIMIT_WS_CLOSE_MS, 0);
}

static void write_frame(struct peer *peer, enum ws_opcode opcode, struct slice payload)
{
    uint8_t header[WS_HEADER_MAX];
    buffer_append(&peer->output, header, ws_write_header(header, opcode, payload.size, NULL));
    buffer_append_slice(&peer->output, payload);
    assert(!peer->output.overflowed); /* nothing is read while anything waits */
}

static void write_message(struct peer *peer, enum ws_opcode opcode, struct slice payload)
{
    if (peer->deflater == NULL) {
        write_frame(peer, opcode, payload);
        return;
    }
    ws_deflate_frame(peer->deflater, opcode, payload, &peer->output);
    assert(!peer->output.overflowed);
}

static void write_close(struct peer *peer, uint16_t code)
{
    char payload[2] = {(char)(code >> 8), (char)(code & 0xff)};
    size_t size = code == CODE_ABSENT ? 0 : sizeof(payload);
    write_frame(peer, WS_CLOSE, (struct slice){.data = payload, .size = size});
    peer->state = PEER_ENDING;
}

/* ---- reading ---- */

static void take_part(struct peer *peer, const struct ws_part *part)
{
    struct slice payload = {.data = part->data, .size = part->size};
    if (part->first && part->last) {
        write_message(peer, part->opcode, payload);
        return;
    }
    buffer_append_slice(&peer->message, payload);
    assert(!peer->message.overflowed); /* the parser has bounded it */
    if (!part->last)
        return;
    write_message(peer, part->opcode, buffer_slice(&peer->message));
    buffer_clear(&peer->message);
}

static void take_control(struct peer *peer, const struct ws_control *control)
{
    if (control->opcode == WS_CLOSE)
        write_close(peer, control->close_code);
    else if (control->opcode == WS_PING)
        write_frame(peer, WS_PONG, control->payload);
}

/* False when nothing more is to be parsed of this input. */
static bool parse_one(struct peer *peer, char **cursor, char *end)
{
    struct ws_part part;
    struct ws_control control;
    switch (ws_parse(&peer->parser, cursor, end, &part, &control)) {
    case WS_NEED_MORE:
        return false;
    case WS_DATA:
        take_part(peer, &part);
        break;
    case WS_CONTROL:
        take_control(peer, &control);
        break;
    case WS_FAILED:
        write_close(peer, ws_error_code(&peer->parser));
        break;
    }
    return peer->state == PEER_OPEN;
}

static void parse(struct peer *peer, char *data, char *end)
{
    while (peer->state == PEER_OPEN && parse_one(peer, &data, end)) {
        if (peer->output.size > OUTPUT_MANY)
            flush(peer);
        if (peer->output.size > OUTPUT_MANY) {
            buffer_append(&peer->rest, data, (size_t)(end - data));
            assert(!peer->rest.overflowed);
            return; /* on_writable goes on */
        }
    }
    flush(peer);
}

static void on_data(void *context, char *data, size_t size)
{
    parse(context, data, data + size);
}

static void on_writable(void *context)
{
    struct peer *peer = context;
    flush(peer);
    if (peer->output.size > 0 || peer->rest.size == 0)
        return;
    struct buffer rest = peer->rest;
    buffer_init(&peer->rest, rest.max);
    parse(peer, rest.data, rest.data + rest.size);
    buffer_release(&rest);
}

static void on_closed(void *context, int error)
{
    (void)error;
    peer_destroy(context);
}

static void on_timer(void *context)
{
    peer_destroy(context);
}

static const struct tcp_callbacks peer_callbacks = {
    .on_data = on_data,
    .on_writable = on_writable,
    .on_closed = on_closed,
};

/* ---- the server ---- */

static void on_request(void *context, struct http_connection *connection,
                       const struct http_head *request)
{
    struct echo *echo = context;
    struct slice rest;
    struct peer *peer = memory_alloc(sizeof(*peer));
    const char *extension = ws_deflate_accept(request);
    peer->tcp = http_upgrade(connection, request, extension, &rest);
    peer->timer = timer_create_on(echo->loop, on_timer, peer);
    peer->list = &echo->peers;
    peer->next = echo->peers;
    if (peer->next != NULL)
        peer->next->previous = peer;
    echo->peers = peer;
    buffer_init(&peer->message, MESSAGE_MAX);
    buffer_init(&peer->output, OUTPUT_MAX);
    buffer_init(&peer->rest, LIMIT_READ_BUFFER);
    ws_parser_init(&peer->parser, WS_SERVER, MESSAGE_MAX);
    if (extension != NULL) {
        peer->deflater = echo->deflater;
        ws_parser_set_inflater(&peer->parser, echo->inflater);
    }
    tcp_set_callbacks(peer->tcp, &peer_callbacks, peer);
    on_data(peer, (char *)rest.data, rest.size);
}

static void echo_release(struct echo *echo)
{
    ws_deflater_destroy(echo->deflater);
    ws_inflater_destroy(echo->inflater);
    loop_destroy(echo->loop);
}

static void on_terminate(void *context)
{
    loop_stop(context);
}

int main(void)
{
    struct echo echo = {.loop = loop_create(),
                        .deflater = ws_deflater_create(LEVEL),
                        .inflater = ws_inflater_create(MESSAGE_MAX, WAITING_MAX)};
    struct http_server_options options = {.listen = "127.0.0.1:0",
                                          .connections_max = CONNECTIONS_MAX};
    struct http_server *server;
    struct err err;
    int failed = http_server_open(echo.loop, &options, &server, &err);
    if (failed != 0) {
        fprintf(stderr, "ws_echo: %s\n", err.text);
        echo_release(&echo);
        return 1;
    }
    struct http_route route = {
        .path = "/", .handler = on_request, .context = &echo, .websocket = true};
    http_server_route(server, &route);
    loop_on_signal(echo.loop, SIGTERM, on_terminate, echo.loop);
    printf("%" PRIu16 "\n", http_server_port(server));
    fflush(stdout);
    loop_run(echo.loop);
    while (echo.peers != NULL)
        peer_destroy(echo.peers);
    http_server_close(server);
    echo_release(&echo);
    return 0;
}
