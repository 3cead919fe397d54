/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client. A message that lies whole in one read is handed over where it lies, in the loop's
 * buffer; only one that was cut or fragmented is collected. Nothing is told from inside a call of
 * the owner: whatever fails there is told by the timer, in a turn of its own.
 */
#include "net/ws_client.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "net/dial.h"
#include "net/http.h"
#include "net/ws_deflate.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define MASK_SIZE 4
#define MASKS_SIZE (64 * MASK_SIZE) /* drawn from the system at once */
#define CODE_ABSENT 1005
#define CODE_NONE 1006
#define CODE_TOO_BIG 1009
#define REASON_MAX 640
#define HANDSHAKE_MAX (LIMIT_URL + LIMIT_HOST + LIMIT_ACCESS_TOKEN + 512)
#define CLOSE_REASON_MAX (WS_CONTROL_MAX - 2)

enum client_state {
    CLIENT_CONNECTING,
    CLIENT_HANDSHAKE,
    CLIENT_OPEN,
    CLIENT_CLOSING, /* our close frame is out, the peer's is awaited */
    CLIENT_FAILING, /* the timer will tell */
    CLIENT_CLOSED   /* told */
};

struct ws_client {
    struct ws_client_callbacks callbacks;
    void *context;                /* borrowed */
    struct tcp *tcp;              /* owned; NULL until it is connected, and when closed */
    struct dial *dial;            /* owned, until it is connected */
    struct timer *timer;          /* owned: for opening, closing, telling */
    struct http_reader *reader;   /* owned, during the handshake */
    struct ws_inflater *inflater; /* owned; NULL when compression was not negotiated */
    struct buffer message;        /* one that came in pieces, and padding */
    struct buffer output;
    char *bearer; /* owned; NULL: none */
    struct url url;
    enum client_state state;
    unsigned depth; /* of our callbacks running */
    bool destroyed; /* inside one: freed when it returns */
    bool deflate;   /* compression is offered */
    uint32_t connect_ms;
    size_t message_max;
    struct ws_client_refusal refusal;
    char reason[REASON_MAX];
    char key[WS_KEY_SIZE + 1];
    size_t masks_left;
    uint8_t masks[MASKS_SIZE];
    struct ws_parser parser;
};

/* ---- lives ---- */

static void client_free(struct ws_client *client)
{
    http_reader_destroy(client->reader);
    ws_parser_release(&client->parser);
    ws_inflater_destroy(client->inflater);
    dial_destroy(client->dial);
    buffer_release(&client->message);
    buffer_release(&client->output);
    memory_free(client->bearer);
    memory_free(client);
}

static void enter(struct ws_client *client)
{
    client->depth++;
}

static void leave(struct ws_client *client)
{
    client->depth--;
    if (client->depth == 0 && client->destroyed)
        client_free(client);
}

static void disconnect(struct ws_client *client)
{
    dial_destroy(client->dial);
    client->dial = NULL;
    tcp_destroy(client->tcp);
    client->tcp = NULL;
}

static void set_reason(struct ws_client *client, struct slice reason)
{
    size_t size = reason.size < REASON_MAX - 1 ? reason.size : REASON_MAX - 1;
    if (size > 0)
        memcpy(client->reason, reason.data, size);
    client->reason[size] = '\0';
}

/* Ends it and tells so. Only from our callbacks. */
static void finish(struct ws_client *client, uint16_t close_code, struct slice reason)
{
    assert(client->depth > 0);
    if (client->state == CLIENT_CLOSED || client->destroyed)
        return;
    if (client->state != CLIENT_FAILING) /* its reason came first */
        set_reason(client, reason);
    client->state = CLIENT_CLOSED;
    timer_stop(client->timer);
    disconnect(client);
    client->callbacks.on_closed(client->context, close_code, client->reason);
}

/* It ended without the peer's close frame. */
static void PRINTF(2, 3) finish_failed(struct ws_client *client, const char *format, ...)
{
    char text[REASON_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    finish(client, CODE_NONE, slice_of(text));
}

/* The same from inside a call of the owner: told in a turn of its own. */
static void fail_later(struct ws_client *client, const char *reason)
{
    if (client->state == CLIENT_FAILING || client->state == CLIENT_CLOSED)
        return;
    set_reason(client, slice_of(reason));
    client->state = CLIENT_FAILING;
    timer_start(client->timer, 0, 0);
}

/* ---- sending ---- */

static void flush(struct ws_client *client)
{
    size_t taken = tcp_send(client->tcp, client->output.data, client->output.size);
    buffer_consume(&client->output, taken);
}

static const uint8_t *next_mask(struct ws_client *client)
{
    if (client->masks_left == 0) {
        random_bytes(client->masks, sizeof(client->masks));
        client->masks_left = sizeof(client->masks);
    }
    client->masks_left -= MASK_SIZE;
    return client->masks + client->masks_left;
}

static bool send_frame(struct ws_client *client, enum ws_opcode opcode, struct slice payload)
{
    const uint8_t *mask = next_mask(client);
    uint8_t header[WS_HEADER_MAX];
    size_t header_size = ws_write_header(header, opcode, payload.size, mask);
    char *target = buffer_reserve(&client->output, header_size + payload.size);
    if (target == NULL) {
        fail_later(client, "the peer takes less than is sent: the output queue is full");
        return false;
    }
    memcpy(target, header, header_size);
    if (payload.size > 0)
        memcpy(target + header_size, payload.data, payload.size);
    ws_mask(target + header_size, payload.size, mask, 0);
    client->output.size += header_size + payload.size;
    flush(client);
    return true;
}

/* code 1005: a close frame without one. */
static bool send_close(struct ws_client *client, uint16_t code, struct slice reason)
{
    char payload[WS_CONTROL_MAX];
    assert(reason.size <= CLOSE_REASON_MAX);
    if (code == CODE_ABSENT)
        return send_frame(client, WS_CLOSE, (struct slice){.data = NULL});
    payload[0] = (char)(code >> 8);
    payload[1] = (char)(code & 0xff);
    if (reason.size > 0)
        memcpy(payload + 2, reason.data, reason.size);
    return send_frame(client, WS_CLOSE, (struct slice){.data = payload, .size = reason.size + 2});
}

/* ---- messages ---- */

static void deliver_in_place(struct ws_client *client, const struct ws_part *part)
{
    /* The byte behind may be the next frame's first; it is the read buffer's, so it is there even
     * if the client is destroyed meanwhile. */
    char behind = part->data[part->size];
    part->data[part->size] = '\0';
    client->callbacks.on_message(client->context, part->opcode, part->data, part->size);
    part->data[part->size] = behind;
}

static void deliver_collected(struct ws_client *client, enum ws_opcode opcode)
{
    struct buffer *message = &client->message;
    char *padding = buffer_reserve(message, LIMIT_PADDING);
    assert(padding !=
           NULL); /* the parser has bounded the message, the buffer holds that much more */
    memset(padding, 0, LIMIT_PADDING);
    client->callbacks.on_message(client->context, opcode, message->data, message->size);
    buffer_clear(message);
}

static void take_part(struct ws_client *client, const struct ws_part *part)
{
    if (client->state != CLIENT_OPEN)
        return; /* the owner has closed it and wants no more */
    if (part->first && part->last) {
        deliver_in_place(client, part);
        return;
    }
    buffer_append(&client->message, part->data, part->size);
    assert(!client->message.overflowed);
    if (part->last)
        deliver_collected(client, part->opcode);
}

static void take_close(struct ws_client *client, const struct ws_control *control)
{
    if (client->state == CLIENT_OPEN)
        (void)send_close(client, control->close_code, (struct slice){.data = NULL});
    finish(client, control->close_code, control->payload);
}

static void take_control(struct ws_client *client, const struct ws_control *control)
{
    if (control->opcode == WS_CLOSE) {
        take_close(client, control);
        return;
    }
    if (client->state != CLIENT_OPEN)
        return;
    if (control->opcode == WS_PING && !send_frame(client, WS_PONG, control->payload))
        return;
    if (client->callbacks.on_control != NULL)
        client->callbacks.on_control(client->context, control->opcode, control->payload);
}

static void take_violation(struct ws_client *client)
{
    uint16_t code = ws_error_code(&client->parser);
    if (client->state == CLIENT_OPEN)
        (void)send_close(client, code, (struct slice){.data = NULL});
    if (code == CODE_TOO_BIG)
        finish_failed(client, "a message of more than %zu bytes", client->message_max);
    else
        finish_failed(client, "the peer broke the WebSocket protocol (%u)", (unsigned)code);
}

static bool is_parsing(const struct ws_client *client)
{
    return !client->destroyed && (client->state == CLIENT_OPEN || client->state == CLIENT_CLOSING);
}

static void parse(struct ws_client *client, char *cursor, char *end)
{
    while (is_parsing(client)) {
        struct ws_part part;
        struct ws_control control;
        switch (ws_parse(&client->parser, &cursor, end, &part, &control)) {
        case WS_NEED_MORE:
            return;
        case WS_DATA:
            take_part(client, &part);
            break;
        case WS_CONTROL:
            take_control(client, &control);
            break;
        case WS_FAILED:
            take_violation(client);
            return;
        }
    }
}

/* ---- opening ---- */

static void send_request(struct ws_client *client)
{
    char host[LIMIT_HOST + 16];
    url_host_write(&client->url, host, sizeof(host));
    ws_key_make(client->key);
    struct buffer request;
    buffer_init(&request, HANDSHAKE_MAX);
    buffer_append_format(
        &request,
        "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
        "Sec-WebSocket-Version: 13\r\nUser-Agent: tickwire/" TICKWIRE_VERSION "\r\n%s",
        client->url.target, host, client->key, client->deflate ? WS_DEFLATE_OFFER : "");
    if (client->bearer != NULL)
        buffer_append_format(&request, "Authorization: Bearer %s\r\n", client->bearer);
    buffer_append_text(&request, "\r\n");
    assert(!request.overflowed);
    size_t taken = tcp_send(client->tcp, request.data, request.size);
    if (taken < request.size) /* nothing else is on its way: the connection is broken */
        tcp_shutdown(client->tcp);
    buffer_release(&request);
}

/* As ws_handshake_accepted, with what was offered. */
static int handshake_end(struct ws_client *client, const struct http_head *answer, struct err *err)
{
    if (!client->deflate)
        return ws_handshake_accepted(answer, client->key, err);
    bool granted = false;
    int failed = ws_handshake_accepted_but_extension(answer, client->key, err);
    if (failed == 0)
        failed = ws_deflate_answered(answer, &granted, err);
    if (failed == 0 && granted) {
        client->inflater = ws_inflater_create(client->message_max, 0);
        ws_parser_set_inflater(&client->parser, client->inflater);
    }
    return failed;
}

static void take_answer(struct ws_client *client, const struct http_head *answer)
{
    struct err err;
    if (handshake_end(client, answer, &err) != 0) {
        client->refusal.status = answer->status;
        client->refusal.retry_after_s = http_retry_after_s(answer, clock_wall_us());
        finish_failed(client, "%s", err.text);
        return;
    }
    client->state = CLIENT_OPEN;
    timer_stop(client->timer);
    client->callbacks.on_open(client->context);
}

/* Returns how much of the input the answer took. */
static size_t read_answer(struct ws_client *client, struct slice input)
{
    const struct http_head *head;
    size_t used;
    switch (http_read(client->reader, input, &used, &head)) {
    case HTTP_READ_MORE:
        break;
    case HTTP_READ_HEAD:
        take_answer(client, head);
        break;
    case HTTP_READ_FAILED:
        finish_failed(client, "not an HTTP answer: %s", head->reason);
        break;
    }
    if (client->state != CLIENT_HANDSHAKE) {
        http_reader_destroy(client->reader);
        client->reader = NULL;
    }
    return used;
}

static void on_data(void *context, char *data, size_t size)
{
    struct ws_client *client = context;
    size_t used = 0;
    enter(client);
    if (client->state == CLIENT_HANDSHAKE)
        used = read_answer(client, (struct slice){.data = data, .size = size});
    parse(client, data + used, data + size);
    leave(client);
}

static void on_writable(void *context)
{
    flush(context);
}

static void on_closed(void *context, int error)
{
    struct ws_client *client = context;
    const char *when = client->state == CLIENT_HANDSHAKE ? " before the handshake ended" : "";
    enter(client);
    if (error == 0)
        finish_failed(client, "the peer closed the connection%s", when);
    else
        finish_failed(client, "the connection failed%s: %s", when, strerror(-error));
    leave(client);
}

static const struct tcp_callbacks tcp_callbacks = {
    .on_data = on_data,
    .on_writable = on_writable,
    .on_closed = on_closed,
};

static void on_dialled(void *context, const struct dial_result *result)
{
    struct ws_client *client = context;
    client->tcp = result->tcp;
    dial_destroy(client->dial); /* what is in result is not its */
    client->dial = NULL;
    if (client->state != CLIENT_CONNECTING)
        return; /* the timer will tell what came before */
    enter(client);
    if (result->reason != NULL) {
        client->refusal = (struct ws_client_refusal){.status = result->proxy_status,
                                                     .retry_after_s = result->retry_after_s,
                                                     .proxy = result->proxy_status != 0};
        finish_failed(client, "%s", result->reason);
    } else {
        client->state = CLIENT_HANDSHAKE;
        tcp_set_callbacks(client->tcp, &tcp_callbacks, client);
        send_request(client);
        if (result->early != NULL)
            on_data(client, result->early, result->early_size);
    }
    leave(client);
}

static void on_timer(void *context)
{
    struct ws_client *client = context;
    char late[REASON_MAX];
    enter(client);
    switch (client->state) {
    case CLIENT_CONNECTING:
        dial_late(client->dial, late, sizeof(late));
        finish_failed(client, "%s within %u ms", late, (unsigned)client->connect_ms);
        break;
    case CLIENT_HANDSHAKE:
        finish_failed(client, "%s:%u: no answer to the handshake within %u ms", client->url.host,
                      (unsigned)client->url.port, (unsigned)client->connect_ms);
        break;
    case CLIENT_CLOSING:
        finish_failed(client, "the peer did not answer our close frame");
        break;
    case CLIENT_FAILING:
        finish_failed(client, "%s", ""); /* the reason is there */
        break;
    case CLIENT_OPEN:
    case CLIENT_CLOSED:
        assert(false); /* the timer was stopped */
        break;
    }
    leave(client);
}

/* ---- the owner's calls ---- */

int ws_client_open(struct loop *loop, const struct ws_client_options *options,
                   const struct ws_client_callbacks *callbacks, void *context,
                   struct ws_client **ret_client, struct err *err)
{
    assert(options->message_max > 0);
    assert(callbacks->on_open != NULL);
    assert(callbacks->on_message != NULL);
    assert(callbacks->on_closed != NULL);
    assert(options->bearer == NULL || strlen(options->bearer) <= LIMIT_ACCESS_TOKEN);
    struct url url;
    int failed = url_parse(options->url, &url, err);
    if (failed != 0)
        return failed;
    struct ws_client *client = memory_alloc(sizeof(*client));
    const struct dial_options dial = {.url = &url,
                                      .tls = options->tls,
                                      .proxy = options->proxy,
                                      .timeout_ms = options->connect_ms};
    failed = dial_start(loop, &dial, on_dialled, client, &client->dial, err);
    if (failed != 0) {
        memory_free(client);
        return failed;
    }
    client->callbacks = *callbacks;
    client->context = context;
    client->url = url;
    client->refusal.retry_after_s = -1;
    client->connect_ms = options->connect_ms;
    client->deflate = options->deflate;
    if (options->bearer != NULL)
        client->bearer = memory_copy_text(options->bearer);
    client->message_max = options->message_max;
    client->reader = http_reader_create(HTTP_KIND_ANSWER);
    buffer_init(&client->message, options->message_max + LIMIT_PADDING);
    buffer_init(&client->output, options->queue_max);
    ws_parser_init(&client->parser, WS_CLIENT, options->message_max);
    client->timer = timer_create_on(loop, on_timer, client);
    timer_start(client->timer, options->connect_ms, 0);
    *ret_client = client;
    return 0;
}

bool ws_client_send(struct ws_client *client, enum ws_opcode opcode, struct slice payload)
{
    assert(opcode != WS_CLOSE);
    assert(opcode != WS_CONTINUATION);
    assert(opcode == WS_TEXT || opcode == WS_BINARY || payload.size <= WS_CONTROL_MAX);
    if (client->state != CLIENT_OPEN)
        return false;
    return send_frame(client, opcode, payload);
}

/* What fits a close frame, without cutting a character in two. */
static struct slice cut_reason(const char *reason)
{
    struct slice text = slice_of(reason);
    if (text.size <= CLOSE_REASON_MAX)
        return text;
    text.size = CLOSE_REASON_MAX;
    while (text.size > 0 && ((unsigned char)text.data[text.size] & 0xc0) == 0x80)
        text.size--;
    return text;
}

void ws_client_close(struct ws_client *client, uint16_t code, const char *reason)
{
    assert(ws_close_code_valid(code));
    switch (client->state) {
    case CLIENT_CONNECTING:
    case CLIENT_HANDSHAKE:
        fail_later(client, "closed before it was open");
        return;
    case CLIENT_OPEN:
        if (!send_close(client, code, cut_reason(reason)))
            return;
        client->state = CLIENT_CLOSING;
        tcp_read_pause(client->tcp, false);
        timer_start(client->timer, LIMIT_WS_CLOSE_MS, 0);
        return;
    case CLIENT_CLOSING:
    case CLIENT_FAILING:
    case CLIENT_CLOSED:
        return;
    }
}

void ws_client_refused(const struct ws_client *client, struct ws_client_refusal *ret_refusal)
{
    *ret_refusal = client->refusal;
}

void ws_client_destroy(struct ws_client *client)
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

void ws_client_pause(struct ws_client *client, bool paused)
{
    if (client->tcp != NULL && client->state != CLIENT_CLOSING)
        tcp_read_pause(client->tcp, paused);
}
