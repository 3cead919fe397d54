/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The place of one connection. Its member goes when the connection ends, and is tried again; or a
 * next one is opened beside it, and takes the place when it has brought what the present one does.
 */
#include "feed/session_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"

#include <stdio.h>

#define MS_PER_S 1000
#define PAUSED "paused by the exchange"

static const char *const end_words[END_REASON_COUNT] = {
    [END_CLOSED] = "closed by the exchange",
    [END_LOST] = "connection lost",
    [END_REFUSED] = "not connected",
    [END_SILENT] = "silent",
    [END_STALE] = "its data is suspect",
    [END_LIFETIME] = "before its lifetime ends",
    [END_LEAVING] = "the exchange will disconnect",
    [END_MAINTENANCE] = "maintenance",
    [END_PAUSED] = PAUSED,
    [END_CHANGED] = "another configuration",
};

static void lane_try(void *context);
static const struct link_callbacks link_callbacks;

void lane_init(struct lane *lane, struct session *session, unsigned index)
{
    lane->session = session;
    lane->index = index;
    lane->retry_timer = timer_create_on(session->options.loop, lane_try, lane);
}

void lane_release(struct lane *lane)
{
    timer_destroy(lane->retry_timer);
}

static struct member *free_member(struct lane *lane)
{
    struct member *first = &lane->session->members[lane->index * MEMBERS_PER_LANE];
    for (unsigned i = 0; i < MEMBERS_PER_LANE; i++)
        if (first[i].link == NULL)
            return &first[i];
    return NULL;
}

/* ---- opening ---- */

/* NULL: wrong in itself, and told so. */
static struct member *member_open(struct lane *lane)
{
    struct session *session = lane->session;
    struct member *member = free_member(lane);
    struct err err = {0};
    const struct link_options options = {
        .loop = session->options.loop,
        .exchange = session->exchange,
        .url = session->url,
        .tls = session->tls,
        .proxy = session->options.proxy,
        .batch = session->batch,
        .metrics = &session->link_metrics,
        .tap = session->options.tap,
        .connection = ++session->connection_number,
        .learn = session->options.learn,
    };
    egress_connect(session->options.egress, clock_monotonic_ns());
    if (session->options.connecting != NULL)
        session->options.connecting(session->options.context);
    member->lane = lane;
    member->settled = member->silent = false;
    member->seen_count = 0;
    memset(member->seen, 0, LIMIT_EXCHANGE_SYMBOLS * sizeof *member->seen);
    if (link_open(&options, &link_callbacks, member, &member->link, &err) == 0)
        return member;
    member->lane = NULL;
    log_error("feed", log_text("msg", "cannot connect to this url, staying down"),
              log_text("exchange", session->exchange->name), log_text("url", session->url),
              log_text("error", err.text));
    if (session_open_count(session) == 0)
        session_set_state(session, STATUS_DOWN, err.text);
    return NULL;
}

static void try_after(struct lane *lane, int64_t wait_ns)
{
    timer_start(lane->retry_timer, (uint64_t)(wait_ns / NS_PER_MS) + 1, 0);
}

static void say_paused(struct session *session, int64_t now_ns)
{
    char text[LIMIT_REASON];
    int64_t until_ns = egress_paused_until_ns(session->options.egress, now_ns);
    int64_t left_s = (until_ns - now_ns) / NS_PER_MS / MS_PER_S + 1;
    snprintf(text, sizeof text, PAUSED " (%u) for %lld s",
             egress_pause_status(session->options.egress), (long long)left_s);
    session_set_state(session, STATUS_DOWN, text);
}

static void lane_try(void *context)
{
    struct lane *lane = context;
    struct session *session = lane->session;
    int64_t now_ns = clock_monotonic_ns();
    int64_t wait_ns = egress_connect_wait_ns(session->options.egress, now_ns);
    if (lane->current != NULL || lane->index >= session->connections)
        return;
    if (egress_paused_until_ns(session->options.egress, now_ns) != 0 &&
        session->connected_ns == 0 && !slice_starts_with(slice_of(session->reason), SLICE(PAUSED)))
        say_paused(session, now_ns); /* by what REST, or another process, was told */
    if (wait_ns > 0 || free_member(lane) == NULL) {
        try_after(lane, wait_ns > 0 ? wait_ns : TICK_MS * NS_PER_MS);
        return;
    }
    if (session_open_count(session) == 0)
        session_set_state(session, STATUS_CONNECTING, NULL);
    lane->current = member_open(lane);
}

void lane_connect(struct lane *lane)
{
    timer_stop(lane->retry_timer);
    lane_try(lane);
}

void lane_replace(struct lane *lane, enum end_reason why)
{
    struct session *session = lane->session;
    int64_t now_ns = clock_monotonic_ns();
    int64_t wait_ns = egress_connect_wait_ns(session->options.egress, now_ns);
    if (lane->next != NULL || lane->current == NULL || !link_is_open(lane->current->link))
        return;
    lane->why = why;
    if (wait_ns > 0 || free_member(lane) == NULL) {
        lane->replace_ns = now_ns + (wait_ns > 0 ? wait_ns : TICK_MS * NS_PER_MS);
        return;
    }
    lane->replace_ns = 0;
    log_info("feed", log_text("msg", "opening a connection beside the present one"),
             log_text("exchange", session->exchange->name),
             log_int("connection", link_connection(lane->current->link)),
             log_text("reason", end_words[why]));
    lane->next = member_open(lane);
}

/* Some time before the exchange would do it, spread so that two never go together. */
static void plan_end(struct lane *lane, int64_t opened_ns)
{
    int64_t lifetime_ms = lane->session->lifetime_ms;
    lane->why = END_LIFETIME;
    lane->replace_ns = 0;
    if (lifetime_ms == 0)
        return;
    int64_t margin_ms = lifetime_ms / 4 < 600000 ? lifetime_ms / 4 : 600000;
    int64_t spread_ms = margin_ms / 4 + 1;
    int64_t early_ms = margin_ms + (int64_t)random_below((uint32_t)spread_ms) +
                       (lane->index == 0 ? 0 : margin_ms / 2);
    lane->replace_ns = opened_ns + (lifetime_ms - early_ms) * NS_PER_MS;
}

static void session_connected(struct session *session, int64_t now_ns)
{
    session->connected_ns = session->asked_ns = now_ns;
    session->missing_told = session->silent_checked = session->refusal_told = false;
    publisher_restart(session->publisher, session->catalogue);
}

static void on_opened(void *context, struct link *link)
{
    struct member *member = context;
    struct session *session = member->session;
    struct lane *lane = member->lane;
    int64_t now_ns = clock_monotonic_ns();
    if (session_open_count(session) == 1) { /* this one */
        session_connected(session, now_ns);
        member->warm = true;
    } else {
        member_cool(member);
    }
    member->watch = (struct watch){0};
    watch_begin(&member->watch, now_ns);
    if (lane->current == member)
        plan_end(lane, now_ns);
    log_info("feed", log_text("msg", "connected"), log_text("exchange", session->exchange->name),
             log_int("connection", link_connection(link)), log_text("url", session->url),
             log_int("symbols", instruments_count(session->catalogue)));
    link_follow(link, session->catalogue);
    units_follow(session->units, now_ns);
}

/* ---- replacing ---- */

/* Everything that the present one brought a moment ago has come from the next one as well. */
static bool has_caught_up(const struct lane *lane, int64_t now_ns)
{
    const struct member *current = lane->current, *next = lane->next;
    struct session *session = lane->session;
    for (uint32_t i = 0; i < instruments_count(session->catalogue); i++)
        for (unsigned c = 0; c < CHANNEL_COUNT; c++) {
            const struct watch *watch = &units_at(session->units, i, (enum channel)c)->watch;
            bool lacks = (current->seen[i] & ~next->seen[i] & CHANNEL_BIT(c)) != 0;
            if (lacks && watch->seen_ns != 0 && now_ns - watch->seen_ns < WARM_MS * NS_PER_MS)
                return false;
        }
    return true;
}

static void promote(struct lane *lane)
{
    struct session *session = lane->session;
    struct member *old = lane->current;
    enum end_reason why = lane->why;
    member_warm(lane->next);
    lane->current = lane->next;
    lane->next = NULL;
    plan_end(lane, link_opened_ns(lane->current->link));
    backoff_reset(&lane->replace_backoff);
    if (why == END_STALE)
        units_looked(session->units, true, clock_monotonic_ns());
    log_info("feed", log_text("msg", "connection replaced"),
             log_text("exchange", session->exchange->name),
             log_int("connection", link_connection(lane->current->link)),
             log_text("reason", end_words[why]));
    if (old == NULL)
        return;
    old->lane = NULL; /* it only has to close now */
    session_count_end(session, why);
    link_close(old->link, CLOSE_NORMAL, "replaced");
}

/* The next one is no good: another one later. */
static void replace_later(struct lane *lane)
{
    uint32_t wait_ms = backoff_next_ms(&lane->replace_backoff, random_below(UINT32_MAX));
    lane->next = NULL;
    lane->replace_ns = clock_monotonic_ns() + (int64_t)wait_ms * NS_PER_MS;
    if (lane->why == END_STALE)
        units_looked(lane->session->units, false, clock_monotonic_ns());
}

static void dismiss_next(struct lane *lane)
{
    struct member *next = lane->next;
    next->lane = NULL;
    link_close(next->link, CLOSE_NORMAL, "not needed");
    replace_later(lane);
}

static void check_next(struct lane *lane, int64_t now_ns)
{
    struct member *next = lane->next;
    if (!next->settled && link_settled(next->link)) {
        next->settled = true;
        next->settled_ns = now_ns;
    }
    int64_t listened_ns = next->settled ? now_ns - next->settled_ns : 0;
    if (listened_ns < WARM_MS * NS_PER_MS)
        return;
    if (has_caught_up(lane, now_ns)) {
        promote(lane);
    } else if (listened_ns >= REPLACE_MS * (int64_t)NS_PER_MS) {
        log_warn("feed", log_text("msg", "the replacement brings less, keeping the present one"),
                 log_text("exchange", lane->session->exchange->name));
        dismiss_next(lane);
    }
}

/* ---- ending ---- */

static enum end_reason judge_ending(struct session *session, const struct link_ending *ending)
{
    unsigned status = ending->refusal.proxy ? 0 : ending->refusal.status;
    if (status == 429 || status == 418 || (status == 403 && ending->refusal.retry_after_s >= 0)) {
        egress_pause(session->options.egress, status, ending->refusal.retry_after_s,
                     clock_monotonic_ns());
        return END_PAUSED;
    }
    if (status == 502 || status == 503 || status == 504)
        return END_MAINTENANCE;
    if (!ending->opened)
        return END_REFUSED;
    return ending->code == 1006 ? END_LOST : END_CLOSED;
}

/* A pause and maintenance are states; what breaks is a warning. */
static void log_ending(const struct session *session, const struct link_ending *ending,
                       enum end_reason why)
{
    if (why == END_MAINTENANCE || why == END_PAUSED)
        log_info("feed", log_text("msg", "connection refused"),
                 log_text("exchange", session->exchange->name), log_text("why", end_words[why]),
                 log_int("status", ending->refusal.status), log_text("reason", ending->reason));
    else
        log_warn("feed", log_text("msg", "connection closed, reconnecting"),
                 log_text("exchange", session->exchange->name), log_text("why", end_words[why]),
                 log_int("code", ending->code), log_text("reason", ending->reason));
}

static void session_disconnected(struct session *session, const struct link_ending *ending,
                                 enum end_reason why)
{
    char text[LIMIT_REASON];
    int64_t now_ns = clock_monotonic_ns();
    session->connected_ns = 0;
    units_stop(session->units);
    publisher_lost(session->publisher, session->catalogue, clock_wall_us());
    /* However it ended, a pause (REST may have been told of it) says how long it stays so. */
    if (egress_paused_until_ns(session->options.egress, now_ns) != 0) {
        say_paused(session, now_ns);
        return;
    }
    if (ending->opened)
        snprintf(text, sizeof text, "connection closed: %u %.150s", ending->code, ending->reason);
    else if (why == END_MAINTENANCE)
        snprintf(text, sizeof text, "maintenance: %.150s", ending->reason);
    else
        snprintf(text, sizeof text, "%.180s", ending->reason);
    session_set_state(session, STATUS_DOWN, text);
}

static void lane_retry_later(struct lane *lane)
{
    struct session *session = lane->session;
    uint32_t wait_ms = backoff_next_ms(&lane->backoff, random_below(UINT32_MAX));
    int64_t allowed_ns = egress_connect_wait_ns(session->options.egress, clock_monotonic_ns());
    int64_t wait_ns = (int64_t)wait_ms * NS_PER_MS;
    if (lane->index >= session->connections)
        return;
    wait_ns = wait_ns > allowed_ns ? wait_ns : allowed_ns;
    log_info("feed", log_text("msg", "reconnecting later"),
             log_text("exchange", session->exchange->name),
             log_int("wait_ms", wait_ns / NS_PER_MS));
    try_after(lane, wait_ns);
}

/* The place is free, or the next one's. */
static void lane_lost(struct lane *lane)
{
    lane->current = lane->next;
    lane->next = NULL;
    if (lane->current == NULL) {
        lane->replace_ns = 0;
        lane_retry_later(lane);
    } else if (link_is_open(lane->current->link)) {
        lane->next = lane->current;
        lane->current = NULL;
        promote(lane);
    }
}

/* The only one that is left has nobody to listen beside. */
static void warm_last(struct session *session)
{
    struct member *last = NULL;
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        struct member *member = &session->members[i];
        if (member->link == NULL || member->lane == NULL || !link_is_open(member->link))
            continue;
        if (last != NULL)
            return;
        last = member;
    }
    if (last != NULL && !last->warm)
        member_warm(last);
}

/* Connections on which everything has been asked for: of those nothing has been missed. */
static uint32_t serving_count(const struct session *session)
{
    uint32_t count = 0;
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        const struct member *member = &session->members[i];
        count += member->lane != NULL && member->link != NULL &&
                 (link_settled(member->link) || (member->warm && link_is_open(member->link)));
    }
    return count;
}

static void on_closed(void *context, struct link *link, const struct link_ending *ending)
{
    struct member *member = context;
    struct session *session = member->session;
    struct lane *lane = member->lane;
    int64_t lived_ns = clock_monotonic_ns() - link_opened_ns(link);
    uint32_t others = serving_count(session); /* this one is closed already */
    bool present = lane != NULL && lane->current == member;
    if (lane == NULL) { /* it had been replaced */
        member_end(member);
        return;
    }
    enum end_reason why = member->silent ? END_SILENT : judge_ending(session, ending);
    if (ending->opened && lived_ns >= BACKOFF_HEALTHY_NS)
        backoff_reset(&lane->backoff);
    session_count_end(session, why);
    log_ending(session, ending, why);
    if (others == 0) {
        member_warm(member); /* what it held goes out; otherwise the others bring it */
        session_disconnected(session, ending, why);
    }
    member_end(member);
    if (present)
        lane_lost(lane);
    else
        replace_later(lane);
    if (others == 0 && session_open_count(session) > 0) { /* one that was only just opened */
        session_connected(session, clock_monotonic_ns());
        units_follow(session->units, clock_monotonic_ns());
    }
    warm_last(session);
}

/* A connection that says nothing at all, or on which no data comes after it was asked for, is
 * ended: the next one may do better. */
static void check_silence(struct member *member, int64_t now_ns)
{
    struct session *session = member->session;
    uint32_t idle_ms = session->exchange->limits.idle_timeout_ms;
    int64_t silent_ms = (now_ns - link_heard_ns(member->link)) / NS_PER_MS;
    int64_t open_ms = (now_ns - link_opened_ns(member->link)) / NS_PER_MS;
    bool nothing = silent_ms >= (idle_ms > 0 ? idle_ms : LIMIT_IDLE_MS);
    bool no_data = member->seen_count == 0 && open_ms >= LIMIT_LIVE_MS &&
                   session->anything_wanted && !units_any_quiet(session->units);
    if (member->silent || (!nothing && !no_data))
        return;
    member->silent = true;
    link_close(member->link, CLOSE_NORMAL, nothing ? "nothing came" : "no data came");
}

/* While another connection brings data, one that has fallen silent is missed by nobody: so it has a
 * watch of its own. */
static void check_beside(struct lane *lane, int64_t now_ns)
{
    struct session *session = lane->session;
    struct watch *watch = &lane->current->watch;
    if (!watch_suspects(watch, now_ns, session->stale_after_ms) ||
        units_age_ns(session->units, now_ns) >= watch_age_ns(watch, now_ns) / 2)
        return;
    watch_quiet(watch, now_ns);
    lane_replace(lane, END_STALE);
}

void lane_check(struct lane *lane, int64_t now_ns)
{
    struct member *current = lane->current;
    if (lane->next != NULL && link_is_open(lane->next->link) && current != NULL)
        check_next(lane, now_ns);
    current = lane->current;
    if (current == NULL || !link_is_open(current->link))
        return;
    check_silence(current, now_ns);
    check_beside(lane, now_ns);
    if (!current->warm && link_settled(current->link) &&
        now_ns - link_opened_ns(current->link) >= WARM_MS * NS_PER_MS)
        member_warm(current); /* beside the other lane's */
    warm_last(lane->session);
    if (lane->replace_ns != 0 && now_ns >= lane->replace_ns)
        lane_replace(lane, lane->why);
}

void lane_plan(struct lane *lane)
{
    bool planned = lane->replace_ns == 0 || lane->why == END_LIFETIME; /* else it goes soon */
    if (planned && lane->next == NULL && lane->current != NULL && link_is_open(lane->current->link))
        plan_end(lane, link_opened_ns(lane->current->link));
}

void lane_move(struct lane *lane)
{
    if (lane->next != NULL)
        dismiss_next(lane);
    if (link_is_open(lane->current->link))
        lane_replace(lane, END_CHANGED);
    else
        link_close(lane->current->link, CLOSE_NORMAL, end_words[END_CHANGED]);
}

/* Whoever is left was not connected: nothing comes from now on. */
static void lane_was_last(struct session *session, enum end_reason why)
{
    struct link_ending ending = {.reason = end_words[why]};
    if (session->connected_ns != 0 && session_open_count(session) == 0)
        session_disconnected(session, &ending, why);
}

void lane_empty(struct lane *lane, enum end_reason why)
{
    struct session *session = lane->session;
    timer_stop(lane->retry_timer);
    lane->replace_ns = 0;
    struct member *members[] = {lane->next, lane->current};
    lane->next = lane->current = NULL;
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        if (members[i] == NULL)
            continue;
        session_count_end(session, why);
        members[i]->lane = NULL;
        link_close(members[i]->link, CLOSE_NORMAL, end_words[why]);
    }
    lane_was_last(session, why);
    warm_last(session);
}

/* ---- what links say ---- */

static void on_events(void *context, struct link *link)
{
    struct member *member = context;
    (void)link;
    if (member->lane != NULL)
        member_take(member);
}

static void on_leaving(void *context, struct link *link)
{
    struct member *member = context;
    struct lane *lane = member->lane;
    log_info("feed", log_text("msg", "the exchange will disconnect"),
             log_text("exchange", member->session->exchange->name),
             log_int("connection", link_connection(link)));
    if (lane != NULL && lane->current == member)
        lane_replace(lane, END_LEAVING);
}

static void on_refused(void *context, struct link *link, struct slice words)
{
    struct member *member = context;
    (void)link;
    session_refused(member->session, words);
}

static const struct link_callbacks link_callbacks = {
    .opened = on_opened,
    .events = on_events,
    .refused = on_refused,
    .leaving = on_leaving,
    .closed = on_closed,
};
