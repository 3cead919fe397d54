/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server: a list of connections, each of them reading a head, sending an answer, or lingering
 * (all is said, and input is thrown away until the peer has closed: to close over unread input
 * would reset the connection and could take the answer with it). One timer looks after all
 * deadlines.
 */
#include "net/http_server.h"

#include "base/clock.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define ROUTES_MAX 64
#define SWEEP_MS 250
#define LINGER_MS 1000
#define TURNED_AWAY_MAX 64          /* connections beyond the maximum, being told 503 */
#define OUTPUT_KEPT (64 * KIBIBYTE) /* a larger buffer is given back when sent */
#define PROBLEM_MAX (4 * KIBIBYTE)
#define PIPELINED_MAX 64 /* requests in one read; the last one's answer ends the connection */
#define UPGRADE_HEADERS "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
#define WAITING_MAX                                                                                \
    (2 * LIMIT_HTTP_HEAD) /* requests behind an answer that the peer does not read */

enum connection_state { CONNECTION_READING, CONNECTION_SENDING, CONNECTION_LINGERING };

struct http_connection {
    struct http_server *server;       /* borrowed, outlives it */
    struct http_connection *previous; /* in the server's list */
    struct http_connection *next;
    struct tcp *tcp;            /* owned, until handed over */
    struct http_reader *reader; /* owned */
    struct buffer output;       /* being sent */
    size_t output_sent;
    struct buffer waiting; /* input behind a request whose answer is being sent */
    struct slice rest;     /* input behind the head being handled; its handler's time */
    int64_t deadline_ns;
    enum connection_state state;
    unsigned in_turn; /* requests of the present read */
    bool answered;
    bool head_only;
    bool keep_alive;
    bool peer_ended;
    bool dead; /* unlinked; freed when the callback it is in returns */
};

struct http_server {
    struct tcp_listener *listener;       /* owned; NULL when stopped */
    struct timer *sweep;                 /* owned */
    struct http_connection *connections; /* owned */
    uint32_t connection_count;
    struct http_server_options options;
    uint16_t port;
    struct http_connection *busy; /* the one whose callback runs; NULL outside */
    bool closed;                  /* freed when that returns */
    size_t route_count;
    struct http_route route[ROUTES_MAX];
};

/* ---- lives ---- */

static void set_deadline(struct http_connection *connection, int64_t after_ms)
{
    connection->deadline_ns = clock_monotonic_ns() + after_ms * 1000000;
}

static void connection_free(struct http_connection *connection)
{
    http_reader_destroy(connection->reader);
    buffer_release(&connection->output);
    buffer_release(&connection->waiting);
    memory_free(connection);
}

/* Out of the list; the memory stays while a callback of it runs. */
static void connection_end(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    if (connection->dead)
        return;
    connection->dead = true;
    if (connection->previous != NULL)
        connection->previous->next = connection->next;
    else
        server->connections = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    server->connection_count--;
    if (server->connection_count == 0 && server->sweep != NULL)
        timer_stop(server->sweep);
    tcp_destroy(connection->tcp);
    connection->tcp = NULL;
    if (connection != server->busy)
        connection_free(connection);
}

static void server_free(struct http_server *server)
{
    assert(server->connection_count == 0);
    memory_free(server);
}

static void enter(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    assert(server->busy == NULL);
    assert(!connection->dead);
    server->busy = connection;
}

/* Every callback ends here: frees what died in it. */
static void leave(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    assert(server->busy == connection);
    server->busy = NULL;
    if (connection->dead)
        connection_free(connection);
    if (server->closed)
        server_free(server);
}

/* ---- answering ---- */

static void reset_output(struct http_connection *connection)
{
    connection->output_sent = 0;
    if (connection->output.capacity > OUTPUT_KEPT) {
        buffer_release(&connection->output);
        buffer_init(&connection->output, LIMIT_HTTP_RESPONSE + LIMIT_HTTP_HEAD);
    }
    buffer_clear(&connection->output);
}

static void answer_sent(struct http_connection *connection)
{
    reset_output(connection);
    if (connection->keep_alive) {
        connection->state = CONNECTION_READING;
        set_deadline(connection, LIMIT_HTTP_HEAD_MS);
        return;
    }
    if (connection->peer_ended) {
        connection_end(connection);
        return;
    }
    connection->state = CONNECTION_LINGERING;
    set_deadline(connection, LINGER_MS);
    tcp_shutdown(connection->tcp);
    tcp_read_pause(connection->tcp, false);
}

static void flush(struct http_connection *connection)
{
    size_t left = connection->output.size - connection->output_sent;
    connection->output_sent +=
        tcp_send(connection->tcp, connection->output.data + connection->output_sent, left);
    if (connection->output_sent == connection->output.size)
        answer_sent(connection);
    else
        tcp_read_pause(connection->tcp, true); /* who does not read is not read from */
}

static void write_answer(struct http_connection *connection, unsigned status,
                         const char *content_type, const char *headers, struct slice body)
{
    struct buffer *out = &connection->output;
    buffer_append_format(out, "HTTP/1.1 %u %s\r\nX-Content-Type-Options: nosniff\r\n", status,
                         http_status_text(status));
    /* A length in a 304 would have to be that of the 200 (RFC 9110, section 8.6). */
    if (status != 304)
        buffer_append_format(out, "Content-Type: %s\r\nContent-Length: %zu\r\n", content_type,
                             body.size);
    if (headers != NULL)
        buffer_append_text(out, headers);
    bool said = headers != NULL && strstr(headers, "Connection:") != NULL;
    if (!connection->keep_alive && !said)
        buffer_append_text(out, "Connection: close\r\n");
    buffer_append_text(out, "\r\n");
    if (!connection->head_only && status != 304)
        buffer_append_slice(out, body);
}

static void send_answer(struct http_connection *connection, unsigned status,
                        const char *content_type, const char *headers, struct slice body)
{
    const struct http_server_options *options = &connection->server->options;
    assert(!connection->answered); /* exactly one answer a request */
    assert(connection->output.size == 0);
    connection->answered = true;
    write_answer(connection, status, content_type, headers, body);
    if (connection->output.overflowed) {
        buffer_clear(&connection->output);
        connection->keep_alive = false;
        status = 500;
        write_answer(connection, status, "text/plain", NULL, SLICE("the answer is too large\n"));
    }
    connection->state = CONNECTION_SENDING;
    set_deadline(connection, LIMIT_HTTP_HEAD_MS);
    if (options->on_answer != NULL)
        options->on_answer(options->context, status);
    if (!connection->dead)
        flush(connection);
}

static void append_json_text(struct buffer *out, const char *text)
{
    for (const char *cursor = text; *cursor != '\0'; cursor++) {
        if (*cursor == '"' || *cursor == '\\')
            buffer_append_format(out, "\\%c", *cursor);
        else if ((unsigned char)*cursor < ' ')
            buffer_append_format(out, "\\u%04x", (unsigned)*cursor);
        else
            buffer_append(out, cursor, 1);
    }
}

static void send_problem(struct http_connection *connection, unsigned status, const char *headers,
                         const char *detail)
{
    struct buffer body;
    buffer_init(&body, PROBLEM_MAX);
    buffer_append_format(&body,
                         "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"detail\":\"",
                         http_status_text(status), status);
    append_json_text(&body, detail);
    buffer_append_text(&body, "\"}\n");
    assert(!body.overflowed);
    send_answer(connection, status, "application/problem+json", headers, buffer_slice(&body));
    buffer_release(&body);
}

void http_answer(struct http_connection *connection, unsigned status, const char *content_type,
                 const char *headers, struct slice body)
{
    send_answer(connection, status, content_type, headers, body);
}

void http_answer_problem(struct http_connection *connection, unsigned status, const char *detail)
{
    send_problem(connection, status, NULL, detail);
}

void http_answer_problem_with(struct http_connection *connection, unsigned status,
                              const char *headers, const char *detail)
{
    send_problem(connection, status, headers, detail);
}

struct tcp *http_upgrade(struct http_connection *connection, const struct http_head *request,
                         const char *headers, struct slice *ret_rest)
{
    assert(!connection->answered);
    const struct http_server_options *options = &connection->server->options;
    struct tcp *tcp = connection->tcp;
    char accept[WS_ACCEPT_SIZE + 1];
    char head[512];
    ws_accept_for(http_header_find(request, "Sec-WebSocket-Key"), accept);
    int size = snprintf(head, sizeof(head),
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n",
                        accept, headers == NULL ? "" : headers);
    assert(size > 0 && (size_t)size < sizeof(head));
    connection->answered = true;
    if (tcp_send(tcp, head, (size_t)size) != (size_t)size)
        tcp_shutdown(tcp); /* no room for two lines on an idle connection: it is broken */
    tcp_read_pause(tcp, false);
    *ret_rest = connection->rest;
    connection->tcp = NULL;
    connection_end(connection);
    if (options->on_answer != NULL)
        options->on_answer(options->context, 101);
    return tcp;
}

void http_peer(const struct http_connection *connection, char *out, size_t out_size)
{
    if (connection->tcp != NULL)
        tcp_peer(connection->tcp, out, out_size);
    else
        snprintf(out, out_size, "unknown");
}

/* ---- requests ---- */

static const struct http_route *route_find(const struct http_server *server, struct slice path)
{
    const struct http_route *found = NULL;
    size_t found_size = 0;
    for (size_t i = 0; i < server->route_count; i++) {
        const struct http_route *route = &server->route[i];
        struct slice own = slice_of(route->path);
        if (!route->prefix && slice_equal(path, own))
            return route;
        if (route->prefix && own.size > found_size && slice_starts_with(path, own)) {
            found = route;
            found_size = own.size;
        }
    }
    return found;
}

/* True when the handshake is a good one; else it has been answered. */
static bool handshake_check(struct http_connection *connection, const struct http_head *request)
{
    const char *reason = "";
    unsigned status = ws_handshake_check(request, &reason);
    if (status == 405)
        send_problem(connection, status, "Allow: GET\r\n", reason);
    else if (status == 426)
        send_problem(connection, status,
                     connection->keep_alive ? UPGRADE_HEADERS "Connection: Upgrade\r\n"
                                            : UPGRADE_HEADERS "Connection: Upgrade, close\r\n",
                     reason);
    else if (status != 0)
        send_problem(connection, status, NULL, reason);
    return status == 0;
}

static bool method_check(struct http_connection *connection, const struct http_head *request)
{
    if (slice_is(request->method, "GET") || connection->head_only)
        return true;
    send_problem(connection, 405, "Allow: GET, HEAD\r\n", "this can only be read");
    return false;
}

static void dispatch(struct http_connection *connection, const struct http_head *request)
{
    struct http_server *server = connection->server;
    const struct http_route *route = route_find(server, request->path);
    connection->answered = false;
    connection->head_only = slice_is(request->method, "HEAD");
    /* The bytes of a body would be taken for the next request. */
    connection->keep_alive = request->keep_alive && !request->has_body &&
                             server->listener != NULL && connection->in_turn < PIPELINED_MAX;
    if (route == NULL) {
        send_problem(connection, 404, NULL, "nothing is served at this path");
        return;
    }
    if (route->websocket ? !handshake_check(connection, request)
                         : !method_check(connection, request))
        return;
    if (request->has_body) {
        send_problem(connection, 413, NULL, "a request may have no body here");
        return;
    }
    route->handler(route->context, connection, request);
    assert(connection->answered);
}

static void refuse_head(struct http_connection *connection, const struct http_head *head)
{
    connection->answered = false;
    connection->head_only = false;
    connection->keep_alive = false;
    send_problem(connection, head->status, NULL, head->reason);
}

/* Requests, one after another, until one's answer can't be sent whole; returns the bytes used. */
static size_t process(struct http_connection *connection, struct slice input)
{
    struct slice left = input;
    connection->in_turn = 0;
    while (left.size > 0 && !connection->dead && connection->state == CONNECTION_READING) {
        const struct http_head *head;
        size_t used;
        enum http_result result = http_read(connection->reader, left, &used, &head);
        left.data += used;
        left.size -= used;
        connection->rest = left;
        switch (result) {
        case HTTP_READ_MORE:
            break;
        case HTTP_READ_HEAD:
            connection->in_turn++;
            dispatch(connection, head);
            break;
        case HTTP_READ_FAILED:
            refuse_head(connection, head);
            break;
        }
    }
    bool wanted = !connection->dead && connection->state != CONNECTION_LINGERING;
    return wanted ? input.size - left.size : input.size;
}

static void on_data(void *context, char *data, size_t size)
{
    struct http_connection *connection = context;
    if (connection->state == CONNECTION_LINGERING)
        return;
    assert(connection->state == CONNECTION_READING); /* while sending nothing is read */
    enter(connection);
    size_t used = process(connection, (struct slice){.data = data, .size = size});
    if (!connection->dead && connection->state == CONNECTION_SENDING) {
        buffer_append(&connection->waiting, data + used, size - used);
        if (connection->waiting.overflowed)
            connection->keep_alive = false; /* they are dropped: this answer is the last */
    }
    leave(connection);
}

static void on_writable(void *context)
{
    struct http_connection *connection = context;
    enter(connection);
    if (connection->state == CONNECTION_SENDING) {
        set_deadline(connection, LIMIT_HTTP_HEAD_MS);
        flush(connection);
    }
    if (!connection->dead && connection->state == CONNECTION_READING) {
        size_t used = process(connection, buffer_slice(&connection->waiting));
        buffer_consume(&connection->waiting, used);
    }
    bool idle = !connection->dead && connection->state == CONNECTION_READING;
    if (idle && connection->peer_ended)
        connection_end(connection);
    else if (idle)
        tcp_read_pause(connection->tcp, false);
    leave(connection);
}

static void on_closed(void *context, int error)
{
    struct http_connection *connection = context;
    connection->peer_ended = true;
    /* A peer may close its half and still wait for the answer. */
    if (error != 0 || connection->state != CONNECTION_SENDING)
        connection_end(connection);
}

/* ---- the server ---- */

static void expire(struct http_connection *connection)
{
    bool slow_head =
        connection->state == CONNECTION_READING && http_reader_started(connection->reader);
    if (!slow_head) {
        connection_end(connection);
        return;
    }
    connection->answered = false;
    connection->head_only = false;
    connection->keep_alive = false;
    send_problem(connection, 408, NULL, "the request did not come in time");
}

static void on_sweep(void *context)
{
    struct http_server *server = context;
    int64_t now_ns = clock_monotonic_ns();
    struct http_connection *next;
    for (struct http_connection *each = server->connections; each != NULL; each = next) {
        next = each->next;
        if (each->deadline_ns > now_ns)
            continue;
        enter(each);
        expire(each);
        bool last = server->closed;
        leave(each);
        if (last)
            return;
    }
}

static const struct tcp_callbacks connection_callbacks = {
    .on_data = on_data,
    .on_writable = on_writable,
    .on_closed = on_closed,
};

static struct http_connection *connection_create(struct http_server *server, struct tcp *tcp)
{
    struct http_connection *connection = memory_alloc(sizeof(*connection));
    connection->server = server;
    connection->tcp = tcp;
    connection->reader = http_reader_create(HTTP_KIND_REQUEST);
    buffer_init(&connection->output, LIMIT_HTTP_RESPONSE + LIMIT_HTTP_HEAD);
    buffer_init(&connection->waiting, WAITING_MAX);
    connection->next = server->connections;
    if (connection->next != NULL)
        connection->next->previous = connection;
    server->connections = connection;
    if (server->connection_count == 0)
        timer_start(server->sweep, SWEEP_MS, SWEEP_MS);
    server->connection_count++;
    set_deadline(connection, LIMIT_HTTP_HEAD_MS);
    tcp_set_callbacks(tcp, &connection_callbacks, connection);
    return connection;
}

static void on_accept(void *context, struct tcp *tcp)
{
    struct http_server *server = context;
    const struct http_server_options *options = &server->options;
    uint32_t max = options->connections_max;
    uint32_t count = server->connection_count;
    if (options->handed_over != NULL)
        count += options->handed_over(options->context);
    if (count >= max + TURNED_AWAY_MAX) {
        tcp_destroy(tcp);
        return;
    }
    bool full = count >= max;
    struct http_connection *connection = connection_create(server, tcp);
    if (!full)
        return;
    enter(connection);
    send_problem(connection, 503, "Retry-After: 1\r\n", "too many connections");
    leave(connection);
}

int http_server_open(struct loop *loop, const struct http_server_options *options,
                     struct http_server **ret_server, struct err *err)
{
    assert(options->connections_max > 0);
    struct http_server *server = memory_alloc(sizeof(*server));
    server->options = *options;
    server->options.listen = NULL;
    int failed = tcp_listen(loop, options->listen, on_accept, server, &server->listener, err);
    if (failed != 0) {
        memory_free(server);
        return failed;
    }
    server->port = tcp_listener_port(server->listener);
    server->sweep = timer_create_on(loop, on_sweep, server);
    *ret_server = server;
    return 0;
}

void http_server_stop_listening(struct http_server *server)
{
    tcp_listener_destroy(server->listener);
    server->listener = NULL;
}

void http_server_close(struct http_server *server)
{
    if (server == NULL || server->closed)
        return;
    http_server_stop_listening(server);
    timer_destroy(server->sweep);
    server->sweep = NULL;
    while (server->connections != NULL)
        connection_end(server->connections);
    if (server->busy != NULL)
        server->closed = true;
    else
        server_free(server);
}

void http_server_route(struct http_server *server, const struct http_route *route)
{
    assert(server->route_count < ROUTES_MAX);
    assert(route->path[0] == '/');
    assert(!route->prefix || route->path[strlen(route->path) - 1] == '/');
    assert(route->handler != NULL);
    server->route[server->route_count++] = *route;
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}
