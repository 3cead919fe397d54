/* SPDX-License-Identifier: Apache-2.0 */
/* All reads go into one buffer, which stays in the cache; only the rest of a cut frame is kept, for
 * each client. A read takes little, so that the clients take turns. */
#include "bench/load.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/frame.h"
#include "base/limits.h"
#include "base/memory.h"
#include "net/http.h"
#include "net/url.h"
#include "net/ws.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE (64 * KIBIBYTE)
#define FRAME_MAX (2 * MEBIBYTE)
#define EVENTS_MAX 256
#define HANDSHAKES_MAX 64 /* under way at a time: fewer than any server's backlog */
#define HANDSHAKE_MS 100  /* a step of waiting for them */
#define NS_PER_MS 1000000
#define OPCODE_MASK 0x0fu
#define MASKED 0x80u

enum connection_phase {
    CONNECTION_CONNECTING,
    CONNECTION_SHAKING, /* the request is out */
    CONNECTION_OPEN,
    CONNECTION_ENDED
};

struct connection {
    int fd;
    enum connection_phase phase;
    int64_t last;       /* sequence number, or -1 */
    struct buffer rest; /* of a cut frame, or of the handshake's answer */
};

struct load {
    struct load_options options;
    struct url url;
    struct sockaddr_storage address;
    socklen_t address_size;
    int epoll;
    size_t made; /* connections begun */
    size_t open;
    size_t closed;
    char error[96];                 /* of the first connection that ended */
    struct connection *connections; /* owned; options.clients of them */
    char *buffer;                   /* owned */
};

/* ---- ends ---- */

static void connection_end(struct load *load, struct connection *connection, const char *why)
{
    if (load->closed == 0)
        snprintf(load->error, sizeof load->error, "%s", why);
    if (connection->phase == CONNECTION_OPEN)
        load->open--;
    load->closed++;
    connection->phase = CONNECTION_ENDED;
    close(connection->fd);
    connection->fd = -1;
}

/* ---- frames ---- */

static void connection_pong(struct connection *connection, struct slice payload)
{
    static const uint8_t no_mask[4] = {0}; /* what it hides from is not on this machine */
    char frame[WS_HEADER_MAX + WS_CONTROL_MAX];
    if (payload.size > WS_CONTROL_MAX)
        return;
    size_t size = ws_write_header((uint8_t *)frame, WS_PONG, payload.size, no_mask);
    memcpy(frame + size, payload.data, payload.size);
    (void)send(connection->fd, frame, size + payload.size, MSG_NOSIGNAL);
}

/* False when the frame ends the connection. */
static bool connection_frame(struct load *load, struct connection *connection, const char *frame,
                             size_t size, int64_t now_us)
{
    size_t header = frame_header_size((const uint8_t *)frame);
    struct slice payload = {.data = frame + header, .size = size - header};
    unsigned opcode = (uint8_t)frame[0] & OPCODE_MASK;
    if (opcode == WS_CLOSE)
        return false;
    if (opcode == WS_PING)
        connection_pong(connection, payload);
    if (opcode > WS_BINARY)
        return true;
    if (load->options.lines)
        tally_lines(load->options.tally, &connection->last, payload, now_us);
    else
        tally_message(load->options.tally, &connection->last, payload, now_us);
    return true;
}

/* The size of the frame, 0 while it is not whole; more than FRAME_MAX when it never will be. */
static size_t whole_frame(const char *data, size_t size)
{
    const uint8_t *frame = (const uint8_t *)data;
    static const uint8_t zeros[4] = {0};
    if (size < 2)
        return 0;
    if ((frame[1] & MASKED) != 0)
        return FRAME_MAX + 1;
    size_t header = frame_header_size(frame);
    if (size < header)
        return 0;
    if (header == FRAME_HEADER_MAX && memcmp(frame + 2, zeros, sizeof zeros) != 0)
        return FRAME_MAX + 1;
    size_t whole = frame_size(frame);
    return whole > size && whole <= FRAME_MAX ? 0 : whole;
}

/* Returns the bytes used; the rest is a cut frame. */
static size_t connection_frames(struct load *load, struct connection *connection, const char *data,
                                size_t size)
{
    int64_t now_us = clock_wall_us();
    size_t at = 0;
    for (size_t next = whole_frame(data, size); next > 0;
         next = whole_frame(data + at, size - at)) {
        if (next > FRAME_MAX) {
            connection_end(load, connection, "a frame that no server may send, or too large");
            break;
        }
        if (!connection_frame(load, connection, data + at, next, now_us)) {
            connection_end(load, connection, "the server closed");
            break;
        }
        at += next;
    }
    return at;
}

/* ---- the handshake ---- */

static void connection_ask(struct load *load, struct connection *connection)
{
    int failed = 0;
    socklen_t failed_size = sizeof failed;
    (void)getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &failed, &failed_size);
    if (failed != 0) {
        connection_end(load, connection, strerror(failed));
        return;
    }
    char host[LIMIT_HOST + 16];
    char key[WS_KEY_SIZE + 1];
    char request[LIMIT_URL + LIMIT_HOST + 256];
    url_host_write(&load->url, host, sizeof host);
    ws_key_make(key);
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: %s\r\n\r\n",
                        load->url.target, host, key);
    assert(size > 0 && (size_t)size < sizeof request);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (send(connection->fd, request, (size_t)size, MSG_NOSIGNAL) != size ||
        epoll_ctl(load->epoll, EPOLL_CTL_MOD, connection->fd, &event) != 0) {
        connection_end(load, connection, strerror(errno));
        return;
    }
    connection->phase = CONNECTION_SHAKING;
}

/* Returns the bytes used: none, or the whole head. */
static size_t connection_answer(struct load *load, struct connection *connection, const char *data,
                                size_t size)
{
    static const char granted[] = "HTTP/1.1 101";
    const char *end = memmem(data, size, "\r\n\r\n", 4);
    if (end == NULL) {
        if (size > LIMIT_HTTP_HEAD)
            connection_end(load, connection, "the handshake's answer has no end");
        return 0;
    }
    if (memcmp(data, granted, sizeof granted - 1) != 0) {
        char why[64];
        snprintf(why, sizeof why, "the handshake was answered: %.*s",
                 (int)((const char *)memchr(data, '\r', size) - data), data);
        connection_end(load, connection, why);
        return 0;
    }
    connection->phase = CONNECTION_OPEN;
    load->open++;
    return (size_t)(end + 4 - data);
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

static void connection_read(struct load *load, struct connection *connection)
{
    size_t before = connection->rest.size;
    if (before > 0)
        memcpy(load->buffer, connection->rest.data, before);
    ssize_t size = recv(connection->fd, load->buffer + before, READ_SIZE, 0);
    if (size > 0) {
        if (load->options.tally->counting)
            load->options.tally->bytes += (uint64_t)size;
        connection_take(load, connection, before + (size_t)size);
    } else if (size == 0) {
        connection_end(load, connection, "the server closed");
    } else if (errno != EAGAIN && errno != EINTR) {
        connection_end(load, connection, strerror(errno));
    }
}

static void load_turn(struct load *load, int timeout_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(load->epoll, events, EVENTS_MAX, timeout_ms);
    for (int i = 0; i < count; i++) {
        struct connection *connection = events[i].data.ptr;
        switch (connection->phase) {
        case CONNECTION_CONNECTING:
            connection_ask(load, connection);
            break;
        case CONNECTION_SHAKING:
        case CONNECTION_OPEN:
            connection_read(load, connection);
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

static bool load_add(struct load *load)
{
    struct connection *connection = &load->connections[load->made++];
    const int on = 1;
    int fd = socket(load->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    connection->fd = fd;
    if (fd < 0) {
        connection_end(load, connection, strerror(errno));
        return false;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = connection};
    int failed = connect(fd, (const struct sockaddr *)&load->address, load->address_size);
    if ((failed != 0 && errno != EINPROGRESS) ||
        epoll_ctl(load->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        connection_end(load, connection, strerror(errno));
        return false;
    }
    return true;
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
        return err_set(err, -ECONNREFUSED, "client %zu: %s", load->open + 1, load->error);
    return 0;
}

static int load_resolve(struct load *load, struct err *err)
{
    char port[8];
    int error = url_parse(load->options.url, &load->url, err);
    if (error != 0)
        return error;
    if (load->url.tls)
        return err_set(err, -EINVAL, "TLS cannot be loaded, ws:// only");
    snprintf(port, sizeof port, "%u", load->url.port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *info = NULL;
    int unknown = getaddrinfo(load->url.host, port, &hints, &info);
    if (unknown != 0)
        return err_set(err, -EINVAL, "%s: %s", load->url.host, gai_strerror(unknown));
    memcpy(&load->address, info->ai_addr, info->ai_addrlen);
    load->address_size = info->ai_addrlen;
    freeaddrinfo(info);
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
    load->buffer = memory_alloc(FRAME_MAX + READ_SIZE + TALLY_PADDING);
    for (size_t i = 0; i < options->clients; i++) {
        load->connections[i].fd = -1;
        load->connections[i].last = -1;
        buffer_init(&load->connections[i].rest, FRAME_MAX);
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
        if (connection->fd < 0)
            continue;
        (void)setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(connection->fd);
    }
    close(load->epoll);
    memory_free(load->buffer);
    memory_free(load->connections);
    memory_free(load);
}

size_t load_closed(const struct load *load)
{
    return load->closed;
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
