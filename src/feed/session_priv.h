/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside a session:
 *
 *     link -> intake (hold, watch, publish)        member: a link with what the session notes of it
 *     lane: the place of one connection, with the member in it and the one that will replace it
 *     session: lanes, units, doctor; what is told
 */
#pragma once

#include "base/metrics.h"
#include "feed/backoff.h"
#include "feed/doctor.h"
#include "feed/held_trades.h"
#include "feed/link.h"
#include "feed/session.h"
#include "feed/trade_filter.h"
#include "feed/units.h"

#define MEMBERS_MAX TRADE_FILTER_SOURCES
#define MEMBERS_PER_LANE (MEMBERS_MAX / SESSION_CONNECTIONS_MAX)
#define NS_PER_MS 1000000
#define NS_PER_US 1000
#define TICK_MS 100
#define WARM_MS 2000 /* a new connection beside another one only listens so long */
#define REPLACE_MS                                                                                 \
    15000 /* within which a replacement must have brought what the other one brings */
#define HELD_MAX 4096
#define QUARANTINE_AGAIN_MS (10 * 60 * 1000)
#define CLOSE_NORMAL 1000

/* Why a connection ended: label values of connections_ended_total. */
enum end_reason {
    END_CLOSED,      /* by the exchange, with a close frame */
    END_LOST,        /* the connection broke */
    END_REFUSED,     /* it never opened */
    END_SILENT,      /* nothing came, by our decision */
    END_STALE,       /* replaced: its data was stale, or suspect */
    END_LIFETIME,    /* replaced before the exchange would end it */
    END_LEAVING,     /* replaced: the exchange said that it would end it */
    END_MAINTENANCE, /* the exchange is being maintained */
    END_PAUSED,      /* the exchange wants nothing from us */
    END_CHANGED,     /* another configuration */
    END_REASON_COUNT
};

struct member {
    struct session *session;
    struct lane *lane;
    struct link *link; /* NULL: the place is free */
    unsigned source;
    bool warm;    /* its trades count as they come */
    bool silent;  /* we end it for that */
    bool settled; /* all has been asked for */
    int64_t settled_ns;
    struct watch watch;       /* of all that it brings */
    struct held_trades *held; /* NULL: warm */
    bool *joined;             /* by instrument: its trades count as they come */
    uint8_t *seen;            /* by instrument: CHANNEL_BITs of which something came */
    uint32_t seen_count;      /* bits set in `seen` */
};

struct lane {
    struct session *session;
    unsigned index;
    struct member *current, *next; /* of the session's members; NULL: none */
    enum end_reason why;           /* the next one replaces the current one */
    int64_t replace_ns;            /* when to; 0: not planned */
    struct backoff backoff, replace_backoff;
    struct timer *retry_timer;
};

struct session {
    struct session_options options;
    const struct exchange *exchange;
    struct publisher *publisher;
    struct instruments *catalogue; /* what is wanted; link's instruments point into it */
    bool anything_wanted;
    bool follow_due;   /* what is wanted has changed since it was asked for */
    bool *quarantined; /* by instrument */
    uint32_t *planned; /* by instrument: CHANNEL_BITs of the plan */
    struct units *units;
    struct doctor *doctor; /* NULL: blind */
    struct tls_context *tls;
    struct lane lanes[SESSION_CONNECTIONS_MAX];
    struct member members[MEMBERS_MAX];
    uint32_t connections;
    int64_t stale_after_ms, lifetime_ms;
    struct timer *tick_timer;
    struct event_batch *batch;
    enum status_state state;
    int64_t since_us;
    int64_t connected_ns; /* since when there has been a connection; 0: there is none */
    int64_t asked_ns;     /* something was asked for last; meaningful while connected */
    bool missing_told;    /* what did not come in time */
    bool silent_checked;  /* whether symbols of which nothing came are listed at all */
    bool refusal_told;
    int64_t quarantine_ns; /* when the list of markets was asked for last */
    int64_t look_ns;       /* a fresh subscription may be made for what is suspect from then on */
    uint32_t look_wait_ms; /* the next wait is twice as long; 0: the first */
    uint32_t connection_number;
    int64_t last_message_us;
    struct link_metrics link_metrics;
    struct metric *reconnects, *ends[END_REASON_COUNT];
    struct metric *state_gauge, *age, *channel_age[CHANNEL_COUNT], *connections_gauge,
        *paused_gauge, *quarantined_gauge, *publish_latency, *looks[2];
    char reason[LIMIT_REASON];
    char url[LIMIT_URL], rest_url[LIMIT_URL];
};

/* ---- session.c ---- */

/* reason may be NULL. */
void session_set_state(struct session *session, enum status_state state, const char *reason);

/* Connections that are open and not on their way out. */
uint32_t session_open_count(const struct session *session);

void session_count_end(struct session *session, enum end_reason why);

/* The exchange refused a request, in these words. */
void session_refused(struct session *session, struct slice words);
static inline uint32_t session_index(const struct session *session,
                                     const struct instrument *instrument)
{
    return (uint32_t)(instrument - instruments_at(session->catalogue, 0));
}

/* ---- lane.c ---- */

void lane_init(struct lane *lane, struct session *session, unsigned index);
void lane_release(struct lane *lane);

/* Connects as soon as that is allowed. */
void lane_connect(struct lane *lane);

/* A connection beside the present one takes its place; nothing when that is under way. */
void lane_replace(struct lane *lane, enum end_reason why);
void lane_check(struct lane *lane, int64_t now_ns);

/* When its connection's lifetime ends, by the session's numbers of now. */
void lane_plan(struct lane *lane);

/* To another URL, by a connection beside the present one. */
void lane_move(struct lane *lane);

/* Whoever is in it goes, in order. */
void lane_empty(struct lane *lane, enum end_reason why);

/* ---- intake.c ---- */

void member_init(struct member *member, struct session *session, unsigned source);
void member_release(struct member *member);

/* What it brings is in the session's batch. */
void member_take(struct member *member);

/* It is the only one, or has listened long enough: what it held goes out. */
void member_warm(struct member *member);

/* It listens beside others first. */
void member_cool(struct member *member);
void member_end(struct member *member); /* its link is gone */
