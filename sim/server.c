/* SPDX-License-Identifier: Apache-2.0 */
/* What came is gathered; a request is answered when it is whole, and the next one when the answer
 * has gone. */
#include "sim/server.h"

#include "base/clock.h"
#include "base/memory.h"
#include "net/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#define SWEEP_MS 1000
#define HEAD_MAX (2 * KIBIBYTE) /* of an answer */
#define INPUT_MAX (SERVER_BODY_MAX + LIMIT_READ_BUFFER + LIMIT_HTTP_HEAD)
#define NS_PER_MS 1000000

struct server_connection {
    struct server *server;               /* borrowed */
    struct server_connection *next;      /* of the server's list */
    struct server_connection **previous; /* what points here */
    struct tcp *tcp;                     /* owned; NULL once it was handed over */
    struct http_reader *reader;
    const struct http_head *head; /* whole; its body may be under way. NULL: none */
    struct buffer input, output;
    size_t input_used, output_sent;
    int64_t since_ns; /* of the last sign of life */
    bool answered, ending, head_only;
};

struct server {
    struct loop *loop;
    struct tcp_listener *listener;
    struct timer *sweep;
    server_handler_fn *handler;
    void *context;
    struct server_connection *connections;
    size_t count;
};

static void connection_destroy(struct server_connection *connection)
{
    *connection->previous = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    connection->server->count--;
    tcp_destroy(connection->tcp);
    http_reader_destroy(connection->reader);
    buffer_release(&connection->input);
    buffer_release(&connection->output);
    memory_free(connection);
}

/* True when everything has gone. */
static bool output_send(struct server_connection *connection)
{
    struct buffer *output = &connection->output;
    size_t left = output->size - connection->output_sent;
    if (left > 0)
        connection->output_sent +=
            tcp_send(connection->tcp, output->data + connection->output_sent, left);
    if (connection->output_sent < output->size)
        return false;
    buffer_clear(output);
    connection->output_sent = 0;
    return true;
}

void server_answer(struct server_connection *connection, unsigned status, const char *type,
                   struct slice headers, struct slice body)
{
    assert(!connection->answered);
    connection->answered = true;
    struct buffer *output = &connection->output;
    buffer_append_format(output, "HTTP/1.1 %u %s\r\nContent-Length: %zu\r\n", status,
                         http_status_text(status), body.size);
    if (type != NULL && body.size > 0)
        buffer_append_format(output, "Content-Type: %s\r\n", type);
    if (connection->ending)
        buffer_append_text(output, "Connection: close\r\n");
    buffer_append_slice(output, headers);
    buffer_append_text(output, "\r\n");
    if (!connection->head_only)
        buffer_append_slice(output, body);
    if (output->overflowed)
        connection->ending = true; /* the head lies about the body: the client is told so */
}

struct tcp *server_upgrade(struct server_connection *connection,
                           const struct server_request *request, struct slice headers,
                           struct slice *ret_rest)
{
    assert(!connection->answered);
    connection->answered = true;
    char accept[WS_ACCEPT_SIZE + 1], head[HEAD_MAX];
    ws_accept_for(http_header_find(request->head, "Sec-WebSocket-Key"), accept);
    int size = snprintf(head, sizeof head,
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%.*s\r\n",
                        accept, (int)headers.size, headers.data == NULL ? "" : headers.data);
    assert(size > 0 && (size_t)size < sizeof head);
    if (tcp_send(connection->tcp, head, (size_t)size) != (size_t)size)
        tcp_shutdown(connection->tcp);
    *ret_rest = (struct slice){.data = connection->input.data + connection->input_used,
                               .size = connection->input.size - connection->input_used};
    struct tcp *tcp = connection->tcp;
    connection->tcp = NULL;
    return tcp;
}

void server_cut(struct server_connection *connection)
{
    assert(!connection->answered);
    connection->answered = true;
    tcp_destroy(connection->tcp);
    connection->tcp = NULL;
}

static void problem(struct server_connection *connection, unsigned status, const char *text)
{
    char body[320];
    int size = snprintf(body, sizeof body, "{\"status\":%u,\"detail\":\"%s\"}", status, text);
    connection->ending = true;
    server_answer(connection, status, "application/problem+json", (struct slice){0},
                  (struct slice){.data = body, .size = (size_t)size});
}

static void request_dispatch(struct server_connection *connection)
{
    const struct http_head *head = connection->head;
    struct server_request request = {.head = head};
    char peer[ADDRESS_TEXT + 16];
    size_t size = (size_t)head->content_length;
    connection->answered = false;
    connection->ending = !head->keep_alive;
    connection->head_only = slice_is(head->method, "HEAD");
    tcp_peer(connection->tcp, peer, sizeof peer);
    if (!address_parse_peer(slice_of(peer), &request.address))
        request.address = (struct address){{0}};
    if (size > 0)
        request.body = (struct slice){connection->input.data + connection->input_used, size};
    connection->input_used += size;
    connection->head = NULL;
    connection->server->handler(connection->server->context, connection, &request);
    assert(connection->answered);
}

/* The next request, as far as it came. True: it has been answered, or handed over. */
static bool request_read(struct server_connection *connection)
{
    struct slice input = {.data = connection->input.data + connection->input_used,
                          .size = connection->input.size - connection->input_used};
    if (connection->head == NULL) {
        size_t used = 0;
        const struct http_head *head = NULL;
        enum http_result result = http_read(connection->reader, input, &used, &head);
        connection->input_used += used;
        if (result == HTTP_READ_MORE)
            return false;
        connection->answered = false;
        if (result == HTTP_READ_FAILED) {
            problem(connection, head->status, head->reason);
            return true;
        }
        if (head->content_length > SERVER_BODY_MAX ||
            (head->has_body && head->content_length == 0)) {
            problem(connection, 413, "a body has a Content-Length, of 64 KiB at most");
            return true;
        }
        connection->head = head;
        input = (struct slice){.data = input.data + used, .size = input.size - used};
    }
    if (input.size < connection->head->content_length)
        return false;
    request_dispatch(connection);
    return true;
}

/* Answers what can be answered. May destroy the connection. */
static void connection_work(struct server_connection *connection)
{
    while (connection->output.size == 0 && request_read(connection)) {
        if (connection->tcp == NULL) {
            connection_destroy(connection);
            return;
        }
        bool gone = output_send(connection);
        tcp_read_pause(connection->tcp, !gone);
        if (gone && connection->ending) {
            tcp_shutdown(connection->tcp);
            return;
        }
    }
    buffer_consume(&connection->input, connection->input_used);
    connection->input_used = 0;
}

static void on_data(void *context, char *data, size_t size)
{
    struct server_connection *connection = context;
    connection->since_ns = clock_monotonic_ns();
    if (connection->ending && connection->output.size == 0)
        return; /* what comes behind the last answer */
    buffer_append(&connection->input, data, size);
    if (connection->input.overflowed)
        connection_destroy(connection);
    else
        connection_work(connection);
}

static void on_writable(void *context)
{
    struct server_connection *connection = context;
    connection->since_ns = clock_monotonic_ns();
    if (!output_send(connection))
        return;
    tcp_read_pause(connection->tcp, false);
    if (connection->ending)
        tcp_shutdown(connection->tcp);
    else
        connection_work(connection);
}

static void on_closed(void *context, int error)
{
    (void)error;
    connection_destroy(context);
}

static const struct tcp_callbacks callbacks = {
    .on_data = on_data,
    .on_writable = on_writable,
    .on_closed = on_closed,
};

static void on_accept(void *context, struct tcp *tcp)
{
    struct server *server = context;
    if (server->count == SERVER_CONNECTIONS_MAX) {
        tcp_destroy(tcp);
        return;
    }
    struct server_connection *connection = memory_alloc(sizeof *connection);
    connection->server = server;
    connection->tcp = tcp;
    connection->reader = http_reader_create(HTTP_KIND_REQUEST);
    connection->since_ns = clock_monotonic_ns();
    buffer_init(&connection->input, INPUT_MAX);
    buffer_init(&connection->output, SERVER_ANSWER_MAX + HEAD_MAX);
    connection->next = server->connections;
    connection->previous = &server->connections;
    if (connection->next != NULL)
        connection->next->previous = &connection->next;
    server->connections = connection;
    server->count++;
    tcp_set_callbacks(tcp, &callbacks, connection);
}

static void on_sweep(void *context)
{
    struct server *server = context;
    int64_t oldest_ns = clock_monotonic_ns() - (int64_t)SERVER_IDLE_MS * NS_PER_MS;
    for (struct server_connection *next = server->connections; next != NULL;) {
        struct server_connection *connection = next;
        next = connection->next;
        if (connection->since_ns < oldest_ns)
            connection_destroy(connection);
    }
}

int server_open(struct loop *loop, const char *listen, const struct tls_context *tls,
                struct server **ret_server, struct err *err)
{
    struct server *server = memory_alloc(sizeof *server);
    int result = tcp_listen(loop, listen, on_accept, server, &server->listener, err);
    if (result < 0) {
        memory_free(server);
        return result;
    }
    tcp_listener_set_tls(server->listener, tls);
    server->sweep = timer_create_on(loop, on_sweep, server);
    timer_start(server->sweep, SWEEP_MS, SWEEP_MS);
    *ret_server = server;
    return 0;
}

void server_set_handler(struct server *server, server_handler_fn *handler, void *context)
{
    server->handler = handler;
    server->context = context;
}

uint16_t server_port(const struct server *server)
{
    return tcp_listener_port(server->listener);
}

void server_close(struct server *server)
{
    if (server == NULL)
        return;
    while (server->connections != NULL)
        connection_destroy(server->connections);
    tcp_listener_destroy(server->listener);
    timer_destroy(server->sweep);
    memory_free(server);
}
