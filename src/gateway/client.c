/* SPDX-License-Identifier: Apache-2.0 */
/* One client: what it is owed, and what it says. */
#include "gateway/gateway_priv.h"

#include "base/clock.h"
#include "base/frame.h"
#include "base/log.h"
#include "base/memory.h"

#include <assert.h>
#include <stdio.h>

#define NS_PER_MS 1000000
#define CLOSE_GOING_AWAY 1001
#define CLOSE_POLICY 1008
#define PENDING_MAX (LIMIT_RECORD + FRAME_HEADER_MAX + 2 * LIMIT_CLIENT_PENDING)

static_assert(WS_CONTROL_MAX + FRAME_HEADER_MAX < LIMIT_CLIENT_PENDING,
              "a control frame always fits");

/* ---- its own frames ---- */

void client_queue(struct client *client, struct slice message)
{
    frame_append(&client->pending, WS_TEXT, message);
}

void client_close(struct client *client, uint16_t code, const char *reason)
{
    if (client->phase == CLIENT_CLOSING || client->ended)
        return;
    uint8_t payload[WS_CONTROL_MAX];
    payload[0] = (uint8_t)(code >> 8);
    payload[1] = (uint8_t)code;
    size_t size = strlen(reason);
    assert(size + 2 <= sizeof payload);
    memcpy(payload + 2, reason, size);
    frame_append(&client->pending, WS_CLOSE,
                 (struct slice){.data = (const char *)payload, .size = size + 2});
    client->phase = CLIENT_CLOSING;
    client->deadline_ns = clock_monotonic_ns() + (int64_t)LIMIT_WS_CLOSE_MS * NS_PER_MS;
    cursor_detach(&client->cursor);
    snapshot_unref(client->snapshot);
    client->snapshot = NULL;
}

/* ---- where it stands ---- */

/* from_seq: what it has been sent already, 0 for a new one. */
static void client_join(struct client *client, int64_t from_seq)
{
    struct gateway *gateway = client->gateway;
    struct journal *journal = gateway->options.journal;
    int64_t next = journal_next(journal);
    if (client->snapshot_wanted) {
        client->snapshot = snapshot_get(gateway, from_seq);
        client->snapshot_sent = 0;
        next = client->snapshot->seq + 1;
    } else {
        hello_append(gateway, &client->pending, next, false);
    }
    bool attached = cursor_attach(&client->cursor, journal, next);
    assert(attached);
    (void)attached;
    client->phase = CLIENT_LIVE;
}

/* True when the token's message is in the journal: the client goes on behind it. */
static bool client_resume(struct client *client)
{
    struct journal *journal = client->gateway->options.journal;
    if (journal_epoch_at(journal, client->token_seq) != client->token_epoch)
        return false;
    if (!cursor_attach(&client->cursor, journal, client->token_seq + 1))
        return false;
    hello_append(client->gateway, &client->pending, client->token_seq + 1, true);
    client->phase = CLIENT_LIVE;
    metric_add(client->gateway->resumed, 1);
    return true;
}

/* A token that is ahead of this node is waited for; any other is judged at once. */
static void client_place(struct client *client, int64_t now_ns)
{
    bool ahead = client->token_seq >= journal_next(client->gateway->options.journal);
    if (ahead && now_ns < client->deadline_ns)
        return;
    if (!ahead && client_resume(client))
        return;
    metric_add(client->gateway->not_resumed, 1);
    client_join(client, 0);
}

/* The journal no longer has what comes next for this client, or it is too far behind. */
static void client_fell_behind(struct client *client)
{
    struct gateway *gateway = client->gateway;
    if (gateway->options.disconnect_slow) {
        metric_add(gateway->slow_disconnect, 1);
        client_close(client, CLOSE_POLICY, "too slow");
        return;
    }
    metric_add(gateway->slow_snapshot, 1);
    client->token_seq = client->cursor.seq - 1;
    cursor_detach(&client->cursor);
    snapshot_unref(client->snapshot);
    client->snapshot = NULL;
    client->phase = CLIENT_BEHIND;
}

/* It takes bytes again: what it missed, then a fresh start. */
static void client_move_ahead(struct client *client)
{
    char text[128];
    client->snapshot_wanted = true;
    client->caught_up = false; /* it is given the time that a joiner gets */
    client_join(client, client->token_seq);
    int size = snprintf(text, sizeof text, "{\"type\":\"skipped\",\"from\":%lld,\"to\":%lld}",
                        (long long)client->token_seq + 1, (long long)client->snapshot->seq);
    client_queue(client, (struct slice){.data = text, .size = (size_t)size});
}

/* ---- sending ---- */

/* When less than all goes, the client is blocked, and the rest of a cut frame is the caller's to
 * keep. */
static void client_write(struct client *client, struct slice bytes, size_t *ret_sent)
{
    *ret_sent = tcp_send(client->tcp, bytes.data, bytes.size);
    metric_add(client->gateway->sent_bytes, *ret_sent);
    client->blocked = *ret_sent < bytes.size;
    client->progressed |= *ret_sent > 0;
}

static bool client_send_pending(struct client *client)
{
    struct buffer *pending = &client->pending;
    struct slice rest = {.data = pending->data + client->pending_sent,
                         .size = pending->size - client->pending_sent};
    size_t sent = 0;
    if (rest.size > 0)
        client_write(client, rest, &sent);
    client->pending_sent += sent;
    if (client->blocked)
        return false;
    if (client->pending_sent > 0) {
        buffer_release(pending); /* idle clients hold no memory of their own */
        buffer_init(pending, PENDING_MAX);
        client->pending_sent = 0;
    }
    if (client->paused) {
        client->paused = false;
        tcp_read_pause(client->tcp, false);
    }
    if (client->end_when_sent)
        gateway_end_client(client->gateway, client);
    return true;
}

static void client_send_snapshot(struct client *client)
{
    const struct buffer *frames = &client->snapshot->frames;
    const char *data = frames->data + client->snapshot_sent;
    size_t size = frames_fit(data, frames->size - client->snapshot_sent,
                             client->gateway->options.send_buffer);
    size_t sent = 0;
    int64_t passed = 0;
    client_write(client, (struct slice){.data = data, .size = size}, &sent);
    size_t boundary = frames_boundary(data, sent, &passed);
    buffer_append(&client->pending, data + sent, boundary - sent);
    client->snapshot_sent += boundary;
    if (client->snapshot_sent == frames->size) {
        snapshot_unref(client->snapshot);
        client->snapshot = NULL;
    }
}

static void client_send_live(struct client *client)
{
    int64_t from = client->cursor.seq;
    struct slice frames = cursor_peek(&client->cursor, client->gateway->options.send_buffer);
    size_t sent = 0;
    client_write(client, frames, &sent);
    struct slice rest = cursor_advance(&client->cursor, sent);
    buffer_append_slice(&client->pending, rest);
    metric_add(client->gateway->sent_messages, (uint64_t)(client->cursor.seq - from));
    if (client->cursor.seq == journal_next(client->gateway->options.journal))
        client->caught_up = true;
}

/* Something is left for this client in blob or journal. */
static bool client_owed(struct client *client)
{
    if (client->phase != CLIENT_LIVE)
        return client->phase == CLIENT_BEHIND;
    return client->snapshot != NULL ||
           client->cursor.seq < journal_next(client->gateway->options.journal);
}

void client_send(struct client *client)
{
    size_t share = LIMIT_SEND_TURN / client->gateway->options.send_buffer + 1;
    while (!client->blocked && !client->ended) {
        if (!client_send_pending(client) || client->ended || !client_owed(client))
            return;
        if (share-- == 0) { /* its share of this turn is used: the others first */
            deferred_schedule(client->gateway->flush);
            return;
        }
        if (client->phase == CLIENT_BEHIND)
            client_move_ahead(client);
        else if (client->snapshot != NULL)
            client_send_snapshot(client);
        else if (cursor_lost(&client->cursor))
            client_fell_behind(client);
        else
            client_send_live(client);
    }
}

/* ---- what time brings ---- */

static void client_heartbeat(struct client *client, int64_t now_ns)
{
    if (client->blocked || client->phase != CLIENT_LIVE || client->snapshot != NULL ||
        now_ns < client->next_heartbeat_ns)
        return;
    char text[128];
    int size = snprintf(text, sizeof text, "{\"type\":\"heartbeat\",\"seq\":%lld,\"ts\":%lld}",
                        (long long)client->cursor.seq - 1, (long long)clock_wall_us());
    client_queue(client, (struct slice){.data = text, .size = (size_t)size});
    client->next_heartbeat_ns = now_ns + (int64_t)client->gateway->options.heartbeat_ms * NS_PER_MS;
}

/* Who takes nothing for so long, of all that it is owed, is gone or might as well be. */
static void client_check_progress(struct client *client, int64_t now_ns)
{
    if (client->progressed || !client->blocked)
        client->progress_ns = now_ns;
    client->progressed = false;
    if (now_ns - client->progress_ns < (int64_t)LIMIT_CLIENT_STUCK_MS * NS_PER_MS)
        return;
    metric_add(client->gateway->stuck, 1);
    gateway_end_client(client->gateway, client);
}

/* The node leaves: the client is closed at its time, when it has everything; in the end it is
 * closed anyway. */
static void client_check_leaving(struct client *client, int64_t now_ns)
{
    if (client->leave_ns == 0 || now_ns < client->leave_ns || client->phase == CLIENT_CLOSING)
        return;
    if (client_owed(client) && now_ns < client->gateway->drain_end_ns)
        return;
    client_close(client, CLOSE_GOING_AWAY, "this node is leaving");
}

void client_tick(struct client *client, int64_t now_ns, int64_t lag_seq)
{
    client_check_progress(client, now_ns);
    client_check_leaving(client, now_ns);
    switch (client->phase) {
    case CLIENT_WAITING:
        client_place(client, now_ns);
        break;
    case CLIENT_CLOSING:
        if (now_ns >= client->deadline_ns)
            gateway_end_client(client->gateway, client);
        break;
    case CLIENT_BEHIND:
        break;
    case CLIENT_LIVE:
        if (cursor_lost(&client->cursor) || (client->caught_up && client->cursor.seq < lag_seq))
            client_fell_behind(client);
        client_heartbeat(client, now_ns);
        break;
    }
    client_send(client);
}

/* ---- what it says ---- */

/* After our close frame nothing is said any more; after the peer's, the connection ends as soon as
 * ours is out. */
static void client_control(struct client *client, const struct ws_control *control)
{
    if (control->opcode == WS_CLOSE) {
        client_close(client, control->close_code == 1005 ? 1000 : control->close_code, "");
        client->end_when_sent = true;
        client->deaf = true;
    } else if (control->opcode == WS_PING && client->phase != CLIENT_CLOSING) {
        frame_append(&client->pending, WS_PONG, control->payload);
    }
}

static void client_failed(struct client *client)
{
    uint16_t code = ws_error_code(&client->parser);
    char labels[32];
    snprintf(labels, sizeof labels, "code=\"%u\"", code);
    metric_add(metric_series(METRIC_CLIENT_ERRORS, labels), 1);
    client_close(client, code, "");
    client->deaf = true;
}

/* Messages are ignored: the stream is the same for everybody. */
static void client_parse(struct client *client, char *at, char *end)
{
    while (!client->deaf) {
        struct ws_part part;
        struct ws_control control;
        switch (ws_parse(&client->parser, &at, end, &part, &control)) {
        case WS_NEED_MORE:
            return;
        case WS_DATA:
            break;
        case WS_CONTROL:
            client_control(client, &control);
            break;
        case WS_FAILED:
            client_failed(client);
            break;
        }
    }
}

static void client_on_data(void *context, char *data, size_t size)
{
    struct client *client = context;
    client_parse(client, data, data + size);
    if (client->pending.size > LIMIT_CLIENT_PENDING && !client->paused) {
        client->paused = true;
        tcp_read_pause(client->tcp, true);
    }
    client_send(client);
}

static void client_on_writable(void *context)
{
    struct client *client = context;
    client->blocked = false;
    client_send(client);
}

static void client_on_closed(void *context, int error)
{
    (void)error;
    struct client *client = context;
    gateway_end_client(client->gateway, client);
}

static const struct tcp_callbacks client_callbacks = {
    .on_data = client_on_data,
    .on_writable = client_on_writable,
    .on_closed = client_on_closed,
};

/* ---- making and ending ---- */

struct client *client_create(struct gateway *gateway, const struct client_start *start)
{
    struct client *client = memory_alloc(sizeof *client);
    int64_t now_ns = clock_monotonic_ns();
    client->gateway = gateway;
    client->tcp = start->tcp;
    client->address = start->address;
    client->progress_ns = now_ns;
    tcp_set_send_buffer(client->tcp, gateway->options.send_buffer);
    client->snapshot_wanted = start->snapshot_wanted;
    client->next_heartbeat_ns = now_ns + (int64_t)gateway->options.heartbeat_ms * NS_PER_MS;
    buffer_init(&client->pending, PENDING_MAX);
    ws_parser_init(&client->parser, WS_SERVER, LIMIT_CLIENT_MESSAGE);
    client->phase = CLIENT_WAITING;
    client->resuming = start->has_token;
    client->caught_up = !start->has_token;
    if (start->has_token) {
        client->token_epoch = start->token_epoch;
        client->token_seq = start->token_seq;
        client->deadline_ns = now_ns + (int64_t)LIMIT_RESUME_WAIT_MS * NS_PER_MS;
    }
    return client;
}

void client_begin(struct client *client, struct slice bytes)
{
    tcp_set_callbacks(client->tcp, &client_callbacks, client);
    if (client->resuming)
        client_place(client, clock_monotonic_ns());
    else
        client_join(client, 0);
    if (bytes.size > 0) {
        struct buffer copy; /* the parser unmasks in place, and these bytes are the HTTP reader's */
        buffer_init(&copy, LIMIT_READ_BUFFER);
        buffer_append_slice(&copy, bytes);
        client_parse(client, copy.data, copy.data + copy.size);
        buffer_release(&copy);
    }
    client_send(client);
}

void client_destroy(struct client *client)
{
    cursor_detach(&client->cursor);
    snapshot_unref(client->snapshot);
    buffer_release(&client->pending);
    tcp_destroy(client->tcp);
    memory_free(client);
}
