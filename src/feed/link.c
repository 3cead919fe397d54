/* SPDX-License-Identifier: Apache-2.0 */
/* Asks for what is missing, as fast as the exchange allows; decodes what comes. */
#include "feed/link.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "feed/egress.h"

#include <assert.h>

#define NS_PER_MS 1000000

/* Upbit takes all symbols of all channels in one message: each code with quotes and a comma. */
static_assert(LIMIT_REQUEST >
                  LIMIT_EXCHANGE_SYMBOLS * CHANNEL_COUNT * (LIMIT_NATIVE_SYMBOL + 3) + KIBIBYTE,
              "the largest request fits");

struct link {
    struct link_callbacks callbacks;
    void *context; /* borrowed */
    struct link_options options;
    struct ws_client *client; /* owned */
    struct instruments *instruments;
    struct timer *request_timer, *ping_timer;
    struct message_budget budget;
    struct buffer request;
    void *adapter_state; /* NULL when the adapter keeps none */
    uint64_t request_id;
    bool open, settled;
    int64_t opened_ns, heard_ns, received_us;
};

/* ---- asking ---- */

static void link_send(struct link *link, enum ws_opcode opcode, struct slice text)
{
    const struct session_tap *tap = link->options.tap;
    message_budget_spend(&link->budget, clock_monotonic_ns());
    if (!ws_client_send(link->client, opcode, text) || opcode != WS_TEXT)
        return;
    if (tap != NULL && tap->sent != NULL)
        tap->sent(tap->context, link->options.connection, text);
}

/* Sends what is wanted and not yet asked for, as far as the message limit goes; the timer does the
 * rest. */
static void link_send_requests(void *context)
{
    struct link *link = context;
    while (link->open) {
        int64_t wait_ns = message_budget_wait_ns(&link->budget, clock_monotonic_ns());
        if (wait_ns > 0) {
            timer_start(link->request_timer, (uint64_t)(wait_ns / NS_PER_MS) + 1, 0);
            return;
        }
        buffer_clear(&link->request);
        link->request_id++;
        if (link->options.exchange->next_request(link->instruments, link->request_id,
                                                 &link->request) == 0) {
            link->settled = true;
            return;
        }
        assert(!link->request.overflowed);
        log_debug("feed", log_text("msg", "request sent"),
                  log_text("exchange", link->options.exchange->name),
                  log_int("connection", link->options.connection),
                  log_slice("text", buffer_slice(&link->request)));
        link_send(link, WS_TEXT, buffer_slice(&link->request));
    }
}

void link_follow(struct link *link, struct instruments *catalogue)
{
    for (uint32_t i = 0; i < instruments_count(catalogue); i++) {
        struct instrument *own = instruments_at(catalogue, i);
        struct instrument *instrument =
            instruments_add(link->instruments, &own->symbol, slice_of(own->native));
        if (instrument == NULL)
            continue; /* both have the same room: the learnt ones took it */
        instrument->context = own;
        instrument->wanted = own->wanted;
    }
    link->settled = false;
    link_send_requests(link);
}

/* A ping that the limit does not allow now is left out: the next interval comes soon enough. */
static void link_ping(void *context)
{
    struct link *link = context;
    const char *text = link->options.exchange->ping_text;
    if (link->open && message_budget_wait_ns(&link->budget, clock_monotonic_ns()) == 0)
        link_send(link, text == NULL ? WS_PING : WS_TEXT, slice_of(text));
}

/* ---- what comes ---- */

static void link_not_used(const struct link *link, enum decode_verdict verdict, struct slice text)
{
    text.size = text.size < 512 ? text.size : 512;
    log_debug("feed", log_text("msg", "message not used"),
              log_text("exchange", link->options.exchange->name),
              log_int("connection", link->options.connection),
              log_text("verdict", decode_verdict_names[verdict]), log_slice("text", text));
}

static void link_judge(struct link *link, enum decode_verdict verdict, struct slice text)
{
    switch (verdict) {
    case DECODE_EVENTS:
        link->callbacks.events(link->context, link);
        return;
    case DECODE_REFUSED:
        link->callbacks.refused(link->context, link, link->options.batch->note);
        return;
    case DECODE_LEAVING:
        link->callbacks.leaving(link->context, link);
        return;
    case DECODE_MALFORMED:
    case DECODE_UNKNOWN_TYPE:
    case DECODE_UNKNOWN_SYMBOL:
        link_not_used(link, verdict, text);
        return;
    case DECODE_NOTHING:
    case DECODE_ACKNOWLEDGED:
    case DECODE_KEPT_ALIVE:
    case DECODE_VERDICT_COUNT:
        return;
    }
}

static void link_on_message(void *context, enum ws_opcode opcode, char *data, size_t size)
{
    struct link *link = context;
    const struct session_tap *tap = link->options.tap;
    const struct link_metrics *metrics = link->options.metrics;
    struct decode_input input = {
        .text = {.data = data, .size = size},
        .received_us = clock_wall_us(),
        .instruments = link->instruments,
    };
    link->received_us = input.received_us;
    link->heard_ns = clock_monotonic_ns();
    if (tap != NULL && tap->received != NULL)
        tap->received(tap->context, link->options.connection, opcode == WS_BINARY, input.text,
                      input.received_us);
    /* Upbit and Bithumb send their JSON in binary frames: the opcode says nothing more. */
    enum decode_verdict verdict =
        link->options.exchange->decode(link->adapter_state, &input, link->options.batch);
    metric_add(metrics->verdicts[verdict], 1);
    if (verdict == DECODE_MALFORMED)
        metric_add(metrics->malformed, 1);
    if (link->options.batch->left_out > 0)
        metric_add(metrics->left_out, link->options.batch->left_out);
    link_judge(link, verdict, input.text);
}

/* The client has answered a ping already; the exchange counts our pong like any message. */
static void link_on_control(void *context, enum ws_opcode opcode, struct slice payload)
{
    (void)payload;
    struct link *link = context;
    link->heard_ns = clock_monotonic_ns();
    if (opcode == WS_PING)
        message_budget_spend(&link->budget, link->heard_ns);
}

/* ---- its life ---- */

static void link_on_open(void *context)
{
    struct link *link = context;
    const struct session_tap *tap = link->options.tap;
    uint32_t interval_ms = link->options.exchange->limits.ping_interval_ms;
    link->open = true;
    link->opened_ns = link->heard_ns = clock_monotonic_ns();
    if (interval_ms > 0)
        timer_start(link->ping_timer, interval_ms, interval_ms);
    if (tap != NULL && tap->opened != NULL)
        tap->opened(tap->context, link->options.connection, link->options.url);
    link->callbacks.opened(link->context, link);
}

static void link_on_closed(void *context, uint16_t close_code, const char *reason)
{
    struct link *link = context;
    const struct session_tap *tap = link->options.tap;
    struct link_ending ending = {.code = close_code, .reason = reason, .opened = link->open};
    ws_client_refused(link->client, &ending.refusal);
    link->open = false;
    timer_stop(link->ping_timer);
    timer_stop(link->request_timer);
    if (tap != NULL && tap->closed != NULL && ending.opened)
        tap->closed(tap->context, link->options.connection, close_code, reason);
    link->callbacks.closed(link->context, link, &ending);
}

static const struct ws_client_callbacks client_callbacks = {
    .on_open = link_on_open,
    .on_message = link_on_message,
    .on_control = link_on_control,
    .on_closed = link_on_closed,
};

int link_open(const struct link_options *options, const struct link_callbacks *callbacks,
              void *context, struct link **ret_link, struct err *err)
{
    const struct exchange *exchange = options->exchange;
    struct link *link = memory_alloc(sizeof *link);
    link->callbacks = *callbacks;
    link->context = context;
    link->options = *options;
    link->instruments = instruments_create(LIMIT_EXCHANGE_SYMBOLS, options->learn);
    link->request_timer = timer_create_on(options->loop, link_send_requests, link);
    link->ping_timer = timer_create_on(options->loop, link_ping, link);
    message_budget_init(&link->budget, exchange);
    buffer_init(&link->request, LIMIT_REQUEST);
    if (exchange->state_size > 0)
        link->adapter_state = memory_alloc(exchange->state_size);
    const struct ws_client_options client = {
        .url = options->url,
        .tls = options->tls,
        .proxy = options->proxy,
        .message_max = LIMIT_EXCHANGE_MESSAGE,
        .queue_max = 2 * LIMIT_REQUEST,
        .connect_ms = LIMIT_CONNECT_MS,
        .deflate = exchange->deflate,
    };
    int failed =
        ws_client_open(options->loop, &client, &client_callbacks, link, &link->client, err);
    if (failed != 0) {
        link_destroy(link);
        return failed;
    }
    *ret_link = link;
    return 0;
}

void link_destroy(struct link *link)
{
    if (link == NULL)
        return;
    ws_client_destroy(link->client);
    timer_destroy(link->request_timer);
    timer_destroy(link->ping_timer);
    instruments_destroy(link->instruments);
    message_budget_release(&link->budget);
    buffer_release(&link->request);
    memory_free(link->adapter_state);
    memory_free(link);
}

bool link_settled(const struct link *link)
{
    return link->open && link->settled;
}

void link_close(struct link *link, uint16_t code, const char *reason)
{
    ws_client_close(link->client, code, reason);
}

bool link_is_open(const struct link *link)
{
    return link->open;
}

int64_t link_opened_ns(const struct link *link)
{
    return link->opened_ns;
}

int64_t link_heard_ns(const struct link *link)
{
    return link->heard_ns;
}

int64_t link_received_us(const struct link *link)
{
    return link->received_us;
}

uint32_t link_connection(const struct link *link)
{
    return link->options.connection;
}
