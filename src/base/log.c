/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From any thread into the ring, and from the ring to stderr by one thread.
 *
 * The ring knows one writer only, and a call site's rate window is shared by the threads that pass
 * it; so a mutex guards the sites, the ring's writing end and the state below. It is held while one
 * line is formatted, never while anything is written, so a stderr that blocks holds up nobody. The
 * exception is the time before log_start and after log_stop, when there is one thread.
 */
#include "base/log.h"

#include "base/clock.h"
#include "base/log_priv.h"
#include "base/metrics.h"
#include "base/ring.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#define SECOND_NS 1000000000
#define POLL_MS 100
#define STOP_POLLS 10 /* how long log_stop waits for a blocked stderr: a second */
/* A pipe that polls as writable takes this much without blocking (POSIX). */
#define WRITE_MAX 4096

static_assert(LIMIT_LOG_LINE <= WRITE_MAX, "a line is written at once");

/* Read by every thread before it formats anything; relaxed, since a line more or less around a
 * reload does not matter. */
static _Atomic int level_now = LOG_INFO;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards the five below, and the sites */
static enum log_format format_now = LOG_LOGFMT;
static bool running;
static struct ring *ring; /* owned while running; its reading end is the thread's, without mutex */
static struct metric *lost;
static struct log_line line_now;

static pthread_t thread;
static int64_t said; /* the writing thread's: how many lost lines it has told of */
static sem_t wanted; /* posted after each line, and to stop */
/* Relaxed: the semaphore that follows it orders it. */
static _Atomic bool stopping;

void log_configure(enum log_level level, enum log_format format)
{
    pthread_mutex_lock(&mutex);
    format_now = format;
    pthread_mutex_unlock(&mutex);
    atomic_store_explicit(&level_now, (int)level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&level_now, memory_order_relaxed);
}

/* False: this site has had its lines for this second. */
static bool site_admits(struct log_site *site, uint32_t *ret_held_back)
{
    int64_t now_ns = clock_monotonic_ns();
    if (site->lines == 0 || now_ns - site->window_start_ns >= SECOND_NS) {
        site->window_start_ns = now_ns;
        site->lines = 0;
    }
    if (site->lines == LIMIT_LOG_SITE_PER_SECOND) {
        site->held_back++;
        return false;
    }
    site->lines++;
    *ret_held_back = site->held_back;
    site->held_back = 0;
    return true;
}

static void write_directly(const char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(STDERR_FILENO, data, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return; /* nowhere left to say it */
        data += written;
        size -= (size_t)written;
    }
}

void log_write(struct log_site *site, enum log_level level, const char *part,
               const struct log_field *fields)
{
    assert(site != NULL);
    assert(part != NULL);
    pthread_mutex_lock(&mutex);
    struct log_head head = {.level = level, .part = part};
    bool is_queued = false;
    if (site_admits(site, &head.held_back)) {
        head.wall_us = clock_wall_us();
        log_line_write(&line_now, format_now, &head, fields);
        struct slice record = {.data = line_now.text, .size = line_now.size};
        if (!running)
            write_directly(record.data, record.size);
        else if (ring_write(ring, record))
            is_queued = true;
        else
            metric_add(lost, 1);
    }
    /* Inside the mutex, so that log_stop cannot take the semaphore away in between. */
    if (is_queued)
        sem_post(&wanted);
    pthread_mutex_unlock(&mutex);
}

/* Waits until stderr takes bytes; false when we are told to stop and it still does not. */
static bool wait_writable(int *polls_left)
{
    for (;;) {
        struct pollfd stderr_poll = {.fd = STDERR_FILENO, .events = POLLOUT};
        int ready = poll(&stderr_poll, 1, POLL_MS);
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return false;
        if (atomic_load_explicit(&stopping, memory_order_relaxed) && --*polls_left <= 0)
            return false;
    }
}

/* Puts a line of its own into the empty batch, when there is something to say. */
static size_t say_lost(char *batch)
{
    int64_t now = metric_value(lost);
    if (now == said)
        return 0;
    static struct log_line line; /* the writing thread's */
    struct log_head head = {.wall_us = clock_wall_us(), .level = LOG_WARN, .part = "log"};
    struct log_field fields[] = {
        log_text("msg", "lines dropped, stderr is too slow"),
        log_int("lost", now - said),
        {.key = NULL},
    };
    pthread_mutex_lock(&mutex);
    enum log_format format = format_now;
    pthread_mutex_unlock(&mutex);
    log_line_write(&line, format, &head, fields);
    memcpy(batch, line.text, line.size);
    said = now;
    return line.size;
}

/* Adds as many whole lines as one write may take; returns the new size. */
static size_t take_lines(char *batch, size_t size)
{
    struct slice record;
    while (ring_peek(ring, &record) && size + record.size <= WRITE_MAX) {
        memcpy(batch + size, record.data, record.size);
        size += record.size;
        ring_release(ring);
    }
    return size;
}

static void *write_lines(void *context)
{
    (void)context;
    static char batch[WRITE_MAX];
    int polls_left = STOP_POLLS;
    for (;;) {
        size_t size = take_lines(batch, say_lost(batch));
        if (size > 0) {
            if (!wait_writable(&polls_left))
                return NULL;
            write_directly(batch, size);
            continue;
        }
        if (atomic_load_explicit(&stopping, memory_order_relaxed))
            return NULL;
        while (sem_wait(&wanted) != 0 && errno == EINTR)
            continue;
    }
}

/* Signals are the main thread's; a broken stderr is an error code here, not a SIGPIPE. */
static void start_thread(void)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = pthread_create(&thread, NULL, write_lines, NULL);
    assert(result == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void log_start(void)
{
    assert(!running);
    lost = metric_series(METRIC_LOG_LINES_LOST, "");
    said = metric_value(lost);
    ring = ring_create(LIMIT_LOG_RING);
    atomic_store_explicit(&stopping, false, memory_order_relaxed);
    int result = sem_init(&wanted, 0, 0);
    assert(result == 0);
    start_thread();
    pthread_mutex_lock(&mutex);
    running = true;
    pthread_mutex_unlock(&mutex);
}

void log_stop(void)
{
    pthread_mutex_lock(&mutex);
    bool was_running = running;
    running = false;
    pthread_mutex_unlock(&mutex);
    if (!was_running)
        return;
    atomic_store_explicit(&stopping, true, memory_order_relaxed);
    sem_post(&wanted);
    pthread_join(thread, NULL);
    sem_destroy(&wanted);
    ring_destroy(ring);
    ring = NULL;
}
