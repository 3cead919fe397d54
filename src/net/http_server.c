/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server: a list of connections, each of them reading a head, sending an answer, or lingering
 * (all is said, and input is thrown away until the peer has closed: to close over unread input
 * would reset the connection and could take the answer with it). One timer looks after all
 * deadlines.
 */
#include "net/http_server_priv.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/metrics.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#define SWEEP_MS 250
#define TURNED_AWAY_MAX 64 /* connections beyond the maximum, being told 503 */

/* ---- lives ---- */

void http_count_refusal(const struct http_server *server, enum http_refusal refusal)
{
    metric_add(server->refused[refusal], 1);
}

void http_set_deadline(struct http_connection *connection, int64_t after_ms)
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

void http_connection_end(struct http_connection *connection)
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
    http_guard_leave(server->guard, &connection->seat);
    server->unsent -= connection->unsent;
    connection->unsent = 0;
    server->turned_away_count -= connection->turned_away;
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
    assert(server->connection_count == 0 && server->turned_away_count == 0);
    assert(server->unsent == 0);
    http_guard_destroy(server->guard);
    http_origins_destroy(server->origins);
    memory_free(server);
}

void http_enter(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    assert(server->busy == NULL);
    assert(!connection->dead);
    server->busy = connection;
}

void http_leave(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    assert(server->busy == connection);
    server->busy = NULL;
    if (connection->dead)
        connection_free(connection);
    if (server->closed)
        server_free(server);
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
        http_enter(each);
        http_connection_expire(each);
        bool last = server->closed;
        http_leave(each);
        if (last)
            return;
    }
}

/* ---- accepting ---- */

static struct http_connection *connection_create(struct http_server *server, struct tcp *tcp)
{
    struct http_connection *connection = memory_alloc(sizeof(*connection));
    connection->server = server;
    connection->tcp = tcp;
    buffer_init(&connection->output, LIMIT_HTTP_RESPONSE + LIMIT_HTTP_HEAD);
    buffer_init(&connection->waiting, 2 * LIMIT_HTTP_HEAD);
    connection->next = server->connections;
    if (connection->next != NULL)
        connection->next->previous = connection;
    server->connections = connection;
    if (server->connection_count == 0)
        timer_start(server->sweep, SWEEP_MS, SWEEP_MS);
    server->connection_count++;
    http_set_deadline(connection, LIMIT_HTTP_HEAD_MS);
    connection->head_timed = true;
    /* Else the kernel holds megabytes for each peer that reads nothing. */
    tcp_set_send_buffer(tcp, LIMIT_HTTP_SEND_BUFFER);
    return connection;
}

/* "192.0.2.1:5678" without the port; what is neither IPv4 nor IPv6 is one address, "::". */
static struct address peer_address(const struct tcp *tcp)
{
    char text[ADDRESS_TEXT + 16];
    struct address address = {.bytes = {0}};
    tcp_peer(tcp, text, sizeof(text));
    if (!address_parse_peer(slice_of(text), &address))
        memset(&address, 0, sizeof(address));
    return address;
}

static uint32_t places_taken(const struct http_server *server)
{
    const struct http_server_options *options = &server->options;
    uint32_t count = server->connection_count - server->turned_away_count;
    return options->handed_over == NULL ? count : count + options->handed_over(options->context);
}

/* True when there is a place for one more, by closing another if need be. */
static bool make_room(struct http_server *server)
{
    uint32_t taken = places_taken(server);
    if (taken < server->options.connections_max)
        return true;
    struct http_seat *seat = http_guard_victim(server->guard);
    if (seat == NULL || taken > server->options.connections_max)
        return false;
    char *start = (char *)seat - offsetof(struct http_connection, seat);
    http_count_refusal(server, HTTP_REFUSAL_EVICTED);
    http_connection_end((struct http_connection *)(void *)start);
    return true;
}

static void turn_away(struct http_server *server, struct tcp *tcp)
{
    http_count_refusal(server, HTTP_REFUSAL_FULL);
    if (server->turned_away_count >= TURNED_AWAY_MAX) {
        tcp_destroy(tcp);
        return;
    }
    struct http_connection *connection = connection_create(server, tcp);
    connection->turned_away = true;
    server->turned_away_count++;
    http_connection_start(connection);
    http_enter(connection);
    http_request_refuse(connection, 503, "Retry-After: 1\r\n", "too many connections");
    http_leave(connection);
}

static void on_accept(void *context, struct tcp *tcp)
{
    struct http_server *server = context;
    struct address peer = peer_address(tcp);
    struct http_seat seat;
    bool trusted = http_trusted_has(&server->trusted, &peer);
    if (!http_guard_accept(server->guard, clock_monotonic_ns())) {
        http_count_refusal(server, HTTP_REFUSAL_RATE);
        tcp_destroy(tcp);
        return;
    }
    if (!http_guard_enter(server->guard, &seat, &peer, trusted)) {
        http_count_refusal(server, HTTP_REFUSAL_ADDRESS);
        tcp_destroy(tcp);
        return;
    }
    if (!make_room(server)) {
        http_guard_leave(server->guard, &seat);
        turn_away(server, tcp);
        return;
    }
    struct http_connection *connection = connection_create(server, tcp);
    connection->peer = peer;
    connection->seat = seat; /* it stands in no queue yet */
    http_guard_wait(server->guard, &connection->seat);
    http_connection_start(connection);
}

/* ---- the server ---- */

static int read_proxies(struct http_server *server, const struct http_texts *texts, struct err *err)
{
    if (texts->count > COUNT_OF(server->proxies))
        return err_set(err, -EINVAL, "more than %d trusted proxies", LIMIT_HTTP_PROXIES);
    server->trusted = (struct http_trusted){.count = texts->count, .ranges = server->proxies};
    for (size_t i = 0; i < texts->count; i++) {
        int failed = address_range_parse(slice_of(texts->items[i]), &server->proxies[i], err);
        if (failed != 0)
            return err_wrap(err, "trusted proxies");
    }
    return 0;
}

static void make_metrics(struct http_server *server)
{
    static const char *const reasons[HTTP_REFUSAL_COUNT] = {
#define X(suffix, label) [HTTP_REFUSAL_##suffix] = (label),
        HTTP_REFUSALS(X)
#undef X
    };
    for (size_t i = 0; i < COUNT_OF(reasons); i++) {
        char labels[LIMIT_METRIC_LABELS];
        snprintf(labels, sizeof(labels), "reason=\"%s\"", reasons[i]);
        server->refused[i] = metric_series(METRIC_HTTP_REFUSED, labels);
    }
}

void http_server_set_tls(struct http_server *server, const struct tls_context *context)
{
    if (server->listener != NULL)
        tcp_listener_set_tls(server->listener, context);
}

int http_server_open(struct loop *loop, const struct http_server_options *options,
                     struct http_server **ret_server, struct err *err)
{
    assert(options->connections_max > 0);
    const struct http_texts *origins = &options->allowed_origins;
    struct http_server *server = memory_alloc(sizeof(*server));
    server->options = *options;
    server->options.listen = NULL;
    server->options.trusted_proxies = (struct http_texts){.items = NULL};
    server->options.allowed_origins = (struct http_texts){.items = NULL};
    server->options.secure = options->secure || options->tls != NULL;
    server->options.tls = NULL;
    int failed = read_proxies(server, &options->trusted_proxies, err);
    if (failed == 0)
        failed = http_origins_create(origins->items, origins->count, &server->origins, err);
    if (failed == 0)
        failed = tcp_listen(loop, options->listen, on_accept, server, &server->listener, err);
    if (failed != 0) {
        server_free(server);
        return failed;
    }
    http_server_set_tls(server, options->tls);
    server->port = tcp_listener_port(server->listener);
    server->guard = http_guard_create(&options->limits);
    server->sweep = timer_create_on(loop, on_sweep, server);
    make_metrics(server);
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
        http_connection_end(server->connections);
    if (server->busy != NULL)
        server->closed = true;
    else
        server_free(server);
}

void http_server_route(struct http_server *server, const struct http_route *route)
{
    assert(server->route_count < HTTP_ROUTES_MAX);
    assert(route->path[0] == '/');
    assert(!route->prefix || route->path[strlen(route->path) - 1] == '/');
    assert(route->handler != NULL);
    server->route[server->route_count++] = *route;
}

void http_server_allow(struct http_server *server, uint32_t connections_max)
{
    assert(connections_max > 0);
    server->options.connections_max = connections_max;
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}
