/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames are gathered and sent once a tick, and after each input. A connection that has ended stays
 * in its run's list, taking nothing, until the next tick frees it: so nobody holds a pointer to
 * what is gone.
 */
#include "sim/venue_connection.h"

#include "base/clock.h"
#include "base/memory.h"
#include "net/tcp.h"
#include "sim/simulator_priv.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define CLOSE_WAIT_MS 2000
#define MINUTE_MS 60000
#define HELD_MS 1000 /* a message that is to change places with the next waits so long for one */
#define PING_TEXT_MAX 24
#define CLOSE_CODE_SIZE 2

/* A message that is not sent yet. */
struct waiting {
    struct waiting *next;
    int64_t due_ns;
    size_t size;
    enum ws_opcode opcode;
    bool is_close, is_data;
    char bytes[];
};

struct venue_connection {
    struct run *run;
    struct venue_connection *next;
    uint64_t number;
    struct tcp *tcp; /* NULL: cut */
    struct ws_parser parser;
    struct buffer message; /* of several parts */
    struct buffer out;
    size_t out_sent;
    struct waiting *waiting; /* by due time */
    size_t waiting_size;
    int64_t data_due_ns; /* of the last data that waits */
    struct buffer held;  /* a message that changes places with the next */
    int64_t held_ns;
    struct rate_log messages, minute;
    int64_t opened_ns, heard_ns, said_ns, pinged_ns;
    int64_t unanswered_ns; /* the first ping after the last pong; 0: none */
    char ping[PING_TEXT_MAX];
    size_t streams;
    bool compressed, blocked, closing, dead;
    int64_t closing_ns; /* when a close frame went */
    void *own;          /* owned */
};

void *venue_connection_own(struct venue_connection *connection)
{
    return connection->own;
}

struct venue_run *venue_connection_run(const struct venue_connection *connection)
{
    return &connection->run->public;
}

struct venue_connection *venue_connection_next(const struct venue_run *run,
                                               struct venue_connection *previous)
{
    struct venue_connection *next =
        previous == NULL ? ((const struct run *)run)->connections : previous->next;
    while (next != NULL && (next->dead || next->closing))
        next = next->next;
    return next;
}

uint64_t connection_number(const struct venue_connection *connection)
{
    return connection->number;
}

void connection_cut(struct venue_connection *connection)
{
    connection->dead = true;
    tcp_destroy(connection->tcp);
    connection->tcp = NULL;
}

static void flush(struct venue_connection *connection)
{
    struct buffer *out = &connection->out;
    if (connection->dead || out->size == 0)
        return;
    size_t left = out->size - connection->out_sent;
    size_t sent = tcp_send(connection->tcp, out->data + connection->out_sent, left);
    connection->out_sent += sent;
    connection->blocked = sent < left;
    if (connection->blocked)
        return;
    buffer_clear(out);
    connection->out_sent = 0;
    if (connection->closing_ns != 0)
        tcp_shutdown(connection->tcp);
}

static void frame(struct venue_connection *connection, enum ws_opcode opcode, struct slice payload)
{
    struct simulator *simulator = connection->run->simulator;
    uint8_t header[WS_HEADER_MAX];
    if (connection->dead || connection->closing_ns != 0)
        return;
    if (connection->out_sent > connection->out.max / 2) {
        buffer_consume(&connection->out, connection->out_sent);
        connection->out_sent = 0;
    }
    if (connection->compressed && (opcode == WS_TEXT || opcode == WS_BINARY))
        ws_deflate_frame(simulator->deflater, opcode, payload, &connection->out);
    else {
        buffer_append(&connection->out, header,
                      ws_write_header(header, opcode, payload.size, NULL));
        buffer_append_slice(&connection->out, payload);
    }
    if (connection->out.overflowed) {
        connection->run->state->stats.dropped_slow++;
        connection_cut(connection);
        return;
    }
    connection->said_ns = clock_monotonic_ns();
    connection->run->state->stats.messages_out += opcode == WS_TEXT || opcode == WS_BINARY;
}

/* ---- what waits ---- */

static struct waiting *wait_for(struct venue_connection *connection, enum ws_opcode opcode,
                                struct slice payload, int64_t due_ns)
{
    if (connection->waiting_size + payload.size > CONNECTION_OUT_MAX) {
        connection_cut(connection);
        return NULL;
    }
    struct waiting *waiting = memory_alloc(sizeof *waiting + payload.size + 1);
    waiting->due_ns = due_ns;
    waiting->size = payload.size;
    waiting->opcode = opcode;
    if (payload.size > 0)
        memcpy(waiting->bytes, payload.data, payload.size);
    struct waiting **at = &connection->waiting;
    while (*at != NULL && (*at)->due_ns <= due_ns)
        at = &(*at)->next;
    waiting->next = *at;
    *at = waiting;
    connection->waiting_size += payload.size;
    return waiting;
}

static void close_now(struct venue_connection *connection, struct slice payload)
{
    connection->closing = true;
    if (payload.size == 0) {
        flush(connection);
        connection_cut(connection);
        return;
    }
    frame(connection, WS_CLOSE, payload);
    connection->closing_ns = clock_monotonic_ns();
    flush(connection);
}

static void waiting_send(struct venue_connection *connection, int64_t now_ns)
{
    while (connection->waiting != NULL && connection->waiting->due_ns <= now_ns) {
        struct waiting *waiting = connection->waiting;
        struct slice payload = {.data = waiting->bytes, .size = waiting->size};
        connection->waiting = waiting->next;
        connection->waiting_size -= waiting->size;
        if (waiting->is_close)
            close_now(connection, payload);
        else
            frame(connection, waiting->opcode, payload);
        memory_free(waiting);
    }
}

/* ---- data, through the faults ---- */

static void emit(struct venue_connection *connection, struct slice message, uint32_t delay_ms)
{
    enum ws_opcode opcode = connection->run->public.venue->binary ? WS_BINARY : WS_TEXT;
    int64_t now_ns = clock_monotonic_ns();
    int64_t due_ns = now_ns + (int64_t)delay_ms * NS_PER_MS;
    if (due_ns < connection->data_due_ns)
        due_ns = connection->data_due_ns; /* order is kept */
    if (due_ns <= now_ns) {
        waiting_send(connection, now_ns); /* what was slow goes first */
        if (!connection->dead && !connection->closing)
            frame(connection, opcode, message);
        return;
    }
    connection->data_due_ns = due_ns;
    wait_for(connection, opcode, message, due_ns);
}

static void held_emit(struct venue_connection *connection, uint32_t delay_ms)
{
    if (connection->held.size == 0)
        return;
    emit(connection, buffer_slice(&connection->held), delay_ms);
    buffer_clear(&connection->held);
}

void venue_connection_send_after(struct venue_connection *connection, const struct market *market,
                                 enum channel channel, struct slice message, uint32_t delay_ms)
{
    struct simulator *simulator = connection->run->simulator;
    struct fault *found[FAULT_KINDS] = {0};
    static const enum fault_kind kinds[] = {FAULT_STALL, FAULT_GAP, FAULT_SLOW, FAULT_REORDER,
                                            FAULT_DUPLICATE};
    if (connection->dead || connection->closing)
        return;
    uint64_t number = connection->number;
    struct fault_scope scope = {.exchange = connection->run->public.exchange,
                                .market = market,
                                .channel = (int)channel,
                                .connection = number,
                                .event = simulator->event};
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        found[kinds[i]] = faults_find(simulator->faults, kinds[i], &scope);
    if (found[FAULT_STALL] != NULL)
        return;
    if (found[FAULT_GAP] != NULL) {
        fault_use(found[FAULT_GAP], number, simulator->event);
        return;
    }
    if (found[FAULT_SLOW] != NULL && found[FAULT_SLOW]->delay_ms > delay_ms)
        delay_ms = found[FAULT_SLOW]->delay_ms;
    if (found[FAULT_REORDER] != NULL && connection->held.size == 0) {
        fault_use(found[FAULT_REORDER], number, simulator->event);
        buffer_append_slice(&connection->held, message);
        connection->held_ns = clock_monotonic_ns();
        return;
    }
    emit(connection, message, delay_ms);
    held_emit(connection, delay_ms);
    if (found[FAULT_DUPLICATE] != NULL) {
        fault_use(found[FAULT_DUPLICATE], number, simulator->event);
        emit(connection, message, delay_ms);
    }
}

void venue_connection_send(struct venue_connection *connection, const struct market *market,
                           enum channel channel, struct slice message)
{
    venue_connection_send_after(connection, market, channel, message, 0);
}

void venue_connection_answer(struct venue_connection *connection, struct slice message, bool binary,
                             uint32_t delay_ms)
{
    enum ws_opcode opcode = binary ? WS_BINARY : WS_TEXT;
    if (connection->dead || connection->closing)
        return;
    if (delay_ms == 0)
        frame(connection, opcode, message);
    else
        wait_for(connection, opcode, message, clock_monotonic_ns() + (int64_t)delay_ms * NS_PER_MS);
}

void venue_connection_close(struct venue_connection *connection, uint16_t code, const char *reason,
                            uint32_t delay_ms)
{
    char payload[WS_CONTROL_MAX + 1] = {(char)(code >> 8), (char)(code & 0xff)};
    if (connection->dead || connection->closing)
        return;
    struct slice bytes = {.data = payload, .size = code == 0 ? 0 : CLOSE_CODE_SIZE};
    if (code != 0 && reason != NULL)
        bytes.size += (size_t)snprintf(payload + CLOSE_CODE_SIZE, sizeof payload - CLOSE_CODE_SIZE,
                                       "%s", reason);
    connection->closing = true;
    if (delay_ms == 0) {
        close_now(connection, bytes);
        return;
    }
    struct waiting *waiting =
        wait_for(connection, WS_CLOSE, bytes, clock_monotonic_ns() + (int64_t)delay_ms * NS_PER_MS);
    if (waiting != NULL)
        waiting->is_close = true;
}

bool venue_connection_streams(struct venue_connection *connection, size_t count)
{
    uint32_t most = connection->run->public.limits.streams;
    if (most != 0 && count > most) {
        venue_broken(&connection->run->public, BROKEN_STREAMS);
        return false;
    }
    connection->streams = count;
    return true;
}

/* ---- what comes ---- */

/* False: it was one too many, and the connection is cut, as exchanges do. */
static bool count_message(struct venue_connection *connection)
{
    const struct venue_limits *limits = &connection->run->public.limits;
    if (rate_log_take(&connection->messages, limits->messages, limits->messages_ms) &&
        rate_log_take(&connection->minute, limits->messages_minute, MINUTE_MS))
        return true;
    venue_broken(&connection->run->public, BROKEN_MESSAGES);
    venue_connection_close(connection, 1008, "Too many requests", 0);
    return false;
}

static void on_control(struct venue_connection *connection, const struct ws_control *control)
{
    const struct venue_limits *limits = &connection->run->public.limits;
    connection->heard_ns = clock_monotonic_ns();
    if (control->opcode == WS_CLOSE) {
        char code[CLOSE_CODE_SIZE] = {(char)(control->close_code >> 8),
                                      (char)(control->close_code & 0xff)};
        bool empty = control->close_code == 1005;
        if (connection->closing_ns == 0)
            close_now(connection, (struct slice){empty ? "\x03\xe8" : code, CLOSE_CODE_SIZE});
        return;
    }
    /* The answer to our own ping costs nothing. */
    bool answer = control->opcode == WS_PONG && connection->unanswered_ns != 0 &&
                  slice_is(control->payload, connection->ping);
    if (answer)
        connection->unanswered_ns = 0;
    else if (limits->pings_count && !count_message(connection))
        return;
    if (control->opcode == WS_PING)
        frame(connection, WS_PONG, control->payload);
}

static void on_part(struct venue_connection *connection, const struct ws_part *part)
{
    struct run *run = connection->run;
    connection->heard_ns = clock_monotonic_ns();
    if (!part->first || !part->last) {
        buffer_append(&connection->message, part->data, part->size);
        if (!part->last)
            return;
    }
    struct slice text = {.data = part->data, .size = part->size};
    if (!part->first)
        text = buffer_slice(&connection->message);
    run->state->stats.messages_in++;
    if (count_message(connection))
        run->public.venue->on_message(connection, text);
    buffer_clear(&connection->message);
}

static void on_data(void *context, char *data, size_t size)
{
    struct venue_connection *connection = context;
    char *at = data;
    while (!connection->dead) {
        struct ws_part part;
        struct ws_control control;
        enum ws_result result = ws_parse(&connection->parser, &at, data + size, &part, &control);
        if (result == WS_NEED_MORE)
            break;
        if (result == WS_FAILED) {
            uint16_t code = ws_error_code(&connection->parser);
            if (code == 1009)
                venue_broken(&connection->run->public, BROKEN_STREAMS);
            venue_connection_close(connection, code, NULL, 0);
            break;
        }
        if (result == WS_CONTROL)
            on_control(connection, &control);
        else if (!connection->closing)
            on_part(connection, &part);
    }
    flush(connection);
}

static void on_writable(void *context)
{
    flush(context);
}

static void on_closed(void *context, int error)
{
    (void)error;
    connection_cut(context);
}

static const struct tcp_callbacks callbacks = {
    .on_data = on_data,
    .on_writable = on_writable,
    .on_closed = on_closed,
};

/* ---- a connection's life ---- */

void connection_open(struct run *run, struct tcp *tcp, bool compressed, struct slice path,
                     struct slice query, struct slice rest)
{
    const struct venue *venue = run->public.venue;
    struct venue_connection *connection = memory_alloc(sizeof *connection);
    connection->run = run;
    connection->number = ++run->simulator->connection_last;
    connection->tcp = tcp;
    connection->compressed = compressed;
    connection->opened_ns = clock_monotonic_ns();
    connection->heard_ns = connection->said_ns = connection->pinged_ns = connection->opened_ns;
    buffer_init(&connection->out, CONNECTION_OUT_MAX);
    buffer_init(&connection->held, LIMIT_EXCHANGE_MESSAGE);
    buffer_init(&connection->message, LIMIT_REQUEST);
    ws_parser_init(&connection->parser, WS_SERVER, LIMIT_REQUEST);
    if (compressed)
        ws_parser_set_inflater(&connection->parser, run->simulator->inflater);
    if (venue->connection_size > 0)
        connection->own = memory_alloc(venue->connection_size);
    connection->next = run->connections;
    run->connections = connection;
    run->simulator->connection_count++;
    tcp_set_callbacks(tcp, &callbacks, connection);
    venue->on_open(connection, path, query);
    if (rest.size > 0 && !connection->dead) {
        struct buffer copy;
        buffer_init(&copy, LIMIT_READ_BUFFER + LIMIT_HTTP_HEAD);
        buffer_append_slice(&copy, rest);
        on_data(connection, copy.data, copy.size);
        buffer_release(&copy);
    }
    flush(connection);
}

static void connection_destroy(struct venue_connection *connection)
{
    const struct venue *venue = connection->run->public.venue;
    if (venue->on_closed != NULL)
        venue->on_closed(connection);
    while (connection->waiting != NULL) {
        struct waiting *waiting = connection->waiting;
        connection->waiting = waiting->next;
        memory_free(waiting);
    }
    tcp_destroy(connection->tcp);
    ws_parser_release(&connection->parser);
    buffer_release(&connection->message);
    buffer_release(&connection->out);
    buffer_release(&connection->held);
    rate_log_release(&connection->messages);
    rate_log_release(&connection->minute);
    memory_free(connection->own);
    connection->run->simulator->connection_count--;
    memory_free(connection);
}

static void ping(struct venue_connection *connection, int64_t now_ns)
{
    const struct venue_limits *limits = &connection->run->public.limits;
    if (limits->ping_ms == 0 || connection->closing)
        return;
    if (connection->unanswered_ns != 0 && limits->pong_ms != 0 &&
        now_ns - connection->unanswered_ns > (int64_t)limits->pong_ms * NS_PER_MS) {
        venue_broken(&connection->run->public, BROKEN_PONG);
        connection_cut(connection);
        return;
    }
    if (now_ns - connection->pinged_ns < (int64_t)limits->ping_ms * NS_PER_MS)
        return;
    connection->pinged_ns = now_ns;
    if (connection->unanswered_ns == 0)
        connection->unanswered_ns = now_ns;
    snprintf(connection->ping, sizeof connection->ping, "%lld",
             (long long)(clock_wall_us() / 1000));
    frame(connection, WS_PING, slice_of(connection->ping));
}

/* The rules that time alone can break. */
static void watch_connection(struct venue_connection *connection, int64_t now_ns)
{
    const struct venue_limits *limits = &connection->run->public.limits;
    int64_t quiet_ns = connection->heard_ns;
    if (!limits->idle_by_client && connection->said_ns > quiet_ns)
        quiet_ns = connection->said_ns;
    if (connection->closing_ns != 0 &&
        now_ns - connection->closing_ns > (int64_t)CLOSE_WAIT_MS * NS_PER_MS) {
        connection_cut(connection);
        return;
    }
    if (limits->idle_ms != 0 && now_ns - quiet_ns > (int64_t)limits->idle_ms * NS_PER_MS) {
        venue_broken(&connection->run->public, BROKEN_IDLE);
        connection_cut(connection);
        return;
    }
    if (limits->lifetime_ms != 0 && !connection->closing &&
        now_ns - connection->opened_ns > (int64_t)limits->lifetime_ms * NS_PER_MS) {
        connection->run->state->stats.lifetime_cuts++;
        venue_connection_close(connection, 1008, "disconnected", 0);
        return;
    }
    if (connection->held.size > 0 && now_ns - connection->held_ns > (int64_t)HELD_MS * NS_PER_MS)
        held_emit(connection, 0);
    ping(connection, now_ns);
}

void connections_tick(struct run *run, int64_t now_ns, bool watch)
{
    struct venue_connection **at = &run->connections;
    while (*at != NULL) {
        struct venue_connection *connection = *at;
        if (!connection->dead)
            waiting_send(connection, now_ns);
        if (!connection->dead && watch)
            watch_connection(connection, now_ns);
        flush(connection);
        if (connection->dead) {
            *at = connection->next;
            connection_destroy(connection);
        } else
            at = &connection->next;
    }
}

void connections_release(struct run *run)
{
    while (run->connections != NULL) {
        struct venue_connection *connection = run->connections;
        run->connections = connection->next;
        connection_destroy(connection);
    }
}

/* One piece of garbage to every connection of the exchange; used up only if there is one. */
void connections_garbage(struct simulator *simulator, struct fault *fault)
{
    struct exchange *exchange = fault->exchange;
    struct market *market = (struct market *)(uintptr_t)fault->market;
    if (market == NULL)
        market = &exchange->markets[0];
    bool used = false;
    for (size_t i = 0; i < simulator->run_count; i++) {
        struct run *run = &simulator->runs[i];
        const struct venue *venue = run->public.venue;
        if (run->public.exchange != exchange || venue_connection_next(&run->public, NULL) == NULL)
            continue;
        unsigned kinds = FAULT_GARBAGE_KINDS + venue->garbage_kinds;
        unsigned kind = (unsigned)(fault->count % kinds);
        bool binary = venue->binary;
        buffer_clear(&simulator->scratch);
        if (kind < FAULT_GARBAGE_KINDS)
            fault_garbage(kind, &simulator->random, &simulator->scratch, &binary);
        else
            venue->garbage(&run->public, market, kind - FAULT_GARBAGE_KINDS, &simulator->scratch);
        binary |= venue->binary;
        for (struct venue_connection *next = venue_connection_next(&run->public, NULL);
             next != NULL; next = venue_connection_next(&run->public, next))
            frame(next, binary ? WS_BINARY : WS_TEXT, buffer_slice(&simulator->scratch));
        used = true;
    }
    if (used)
        fault_use(fault, 0, 0);
}
