/* SPDX-License-Identifier: Apache-2.0 */
/* All reads go into one buffer, which stays in the cache; only the rest of a cut frame is kept, for
 * each client. A read takes little, so that the clients take turns. */
#include "bench/load_priv.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/memory.h"
#include "net/http.h"
#include "net/ws.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#define READ_SIZE (64 * KIBIBYTE)
#define EVENTS_MAX 256
#define HANDSHAKES_MAX 64   /* under way at a time: fewer than any server's backlog */
#define HANDSHAKE_MS 100    /* a step of waiting for them */
#define ADDRESS_PORTS 20000 /* clients of one source address */
#define NS_PER_MS 1000000
#define US_PER_MS 1000

/* ---- ends ---- */

void connection_end(struct load *load, struct connection *connection, const char *why)
{
    if (load->closed == 0)
        snprintf(load->error, sizeof load->error, "client %zu: %s",
                 (size_t)(connection - load->connections) + 1, why);
    if (connection->phase == CONNECTION_OPEN)
        load->open--;
    load->closed++;
    connection->phase = CONNECTION_ENDED;
    channel_close(&connection->channel);
}

static bool connection_watch(struct load *load, struct connection *connection, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(load->epoll, EPOLL_CTL_MOD, connection->channel.fd, &event) == 0)
        return true;
    connection_end(load, connection, strerror(errno));
    return false;
}

/* ---- the handshake ---- */

static void connection_ask(struct load *load, struct connection *connection)
{
    static const char deflate[] = "Sec-WebSocket-Extensions: permessage-deflate; "
                                  "server_no_context_takeover; client_no_context_takeover\r\n";
    char host[LIMIT_HOST + 16];
    char key[WS_KEY_SIZE + 1];
    char request[LIMIT_URL + LIMIT_HOST + 512];
    url_host_write(&load->url, host, sizeof host);
    ws_key_make(key);
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: %s\r\n%s\r\n",
                        load->url.target, host, key, load->options.deflate ? deflate : "");
    assert(size > 0 && (size_t)size < sizeof request);
    int failed = channel_send(&connection->channel, request, (size_t)size);
    if (failed != 0)
        connection_end(load, connection, strerror(-failed));
    else if (connection_watch(load, connection, EPOLLIN))
        connection->phase = CONNECTION_SHAKING;
}

static void connection_secure(struct load *load, struct connection *connection)
{
    bool wants_write = false;
    int status = channel_secure(&connection->channel, &wants_write);
    if (status == 0)
        connection_ask(load, connection);
    else if (status != -EAGAIN)
        connection_end(load, connection, "the TLS handshake failed");
    else if (connection_watch(load, connection, wants_write ? EPOLLOUT : EPOLLIN))
        connection->phase = CONNECTION_SECURING;
}

static void connection_connected(struct load *load, struct connection *connection)
{
    int failed = 0;
    socklen_t failed_size = sizeof failed;
    (void)getsockopt(connection->channel.fd, SOL_SOCKET, SO_ERROR, &failed, &failed_size);
    if (failed != 0)
        connection_end(load, connection, strerror(failed));
    else
        connection_secure(load, connection);
}

/* NULL, or what is wrong with an answer's head. */
static const char *answer_problem(const struct load *load, struct slice head, char *why,
                                  size_t why_size)
{
    static const char granted[] = "HTTP/1.1 101";
    static const char compressed[] = "server_no_context_takeover";
    if (head.size < sizeof granted || memcmp(head.data, granted, sizeof granted - 1) != 0) {
        struct slice rest;
        struct slice line = slice_split(head, '\r', &rest);
        snprintf(why, why_size, "the handshake was answered: %.*s", (int)line.size, line.data);
        return why;
    }
    if (load->options.deflate &&
        memmem(head.data, head.size, compressed, sizeof compressed - 1) == NULL)
        return "the server does not compress without context takeover";
    return NULL;
}

/* Returns the bytes used: none, or the whole head. */
static size_t connection_answer(struct load *load, struct connection *connection, const char *data,
                                size_t size)
{
    char why[96];
    const char *end = memmem(data, size, "\r\n\r\n", 4);
    if (end == NULL) {
        if (size > LIMIT_HTTP_HEAD)
            connection_end(load, connection, "the handshake's answer has no end");
        return 0;
    }
    struct slice head = {.data = data, .size = (size_t)(end - data)};
    const char *problem = answer_problem(load, head, why, sizeof why);
    if (problem != NULL) {
        connection_end(load, connection, problem);
        return 0;
    }
    connection->phase = CONNECTION_OPEN;
    load->open++;
    return head.size + 4;
}

/* ---- reading ---- */

static void connection_take(struct load *load, struct connection *connection, size_t size)
{
    size_t used = 0;
    memset(load->buffer + size, 0, TALLY_PADDING);
    if (connection->phase == CONNECTION_SHAKING)
        used = connection_answer(load, connection, load->buffer, size);
    if (connection->phase == CONNECTION_OPEN)
        used += connection_frames(load, connection, load->buffer + used, size - used);
    buffer_clear(&connection->rest);
    if (used < size)
        buffer_append(&connection->rest, load->buffer + used, size - used);
}

/* False when there is nothing more for now. */
static bool connection_read(struct load *load, struct connection *connection)
{
    size_t before = connection->rest.size;
    if (before > 0)
        memcpy(load->buffer, connection->rest.data, before);
    ssize_t size = channel_receive(&connection->channel, load->buffer + before, READ_SIZE);
    if (size > 0) {
        if (load->options.tally->counting)
            load->options.tally->bytes += (uint64_t)size;
        connection_take(load, connection, before + (size_t)size);
    } else if (size == 0) {
        connection_end(load, connection, "the server closed");
    } else if (size != -EAGAIN) {
        connection_end(load, connection, strerror((int)-size));
    }
    return size == READ_SIZE && connection->phase != CONNECTION_ENDED;
}

static void load_turn(struct load *load, int timeout_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(load->epoll, events, EVENTS_MAX, timeout_ms);
    for (int i = 0; i < count; i++) {
        struct connection *connection = events[i].data.ptr;
        switch (connection->phase) {
        case CONNECTION_CONNECTING:
            connection_connected(load, connection);
            break;
        case CONNECTION_SECURING:
            connection_secure(load, connection);
            break;
        case CONNECTION_SHAKING:
        case CONNECTION_OPEN:
            /* What TLS has read ahead is not seen by epoll. */
            while (connection_read(load, connection) && load->tls != NULL)
                ;
            break;
        case CONNECTION_ENDED:
            break;
        }
    }
}

void load_run(struct load *load, uint32_t time_ms)
{
    int64_t end_ns = clock_monotonic_ns() + (int64_t)time_ms * NS_PER_MS;
    for (int64_t now_ns = clock_monotonic_ns(); now_ns < end_ns; now_ns = clock_monotonic_ns())
        load_turn(load, (int)((end_ns - now_ns) / NS_PER_MS + 1));
}

/* ---- making them ---- */

/* 127.0.0.2 and so on, when one address has too few ports. 0, or what failed. */
static int socket_spread(const struct load *load, int fd)
{
    const struct sockaddr_in *server = (const struct sockaddr_in *)(const void *)&load->address;
    const int on = 1;
    if (load->options.clients <= ADDRESS_PORTS || load->address.ss_family != AF_INET ||
        ntohl(server->sin_addr.s_addr) >> 24 != IN_LOOPBACKNET)
        return 0;
    uint32_t address = INADDR_LOOPBACK + 1 + (uint32_t)(load->made / ADDRESS_PORTS);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) != 0 ||
        bind(fd, (const struct sockaddr *)&own, sizeof own) != 0)
        return errno;
    return 0;
}

static bool load_add(struct load *load)
{
    const int on = 1;
    struct connection *connection = &load->connections[load->made];
    int fd = socket(load->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int failed = fd < 0 ? errno : socket_spread(load, fd);
    load->made++;
    channel_open(&connection->channel, fd, load->tls);
    if (load->options.joining != NULL)
        joining_begin(load->options.joining, &connection->joiner, clock_wall_us());
    if (failed == 0) {
        struct epoll_event event = {.events = EPOLLOUT, .data.ptr = connection};
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if ((connect(fd, (const struct sockaddr *)&load->address, load->address_size) != 0 &&
             errno != EINPROGRESS) ||
            epoll_ctl(load->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
            failed = errno;
    }
    if (failed != 0)
        connection_end(load, connection, strerror(failed));
    return failed == 0;
}

int load_connect(struct load *load, uint32_t timeout_ms, struct err *err)
{
    int64_t end_ns = clock_monotonic_ns() + (int64_t)timeout_ms * NS_PER_MS;
    while (load->open < load->options.clients && load->closed == 0) {
        if (clock_monotonic_ns() >= end_ns)
            return err_set(err, -ETIMEDOUT, "only %zu of %zu clients connected in %u ms",
                           load->open, load->options.clients, timeout_ms);
        while (load->made < load->options.clients && load->made - load->open < HANDSHAKES_MAX)
            if (!load_add(load))
                break;
        if (load->closed == 0)
            load_turn(load, HANDSHAKE_MS);
    }
    if (load->closed > 0)
        return err_set(err, -ECONNREFUSED, "%s", load->error);
    return 0;
}

void load_join(struct load *load, uint32_t join_ms, uint32_t timeout_ms, int64_t *ret_begun_us)
{
    const struct joining *joining = load->options.joining;
    size_t clients = load->options.clients;
    int64_t start_ns = clock_monotonic_ns();
    int64_t end_ns = start_ns + (int64_t)timeout_ms * NS_PER_MS;
    int64_t now_ns = start_ns;
    assert(joining != NULL && join_ms > 0);
    *ret_begun_us = 0;
    while (joining->served + load->closed < clients && now_ns < end_ns) {
        int64_t due = (now_ns - start_ns) * (int64_t)clients / ((int64_t)join_ms * NS_PER_MS) + 1;
        for (; load->made < clients && (int64_t)load->made < due;) {
            load_add(load);
            *ret_begun_us = (clock_monotonic_ns() - start_ns) / (NS_PER_MS / US_PER_MS);
        }
        load_turn(load, load->made < clients ? 1 : HANDSHAKE_MS);
        now_ns = clock_monotonic_ns();
    }
}

static int load_resolve(struct load *load, struct err *err)
{
    char port[8];
    int error = url_parse(load->options.url, &load->url, err);
    if (error != 0)
        return error;
    snprintf(port, sizeof port, "%u", load->url.port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *info = NULL;
    int unknown = getaddrinfo(load->url.host, port, &hints, &info);
    if (unknown != 0)
        return err_set(err, -EINVAL, "%s: %s", load->url.host, gai_strerror(unknown));
    memcpy(&load->address, info->ai_addr, info->ai_addrlen);
    load->address_size = info->ai_addrlen;
    freeaddrinfo(info);
    if (load->url.tls)
        load->tls = channel_tls_create();
    if (load->url.tls && load->tls == NULL)
        return err_set(err, -EINVAL, "OpenSSL does not start");
    return 0;
}

int load_create(const struct load_options *options, struct load **ret_load, struct err *err)
{
    assert(options->clients > 0);
    struct load *load = memory_alloc(sizeof *load);
    load->options = *options;
    int error = load_resolve(load, err);
    if (error != 0) {
        memory_free(load);
        return error;
    }
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->connections = memory_array(options->clients, sizeof *load->connections);
    load->buffer = memory_alloc(LOAD_FRAME_MAX + READ_SIZE + TALLY_PADDING);
    if (options->deflate)
        load->inflater = inflater_create();
    for (size_t i = 0; i < options->clients; i++) {
        load->connections[i].channel.fd = -1;
        load->connections[i].last = -1;
        buffer_init(&load->connections[i].rest, LOAD_FRAME_MAX);
    }
    *ret_load = load;
    return 0;
}

void load_destroy(struct load *load)
{
    if (load == NULL)
        return;
    /* Reset, so that thousands of ports are free for the next run. */
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    for (size_t i = 0; i < load->options.clients; i++) {
        struct connection *connection = &load->connections[i];
        buffer_release(&connection->rest);
        if (connection->channel.fd >= 0)
            (void)setsockopt(connection->channel.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        channel_close(&connection->channel);
    }
    close(load->epoll);
    inflater_destroy(load->inflater);
    channel_tls_destroy(load->tls);
    memory_free(load->buffer);
    memory_free(load->connections);
    memory_free(load);
}

size_t load_closed(const struct load *load)
{
    return load->closed;
}

const char *load_error(const struct load *load)
{
    return load->error;
}

size_t load_behind(const struct load *load)
{
    int64_t newest = -1;
    size_t behind = 0;
    for (size_t i = 0; i < load->options.clients; i++)
        if (load->connections[i].last > newest)
            newest = load->connections[i].last;
    for (size_t i = 0; i < load->options.clients; i++)
        behind += load->connections[i].last != newest;
    return behind;
}
