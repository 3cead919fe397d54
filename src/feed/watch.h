/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The age of data, judged by its own rate: of a connection, of a channel, of one channel of one
 * symbol. Silence alone proves nothing (a quiet market is not stale), so a watch only says when it
 * is worth looking; whoever looks (REST, a fresh subscription) says what it found. A value; no I/O,
 * no clock of its own.
 *
 * How long a silence must be: WATCH_FACTOR times the longest usual interval (a decaying maximum of
 * what was seen), at least WATCH_FLOOR_MS, at most half of what is allowed, so that there is time
 * to look. What was never seen is suspect after half of what is allowed since it was asked for.
 */
#pragma once

#include "base/attr.h"
#include "base/limits.h"

#define WATCH_FACTOR 4
#define WATCH_FLOOR_MS 2000

struct watch {
    int64_t asked_ns;    /* subscribed; 0: not watched */
    int64_t seen_ns;     /* data came last; 0: none since it was asked for */
    int64_t interval_ns; /* what is usual, decaying; 0: not known yet */
    int64_t quiet_ns;    /* looked at last, and it was just quiet; 0: never */
    uint32_t looks;      /* since data came */
};

/* It was asked for on a connection: the watch starts, what is usual is kept. */
void watch_begin(struct watch *watch, int64_t now_ns);
void watch_end(struct watch *watch); /* nobody wants it */

/* Data came. */
void watch_seen(struct watch *watch, int64_t now_ns);

/* Worth a look. allowed_ms: the configured stale_after. */
bool watch_suspects(const struct watch *watch, int64_t now_ns, int64_t allowed_ms);

/* Somebody looked: there is nothing newer. The next look is due after twice as long as the one
 * before, up to allowed_ms: what stops later is noticed within that. */
void watch_quiet(struct watch *watch, int64_t now_ns);

/* Since data came, or was asked for; -1: not watched. */
int64_t watch_age_ns(const struct watch *watch, int64_t now_ns);
