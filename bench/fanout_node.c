/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node without exchanges, for measuring its gateway: what it sends comes from a load test's
 * source (bench/source.h), one message a line. From there on everything is the product's own:
 * sequencer, carrier, journal, keeper, HTTP server, gateway, with the settings' defaults.
 *
 *     bench_fanout_node [--listen HOST:PORT] [--source HOST:PORT] [--symbols N]
 *                       [--threads N] [--batch-interval-ms N] [--certificate FILE --key FILE]
 *
 * --symbols gives the snapshot something to hold: the last ticker of each of N symbols. Says its
 * ports on stdout as one JSON line, and before it ends (SIGTERM) what it did as another.
 */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "bench/process.h"
#include "gateway/gateway.h"
#include "keeper/keeper.h"
#include "net/http_server.h"
#include "net/tls.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define RETAIN ((size_t)256 * MEBIBYTE)
#define BOOK_DEPTH 100
#define FILES_WANTED 65536
#define SYMBOLS_MAX 20000
#define TICKER_MAX 512
#define CLIENTS_MAX 1000000
#define HEARTBEAT_MS 5000
#define MAX_LAG_MS 10000
#define BATCH_INTERVAL_MS 2
#define BATCH_INTERVAL_MAX_MS 1000
#define THREADS_MAX 64
#define SEND_BUFFER ((size_t)256 * KIBIBYTE)

static const char *const exchanges[] = {"bench", NULL};

struct node_options {
    const char *listen, *source;   /* HOST:PORT */
    const char *certificate, *key; /* PEM files; NULL: plain */
    uint64_t symbols;
    uint64_t threads;
    uint64_t batch_interval_ms;
};

struct fanout_node {
    struct loop *loop;
    struct journal *journal;
    struct keeper *keeper;
    struct carrier *carrier;
    struct sequencer *sequencer;
    struct http_server *server;
    struct gateway *gateway;
    struct tcp_listener *listener; /* of the source */
    struct tcp *source;            /* one at a time; NULL: none */
    struct buffer line;            /* one that is not whole yet */
};

/* ---- the stream ---- */

static void on_record(void *context, const struct record *record)
{
    struct fanout_node *node = context;
    journal_append(node->journal, record);
}

static void on_barrier(void *context, const struct barrier *barrier)
{
    struct fanout_node *node = context;
    journal_barrier(node->journal, barrier->stream, barrier->epoch);
}

static int open_stream(struct fanout_node *node, struct err *err)
{
    char stream[LIMIT_STREAM_ID];
    struct carrier_reader reader = {.record = on_record, .barrier = on_barrier, .context = node};
    stream_id_make(stream);
    node->journal = journal_create(stream, 1, RETAIN);
    node->keeper = keeper_create(node->journal, BOOK_DEPTH);
    node->carrier =
        carrier_kind_find("memory")->open(&(struct carrier_options){.reader = reader}, err);
    if (node->carrier == NULL)
        return err_wrap(err, "carrier memory");
    node->sequencer = sequencer_create(stream, 1, 0, 0, node->carrier);
    return 0;
}

/* One ticker of each symbol, as long as those of real exchanges. */
static void publish_tickers(struct fanout_node *node, uint64_t symbols)
{
    for (uint64_t i = 0; i < symbols; i++) {
        long long now_us = clock_wall_us();
        char text[TICKER_MAX];
        char key[LIMIT_KEY];
        int size =
            snprintf(text, sizeof text,
                     "\"exchange\":\"bench\",\"symbol\":\"S%llu-USDT\",\"ts\":%lld,"
                     "\"recv\":%lld,\"last\":\"116208.%02llu\",\"open\":\"115000.1\","
                     "\"high\":\"117000.25\",\"low\":\"114321.5\","
                     "\"volume\":\"12345.67891\",\"quote_volume\":\"1434567890.123\","
                     "\"bid\":\"116208.01\",\"bid_size\":\"0.5132\",\"ask\":\"116208.02\","
                     "\"ask_size\":\"1.25\"}",
                     (unsigned long long)i, now_us, now_us, (unsigned long long)(i % 90 + 10));
        assert(size > 0 && (size_t)size < sizeof text);
        snprintf(key, sizeof key, "bench:S%llu-USDT", (unsigned long long)i);
        char *room = sequencer_reserve(node->sequencer, "ticker", (size_t)size);
        assert(room != NULL);
        memcpy(room, text, (size_t)size);
        if (sequencer_commit(node->sequencer, slice_of(key), (size_t)size) != CARRIER_TAKEN)
            fputs("bench_fanout_node: a ticker was not taken\n", stderr);
    }
}

/* ---- the source ---- */

/* The line's own number is left out: the sequencer gives one. */
static void publish(struct fanout_node *node, struct slice line)
{
    const char *body = memmem(line.data, line.size, "\"exchange\"", strlen("\"exchange\""));
    if (body == NULL)
        return;
    size_t size = line.size - (size_t)(body - line.data);
    char *room = sequencer_reserve(node->sequencer, "trade", size);
    assert(room != NULL);
    memcpy(room, body, size);
    if (sequencer_commit(node->sequencer, SLICE("bench:BTC-USDT"), size) != CARRIER_TAKEN)
        fputs("bench_fanout_node: a record was not taken\n", stderr);
}

static void on_source_data(void *context, char *data, size_t size)
{
    struct fanout_node *node = context;
    struct slice rest = {.data = data, .size = size};
    while (memchr(rest.data, '\n', rest.size) != NULL) {
        struct slice line = slice_split(rest, '\n', &rest);
        if (node->line.size > 0) {
            buffer_append_slice(&node->line, line);
            line = buffer_slice(&node->line);
        }
        publish(node, line);
        buffer_clear(&node->line);
        if (rest.size == 0)
            return;
    }
    buffer_append_slice(&node->line, rest);
}

static void on_source_closed(void *context, int error)
{
    (void)error;
    struct fanout_node *node = context;
    tcp_destroy(node->source);
    node->source = NULL;
    buffer_clear(&node->line);
}

static const struct tcp_callbacks source_callbacks = {.on_data = on_source_data,
                                                      .on_closed = on_source_closed};

static void on_source(void *context, struct tcp *tcp)
{
    struct fanout_node *node = context;
    if (node->source != NULL) {
        tcp_destroy(tcp);
        return;
    }
    node->source = tcp;
    tcp_set_callbacks(tcp, &source_callbacks, node);
}

/* ---- life ---- */

static uint32_t on_count(void *context)
{
    const struct fanout_node *node = context;
    return node->gateway == NULL ? 0 : (uint32_t)gateway_clients(node->gateway);
}

static void open_gateway(struct fanout_node *node, const struct node_options *chosen)
{
    struct gateway_options options = {
        .loop = node->loop,
        .server = node->server,
        .journal = node->journal,
        .keeper = node->keeper,
        .node = "bench",
        .public_url = "",
        .simulated = true,
        .exchanges = exchanges,
        .policy.heartbeat_ms = HEARTBEAT_MS,
        .policy.max_lag_ms = MAX_LAG_MS,
        .batch_interval_ms = (uint32_t)chosen->batch_interval_ms,
        .threads = (uint32_t)chosen->threads,
        .policy.clients_max = CLIENTS_MAX,
        .policy.clients_per_address_max = CLIENTS_MAX,
        .send_buffer = SEND_BUFFER,
    };
    node->gateway = gateway_create(&options);
}

static int open_server(struct fanout_node *node, const struct node_options *options,
                       struct err *err)
{
    struct tls_context *tls = NULL;
    struct http_server_options server = {.listen = options->listen,
                                         .connections_max = CLIENTS_MAX,
                                         .handed_over = on_count,
                                         .context = node};
    int error = 0;
    if (options->certificate != NULL)
        error = tls_context_create(options->certificate, options->key, NULL, &tls, err);
    server.tls = tls;
    if (error == 0)
        error = http_server_open(node->loop, &server, &node->server, err);
    tls_context_destroy(tls);
    return error;
}

static int node_open(struct fanout_node *node, const struct node_options *options, struct err *err)
{
    buffer_init(&node->line, LIMIT_RECORD);
    int error = open_server(node, options, err);
    if (error == 0)
        error = open_stream(node, err);
    if (error == 0)
        error = tcp_listen(node->loop, options->source, on_source, node, &node->listener, err);
    if (error != 0)
        return error;
    open_gateway(node, options);
    if (sequencer_open_epoch(node->sequencer, "bench", clock_wall_us()) != CARRIER_TAKEN)
        return err_set(err, -1, "the carrier does not take the first record");
    publish_tickers(node, options->symbols);
    return 0;
}

static void node_close(struct fanout_node *node)
{
    tcp_destroy(node->source);
    tcp_listener_destroy(node->listener);
    http_server_close(node->server);
    gateway_destroy(node->gateway);
    sequencer_destroy(node->sequencer);
    if (node->carrier != NULL)
        node->carrier->kind->close(node->carrier);
    keeper_destroy(node->keeper);
    journal_destroy(node->journal);
    buffer_release(&node->line);
    loop_destroy(node->loop);
}

static void on_signal(void *context)
{
    loop_stop(context);
}

static bool number_read(struct node_options *options, const char *name, const char *text)
{
    const struct {
        const char *name;
        uint64_t min, max;
        uint64_t *value;
    } table[] = {
        {"--symbols", 0, SYMBOLS_MAX, &options->symbols},
        {"--threads", 1, THREADS_MAX, &options->threads},
        {"--batch-interval-ms", 0, BATCH_INTERVAL_MAX_MS, &options->batch_interval_ms},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (strcmp(name, table[i].name) == 0)
            return slice_to_uint64(slice_of(text), table[i].max, table[i].value) &&
                   *table[i].value >= table[i].min;
    return false;
}

static bool options_read(int argc, char **argv, struct node_options *options)
{
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc)
            return false;
        if (strcmp(argv[i], "--listen") == 0)
            options->listen = argv[i + 1];
        else if (strcmp(argv[i], "--source") == 0)
            options->source = argv[i + 1];
        else if (strcmp(argv[i], "--certificate") == 0)
            options->certificate = argv[i + 1];
        else if (strcmp(argv[i], "--key") == 0)
            options->key = argv[i + 1];
        else if (!number_read(options, argv[i], argv[i + 1]))
            return false;
    }
    return (options->certificate == NULL) == (options->key == NULL);
}

static void node_run(struct fanout_node *node, bool tls)
{
    printf("{\"url\":\"%s://127.0.0.1:%u/ws/exchange?snapshot=0\","
           "\"source\":\"127.0.0.1:%u\"}\n",
           tls ? "wss" : "ws", http_server_port(node->server), tcp_listener_port(node->listener));
    fflush(stdout);
    loop_run(node->loop);
    printf("{\"snapshots_built\":%lld}\n",
           (long long)metric_value(metric_series(METRIC_SNAPSHOTS, "")));
}

int main(int argc, char **argv)
{
    struct fanout_node node = {0};
    struct node_options options = {.listen = "127.0.0.1:0",
                                   .source = "127.0.0.1:0",
                                   .threads = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN),
                                   .batch_interval_ms = BATCH_INTERVAL_MS};
    struct err err = {0};
    memory_configure();
    if (!options_read(argc, argv, &options)) {
        fputs("usage: bench_fanout_node [--listen HOST:PORT] [--source HOST:PORT] [--symbols N]\n"
              "    [--threads N] [--batch-interval-ms N] [--certificate FILE --key FILE]\n",
              stderr);
        return 2;
    }
    (void)process_raise_files(FILES_WANTED);
    signal(SIGPIPE, SIG_IGN);
    node.loop = loop_create();
    loop_on_signal(node.loop, SIGTERM, on_signal, node.loop);
    int error = node_open(&node, &options, &err);
    if (error == 0)
        node_run(&node, options.certificate != NULL);
    else
        fprintf(stderr, "bench_fanout_node: %s\n", err.text);
    node_close(&node);
    return error == 0 ? 0 : 1;
}
