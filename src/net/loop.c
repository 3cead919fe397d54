/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop over libuv. The order of libuv's turn (timers, idle, prepare, poll, check, closing) is
 * what `deferred` rests on: the check phase comes when all input of the turn has been handled, and
 * an active idle handle keeps the poll before it from blocking.
 */
#include "net/loop.h"

#include "base/memory.h"
#include "net/loop_priv.h"

#include <assert.h>
#include <stdatomic.h>

struct deferred {
    struct loop *loop; /* borrowed */
    loop_fn *function;
    void *context;         /* borrowed */
    struct deferred *next; /* while scheduled */
    bool scheduled;
};

struct waker {
    uv_async_t handle;
    loop_fn *function;
    void *context; /* borrowed */
    bool destroyed;
};

struct timer {
    uv_timer_t handle;
    loop_fn *function;
    void *context; /* borrowed */
    bool destroyed;
};

struct signal_handler {
    uv_signal_t handle;
    loop_fn *function;
    void *context; /* borrowed */
    struct signal_handler *next;
};

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* it only has to be there */
}

static struct deferred *deferred_pop(struct loop *loop)
{
    struct deferred *first = loop->deferred_head;
    assert(first->scheduled);
    loop->deferred_head = first->next;
    first->next = NULL;
    first->scheduled = false;
    return first;
}

/* Runs as many as were there at the start: what they schedule anew belongs to the next turn. */
static void on_check(uv_check_t *check)
{
    struct loop *loop = check->data;
    size_t count = 0;
    loop->handshakes = 0;
    for (const struct deferred *each = loop->deferred_head; each != NULL; each = each->next)
        count++;
    while (count > 0 && loop->deferred_head != NULL) {
        struct deferred *first = deferred_pop(loop);
        first->function(first->context);
        count--;
    }
    if (loop->deferred_head == NULL)
        uv_idle_stop(&loop->idle);
}

struct loop *loop_create(void)
{
    struct loop *loop = memory_alloc(sizeof(*loop));
    int failed = uv_loop_init(&loop->uv);
    assert(failed == 0); /* only when the process has no file descriptor for epoll: at start-up */
    (void)failed;
    uv_check_init(&loop->uv, &loop->check);
    uv_idle_init(&loop->uv, &loop->idle);
    loop->check.data = loop;
    uv_check_start(&loop->check, on_check);
    loop->read_buffer = memory_alloc(LIMIT_READ_BUFFER + 1 + LIMIT_PADDING);
    return loop;
}

static void signals_close(struct loop *loop)
{
    for (struct signal_handler *each = loop->signals; each != NULL; each = each->next)
        uv_close((uv_handle_t *)&each->handle, NULL);
}

static void signals_free(struct loop *loop)
{
    while (loop->signals != NULL) {
        struct signal_handler *first = loop->signals;
        loop->signals = first->next;
        memory_free(first);
    }
}

void loop_destroy(struct loop *loop)
{
    if (loop == NULL)
        return;
    assert(loop->deferred_head == NULL);
    uv_close((uv_handle_t *)&loop->check, NULL);
    uv_close((uv_handle_t *)&loop->idle, NULL);
    signals_close(loop);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    int busy = uv_loop_close(&loop->uv);
    assert(busy == 0); /* else a timer, waker, listener or connection is still there */
    (void)busy;
    signals_free(loop);
    memory_free(loop->read_buffer);
    memory_free(loop);
}

bool loop_is_resolving(const struct loop *loop)
{
    return loop->lookups > 0;
}

void loop_run(struct loop *loop)
{
    /* The check handle is always active, so only loop_stop ends this. */
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
    uv_stop(&loop->uv);
}

static void on_wake(uv_async_t *handle)
{
    struct waker *waker = handle->data;
    atomic_thread_fence(memory_order_seq_cst); /* the other half of waker_wake's */
    waker->function(waker->context);
}

struct waker *waker_create_on(struct loop *loop, loop_fn *function, void *context)
{
    assert(function != NULL);
    struct waker *waker = memory_alloc(sizeof(*waker));
    waker->function = function;
    waker->context = context;
    int failed = uv_async_init(&loop->uv, &waker->handle, on_wake);
    assert(failed == 0); /* the loop's first takes a file descriptor: as in loop_create */
    (void)failed;
    waker->handle.data = waker;
    return waker;
}

/* libuv first reads, without a fence, whether a wake is under way. What the caller wrote must be
 * visible before that read: else the loop could have looked already, and this wake be dropped. */
void waker_wake(struct waker *waker)
{
    atomic_thread_fence(memory_order_seq_cst);
    uv_async_send(&waker->handle);
}

static void on_waker_closed(uv_handle_t *handle)
{
    memory_free(handle->data);
}

void waker_destroy(struct waker *waker)
{
    if (waker == NULL)
        return;
    assert(!waker->destroyed);
    waker->destroyed = true;
    uv_close((uv_handle_t *)&waker->handle, on_waker_closed);
}

struct deferred *deferred_create(struct loop *loop, loop_fn *function, void *context)
{
    assert(function != NULL);
    struct deferred *deferred = memory_alloc(sizeof(*deferred));
    deferred->loop = loop;
    deferred->function = function;
    deferred->context = context;
    return deferred;
}

void deferred_schedule(struct deferred *deferred)
{
    if (deferred->scheduled)
        return;
    struct loop *loop = deferred->loop;
    deferred->scheduled = true;
    if (loop->deferred_head == NULL) {
        loop->deferred_head = deferred;
        uv_idle_start(&loop->idle, on_idle);
    } else {
        loop->deferred_tail->next = deferred;
    }
    loop->deferred_tail = deferred;
}

static void deferred_unlink(struct deferred *deferred)
{
    struct loop *loop = deferred->loop;
    struct deferred *previous = NULL;
    for (struct deferred *each = loop->deferred_head; each != deferred; each = each->next) {
        assert(each != NULL);
        previous = each;
    }
    if (previous == NULL)
        loop->deferred_head = deferred->next;
    else
        previous->next = deferred->next;
    if (loop->deferred_tail == deferred)
        loop->deferred_tail = previous;
    if (loop->deferred_head == NULL)
        uv_idle_stop(&loop->idle);
}

void deferred_destroy(struct deferred *deferred)
{
    if (deferred == NULL)
        return;
    if (deferred->scheduled)
        deferred_unlink(deferred);
    memory_free(deferred);
}

static void on_timer(uv_timer_t *handle)
{
    struct timer *timer = handle->data;
    timer->function(timer->context);
}

struct timer *timer_create_on(struct loop *loop, loop_fn *function, void *context)
{
    assert(function != NULL);
    struct timer *timer = memory_alloc(sizeof(*timer));
    timer->function = function;
    timer->context = context;
    uv_timer_init(&loop->uv, &timer->handle);
    timer->handle.data = timer;
    return timer;
}

void timer_start(struct timer *timer, uint64_t after_ms, uint64_t repeat_ms)
{
    assert(!timer->destroyed);
    /* libuv counts from the time at which the turn began; a long turn would shorten the wait. */
    uv_update_time(timer->handle.loop);
    uv_timer_start(&timer->handle, on_timer, after_ms, repeat_ms);
}

void timer_stop(struct timer *timer)
{
    uv_timer_stop(&timer->handle);
}

static void on_timer_closed(uv_handle_t *handle)
{
    memory_free(handle->data);
}

void timer_destroy(struct timer *timer)
{
    if (timer == NULL)
        return;
    assert(!timer->destroyed);
    timer->destroyed = true;
    uv_close((uv_handle_t *)&timer->handle, on_timer_closed);
}

static void on_signal(uv_signal_t *handle, int signal_number)
{
    (void)signal_number;
    struct signal_handler *handler = handle->data;
    handler->function(handler->context);
}

void loop_on_signal(struct loop *loop, int signal_number, loop_fn *function, void *context)
{
    assert(function != NULL);
    struct signal_handler *handler = memory_alloc(sizeof(*handler));
    handler->function = function;
    handler->context = context;
    handler->next = loop->signals;
    loop->signals = handler;
    uv_signal_init(&loop->uv, &handler->handle);
    handler->handle.data = handler;
    int failed = uv_signal_start(&handler->handle, on_signal, signal_number);
    assert(failed == 0); /* only for a number that no handler may be set for */
    (void)failed;
}
