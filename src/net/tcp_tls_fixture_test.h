/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of connections with TLS, behind <cmocka.h>: a server of ours on a loop, and what a
 * peer in its thread brings along. */
#pragma once

#include "base/memory.h"
#include "base/metrics.h"
#include "net/tls_fixture_test.h"

struct server;

/* One connection to us. */
struct link {
    struct server *server;
    struct tcp *tcp;
    struct buffer out; /* to be echoed */
    unsigned block;
    bool ended;
};

struct server {
    struct loop *loop;
    struct tcp_listener *listener;
    const struct tcp_callbacks *callbacks;
    void (*on_accepted)(struct link *link); /* may be NULL */
    struct link *last;
    unsigned open;
    unsigned closed;
    unsigned awaited; /* number of ends at which the loop stops */
    bool timed_out;
    int error;            /* of the last that ended */
    struct buffer record; /* what the test's callbacks saw, or sent */
};

/* What a peer does with it, in its thread. */
struct scene {
    SSL_CTX *client;
    SSL_SESSION *session;
    int version;
    size_t cut;
    bool good; /* all was as it should */
    bool reused;
    uint64_t sum; /* of all that came */
    long serial;  /* of the server's certificate */
};

static struct authority authority;
static struct metric *results[3];

static inline int set_up(void **state)
{
    (void)state;
    authority_init(&authority);
    authority_issue_good(&authority, "good");
    authority_issue_good(&authority, "other");
    results[0] = metric_series(METRIC_TLS_HANDSHAKES, "result=\"ok\"");
    results[1] = metric_series(METRIC_TLS_HANDSHAKES, "result=\"resumed\"");
    results[2] = metric_series(METRIC_TLS_HANDSHAKES, "result=\"failed\"");
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    authority_release(&authority);
    return 0;
}

static inline void expect_results(int64_t ok, int64_t resumed, int64_t failed)
{
    static int64_t before[3];
    const int64_t expected[3] = {ok, resumed, failed};
    int64_t seen[3];
    for (size_t i = 0; i < 3; i++) {
        seen[i] = metric_value(results[i]) - before[i];
        before[i] += seen[i];
    }
    assert_memory_equal(seen, expected, sizeof(expected));
}

/* ---- the server ---- */

static inline void link_end(struct link *link)
{
    link->server->open--;
    if (link->server->last == link)
        link->server->last = NULL;
    tcp_destroy(link->tcp);
    buffer_release(&link->out);
    memory_free(link);
}

static inline void echo_more(void *context)
{
    struct link *link = context;
    buffer_consume(&link->out, tcp_send(link->tcp, link->out.data, link->out.size));
    if (link->ended && link->out.size == 0)
        link_end(link);
}

static inline void on_data_echo(void *context, char *data, size_t size)
{
    struct link *link = context;
    assert_int_equal(data[size], 0);
    for (size_t i = 0; i <= LIMIT_PADDING; i++) {
        volatile char readable = data[size + i];
        (void)readable;
    }
    buffer_append(&link->out, data, size);
    data[size - 1] = 'w'; /* writable */
    echo_more(link);
}

static inline void on_closed(void *context, int error)
{
    struct link *link = context;
    if (++link->server->closed == link->server->awaited)
        loop_stop(link->server->loop);
    link->server->error = error;
    link->ended = true;
    if (error != 0 || link->out.size == 0)
        link_end(link);
}

static const struct tcp_callbacks echo = {
    .on_data = on_data_echo, .on_writable = echo_more, .on_closed = on_closed};

static inline void on_accept(void *context, struct tcp *tcp)
{
    struct server *server = context;
    struct link *link = memory_alloc(sizeof(*link));
    link->server = server;
    link->tcp = tcp;
    buffer_init(&link->out, 64 << 20);
    server->open++;
    server->last = link;
    tcp_set_callbacks(tcp, server->callbacks, link);
    if (server->on_accepted != NULL)
        server->on_accepted(link);
}

static inline void server_init(struct server *server, const struct tcp_callbacks *callbacks)
{
    struct err err;
    *server = (struct server){.loop = loop_create(), .callbacks = callbacks};
    buffer_init(&server->record, 64 << 20);
    assert_int_equal(
        tcp_listen(server->loop, "127.0.0.1:0", on_accept, server, &server->listener, &err), 0);
    struct tls_context *context = server_context(&authority, "good", NULL);
    tcp_listener_set_tls(server->listener, context);
    tls_context_destroy(context);
}

static inline void server_release(struct server *server)
{
    if (server->last != NULL)
        link_end(server->last);
    assert_int_equal(server->open, 0);
    tcp_listener_destroy(server->listener);
    loop_destroy(server->loop);
    buffer_release(&server->record);
}

static inline void scene_init(struct scene *scene)
{
    *scene = (struct scene){.client = SSL_CTX_new(TLS_client_method())};
    SSL_CTX_load_verify_file(scene->client, authority_path(&authority, "ca.pem"));
    SSL_CTX_set_verify(scene->client, SSL_VERIFY_PEER, NULL);
}

static inline void scene_release(struct scene *scene)
{
    SSL_SESSION_free(scene->session);
    SSL_CTX_free(scene->client);
}

/* One peer against it, until the peer ends. */
static inline void meet(struct server *server, struct scene *scene, void (*run)(struct peer *))
{
    struct peer peer;
    peer_init(&peer, server->loop, run);
    peer.context = scene;
    peer.port = tcp_listener_port(server->listener);
    scene->good = false;
    peer_start(&peer);
    loop_run(server->loop);
    peer_join(&peer);
    assert_false(peer.timed_out);
    assert_true(scene->good);
    peer_release(&peer);
}

static inline void give_up(void *context)
{
    struct server *server = context;
    server->timed_out = true;
    loop_stop(server->loop);
}

/* The other side may be told of the end only after the peer has gone. */
static inline void run_until_closed(struct server *server, unsigned closed)
{
    struct timer *timer = timer_create_on(server->loop, give_up, server);
    timer_start(timer, PEER_WAIT_S * 1000, 0);
    server->awaited = closed;
    while (server->closed < closed && !server->timed_out)
        loop_run(server->loop);
    timer_destroy(timer);
    assert_int_equal(server->closed, closed);
}

/* ---- what is said arrives ---- */

static inline void pattern_fill(char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (char)(i * 31 + i / 251);
}

/* With little room, so that the other side's kernel takes a part of a record now and then. */
static inline bool connect_with_little_room(struct peer *peer)
{
    const int room = 4096;
    struct sockaddr_in address = peer_address(peer->port);
    peer->fd = socket(AF_INET, SOCK_STREAM, 0);
    peer_limit(peer->fd);
    setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    return connect(peer->fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}
