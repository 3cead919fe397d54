/* SPDX-License-Identifier: Apache-2.0 */
/* One WebSocket client for each exchange; the loop runs until the first one opens, or the last one
 * has failed. */
#include "node/probe.h"

#include "base/log.h"
#include "net/ws_client.h"

#include <stdio.h>

#define PROBE_MESSAGE_MAX (64 * KIBIBYTE) /* nothing is asked for, so little comes */

struct probe;

struct attempt {
    struct probe *probe; /* borrowed */
    const struct exchange *exchange;
    struct ws_client *client; /* owned; NULL: over */
};

struct probe {
    struct probe_options options;
    struct tls_context *tls; /* owned; NULL: not needed yet */
    const char *answered;
    size_t waiting;
    struct attempt attempts[LIMIT_EXCHANGES];
};

static void say_unreachable(const struct attempt *attempt, const char *reason)
{
    log_info("node", log_text("msg", "does not answer"),
             log_text("exchange", attempt->exchange->name), log_text("reason", reason));
}

static void probe_on_open(void *context)
{
    struct attempt *attempt = context;
    struct probe *probe = attempt->probe;
    if (probe->answered == NULL)
        probe->answered = attempt->exchange->name;
    loop_stop(probe->options.loop);
}

static void probe_on_message(void *context, enum ws_opcode opcode, char *data, size_t size)
{
    (void)context;
    (void)opcode;
    (void)data;
    (void)size;
}

static void probe_on_closed(void *context, uint16_t close_code, const char *reason)
{
    (void)close_code;
    struct attempt *attempt = context;
    struct probe *probe = attempt->probe;
    say_unreachable(attempt, reason);
    ws_client_destroy(attempt->client);
    attempt->client = NULL;
    if (--probe->waiting == 0)
        loop_stop(probe->options.loop);
}

static void probe_on_timeout(void *context)
{
    struct probe *probe = context;
    loop_stop(probe->options.loop);
}

/* The authorities are read once for all. */
static int probe_trust(struct probe *probe, const char *url, struct err *err)
{
    if (probe->tls != NULL || strncmp(url, "wss:", 4) != 0)
        return 0;
    return tls_context_create_client(NULL, &probe->tls, err);
}

static int probe_try(struct attempt *attempt, const char *url, struct err *err)
{
    static const struct ws_client_callbacks callbacks = {
        .on_open = probe_on_open,
        .on_message = probe_on_message,
        .on_closed = probe_on_closed,
    };
    struct probe *probe = attempt->probe;
    int result = probe_trust(probe, url, err);
    if (result < 0)
        return result;
    const struct ws_client_options options = {
        .url = url,
        .tls = probe->tls,
        .message_max = PROBE_MESSAGE_MAX,
        .queue_max = PROBE_MESSAGE_MAX,
        .connect_ms = probe->options.timeout_ms,
        .proxy = probe->options.proxy,
    };
    return ws_client_open(probe->options.loop, &options, &callbacks, attempt, &attempt->client,
                          err);
}

static void probe_start(struct probe *probe, size_t index)
{
    const struct settings_exchange *settings = &probe->options.settings->exchanges[index];
    struct attempt *attempt = &probe->attempts[index];
    struct err err = {0};
    char url[LIMIT_URL];
    *attempt = (struct attempt){.probe = probe, .exchange = settings->exchange};
    const char *base = settings->ws_url[0] != '\0' ? settings->ws_url : settings->exchange->ws_url;
    snprintf(url, sizeof url, "%s%s", base, settings->exchange->ws_path);
    if (probe_try(attempt, url, &err) < 0)
        say_unreachable(attempt, err.text);
    else
        probe->waiting++;
}

const char *probe_exchanges(const struct probe_options *options)
{
    struct probe probe = {.options = *options};
    for (size_t i = 0; i < options->settings->exchange_count; i++) {
        if (options->settings->exchanges[i].enabled)
            probe_start(&probe, i);
    }
    struct timer *timer = timer_create_on(options->loop, probe_on_timeout, &probe);
    timer_start(timer, options->timeout_ms, 0);
    if (probe.waiting > 0)
        loop_run(options->loop);
    timer_destroy(timer);
    for (size_t i = 0; i < COUNT_OF(probe.attempts); i++)
        ws_client_destroy(probe.attempts[i].client);
    tls_context_destroy(probe.tls);
    return probe.answered;
}
