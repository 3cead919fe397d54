/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests over real sockets: a peer with plain blocking calls in a thread of its own, while
 * the test's thread runs the loop. The peer asserts nothing (cmocka's asserts belong to the test's
 * thread); it notes what it saw. When it ends it wakes the loop, which stops.
 */
#pragma once

#include "base/buffer.h"
#include "net/loop.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PEER_WAIT_S 20 /* a peer that waits longer gives up, and the test fails */

struct peer {
    struct loop *loop;
    struct waker *waker; /* from peer_start to peer_join */
    void (*run)(struct peer *peer);
    void *context;
    pthread_t thread;
    int listen_fd; /* -1 for one that connects */
    uint16_t port;
    int fd;
    struct buffer seen;
    bool timed_out;
    bool keeps_running; /* its end does not stop the loop */
};

static inline void peer_limit(int fd)
{
    struct timeval limit = {.tv_sec = PEER_WAIT_S};
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static inline struct sockaddr_in peer_address(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static inline bool peer_connect(struct peer *peer)
{
    struct sockaddr_in address = peer_address(peer->port);
    peer->fd = socket(AF_INET, SOCK_STREAM, 0);
    peer_limit(peer->fd);
    return connect(peer->fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

static inline void peer_accept(struct peer *peer)
{
    peer->fd = accept(peer->listen_fd, NULL, NULL);
    peer_limit(peer->fd);
}

static inline void peer_send(struct peer *peer, const void *data, size_t size)
{
    const char *cursor = data;
    while (size > 0) {
        ssize_t sent = send(peer->fd, cursor, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        cursor += sent;
        size -= (size_t)sent;
    }
}

static inline void peer_send_text(struct peer *peer, const char *text)
{
    peer_send(peer, text, strlen(text));
}

/* Once; false at the end or an error. */
static inline bool peer_receive(struct peer *peer)
{
    char data[65536];
    ssize_t size = recv(peer->fd, data, sizeof(data), 0);
    if (size > 0)
        buffer_append(&peer->seen, data, (size_t)size);
    peer->timed_out = peer->timed_out || (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
    return size > 0;
}

static inline void peer_receive_all(struct peer *peer)
{
    while (peer_receive(peer)) {
    }
}

/* Until the text has been seen. */
static inline bool peer_receive_until(struct peer *peer, const char *text)
{
    while (strstr(peer->seen.data, text) == NULL)
        if (!peer_receive(peer))
            return false;
    return true;
}

static inline void *peer_thread(void *context)
{
    struct peer *peer = context;
    peer->run(peer);
    if (peer->fd >= 0)
        close(peer->fd);
    if (!peer->keeps_running)
        waker_wake(peer->waker);
    return NULL;
}

static inline void peer_on_wake(void *context)
{
    loop_stop(context);
}

/* A socket that listens on a port of the system's choice. */
static inline void peer_listen(struct peer *peer)
{
    struct sockaddr_in address = peer_address(0);
    socklen_t size = sizeof(address);
    peer->listen_fd = socket(AF_INET, SOCK_STREAM, 0);
    peer_limit(peer->listen_fd);
    int failed = bind(peer->listen_fd, (struct sockaddr *)&address, size);
    failed |= listen(peer->listen_fd, 16);
    failed |= getsockname(peer->listen_fd, (struct sockaddr *)&address, &size);
    assert(failed == 0);
    (void)failed;
    peer->port = ntohs(address.sin_port);
}

static inline void peer_init(struct peer *peer, struct loop *loop, void (*run)(struct peer *peer))
{
    *peer = (struct peer){.loop = loop, .run = run, .listen_fd = -1, .fd = -1};
    buffer_init(&peer->seen, 64 * 1024 * 1024);
}

static inline void peer_start(struct peer *peer)
{
    peer->waker = waker_create_on(peer->loop, peer_on_wake, peer->loop);
    int failed = pthread_create(&peer->thread, NULL, peer_thread, peer);
    assert(failed == 0);
    (void)failed;
}

static inline void peer_join(struct peer *peer)
{
    pthread_join(peer->thread, NULL);
    waker_destroy(peer->waker);
    if (peer->listen_fd >= 0)
        close(peer->listen_fd);
}

static inline void peer_release(struct peer *peer)
{
    buffer_release(&peer->seen);
}
