/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a session watches: a unit is one channel of one instrument; above units stand the channels,
 * and the exchange as a whole. Each has a watch that learns its own rate. Silence makes a unit
 * suspect; somebody asks the exchange (doctor.h) and brings facts; a unit is stale only when a fact
 * is newer than what came, and still is after a moment's grace. What is stale is told at the widest
 * level that is silent, once, and told again when data comes.
 *
 * No I/O and no clock of its own. Indices are those of the session's catalogue.
 */
#pragma once

#include "base/metrics.h"
#include "exchange/exchange.h"
#include "feed/watch.h"

enum unit_state {
    UNIT_FINE,
    UNIT_SUSPECT, /* silent for longer than usual: worth asking */
    UNIT_ASKED,   /* on its way */
    UNIT_NEWER,   /* a fact is newer: the grace runs */
    UNIT_UNKNOWN, /* the exchange did not say: a fresh subscription will */
    UNIT_STALE
};

struct unit {
    struct watch watch;
    enum unit_state state;
    bool judged;                  /* looked into, and found quiet, since it was asked for */
    bool told;                    /* stale by itself, not with its channel or exchange */
    int64_t newest_us, newest_id; /* of what came */
    int64_t fact_us, fact_id;     /* of what the exchange says elsewhere */
    int64_t decide_ns;            /* the grace ends */
};

/* What a notice is about: an instrument and a channel, or every instrument of a channel
 * (instrument NULL), or everything (channel CHANNEL_COUNT as well). */
struct unit_scope {
    const struct instrument *instrument;
    enum channel channel;
};

typedef void units_notice_fn(void *context, const struct unit_scope *scope, bool stale);

struct units;

/* catalogue: borrowed, grows. allowed_ms: exchanges.X.stale_after. */
struct units *units_create(struct instruments *catalogue, int64_t allowed_ms,
                           units_notice_fn *notice, void *context) MUST_CHECK;
void units_destroy(struct units *units);
void units_allow(struct units *units, int64_t allowed_ms);

/* What is wanted has changed, or a connection carries it now: watches begin and end. */
void units_follow(struct units *units, int64_t now_ns);

/* Nothing is connected: nothing is watched, and what was stale is so no more (the exchange is
 * down). What was told of a channel, or of a symbol's, is taken back when data comes again. */
void units_stop(struct units *units);

/* Counts what was looked into, by what was found. */
void units_count_in(struct units *units, struct metric *stale, struct metric *quiet);

struct unit *units_at(struct units *units, uint32_t index, enum channel channel);

/* Data came. us, id: what says how new it is; 0: nothing does. */
void units_seen(struct units *units, uint32_t index, enum channel channel,
                const struct event *event, int64_t now_ns);

/* Marks what is silent for too long, decides what was given its grace. Returns the units that are
 * UNIT_SUSPECT, in *ret_unknown those that are UNIT_UNKNOWN. */
uint32_t units_check(struct units *units, int64_t now_ns, uint32_t *ret_unknown);

/* What the exchange says of an instrument, asked for these CHANNEL_BITs; units that are not
 * UNIT_ASKED are left alone. NULL: it said nothing. */
void units_fact(struct units *units, uint32_t index, uint32_t channels,
                const struct rest_fact *fact, int64_t now_ns);

/* A fresh subscription brought this of a unit about which nothing was known: the others have a
 * moment's grace to bring it as well. A ticker is no proof: its time may be that of its writing. */
void units_contradicted(struct units *units, uint32_t index, enum channel channel,
                        const struct event *event, int64_t now_ns);

/* Whether this is newer than all that came. */
bool units_newer(struct units *units, uint32_t index, enum channel channel,
                 const struct event *event);

/*
 * A fresh subscription has had its time: what it did not contradict is just quiet. replaced: it
 * carries the data from now on; then what is stale is asked about again, and is stale only while
 * the exchange goes on without us (what was missed before is missed: a gap says so).
 */
void units_looked(struct units *units, bool replaced, int64_t now_ns);

/* Whether any was looked into and found quiet, since it was asked for: silence is right then. */
bool units_any_quiet(struct units *units);

/* Units that are stale now. */
uint32_t units_stale(const struct units *units);

/* Since anything came; -1: nothing is watched. */
int64_t units_age_ns(const struct units *units, int64_t now_ns);
