/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a connection: look-up in libuv's thread pool, then one address after the other, each with
 * its share of the time left. All this state lives beside struct tcp and only until it is
 * connected, so that a connection stays small.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "base/slice.h"
#include "net/tcp.h"
#include "net/tcp_priv.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum connect_state { CONNECT_RESOLVING, CONNECT_TRYING, CONNECT_FAILED };

/* One socket being connected. Its handle needs a life of its own: libuv closes handles later. */
struct attempt {
    uv_poll_t poll;
    struct tcp_connector *connector; /* borrowed until closed */
    int fd;                          /* owned */
};

struct tcp_connector {
    uv_getaddrinfo_t request;
    enum connect_state state;
    bool request_pending;           /* the thread pool still has it: may not be freed */
    struct tcp *tcp;                /* borrowed; NULL when nobody waits any more */
    struct loop *loop;              /* borrowed */
    struct timer *timer;            /* owned */
    struct addrinfo *addresses;     /* owned, libuv's */
    const struct addrinfo *address; /* being tried */
    struct attempt *attempt;        /* owned; NULL between two */
    tcp_connected_fn *on_connected;
    void *context; /* borrowed */
    int64_t deadline_ns;
    int error; /* of what was tried last */
    uint16_t port;
    char host[LIMIT_HOST];
    char text[LIMIT_HOST + 100];
};

static void attempt_freed(uv_handle_t *handle)
{
    memory_free(handle->data);
}

/* Gives back the socket, which is no longer watched. */
static int attempt_end(struct tcp_connector *connector)
{
    struct attempt *attempt = connector->attempt;
    int fd = attempt->fd;
    connector->attempt = NULL;
    uv_close((uv_handle_t *)&attempt->poll, attempt_freed);
    return fd;
}

/* Lets go of everything; the memory itself waits for the thread pool where that still has it. */
static void connector_release(struct tcp_connector *connector)
{
    connector->tcp = NULL;
    if (connector->attempt != NULL)
        close(attempt_end(connector));
    if (connector->addresses != NULL)
        uv_freeaddrinfo(connector->addresses);
    connector->addresses = NULL;
    timer_destroy(connector->timer);
    connector->timer = NULL;
    if (connector->request_pending)
        uv_cancel((uv_req_t *)&connector->request);
    else
        memory_free(connector);
}

void tcp_connector_abandon(struct tcp_connector *connector)
{
    connector_release(connector);
}

/* The last thing done with a connector: its owner may destroy everything in the callback. */
static void connector_finish(struct tcp_connector *connector, int error)
{
    tcp_connected_fn *on_connected = connector->on_connected;
    void *context = connector->context;
    char text[sizeof(connector->text)];
    memcpy(text, connector->text, sizeof(text));
    tcp_set_connector(connector->tcp, NULL);
    connector_release(connector);
    on_connected(context, error, text);
}

static void connector_fail(struct tcp_connector *connector, int error, const char *what)
{
    snprintf(connector->text, sizeof(connector->text), "%s:%u: %s", connector->host,
             (unsigned)connector->port, what);
    connector_finish(connector, error);
}

static uint64_t milliseconds_left(const struct tcp_connector *connector)
{
    int64_t left_ms = (connector->deadline_ns - clock_monotonic_ns()) / 1000000;
    return left_ms > 0 ? (uint64_t)left_ms : 0;
}

static uint64_t addresses_left(const struct tcp_connector *connector)
{
    uint64_t count = 0;
    for (const struct addrinfo *each = connector->address; each != NULL; each = each->ai_next)
        count++;
    assert(count > 0);
    return count;
}

/*
 * A port in the ephemeral range with nobody listening can be answered by our own socket (TCP's
 * simultaneous open): that is nobody.
 */
static bool connected_to_itself(int fd)
{
    struct sockaddr_storage local = {.ss_family = AF_UNSPEC};
    struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
    socklen_t local_size = sizeof(local);
    socklen_t peer_size = sizeof(peer);
    return getsockname(fd, (struct sockaddr *)&local, &local_size) == 0 &&
           getpeername(fd, (struct sockaddr *)&peer, &peer_size) == 0 && local_size == peer_size &&
           memcmp(&local, &peer, local_size) == 0;
}

static void on_attempt(uv_poll_t *handle, int status, int events);

/* 0: under way. */
static int attempt_start(struct tcp_connector *connector, const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0 && errno != EINPROGRESS) {
        int error = -errno;
        close(fd);
        return error;
    }
    struct attempt *attempt = memory_alloc(sizeof(*attempt));
    int error = uv_poll_init(&connector->loop->uv, &attempt->poll, fd);
    if (error != 0) {
        close(fd);
        memory_free(attempt);
        return error;
    }
    attempt->poll.data = attempt;
    attempt->connector = connector;
    attempt->fd = fd;
    connector->attempt = attempt;
    error = uv_poll_start(&attempt->poll, UV_WRITABLE, on_attempt);
    assert(error == 0);
    return error;
}

/* Goes on with the present address, or the first behind it that can be tried. */
static void try_addresses(struct tcp_connector *connector)
{
    connector->state = CONNECT_TRYING;
    for (; connector->address != NULL; connector->address = connector->address->ai_next) {
        uint64_t left_ms = milliseconds_left(connector);
        if (left_ms == 0) {
            connector->error = -ETIMEDOUT;
            break;
        }
        connector->error = attempt_start(connector, connector->address);
        if (connector->error == 0) {
            timer_start(connector->timer, left_ms / addresses_left(connector) + 1, 0);
            return;
        }
    }
    connector_fail(connector, connector->error, strerror(-connector->error));
}

static void attempt_failed(struct tcp_connector *connector, int error)
{
    close(attempt_end(connector));
    connector->error = error;
    connector->address = connector->address->ai_next;
    try_addresses(connector);
}

static int attempt_error(const struct attempt *attempt, int status)
{
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(attempt->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        return -errno;
    if (error == 0 && (status < 0 || connected_to_itself(attempt->fd)))
        return -ECONNREFUSED;
    return -error;
}

static void on_attempt(uv_poll_t *handle, int status, int events)
{
    (void)events;
    struct attempt *attempt = handle->data;
    struct tcp_connector *connector = attempt->connector;
    int error = attempt_error(attempt, status);
    if (error != 0) {
        attempt_failed(connector, error);
        return;
    }
    int fd = attempt_end(connector);
    error = tcp_adopt(connector->tcp, fd);
    if (error != 0) {
        close(fd);
        connector_fail(connector, error, uv_strerror(error));
        return;
    }
    connector_finish(connector, 0);
}

static void on_timer(void *context)
{
    struct tcp_connector *connector = context;
    switch (connector->state) {
    case CONNECT_RESOLVING:
        connector_fail(connector, -ETIMEDOUT, "address look-up timed out");
        return;
    case CONNECT_TRYING:
        attempt_failed(connector, -ETIMEDOUT);
        return;
    case CONNECT_FAILED:
        connector_fail(connector, -EHOSTUNREACH, uv_strerror(connector->error));
        return;
    }
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses)
{
    struct tcp_connector *connector = request->data;
    connector->request_pending = false;
    connector->loop->lookups--;
    if (connector->tcp == NULL) { /* nobody waits any more: all but the memory has been released */
        uv_freeaddrinfo(addresses);
        memory_free(connector);
        return;
    }
    if (status != 0) {
        connector_fail(connector, -EHOSTUNREACH, uv_strerror(status));
        return;
    }
    connector->addresses = addresses;
    connector->address = addresses;
    try_addresses(connector);
}

/* Numbers in text go the same way as names: one road, and the answer always comes later. */
static void resolve(struct tcp_connector *connector, uint32_t timeout_ms)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    char port[8];
    snprintf(port, sizeof(port), "%u", (unsigned)connector->port);
    connector->request.data = connector;
    int error = uv_getaddrinfo(&connector->loop->uv, &connector->request, on_resolved,
                               connector->host, port, &hints);
    connector->request_pending = error == 0;
    connector->loop->lookups += error == 0;
    connector->state = error == 0 ? CONNECT_RESOLVING : CONNECT_FAILED;
    connector->error = error;
    timer_start(connector->timer, error == 0 ? timeout_ms : 0, 0);
}

struct tcp *tcp_connect(struct loop *loop, const char *host, uint16_t port, uint32_t timeout_ms,
                        tcp_connected_fn *on_connected, void *context)
{
    assert(on_connected != NULL);
    struct tcp_connector *connector = memory_alloc(sizeof(*connector));
    bool fits = slice_copy(slice_of(host), connector->host, sizeof(connector->host));
    assert(fits); /* a URL's host was checked when it was read */
    (void)fits;
    connector->tcp = tcp_create(loop);
    connector->loop = loop;
    connector->port = port;
    connector->on_connected = on_connected;
    connector->context = context;
    connector->deadline_ns = clock_monotonic_ns() + (int64_t)timeout_ms * 1000000;
    connector->timer = timer_create_on(loop, on_timer, connector);
    tcp_set_connector(connector->tcp, connector);
    struct tcp *tcp = connector->tcp;
    resolve(connector, timeout_ms);
    return tcp;
}
