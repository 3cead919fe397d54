/* SPDX-License-Identifier: Apache-2.0 */
/* All clients together, on the main thread: the handshake, who serves whom, and leaving. */
#include "gateway/gateway_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "net/ws_deflate.h"

#include <assert.h>
#include <stdio.h>

#define TICK_MS 100
#define NS_PER_MS 1000000
#define DRAIN_CLIENT_MS 5 /* between two clients that are sent away, when time allows */
#define TOKEN_TEXT_MAX (LIMIT_STREAM_ID + 48)

/* ---- the list of clients ---- */

static void gateway_reserve(struct gateway *gateway)
{
    if (gateway->client_count < gateway->client_capacity)
        return;
    uint32_t capacity = gateway->client_capacity == 0 ? 64 : 2 * gateway->client_capacity;
    gateway->clients = memory_resize(gateway->clients, capacity, sizeof(struct client *));
    gateway->addresses = memory_resize(gateway->addresses, capacity, sizeof(uint64_t));
    gateway->client_capacity = capacity;
}

static uint32_t least_busy_worker(const struct gateway *gateway)
{
    uint32_t least = 0;
    for (uint32_t i = 1; i < gateway->worker_count; i++)
        if (gateway->worker_clients[i] < gateway->worker_clients[least])
            least = i;
    return least;
}

static void gateway_add(struct gateway *gateway, struct client *client, uint64_t address)
{
    gateway_reserve(gateway);
    client->index = gateway->client_count;
    client->worker_index = (uint8_t)least_busy_worker(gateway);
    client->worker = gateway->workers[client->worker_index];
    gateway->worker_clients[client->worker_index]++;
    gateway->clients[client->index] = client;
    gateway->addresses[client->index] = address;
    gateway->client_count++;
    metric_set(gateway->clients_now, (int64_t)gateway->client_count);
    forms_enter(gateway->forms, client->form);
}

static void gateway_bury(struct gateway *gateway, struct client *client)
{
    uint32_t last = --gateway->client_count;
    gateway->clients[client->index] = gateway->clients[last];
    gateway->clients[client->index]->index = client->index;
    gateway->addresses[client->index] = gateway->addresses[last];
    gateway->worker_clients[client->worker_index]--;
    metric_set(gateway->clients_now, (int64_t)gateway->client_count);
    forms_leave(gateway->forms, client->form);
    client_destroy(client);
}

/* ---- placements ---- */

/* Gives the client to its worker, with its placement, or lets it wait. */
static bool gateway_place(struct gateway *gateway, struct client *client)
{
    if (!placement_decide(gateway, client->placement, client->form, clock_monotonic_ns()))
        return false;
    worker_give(gateway->workers[client->worker_index], client); /* from here on it is not ours */
    return true;
}

static void gateway_place_or_wait(struct gateway *gateway, struct client *client)
{
    if (gateway_place(gateway, client))
        return;
    client->letter.next = gateway->waiting;
    gateway->waiting = &client->letter;
}

static void gateway_retry(struct gateway *gateway)
{
    struct letter *letter = gateway->waiting;
    gateway->waiting = NULL;
    while (letter != NULL) {
        struct letter *next = letter->next;
        gateway_place_or_wait(gateway, (struct client *)letter);
        letter = next;
    }
}

/* ---- letters, records, time ---- */

void gateway_post(struct gateway *gateway, struct client *client, enum errand errand)
{
    client->errand = (uint8_t)errand;
    if (mailbox_post(gateway->mailbox, &client->letter))
        waker_wake(gateway->waker);
}

static void gateway_receive(struct gateway *gateway, struct client *client)
{
    switch ((enum errand)client->errand) {
    case ERRAND_PLACE:
        placement_begin_wait(client->placement, clock_monotonic_ns());
        gateway_place_or_wait(gateway, client);
        return;
    case ERRAND_BURY:
        gateway_bury(gateway, client);
        return;
    case ERRAND_SERVE:
        break;
    }
    assert(false); /* that one goes the other way */
}

static void gateway_on_wake(void *context)
{
    struct gateway *gateway = context;
    struct letter *next;
    for (struct letter *letter = mailbox_take(gateway->mailbox); letter != NULL; letter = next) {
        next = letter->next;
        gateway_receive(gateway, (struct client *)letter);
    }
}

static void gateway_flush(void *context)
{
    struct gateway *gateway = context;
    int64_t now_ns = gateway->turn_ns == 0 ? clock_monotonic_ns() : gateway->turn_ns;
    for (uint32_t i = 0; i < gateway->worker_count; i++)
        if (gateway->worker_clients[i] > 0)
            worker_wake(gateway->workers[i], now_ns);
    gateway->turn_ns = 0;
}

static void gateway_on_record(void *context, const struct record *record)
{
    struct gateway *gateway = context;
    if (gateway->turn_ns == 0)
        gateway->turn_ns = clock_monotonic_ns();
    forms_add(gateway->forms, record);
    deferred_schedule(gateway->flush);
}

static void gateway_tick(void *context)
{
    struct gateway *gateway = context;
    snapshots_tick(gateway->snapshots);
    gateway_retry(gateway);
}

/* ---- the handshake ---- */

static uint64_t address_hash(const struct gateway *gateway,
                             const struct http_connection *connection)
{
    struct address address;
    http_client_address(connection, &address);
    struct address group = address_group(&address);
    return address_seeded_hash(&group, gateway->seed);
}

static bool refuse(struct http_connection *connection, struct metric *metric, unsigned status,
                   const char *detail)
{
    metric_add(metric, 1);
    http_answer_problem_with(connection, status, "Retry-After: 1\r\n", detail);
    return false;
}

/* What feeds the log is not what this endpoint is for. */
static bool refuse_source(const struct entrance *entrance, struct http_connection *connection)
{
    const struct feed *feed = &entrance->gateway->feed;
    char detail[LIMIT_REASON + 128];
    snprintf(detail, sizeof detail, "%s does not feed this node now, but %s%s%s",
             endpoint_names[entrance->endpoint], source_names[feed->source],
             feed->reason[0] == '\0' ? "" : ": ", feed->reason);
    return refuse(connection, entrance->gateway->refused_source, 503, detail);
}

static bool gateway_admit(const struct entrance *entrance, struct http_connection *connection,
                          uint64_t address)
{
    const struct gateway *gateway = entrance->gateway;
    if (gateway->draining)
        return refuse(connection, gateway->refused_draining, 503, "this node is leaving");
    if (!gateway->open)
        return refuse(connection, gateway->refused_starting, 503, "this node is starting");
    if (!feed_serves(&gateway->feed, entrance->endpoint))
        return refuse_source(entrance, connection);
    if (gateway->client_count >= gateway->options.policy.clients_max)
        return refuse(connection, gateway->refused_full, 503,
                      "this node has as many clients as it may have");
    uint32_t same = 0;
    for (uint32_t i = 0; i < gateway->client_count; i++)
        same += gateway->addresses[i] == address;
    if (same >= gateway->options.policy.clients_per_address_max)
        return refuse(connection, gateway->refused_address, 429,
                      "too many clients from this address");
    return true;
}

/* "0" or "1"; false when it was answered with an error. */
static bool read_switch(struct http_connection *connection, struct slice query, const char *name,
                        bool *value)
{
    char text[4], detail[64];
    bool present = false;
    bool read = http_query_find(query, name, text, sizeof text, &present);
    if (!present)
        return true;
    if (!read || (strcmp(text, "0") != 0 && strcmp(text, "1") != 0)) {
        snprintf(detail, sizeof detail, "%s must be 0 or 1", name);
        http_answer_problem(connection, 400, detail);
        return false;
    }
    *value = text[0] == '1';
    return true;
}

/* False when it was answered with an error. */
static bool gateway_read_token(struct gateway *gateway, struct http_connection *connection,
                               struct slice query, struct placement *placement)
{
    char text[TOKEN_TEXT_MAX];
    bool present = false;
    bool read = http_query_find(query, "since", text, sizeof text, &present);
    if (present && (!read || !token_read(slice_of(text), &placement->token))) {
        http_answer_problem(connection, 400, "since must be a token: STREAM.EPOCH.SEQ");
        return false;
    }
    placement->has_token = present;
    placement->content = gateway->content;
    placement_begin_wait(placement, clock_monotonic_ns());
    if (!present)
        metric_add(gateway->joined, 1);
    return true;
}

static void gateway_handshake(void *context, struct http_connection *connection,
                              const struct http_head *request)
{
    const struct entrance *entrance = context;
    struct gateway *gateway = entrance->gateway;
    uint64_t address = address_hash(gateway, connection);
    bool batch = false;
    struct slice early;
    if (!gateway_admit(entrance, connection, address))
        return;
    struct placement *placement = placement_create();
    placement->snapshot_wanted = true;
    if (!read_switch(connection, request->query, "snapshot", &placement->snapshot_wanted) ||
        !read_switch(connection, request->query, "batch", &batch) ||
        !gateway_read_token(gateway, connection, request->query, placement)) {
        placement_destroy(placement);
        return;
    }
    const char *compression = ws_deflate_accept(request);
    enum form form = (batch ? FORM_BATCH : 0) | (compression != NULL ? FORM_DEFLATE : 0);
    placement->is_new = true;
    placement->socket = tcp_detach(http_upgrade(connection, request, compression, &early));
    buffer_append_slice(&placement->early, early);
    struct client *client = client_create(form, entrance->endpoint, placement);
    client->expires_us = http_granted(connection)->expires_us;
    gateway_add(gateway, client, address);
    gateway_place_or_wait(gateway, client);
}

/* ---- making and ending ---- */

static void gateway_make_metrics(struct gateway *gateway)
{
    gateway->clients_now = metric_series(METRIC_CLIENTS, "");
    gateway->snapshots_built = metric_series(METRIC_SNAPSHOTS, "");
    gateway->joined = metric_series(METRIC_CLIENTS_TOTAL, "start=\"fresh\"");
    gateway->resumed = metric_series(METRIC_CLIENTS_TOTAL, "start=\"resumed\"");
    gateway->not_resumed = metric_series(METRIC_CLIENTS_TOTAL, "start=\"not resumed\"");
    gateway->refused_full = metric_series(METRIC_CLIENTS_REFUSED, "reason=\"full\"");
    gateway->refused_address = metric_series(METRIC_CLIENTS_REFUSED, "reason=\"address\"");
    gateway->refused_draining = metric_series(METRIC_CLIENTS_REFUSED, "reason=\"draining\"");
    gateway->refused_starting = metric_series(METRIC_CLIENTS_REFUSED, "reason=\"starting\"");
    gateway->refused_source = metric_series(METRIC_CLIENTS_REFUSED, "reason=\"source\"");
}

static void gateway_start_workers(struct gateway *gateway)
{
    uint32_t count = gateway->options.threads;
    assert(count >= 1 && count <= LIMIT_GATEWAY_THREADS);
    gateway->workers = memory_array(count, sizeof(struct worker *));
    gateway->worker_clients = memory_array(count, sizeof(uint32_t));
    for (; gateway->worker_count < count; gateway->worker_count++)
        gateway->workers[gateway->worker_count] = worker_create(gateway);
}

static bool entrance_is_there(void *context)
{
    const struct entrance *entrance = context;
    return entrance->gateway->feed.enabled[entrance->endpoint];
}

static void gateway_add_routes(struct gateway *gateway)
{
    static const char *const paths[ENDPOINT_COUNT] = {
        [ENDPOINT_EXCHANGE] = "/ws/exchange",
        [ENDPOINT_KAFKA] = "/ws/kafka",
        [ENDPOINT_REDIS] = "/ws/redis",
    };
    struct http_server *server = gateway->options.server;
    for (enum endpoint each = ENDPOINT_EXCHANGE; each < ENDPOINT_COUNT; each++) {
        gateway->entrances[each] = (struct entrance){.gateway = gateway, .endpoint = each};
        http_server_route(server, &(struct http_route){.path = paths[each],
                                                       .handler = gateway_handshake,
                                                       .context = &gateway->entrances[each],
                                                       .websocket = true,
                                                       .there = entrance_is_there});
    }
    http_server_route(
        server,
        &(struct http_route){.path = "/ws/info", .handler = discovery_answer, .context = gateway});
}

struct gateway *gateway_create(const struct gateway_options *options)
{
    const struct gateway_policy *policy = &options->policy;
    assert(options->send_buffer >= 1024 && policy->heartbeat_ms > 0 && policy->max_lag_ms > 0);
    struct gateway *gateway = memory_alloc(sizeof *gateway);
    gateway->options = *options;
    gateway->open = journal_stream(options->journal)[0] != '\0';
    feed_read(&gateway->feed, &options->feed);
    random_bytes(&gateway->seed, sizeof gateway->seed);
    gateway->mailbox = mailbox_create();
    gateway->snapshots = snapshots_create(gateway);
    gateway->forms = forms_create(gateway);
    gateway->flush = deferred_create(options->loop, gateway_flush, gateway);
    gateway->tick = timer_create_on(options->loop, gateway_tick, gateway);
    timer_start(gateway->tick, TICK_MS, TICK_MS);
    gateway_make_metrics(gateway);
    gateway->waker = waker_create_on(options->loop, gateway_on_wake, gateway);
    gateway_start_workers(gateway);
    journal_listen(options->journal, gateway_on_record, gateway);
    gateway_add_routes(gateway);
    return gateway;
}

void gateway_change(struct gateway *gateway, const struct gateway_policy *policy)
{
    assert(policy->heartbeat_ms > 0 && policy->max_lag_ms > 0);
    gateway->options.policy = *policy; /* workers read their own copies */
    for (uint32_t i = 0; i < gateway->worker_count; i++)
        worker_change(gateway->workers[i], policy);
    forms_cut(gateway->forms); /* what waits may have been promised more time than there is now */
}

void gateway_feed_changed(struct gateway *gateway, const struct gateway_feed *feed)
{
    struct feed former = gateway->feed;
    feed_read(&gateway->feed, feed);
    bool notify = gateway->feed.source != former.source;
    if (notify || strcmp(gateway->feed.mode, former.mode) != 0)
        snapshots_forget(gateway->snapshots); /* their hello says what was */
    for (enum endpoint each = ENDPOINT_EXCHANGE; each < ENDPOINT_COUNT; each++)
        notify |= feed_serves(&gateway->feed, each) != feed_serves(&former, each);
    for (uint32_t i = 0; notify && i < gateway->worker_count; i++)
        worker_notify(gateway->workers[i], notice_create(&gateway->feed));
}

bool gateway_is_open(const struct gateway *gateway)
{
    return gateway->open;
}

void gateway_start_over(struct gateway *gateway)
{
    gateway->open = true;
    gateway->content++;
    forms_start_over(gateway->forms);
    snapshots_forget(gateway->snapshots);
    for (uint32_t i = 0; i < gateway->worker_count; i++)
        worker_start_over(gateway->workers[i], gateway->content);
    log_info("gateway", log_text("msg", "clients start over"),
             log_text("stream", journal_stream(gateway->options.journal)),
             log_int("next", journal_next(gateway->options.journal)),
             log_int("clients", gateway->client_count));
    gateway_retry(gateway);
}

/* The workers have ended, and with them every connection but those that no worker ever took. */
static void gateway_destroy_clients(struct gateway *gateway)
{
    (void)mailbox_take(gateway->mailbox); /* all of them are in the list */
    for (uint32_t i = 0; i < gateway->client_count; i++) {
        struct client *client = gateway->clients[i];
        if (client->placement != NULL && client->placement->is_new)
            tcp_socket_close(client->placement->socket);
        client_destroy(client);
    }
}

void gateway_destroy(struct gateway *gateway)
{
    if (gateway == NULL)
        return;
    for (uint32_t i = 0; i < gateway->worker_count; i++)
        worker_stop(gateway->workers[i]);
    gateway_destroy_clients(gateway);
    for (uint32_t i = 0; i < gateway->worker_count; i++)
        worker_destroy(gateway->workers[i]);
    waker_destroy(gateway->waker);
    forms_destroy(gateway->forms);
    snapshots_destroy(gateway->snapshots);
    timer_destroy(gateway->tick);
    deferred_destroy(gateway->flush);
    mailbox_destroy(gateway->mailbox);
    memory_free(gateway->worker_clients);
    memory_free(gateway->workers);
    memory_free(gateway->addresses);
    memory_free(gateway->clients);
    memory_free(gateway);
}

size_t gateway_clients(const struct gateway *gateway)
{
    return gateway->client_count;
}

void gateway_drain(struct gateway *gateway, uint32_t within_ms)
{
    uint64_t spread_ms = (uint64_t)gateway->client_count * DRAIN_CLIENT_MS;
    if (spread_ms > within_ms / 2)
        spread_ms = within_ms / 2;
    gateway->draining = true;
    forms_cut(gateway->forms); /* else who is sent away at once would not have everything */
    for (uint32_t i = 0; i < gateway->worker_count; i++)
        worker_drain(gateway->workers[i], (uint32_t)spread_ms, within_ms);
}
