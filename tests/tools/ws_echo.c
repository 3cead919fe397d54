/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A WebSocket echo server on the program's own HTTP server and codec, for conformance suites: whole
 * messages come back with their opcode. While a peer takes less than it is sent, nothing more of it
 * is read, so that what waits for it is bounded by one read and one message.
 *
 *     ws_echo      prints its port on 127.0.0.1 and serves "/" until SIGTERM
 */
#include "base/buffer.h"
#include "base/memory.h"
#include "net/http_server.h"
#include "net/ws.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#define MESSAGE_MAX ((size_t)17 * MEBIBYTE) /* the largest case sends 16 MiB */
#define OUTPUT_MAX (MESSAGE_MAX + LIMIT_READ_BUFFER + WS_HEADER_MAX)
#define CONNECTIONS_MAX 64
#define CODE_ABSENT 1005

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
    size_t sent; /* of output */
    struct ws_parser parser;
};

struct echo {
    struct loop *loop;
    struct peer *peers;
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
    buffer_release(&peer->message);
    buffer_release(&peer->output);
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
        write_frame(peer, part->opcode, payload);
        return;
    }
    buffer_append_slice(&peer->message, payload);
    assert(!peer->message.overflowed); /* the parser has bounded it */
    if (!part->last)
        return;
    write_frame(peer, part->opcode, buffer_slice(&peer->message));
    buffer_clear(&peer->message);
}

static void take_control(struct peer *peer, const struct ws_control *control)
{
    if (control->opcode == WS_CLOSE)
        write_close(peer, control->close_code);
    else if (control->opcode == WS_PING)
        write_frame(peer, WS_PONG, control->payload);
}

static void on_data(void *context, char *data, size_t size)
{
    struct peer *peer = context;
    char *end = data + size;
    bool more = true;
    while (more && peer->state == PEER_OPEN) {
        struct ws_part part;
        struct ws_control control;
        switch (ws_parse(&peer->parser, &data, end, &part, &control)) {
        case WS_NEED_MORE:
            more = false;
            break;
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
    }
    flush(peer);
}

static void on_writable(void *context)
{
    flush(context);
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
    peer->tcp = http_upgrade(connection, request, NULL, &rest);
    peer->timer = timer_create_on(echo->loop, on_timer, peer);
    peer->list = &echo->peers;
    peer->next = echo->peers;
    if (peer->next != NULL)
        peer->next->previous = peer;
    echo->peers = peer;
    buffer_init(&peer->message, MESSAGE_MAX);
    buffer_init(&peer->output, OUTPUT_MAX);
    ws_parser_init(&peer->parser, WS_SERVER, MESSAGE_MAX);
    tcp_set_callbacks(peer->tcp, &peer_callbacks, peer);
    on_data(peer, (char *)rest.data, rest.size);
}

static void on_terminate(void *context)
{
    loop_stop(context);
}

int main(void)
{
    struct echo echo = {.loop = loop_create()};
    struct http_server_options options = {.listen = "127.0.0.1:0",
                                          .connections_max = CONNECTIONS_MAX};
    struct http_server *server;
    struct err err;
    int failed = http_server_open(echo.loop, &options, &server, &err);
    if (failed != 0) {
        fprintf(stderr, "ws_echo: %s\n", err.text);
        loop_destroy(echo.loop);
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
    loop_destroy(echo.loop);
    return 0;
}
