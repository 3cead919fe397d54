/* SPDX-License-Identifier: Apache-2.0 */
/* A process and not a thread, so that neither the server's nor the clients' work delays it more
 * than the kernel does, and its time counts for neither. */
#include "bench/source.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/slice.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define US_PER_S 1000000
#define NS_PER_US 1000
#define TIMER_SLACK_NS 1000
#define WRITE_MAX 128   /* messages in one write: a late source does not swamp the server */
#define WAIT_MIN_US 100 /* several messages share a write rather than more often than this */
#define HOST_MAX 256

/* ---- messages ---- */

char *source_message(char *out, uint32_t size, uint64_t number, int64_t due_us)
{
    static const char pad[] = ",\"pad\":\"";
    assert(size >= SOURCE_SIZE_MIN);
    long long due = (long long)due_us;
    int head = snprintf(out, size,
                        "{\"type\":\"trade\",\"seq\":%llu,\"exchange\":\"bench\","
                        "\"symbol\":\"BTC-USDT\",\"ts\":%lld,\"recv\":%lld,\"id\":\"%llu\","
                        "\"price\":\"116208.%02u\",\"size\":\"0.0%03u1\",\"side\":\"%s\"%s",
                        (unsigned long long)number, due, due, (unsigned long long)number,
                        (unsigned)(number % 90 + 10), (unsigned)(number % 1000),
                        number % 2 == 0 ? "buy" : "sell", pad);
    assert(head > 0 && (uint32_t)head <= size - 2);
    memset(out + head, 'x', size - 2 - (uint32_t)head);
    memcpy(out + size - 2, "\"}\n", 3);
    return out + size + 1;
}

/* ---- the process ---- */

struct source {
    struct source_options options;
    int fd;
    char *text; /* owned; WRITE_MAX messages */
    int64_t start_us;
    uint64_t sent;
};

static int64_t due_us(const struct source *source, uint64_t number)
{
    return source->start_us + (int64_t)(number * US_PER_S / source->options.rate);
}

static bool write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            return false;
        if (sent > 0) {
            data += sent;
            size -= (size_t)sent;
        }
    }
    return true;
}

/* What is due by now; false when the server is gone. */
static bool source_send_due(struct source *source)
{
    int64_t now_us = clock_wall_us();
    char *at = source->text;
    for (int i = 0; i < WRITE_MAX && due_us(source, source->sent) <= now_us; i++) {
        at = source_message(at, source->options.size, source->sent + 1,
                            due_us(source, source->sent));
        source->sent++;
    }
    return write_all(source->fd, source->text, (size_t)(at - source->text));
}

/* Until the next message is due; false when the server has closed. */
static bool source_wait(const struct source *source)
{
    int64_t wait_us = due_us(source, source->sent) - clock_wall_us();
    if (wait_us < 0)
        return true;
    if (wait_us < WAIT_MIN_US)
        wait_us = WAIT_MIN_US;
    struct timespec timeout = {.tv_sec = wait_us / US_PER_S,
                               .tv_nsec = wait_us % US_PER_S * NS_PER_US};
    struct pollfd server = {.fd = source->fd, .events = POLLIN};
    return ppoll(&server, 1, &timeout, NULL) <= 0;
}

static NO_RETURN void source_run(const struct source_options *options, int fd)
{
    struct source source = {.options = *options, .fd = fd};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
    source.text = memory_array(WRITE_MAX, options->size + 1);
    source.start_us = clock_wall_us();
    while (source_send_due(&source) && source_wait(&source))
        ;
    _exit(0);
}

/* ---- starting it ---- */

int socket_connect(const char *host, const char *port, struct err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *info = NULL;
    int unknown = getaddrinfo(host, port, &hints, &info);
    if (unknown != 0)
        return err_set(err, -EINVAL, "%s: %s", host, gai_strerror(unknown));
    const int on = 1;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int failed = fd < 0 || connect(fd, info->ai_addr, info->ai_addrlen) != 0 ? errno : 0;
    freeaddrinfo(info);
    if (failed != 0) {
        if (fd >= 0)
            close(fd);
        return err_set(err, -failed, "cannot connect to %s port %s: %s", host, port,
                       strerror(failed));
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static int source_connect(const char *address, struct err *err)
{
    char host[HOST_MAX];
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address)
        return err_set(err, -EINVAL, "the source's server is HOST:PORT, not %s", address);
    struct slice left = {.data = address, .size = (size_t)(colon - address)};
    if (left.size > 2 && left.data[0] == '[' && left.data[left.size - 1] == ']')
        left = (struct slice){.data = left.data + 1, .size = left.size - 2};
    if (!slice_copy(left, host, sizeof host))
        return err_set(err, -EINVAL, "too long a host: %s", address);
    return socket_connect(host, colon + 1, err);
}

int source_start(const struct source_options *options, pid_t *ret_process, struct err *err)
{
    assert(options->rate > 0 && options->rate <= SOURCE_RATE_MAX);
    assert(options->size >= SOURCE_SIZE_MIN && options->size <= SOURCE_SIZE_MAX);
    int fd = source_connect(options->address, err);
    if (fd < 0)
        return fd;
    pid_t process = fork();
    if (process == 0)
        source_run(options, fd);
    int failed = errno;
    close(fd);
    if (process < 0)
        return err_set(err, -failed, "cannot start the source: %s", strerror(failed));
    *ret_process = process;
    return 0;
}

void source_stop(pid_t process)
{
    if (kill(process, SIGKILL) == 0)
        waitpid(process, NULL, 0);
}
