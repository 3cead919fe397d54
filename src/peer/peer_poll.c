/* SPDX-License-Identifier: Apache-2.0 */
/* A timer between two requests; each request is a connection of its own, as http_client's are. */
#include "peer/peer_poll.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "net/http_client.h"

#include <errno.h>
#include <stdio.h>

#define PATH "/api/v1/cluster"

struct peer_poll {
    struct peer_poll_options options;
    char *url;                   /* owned */
    char *target;                /* owned: with the path */
    struct timer *timer;         /* owned; until the next request */
    struct http_client *request; /* owned; NULL: none under way */
    struct peer_answer answer;
    char error[LIMIT_PEER_ERROR];
    bool asked; /* once at least */
    bool reachable, hurried;
};

static void poll_note(struct peer_poll *poll, const char *error)
{
    bool reachable = error == NULL;
    bool changed = !poll->asked || reachable != poll->reachable;
    snprintf(poll->error, sizeof poll->error, "%s", reachable ? "" : error);
    poll->asked = true;
    poll->reachable = reachable;
    if (!changed)
        return;
    if (reachable)
        log_info("peer", log_text("msg", "peer answers"), log_text("url", poll->url),
                 log_text("node", poll->answer.node), log_text("role", poll->answer.role),
                 log_int("epoch", poll->answer.epoch));
    else
        log_warn("peer", log_text("msg", "peer does not answer, asking on"),
                 log_text("url", poll->url), log_text("error", poll->error));
}

static void poll_schedule(struct peer_poll *poll)
{
    uint32_t wait_ms = poll->hurried ? LIMIT_PEER_SEARCH_MS : LIMIT_PEER_POLL_MS;
    timer_start(poll->timer, wait_ms * 9 / 10 + random_below(wait_ms / 5), 0);
}

static void poll_take(struct peer_poll *poll, const struct http_client_result *result)
{
    struct err err = {0};
    if (result->reason != NULL)
        err_set(&err, -EIO, "%s", result->reason);
    else if (result->status == 401 || result->status == 403)
        err_set(&err, -EACCES, "it answered %u: %s", result->status,
                peer_refusal(poll->options.bearer != NULL));
    else if (result->status != 200)
        err_set(&err, -EIO, "it answered %u", result->status);
    else if (peer_answer_read(result->body, &poll->answer, &err) != 0)
        err_wrap(&err, "what it answered is no answer of a node");
    poll_note(poll, err.code == 0 ? NULL : err.text);
}

static void poll_on_done(void *context, const struct http_client_result *result)
{
    struct peer_poll *poll = context;
    poll_take(poll, result);
    http_client_destroy(poll->request);
    poll->request = NULL;
    poll_schedule(poll);
    poll->options.on_asked(poll->options.context, poll);
}

static void poll_ask(void *context)
{
    struct peer_poll *poll = context;
    const struct http_client_options options = {
        .url = poll->target,
        .tls = poll->options.tls,
        .proxy = poll->options.proxy,
        .body_max = LIMIT_PEER_ANSWER,
        .timeout_ms = LIMIT_PEER_ANSWER_MS,
        .connect_ms = LIMIT_PEER_CONNECT_MS,
        .bearer = poll->options.bearer,
    };
    struct err err;
    if (http_client_get(poll->options.loop, &options, poll_on_done, poll, &poll->request, &err) ==
        0)
        return;
    poll_note(poll, err.text);
    poll_schedule(poll);
    poll->options.on_asked(poll->options.context, poll);
}

struct peer_poll *peer_poll_create(const struct peer_poll_options *options)
{
    struct peer_poll *poll = memory_alloc(sizeof *poll);
    size_t target_size = strlen(options->url) + sizeof PATH;
    poll->options = *options;
    poll->url = memory_copy_text(options->url);
    poll->options.url = poll->url;
    poll->target = memory_alloc(target_size);
    snprintf(poll->target, target_size, "%s" PATH, options->url);
    poll->answer = (struct peer_answer){.role = "", .clients = -1, .lag_ms = -1};
    poll->timer = timer_create_on(options->loop, poll_ask, poll);
    timer_start(poll->timer, 0, 0);
    return poll;
}

void peer_poll_destroy(struct peer_poll *poll)
{
    if (poll == NULL)
        return;
    http_client_destroy(poll->request);
    timer_destroy(poll->timer);
    memory_free(poll->url);
    memory_free(poll->target);
    memory_free(poll);
}

void peer_poll_hurry(struct peer_poll *poll, bool hurried)
{
    bool begins = hurried && !poll->hurried;
    poll->hurried = hurried;
    if (begins && poll->request == NULL)
        timer_start(poll->timer, 0, 0);
}

const char *peer_poll_url(const struct peer_poll *poll)
{
    return poll->url;
}

bool peer_poll_reachable(const struct peer_poll *poll)
{
    return poll->reachable;
}

const char *peer_poll_error(const struct peer_poll *poll)
{
    return poll->error;
}

const struct peer_answer *peer_poll_answer(const struct peer_poll *poll)
{
    return &poll->answer;
}
