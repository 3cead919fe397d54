/* SPDX-License-Identifier: Apache-2.0 */
/* Everything is opened in the order of the data's way, and closed in reverse. */
#include "node/node_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#define DRAIN_TICK_MS 20
#define FILES_RESERVED 200  /* descriptors that clients may not use: exchanges, logs, listeners */
#define HTTP_CONNECTIONS 64 /* beyond the clients: handshakes under way, probes, metrics */
#define NS_PER_MS 1000000

/* ---- the stream ---- */

static void node_collect(void *context, bool on)
{
    struct node *node = context;
    if (on)
        collection_start(node->collection);
    else
        collection_leave(node->collection);
}

static struct gateway_feed gateway_feed_of(const struct node *node)
{
    struct replica_info info;
    replication_describe(node->replication, &info);
    return (struct gateway_feed){.source = info.source,
                                 .mode = replication_mode(node->replication),
                                 .reason = info.reason,
                                 .kafka = node->options.settings->kafka.enabled};
}

static void node_changed(void *context)
{
    struct node *node = context;
    struct gateway_feed feed = gateway_feed_of(node);
    gateway_feed_changed(node->gateway, &feed);
}

static void node_start_over(void *context)
{
    struct node *node = context;
    node_changed(node);
    gateway_start_over(node->gateway);
}

static int node_open_stream(struct node *node, struct err *err)
{
    const struct replication_options options = {.loop = node->options.loop,
                                                .settings = node->options.settings,
                                                .collect = node_collect,
                                                .changed = node_changed,
                                                .start_over = node_start_over,
                                                .context = node};
    return replication_create(&options, &node->replication, err);
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
        .journal = replication_journal(node->replication),
        .keeper = replication_keeper(node->replication),
        .node = settings->node.id,
        .public_url = settings->http.public_url,
        .simulated = node->options.simulated,
        .exchanges = collection_names(node->collection),
        .nodes = replication_nodes(node->replication),
        .feed = gateway_feed_of(node),
        .policy = gateway_policy_of(node),
        .batch_interval_ms = (uint32_t)settings->stream.batch_interval_ms,
        .threads = effective_threads(settings->http.threads),
        .send_buffer = (size_t)settings->http.send_buffer_bytes,
    };
    node->gateway = gateway_create(&options);
}

/* ---- life ---- */

static void node_drain_step(void *context)
{
    struct node *node = context;
    bool done = gateway_clients(node->gateway) == 0 && replication_is_flushed(node->replication);
    if (done || clock_monotonic_ns() >= node->drain_until_ns)
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
    replication_leave(node->replication);
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
    replication_reload(node->replication, reload);
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
    sigset_t hangup;
    loop_on_signal(node->options.loop, SIGHUP, node_on_hangup, node);
    loop_on_signal(node->options.loop, SIGTERM, node_on_signal, node);
    loop_on_signal(node->options.loop, SIGINT, node_on_signal, node);
    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    pthread_sigmask(SIG_UNBLOCK, &hangup, NULL); /* run_load holds it */
}

static int node_open_collection(struct node *node, struct err *err)
{
    const struct collection_options options = {
        .loop = node->options.loop,
        .settings = node->options.settings,
        .sequencer = replication_sequencer(node->replication),
        .past = replication_past(node->replication),
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
    node->admin = admin_create(
        &(struct admin_options){.server = node->server,
                                .keeper = replication_keeper(node->replication),
                                .stream = journal_stream(replication_journal(node->replication)),
                                .simulated = node->options.simulated,
                                .fill = node_fill_health,
                                .not_ready = node_why_not_ready,
                                .fill_cluster = node_fill_cluster,
                                .markets = node_visit_markets,
                                .context = node,
                                .started_us = node->started_us});
    return replication_start(node->replication, err);
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
    replication_destroy(node->replication);
    memory_free(node);
}
