/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One GET: dial.c makes the connection, http_reply.c reads the answer, here they are put together,
 * under one timer. The connection is asked to be closed behind the answer and never used again: a
 * request comes so rarely that a new one costs nothing.
 */
#include "net/http_client.h"

#include "base/clock.h"
#include "base/memory.h"
#include "net/dial.h"
#include "net/http_reply.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#define REQUEST_MAX (LIMIT_URL + LIMIT_HOST + LIMIT_ACCESS_TOKEN + 256)
#define REASON_MAX 640

struct http_client {
    http_client_done_fn *on_done;
    void *context;            /* borrowed */
    struct dial *dial;        /* owned, until it is connected */
    struct tcp *tcp;          /* owned; NULL before, and when done */
    struct timer *timer;      /* owned */
    struct http_reply *reply; /* owned */
    struct buffer request;    /* what is left of it */
    struct url url;
    uint32_t timeout_ms;
    unsigned depth; /* of our callbacks running */
    bool destroyed; /* inside one: freed when it returns */
    bool done;      /* told */
};

/* ---- lives ---- */

static void client_free(struct http_client *client)
{
    http_reply_destroy(client->reply);
    buffer_release(&client->request);
    memory_free(client);
}

static void enter(struct http_client *client)
{
    client->depth++;
}

static void leave(struct http_client *client)
{
    client->depth--;
    if (client->depth == 0 && client->destroyed)
        client_free(client);
}

static void disconnect(struct http_client *client)
{
    dial_destroy(client->dial);
    client->dial = NULL;
    tcp_destroy(client->tcp);
    client->tcp = NULL;
}

/* ---- telling ---- */

static void finish(struct http_client *client, const struct http_client_result *result)
{
    assert(client->depth > 0);
    if (client->done || client->destroyed)
        return;
    client->done = true;
    timer_stop(client->timer);
    disconnect(client);
    client->on_done(client->context, result);
}

static void PRINTF(2, 3) finish_failed(struct http_client *client, const char *format, ...)
{
    char text[REASON_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    finish(client, &(struct http_client_result){.reason = text, .retry_after_s = -1});
}

static void finish_result(struct http_client *client, enum http_reply_result result)
{
    const struct http_head *head = http_reply_head(client->reply);
    switch (result) {
    case HTTP_REPLY_MORE:
        return;
    case HTTP_REPLY_WHOLE:
        finish(client, &(struct http_client_result){.status = head->status,
                                                    .head = head,
                                                    .retry_after_s =
                                                        http_retry_after_s(head, clock_wall_us()),
                                                    .body = http_reply_body(client->reply)});
        return;
    case HTTP_REPLY_FAILED:
        finish_failed(client, "%s:%u: %s", client->url.host, (unsigned)client->url.port,
                      http_reply_reason(client->reply));
        return;
    }
}

/* ---- the connection's callbacks ---- */

static void on_data(void *context, char *data, size_t size)
{
    struct http_client *client = context;
    enter(client);
    finish_result(client,
                  http_reply_read(client->reply, (struct slice){.data = data, .size = size}));
    leave(client);
}

static void on_writable(void *context)
{
    struct http_client *client = context;
    buffer_consume(&client->request,
                   tcp_send(client->tcp, client->request.data, client->request.size));
}

static void on_closed(void *context, int error)
{
    struct http_client *client = context;
    enter(client);
    if (error == 0)
        finish_result(client, http_reply_end(client->reply));
    else
        finish_failed(client, "%s:%u: the connection failed before the answer was whole: %s",
                      client->url.host, (unsigned)client->url.port, strerror(-error));
    leave(client);
}

static const struct tcp_callbacks tcp_callbacks = {
    .on_data = on_data,
    .on_writable = on_writable,
    .on_closed = on_closed,
};

static void on_dialled(void *context, const struct dial_result *result)
{
    struct http_client *client = context;
    client->tcp = result->tcp;
    dial_destroy(client->dial); /* what is in result is not its */
    client->dial = NULL;
    enter(client);
    if (result->reason != NULL) {
        finish_failed(client, "%s", result->reason);
    } else {
        tcp_set_callbacks(client->tcp, &tcp_callbacks, client);
        on_writable(client);
        if (result->early != NULL)
            on_data(client, result->early, result->early_size);
    }
    leave(client);
}

static void on_timer(void *context)
{
    struct http_client *client = context;
    char late[REASON_MAX];
    enter(client);
    if (client->dial != NULL)
        dial_late(client->dial, late, sizeof(late));
    else
        snprintf(late, sizeof(late), "%s:%u: no whole answer", client->url.host,
                 (unsigned)client->url.port);
    finish_failed(client, "%s within %u ms", late, (unsigned)client->timeout_ms);
    leave(client);
}

/* ---- the owner's calls ---- */

static void write_request(struct http_client *client, const char *bearer)
{
    char host[LIMIT_HOST + 16];
    url_host_write(&client->url, host, sizeof(host));
    buffer_init(&client->request, REQUEST_MAX);
    buffer_append_format(&client->request,
                         "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\n"
                         "User-Agent: tickwire/" TICKWIRE_VERSION "\r\n",
                         client->url.target, host);
    if (bearer != NULL)
        buffer_append_format(&client->request, "Authorization: Bearer %s\r\n", bearer);
    buffer_append_text(&client->request, "Connection: close\r\n\r\n");
    assert(!client->request.overflowed);
}

int http_client_get(struct loop *loop, const struct http_client_options *options,
                    http_client_done_fn *on_done, void *context, struct http_client **ret_client,
                    struct err *err)
{
    assert(on_done != NULL && options->body_max > 0);
    assert(options->bearer == NULL || strlen(options->bearer) <= LIMIT_ACCESS_TOKEN);
    struct url url;
    int failed = url_parse(options->url, &url, err);
    if (failed != 0)
        return failed;
    struct http_client *client = memory_alloc(sizeof(*client));
    const struct dial_options dial = {.url = &url,
                                      .tls = options->tls,
                                      .proxy = options->proxy,
                                      .timeout_ms = options->connect_ms > 0 ? options->connect_ms
                                                                            : options->timeout_ms};
    failed = dial_start(loop, &dial, on_dialled, client, &client->dial, err);
    if (failed != 0) {
        memory_free(client);
        return failed;
    }
    client->on_done = on_done;
    client->context = context;
    client->url = url;
    client->timeout_ms = options->timeout_ms;
    client->reply = http_reply_create(options->body_max);
    write_request(client, options->bearer);
    client->timer = timer_create_on(loop, on_timer, client);
    timer_start(client->timer, options->timeout_ms, 0);
    *ret_client = client;
    return 0;
}

void http_client_destroy(struct http_client *client)
{
    if (client == NULL)
        return;
    assert(!client->destroyed);
    client->destroyed = true;
    timer_destroy(client->timer);
    disconnect(client);
    if (client->depth == 0)
        client_free(client);
}
