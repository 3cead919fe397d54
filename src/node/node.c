/* SPDX-License-Identifier: Apache-2.0 */
/* Everything is opened in the order of the data's way, and closed in reverse. */
#include "node/node.h"

#include "admin/admin.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "gateway/gateway.h"
#include "keeper/keeper.h"
#include "node/collection.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#define DRAIN_TICK_MS 20
#define FILES_RESERVED 200  /* descriptors that clients may not use: exchanges, logs, listeners */
#define HTTP_CONNECTIONS 64 /* beyond the clients: handshakes under way, probes, metrics */
#define FIRST_EPOCH 1
#define NS_PER_MS 1000000

struct node {
    struct node_options options;
    int64_t started_us;
    bool draining;
    int64_t drain_until_ns;
    uint32_t clients_max;
    struct timer *drain_timer;
    struct http_server *server;
    struct journal *journal;
    struct keeper *keeper;
    struct carrier *carrier;
    struct sequencer *sequencer;
    struct gateway *gateway;
    struct admin *admin;
    struct collection *collection;
};

/* ---- the stream ---- */

static void node_accept(void *context, const struct record *record)
{
    struct node *node = context;
    journal_append(node->journal, record);
}

static void node_barrier(void *context, const struct barrier *barrier)
{
    struct node *node = context;
    journal_barrier(node->journal, barrier->stream, barrier->epoch);
}

/* Alone and with nothing to continue: a new stream, in its first epoch. */
static int node_open_stream(struct node *node, struct err *err)
{
    const struct settings *settings = node->options.settings;
    const struct carrier_kind *kind = carrier_kind_find("memory");
    struct carrier_reader reader = {
        .record = node_accept, .barrier = node_barrier, .context = node};
    char stream[LIMIT_STREAM_ID];
    stream_id_make(stream);
    node->journal = journal_create(stream, 1, (size_t)settings->stream.retain_bytes);
    node->keeper = keeper_create(node->journal, (uint32_t)settings->stream.book_depth);
    node->carrier = kind->open(&(struct carrier_options){.reader = reader}, err);
    if (node->carrier == NULL)
        return err_wrap(err, "carrier memory");
    node->sequencer = sequencer_create(stream, FIRST_EPOCH, 0, 0, node->carrier);
    return 0;
}

static int node_open_epoch(struct node *node, struct err *err)
{
    if (sequencer_open_epoch(node->sequencer, node->options.settings->node.id, clock_wall_us()) !=
        CARRIER_TAKEN)
        return err_set(err, -EIO, "the carrier does not take the first record");
    metric_set(metric_series(METRIC_EPOCH, ""), FIRST_EPOCH);
    log_info("node", log_text("msg", "epoch opened"),
             log_text("stream", journal_stream(node->journal)), log_int("epoch", FIRST_EPOCH),
             log_int("seq", journal_next(node->journal) - 1));
    return 0;
}

/* ---- the half that serves ---- */

static uint32_t node_count_clients(void *context)
{
    const struct node *node = context;
    return node->gateway == NULL ? 0 : (uint32_t)gateway_clients(node->gateway);
}

/* What the process may open bounds what the configuration may ask for. */
static uint32_t effective_clients_max(int64_t wanted)
{
    struct rlimit files = {0};
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &files) != 0)
            getrlimit(RLIMIT_NOFILE, &files);
    }
    int64_t most = files.rlim_cur > FILES_RESERVED ? (int64_t)files.rlim_cur - FILES_RESERVED : 1;
    if (wanted > most)
        log_warn("node",
                 log_text("msg", "http.max_clients is more than the open files allow, lowered"),
                 log_int("wanted", wanted), log_int("effective", most));
    return (uint32_t)(wanted < most ? wanted : most);
}

/* As many as this process may run on at once. */
static uint32_t effective_threads(int64_t wanted)
{
    cpu_set_t cores;
    if (wanted > 0)
        return (uint32_t)wanted;
    int count = sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
    return (uint32_t)(count < LIMIT_GATEWAY_THREADS ? count : LIMIT_GATEWAY_THREADS);
}

static int node_open_server(struct node *node, struct err *err)
{
    const struct settings *settings = node->options.settings;
    node->clients_max = effective_clients_max(settings->http.max_clients);
    struct front_options options = {
        .loop = node->options.loop,
        .connections_max = node->clients_max + HTTP_CONNECTIONS,
        .handed_over = node_count_clients,
        .context = node,
    };
    return front_listen(node->options.front, &options, &node->server, err);
}

static struct gateway_policy gateway_policy_of(const struct node *node)
{
    const struct settings *settings = node->options.settings;
    return (struct gateway_policy){
        .heartbeat_ms = (uint32_t)settings->stream.heartbeat_ms,
        .max_lag_ms = (uint32_t)settings->stream.max_lag_ms,
        .disconnect_slow = settings->stream.slow_client == SLOW_CLIENT_DISCONNECT,
        .clients_max = node->clients_max,
        .clients_per_address_max = (uint32_t)settings->http.max_clients_per_ip,
    };
}

static void node_open_gateway(struct node *node)
{
    const struct settings *settings = node->options.settings;
    struct gateway_options options = {
        .loop = node->options.loop,
        .server = node->server,
        .journal = node->journal,
        .keeper = node->keeper,
        .node = settings->node.id,
        .public_url = settings->http.public_url,
        .simulated = node->options.simulated,
        .exchanges = collection_names(node->collection),
        .policy = gateway_policy_of(node),
        .batch_interval_ms = (uint32_t)settings->stream.batch_interval_ms,
        .threads = effective_threads(settings->http.threads),
        .send_buffer = (size_t)settings->http.send_buffer_bytes,
    };
    node->gateway = gateway_create(&options);
}

/* ---- what is collected ---- */

static_assert(CHANNEL_COUNT <= ADMIN_CHANNELS_MAX, "the channels of a market have room");

static void list_channels(uint32_t channels, const char *ret_names[ADMIN_CHANNELS_MAX + 1])
{
    size_t count = 0;
    for (size_t i = 0; i < CHANNEL_COUNT; i++)
        if ((channels & CHANNEL_BIT(i)) != 0)
            ret_names[count++] = channel_names[i];
    ret_names[count] = NULL;
}

static void visit_market(const struct settings_exchange *settings, const struct symbol *symbol,
                         uint32_t channels, admin_visit_market_fn *visit, void *visit_context)
{
    char native[LIMIT_NATIVE_SYMBOL];
    struct admin_market market = {.exchange = settings->exchange->name, .symbol = symbol->text};
    if (settings->exchange->to_native(symbol, native))
        market.native = native;
    list_channels(channels, market.channels);
    visit(visit_context, &market);
}

static bool is_configured(const struct settings_exchange *settings, struct slice symbol)
{
    for (size_t i = 0; i < settings->symbols.count; i++)
        if (slice_is(symbol, settings->symbols.items[i]))
            return true;
    return false;
}

struct learnt { /* a walk over what a replay brought that nobody had configured */
    const struct settings_exchange *settings;
    admin_visit_market_fn *visit;
    void *context;
};

static void visit_learnt(void *context, const struct keeper_pair *pair, uint32_t types)
{
    static const enum event_type types_of[CHANNEL_COUNT] = {[CHANNEL_TRADE] = EVENT_TRADE,
                                                            [CHANNEL_TICKER] = EVENT_TICKER,
                                                            [CHANNEL_BOOK] = EVENT_BOOK,
                                                            [CHANNEL_QUOTE] = EVENT_QUOTE};
    const struct learnt *learnt = context;
    struct symbol symbol;
    uint32_t channels = 0;
    if (!slice_is(pair->exchange, learnt->settings->exchange->name) ||
        is_configured(learnt->settings, pair->symbol) || !symbol_read(pair->symbol, &symbol))
        return;
    for (size_t i = 0; i < CHANNEL_COUNT; i++)
        if ((types & 1u << types_of[i]) != 0)
            channels |= CHANNEL_BIT(i);
    visit_market(learnt->settings, &symbol, channels, learnt->visit, learnt->context);
}

static void visit_markets_of(const struct node *node, const struct settings_exchange *settings,
                             admin_visit_market_fn *visit, void *visit_context)
{
    struct learnt learnt = {.settings = settings, .visit = visit, .context = visit_context};
    for (size_t i = 0; i < settings->symbols.count; i++) {
        struct symbol symbol;
        if (symbol_read(slice_of(settings->symbols.items[i]), &symbol))
            visit_market(settings, &symbol, settings_channels(settings), visit, visit_context);
    }
    if (node->options.learn)
        keeper_find_pairs(node->keeper, visit_learnt, &learnt);
}

static void node_visit_markets(void *context, admin_visit_market_fn *visit, void *visit_context)
{
    const struct node *node = context;
    for (size_t i = 0; i < collection_count(node->collection); i++)
        visit_markets_of(node, collection_settings(node->collection, i), visit, visit_context);
}

static void count_market(void *context, const struct admin_market *market)
{
    (void)market;
    size_t *count = context;
    ++*count;
}

/* ---- what operators read ---- */

static void node_fill_health(void *context, struct admin_health *ret_health)
{
    const struct node *node = context;
    int64_t now_us = clock_wall_us();
    *ret_health = (struct admin_health){.mode = "websocket", .source = "direct"};
    if (node->draining)
        ret_health->not_ready = "this node is leaving";
    else if (gateway_clients(node->gateway) >= node->clients_max)
        ret_health->not_ready = "this node has as many clients as it may have";
    for (size_t i = 0; i < collection_count(node->collection); i++) {
        const struct settings_exchange *settings = collection_settings(node->collection, i);
        struct session_info info;
        collection_describe(node->collection, i, &info);
        struct admin_exchange *exchange = &ret_health->exchanges[ret_health->exchange_count++];
        *exchange = (struct admin_exchange){
            .name = info.exchange,
            .state = status_state_names[info.state],
            .reason = info.reason,
            .since_us = info.since_us,
            .age_ms = info.last_message_us == 0 ? -1 : (now_us - info.last_message_us) / 1000,
            .connections = info.connections,
            .stale = info.stale,
            .quarantined = info.quarantined,
        };
        list_channels(settings_channels(settings), exchange->channels);
        visit_markets_of(node, settings, count_market, &exchange->symbol_count);
    }
}

/* ---- life ---- */

static void node_drain_step(void *context)
{
    struct node *node = context;
    if (gateway_clients(node->gateway) == 0 || clock_monotonic_ns() >= node->drain_until_ns)
        loop_stop(node->options.loop);
}

void node_drain(struct node *node)
{
    int64_t timeout_ms = node->options.settings->node.drain_timeout_ms;
    if (node->draining) {
        loop_stop(node->options.loop);
        return;
    }
    log_info("node", log_text("msg", "leaving"),
             log_int("clients", (int64_t)gateway_clients(node->gateway)),
             log_int("within_ms", timeout_ms));
    node->draining = true;
    node->drain_until_ns = clock_monotonic_ns() + timeout_ms * NS_PER_MS;
    collection_leave(node->collection);
    gateway_drain(node->gateway, (uint32_t)timeout_ms);
    timer_start(node->drain_timer, DRAIN_TICK_MS, DRAIN_TICK_MS);
}

static void node_on_signal(void *context)
{
    node_drain(context);
}

static void node_allow_clients(struct node *node)
{
    node->clients_max = effective_clients_max(node->options.settings->http.max_clients);
    http_server_allow(node->server, node->clients_max + HTTP_CONNECTIONS);
}

/* What a reload has changed beside the exchanges. */
static void node_apply(struct node *node, const struct settings_reload *reload)
{
    const struct settings *settings = node->options.settings;
    if (settings_reload_has(reload, "log."))
        log_configure((enum log_level)settings->log.level, (enum log_format)settings->log.format);
    if (settings_reload_has(reload, "http.max_clients"))
        node_allow_clients(node);
    struct gateway_policy policy = gateway_policy_of(node);
    gateway_change(node->gateway, &policy);
    collection_reload(node->collection, reload);
}

static void node_reload(struct node *node)
{
    char live[1024], restart[1024];
    struct err err = {0};
    struct settings_reload reload;
    if (settings_reload(node->options.settings, node->options.sources, &reload, &err) < 0) {
        log_error("node", log_text("msg", "configuration not reloaded, the old one stays"),
                  log_text("error", err.text));
        return;
    }
    settings_reload_say(&reload.live, live, sizeof live);
    settings_reload_say(&reload.restart, restart, sizeof restart);
    log_info("node", log_text("msg", "configuration reloaded"),
             log_int("changed", (int64_t)reload.live.count), log_text("keys", live),
             log_text("needs_restart", restart));
    node_apply(node, &reload);
    settings_reload_release(&reload);
}

static void node_on_hangup(void *context)
{
    struct node *node = context;
    front_reload(node->options.front, node->server);
    if (node->options.sources != NULL && !node->draining)
        node_reload(node);
}

static void node_take_signals(struct node *node)
{
    loop_on_signal(node->options.loop, SIGHUP, node_on_hangup, node);
    loop_on_signal(node->options.loop, SIGTERM, node_on_signal, node);
    loop_on_signal(node->options.loop, SIGINT, node_on_signal, node);
}

static int node_open_collection(struct node *node, struct err *err)
{
    const struct collection_options options = {
        .loop = node->options.loop,
        .settings = node->options.settings,
        .sequencer = node->sequencer,
        .learn = node->options.learn,
        .blind = node->options.blind,
        .as_is = node->options.as_is,
    };
    return collection_create(&options, &node->collection, err);
}

static int node_open(struct node *node, struct err *err)
{
    int result = node_open_server(node, err);
    if (result == 0)
        result = node_open_stream(node, err);
    if (result == 0)
        result = node_open_collection(node, err);
    if (result < 0)
        return result;
    node_open_gateway(node);
    node->admin = admin_create(&(struct admin_options){.server = node->server,
                                                       .keeper = node->keeper,
                                                       .stream = journal_stream(node->journal),
                                                       .simulated = node->options.simulated,
                                                       .fill = node_fill_health,
                                                       .markets = node_visit_markets,
                                                       .context = node,
                                                       .started_us = node->started_us});
    return node_open_epoch(node, err);
}

int node_create(const struct node_options *options, struct node **ret_node, struct err *err)
{
    struct node *node = memory_alloc(sizeof *node);
    node->options = *options;
    node->started_us = clock_wall_us();
    node->drain_timer = timer_create_on(options->loop, node_drain_step, node);
    node_take_signals(node); /* before anybody can know that we are there */
    int result = node_open(node, err);
    if (result < 0) {
        node_destroy(node);
        return result;
    }
    log_info("node", log_text("msg", "serving"), log_text("node", options->settings->node.id),
             log_text("listen", options->settings->http.listen),
             log_int("port", http_server_port(node->server)),
             log_text("prices", options->simulated ? "simulated" : "live"));
    collection_start(node->collection);
    *ret_node = node;
    return 0;
}

void node_run(struct node *node)
{
    loop_run(node->options.loop);
    log_info("node", log_text("msg", "left"),
             log_int("clients", (int64_t)gateway_clients(node->gateway)));
}

void node_destroy(struct node *node)
{
    if (node == NULL)
        return;
    collection_destroy(node->collection);
    timer_destroy(node->drain_timer);
    http_server_close(node->server);
    admin_destroy(node->admin);
    gateway_destroy(node->gateway);
    sequencer_destroy(node->sequencer);
    if (node->carrier != NULL)
        node->carrier->kind->close(node->carrier);
    keeper_destroy(node->keeper);
    journal_destroy(node->journal);
    memory_free(node);
}
