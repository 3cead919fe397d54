/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection is our own non-blocking socket watched by a uv_poll_t: so a send is one send(2)
 * straight from the caller's memory, without a request object or an allocation. Freed when libuv
 * has let go of the handle, at the end of the turn; that makes tcp_destroy safe in every callback.
 * A connection that speaks TLS has a struct tls between these functions and the socket.
 */
#include "net/tcp.h"

#include "base/memory.h"
#include "net/tcp_priv.h"
#include "net/tls_priv.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A peer that vanished without a word is found after 60 s + 6 x 10 s. */
#define KEEPALIVE_IDLE_S 60
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_PROBES 6
/* The same for one that vanished while something was on its way to it, or that reads nothing. */
#define UNANSWERED_MS 120000

struct tcp {
    uv_poll_t poll;
    struct loop *loop;                     /* borrowed, outlives it */
    const struct tcp_callbacks *callbacks; /* borrowed */
    void *context;                         /* borrowed */
    struct tls *tls;                       /* owned; NULL: plain */
    struct tcp_connector *connector;       /* owned; NULL when connected */
    int fd;                                /* -1 while connecting */
    int send_error;                        /* negative errno; on_closed will tell */
    int events;                            /* what libuv watches now */
    bool started : 1;                      /* callbacks are set */
    bool paused : 1;
    bool want_write : 1; /* a send was cut short */
    bool ended : 1;      /* the peer sends no more */
    bool failed : 1;     /* on_closed has told an error: nothing more is called */
    bool destroyed : 1;
};

static_assert(sizeof(struct tcp) <= 216, "ten thousand idle clients are cheap");

struct tcp *tcp_create(struct loop *loop)
{
    struct tcp *tcp = memory_alloc(sizeof(*tcp));
    tcp->loop = loop;
    tcp->fd = -1;
    return tcp;
}

static void set_options(int fd)
{
    /* None of these can fail on a TCP socket; if one did, the connection would still work. */
    const int on = 1;
    const int idle = KEEPALIVE_IDLE_S;
    const int interval = KEEPALIVE_INTERVAL_S;
    const int probes = KEEPALIVE_PROBES;
    const unsigned unanswered = UNANSWERED_MS;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered, sizeof(unanswered));
}

int tcp_adopt(struct tcp *tcp, int fd)
{
    assert(tcp->fd < 0);
    int failed = uv_poll_init(&tcp->loop->uv, &tcp->poll, fd);
    if (failed != 0)
        return failed;
    tcp->poll.data = tcp;
    tcp->fd = fd;
    set_options(fd);
    return 0;
}

void tcp_set_connector(struct tcp *tcp, struct tcp_connector *connector)
{
    tcp->connector = connector;
}

/* A client's handshake, which nobody but tcp_start_tls's caller waits for. */
static bool is_awaited(const struct tcp *tcp)
{
    return tcp->tls != NULL && tls_waiter(tcp->tls)->on_connected != NULL;
}

static int wanted_tls_events(const struct tcp *tcp)
{
    const struct tls *tls = tcp->tls;
    int events = tls_wants_write(tls) ? UV_WRITABLE : 0;
    if (tls_state(tls) != TLS_SHAKING && is_awaited(tcp))
        return UV_READABLE | UV_WRITABLE; /* a peer may be so quick that nothing else comes of it */
    switch (tls_state(tls)) {
    case TLS_SHAKING: /* also while paused: that is about what comes after it */
        return events | UV_READABLE;
    case TLS_FAILED:
        return UV_READABLE | UV_WRITABLE;
    case TLS_ENDED:
        /* The socket may have nothing to say any more; but it can nearly always be written to. */
        if (!tcp->paused && !tcp->ended)
            events |= UV_WRITABLE;
        break;
    case TLS_OPEN:
        if (!tcp->paused)
            events |= UV_READABLE | (tls_has_unread(tls) ? UV_WRITABLE : 0);
        break;
    }
    if (tcp->want_write && !tls_is_waiting_for_input(tls))
        events |= UV_WRITABLE;
    return events;
}

static int wanted_events(const struct tcp *tcp)
{
    if ((!tcp->started && !is_awaited(tcp)) || tcp->failed)
        return 0;
    if (tcp->send_error != 0)
        return UV_READABLE | UV_WRITABLE;
    if (tcp->tls != NULL)
        return wanted_tls_events(tcp);
    int events = tcp->want_write ? UV_WRITABLE : 0;
    if (!tcp->paused && !tcp->ended)
        events |= UV_READABLE;
    return events;
}

static void on_poll(uv_poll_t *handle, int status, int events);

static void update_events(struct tcp *tcp)
{
    int events = wanted_events(tcp);
    if (tcp->fd < 0 || tcp->destroyed || events == tcp->events)
        return;
    tcp->events = events;
    int failed = uv_poll_start(&tcp->poll, events, on_poll); /* no events: stops */
    assert(failed == 0);
    (void)failed;
}

static void fail(struct tcp *tcp, int error)
{
    assert(error < 0);
    tcp->failed = true;
    update_events(tcp);
    tcp->callbacks->on_closed(tcp->context, error);
}

static int socket_error(const struct tcp *tcp)
{
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(tcp->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error == 0)
        return -ECONNRESET;
    return -error;
}

/* One read a turn: a peer that sends without end can't starve the others. */
static void read_once(struct tcp *tcp)
{
    char *data = tcp->loop->read_buffer;
    ssize_t size;
    do {
        size = recv(tcp->fd, data, LIMIT_READ_BUFFER, 0);
    } while (size < 0 && errno == EINTR);
    if (size > 0) {
        data[size] = '\0';
        tcp->callbacks->on_data(tcp->context, data, (size_t)size);
        return;
    }
    if (size == 0) {
        tcp->ended = true;
        tcp->callbacks->on_closed(tcp->context, 0);
        return;
    }
    if (errno != EAGAIN && errno != EWOULDBLOCK)
        fail(tcp, -errno);
}

static bool is_reading(const struct tcp *tcp)
{
    return !tcp->destroyed && !tcp->paused && !tcp->ended && tcp->send_error == 0;
}

static void tell_writable(struct tcp *tcp)
{
    tcp->want_write = false;
    if (tcp->callbacks->on_writable != NULL)
        tcp->callbacks->on_writable(tcp->context);
}

static void turn_plain(struct tcp *tcp, int events)
{
    if ((events & UV_WRITABLE) != 0 && tcp->want_write)
        tell_writable(tcp);
    if ((events & UV_READABLE) != 0 && is_reading(tcp))
        read_once(tcp);
}

/* ---- the same with TLS ---- */

static void shake_hands(struct tcp *tcp, int events)
{
    struct tls *tls = tcp->tls;
    if (tls_state(tls) == TLS_SHAKING && (events & UV_READABLE) != 0)
        tls_shake(tls);
    if (tls_state(tls) == TLS_SHAKING)
        return;
    bool failed = tls_state(tls) == TLS_FAILED;
    if (failed && !is_awaited(tcp)) {
        fail(tcp, tls_error(tls));
        return;
    }
    struct tls_waiter waiter = *tls_waiter(tls);
    if (waiter.on_connected == NULL)
        return;
    *tls_waiter(tls) = (struct tls_waiter){.on_connected = NULL};
    tcp->failed = failed;
    update_events(tcp);
    char text[TLS_FAILURE_MAX]; /* the callee may destroy the connection and read on */
    snprintf(text, sizeof(text), "%s", tls_failure(tls));
    waiter.on_connected(waiter.context, failed ? tls_error(tls) : 0, text);
}

static void read_tls(struct tcp *tcp, int events)
{
    struct tls *tls = tcp->tls;
    char *data = tcp->loop->read_buffer;
    bool readable = (events & UV_READABLE) != 0 || tls_has_unread(tls);
    if (tls_state(tls) == TLS_OPEN && readable) {
        size_t size = tls_read(tls, data);
        if (size > 0) {
            data[size] = '\0';
            tcp->callbacks->on_data(tcp->context, data, size);
        }
        if (!is_reading(tcp) || tcp->tls != tls)
            return; /* how it ended, if it did, is told later; it may go on inside another TLS */
    }
    if (tls_state(tls) == TLS_ENDED) {
        tcp->ended = true;
        tcp->callbacks->on_closed(tcp->context, 0);
    } else if (tls_state(tls) == TLS_FAILED) {
        fail(tcp, tls_error(tls));
    }
}

static void turn_tls(struct tcp *tcp, int events)
{
    struct tls *tls = tcp->tls;
    bool shaking = tls_state(tls) == TLS_SHAKING || is_awaited(tcp);
    if ((events & UV_WRITABLE) != 0)
        tls_flush(tls);
    if (shaking) {
        shake_hands(tcp, events);
        return;
    }
    if (tls_state(tls) == TLS_FAILED) {
        fail(tcp, tls_error(tls));
        return;
    }
    bool writable = !tls_is_pending(tls) && !tls_is_waiting_for_input(tls);
    if ((events & UV_WRITABLE) != 0 && tcp->want_write && writable)
        tell_writable(tcp);
    if (is_reading(tcp))
        read_tls(tcp, events);
}

/* A handshake costs as much as a hundred messages: a turn does a few, the others wait for the next
 * (they are told again), so that a flood of them delays nothing but handshakes. */
static bool must_wait(struct tcp *tcp, int status)
{
    if (tcp->tls == NULL || status < 0 || tls_state(tcp->tls) != TLS_SHAKING)
        return false;
    return tcp->loop->handshakes++ >= LIMIT_TLS_TURN;
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct tcp *tcp = handle->data;
    if (must_wait(tcp, status))
        return;
    if (tcp->send_error != 0) {
        fail(tcp, tcp->send_error);
        return;
    }
    if (status < 0) {
        /* libuv has stopped the handle. What came before the error is still there to be read. */
        bool shaking = tcp->tls != NULL && tls_state(tcp->tls) == TLS_SHAKING;
        tcp->events = 0;
        if (!is_reading(tcp) && !shaking) {
            fail(tcp, socket_error(tcp));
            return;
        }
        events = UV_READABLE;
    }
    if (tcp->tls == NULL)
        turn_plain(tcp, events);
    else
        turn_tls(tcp, events);
    update_events(tcp);
}

void tcp_take_tls(struct tcp *tcp, struct tls *tls)
{
    assert(tcp->fd >= 0 && tcp->tls == NULL && !tcp->started);
    tcp->tls = tls;
}

void tcp_start_tls(struct tcp *tcp, const struct tls_context *context, const char *host,
                   tcp_connected_fn *on_connected, void *on_connected_context)
{
    assert(on_connected != NULL && tcp->fd >= 0);
    struct tls *outer = tcp->tls;
    tcp->tls = tls_create_client(context, tcp->fd, host);
    if (outer != NULL)
        tls_put_inside(tcp->tls, outer);
    tcp->started = false;
    tcp->want_write = false;
    *tls_waiter(tcp->tls) =
        (struct tls_waiter){.on_connected = on_connected, .context = on_connected_context};
    (void)tls_shake(tcp->tls); /* says hello; what comes of it is told in a turn of its own */
    update_events(tcp);
}

void tcp_set_callbacks(struct tcp *tcp, const struct tcp_callbacks *callbacks, void *context)
{
    assert(callbacks->on_data != NULL);
    assert(callbacks->on_closed != NULL);
    tcp->callbacks = callbacks;
    tcp->context = context;
    tcp->started = true;
    update_events(tcp);
}

static void send_failed(struct tcp *tcp, int error)
{
    tcp->send_error = error;
    /* A socket shut down is always readable, so the next turn tells on_closed. */
    (void)shutdown(tcp->fd, SHUT_RDWR);
    update_events(tcp);
}

static size_t send_tls(struct tcp *tcp, const void *data, size_t size)
{
    enum tls_state state = tls_state(tcp->tls);
    if (state == TLS_FAILED)
        return 0;
    size_t taken = state == TLS_SHAKING ? 0 : tls_send(tcp->tls, data, size);
    if (tls_state(tcp->tls) == TLS_FAILED) {
        send_failed(tcp, tls_error(tcp->tls));
        return 0;
    }
    tcp->want_write = tcp->want_write || taken < size;
    update_events(tcp); /* also for what waits encrypted */
    return taken;
}

size_t tcp_send(struct tcp *tcp, const void *data, size_t size)
{
    if (tcp->fd < 0 || tcp->failed || tcp->send_error != 0 || size == 0)
        return 0;
    if (tcp->tls != NULL)
        return send_tls(tcp, data, size);
    ssize_t sent;
    do {
        sent = send(tcp->fd, data, size, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
        send_failed(tcp, -errno);
        return 0;
    }
    size_t taken = sent < 0 ? 0 : (size_t)sent;
    if (taken < size) {
        tcp->want_write = true;
        update_events(tcp);
    }
    return taken;
}

void tcp_set_send_buffer(struct tcp *tcp, size_t size)
{
    /* The kernel doubles what it is told, for its own book-keeping (socket(7)). */
    int half = size / 2 > INT_MAX ? INT_MAX : (int)(size / 2);
    if (tcp->fd >= 0)
        (void)setsockopt(tcp->fd, SOL_SOCKET, SO_SNDBUF, &half, sizeof(half));
}

void tcp_shutdown(struct tcp *tcp)
{
    if (tcp->tls != NULL) {
        tls_shutdown(tcp->tls);
        update_events(tcp);
    } else if (tcp->fd >= 0) {
        (void)shutdown(tcp->fd, SHUT_WR);
    }
}

void tcp_read_pause(struct tcp *tcp, bool paused)
{
    tcp->paused = paused;
    update_events(tcp);
}

void tcp_address_write(const struct sockaddr_storage *address, char *out, size_t out_size)
{
    char text[INET6_ADDRSTRLEN] = "";
    if (address->ss_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof(v4));
        inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
        snprintf(out, out_size, "%s:%u", text, (unsigned)ntohs(v4.sin_port));
    } else if (address->ss_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof(v6));
        inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text));
        snprintf(out, out_size, "[%s]:%u", text, (unsigned)ntohs(v6.sin6_port));
    } else {
        snprintf(out, out_size, "unknown");
    }
}

void tcp_peer(const struct tcp *tcp, char *out, size_t out_size)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof(address);
    if (tcp->fd < 0 || getpeername(tcp->fd, (struct sockaddr *)&address, &size) != 0)
        address.ss_family = AF_UNSPEC;
    tcp_address_write(&address, out, out_size);
}

struct loop *tcp_loop(const struct tcp *tcp)
{
    return tcp->loop;
}

static void on_handle_closed(uv_handle_t *handle)
{
    memory_free(handle->data);
}

void tcp_destroy(struct tcp *tcp)
{
    if (tcp == NULL)
        return;
    assert(!tcp->destroyed);
    tcp->destroyed = true;
    if (tcp->connector != NULL)
        tcp_connector_abandon(tcp->connector);
    if (tcp->fd < 0) {
        memory_free(tcp); /* libuv never heard of it */
        return;
    }
    uv_close((uv_handle_t *)&tcp->poll, on_handle_closed);
    tls_destroy(tcp->tls);
    tcp->tls = NULL;
    close(tcp->fd); /* libuv has stopped watching it by now */
}

struct tcp_socket tcp_detach(struct tcp *tcp)
{
    assert(tcp->fd >= 0 && !tcp->destroyed);
    assert(!is_awaited(tcp));
    struct tcp_socket socket = {.fd = tcp->fd, .tls = tcp->tls};
    tcp->tls = NULL;
    tcp->destroyed = true;
    uv_close((uv_handle_t *)&tcp->poll, on_handle_closed);
    /* Not watched from here on: uv_close takes it out of epoll at once. */
    return socket;
}

struct tcp *tcp_attach(struct loop *loop, struct tcp_socket socket)
{
    struct tcp *tcp = tcp_create(loop);
    if (tcp_adopt(tcp, socket.fd) != 0) {
        tcp_destroy(tcp);
        tcp_socket_close(socket);
        return NULL;
    }
    tcp->tls = socket.tls;
    return tcp;
}

void tcp_socket_close(struct tcp_socket socket)
{
    tls_destroy(socket.tls);
    close(socket.fd);
}
