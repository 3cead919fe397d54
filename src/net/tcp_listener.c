/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening. When the process has no file descriptor left, accept would fail again and again while
 * the loop spins: one waiting connection is then taken with a descriptor kept in reserve and closed
 * at once, so that its peer learns of it, and listening pauses for a moment.
 */
#include "base/memory.h"
#include "base/slice.h"
#include "net/tcp.h"
#include "net/tcp_priv.h"
#include "net/tls_priv.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPT_TURN_MAX 64   /* connections taken in one turn, so that the others go on */
#define ACCEPT_PAUSE_MS 100  /* without descriptors */
#define LISTEN_BACKLOG 65535 /* the system's net.core.somaxconn makes it less */

struct tcp_listener {
    uv_poll_t poll;
    struct loop *loop;   /* borrowed, outlives it */
    struct timer *pause; /* owned */
    tcp_accept_fn *on_accept;
    void *context;           /* borrowed */
    struct tls_context *tls; /* owned; NULL: plain */
    int fd;                  /* owned */
    int reserve_fd;          /* owned; -1 when it could not be had again */
    uint16_t port;
    bool destroyed;
};

static void on_poll(uv_poll_t *handle, int status, int events);

static int reserve_open(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_pause_over(void *context)
{
    struct tcp_listener *listener = context;
    if (listener->reserve_fd < 0)
        listener->reserve_fd = reserve_open();
    int failed = uv_poll_start(&listener->poll, UV_READABLE, on_poll);
    assert(failed == 0);
    (void)failed;
}

static void turn_one_away(struct tcp_listener *listener)
{
    uv_poll_stop(&listener->poll);
    timer_start(listener->pause, ACCEPT_PAUSE_MS, 0);
    if (listener->reserve_fd < 0)
        return;
    close(listener->reserve_fd);
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    listener->reserve_fd = reserve_open();
}

/* False when no more can be taken in this turn. */
static bool accept_one(struct tcp_listener *listener)
{
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            turn_one_away(listener);
        /* Of the rest only these concern the waiting connection, which is gone, not all. */
        return errno == ECONNABORTED || errno == EINTR || errno == EPROTO;
    }
    struct tcp *tcp = tcp_create(listener->loop);
    if (tcp_adopt(tcp, fd) != 0) {
        close(fd);
        tcp_destroy(tcp);
        return true;
    }
    if (listener->tls != NULL)
        tcp_take_tls(tcp, tls_create_server(listener->tls, fd));
    listener->on_accept(listener->context, tcp);
    return true;
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    (void)status;
    (void)events;
    struct tcp_listener *listener = handle->data;
    for (size_t i = 0; i < ACCEPT_TURN_MAX && !listener->destroyed; i++)
        if (!accept_one(listener))
            break;
}

/* "ADDRESS:PORT" into its two parts; brackets around the address are dropped. */
static bool address_split(const char *address, char host[LIMIT_HOST], char port[8])
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address)
        return false;
    struct slice left = {.data = address, .size = (size_t)(colon - address)};
    bool bracketed = left.size > 2 && left.data[0] == '[' && left.data[left.size - 1] == ']';
    if (bracketed)
        left = (struct slice){.data = left.data + 1, .size = left.size - 2};
    else if (memchr(left.data, ':', left.size) != NULL)
        return false; /* IPv6 without brackets: where would the port begin? */
    uint64_t number;
    return slice_to_uint64(slice_of(colon + 1), UINT16_MAX, &number) &&
           slice_copy(slice_of(colon + 1), port, 8) && slice_copy(left, host, LIMIT_HOST);
}

static int socket_listen(const struct addrinfo *info, const char *address, int *ret_fd,
                         struct err *err)
{
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set(err, -errno, "cannot listen on %s: %s", address, strerror(errno));
    /* REUSEADDR lets a restart take the port while old connections are in TIME_WAIT. Never
     * REUSEPORT: a second process would share the port and nobody would notice. */
    const int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
        int error = errno;
        close(fd);
        if (error == EADDRINUSE)
            return err_set(err, -error, "address already in use: %s", address);
        return err_set(err, -error, "cannot listen on %s: %s", address, strerror(error));
    }
    *ret_fd = fd;
    return 0;
}

static uint16_t local_port(int fd)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof(address);
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        return 0;
    struct sockaddr_in v4; /* the port is at the same place in both families */
    memcpy(&v4, &address, sizeof(v4));
    return ntohs(v4.sin_port);
}

static struct tcp_listener *listener_create(struct loop *loop, int fd, tcp_accept_fn *on_accept,
                                            void *context)
{
    struct tcp_listener *listener = memory_alloc(sizeof(*listener));
    listener->loop = loop;
    listener->fd = fd;
    listener->reserve_fd = reserve_open();
    listener->port = local_port(fd);
    listener->on_accept = on_accept;
    listener->context = context;
    listener->pause = timer_create_on(loop, on_pause_over, listener);
    int failed = uv_poll_init(&loop->uv, &listener->poll, fd);
    assert(failed == 0); /* a socket that the loop has never seen can be watched */
    listener->poll.data = listener;
    failed = uv_poll_start(&listener->poll, UV_READABLE, on_poll);
    assert(failed == 0);
    (void)failed;
    return listener;
}

int tcp_listen(struct loop *loop, const char *address, tcp_accept_fn *on_accept, void *context,
               struct tcp_listener **ret_listener, struct err *err)
{
    char host[LIMIT_HOST];
    char port[8];
    if (!address_split(address, host, port))
        return err_set(err, -EINVAL, "not ADDRESS:PORT (IPv6 as [ADDRESS]:PORT): %s", address);
    /* Blocks for a name, but only at start-up, and nobody should listen on one but localhost. */
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *info = NULL;
    int unknown = getaddrinfo(host, port, &hints, &info);
    if (unknown != 0)
        return err_set(err, -EADDRNOTAVAIL, "cannot listen on %s: %s", address,
                       gai_strerror(unknown));
    int fd = -1;
    int error = socket_listen(info, address, &fd, err);
    freeaddrinfo(info);
    if (error != 0)
        return error;
    *ret_listener = listener_create(loop, fd, on_accept, context);
    return 0;
}

uint16_t tcp_listener_port(const struct tcp_listener *listener)
{
    return listener->port;
}

void tcp_listener_set_tls(struct tcp_listener *listener, const struct tls_context *context)
{
    struct tls_context *old = listener->tls;
    listener->tls = context == NULL ? NULL : tls_context_share(context);
    tls_context_destroy(old);
}

static void on_handle_closed(uv_handle_t *handle)
{
    memory_free(handle->data);
}

void tcp_listener_destroy(struct tcp_listener *listener)
{
    if (listener == NULL)
        return;
    assert(!listener->destroyed);
    listener->destroyed = true;
    timer_destroy(listener->pause);
    tls_context_destroy(listener->tls);
    uv_close((uv_handle_t *)&listener->poll, on_handle_closed);
    close(listener->fd);
    if (listener->reserve_fd >= 0)
        close(listener->reserve_fd);
}
