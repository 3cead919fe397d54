/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How threads may share a port: who accepts a burst of connections how fast, how evenly the threads
 * share them, and how often they are woken. Nothing but accepting: what a gateway does with a
 * connection afterwards is the same in each way.
 *
 *     bench_listeners [--threads N] [--connections M] [--repeat R]
 *
 *     acceptor     one thread accepts and hands the sockets out in turn, each woken by an eventfd
 *     reuseport    a listening socket for each thread (SO_REUSEPORT): the kernel hashes
 *     shared       one listening socket in each thread's epoll, EPOLLEXCLUSIVE, one accept a wake
 *     shared_all   the same, accepting until there is nothing more
 *
 * The connections come from a process of its own, all at once. It says one JSON line for each way
 * and repetition, and one about a second process that wants a port shared by SO_REUSEPORT. Figures
 * of this machine only; a count that is wrong ends it with status 1.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "base/slice.h"
#include "bench/process.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS_MAX 64
#define CONNECTIONS_MAX 25000 /* of one source address */
#define REPEAT_MAX 100
#define BACKLOG 4096
#define TICK_MS 50
#define TIMEOUT_NS (INT64_C(20) * 1000000000)
#define NS_PER_US 1000
#define FILES_OTHER 500

enum way { WAY_ACCEPTOR, WAY_REUSEPORT, WAY_SHARED, WAY_SHARED_ALL, WAY_COUNT };

static const char *const way_names[] = {"acceptor", "reuseport", "shared", "shared_all"};

struct handed { /* from the acceptor, under the lock */
    pthread_mutex_t lock;
    int event; /* an eventfd */
    uint32_t count;
    int fds[CONNECTIONS_MAX];
};

struct worker {
    struct trial *trial; /* borrowed */
    pthread_t thread;
    int epoll, listener; /* listener -1: it gets sockets handed */
    struct handed handed;
    bool hands_over;                   /* it is the acceptor */
    uint32_t accepted, wakeups, empty; /* empty: woken for nothing */
    int64_t last_ns;                   /* when it got its last connection */
    int *fds;                          /* owned; those it keeps */
};

struct trial {
    enum way way;
    uint32_t threads; /* that keep connections */
    uint32_t connections;
    int64_t start_ns;
    pthread_mutex_t lock;
    uint32_t kept; /* under the lock */
    struct sockaddr_in address;
    struct worker workers[THREADS_MAX + 1];
};

/* ---- workers ---- */

static uint32_t kept_now(struct trial *trial)
{
    pthread_mutex_lock(&trial->lock);
    uint32_t kept = trial->kept;
    pthread_mutex_unlock(&trial->lock);
    return kept;
}

static void keep(struct worker *worker, int fd)
{
    worker->fds[worker->accepted++] = fd;
    worker->last_ns = clock_monotonic_ns();
}

/* Told once a wake-up, not for each connection. */
static void tell_kept(struct worker *worker, uint32_t before)
{
    pthread_mutex_lock(&worker->trial->lock);
    worker->trial->kept += worker->accepted - before;
    pthread_mutex_unlock(&worker->trial->lock);
}

static void hand_over(struct worker *worker, int fd)
{
    uint64_t one = 1;
    struct handed *target =
        &worker->trial->workers[worker->accepted++ % worker->trial->threads].handed;
    pthread_mutex_lock(&target->lock);
    assert(target->count < CONNECTIONS_MAX);
    target->fds[target->count++] = fd;
    bool first = target->count == 1;
    pthread_mutex_unlock(&target->lock);
    if (first)
        (void)!write(target->event, &one, sizeof one);
}

static void take_handed(struct worker *worker)
{
    uint64_t count = 0;
    (void)!read(worker->handed.event, &count, sizeof count);
    pthread_mutex_lock(&worker->handed.lock);
    for (uint32_t i = 0; i < worker->handed.count; i++)
        keep(worker, worker->handed.fds[i]);
    worker->handed.count = 0;
    pthread_mutex_unlock(&worker->handed.lock);
}

static void accept_some(struct worker *worker)
{
    bool one = worker->trial->way == WAY_SHARED;
    bool any = false;
    for (;;) {
        int fd = accept4(worker->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            break;
        any = true;
        if (worker->hands_over)
            hand_over(worker, fd);
        else
            keep(worker, fd);
        if (one)
            break;
    }
    worker->empty += !any;
}

static void *worker_run(void *context)
{
    struct worker *worker = context;
    struct trial *trial = worker->trial;
    struct epoll_event event;
    while (kept_now(trial) < trial->connections &&
           clock_monotonic_ns() < trial->start_ns + TIMEOUT_NS) {
        uint32_t before = worker->accepted;
        if (epoll_wait(worker->epoll, &event, 1, TICK_MS) <= 0)
            continue;
        worker->wakeups++;
        if (worker->listener >= 0)
            accept_some(worker);
        else
            take_handed(worker);
        if (!worker->hands_over)
            tell_kept(worker, before);
    }
    return NULL;
}

/* ---- listening ---- */

/* A bound socket; its port becomes the address's. A negative errno when it may not be. */
static int bind_on(struct sockaddr_in *address, bool reuse_port)
{
    const int on = 1;
    socklen_t size = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (reuse_port)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (bind(fd, (const struct sockaddr *)address, size) != 0) {
        int failed = errno;
        close(fd);
        return -failed;
    }
    (void)getsockname(fd, (struct sockaddr *)address, &size);
    return fd;
}

static int listen_on(struct sockaddr_in *address, bool reuse_port)
{
    int fd = bind_on(address, reuse_port);
    int failed = fd < 0 ? -fd : listen(fd, BACKLOG);
    if (failed != 0) {
        fprintf(stderr, "bench_listeners: cannot listen: %s\n", strerror(errno));
        _exit(1);
    }
    return fd;
}

static void watch(struct worker *worker, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events};
    worker->epoll = epoll_create1(EPOLL_CLOEXEC);
    int failed = epoll_ctl(worker->epoll, EPOLL_CTL_ADD, fd, &event);
    assert(failed == 0);
    (void)failed;
}

static void worker_open(struct trial *trial, uint32_t index, int shared)
{
    struct worker *worker = &trial->workers[index];
    worker->trial = trial;
    worker->listener = -1;
    worker->fds = memory_array(CONNECTIONS_MAX, sizeof *worker->fds);
    switch (trial->way) {
    case WAY_ACCEPTOR:
        pthread_mutex_init(&worker->handed.lock, NULL);
        worker->handed.event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        watch(worker, worker->handed.event, EPOLLIN);
        break;
    case WAY_REUSEPORT:
        worker->listener = index == 0 ? shared : listen_on(&trial->address, true);
        watch(worker, worker->listener, EPOLLIN);
        break;
    case WAY_SHARED:
    case WAY_SHARED_ALL:
        worker->listener = shared;
        watch(worker, worker->listener, EPOLLIN | EPOLLEXCLUSIVE);
        break;
    case WAY_COUNT:
        break;
    }
}

/* Behind the workers that keep connections. */
static void acceptor_open(struct trial *trial, int listener)
{
    struct worker *worker = &trial->workers[trial->threads];
    worker->trial = trial;
    worker->listener = listener;
    worker->hands_over = true;
    watch(worker, listener, EPOLLIN);
}

/* ---- the other end ---- */

static NO_RETURN void connect_all(const struct trial *trial, int start)
{
    char byte = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)!read(start, &byte, 1);
    for (uint32_t i = 0; i < trial->connections; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (connect(fd, (const struct sockaddr *)&trial->address, sizeof trial->address) != 0 &&
            errno != EINPROGRESS) {
            perror("bench_listeners: connect");
            _exit(1);
        }
    }
    for (;;)
        pause();
}

/* Its connections end with it. */
static void other_end_stop(pid_t process)
{
    kill(process, SIGKILL);
    waitpid(process, NULL, 0);
}

/* ---- one trial ---- */

static void trial_open(struct trial *trial)
{
    bool reuse_port = trial->way == WAY_REUSEPORT;
    trial->address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    pthread_mutex_init(&trial->lock, NULL);
    int listener = listen_on(&trial->address, reuse_port);
    for (uint32_t i = 0; i < trial->threads; i++)
        worker_open(trial, i, listener);
    if (trial->way == WAY_ACCEPTOR)
        acceptor_open(trial, listener);
}

static uint32_t trial_threads(const struct trial *trial)
{
    return trial->threads + (trial->way == WAY_ACCEPTOR);
}

static void worker_close(struct worker *worker)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    for (uint32_t i = 0; i < worker->accepted && worker->fds != NULL; i++) {
        (void)setsockopt(worker->fds[i], SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(worker->fds[i]);
    }
    close(worker->epoll);
    if (worker->handed.event > 0)
        close(worker->handed.event);
    memory_free(worker->fds);
}

static void trial_close(struct trial *trial)
{
    int last = -1; /* a shared one is closed once */
    for (uint32_t i = 0; i < trial_threads(trial); i++) {
        int listener = trial->workers[i].listener;
        worker_close(&trial->workers[i]);
        if (listener >= 0 && listener != last)
            close(listener);
        last = listener;
    }
}

static void trial_print(const struct trial *trial, int64_t used_us)
{
    uint32_t most = 0;
    uint32_t least = UINT32_MAX;
    uint32_t wakeups = 0;
    uint32_t empty = 0;
    int64_t last_ns = trial->start_ns;
    for (uint32_t i = 0; i < trial_threads(trial); i++) {
        const struct worker *worker = &trial->workers[i];
        wakeups += worker->wakeups;
        empty += worker->empty;
        if (worker->hands_over)
            continue;
        most = worker->accepted > most ? worker->accepted : most;
        least = worker->accepted < least ? worker->accepted : least;
        last_ns = worker->last_ns > last_ns ? worker->last_ns : last_ns;
    }
    printf("{\"way\":\"%s\",\"threads\":%u,\"connections\":%u,\"all_us\":%lld,"
           "\"cpu_us\":%lld,\"most\":%u,\"least\":%u,\"wakeups\":%u,\"wakeups_empty\":%u}\n",
           way_names[trial->way], trial->threads, trial->kept,
           (long long)((last_ns - trial->start_ns) / NS_PER_US), (long long)used_us, most, least,
           wakeups, empty);
    fflush(stdout);
}

/* False when connections were lost. */
static bool trial_run(struct trial *trial)
{
    int start[2];
    int failed = pipe(start);
    assert(failed == 0);
    trial_open(trial);
    pid_t other_end = fork();
    if (other_end == 0)
        connect_all(trial, start[0]);
    assert(other_end > 0);
    int64_t used_us = process_own_cpu_us();
    trial->start_ns = clock_monotonic_ns();
    for (uint32_t i = 0; i < trial_threads(trial); i++) {
        failed = pthread_create(&trial->workers[i].thread, NULL, worker_run, &trial->workers[i]);
        assert(failed == 0);
    }
    trial->start_ns = clock_monotonic_ns();
    (void)!write(start[1], "x", 1);
    for (uint32_t i = 0; i < trial_threads(trial); i++)
        pthread_join(trial->workers[i].thread, NULL);
    trial_print(trial, process_own_cpu_us() - used_us);
    other_end_stop(other_end);
    trial_close(trial);
    close(start[0]);
    close(start[1]);
    return trial->kept == trial->connections;
}

/* ---- a second process on the port ---- */

static const char *second_bind(const struct sockaddr_in *address, bool reuse_port)
{
    struct sockaddr_in same = *address;
    int fd = bind_on(&same, reuse_port);
    int failed = fd < 0 ? -fd : listen(fd, BACKLOG);
    if (fd >= 0)
        close(fd);
    return failed == 0 ? "let in" : "refused";
}

/* Whether taking the option off the sockets, once all of them are there, keeps a second one out. */
static void print_second(void)
{
    const int off = 0;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fds[] = {listen_on(&address, true), listen_on(&address, true)};
    const char *plain = second_bind(&address, false);
    const char *shared = second_bind(&address, true);
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        (void)setsockopt(fds[i], SOL_SOCKET, SO_REUSEPORT, &off, sizeof off);
    printf("{\"second\":{\"plain\":\"%s\",\"with_reuseport\":\"%s\","
           "\"with_reuseport_once_taken_off\":\"%s\"}}\n",
           plain, shared, second_bind(&address, true));
    close(fds[0]);
    close(fds[1]);
}

/* ---- the command ---- */

static bool options_read(int argc, char **argv, uint64_t *threads, uint64_t *connections,
                         uint64_t *repeat)
{
    for (int i = 1; i < argc; i += 2) {
        uint64_t *value = strcmp(argv[i], "--threads") == 0       ? threads
                          : strcmp(argv[i], "--connections") == 0 ? connections
                          : strcmp(argv[i], "--repeat") == 0      ? repeat
                                                                  : NULL;
        uint64_t max = value == threads       ? THREADS_MAX
                       : value == connections ? CONNECTIONS_MAX
                                              : REPEAT_MAX;
        if (value == NULL || i + 1 == argc || !slice_to_uint64(slice_of(argv[i + 1]), max, value) ||
            *value == 0)
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    uint64_t threads = 2;
    uint64_t connections = 10000;
    uint64_t repeat = 3;
    bool good = true;
    if (!options_read(argc, argv, &threads, &connections, &repeat)) {
        fputs("usage: bench_listeners [--threads N] [--connections M] [--repeat R]\n", stderr);
        return 2;
    }
    if (process_raise_files(connections + FILES_OTHER) < connections + FILES_OTHER) {
        fputs("bench_listeners: not as many open files are allowed (ulimit -n)\n", stderr);
        return 1;
    }
    print_second();
    for (uint64_t i = 0; i < repeat * WAY_COUNT; i++) {
        struct trial *trial = memory_alloc(sizeof *trial);
        trial->way = (enum way)((i + i / WAY_COUNT) % WAY_COUNT); /* none is always the first */
        trial->threads = (uint32_t)threads;
        trial->connections = (uint32_t)connections;
        good = trial_run(trial) && good;
        memory_free(trial);
    }
    return good ? 0 : 1;
}
