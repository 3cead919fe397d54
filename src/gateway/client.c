/* SPDX-License-Identifier: Apache-2.0 */
/* One client: what it is owed, and what time brings. On its worker's thread. */
#include "gateway/gateway_priv.h"

#include "base/clock.h"
#include "base/frame.h"
#include "base/memory.h"
#include "net/ws_deflate.h"

#include <assert.h>
#include <stdio.h>

#define NS_PER_MS 1000000
#define CLOSE_GOING_AWAY 1001
#define CLOSE_POLICY 1008
#define CLOSE_TRY_AGAIN 1013
/* The rest of a frame, and the pongs for all that one read may bring once the limit is passed. */
#define PENDING_MAX (LIMIT_FRAME + 2 * LIMIT_CLIENT_PENDING + LIMIT_READ_BUFFER)

static_assert(sizeof(struct client) <= 216, "ten thousand idle clients are cheap");
static_assert(WS_CONTROL_MAX + FRAME_HEADER_MAX < LIMIT_CLIENT_PENDING,
              "a control frame always fits");

/* ---- its own frames ---- */

struct buffer *client_pending(struct client *client)
{
    if (client->pending == NULL) {
        client->pending = memory_alloc(sizeof *client->pending);
        buffer_init(&client->pending->frames, PENDING_MAX);
    }
    return &client->pending->frames;
}

static void client_drop_pending(struct client *client)
{
    if (client->pending == NULL)
        return;
    buffer_release(&client->pending->frames);
    memory_free(client->pending);
    client->pending = NULL;
}

/* The rest of a frame that was cut. */
static void client_keep(struct client *client, struct slice rest)
{
    if (rest.size > 0)
        buffer_append_slice(client_pending(client), rest);
}

void client_queue(struct client *client, struct slice message)
{
    frame_append(client_pending(client), WS_TEXT, message);
}

/* ---- where it stands ---- */

static void client_leave_stream(struct client *client)
{
    cursor_detach(&client->cursor);
    if (!client->away) { /* else it is the main thread's */
        placement_destroy(client->placement);
        client->placement = NULL;
    }
    snapshot_unref(client->snapshot);
    client->snapshot = NULL;
}

static void client_set_deadline(struct client *client, int64_t after_ms)
{
    client->deadline_ns = clock_monotonic_ns() + after_ms * NS_PER_MS;
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
    frame_append(client_pending(client), WS_CLOSE,
                 (struct slice){.data = (const char *)payload, .size = size + 2});
    client->phase = CLIENT_CLOSING;
    client_set_deadline(client, client->leave_ns == 0 ? LIMIT_CLIENT_STUCK_MS : LIMIT_WS_CLOSE_MS);
    client_leave_stream(client);
}

/* The log no longer has what comes next for this client, or it is too far behind. */
static void client_fell_behind(struct client *client)
{
    struct worker_context *context = worker_context(client->worker);
    if (context->policy.disconnect_slow) {
        metric_add(context->slow_disconnect, 1);
        client_close(client, CLOSE_POLICY, "too slow");
        return;
    }
    metric_add(context->slow_snapshot, 1);
    client->sent_seq = client->cursor.seq - 1;
    client_leave_stream(client);
    client->phase = CLIENT_BEHIND;
}

/* Of the former content it gets no more than what is pending. */
static void client_leave_former(struct client *client)
{
    client_leave_stream(client);
    client->phase = CLIENT_BEHIND;
}

/* It takes bytes again: what it missed, then a fresh start; or a fresh start alone. */
static void client_move_ahead(struct client *client)
{
    struct placement *placement = placement_create();
    placement->snapshot_wanted = !client->start_over || client->snapshot_wanted;
    placement->moved_ahead = !client->start_over;
    placement->sent_seq = client->sent_seq;
    placement->content = worker_context(client->worker)->content;
    client->start_over = false;
    client->placement = placement;
    client->phase = CLIENT_ASKING;
    worker_ask(client);
}

/* Its form's log takes over where the plain one has come to its beginning. */
static void client_change_log(struct client *client)
{
    struct placement *placement = client->placement;
    assert(client->cursor.seq == placement->form_cursor.seq);
    cursor_detach(&client->cursor);
    client->cursor = placement->form_cursor;
    placement->form_cursor = (struct cursor){0};
    placement_destroy(placement);
    client->placement = NULL;
}

/* ---- sending ---- */

/* When less than all goes, the client is blocked, and the rest of a cut frame is the caller's to
 * keep. */
static void client_write(struct client *client, struct slice bytes, size_t *ret_sent)
{
    *ret_sent = tcp_send(client->tcp, bytes.data, bytes.size);
    worker_context(client->worker)->sent_bytes += *ret_sent;
    client->blocked = *ret_sent < bytes.size;
    client->progressed |= *ret_sent > 0;
}

static bool client_send_pending(struct client *client)
{
    struct pending *pending = client->pending;
    if (pending != NULL) {
        struct slice rest = {.data = pending->frames.data + pending->sent,
                             .size = pending->frames.size - pending->sent};
        size_t sent = 0;
        client_write(client, rest, &sent);
        pending->sent += sent;
        if (client->blocked)
            return false;
        client_drop_pending(client);
        if (client->phase == CLIENT_CLOSING) /* our close frame is out: now it is the peer's turn */
            client_set_deadline(client, LIMIT_WS_CLOSE_MS);
    }
    if (client->paused) {
        client->paused = false;
        tcp_read_pause(client->tcp, false);
    }
    if (client->end_when_sent)
        worker_end(client);
    return true;
}

static void client_send_snapshot(struct client *client)
{
    struct slice frames = snapshot_frames(client->snapshot, client->form);
    const char *data = frames.data + client->snapshot_sent;
    size_t size = frames_fit(data, frames.size - client->snapshot_sent,
                             worker_context(client->worker)->options->send_buffer);
    size_t sent = 0;
    int64_t passed = 0;
    client_write(client, (struct slice){.data = data, .size = size}, &sent);
    size_t boundary = frames_boundary(data, sent, &passed);
    client_keep(client, (struct slice){.data = data + sent, .size = boundary - sent});
    client->snapshot_sent += boundary;
    if (client->snapshot_sent == frames.size) {
        snapshot_unref(client->snapshot);
        client->snapshot = NULL;
    }
}

static void client_send_live(struct client *client)
{
    struct worker_context *context = worker_context(client->worker);
    struct cursor *cursor = &client->cursor;
    int64_t from = cursor->seq;
    struct slice frames = cursor_peek_until(
        cursor, context->options->send_buffer,
        client->placement == NULL ? INT64_MAX : client->placement->form_cursor.seq);
    size_t sent = 0;
    client_write(client, frames, &sent);
    client_keep(client, cursor_advance(cursor, sent));
    context->sent_messages += (uint64_t)(cursor->seq - from);
}

/* Something is left for this client in blob or log. */
static bool client_owed(struct client *client)
{
    if (client->phase != CLIENT_LIVE)
        return client->phase == CLIENT_BEHIND;
    if (client->snapshot != NULL)
        return true;
    if (client->placement != NULL) {
        if (client->cursor.seq < client->placement->form_cursor.seq)
            return true;
        client_change_log(client);
    }
    if (!cursor_at_end(&client->cursor))
        return true;
    if (client->start_over) {
        client_leave_former(client);
        return true;
    }
    client->caught_up = true;
    return false;
}

/* What feeds the log, at a frame boundary; not before the `hello` at the head of a blob is out,
 * which tells as well. */
static bool client_tell_source(struct client *client)
{
    const struct notice *notice = worker_context(client->worker)->notice;
    bool greeted = client->snapshot == NULL || client->snapshot_sent > 0;
    if (client->source == notice->source || client->phase != CLIENT_LIVE || !greeted)
        return false;
    client->source = notice->source;
    client_queue(client, (struct slice){.data = notice->message, .size = notice->size});
    return true;
}

void client_send(struct client *client)
{
    size_t share = LIMIT_SEND_TURN / worker_context(client->worker)->options->send_buffer + 1;
    while (!client->blocked && !client->ended) {
        if (!client_send_pending(client) || client->ended)
            return;
        if (client_tell_source(client))
            continue;
        if (!client_owed(client))
            return;
        if (share-- == 0) { /* its share of this turn is used: the others first */
            worker_schedule(client->worker);
            return;
        }
        if (client->phase == CLIENT_BEHIND)
            client_move_ahead(client);
        else if (client->snapshot != NULL)
            client_send_snapshot(client);
        else
            client_send_live(client);
    }
}

/* ---- what time brings ---- */

static void client_heartbeat(struct client *client, int64_t now_ns)
{
    int64_t period_ns = (int64_t)worker_context(client->worker)->policy.heartbeat_ms * NS_PER_MS;
    if (client->blocked || client->phase != CLIENT_LIVE || client->snapshot != NULL ||
        now_ns - client->heartbeat_ns < period_ns)
        return;
    char text[128];
    int size = snprintf(text, sizeof text, "{\"type\":\"heartbeat\",\"seq\":%lld,\"ts\":%lld}",
                        (long long)client->cursor.seq - 1, (long long)clock_wall_us());
    client_queue(client, (struct slice){.data = text, .size = (size_t)size});
    client->heartbeat_ns = now_ns;
}

/* Who takes nothing for so long, of all that it is owed, is gone or might as well be. */
static void client_check_progress(struct client *client, int64_t now_ns)
{
    if (client->progressed || !client->blocked)
        client->progress_ns = now_ns;
    client->progressed = false;
    if (now_ns - client->progress_ns < (int64_t)LIMIT_CLIENT_STUCK_MS * NS_PER_MS)
        return;
    metric_add(worker_context(client->worker)->stuck, 1);
    worker_end(client);
}

/* The node leaves: the client is closed at its time, when it has everything; in the end it is
 * closed anyway. */
static void client_check_leaving(struct client *client, int64_t now_ns)
{
    if (client->leave_ns == 0 || now_ns < client->leave_ns || client->phase == CLIENT_CLOSING)
        return;
    if (client_owed(client) && now_ns < worker_context(client->worker)->drain_end_ns)
        return;
    client_close(client, CLOSE_GOING_AWAY, "this node is leaving");
}

static void client_check_token(struct client *client)
{
    if (client->expires_us == 0 || client->phase == CLIENT_CLOSING ||
        clock_wall_us() < client->expires_us)
        return;
    metric_add(worker_context(client->worker)->expired, 1);
    client_close(client, CLOSE_POLICY, "the token has ended");
}

/* Who has fallen out of the log and yet takes bytes was kept waiting by us; it reads on in the
 * memory that it holds. Who takes none must let go of it. Being in a former content is no fault of
 * the client: in a moment this worker is told that it starts over. */
static bool client_is_slow(const struct client *client, int64_t lag_seq)
{
    const struct cursor *cursor = &client->cursor;
    return (client->blocked && cursor_lost(cursor) && !cursor_former(cursor)) ||
           (client->caught_up && client->cursor.seq < lag_seq) ||
           (client->snapshot != NULL && snapshot_retired(client->snapshot));
}

void client_tick(struct client *client, int64_t now_ns, int64_t lag_seq)
{
    client->said = 0;
    client_check_progress(client, now_ns);
    client_check_leaving(client, now_ns);
    client_check_token(client);
    switch ((enum client_phase)client->phase) {
    case CLIENT_CLOSING:
        if (now_ns >= client->deadline_ns)
            worker_end(client);
        break;
    case CLIENT_BEHIND:
    case CLIENT_ASKING:
        break;
    case CLIENT_LIVE:
        if (client->start_over && client->blocked)
            client_leave_former(client);
        else if (!client->start_over && client_is_slow(client, lag_seq))
            client_fell_behind(client);
        client_heartbeat(client, now_ns);
        break;
    }
    client_send(client);
}

/* ---- what the main thread orders ---- */

void client_start_over(struct client *client)
{
    switch ((enum client_phase)client->phase) {
    case CLIENT_CLOSING:
        return;
    case CLIENT_ASKING: /* its answer is of the new content, or is asked for again */
        return;
    case CLIENT_BEHIND:
        client->start_over = true;
        return;
    case CLIENT_LIVE:
        client->start_over = true;
        if (client->snapshot != NULL) /* of what follows it, it gets nothing either */
            client_leave_former(client);
        return;
    }
}

void client_check_feed(struct client *client)
{
    struct worker_context *context = worker_context(client->worker);
    char reason[64];
    if (context->notice->serves[client->endpoint] || client->phase == CLIENT_CLOSING ||
        client->ended)
        return;
    snprintf(reason, sizeof reason, "%s does not feed this node now, see /ws/exchange",
             endpoint_names[client->endpoint]);
    metric_add(context->unfed, 1);
    client_close(client, CLOSE_TRY_AGAIN, reason);
}

/* ---- its connection ---- */

static void client_on_data(void *context, char *data, size_t size)
{
    struct client *client = context;
    client_read(client, data, size);
    if (client->pending != NULL && client->pending->frames.size > LIMIT_CLIENT_PENDING &&
        !client->paused) {
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
    worker_end(context);
}

static const struct tcp_callbacks client_callbacks = {
    .on_data = client_on_data,
    .on_writable = client_on_writable,
    .on_closed = client_on_closed,
};

/* ---- making and ending ---- */

struct client *client_create(enum form form, enum endpoint endpoint, struct placement *placement)
{
    struct client *client = memory_alloc(sizeof *client);
    client->form = (uint8_t)form;
    client->endpoint = (uint8_t)endpoint;
    client->snapshot_wanted = placement->snapshot_wanted;
    client->placement = placement;
    client->phase = CLIENT_ASKING;
    ws_parser_init(&client->parser, WS_SERVER, LIMIT_CLIENT_MESSAGE);
    return client;
}

/* The connection is in this thread's loop from now on; false when the system could not watch it. */
static bool client_open(struct client *client, struct tcp_socket socket)
{
    const struct gateway_options *options = worker_context(client->worker)->options;
    int64_t now_ns = clock_monotonic_ns();
    client->progress_ns = client->heartbeat_ns = now_ns;
    if ((client->form & FORM_DEFLATE) != 0)
        ws_parser_set_inflater(&client->parser, worker_context(client->worker)->inflater);
    client->tcp = tcp_attach(worker_loop(client->worker), socket);
    if (client->tcp == NULL)
        return false;
    tcp_set_send_buffer(client->tcp, options->send_buffer);
    tcp_set_callbacks(client->tcp, &client_callbacks, client);
    return true;
}

static void client_accept(struct client *client, struct placement *placement)
{
    client_check_feed(client);
    if (client->phase != CLIENT_ASKING)
        return; /* it was closed in the meantime */
    if (placement->content != worker_context(client->worker)->content) {
        placement_unanswer(placement); /* the journal's content changed under way */
        worker_ask(client);
        return;
    }
    if (placement->refusal != NULL) {
        client_close(client, CLOSE_TRY_AGAIN, placement->refusal);
        return;
    }
    client->phase = CLIENT_LIVE;
    client->caught_up = placement->near_end;
    client->source = placement->source;
    client_keep(client, buffer_slice(&placement->greeting));
    client->snapshot = placement->snapshot;
    client->snapshot_sent = 0;
    placement->snapshot = NULL;
    client->cursor = placement->cursor;
    placement->cursor = (struct cursor){0};
}

void client_take_placement(struct client *client)
{
    struct placement *placement = client->placement;
    struct buffer early = placement->early;
    bool open = client->tcp != NULL || client_open(client, placement->socket);
    placement->early = (struct buffer){.data = NULL};
    placement->is_new = false;
    if (open)
        client_accept(client, placement);
    else
        worker_end(client);
    placement = client->placement; /* gone, when the client has been closed */
    if (placement != NULL && !client->away &&
        (client->phase != CLIENT_LIVE || placement->form_cursor.segment == NULL)) {
        placement_destroy(placement);
        client->placement = NULL;
    }
    if (open && early.size > 0)
        client_read(client, early.data, early.size);
    buffer_release(&early);
    client_send(client);
}

void client_drain(struct client *client, int64_t now_ns, uint32_t within_ms)
{
    char text[64];
    int size = snprintf(text, sizeof text, "{\"type\":\"draining\",\"within_ms\":%u}", within_ms);
    if (client->phase != CLIENT_CLOSING)
        client_queue(client, (struct slice){.data = text, .size = (size_t)size});
    else
        client_set_deadline(client, LIMIT_WS_CLOSE_MS);
    client->leave_ns = now_ns + (int64_t)within_ms * NS_PER_MS;
    if (!client->blocked)
        client_send(client);
}

void client_release(struct client *client)
{
    client_leave_stream(client);
    client_drop_pending(client);
    ws_parser_release(&client->parser);
    tcp_destroy(client->tcp);
    client->tcp = NULL;
}

void client_destroy(struct client *client)
{
    if (client == NULL)
        return;
    assert(client->tcp == NULL && client->cursor.segment == NULL && client->snapshot == NULL);
    placement_destroy(client->placement);
    memory_free(client);
}
