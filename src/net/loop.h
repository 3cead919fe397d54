/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One event loop, with its timers and signals, over libuv (whose headers stay in this folder).
 * Everything made on a loop belongs to the thread that runs it; only waker_wake may be called from
 * another.
 */
#pragma once

#include "base/attr.h"

struct loop;
struct timer;
struct waker;

struct loop *loop_create(void) MUST_CHECK;

/* All timers, wakers, listeners and connections of it must have been destroyed; runs what is left
 * of their closing. An address look-up under way is waited for: the system's resolver cannot be
 * told to stop (loop_is_resolving tells). NULL is a no-op. */
void loop_destroy(struct loop *loop);

/* An address look-up is under way. */
bool loop_is_resolving(const struct loop *loop);

/* Until loop_stop. May be run again afterwards. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

typedef void loop_fn(void *context);

/*
 * How another thread reaches this one. waker_wake may be called from any thread: `function` runs
 * once in the loop's turn, soon, however many wakes came until then, and sees what was written
 * before any of them. A loop has as many wakers as it has things that others wake.
 */
struct waker *waker_create_on(struct loop *loop, loop_fn *function, void *context) MUST_CHECK;
void waker_wake(struct waker *waker);

/* No other thread may wake it any more; a wake under way is dropped. NULL is a no-op; allowed
 * inside its own function. */
void waker_destroy(struct waker *waker);

/*
 * Called once at the end of the loop's present turn (all input that was there has been handled),
 * however often asked for during it. One function a loop object: see struct deferred.
 */
struct deferred;
struct deferred *deferred_create(struct loop *loop, loop_fn *function, void *context) MUST_CHECK;
void deferred_schedule(struct deferred *deferred);
void deferred_destroy(
    struct deferred *deferred); /* NULL is a no-op; allowed inside its own function */

struct timer *timer_create_on(struct loop *loop, loop_fn *function, void *context) MUST_CHECK;

/* First after after_ms, then every repeat_ms (0: once). Starting again replaces. */
void timer_start(struct timer *timer, uint64_t after_ms, uint64_t repeat_ms);
void timer_stop(struct timer *timer);
void timer_destroy(struct timer *timer); /* NULL is a no-op; allowed inside its own function */

/* Calls function in the loop's turn when the process gets the signal. Lives as long as the loop. */
void loop_on_signal(struct loop *loop, int signal_number, loop_fn *function, void *context);
