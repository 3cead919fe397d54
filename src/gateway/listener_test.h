/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the gateway's test files, behind <cmocka.h>: a client that knows the rules of the stream and
 * holds every message against them. Streams are named "tw-CONTENT", and messages of type `note` say
 * of which content they are. And one who asks for something else by HTTP.
 */
#pragma once

#include "base/memory.h"
#include "net/http_client.h"
#include "net/ws_client.h"

#include <stdio.h>
#include <stdlib.h>

#define WAIT_MS 30000 /* for anything; then the test has failed */

struct listener {
    struct ws_client *ws; /* NULL: ended, or refused */
    bool snapshot;        /* it asked for it */
    /* what it was told last */
    char stream[LIMIT_STREAM_ID];
    bool in_snapshot, resumed;
    int64_t next;
    uint64_t hellos, messages, snapshot_messages, sources, skipped, draining;
    char source[16], mode[16], reason[LIMIT_REASON + 1];
    /* how it ended */
    uint16_t close_code;
    char close_reason[128];
    struct ws_client_refusal refusal;
};

/* ---- what a listener hears ---- */

static inline int64_t number_in(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    assert_non_null(at);
    return strtoll(at + strlen(key), NULL, 10);
}

static inline void text_in(const char *text, const char *key, char *ret_value, size_t size)
{
    const char *at = strstr(text, key);
    assert_non_null(at);
    at += strlen(key);
    size_t length = 0;
    while (at[length] != '"' && at[length] != '\0')
        length += at[length] == '\\' ? 2 : 1;
    assert_true(length < size);
    memcpy(ret_value, at, length);
    ret_value[length] = '\0';
}

static inline void hear_hello(struct listener *listener, const char *text)
{
    listener->hellos++;
    text_in(text, "\"stream\":\"", listener->stream, sizeof listener->stream);
    text_in(text, "\"source\":\"", listener->source, sizeof listener->source);
    text_in(text, "\"mode\":\"", listener->mode, sizeof listener->mode);
    listener->resumed = strstr(text, "\"resumed\":true") != NULL;
    listener->next = number_in(text, "\"next\":");
    listener->in_snapshot = listener->snapshot && !listener->resumed;
}

static inline void hear_record(struct listener *listener, const char *text)
{
    if (strstr(text, "\"snapshot\":true") != NULL) {
        assert_true(listener->in_snapshot);
        assert_true(number_in(text, "\"seq\":") < listener->next);
        listener->snapshot_messages++;
        return;
    }
    assert_false(listener->in_snapshot);
    assert_int_equal(number_in(text, "\"seq\":"), listener->next);
    if (strncmp(text, "{\"type\":\"note\"", 14) == 0)
        assert_int_equal(number_in(text, "\"content\":"), strtoll(listener->stream + 3, NULL, 10));
    listener->next++;
    listener->messages++;
}

static inline void hear(struct listener *listener, const char *text)
{
    char type[24];
    text_in(text, "{\"type\":\"", type, sizeof type);
    if (strcmp(type, "hello") == 0) {
        hear_hello(listener, text);
        return;
    }
    assert_true(listener->hellos > 0);
    if (strcmp(type, "snapshot_end") == 0) {
        assert_true(listener->in_snapshot);
        assert_int_equal(number_in(text, "\"seq\":"), listener->next - 1);
        listener->in_snapshot = false;
    } else if (strcmp(type, "source") == 0) {
        listener->sources++;
        text_in(text, "\"source\":\"", listener->source, sizeof listener->source);
        text_in(text, "\"reason\":\"", listener->reason, sizeof listener->reason);
    } else if (strcmp(type, "skipped") == 0) {
        listener->skipped++;
    } else if (strcmp(type, "draining") == 0) {
        listener->draining++;
    } else if (strcmp(type, "heartbeat") == 0) {
        assert_int_equal(number_in(text, "\"seq\":"), listener->next - 1);
    } else {
        hear_record(listener, text);
    }
}

static inline void on_message(void *context, enum ws_opcode opcode, char *data, size_t size)
{
    assert_int_equal(opcode, WS_TEXT);
    char *end = data + size;
    while (data < end) {
        char *line_end = memchr(data, '\n', (size_t)(end - data));
        if (line_end == NULL)
            line_end = end;
        *line_end = '\0';
        hear(context, data);
        data = line_end + 1;
    }
}

static inline void on_open(void *context)
{
    (void)context;
}

static inline void on_ws_closed(void *context, uint16_t close_code, const char *reason)
{
    struct listener *listener = context;
    listener->close_code = close_code;
    snprintf(listener->close_reason, sizeof listener->close_reason, "%s", reason);
    ws_client_refused(listener->ws, &listener->refusal);
    ws_client_destroy(listener->ws);
    listener->ws = NULL;
}

/* path: "exchange?batch=1" */
static inline void listener_open(struct listener *listener, struct loop *loop, unsigned port,
                                 const char *path, bool deflate)
{
    static const struct ws_client_callbacks callbacks = {
        .on_open = on_open, .on_message = on_message, .on_closed = on_ws_closed};
    char url[256];
    struct err err;
    *listener = (struct listener){.snapshot = strstr(path, "snapshot=0") == NULL};
    snprintf(url, sizeof url, "ws://127.0.0.1:%u/ws/%s", port, path);
    const struct ws_client_options options = {.url = url,
                                              .message_max = LIMIT_FRAME,
                                              .queue_max = 65536,
                                              .connect_ms = WAIT_MS,
                                              .deflate = deflate};
    assert_int_equal(ws_client_open(loop, &options, &callbacks, listener, &listener->ws, &err), 0);
}

/* ---- asking ---- */

struct asker {
    struct http_client *client; /* owned; NULL: none */
    char *body;                 /* of the last answer; owned */
    unsigned status;            /* 0: not answered yet */
};

static inline void asker_close(struct asker *asker)
{
    http_client_destroy(asker->client);
    memory_free(asker->body);
    *asker = (struct asker){0};
}

static inline void on_answer(void *context, const struct http_client_result *result)
{
    struct asker *asker = context;
    asker->status = result->status;
    asker->body = memory_alloc(result->body.size + 1);
    memcpy(asker->body, result->body.data, result->body.size);
}

static inline void asker_open(struct asker *asker, struct loop *loop, unsigned port,
                              const char *path)
{
    char url[128];
    struct err err;
    asker_close(asker);
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", port, path);
    const struct http_client_options options = {
        .url = url, .body_max = 65536, .timeout_ms = WAIT_MS};
    assert_int_equal(http_client_get(loop, &options, on_answer, asker, &asker->client, &err), 0);
}
