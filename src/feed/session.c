/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of an exchange, what is wanted of it, and the tick that looks after both. */
#include "feed/session_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#define LOOK_FIRST_MS 10000 /* between fresh subscriptions for what REST does not say */
#define LOOK_MOST_MS (10 * 60 * 1000)

#define STALE_REASON "the exchange has newer data than it sent"
#define UNLISTED_REASON "the exchange does not list or trade it"
#define DROPPED_REASON "not collected any more"

static const char *const end_reason_names[END_REASON_COUNT] = {
    [END_CLOSED] = "closed",   [END_LOST] = "lost",
    [END_REFUSED] = "refused", [END_SILENT] = "silent",
    [END_STALE] = "stale",     [END_LIFETIME] = "lifetime",
    [END_LEAVING] = "leaving", [END_MAINTENANCE] = "maintenance",
    [END_PAUSED] = "paused",   [END_CHANGED] = "changed",
};

/* ---- what it says ---- */

void session_set_state(struct session *session, enum status_state state, const char *reason)
{
    struct slice text = slice_of(reason == NULL ? "" : reason);
    if (text.size >= sizeof session->reason)
        text.size = sizeof session->reason - 1;
    if (state == session->state && slice_is(text, session->reason))
        return; /* told already */
    if (text.size > 0)
        memmove(session->reason, text.data, text.size);
    session->reason[text.size] = '\0';
    session->state = state;
    session->since_us = clock_wall_us();
    metric_set(session->state_gauge, (int64_t)state);
    publisher_status(
        session->publisher,
        &(struct publisher_notice){.state = state, .reason = slice_of(session->reason)},
        session->since_us);
}

uint32_t session_open_count(const struct session *session)
{
    uint32_t count = 0;
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        const struct member *member = &session->members[i];
        count += member->lane != NULL && member->link != NULL && link_is_open(member->link);
    }
    return count;
}

void session_count_end(struct session *session, enum end_reason why)
{
    metric_add(session->reconnects, 1);
    metric_add(session->ends[why], 1);
}

static void session_follow(struct session *session)
{
    session->anything_wanted = session->follow_due = false;
    for (uint32_t i = 0; i < instruments_count(session->catalogue); i++)
        session->anything_wanted |= instruments_at(session->catalogue, i)->wanted != 0;
    for (unsigned i = 0; i < MEMBERS_MAX; i++)
        if (session->members[i].link != NULL && session->members[i].lane != NULL)
            link_follow(session->members[i].link, session->catalogue);
    if (session_open_count(session) > 0)
        units_follow(session->units, clock_monotonic_ns());
}

/* ---- staleness ---- */

static void on_units_notice(void *context, const struct unit_scope *scope, bool stale)
{
    struct session *session = context;
    const char *reason = stale ? STALE_REASON : NULL;
    enum status_state state = stale ? STATUS_STALE : STATUS_LIVE;
    if (scope->instrument == NULL && scope->channel == CHANNEL_COUNT) {
        session_set_state(session, state, reason);
        return;
    }
    struct publisher_notice notice = {
        .state = state,
        .reason = stale ? slice_of(reason) : (struct slice){0},
        .symbol = scope->instrument == NULL ? NULL : &scope->instrument->symbol,
        .channel = slice_of(channel_names[scope->channel]),
    };
    publisher_status(session->publisher, &notice, clock_wall_us());
}

/* What is stale, or can't be judged by REST, gets a fresh subscription, ever more seldom while that
 * does not help. */
static void look_afresh(struct session *session, uint32_t unknown, int64_t now_ns)
{
    if (unknown == 0 && units_stale(session->units) == 0) {
        if (session->look_ns != 0 && now_ns - session->look_ns > (int64_t)LOOK_MOST_MS * NS_PER_MS)
            session->look_wait_ms = 0;
        return;
    }
    if (now_ns < session->look_ns)
        return;
    uint32_t wait_ms = session->look_wait_ms == 0 ? LOOK_FIRST_MS : 2 * session->look_wait_ms;
    session->look_wait_ms = wait_ms < LOOK_MOST_MS ? wait_ms : LOOK_MOST_MS;
    session->look_ns = now_ns + (int64_t)session->look_wait_ms * NS_PER_MS;
    for (unsigned i = 0; i < session->connections; i++)
        lane_replace(&session->lanes[i], END_STALE);
}

static void check_staleness(struct session *session, int64_t now_ns)
{
    uint32_t unknown = 0;
    units_check(session->units, now_ns, &unknown);
    if (session->doctor == NULL)
        return;
    doctor_check(session->doctor, now_ns);
    look_afresh(session, unknown, now_ns);
}

/* ---- symbols that are no good ---- */

static bool ever_seen(const struct session *session, uint32_t index)
{
    for (unsigned i = 0; i < MEMBERS_MAX; i++)
        if (session->members[i].link != NULL && session->members[i].seen[index] != 0)
            return true;
    return false;
}

static void set_quarantine(struct session *session, struct instrument *instrument, bool bad)
{
    uint32_t index = session_index(session, instrument);
    session->quarantined[index] = bad;
    log_warn("feed", log_text("msg", bad ? "symbol quarantined" : "symbol taken up again"),
             log_text("exchange", session->exchange->name),
             log_text("symbol", instrument->symbol.text), log_text("native", instrument->native));
    if (bad)
        publisher_drop(session->publisher, instrument, instrument->wanted, SLICE(UNLISTED_REASON));
    instrument->wanted = bad ? 0 : session->planned[index];
    session->follow_due = true; /* with all others that the list is about */
}

static void on_market(void *context, struct instrument *instrument, bool tradable)
{
    struct session *session = context;
    uint32_t index = session_index(session, instrument);
    /* Where an error ends the connection, there is none when the list comes. */
    bool had_a_chance = session->connected_ns != 0 || session->refusal_told;
    if (session->planned[index] == 0)
        return;
    if (session->quarantined[index] == tradable && tradable)
        set_quarantine(session, instrument, false);
    else if (!session->quarantined[index] && !tradable && had_a_chance &&
             !ever_seen(session, index))
        set_quarantine(session, instrument, true);
}

static bool on_same_book(void *context, struct instrument *instrument, const struct level *bid,
                         const struct level *ask)
{
    struct session *session = context;
    return publisher_has_best(session->publisher, instrument, bid, ask);
}

static void on_paused(void *context)
{
    struct session *session = context;
    int64_t now_ns = clock_monotonic_ns();
    int64_t until_ns = egress_paused_until_ns(session->options.egress, now_ns);
    log_warn("feed", log_text("msg", "the exchange paused REST requests and new connections"),
             log_text("exchange", session->exchange->name),
             log_int("status", egress_pause_status(session->options.egress)),
             log_int("for_ms", (until_ns - now_ns) / NS_PER_MS));
}

void session_refused(struct session *session, struct slice words)
{
    char text[LIMIT_REASON];
    log_warn("feed", log_text("msg", "the exchange refused a request"),
             log_text("exchange", session->exchange->name), log_slice("answer", words));
    if (session->doctor != NULL)
        doctor_want_markets(session->doctor);
    if (session->refusal_told)
        return;
    session->refusal_told = true;
    snprintf(text, sizeof text, "refused%s%.*s", words.size == 0 ? " a request" : ": ",
             (int)(words.size < 150 ? words.size : 150), words.size == 0 ? "" : words.data);
    session_set_state(session, session->state, text);
}

static bool anything_unseen(struct session *session)
{
    for (uint32_t i = 0; i < instruments_count(session->catalogue); i++)
        if (instruments_at(session->catalogue, i)->wanted != 0 && !ever_seen(session, i))
            return true;
    return false;
}

static uint32_t quarantined_count(const struct session *session)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < instruments_count(session->catalogue); i++)
        count += session->quarantined[i];
    return count;
}

/* Is what stays silent listed at all; is what was not listed so now? */
static void check_markets(struct session *session, int64_t now_ns)
{
    bool again = session->quarantine_ns != 0 &&
                 now_ns - session->quarantine_ns >= (int64_t)QUARANTINE_AGAIN_MS * NS_PER_MS &&
                 quarantined_count(session) > 0;
    bool first = !session->silent_checked && session->connected_ns != 0 &&
                 now_ns - session->asked_ns >= (int64_t)LIMIT_BOOK_MS / 2 * NS_PER_MS;
    if (session->doctor == NULL || (!again && !first))
        return;
    session->silent_checked = true;
    session->quarantine_ns = now_ns;
    if (again || anything_unseen(session))
        doctor_want_markets(session->doctor);
}

/* ---- the tick ---- */

/* What was asked for and did not come in time is declared. */
static void check_missing(struct session *session, int64_t now_ns)
{
    if (session->missing_told || session->connected_ns == 0 ||
        now_ns - session->asked_ns < (int64_t)LIMIT_BOOK_MS * NS_PER_MS)
        return;
    session->missing_told = true;
    for (uint32_t i = 0; i < instruments_count(session->catalogue); i++)
        publisher_missing(session->publisher, instruments_at(session->catalogue, i),
                          clock_wall_us());
}

static void update_gauges(struct session *session, int64_t now_ns)
{
    int64_t until_ns = egress_paused_until_ns(session->options.egress, now_ns);
    metric_set(session->connections_gauge, session_open_count(session));
    metric_set(session->quarantined_gauge, quarantined_count(session));
    metric_set(session->paused_gauge,
               until_ns == 0 ? 0 : clock_wall_us() + (until_ns - now_ns) / NS_PER_US);
}

static void session_tick(void *context)
{
    struct session *session = context;
    int64_t now_ns = clock_monotonic_ns();
    for (unsigned i = 0; i < SESSION_CONNECTIONS_MAX; i++)
        lane_check(&session->lanes[i], now_ns);
    publisher_check(session->publisher, session->catalogue, now_ns);
    check_missing(session, now_ns);
    check_staleness(session, now_ns);
    if (session->state == STATUS_CONNECTING && session->connected_ns != 0 &&
        units_any_quiet(session->units))
        session_set_state(session, STATUS_LIVE, NULL); /* nothing came because nothing happened */
    check_markets(session, now_ns);
    if (session->follow_due)
        session_follow(session);
    update_gauges(session, now_ns);
}

/* ---- plans ---- */

static int set_urls(struct session *session, const struct session_plan *plan, struct err *err)
{
    char url[LIMIT_URL];
    int size = snprintf(url, sizeof url, "%s%s", plan->ws_url, session->exchange->ws_path);
    if (size < 0 || (size_t)size >= sizeof url)
        return err_set(err, -ENAMETOOLONG, "%s: ws_url is too long", session->exchange->name);
    if (!slice_copy(slice_of(plan->rest_url), session->rest_url, sizeof session->rest_url))
        return err_set(err, -ENAMETOOLONG, "%s: rest_url is too long", session->exchange->name);
    memcpy(session->url, url, (size_t)size + 1);
    return 0;
}

/* Looks at everything before anything is changed. */
static int check_plan(struct session *session, const struct session_plan *plan, struct err *err)
{
    const struct exchange *exchange = session->exchange;
    char native[LIMIT_NATIVE_SYMBOL];
    size_t fresh = 0;
    for (size_t i = 0; i < plan->symbol_count; i++) {
        if (!exchange->to_native(&plan->symbols[i], native))
            return err_set(err, -EINVAL, "%s: cannot subscribe to %s", exchange->name,
                           plan->symbols[i].text);
        fresh += instruments_find(session->catalogue, exchange, slice_of(native)) == NULL;
    }
    if (instruments_count(session->catalogue) + fresh > LIMIT_EXCHANGE_SYMBOLS)
        return err_set(err, -E2BIG, "%s: more than %d symbols since it was started", exchange->name,
                       LIMIT_EXCHANGE_SYMBOLS);
    return 0;
}

static void plan_symbols(struct session *session, const struct session_plan *plan)
{
    char native[LIMIT_NATIVE_SYMBOL];
    memset(session->planned, 0, LIMIT_EXCHANGE_SYMBOLS * sizeof *session->planned);
    for (size_t i = 0; i < plan->symbol_count; i++) {
        bool spelt = session->exchange->to_native(&plan->symbols[i], native);
        assert(spelt); /* check_plan has seen it */
        (void)spelt;
        struct instrument *instrument =
            instruments_add(session->catalogue, &plan->symbols[i], slice_of(native));
        session->planned[session_index(session, instrument)] = plan->channels;
    }
}

static void want_planned(struct session *session)
{
    for (uint32_t i = 0; i < instruments_count(session->catalogue); i++) {
        struct instrument *instrument = instruments_at(session->catalogue, i);
        uint32_t before = instrument->wanted;
        if (session->planned[i] == 0)
            session->quarantined[i] = false;
        instrument->wanted = session->quarantined[i] ? 0 : session->planned[i];
        if ((before & ~instrument->wanted) != 0)
            publisher_drop(session->publisher, instrument, before & ~instrument->wanted,
                           SLICE(DROPPED_REASON));
        if ((instrument->wanted & ~before) != 0) {
            session->silent_checked = session->missing_told = false;
            session->asked_ns = clock_monotonic_ns();
        }
    }
    session_follow(session);
}

static int trust(struct session *session, struct err *err)
{
    bool needed = slice_starts_with(slice_of(session->url), SLICE("wss:")) ||
                  slice_starts_with(slice_of(session->url), SLICE("https:")) ||
                  slice_starts_with(slice_of(session->rest_url), SLICE("https:"));
    if (!needed || session->tls != NULL)
        return 0;
    return tls_context_create_client(NULL, &session->tls, err);
}

static const struct doctor_callbacks doctor_callbacks = {
    .market = on_market, .same_book = on_same_book, .paused = on_paused};

static void open_doctor(struct session *session)
{
    doctor_destroy(session->doctor);
    session->doctor = NULL;
    if (session->options.blind)
        return;
    const struct doctor_options options = {
        .loop = session->options.loop,
        .exchange = session->exchange,
        .rest_url = session->rest_url,
        .tls = session->tls,
        .proxy = session->options.proxy,
        .egress = session->options.egress,
        .catalogue = session->catalogue,
        .units = session->units,
    };
    session->doctor = doctor_create(&options, &doctor_callbacks, session);
}

static void set_numbers(struct session *session, const struct session_plan *plan)
{
    session->connections = plan->connections;
    session->stale_after_ms = plan->stale_after_ms;
    session->lifetime_ms = plan->lifetime_ms != 0
                               ? plan->lifetime_ms
                               : (int64_t)session->exchange->limits.lifetime_s * 1000;
    units_allow(session->units, plan->stale_after_ms);
}

static void change_connections(struct session *session, bool elsewhere)
{
    for (unsigned i = 0; i < SESSION_CONNECTIONS_MAX; i++) {
        struct lane *lane = &session->lanes[i];
        if (i >= session->connections)
            lane_empty(lane, END_CHANGED);
        else if (lane->current == NULL)
            lane_connect(lane);
        else if (elsewhere)
            lane_move(lane);
        else
            lane_plan(lane);
    }
}

struct moved { /* which of the addresses are others now */
    bool ws, rest;
};

/* All or nothing. */
static int change_urls(struct session *session, const struct session_plan *plan,
                       struct moved *ret_moved, struct err *err)
{
    char url[LIMIT_URL], rest_url[LIMIT_URL];
    memcpy(url, session->url, sizeof url);
    memcpy(rest_url, session->rest_url, sizeof rest_url);
    int failed = set_urls(session, plan, err);
    if (failed == 0)
        failed = trust(session, err);
    if (failed != 0) {
        memcpy(session->url, url, sizeof url);
        memcpy(session->rest_url, rest_url, sizeof rest_url);
        return failed;
    }
    ret_moved->ws = strcmp(url, session->url) != 0;
    ret_moved->rest = strcmp(rest_url, session->rest_url) != 0;
    return 0;
}

int session_change(struct session *session, const struct session_plan *plan, struct err *err)
{
    struct moved moved;
    int failed = check_plan(session, plan, err);
    if (failed == 0)
        failed = change_urls(session, plan, &moved, err);
    if (failed != 0)
        return failed;
    if (moved.ws || moved.rest) {
        egress_resume(session->options.egress); /* that was said elsewhere */
        open_doctor(session);
    }
    set_numbers(session, plan);
    plan_symbols(session, plan);
    want_planned(session);
    if ((moved.ws || moved.rest) && session->doctor != NULL && quarantined_count(session) > 0)
        doctor_want_markets(session->doctor); /* another list may have them */
    change_connections(session, moved.ws);
    return 0;
}

/* ---- making and ending ---- */

static void make_metrics(struct session *session)
{
    char labels[LIMIT_METRIC_LABELS];
    const char *name = session->exchange->name;
    for (int i = 0; i < DECODE_VERDICT_COUNT; i++) {
        snprintf(labels, sizeof labels, "exchange=\"%s\",verdict=\"%s\"", name,
                 decode_verdict_names[i]);
        session->link_metrics.verdicts[i] = metric_series(METRIC_MESSAGES_RECEIVED, labels);
    }
    for (int i = 0; i < END_REASON_COUNT; i++) {
        snprintf(labels, sizeof labels, "exchange=\"%s\",reason=\"%s\"", name, end_reason_names[i]);
        session->ends[i] = metric_series(METRIC_ENDS, labels);
    }
    for (int i = 0; i < CHANNEL_COUNT; i++) {
        snprintf(labels, sizeof labels, "exchange=\"%s\",channel=\"%s\"", name, channel_names[i]);
        session->channel_age[i] = metric_series(METRIC_CHANNEL_AGE, labels);
    }
    for (int i = 0; i < 2; i++) {
        snprintf(labels, sizeof labels, "exchange=\"%s\",found=\"%s\"", name,
                 i == 0 ? "stale" : "quiet");
        session->looks[i] = metric_series(METRIC_LOOKS, labels);
    }
    snprintf(labels, sizeof labels, "exchange=\"%s\"", name);
    session->reconnects = metric_series(METRIC_RECONNECTS, labels);
    session->link_metrics.malformed = metric_series(METRIC_DECODE_ERRORS, labels);
    session->link_metrics.left_out = metric_series(METRIC_FIELDS_LEFT_OUT, labels);
    session->state_gauge = metric_series(METRIC_EXCHANGE_STATE, labels);
    session->age = metric_series(METRIC_EXCHANGE_AGE, labels);
    session->connections_gauge = metric_series(METRIC_EXCHANGE_CONNECTIONS, labels);
    session->paused_gauge = metric_series(METRIC_EXCHANGE_PAUSED, labels);
    session->quarantined_gauge = metric_series(METRIC_QUARANTINED, labels);
    session->publish_latency = metric_series(METRIC_PUBLISH_LATENCY, labels);
}

static void make_parts(struct session *session, const struct session_plan *plan)
{
    const struct session_options *options = &session->options;
    session->publisher =
        publisher_create(session->exchange, options->sequencer, options->book_depth);
    if (options->as_is)
        publisher_take_as_is(session->publisher);
    if (options->returning)
        publisher_return(session->publisher);
    if (options->past != NULL)
        publisher_go_on(session->publisher, options->past);
    session->options.past = NULL; /* the caller's again */
    session->catalogue = instruments_create(LIMIT_EXCHANGE_SYMBOLS, false);
    session->quarantined = memory_array(LIMIT_EXCHANGE_SYMBOLS, sizeof *session->quarantined);
    session->planned = memory_array(LIMIT_EXCHANGE_SYMBOLS, sizeof *session->planned);
    session->units =
        units_create(session->catalogue, plan->stale_after_ms, on_units_notice, session);
    session->batch = memory_alloc(sizeof *session->batch);
    session->tick_timer = timer_create_on(options->loop, session_tick, session);
    for (unsigned i = 0; i < SESSION_CONNECTIONS_MAX; i++)
        lane_init(&session->lanes[i], session, i);
    for (unsigned i = 0; i < MEMBERS_MAX; i++)
        member_init(&session->members[i], session, i);
    make_metrics(session);
    units_count_in(session->units, session->looks[0], session->looks[1]);
}

struct session *session_create(const struct session_options *options,
                               const struct session_plan *plan, struct err *err)
{
    struct session *session = memory_alloc(sizeof *session);
    session->options = *options;
    session->exchange = options->exchange;
    session->state = STATUS_DOWN;
    session->since_us = clock_wall_us();
    make_parts(session, plan);
    int failed = set_urls(session, plan, err);
    if (failed == 0)
        failed = check_plan(session, plan, err);
    if (failed == 0)
        failed = trust(session, err);
    if (failed != 0) {
        session_destroy(session);
        return NULL;
    }
    open_doctor(session);
    set_numbers(session, plan);
    plan_symbols(session, plan);
    want_planned(session);
    return session;
}

void session_start(struct session *session)
{
    timer_start(session->tick_timer, TICK_MS, TICK_MS);
    for (unsigned i = 0; i < session->connections; i++)
        lane_connect(&session->lanes[i]);
}

void session_destroy(struct session *session)
{
    if (session == NULL)
        return;
    for (unsigned i = 0; i < SESSION_CONNECTIONS_MAX; i++)
        lane_release(&session->lanes[i]);
    for (unsigned i = 0; i < MEMBERS_MAX; i++)
        member_release(&session->members[i]);
    timer_destroy(session->tick_timer);
    doctor_destroy(session->doctor);
    units_destroy(session->units);
    tls_context_destroy(session->tls);
    for (uint32_t i = 0; i < instruments_count(session->catalogue); i++)
        publisher_forget(session->publisher, instruments_at(session->catalogue, i));
    instruments_destroy(session->catalogue);
    publisher_destroy(session->publisher);
    memory_free(session->quarantined);
    memory_free(session->planned);
    memory_free(session->batch);
    memory_free(session);
}

void session_retire(struct session *session)
{
    publisher_lost(session->publisher, session->catalogue, clock_wall_us());
    for (uint32_t i = 0; i < instruments_count(session->catalogue); i++) {
        publisher_drop(session->publisher, instruments_at(session->catalogue, i),
                       session->planned[i], SLICE(DROPPED_REASON));
        instruments_at(session->catalogue, i)->wanted = 0;
    }
    units_follow(session->units, clock_monotonic_ns()); /* nobody else would take back `stale` */
    session_set_state(session, STATUS_DOWN, DROPPED_REASON);
}

void session_describe(const struct session *session, struct session_info *ret_info)
{
    *ret_info = (struct session_info){
        .exchange = session->exchange->name,
        .state = session->state,
        .reason = session->reason,
        .since_us = session->since_us,
        .last_message_us = session->last_message_us,
        .connections = session_open_count(session),
        .stale = units_stale(session->units),
        .quarantined = quarantined_count(session),
    };
}
