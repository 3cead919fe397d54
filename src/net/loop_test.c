/* SPDX-License-Identifier: Apache-2.0 */
#include "net/loop.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct trace {
    struct loop *loop;
    struct deferred *first;
    struct deferred *second;
    struct timer *timer;
    char text[64];
    unsigned count;
};

static void note(struct trace *trace, const char *what)
{
    size_t size = strlen(trace->text);
    int added = snprintf(trace->text + size, sizeof(trace->text) - size, "%s", what);
    assert_true(size + (size_t)added < sizeof(trace->text));
}

static void on_first(void *context)
{
    note(context, "1");
}

static void on_second(void *context)
{
    struct trace *trace = context;
    note(trace, "2");
}

static void stop(void *context)
{
    struct trace *trace = context;
    note(trace, "s");
    loop_stop(trace->loop);
}

static void schedule_both_twice(void *context)
{
    struct trace *trace = context;
    note(trace, "t");
    deferred_schedule(trace->second);
    deferred_schedule(trace->first);
    deferred_schedule(trace->second);
    deferred_schedule(trace->first);
    note(trace, "e");
}

static void test_deferred_runs_once_at_the_end_of_the_turn(void **state)
{
    (void)state;
    struct trace trace = {.loop = loop_create()};
    trace.first = deferred_create(trace.loop, on_first, &trace);
    trace.second = deferred_create(trace.loop, on_second, &trace);
    struct timer *timer = timer_create_on(trace.loop, schedule_both_twice, &trace);
    struct timer *end = timer_create_on(trace.loop, stop, &trace);
    timer_start(timer, 0, 0);
    timer_start(end, 30, 0);
    loop_run(trace.loop);
    assert_string_equal(trace.text, "te21s");
    timer_destroy(timer);
    timer_destroy(end);
    deferred_destroy(trace.first);
    deferred_destroy(trace.second);
    loop_destroy(trace.loop);
}

static void again(void *context)
{
    struct trace *trace = context;
    trace->count++;
    if (trace->count == 1000)
        loop_stop(trace->loop);
    deferred_schedule(trace->first);
}

static void on_tick(void *context)
{
    ((struct trace *)context)->text[0] = 'x';
}

static void test_deferred_that_goes_on_starves_nobody(void **state)
{
    (void)state;
    struct trace trace = {.loop = loop_create()};
    trace.first = deferred_create(trace.loop, again, &trace);
    trace.timer = timer_create_on(trace.loop, on_tick, &trace);
    timer_start(trace.timer, 0, 0);
    deferred_schedule(trace.first);
    loop_run(trace.loop);
    assert_int_equal(trace.count, 1000);
    assert_int_equal(trace.text[0], 'x');
    deferred_destroy(trace.first); /* while scheduled */
    timer_destroy(trace.timer);
    loop_destroy(trace.loop);
}

static void destroy_the_other(void *context)
{
    struct trace *trace = context;
    note(trace, "d");
    deferred_destroy(trace->second);
    deferred_destroy(trace->first);
    loop_stop(trace->loop);
}

static void test_deferred_destroyed_by_another(void **state)
{
    (void)state;
    struct trace trace = {.loop = loop_create()};
    trace.first = deferred_create(trace.loop, destroy_the_other, &trace);
    trace.second = deferred_create(trace.loop, on_second, &trace);
    deferred_schedule(trace.first);
    deferred_schedule(trace.second);
    loop_run(trace.loop);
    assert_string_equal(trace.text, "d");
    loop_destroy(trace.loop);
}

static void repeat(void *context)
{
    struct trace *trace = context;
    trace->count++;
    if (trace->count < 3)
        return;
    timer_destroy(trace->timer);
    loop_stop(trace->loop);
}

static void test_timer_repeats_and_is_destroyed_inside(void **state)
{
    (void)state;
    struct trace trace = {.loop = loop_create()};
    trace.timer = timer_create_on(trace.loop, repeat, &trace);
    struct timer *stopped = timer_create_on(trace.loop, on_first, &trace);
    timer_start(stopped, 0, 0);
    timer_stop(stopped);
    timer_start(trace.timer, 1, 1);
    loop_run(trace.loop);
    assert_int_equal(trace.count, 3);
    assert_string_equal(trace.text, "");
    timer_destroy(stopped);
    timer_destroy(NULL);
    loop_destroy(trace.loop);
}

/* ---- wakers ---- */

#define WAKING_THREADS 4
#define WAKES 20000

static void test_wakes_are_told_apart_and_run_once(void **state)
{
    (void)state;
    struct trace trace = {.loop = loop_create()};
    struct waker *first = waker_create_on(trace.loop, on_first, &trace);
    struct waker *second = waker_create_on(trace.loop, on_second, &trace);
    struct timer *end = timer_create_on(trace.loop, stop, &trace);
    waker_wake(second);
    waker_wake(second);
    timer_start(end, 30, 0);
    loop_run(trace.loop);
    assert_string_equal(trace.text, "2s");
    waker_wake(first);
    timer_start(end, 30, 0);
    loop_run(trace.loop);
    assert_string_equal(trace.text, "2s1s");
    waker_wake(second); /* dropped */
    waker_destroy(second);
    timer_start(end, 30, 0);
    loop_run(trace.loop);
    assert_string_equal(trace.text, "2s1ss");
    waker_destroy(first);
    waker_destroy(NULL);
    timer_destroy(end);
    loop_destroy(trace.loop);
}

struct waking {
    struct loop *loop;
    struct waker *waker;
    _Atomic unsigned told; /* counted up before each wake */
    unsigned seen;         /* the loop's thread */
    unsigned turns;
};

static void *wake_often(void *context)
{
    struct waking *waking = context;
    for (unsigned i = 0; i < WAKES; i++) {
        atomic_fetch_add_explicit(&waking->told, 1, memory_order_relaxed);
        waker_wake(waking->waker);
    }
    return NULL;
}

static void see(void *context)
{
    struct waking *waking = context;
    waking->seen = atomic_load_explicit(&waking->told, memory_order_relaxed);
    waking->turns++;
    if (waking->seen == WAKING_THREADS * WAKES)
        loop_stop(waking->loop);
}

/* A wake that was lost would leave the loop waiting for ever: what was told last is seen. */
static void test_no_wake_is_lost(void **state)
{
    (void)state;
    struct waking waking = {.loop = loop_create()};
    pthread_t threads[WAKING_THREADS];
    waking.waker = waker_create_on(waking.loop, see, &waking);
    for (size_t i = 0; i < WAKING_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wake_often, &waking), 0);
    loop_run(waking.loop);
    for (size_t i = 0; i < WAKING_THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(waking.seen, WAKING_THREADS * WAKES);
    assert_in_range(waking.turns, 1, WAKING_THREADS * WAKES);
    waker_destroy(waking.waker);
    loop_destroy(waking.loop);
}

static void destroy_both(void *context)
{
    struct waker **wakers = context;
    waker_destroy(wakers[0]);
    waker_destroy(wakers[1]);
    wakers[0] = wakers[1] = NULL;
}

/* Both were woken: whichever runs first ends itself and the other. */
static void test_waker_destroyed_inside(void **state)
{
    (void)state;
    struct trace trace = {.loop = loop_create()};
    struct waker *wakers[2];
    for (size_t i = 0; i < 2; i++)
        wakers[i] = waker_create_on(trace.loop, destroy_both, wakers);
    struct timer *end = timer_create_on(trace.loop, stop, &trace);
    waker_wake(wakers[0]);
    waker_wake(wakers[1]);
    timer_start(end, 30, 0);
    loop_run(trace.loop);
    assert_null(wakers[0]);
    assert_string_equal(trace.text, "s");
    timer_destroy(end);
    loop_destroy(trace.loop);
}

static void test_signal(void **state)
{
    (void)state;
    struct trace trace = {.loop = loop_create()};
    loop_on_signal(trace.loop, SIGUSR1, stop, &trace);
    assert_int_equal(raise(SIGUSR1), 0);
    loop_run(trace.loop);
    assert_string_equal(trace.text, "s");
    loop_destroy(trace.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deferred_runs_once_at_the_end_of_the_turn),
        cmocka_unit_test(test_deferred_that_goes_on_starves_nobody),
        cmocka_unit_test(test_deferred_destroyed_by_another),
        cmocka_unit_test(test_timer_repeats_and_is_destroyed_inside),
        cmocka_unit_test(test_wakes_are_told_apart_and_run_once),
        cmocka_unit_test(test_no_wake_is_lost),
        cmocka_unit_test(test_waker_destroyed_inside),
        cmocka_unit_test(test_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
