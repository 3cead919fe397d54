/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor of fan-out: what a bare epoll loop on one thread reaches that has nothing but frames.
 * It reads messages, one a line, from a source, frames them into one shared log, and sends each
 * client all that is due in one send. No snapshot, no resume, no heartbeat, no limits, no correct
 * answer to a handshake; a client that falls out of the log is closed. What a gateway needs more
 * than this is the price of its service. It shares no code with the product's gateway.
 *
 *     bench_floor [--flush-ms N] [--io-uring]
 *
 * --flush-ms 0 (the default) sends when the input has been read; --io-uring hands all sends of a
 * turn to the kernel in one call, instead of a send(2) for each client.
 *
 * Says its ports on stdout as one JSON line.
 */
#include "base/clock.h"
#include "base/frame.h"
#include "base/memory.h"
#include "base/slice.h"
#include "bench/floor_ring.h"
#include "bench/process.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOG_SIZE ((size_t)64 * 1024 * 1024)
#define SEND_MAX ((size_t)256 * 1024)
#define READ_SIZE ((size_t)64 * 1024)
#define EVENTS_MAX 256
#define BACKLOG 1024
#define FLUSH_MS_MAX 1000
#define FILES_WANTED 65536
#define NS_PER_MS 1000000

static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                             "Connection: Upgrade\r\n\r\n";

enum role { ROLE_LISTENER, ROLE_SOURCE_LISTENER, ROLE_SOURCE, ROLE_CLIENT };

struct peer { /* the whole of what a client costs */
    enum role role;
    int fd;
    uint32_t index;
    bool open;    /* the handshake is over */
    bool blocked; /* the kernel took less than all */
    uint64_t at;  /* its cursor in the log: bytes since the start */
};

struct floor {
    int epoll;
    int64_t flush_ns;
    int64_t flushed_ns;
    uint64_t end;       /* of the log: bytes since the start */
    uint64_t flushed;   /* the end at the last flush */
    char *log;          /* LOG_SIZE bytes, a ring */
    struct peer **peer; /* clients */
    uint32_t peer_count, peer_capacity;
    char *input; /* of the source: lines, the last one perhaps not whole */
    size_t input_size;
    struct floor_ring *ring; /* NULL: send(2) */
    struct floor_send sends[FLOOR_RING_SENDS];
    struct peer *receivers[FLOOR_RING_SENDS]; /* of the sends */
};

/* ---- peers ---- */

static void watch(struct floor *floor, struct peer *peer, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = peer};
    int failed = epoll_ctl(floor->epoll, operation, peer->fd, &event);
    assert(failed == 0);
    (void)failed;
}

static struct peer *peer_create(struct floor *floor, enum role role, int fd)
{
    struct peer *peer = memory_alloc(sizeof *peer);
    peer->role = role;
    peer->fd = fd;
    watch(floor, peer, EPOLL_CTL_ADD, EPOLLIN);
    return peer;
}

static void client_add(struct floor *floor, int fd)
{
    const int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct peer *peer = peer_create(floor, ROLE_CLIENT, fd);
    if (floor->peer_count == floor->peer_capacity) {
        floor->peer_capacity = floor->peer_capacity == 0 ? 64 : 2 * floor->peer_capacity;
        floor->peer = memory_resize(floor->peer, floor->peer_capacity, sizeof(struct peer *));
    }
    peer->index = floor->peer_count;
    floor->peer[floor->peer_count++] = peer;
}

static void client_end(struct floor *floor, struct peer *peer)
{
    assert(floor->peer_count > 0 && floor->peer != NULL);
    struct peer *last = floor->peer[--floor->peer_count];
    floor->peer[peer->index] = last;
    last->index = peer->index;
    close(peer->fd);
    memory_free(peer);
}

/* ---- sending ---- */

/* What is due, to the end of the ring at most; NULL when the client has fallen out of it. */
static const char *client_due(const struct floor *floor, const struct peer *peer, size_t *ret_size)
{
    size_t place = (size_t)(peer->at % LOG_SIZE);
    size_t size = (size_t)(floor->end - peer->at);
    if (size > LOG_SIZE - READ_SIZE)
        return NULL;
    if (size > LOG_SIZE - place)
        size = LOG_SIZE - place;
    *ret_size = size > SEND_MAX ? SEND_MAX : size;
    return floor->log + place;
}

/* Of `size` bytes the kernel took `sent`. */
static void client_sent(struct floor *floor, struct peer *peer, size_t size, ssize_t sent)
{
    peer->at += sent < 0 ? 0 : (uint64_t)sent;
    peer->blocked = sent < (ssize_t)size;
    if (peer->blocked)
        watch(floor, peer, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
}

/* False when the client is gone. */
static bool client_send_once(struct floor *floor, struct peer *peer)
{
    size_t size = 0;
    const char *data = client_due(floor, peer, &size);
    if (data == NULL)
        return false;
    ssize_t sent = send(peer->fd, data, size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        return false;
    client_sent(floor, peer, size, sent);
    return true;
}

/* False when it is gone, and freed. */
static bool client_send(struct floor *floor, struct peer *peer)
{
    while (!peer->blocked && peer->at < floor->end) {
        if (!client_send_once(floor, peer)) {
            client_end(floor, peer);
            return false;
        }
    }
    return true;
}

static void flush_each(struct floor *floor)
{
    for (uint32_t i = 0; i < floor->peer_count;) {
        struct peer *peer = floor->peer[i];
        if (!peer->open || peer->blocked || client_send(floor, peer))
            i++;
    }
}

/* Who is gone is seen when it is read from. */
static void flush_batch(struct floor *floor, unsigned count)
{
    floor_ring_send(floor->ring, floor->sends, count);
    for (unsigned i = 0; i < count; i++)
        client_sent(floor, floor->receivers[i], floor->sends[i].size, floor->sends[i].result);
}

static void flush_together(struct floor *floor)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < floor->peer_count; i++) {
        struct peer *peer = floor->peer[i];
        struct floor_send *one = &floor->sends[count];
        if (!peer->open || peer->blocked || peer->at == floor->end)
            continue;
        one->fd = peer->fd;
        one->data = client_due(floor, peer, &one->size);
        if (one->data == NULL)
            continue;
        floor->receivers[count++] = peer;
        if (count == FLOOR_RING_SENDS) {
            flush_batch(floor, count);
            count = 0;
        }
    }
    if (count > 0)
        flush_batch(floor, count);
}

static void flush(struct floor *floor, int64_t now_ns)
{
    floor->flushed = floor->end;
    floor->flushed_ns = now_ns;
    if (floor->ring != NULL)
        flush_together(floor);
    flush_each(floor); /* with a ring: what did not fit one send */
}

/* ---- reading ---- */

static void log_write(struct floor *floor, const void *data, size_t size)
{
    size_t place = (size_t)(floor->end % LOG_SIZE);
    size_t first = size < LOG_SIZE - place ? size : LOG_SIZE - place;
    memcpy(floor->log + place, data, first);
    memcpy(floor->log, (const char *)data + first, size - first);
    floor->end += size;
}

static void read_lines(struct floor *floor)
{
    struct slice rest = {.data = floor->input, .size = floor->input_size};
    while (rest.size > 0 && memchr(rest.data, '\n', rest.size) != NULL) {
        uint8_t header[FRAME_HEADER_MAX] = {0};
        struct slice line = slice_split(rest, '\n', &rest);
        log_write(floor, header, frame_header_write(header, FRAME_TEXT, line.size));
        log_write(floor, line.data, line.size);
    }
    memmove(floor->input, rest.data, rest.size);
    floor->input_size = rest.size;
}

static void source_read(struct floor *floor, struct peer *peer)
{
    ssize_t size =
        recv(peer->fd, floor->input + floor->input_size, READ_SIZE - floor->input_size, 0);
    if (size > 0) {
        floor->input_size += (size_t)size;
        read_lines(floor);
    } else if (size == 0 || errno != EAGAIN) {
        close(peer->fd);
        memory_free(peer);
        floor->input_size = 0;
    }
}

static void client_read(struct floor *floor, struct peer *peer)
{
    char text[4096];
    ssize_t size = recv(peer->fd, text, sizeof text, 0);
    if (size <= 0) {
        if (size == 0 || errno != EAGAIN)
            client_end(floor, peer);
        return;
    }
    if (peer->open) /* what clients say is not looked at */
        return;
    if (send(peer->fd, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0) {
        client_end(floor, peer);
        return;
    }
    peer->open = true;
    peer->at = floor->flushed;
}

static void peer_event(struct floor *floor, struct peer *peer, uint32_t events)
{
    switch (peer->role) {
    case ROLE_LISTENER:
    case ROLE_SOURCE_LISTENER:
        for (int fd = accept4(peer->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC); fd >= 0;
             fd = accept4(peer->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC))
            if (peer->role == ROLE_LISTENER)
                client_add(floor, fd);
            else
                peer_create(floor, ROLE_SOURCE, fd);
        break;
    case ROLE_SOURCE:
        source_read(floor, peer);
        break;
    case ROLE_CLIENT:
        if ((events & EPOLLOUT) != 0) {
            peer->blocked = false;
            watch(floor, peer, EPOLL_CTL_MOD, EPOLLIN);
            if (!client_send(floor, peer))
                break;
        }
        if ((events & ~(uint32_t)EPOLLOUT) != 0)
            client_read(floor, peer);
        break;
    }
}

/* ---- the loop ---- */

static int wait_ms(const struct floor *floor, int64_t now_ns)
{
    if (floor->flushed == floor->end)
        return -1;
    int64_t left_ns = floor->flushed_ns + floor->flush_ns - now_ns;
    return left_ns <= 0 ? 0 : (int)((left_ns + NS_PER_MS - 1) / NS_PER_MS);
}

static NO_RETURN void run(struct floor *floor)
{
    struct epoll_event events[EVENTS_MAX];
    for (;;) {
        int count =
            epoll_wait(floor->epoll, events, EVENTS_MAX, wait_ms(floor, clock_monotonic_ns()));
        for (int i = 0; i < count; i++)
            peer_event(floor, events[i].data.ptr, events[i].events);
        int64_t now_ns = clock_monotonic_ns();
        if (floor->end > floor->flushed && now_ns - floor->flushed_ns >= floor->flush_ns)
            flush(floor, now_ns);
    }
}

static uint16_t listen_on(struct floor *floor, enum role role)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(fd, (const struct sockaddr *)&address, size) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        perror("bench_floor");
        _exit(1);
    }
    peer_create(floor, role, fd);
    return ntohs(address.sin_port);
}

static bool options_read(int argc, char **argv, uint64_t *ret_flush_ms, bool *ret_ring)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--io-uring") == 0)
            *ret_ring = true;
        else if (strcmp(argv[i], "--flush-ms") != 0 || i + 1 == argc ||
                 !slice_to_uint64(slice_of(argv[++i]), FLUSH_MS_MAX, ret_flush_ms))
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    uint64_t flush_ms = 0;
    bool with_ring = false;
    if (!options_read(argc, argv, &flush_ms, &with_ring)) {
        fputs("usage: bench_floor [--flush-ms N] [--io-uring]\n", stderr);
        return 2;
    }
    struct floor *floor = memory_alloc(sizeof *floor);
    int failed = with_ring ? floor_ring_create(&floor->ring) : 0;
    if (failed != 0) {
        fprintf(stderr, "bench_floor: no io_uring: %s (errno %d)\n", strerror(-failed), -failed);
        return 1;
    }
    floor->flush_ns = (int64_t)flush_ms * NS_PER_MS;
    (void)process_raise_files(FILES_WANTED);
    signal(SIGPIPE, SIG_IGN);
    floor->epoll = epoll_create1(EPOLL_CLOEXEC);
    floor->log = memory_alloc(LOG_SIZE);
    floor->input = memory_alloc(READ_SIZE);
    unsigned port = listen_on(floor, ROLE_LISTENER);
    unsigned source_port = listen_on(floor, ROLE_SOURCE_LISTENER);
    printf("{\"url\":\"ws://127.0.0.1:%u/\",\"source\":\"127.0.0.1:%u\"}\n", port, source_port);
    fflush(stdout);
    run(floor);
}
