/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries go through the ring as a head and a text, one copy, no system call but a wake now and
 * then: what a message costs the loop is what copying it costs. The thread looks into the ring
 * every LOOK_MS, or when it was woken because much is waiting, and makes lines of everything there.
 */
#include "sim/recorder.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/ring.h"
#include "sim/recorder_file.h"
#include "sim/recorder_line.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LOOK_MS 100
#define WAKES_A_QUEUE 8 /* the thread is woken when this part of the queue was put */

struct head { /* stands before the text in the ring */
    uint64_t number;
    uint64_t lost; /* not 0: no entry, but the count of those left out before this */
    int64_t wall_us;
    uint32_t connection;
    uint16_t code;
    uint8_t exchange;
    uint8_t kind;
};

struct recorder {
    struct recorder_options options;
    char *name; /* owned: options.file */
    struct ring *ring;
    int wake_fd;
    pthread_t thread;

    /* the caller's */
    struct buffer entry; /* head and text, as they go into the ring */
    uint64_t next_number, entries, lost, untold;
    size_t unwoken; /* bytes put since the thread was woken */

    /* the thread's */
    struct recorder_file *file;
    struct buffer lines;
    int64_t lines_ns; /* since when the first of them waits */

    pthread_mutex_t mutex; /* guards the rest */
    bool stopping;
    struct err failure; /* code 0: none */
    uint64_t text_bytes, file_bytes;
    uint32_t files;
};

/* ---- the thread ---- */

static void note(struct recorder *recorder, size_t text_bytes, const struct err *failure)
{
    pthread_mutex_lock(&recorder->mutex);
    recorder->text_bytes += text_bytes;
    recorder_file_describe(recorder->file, &recorder->file_bytes, &recorder->files);
    if (failure != NULL)
        recorder->failure = *failure;
    pthread_mutex_unlock(&recorder->mutex);
}

static bool is_stopping(struct recorder *recorder)
{
    pthread_mutex_lock(&recorder->mutex);
    bool stopping = recorder->stopping;
    pthread_mutex_unlock(&recorder->mutex);
    return stopping;
}

static bool write_frame(struct recorder *recorder)
{
    struct err err = {0};
    size_t size = recorder->lines.size;
    if (size == 0)
        return true;
    bool written = recorder_file_write(recorder->file, buffer_slice(&recorder->lines), &err) == 0;
    note(recorder, written ? size : 0, written ? NULL : &err);
    buffer_clear(&recorder->lines);
    return written;
}

static void add_line(struct recorder *recorder, struct slice record)
{
    struct head head;
    memcpy(&head, record.data, sizeof head);
    if (recorder->lines.size == 0)
        recorder->lines_ns = clock_monotonic_ns();
    if (head.lost > 0) {
        recorder_line_lost(&recorder->lines, head.wall_us, head.number, head.lost);
        return;
    }
    struct recorder_entry entry = {
        .kind = (enum recorder_kind)head.kind,
        .exchange = head.exchange,
        .code = head.code,
        .connection = head.connection,
        .wall_us = head.wall_us,
        .text = {.data = record.data + sizeof head, .size = record.size - sizeof head},
    };
    recorder_line(&recorder->lines, &entry, head.number,
                  recorder->options.exchanges[head.exchange]);
}

/* Everything that waits now; frames as they fill. False: the disk takes no more. */
static bool take_all(struct recorder *recorder)
{
    struct slice record;
    while (ring_peek(recorder->ring, &record)) {
        add_line(recorder, record);
        ring_release(recorder->ring);
        assert(!recorder->lines.overflowed);
        if (recorder->lines.size >= RECORDER_FRAME && !write_frame(recorder))
            return false;
    }
    if (recorder->lines.size > 0 &&
        clock_monotonic_ns() - recorder->lines_ns >= RECORDER_FRAME_NS - LOOK_MS * INT64_C(1000000))
        return write_frame(recorder);
    return true;
}

static void await_more(struct recorder *recorder)
{
    uint64_t count;
    struct pollfd woken = {.fd = recorder->wake_fd, .events = POLLIN};
    if (poll(&woken, 1, LOOK_MS) > 0 && read(recorder->wake_fd, &count, sizeof count) < 0)
        assert(errno == EAGAIN || errno == EINTR);
}

static void *run(void *context)
{
    struct recorder *recorder = context;
    for (;;) {
        bool stopping = is_stopping(recorder); /* before the last look */
        if (!take_all(recorder))
            return NULL;
        if (stopping) {
            write_frame(recorder);
            return NULL;
        }
        await_more(recorder);
    }
}

static void wake(struct recorder *recorder)
{
    const uint64_t one = 1;
    recorder->unwoken = 0;
    ssize_t written = write(recorder->wake_fd, &one, sizeof one);
    assert(written == (ssize_t)sizeof one || errno == EAGAIN);
}

/* ---- the caller's side ---- */

static bool put(struct recorder *recorder, const struct head *head, struct slice text)
{
    buffer_clear(&recorder->entry);
    buffer_append(&recorder->entry, head, sizeof *head);
    buffer_append_slice(&recorder->entry, text);
    if (recorder->entry.overflowed || !ring_write(recorder->ring, buffer_slice(&recorder->entry)))
        return false;
    recorder->unwoken += recorder->entry.size;
    if (recorder->unwoken >= recorder->options.queue_size / WAKES_A_QUEUE)
        wake(recorder);
    return true;
}

/* What was left out is said before anything else is. */
static bool tell_lost(struct recorder *recorder, int64_t wall_us)
{
    if (recorder->untold == 0)
        return true;
    struct head head = {
        .number = recorder->next_number, .lost = recorder->untold, .wall_us = wall_us};
    if (!put(recorder, &head, (struct slice){0}))
        return false;
    recorder->next_number++;
    recorder->untold = 0;
    return true;
}

bool recorder_put(struct recorder *recorder, const struct recorder_entry *entry)
{
    assert(entry->exchange < recorder->options.exchange_count);
    recorder->entries++;
    if (tell_lost(recorder, entry->wall_us)) {
        struct head head = {
            .number = recorder->next_number,
            .wall_us = entry->wall_us,
            .connection = entry->connection,
            .code = entry->code,
            .exchange = entry->exchange,
            .kind = (uint8_t)entry->kind,
        };
        if (put(recorder, &head, entry->text)) {
            recorder->next_number++;
            return true;
        }
    }
    recorder->lost++;
    recorder->untold++;
    return false;
}

int recorder_check(struct recorder *recorder, struct err *err)
{
    pthread_mutex_lock(&recorder->mutex);
    struct err failure = recorder->failure;
    pthread_mutex_unlock(&recorder->mutex);
    if (failure.code != 0 && err != NULL)
        *err = failure;
    return failure.code;
}

void recorder_describe(struct recorder *recorder, struct recorder_totals *ret_totals)
{
    pthread_mutex_lock(&recorder->mutex);
    *ret_totals = (struct recorder_totals){
        .entries = recorder->entries,
        .lost = recorder->lost,
        .text_bytes = recorder->text_bytes,
        .file_bytes = recorder->file_bytes,
        .files = recorder->files,
    };
    pthread_mutex_unlock(&recorder->mutex);
}

/* ---- making and ending ---- */

static void release(struct recorder *recorder)
{
    if (recorder->wake_fd >= 0)
        close(recorder->wake_fd);
    pthread_mutex_destroy(&recorder->mutex);
    buffer_release(&recorder->entry);
    buffer_release(&recorder->lines);
    ring_destroy(recorder->ring);
    memory_free(recorder->name);
    memory_free(recorder);
}

static int start(struct recorder *recorder, struct err *err)
{
    if (recorder->wake_fd < 0)
        return err_set(err, -errno, "eventfd: %s", strerror(errno));
    int result = recorder_file_open(&recorder->options, &recorder->file, err);
    if (result < 0)
        return result;
    recorder_file_describe(recorder->file, &recorder->file_bytes, &recorder->files);
    int code = pthread_create(&recorder->thread, NULL, run, recorder);
    if (code == 0)
        return 0;
    recorder_file_close(recorder->file, NULL);
    return err_set(err, -code, "cannot start a thread: %s", strerror(code));
}

int recorder_open(const struct recorder_options *options, struct recorder **ret_recorder,
                  struct err *err)
{
    struct recorder *recorder = memory_alloc(sizeof *recorder);
    recorder->options = *options;
    recorder->name = memory_copy_text(options->file);
    recorder->options.file = recorder->name;
    if (recorder->options.queue_size == 0)
        recorder->options.queue_size = RECORDER_QUEUE;
    recorder->ring = ring_create(recorder->options.queue_size);
    buffer_init(&recorder->entry, sizeof(struct head) + LIMIT_EXCHANGE_MESSAGE);
    buffer_init(&recorder->lines, RECORDER_FRAME + RECORDER_LINE_MAX);
    pthread_mutex_init(&recorder->mutex, NULL);
    recorder->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int result = start(recorder, err);
    if (result < 0) {
        release(recorder);
        return result;
    }
    *ret_recorder = recorder;
    return 0;
}

int recorder_close(struct recorder *recorder, struct err *err)
{
    pthread_mutex_lock(&recorder->mutex);
    recorder->stopping = true;
    pthread_mutex_unlock(&recorder->mutex);
    wake(recorder);
    pthread_join(recorder->thread, NULL);
    if (recorder->untold > 0 && recorder_check(recorder, NULL) == 0) {
        recorder_line_lost(&recorder->lines, clock_wall_us(), recorder->next_number,
                           recorder->untold);
        write_frame(recorder);
    }
    int result = recorder_check(recorder, err);
    int closed = recorder_file_close(recorder->file, result == 0 ? err : NULL);
    release(recorder);
    return result < 0 ? result : closed;
}
