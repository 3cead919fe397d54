/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a connection: look-up in libuv's thread pool, then the addresses in the resolver's order,
 * the families by turns, a new one as soon as one fails or ATTEMPT_DELAY_MS after the one before;
 * those that are under way go on, and the first that is connected wins (RFC 8305, sections 4 and
 * 5). All this state lives beside struct tcp and only until it is connected, so that a connection
 * stays small.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "base/slice.h"
#include "net/tcp.h"
#include "net/tcp_priv.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ATTEMPT_DELAY_MS 250 /* RFC 8305, section 5 */

enum connect_state { CONNECT_RESOLVING, CONNECT_TRYING, CONNECT_FAILED };

/* One socket being connected. Its handle needs a life of its own: libuv closes handles later. */
struct attempt {
    uv_poll_t poll;
    struct tcp_connector *connector; /* borrowed until closed */
    size_t index;                    /* of its address */
    int fd;                          /* owned */
};

struct tcp_connector {
    uv_getaddrinfo_t request;
    enum connect_state state;
    bool request_pending;       /* the thread pool still has it: may not be freed */
    struct tcp *tcp;            /* borrowed; NULL when nobody waits any more */
    struct loop *loop;          /* borrowed */
    struct timer *timer;        /* owned */
    struct addrinfo *addresses; /* owned, libuv's */
    size_t count;               /* of those below */
    size_t next;                /* to be tried; those before it have been, or are */
    const struct addrinfo *address[LIMIT_CONNECT_ADDRESSES];
    struct attempt *attempt[LIMIT_CONNECT_ADDRESSES]; /* owned; NULL when not under way */
    tcp_connected_fn *on_connected;
    void *context; /* borrowed */
    int64_t deadline_ns;
    int error; /* what to tell when none is left */
    uint16_t port;
    char host[LIMIT_HOST];
    char text[LIMIT_HOST + 200];
};

static void attempt_freed(uv_handle_t *handle)
{
    memory_free(handle->data);
}

/* Gives back the socket, which is no longer watched. */
static int attempt_end(struct tcp_connector *connector, size_t index)
{
    struct attempt *attempt = connector->attempt[index];
    int fd = attempt->fd;
    connector->attempt[index] = NULL;
    uv_close((uv_handle_t *)&attempt->poll, attempt_freed);
    return fd;
}

/* Lets go of everything; the memory itself waits for the thread pool where that still has it. */
static void connector_release(struct tcp_connector *connector)
{
    connector->tcp = NULL;
    for (size_t i = 0; i < connector->count; i++)
        if (connector->attempt[i] != NULL)
            close(attempt_end(connector, i));
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
    int64_t left_ms = (connector->deadline_ns - clock_monotonic_ns() + 999999) / 1000000;
    return left_ms > 0 ? (uint64_t)left_ms : 0;
}

/* No way there from here: says less than a refusal, or no answer, of another address. */
static bool is_unreachable(int error)
{
    return error == -ENETUNREACH || error == -EHOSTUNREACH || error == -EADDRNOTAVAIL ||
           error == -EAFNOSUPPORT;
}

static void note_error(struct tcp_connector *connector, int error)
{
    if (connector->error == 0 || is_unreachable(connector->error) || !is_unreachable(error))
        connector->error = error;
}

static void fail_all(struct tcp_connector *connector)
{
    char what[100];
    const char *reason = strerror(-connector->error);
    if (connector->count == 1)
        snprintf(what, sizeof(what), "%s", reason);
    else
        snprintf(what, sizeof(what), "%s (%zu addresses tried)", reason, connector->next);
    connector_fail(connector, connector->error, what);
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
static int attempt_start(struct tcp_connector *connector, size_t index)
{
    const struct addrinfo *address = connector->address[index];
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
    attempt->index = index;
    attempt->fd = fd;
    connector->attempt[index] = attempt;
    error = uv_poll_start(&attempt->poll, UV_WRITABLE, on_attempt);
    assert(error == 0);
    return error;
}

static bool is_under_way(const struct tcp_connector *connector)
{
    for (size_t i = 0; i < connector->next; i++)
        if (connector->attempt[i] != NULL)
            return true;
    return false;
}

/* Starts the next address that can be tried, and waits: for it, its turn to be followed, the end.
 */
static void try_next(struct tcp_connector *connector)
{
    connector->state = CONNECT_TRYING;
    uint64_t left_ms = milliseconds_left(connector);
    bool started = false;
    while (!started && left_ms > 0 && connector->next < connector->count) {
        int error = attempt_start(connector, connector->next++);
        started = error == 0;
        if (!started)
            note_error(connector, error);
    }
    if (left_ms == 0)
        note_error(connector, -ETIMEDOUT);
    if (left_ms == 0 || !is_under_way(connector)) {
        fail_all(connector);
        return;
    }
    bool last = connector->next == connector->count || left_ms < ATTEMPT_DELAY_MS;
    timer_start(connector->timer, last ? left_ms : ATTEMPT_DELAY_MS, 0);
}

static void attempt_failed(struct tcp_connector *connector, size_t index, int error)
{
    close(attempt_end(connector, index));
    note_error(connector, error);
    try_next(connector);
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
        attempt_failed(connector, attempt->index, error);
        return;
    }
    int fd = attempt_end(connector, attempt->index);
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
        try_next(connector);
        return;
    case CONNECT_FAILED:
        connector_fail(connector, -EHOSTUNREACH, uv_strerror(connector->error));
        return;
    }
}

static const struct addrinfo *of_family(const struct addrinfo *from, int family, bool other)
{
    while (from != NULL && (from->ai_family == family) == other)
        from = from->ai_next;
    return from;
}

/* The resolver's order (RFC 6724), but the families by turns: one that is broken as a whole costs
 * one delay. Beyond LIMIT_CONNECT_ADDRESSES they are left out. */
static void order_addresses(struct tcp_connector *connector)
{
    int family = connector->addresses->ai_family;
    const struct addrinfo *of_turn[2] = {connector->addresses,
                                         of_family(connector->addresses, family, true)};
    size_t turn = 0;
    while (connector->count < LIMIT_CONNECT_ADDRESSES) {
        turn = of_turn[turn] == NULL ? 1 - turn : turn;
        const struct addrinfo *address = of_turn[turn];
        if (address == NULL)
            return;
        connector->address[connector->count++] = address;
        of_turn[turn] = of_family(address->ai_next, family, turn == 1);
        turn = 1 - turn;
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
    order_addresses(connector);
    try_next(connector);
}

/* The first look-up makes libuv's threads, with the mask of who asks. Signals are the main
 * thread's: one that they could take would end the process when the loop, and its handlers, are
 * gone. */
static int look_up(struct tcp_connector *connector, const char *port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = uv_getaddrinfo(&connector->loop->uv, &connector->request, on_resolved,
                               connector->host, port, &hints);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

/* Numbers in text go the same way as names: one road, and the answer always comes later. */
static void resolve(struct tcp_connector *connector, uint32_t timeout_ms)
{
    char port[8];
    snprintf(port, sizeof(port), "%u", (unsigned)connector->port);
    connector->request.data = connector;
    int error = look_up(connector, port);
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
