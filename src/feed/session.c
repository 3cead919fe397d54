/* SPDX-License-Identifier: Apache-2.0 */
/* One connection at a time: asked for what is missing, kept alive, and opened again for ever. */
#include "feed/session.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "base/random.h"
#include "feed/backoff.h"
#include "feed/budget.h"
#include "net/ws_client.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#define NS_PER_MS 1000000
#define NS_PER_US 1000
#define WATCH_MS 1000
#define CLOSE_NORMAL 1000

/* Upbit takes all symbols of all channels in one message: each code with quotes and a comma. */
static_assert(LIMIT_REQUEST >
                  LIMIT_EXCHANGE_SYMBOLS * CHANNEL_COUNT * (LIMIT_NATIVE_SYMBOL + 3) + KIBIBYTE,
              "the largest request fits");

struct session {
    const struct exchange *exchange;
    struct loop *loop;
    struct publisher *publisher;
    struct instruments *instruments;
    struct ws_client *client; /* NULL between connections */
    struct tls_context *tls;  /* owned; made for the first connection to a wss URL */
    bool open;
    struct timer *retry_timer, *request_timer, *ping_timer, *watch_timer;
    struct backoff backoff;
    struct budget budgets[COUNT_OF(((struct exchange_limits *)0)->messages)];
    struct budget connects;
    enum status_state state;
    int64_t since_us;
    int64_t opened_ns;
    int64_t heard_ns;   /* of the last message or control frame */
    bool refusal_told;  /* on this connection: one is enough, they come together */
    bool books_checked; /* what did not come in time has been told */
    int64_t last_message_us;
    uint64_t request_id;
    struct buffer request;
    void *adapter_state; /* NULL when the adapter keeps none */
    struct event_batch *batch;
    struct metric *verdicts[DECODE_VERDICT_COUNT];
    struct metric *malformed, *left_out, *reconnects, *state_gauge, *age, *publish_latency;
    char url[LIMIT_URL];
};

static void session_connect(void *context);

/* ---- what it says ---- */

static void session_set_state(struct session *session, enum status_state state, struct slice reason)
{
    session->state = state;
    session->since_us = clock_wall_us();
    metric_set(session->state_gauge, (int64_t)state);
    publisher_status(session->publisher, state, reason, session->since_us);
}

static void session_count_verdict(struct session *session, enum decode_verdict verdict)
{
    metric_add(session->verdicts[verdict], 1);
    if (verdict == DECODE_MALFORMED)
        metric_add(session->malformed, 1);
}

/* ---- asking ---- */

static int64_t session_wait_ns(const struct session *session, int64_t now_ns)
{
    int64_t wait = 0;
    for (size_t i = 0; i < COUNT_OF(session->budgets); i++) {
        int64_t one = budget_wait_ns(&session->budgets[i], now_ns);
        wait = one > wait ? one : wait;
    }
    return wait;
}

static void session_spend(struct session *session)
{
    for (size_t i = 0; i < COUNT_OF(session->budgets); i++)
        budget_spend(&session->budgets[i], clock_monotonic_ns());
}

/* Sends what is wanted and not yet asked for, as far as the message limit goes; the timer does the
 * rest. */
static void session_send_requests(void *context)
{
    struct session *session = context;
    while (session->open) {
        int64_t wait_ns = session_wait_ns(session, clock_monotonic_ns());
        if (wait_ns > 0) {
            timer_start(session->request_timer, (uint64_t)(wait_ns / NS_PER_MS) + 1, 0);
            return;
        }
        buffer_clear(&session->request);
        session->request_id++;
        if (session->exchange->next_request(session->instruments, session->request_id,
                                            &session->request) == 0)
            return;
        assert(!session->request.overflowed);
        session_spend(session);
        log_debug("feed", log_text("msg", "request sent"),
                  log_text("exchange", session->exchange->name),
                  log_slice("text", buffer_slice(&session->request)));
        if (!ws_client_send(session->client, WS_TEXT, buffer_slice(&session->request)))
            return;
    }
}

/* A ping that the limit does not allow now is left out: the next interval comes soon enough. */
static void session_ping(void *context)
{
    struct session *session = context;
    if (!session->open || session_wait_ns(session, clock_monotonic_ns()) > 0)
        return;
    session_spend(session);
    const char *text = session->exchange->ping_text;
    ws_client_send(session->client, text == NULL ? WS_PING : WS_TEXT, slice_of(text));
}

/* ---- watching ---- */

static bool passed(int64_t since_ns, int64_t now_ns, int64_t limit_ms)
{
    return now_ns - since_ns >= limit_ms * NS_PER_MS;
}

/* Books that were asked for and did not come in time are declared. */
static void session_check_books(struct session *session)
{
    session->books_checked = true;
    for (uint32_t i = 0; i < instruments_count(session->instruments); i++) {
        struct instrument *instrument = instruments_at(session->instruments, i);
        if (instrument->wanted & CHANNEL_BIT(CHANNEL_BOOK))
            publisher_book_missing(session->publisher, instrument, clock_wall_us());
    }
}

/*
 * A connection that says nothing at all, or on which no data comes after it was asked for, is
 * ended: the next one may do better. (That a channel or a symbol falls silent is another matter,
 * and comes with a later version.)
 */
static void session_watch(void *context)
{
    struct session *session = context;
    int64_t now_ns = clock_monotonic_ns();
    uint32_t idle_ms = session->exchange->limits.idle_timeout_ms;
    if (!session->books_checked && passed(session->opened_ns, now_ns, LIMIT_BOOK_MS))
        session_check_books(session);
    if (passed(session->heard_ns, now_ns, idle_ms > 0 ? idle_ms : LIMIT_IDLE_MS))
        ws_client_close(session->client, CLOSE_NORMAL, "nothing came");
    else if (session->state != STATUS_LIVE && passed(session->opened_ns, now_ns, LIMIT_LIVE_MS))
        ws_client_close(session->client, CLOSE_NORMAL, "no data came");
}

/* ---- a connection's life ---- */

static void session_retry_later(struct session *session)
{
    uint32_t wait_ms = backoff_next_ms(&session->backoff, random_below(UINT32_MAX));
    int64_t budget_ms = budget_wait_ns(&session->connects, clock_monotonic_ns()) / NS_PER_MS;
    if (budget_ms >= wait_ms)
        wait_ms = (uint32_t)budget_ms + 1;
    log_info("feed", log_text("msg", "reconnecting later"),
             log_text("exchange", session->exchange->name), log_int("wait_ms", wait_ms));
    timer_start(session->retry_timer, wait_ms, 0);
}

static void session_on_open(void *context)
{
    struct session *session = context;
    session->open = true;
    session->opened_ns = session->heard_ns = clock_monotonic_ns();
    session->books_checked = false;
    session->refusal_told = false;
    timer_start(session->watch_timer, WATCH_MS, WATCH_MS);
    for (uint32_t i = 0; i < instruments_count(session->instruments); i++)
        instruments_at(session->instruments, i)->asked = 0;
    if (session->adapter_state != NULL)
        memset(session->adapter_state, 0, session->exchange->state_size);
    for (size_t i = 0; i < COUNT_OF(session->budgets); i++)
        budget_init(&session->budgets[i], session->exchange->limits.messages[i].count,
                    session->exchange->limits.messages[i].window_ms);
    publisher_restart(session->publisher, session->instruments);
    log_info("feed", log_text("msg", "connected"), log_text("exchange", session->exchange->name),
             log_text("url", session->url),
             log_int("symbols", instruments_count(session->instruments)));
    uint32_t interval_ms = session->exchange->limits.ping_interval_ms;
    if (interval_ms > 0)
        timer_start(session->ping_timer, interval_ms, interval_ms);
    session_send_requests(session);
}

static void session_on_closed(void *context, uint16_t close_code, const char *reason)
{
    struct session *session = context;
    if (session->open && clock_monotonic_ns() - session->opened_ns >= BACKOFF_HEALTHY_NS)
        backoff_reset(&session->backoff);
    ws_client_destroy(session->client);
    session->client = NULL;
    session->open = false;
    timer_stop(session->ping_timer);
    timer_stop(session->request_timer);
    timer_stop(session->watch_timer);
    metric_add(session->reconnects, 1);
    char text[LIMIT_REASON];
    snprintf(text, sizeof text, "connection closed: %u %.150s", close_code, reason);
    log_warn("feed", log_text("msg", "connection closed, reconnecting"),
             log_text("exchange", session->exchange->name), log_int("code", close_code),
             log_text("reason", reason));
    if (session->state != STATUS_DOWN)
        session_set_state(session, STATUS_DOWN, slice_of(text));
    publisher_lost(session->publisher, session->instruments, clock_wall_us());
    session_retry_later(session);
}

/* ---- what comes ---- */

static void session_refused(struct session *session)
{
    char text[LIMIT_REASON];
    struct slice note = session->batch->note;
    log_warn("feed", log_text("msg", "the exchange refused a request"),
             log_text("exchange", session->exchange->name), log_slice("answer", note));
    if (session->refusal_told)
        return;
    session->refusal_told = true;
    snprintf(text, sizeof text, "refused: %.*s", (int)(note.size < 150 ? note.size : 150),
             note.data);
    session_set_state(session, session->state, slice_of(text));
}

static void session_events(struct session *session)
{
    if (session->state != STATUS_LIVE)
        session_set_state(session, STATUS_LIVE, (struct slice){0});
    const struct event_batch *batch = session->batch;
    for (uint32_t i = 0; i < batch->event_count; i++)
        publisher_event(session->publisher, batch->instrument[i], &batch->event[i]);
    /* A carrier that accepts later will need its own end of this. */
    metric_observe(session->publish_latency,
                   (clock_monotonic_ns() - session->heard_ns) / NS_PER_US);
}

static void session_on_message(void *context, enum ws_opcode opcode, char *data, size_t size)
{
    (void)opcode; /* Upbit and Bithumb send their JSON in binary frames */
    struct session *session = context;
    struct decode_input input = {
        .text = {.data = data, .size = size},
        .received_us = clock_wall_us(),
        .instruments = session->instruments,
    };
    session->last_message_us = input.received_us;
    session->heard_ns = clock_monotonic_ns();
    metric_set(session->age, input.received_us);
    enum decode_verdict verdict =
        session->exchange->decode(session->adapter_state, &input, session->batch);
    session_count_verdict(session, verdict);
    if (session->batch->left_out > 0)
        metric_add(session->left_out, session->batch->left_out);
    switch (verdict) {
    case DECODE_EVENTS:
        session_events(session);
        return;
    case DECODE_REFUSED:
        session_refused(session);
        return;
    case DECODE_LEAVING:
        log_info("feed", log_text("msg", "the exchange will disconnect"),
                 log_text("exchange", session->exchange->name));
        return;
    case DECODE_MALFORMED:
    case DECODE_UNKNOWN_TYPE:
    case DECODE_UNKNOWN_SYMBOL:
        log_debug("feed", log_text("msg", "message not used"),
                  log_text("exchange", session->exchange->name),
                  log_text("verdict", decode_verdict_names[verdict]),
                  log_slice("text", (struct slice){.data = data, .size = size < 512 ? size : 512}));
        return;
    case DECODE_NOTHING:
    case DECODE_ACKNOWLEDGED:
    case DECODE_KEPT_ALIVE:
    case DECODE_VERDICT_COUNT:
        return;
    }
}

/* The client has answered a ping already; the exchange counts our pong like any message. */
static void session_on_control(void *context, enum ws_opcode opcode, struct slice payload)
{
    (void)payload;
    struct session *session = context;
    session->heard_ns = clock_monotonic_ns();
    if (opcode == WS_PING)
        session_spend(session);
}

static const struct ws_client_callbacks session_callbacks = {
    .on_open = session_on_open,
    .on_message = session_on_message,
    .on_control = session_on_control,
    .on_closed = session_on_closed,
};

/* The authorities are read once, not for each attempt. */
static int session_trust(struct session *session, struct err *err)
{
    bool needed = slice_starts_with(slice_of(session->url), SLICE("wss://"));
    if (!needed || session->tls != NULL)
        return 0;
    return tls_context_create_client(NULL, &session->tls, err);
}

static int session_open(struct session *session, struct err *err)
{
    int failed = session_trust(session, err);
    if (failed != 0)
        return failed;
    const struct ws_client_options options = {
        .url = session->url,
        .tls = session->tls,
        .message_max = LIMIT_EXCHANGE_MESSAGE,
        .queue_max = 2 * LIMIT_REQUEST,
        .connect_ms = LIMIT_CONNECT_MS,
    };
    return ws_client_open(session->loop, &options, &session_callbacks, session, &session->client,
                          err);
}

static void session_connect(void *context)
{
    struct session *session = context;
    struct err err = {0};
    budget_spend(&session->connects, clock_monotonic_ns());
    if (session->state != STATUS_CONNECTING)
        session_set_state(session, STATUS_CONNECTING, (struct slice){0});
    if (session_open(session, &err) == 0)
        return;
    /* Wrong in itself: no attempt will mend it, a new configuration will. */
    log_error("feed", log_text("msg", "cannot connect to this url, staying down"),
              log_text("exchange", session->exchange->name), log_text("url", session->url),
              log_text("error", err.text));
    session_set_state(session, STATUS_DOWN, slice_of(err.text));
}

/* ---- making and ending ---- */

static void session_make_metrics(struct session *session)
{
    char labels[LIMIT_METRIC_LABELS];
    const char *name = session->exchange->name;
    for (int i = 0; i < DECODE_VERDICT_COUNT; i++) {
        snprintf(labels, sizeof labels, "exchange=\"%s\",verdict=\"%s\"", name,
                 decode_verdict_names[i]);
        session->verdicts[i] = metric_series(METRIC_MESSAGES_RECEIVED, labels);
    }
    snprintf(labels, sizeof labels, "exchange=\"%s\"", name);
    session->malformed = metric_series(METRIC_DECODE_ERRORS, labels);
    session->left_out = metric_series(METRIC_FIELDS_LEFT_OUT, labels);
    session->reconnects = metric_series(METRIC_RECONNECTS, labels);
    session->state_gauge = metric_series(METRIC_EXCHANGE_STATE, labels);
    session->age = metric_series(METRIC_EXCHANGE_AGE, labels);
    session->publish_latency = metric_series(METRIC_PUBLISH_LATENCY, labels);
}

bool session_want(struct session *session, const struct symbol *symbol, uint32_t channels)
{
    char native[LIMIT_NATIVE_SYMBOL];
    if (!session->exchange->to_native(symbol, native))
        return false;
    struct instrument *instrument = instruments_add(session->instruments, symbol, slice_of(native));
    if (instrument == NULL)
        return false;
    instrument->wanted = channels;
    session_send_requests(session);
    return true;
}

static int session_want_all(struct session *session, const struct session_options *options,
                            struct err *err)
{
    for (size_t i = 0; i < options->symbol_count; i++)
        if (!session_want(session, &options->symbols[i], options->channels))
            return err_set(err, -EINVAL, "%s: cannot subscribe to %s", options->exchange->name,
                           options->symbols[i].text);
    return 0;
}

struct session *session_create(struct loop *loop, const struct session_options *options,
                               struct sequencer *sequencer, uint32_t book_depth, struct err *err)
{
    const struct exchange *exchange = options->exchange;
    struct session *session = memory_alloc(sizeof *session);
    session->exchange = exchange;
    session->loop = loop;
    session->state = STATUS_DOWN;
    session->since_us = clock_wall_us();
    session->publisher = publisher_create(exchange, sequencer, book_depth);
    session->instruments = instruments_create(LIMIT_EXCHANGE_SYMBOLS, options->learn);
    session->retry_timer = timer_create_on(loop, session_connect, session);
    session->request_timer = timer_create_on(loop, session_send_requests, session);
    session->ping_timer = timer_create_on(loop, session_ping, session);
    session->watch_timer = timer_create_on(loop, session_watch, session);
    session->batch = memory_alloc(sizeof *session->batch);
    if (exchange->state_size > 0)
        session->adapter_state = memory_alloc(exchange->state_size);
    buffer_init(&session->request, LIMIT_REQUEST);
    budget_init(&session->connects, exchange->limits.connects.count,
                exchange->limits.connects.window_ms);
    session_make_metrics(session);
    int size =
        snprintf(session->url, sizeof session->url, "%s%s", options->ws_url, exchange->ws_path);
    int result = 0;
    if (size < 0 || (size_t)size >= sizeof session->url)
        result = err_set(err, -ENAMETOOLONG, "%s: ws_url is too long", exchange->name);
    if (result == 0)
        result = session_want_all(session, options, err);
    if (result == 0)
        return session;
    session_destroy(session);
    return NULL;
}

void session_start(struct session *session)
{
    session_connect(session);
}

void session_destroy(struct session *session)
{
    if (session == NULL)
        return;
    ws_client_destroy(session->client);
    tls_context_destroy(session->tls);
    timer_destroy(session->retry_timer);
    timer_destroy(session->request_timer);
    timer_destroy(session->ping_timer);
    timer_destroy(session->watch_timer);
    for (uint32_t i = 0; i < instruments_count(session->instruments); i++)
        publisher_forget(session->publisher, instruments_at(session->instruments, i));
    instruments_destroy(session->instruments);
    publisher_destroy(session->publisher);
    buffer_release(&session->request);
    memory_free(session->adapter_state);
    memory_free(session->batch);
    memory_free(session);
}

void session_describe(const struct session *session, struct session_info *ret_info)
{
    *ret_info = (struct session_info){
        .exchange = session->exchange->name,
        .state = session->state,
        .since_us = session->since_us,
        .last_message_us = session->last_message_us,
        .connections = session->open ? 1 : 0,
    };
}
