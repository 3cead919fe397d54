/* SPDX-License-Identifier: Apache-2.0 */
/* Each connection is a player with its own place in the recording; a slow reader slows only itself.
 */
#include "sim/replay.h"

#include "base/clock.h"
#include "base/frame.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/http_server.h"
#include "net/ws.h"

#include <assert.h>

#define PLAYERS_MAX 64
#define OUT_MAX (4 * LIMIT_EXCHANGE_MESSAGE)
#define OUT_FILL (64 * KIBIBYTE) /* frames are gathered up to here before they are sent */
#define FOREVER_PAUSE_US 1000000 /* between the end and the next start */
#define PING_MS 20000
#define AGAIN_US 1 /* others have a turn when a long stretch holds nothing for this player */
#define NS_PER_US 1000
#define US_PER_MS 1000

/* One route: an exchange of the recording. */
struct stage {
    struct replay *replay;
    const char *exchange; /* NULL: not in use */
    char path[LIMIT_URL];
};

/* One connection to it. */
struct player {
    struct replay *replay;
    const char *exchange;
    struct recording *recording; /* owned */
    struct tcp *tcp;
    struct timer *timer, *ping_timer;
    struct ws_parser parser;
    struct buffer out;
    size_t out_sent;
    bool playing, blocked, closing;
    bool ready;                      /* `message` is the next one */
    struct recorded_message message; /* the recording's, until its next call */
    int64_t start_us;                /* monotonic time at which it begins, as played */
    int64_t played;                  /* messages */
};

struct replay {
    struct replay_options options;
    struct loop *loop;
    struct http_server *server;
    struct stage stages[RECORDING_EXCHANGES_MAX];
    struct player *players[PLAYERS_MAX];
};

static int64_t now_us(void)
{
    return clock_monotonic_ns() / NS_PER_US;
}

static void player_destroy(struct player *player)
{
    for (size_t i = 0; i < PLAYERS_MAX; i++)
        if (player->replay->players[i] == player)
            player->replay->players[i] = NULL;
    timer_destroy(player->timer);
    timer_destroy(player->ping_timer);
    tcp_destroy(player->tcp);
    buffer_release(&player->out);
    ws_parser_release(&player->parser);
    recording_close(player->recording);
    memory_free(player);
}

static void player_frame(struct player *player, unsigned opcode, struct slice payload)
{
    uint8_t header[FRAME_HEADER_MAX];
    size_t size = frame_header_write(header, opcode, payload.size);
    if (buffer_reserve(&player->out, size + payload.size) == NULL)
        return; /* all or nothing; OUT_MAX holds several of the largest messages */
    buffer_append(&player->out, header, size);
    buffer_append_slice(&player->out, payload);
}

/* True when everything gathered has gone. */
static bool player_send(struct player *player)
{
    struct buffer *out = &player->out;
    size_t left = out->size - player->out_sent;
    size_t sent = left == 0 ? 0 : tcp_send(player->tcp, out->data + player->out_sent, left);
    player->out_sent += sent;
    player->blocked = sent < left;
    if (player->blocked)
        return false;
    buffer_clear(out);
    player->out_sent = 0;
    return true;
}

/* ---- from the recording ---- */

static void tell_loss(const struct player *player)
{
    struct recording_loss loss;
    recording_loss(player->recording, &loss);
    if (loss.files > 0)
        log_warn("replay", log_text("msg", "the recording is torn, played what is whole"),
                 log_text("exchange", player->exchange), log_int("files", (int64_t)loss.files),
                 log_int("packed_bytes", (int64_t)loss.packed_bytes),
                 log_int("text_bytes", (int64_t)loss.text_bytes));
    if (loss.unrecorded > 0)
        log_warn("replay", log_text("msg", "the recorder had left out messages"),
                 log_text("exchange", player->exchange),
                 log_int("messages", (int64_t)loss.unrecorded));
}

static void player_stop(struct player *player, const struct err *err)
{
    player->playing = false;
    log_error("replay", log_text("msg", "recording cannot be read, stopped"),
              log_text("exchange", player->exchange), log_text("error", err->text));
}

static void player_ended(struct player *player)
{
    struct err err = {0};
    tell_loss(player);
    if (!player->replay->options.forever) {
        log_info("replay", log_text("msg", "recording played to its end"),
                 log_text("exchange", player->exchange), log_int("messages", player->played));
        player->playing = false;
        return;
    }
    if (recording_rewind(player->recording, &err) < 0) {
        player_stop(player, &err);
        return;
    }
    player->start_us = now_us() + FOREVER_PAUSE_US;
    timer_start(player->timer, FOREVER_PAUSE_US / US_PER_MS, 0);
}

/* When the next message is due, in microseconds from now; -1: there is none, and that is dealt
 * with. */
static int64_t player_wait_us(struct player *player)
{
    const struct replay_options *options = &player->replay->options;
    struct err err = {0};
    if (!player->ready) {
        switch (recording_next(player->recording, &player->message, &err)) {
        case RECORDING_MESSAGE:
            player->ready = true;
            break;
        case RECORDING_AGAIN:
            return AGAIN_US;
        case RECORDING_END:
            player_ended(player);
            return -1;
        case RECORDING_FAILED:
            player_stop(player, &err);
            return -1;
        }
    }
    if (options->speed_permille == 0)
        return 0;
    int64_t at_us = player->message.at_us - options->recording.from_us;
    int64_t wait_us = player->start_us + at_us * 1000 / options->speed_permille - now_us();
    return wait_us < 0 ? 0 : wait_us;
}

/* Gathers what is due; true when there is nothing more to do now. */
static bool player_gather(struct player *player)
{
    while (player->out.size < OUT_FILL) {
        int64_t wait_us = player_wait_us(player);
        if (wait_us < 0)
            return true;
        if (wait_us > 0) {
            timer_start(player->timer, (uint64_t)(wait_us / US_PER_MS) + 1, 0);
            return true;
        }
        player_frame(player, player->message.binary ? WS_BINARY : WS_TEXT, player->message.raw);
        player->ready = false;
        player->played++;
    }
    return false;
}

static void player_play(void *context)
{
    struct player *player = context;
    bool done = false;
    while (player->playing && !player->blocked && !done) {
        done = player_gather(player);
        player_send(player);
    }
}

static void player_control(struct player *player, const struct ws_control *control)
{
    if (control->opcode == WS_PING)
        player_frame(player, WS_PONG, control->payload);
    if (control->opcode == WS_CLOSE) {
        const char normal[2] = {(char)(1000 >> 8), (char)(1000 & 0xff)};
        player_frame(player, WS_CLOSE, (struct slice){.data = normal, .size = sizeof normal});
        player->closing = true;
        player->playing = false;
    }
}

/* As exchanges do, so that a client can tell a quiet connection from a dead one. */
static void player_ping(void *context)
{
    struct player *player = context;
    if (player->blocked || player->closing)
        return;
    player_frame(player, WS_PING, (struct slice){0});
    player_send(player);
}

static void player_on_data(void *context, char *data, size_t size)
{
    struct player *player = context;
    char *at = data;
    for (;;) {
        struct ws_part part;
        struct ws_control control;
        enum ws_result result = ws_parse(&player->parser, &at, data + size, &part, &control);
        if (result == WS_NEED_MORE)
            break;
        if (result == WS_FAILED) {
            player_destroy(player);
            return;
        }
        if (result == WS_CONTROL)
            player_control(player, &control);
        else if (!player->playing && !player->closing && player->start_us == 0) {
            player->playing = true;
            player->start_us = now_us();
        }
    }
    player_send(player);
    player_play(player);
    if (player->closing && !player->blocked)
        player_destroy(player);
}

static void player_on_writable(void *context)
{
    struct player *player = context;
    if (!player_send(player))
        return;
    if (player->closing)
        player_destroy(player);
    else
        player_play(player);
}

static void player_on_closed(void *context, int error)
{
    (void)error;
    player_destroy(context);
}

static const struct tcp_callbacks player_callbacks = {
    .on_data = player_on_data,
    .on_writable = player_on_writable,
    .on_closed = player_on_closed,
};

static void replay_handshake(void *context, struct http_connection *connection,
                             const struct http_head *request)
{
    const struct stage *stage = context;
    struct replay *replay = stage->replay;
    size_t slot = 0;
    while (slot < PLAYERS_MAX && replay->players[slot] != NULL)
        slot++;
    if (slot == PLAYERS_MAX) {
        http_answer_problem(connection, 503, "too many connections to the replay");
        return;
    }
    struct recording_options recording = replay->options.recording;
    struct recording *opened = NULL;
    struct err err = {0};
    recording.only = stage->exchange;
    if (recording_open(&recording, &opened, &err) < 0) {
        log_error("replay", log_text("msg", "recording cannot be opened, connection refused"),
                  log_text("error", err.text));
        http_answer_problem(connection, 503, "the recording cannot be opened");
        return;
    }
    struct player *player = memory_alloc(sizeof *player);
    struct slice rest;
    player->replay = replay;
    player->exchange = stage->exchange;
    player->recording = opened;
    player->tcp = http_upgrade(connection, request, NULL, &rest);
    player->timer = timer_create_on(replay->loop, player_play, player);
    player->ping_timer = timer_create_on(replay->loop, player_ping, player);
    timer_start(player->ping_timer, PING_MS, PING_MS);
    buffer_init(&player->out, OUT_MAX);
    ws_parser_init(&player->parser, WS_SERVER, LIMIT_REQUEST);
    replay->players[slot] = player;
    tcp_set_callbacks(player->tcp, &player_callbacks, player);
    if (rest.size > 0) {
        struct buffer copy; /* the parser unmasks in place */
        buffer_init(&copy, LIMIT_READ_BUFFER);
        buffer_append_slice(&copy, rest);
        player_on_data(player, copy.data, copy.size);
        buffer_release(&copy);
    }
}

int replay_open(struct loop *loop, const struct replay_options *options, struct replay **ret_replay,
                struct err *err)
{
    struct replay *replay = memory_alloc(sizeof *replay);
    replay->options = *options;
    replay->loop = loop;
    struct http_server_options server = {.listen = options->listen, .connections_max = PLAYERS_MAX};
    int result = http_server_open(loop, &server, &replay->server, err);
    if (result < 0) {
        memory_free(replay);
        return result;
    }
    *ret_replay = replay;
    return 0;
}

uint16_t replay_port(const struct replay *replay)
{
    return http_server_port(replay->server);
}

void replay_route(struct replay *replay, const char *exchange, const char *path)
{
    size_t index = 0;
    while (index < RECORDING_EXCHANGES_MAX && replay->stages[index].exchange != NULL)
        index++;
    assert(index < RECORDING_EXCHANGES_MAX);
    struct stage *stage = &replay->stages[index];
    stage->replay = replay;
    stage->exchange = exchange;
    bool fits = slice_copy(slice_of(path), stage->path, sizeof stage->path);
    assert(fits);
    (void)fits;
    http_server_route(replay->server, &(struct http_route){.path = stage->path,
                                                           .handler = replay_handshake,
                                                           .context = stage,
                                                           .websocket = true});
}

void replay_close(struct replay *replay)
{
    if (replay == NULL)
        return;
    for (size_t i = 0; i < PLAYERS_MAX; i++)
        if (replay->players[i] != NULL)
            player_destroy(replay->players[i]);
    http_server_close(replay->server);
    memory_free(replay);
}
