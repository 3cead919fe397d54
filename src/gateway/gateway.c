/* SPDX-License-Identifier: Apache-2.0 */
/* All clients together: the handshake, the turn that serves them, the clock, and leaving. */
#include "gateway/gateway_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <assert.h>
#include <stdio.h>

#define TICK_MS 100
#define NS_PER_MS 1000000
#define DRAIN_CLIENT_MS 5 /* between two clients that are sent away, when time allows */
#define TOKEN_TEXT_MAX (LIMIT_STREAM_ID + 48)

/* ---- the turn ---- */

void gateway_end_client(struct gateway *gateway, struct client *client)
{
    if (client->ended)
        return;
    client->ended = true;
    gateway->any_ended = true;
    deferred_schedule(gateway->flush);
}

static void gateway_bury(struct gateway *gateway)
{
    gateway->any_ended = false;
    for (size_t i = 0; i < gateway->client_count;) {
        struct client *client = gateway->clients[i];
        if (!client->ended) {
            i++;
            continue;
        }
        gateway->clients[i] = gateway->clients[--gateway->client_count];
        client_destroy(client);
    }
    metric_set(gateway->clients_now, (int64_t)gateway->client_count);
}

static void gateway_flush(void *context)
{
    struct gateway *gateway = context;
    for (size_t i = 0; i < gateway->client_count; i++)
        if (!gateway->clients[i]->blocked)
            client_send(gateway->clients[i]);
    if (gateway->any_ended)
        gateway_bury(gateway);
}

static void gateway_on_record(void *context, const struct record *record)
{
    (void)record;
    struct gateway *gateway = context;
    deferred_schedule(gateway->flush);
}

/* Where the journal stood max_lag ago: who is before it is slow. 0 until that long has passed. */
static int64_t gateway_lag_seq(struct gateway *gateway, int64_t now_ns)
{
    int64_t lag_ns = (int64_t)gateway->options.max_lag_ms * NS_PER_MS;
    struct lag_mark *newest = &gateway->lag_marks[gateway->lag_newest];
    if (newest->at_ns == 0 || now_ns - newest->at_ns >= lag_ns / (LAG_MARKS / 2)) {
        gateway->lag_newest = (gateway->lag_newest + 1) % LAG_MARKS;
        gateway->lag_marks[gateway->lag_newest] =
            (struct lag_mark){.at_ns = now_ns, .next = journal_next(gateway->options.journal)};
    }
    int64_t seq = 0;
    for (size_t i = 0; i < LAG_MARKS; i++) {
        const struct lag_mark *mark = &gateway->lag_marks[i];
        if (mark->at_ns != 0 && now_ns - mark->at_ns >= lag_ns && mark->next > seq)
            seq = mark->next;
    }
    return seq;
}

static void gateway_tick(void *context)
{
    struct gateway *gateway = context;
    int64_t now_ns = clock_monotonic_ns();
    int64_t lag_seq = gateway_lag_seq(gateway, now_ns);
    for (size_t i = 0; i < gateway->client_count; i++)
        client_tick(gateway->clients[i], now_ns, lag_seq);
}

/* ---- joining ---- */

static uint64_t address_hash(struct http_connection *connection)
{
    char peer[LIMIT_HOST];
    http_peer(connection, peer, sizeof peer);
    char *port = strrchr(peer, ':');
    size_t size = port == NULL ? strlen(peer) : (size_t)(port - peer);
    return slice_hash((struct slice){.data = peer, .size = size});
}

static bool refuse(struct http_connection *connection, struct metric *metric, unsigned status,
                   const char *detail)
{
    metric_add(metric, 1);
    http_answer_problem(connection, status, detail);
    return false;
}

static bool gateway_admit(struct gateway *gateway, struct http_connection *connection,
                          uint64_t address)
{
    if (gateway->draining)
        return refuse(connection, gateway->refused_draining, 503, "this node is leaving");
    if (gateway->client_count >= gateway->options.clients_max)
        return refuse(connection, gateway->refused_full, 503,
                      "this node has as many clients as it may have");
    uint32_t same = 0;
    for (size_t i = 0; i < gateway->client_count; i++)
        same += gateway->clients[i]->address == address;
    if (same >= gateway->options.clients_per_address_max)
        return refuse(connection, gateway->refused_address, 429,
                      "too many clients from this address");
    return true;
}

/* The query of a handshake; false when it was answered with an error. */
static bool gateway_read_query(struct gateway *gateway, struct http_connection *connection,
                               struct slice query, struct client_start *start)
{
    char text[TOKEN_TEXT_MAX];
    bool present = false;
    struct token token;
    bool read = http_query_find(query, "snapshot", text, sizeof text, &present);
    if (present && (!read || (strcmp(text, "0") != 0 && strcmp(text, "1") != 0))) {
        http_answer_problem(connection, 400, "snapshot must be 0 or 1");
        return false;
    }
    start->snapshot_wanted = !present || text[0] == '1';
    read = http_query_find(query, "since", text, sizeof text, &present);
    if (present && (!read || !token_read(slice_of(text), &token))) {
        http_answer_problem(connection, 400, "since must be a token: STREAM.EPOCH.SEQ");
        return false;
    }
    if (present && strcmp(token.stream, journal_stream(gateway->options.journal)) == 0) {
        start->has_token = true;
        start->token_epoch = token.epoch;
        start->token_seq = token.seq;
    } else { /* a token of another stream is a fresh start, too */
        metric_add(present ? gateway->not_resumed : gateway->joined, 1);
    }
    return true;
}

static void gateway_add(struct gateway *gateway, struct client *client)
{
    if (gateway->client_count == gateway->client_capacity) {
        gateway->client_capacity =
            gateway->client_capacity == 0 ? 64 : 2 * gateway->client_capacity;
        gateway->clients =
            memory_resize(gateway->clients, gateway->client_capacity, sizeof(struct client *));
    }
    gateway->clients[gateway->client_count++] = client;
    metric_set(gateway->clients_now, (int64_t)gateway->client_count);
}

static void gateway_handshake(void *context, struct http_connection *connection,
                              const struct http_head *request)
{
    struct gateway *gateway = context;
    struct client_start start = {.address = address_hash(connection)};
    if (!gateway_admit(gateway, connection, start.address))
        return;
    if (!gateway_read_query(gateway, connection, request->query, &start))
        return;
    start.tcp = http_upgrade(connection, request, NULL, &start.bytes);
    struct client *client = client_create(gateway, &start);
    gateway_add(gateway, client);
    client_begin(client, start.bytes);
}

/* ---- making and ending ---- */

static void gateway_make_metrics(struct gateway *gateway)
{
    gateway->clients_now = metric_series(METRIC_CLIENTS, "");
    gateway->sent_bytes = metric_series(METRIC_SENT_BYTES, "");
    gateway->sent_messages = metric_series(METRIC_SENT_MESSAGES, "");
    gateway->snapshots = metric_series(METRIC_SNAPSHOTS, "");
    gateway->slow_snapshot = metric_series(METRIC_SLOW_CLIENTS, "action=\"snapshot\"");
    gateway->slow_disconnect = metric_series(METRIC_SLOW_CLIENTS, "action=\"disconnect\"");
    gateway->stuck = metric_series(METRIC_SLOW_CLIENTS, "action=\"drop\"");
    gateway->joined = metric_series(METRIC_CLIENTS_TOTAL, "start=\"fresh\"");
    gateway->resumed = metric_series(METRIC_CLIENTS_TOTAL, "start=\"resumed\"");
    gateway->not_resumed = metric_series(METRIC_CLIENTS_TOTAL, "start=\"not resumed\"");
    gateway->refused_full = metric_series(METRIC_CLIENTS_REFUSED, "reason=\"full\"");
    gateway->refused_address = metric_series(METRIC_CLIENTS_REFUSED, "reason=\"address\"");
    gateway->refused_draining = metric_series(METRIC_CLIENTS_REFUSED, "reason=\"draining\"");
}

struct gateway *gateway_create(const struct gateway_options *options)
{
    assert(options->send_buffer >= 1024 && options->heartbeat_ms > 0 && options->max_lag_ms > 0);
    struct gateway *gateway = memory_alloc(sizeof *gateway);
    gateway->options = *options;
    gateway->flush = deferred_create(options->loop, gateway_flush, gateway);
    gateway->tick = timer_create_on(options->loop, gateway_tick, gateway);
    timer_start(gateway->tick, TICK_MS, TICK_MS);
    gateway_make_metrics(gateway);
    journal_listen(options->journal, gateway_on_record, gateway);
    http_server_route(options->server, &(struct http_route){.path = "/ws/exchange",
                                                            .handler = gateway_handshake,
                                                            .context = gateway,
                                                            .websocket = true});
    http_server_route(
        options->server,
        &(struct http_route){.path = "/ws/info", .handler = discovery_answer, .context = gateway});
    return gateway;
}

void gateway_destroy(struct gateway *gateway)
{
    if (gateway == NULL)
        return;
    for (size_t i = 0; i < gateway->client_count; i++)
        client_destroy(gateway->clients[i]);
    snapshot_unref(gateway->snapshot);
    timer_destroy(gateway->tick);
    deferred_destroy(gateway->flush);
    memory_free(gateway->clients);
    memory_free(gateway);
}

size_t gateway_clients(const struct gateway *gateway)
{
    return gateway->client_count;
}

void gateway_drain(struct gateway *gateway, uint32_t within_ms)
{
    int64_t now_ns = clock_monotonic_ns();
    size_t count = gateway->client_count;
    uint64_t spread_ms = (uint64_t)count * DRAIN_CLIENT_MS;
    if (spread_ms > within_ms / 2)
        spread_ms = within_ms / 2;
    gateway->draining = true;
    gateway->drain_end_ns = now_ns + (int64_t)within_ms * NS_PER_MS * 3 / 4;
    for (size_t i = 0; i < count; i++) {
        struct client *client = gateway->clients[i];
        uint64_t leave_ms = spread_ms * (i + 1) / count;
        char text[64];
        int size = snprintf(text, sizeof text, "{\"type\":\"draining\",\"within_ms\":%llu}",
                            (unsigned long long)leave_ms);
        if (client->phase != CLIENT_CLOSING)
            client_queue(client, (struct slice){.data = text, .size = (size_t)size});
        client->leave_ns = now_ns + (int64_t)leave_ms * NS_PER_MS;
        if (!client->blocked)
            client_send(client);
    }
}
