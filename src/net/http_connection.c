/* SPDX-License-Identifier: Apache-2.0 */
/* One connection: heads in, answers out, and what it may take its time for. */
#include "net/http_server_priv.h"

#include "base/clock.h"

#include <assert.h>

#define OUTPUT_KEPT (64 * KIBIBYTE) /* a larger buffer is given back when sent */

/* ---- sending ---- */

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
    struct http_server *server = connection->server;
    reset_output(connection);
    if (connection->peer_ended && !connection->keep_alive) {
        http_connection_end(connection);
        return;
    }
    http_guard_busy(server->guard, &connection->seat); /* it has read: behind those who wait */
    http_guard_wait(server->guard, &connection->seat);
    if (connection->keep_alive) {
        connection->state = CONNECTION_READING;
        http_set_deadline(connection, LIMIT_HTTP_IDLE_MS);
        return;
    }
    connection->state = CONNECTION_LINGERING;
    http_set_deadline(connection, HTTP_LINGER_MS);
    tcp_shutdown(connection->tcp);
    tcp_read_pause(connection->tcp, false);
}

/* Until the peer takes more, but not for ever: it could take a byte now and then. */
static void wait_for_peer(struct http_connection *connection)
{
    http_set_deadline(connection, LIMIT_HTTP_STUCK_MS);
    if (connection->deadline_ns > connection->answer_end_ns)
        connection->deadline_ns = connection->answer_end_ns;
    /* Else whoever asks and does not read would keep its place from those who do. */
    http_guard_busy(connection->server->guard, &connection->seat);
    http_guard_wait(connection->server->guard, &connection->seat);
}

void http_connection_flush(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    size_t left = connection->output.size - connection->output_sent;
    size_t sent =
        tcp_send(connection->tcp, connection->output.data + connection->output_sent, left);
    connection->output_sent += sent;
    left -= sent;
    server->unsent = server->unsent - connection->unsent + left;
    connection->unsent = left;
    if (left == 0) {
        answer_sent(connection);
    } else if (server->unsent > LIMIT_HTTP_UNSENT) {
        http_count_refusal(server, HTTP_REFUSAL_UNSENT);
        http_connection_end(connection);
    } else {
        wait_for_peer(connection);
        tcp_read_pause(connection->tcp, true); /* who does not read is not read from */
    }
}

/* ---- reading ---- */

/* Whether the next byte is the first of a head. */
static bool between_heads(const struct http_connection *connection)
{
    return !http_reader_started(connection->reader);
}

static void take_head(struct http_connection *connection, const struct http_head *head)
{
    http_guard_busy(connection->server->guard, &connection->seat);
    connection->spoken = true;
    connection->head_timed = false;
    connection->in_turn++;
    http_request_handle(connection, head);
}

static void refuse_head(struct http_connection *connection, const struct http_head *head)
{
    http_count_refusal(connection->server, HTTP_REFUSAL_HEAD);
    http_request_refuse(connection, head->status, NULL, head->reason);
}

/* Requests, one after another, until one's answer can't be sent whole; returns the bytes used. */
static size_t process(struct http_connection *connection, struct slice input)
{
    struct slice left = input;
    connection->in_turn = 0;
    if (connection->reader == NULL)
        connection->reader = http_reader_create(HTTP_KIND_REQUEST);
    while (left.size > 0 && !connection->dead && connection->state == CONNECTION_READING) {
        const struct http_head *head;
        size_t used;
        if (between_heads(connection))
            connection->head_ns = clock_monotonic_ns();
        enum http_result result = http_read(connection->reader, left, &used, &head);
        left.data += used;
        left.size -= used;
        connection->rest = left;
        switch (result) {
        case HTTP_READ_MORE:
            break;
        case HTTP_READ_HEAD:
            take_head(connection, head);
            break;
        case HTTP_READ_FAILED:
            refuse_head(connection, head);
            break;
        }
    }
    bool wanted = !connection->dead && connection->state != CONNECTION_LINGERING;
    return wanted ? input.size - left.size : input.size;
}

/* The time for a head runs from its first byte. */
static void watch_head(struct http_connection *connection)
{
    if (connection->head_timed || connection->reader == NULL || between_heads(connection))
        return;
    connection->head_timed = true;
    http_set_deadline(connection, LIMIT_HTTP_HEAD_MS);
}

static void on_data(void *context, char *data, size_t size)
{
    struct http_connection *connection = context;
    if (connection->state == CONNECTION_LINGERING) {
        connection->ignored += size;
        if (connection->ignored > LIMIT_HTTP_IGNORED)
            http_connection_end(connection);
        return;
    }
    assert(connection->state == CONNECTION_READING); /* while sending nothing is read */
    http_enter(connection);
    size_t used = process(connection, (struct slice){.data = data, .size = size});
    if (!connection->dead && connection->state == CONNECTION_SENDING) {
        buffer_append(&connection->waiting, data + used, size - used);
        if (connection->waiting.overflowed)
            connection->keep_alive = false; /* they are dropped: this answer is the last */
    }
    if (!connection->dead && connection->state == CONNECTION_READING)
        watch_head(connection);
    http_leave(connection);
}

static void on_writable(void *context)
{
    struct http_connection *connection = context;
    http_enter(connection);
    if (connection->state == CONNECTION_SENDING)
        http_connection_flush(connection);
    if (!connection->dead && connection->state == CONNECTION_READING) {
        size_t used = process(connection, buffer_slice(&connection->waiting));
        buffer_consume(&connection->waiting, used);
    }
    bool idle = !connection->dead && connection->state == CONNECTION_READING;
    if (idle && connection->peer_ended) {
        http_connection_end(connection);
    } else if (idle) {
        watch_head(connection);
        tcp_read_pause(connection->tcp, false);
    }
    http_leave(connection);
}

static void on_closed(void *context, int error)
{
    struct http_connection *connection = context;
    connection->peer_ended = true;
    if (connection->state == CONNECTION_READING && connection->head_timed)
        http_count_refusal(connection->server, HTTP_REFUSAL_ABANDONED);
    /* A peer may close its half and still wait for the answer. */
    if (error != 0 || connection->state != CONNECTION_SENDING)
        http_connection_end(connection);
}

void http_connection_start(struct http_connection *connection)
{
    static const struct tcp_callbacks callbacks = {
        .on_data = on_data,
        .on_writable = on_writable,
        .on_closed = on_closed,
    };
    tcp_set_callbacks(connection->tcp, &callbacks, connection);
}

void http_connection_expire(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    bool reading = connection->state == CONNECTION_READING;
    if (reading && connection->reader != NULL && !between_heads(connection)) {
        http_count_refusal(server, HTTP_REFUSAL_SLOW_HEAD);
        http_request_refuse(connection, 408, NULL, "the request did not come in time");
        return;
    }
    if (reading && !connection->spoken)
        http_count_refusal(server, HTTP_REFUSAL_SILENT);
    if (connection->state == CONNECTION_SENDING)
        http_count_refusal(server, HTTP_REFUSAL_SLOW_ANSWER);
    http_connection_end(connection);
}
