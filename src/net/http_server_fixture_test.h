/* SPDX-License-Identifier: Apache-2.0 */
/* For the server's two test files, behind <cmocka.h>: a server with a few routes, and one peer at a
 * time. */
#pragma once

#include "base/clock.h"
#include "base/memory.h"
#include "net/http_server.h"
#include "net/peer_test.h"

#include <stdio.h>

#define BIG_SIZE (5 << 20)

#define HOST "Host: a\r\n"
#define CLOSE HOST "Connection: close\r\n\r\n"
#define HANDSHAKE                                                                                  \
    HOST "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "                        \
         "dGhlIHNhbXBsZSBub25jZQ==\r\n"

/* ---- a clock that stands still until a test puts it forward ---- */

static pthread_mutex_t clock_lock = PTHREAD_MUTEX_INITIALIZER; /* guards clock_now_ns */
static int64_t clock_now_ns;

static inline int64_t clock_step(int64_t step_ns)
{
    pthread_mutex_lock(&clock_lock);
    clock_now_ns += step_ns;
    int64_t now_ns = clock_now_ns;
    pthread_mutex_unlock(&clock_lock);
    return now_ns;
}

static inline int64_t stopped_monotonic_ns(void *context)
{
    (void)context;
    return clock_step(0);
}

static inline int64_t no_wall_us(void *context)
{
    (void)context;
    return 0;
}

/* Time flies until the server has closed the connection. */
static inline void peer_outwait(struct peer *peer)
{
    struct timeval moment = {.tv_usec = 20000};
    setsockopt(peer->fd, SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof(moment));
    for (int i = 0; i < PEER_WAIT_S * 50; i++) {
        peer->timed_out = false;
        clock_step((int64_t)(LIMIT_HTTP_HEAD_MS + 1000) * 1000000);
        while (peer_receive(peer)) {
        }
        if (!peer->timed_out)
            return;
    }
}

/* ---- a server with a few routes ---- */

struct fixture {
    struct loop *loop;
    struct http_server *server;
    struct peer peer;
    const char *request; /* what the peer sends */
    char *big;
    unsigned answers;
    unsigned last_status;
    unsigned upgraded;
    char rest[64];
    char from[64];
    struct tcp *tcp; /* handed over */
};

static inline void on_answer(void *context, unsigned status)
{
    struct fixture *fixture = context;
    fixture->answers++;
    fixture->last_status = status;
}

static inline void handle_ok(void *context, struct http_connection *connection,
                             const struct http_head *request)
{
    struct fixture *fixture = context;
    char query[32] = "";
    bool present;
    if (!http_query_find(request->query, "q", query, sizeof(query), &present))
        query[0] = '\0';
    http_peer(connection, fixture->from, sizeof(fixture->from));
    char body[64];
    snprintf(body, sizeof(body), "ok:%s", query);
    http_answer(connection, 200, "text/plain", "Cache-Control: no-store\r\n", slice_of(body));
}

static inline void handle_big(void *context, struct http_connection *connection,
                              const struct http_head *request)
{
    (void)request;
    struct fixture *fixture = context;
    http_answer(connection, 200, "text/plain", NULL,
                (struct slice){.data = fixture->big, .size = BIG_SIZE});
}

static inline void handle_too_big(void *context, struct http_connection *connection,
                                  const struct http_head *request)
{
    (void)request;
    struct fixture *fixture = context; /* the size alone matters: nothing of it may be read */
    http_answer(connection, 200, "text/plain", NULL,
                (struct slice){.data = fixture->big, .size = 2 * LIMIT_HTTP_RESPONSE});
}

static inline void handle_problem(void *context, struct http_connection *connection,
                                  const struct http_head *request)
{
    (void)context;
    (void)request;
    http_answer_problem(connection, 503, "say \"when\"\n");
}

static inline void handle_close(void *context, struct http_connection *connection,
                                const struct http_head *request)
{
    (void)request;
    struct fixture *fixture = context;
    http_answer(connection, 200, "text/plain", NULL, SLICE("bye"));
    http_server_close(fixture->server);
    fixture->server = NULL;
}

static inline void on_tcp_data(void *context, char *data, size_t size)
{
    struct fixture *fixture = context;
    (void)tcp_send(fixture->tcp, data, size);
}

static inline void on_tcp_closed(void *context, int error)
{
    (void)error;
    struct fixture *fixture = context;
    tcp_destroy(fixture->tcp);
    fixture->tcp = NULL;
}

static inline void handle_upgrade(void *context, struct http_connection *connection,
                                  const struct http_head *request)
{
    static const struct tcp_callbacks callbacks = {.on_data = on_tcp_data,
                                                   .on_closed = on_tcp_closed};
    struct fixture *fixture = context;
    struct slice rest;
    fixture->upgraded++;
    fixture->tcp = http_upgrade(connection, request, NULL, &rest);
    assert_true(slice_copy(rest, fixture->rest, sizeof(fixture->rest)));
    tcp_set_callbacks(fixture->tcp, &callbacks, fixture);
    if (rest.size > 0)
        assert_int_equal(tcp_send(fixture->tcp, rest.data, rest.size), rest.size);
}

/* Of the options: all but listen, on_answer and context. */
static inline void fixture_init_with(struct fixture *fixture,
                                     const struct http_server_options *wanted)
{
    static const struct clock_source source = {.wall_us = no_wall_us,
                                               .monotonic_ns = stopped_monotonic_ns};
    clock_replace(&source);
    *fixture = (struct fixture){.loop = loop_create()};
    fixture->big = memory_alloc(BIG_SIZE);
    memset(fixture->big, 'b', BIG_SIZE);
    struct http_server_options options = *wanted;
    options.listen = "127.0.0.1:0";
    options.on_answer = on_answer;
    options.context = fixture;
    struct err err;
    assert_int_equal(http_server_open(fixture->loop, &options, &fixture->server, &err), 0);
    const struct http_route routes[] = {
        {.path = "/ok", .handler = handle_ok, .context = fixture},
        {.path = "/big", .handler = handle_big, .context = fixture},
        {.path = "/too-big", .handler = handle_too_big, .context = fixture},
        {.path = "/problem", .handler = handle_problem, .context = fixture},
        {.path = "/close", .handler = handle_close, .context = fixture},
        {.path = "/ws", .handler = handle_upgrade, .context = fixture, .websocket = true},
    };
    for (size_t i = 0; i < COUNT_OF(routes); i++)
        http_server_route(fixture->server, &routes[i]);
}

static inline void fixture_init(struct fixture *fixture, uint32_t connections_max)
{
    const struct http_server_options options = {.connections_max = connections_max};
    fixture_init_with(fixture, &options);
}

static inline void fixture_release(struct fixture *fixture)
{
    tcp_destroy(fixture->tcp);
    http_server_close(fixture->server);
    loop_destroy(fixture->loop);
    memory_free(fixture->big);
    clock_replace(NULL);
}

/* Runs one peer to its end; its record is in fixture->peer.seen. */
static inline void run_peer(struct fixture *fixture, void (*run)(struct peer *peer))
{
    struct peer *peer = &fixture->peer;
    peer_init(peer, fixture->loop, run);
    peer->context = fixture;
    peer->port = http_server_port(fixture->server);
    peer_start(peer);
    loop_run(fixture->loop);
    peer_join(peer);
    assert_false(peer->timed_out);
}

static inline void send_request(struct peer *peer)
{
    struct fixture *fixture = peer->context;
    peer_connect(peer);
    peer_send_text(peer, fixture->request);
    peer_receive_all(peer);
}

static inline size_t count_of(const char *text, const char *word)
{
    size_t count = 0;
    for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word))
        count++;
    return count;
}
