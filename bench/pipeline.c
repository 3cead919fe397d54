/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an exchange's bytes at a node to a client's read, with a node and simulated exchanges in
 * processes of their own: straight and through Kafka by turns, so that both meet the same machine.
 * Each turn has a node of its own; the simulator stays.
 */
#include "bench/bench.h"

#include "base/clock.h"
#include "base/memory.h"
#include "bench/child.h"
#include "bench/source.h"
#include "exchange/exchange.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* Of what the simulated markets do, what becomes messages: of the default pairs and channels. */
#define ORDERS_PER_MESSAGE_PERCENT 250
#define ORDERS_MAX 50000 /* the simulator's */

#define START_MS 15000
#define SOURCE_MS 30000 /* until the node serves from where it shall */
#define LOOK_MS 50
#define ANSWER_S 5
#define NS_PER_MS 1000000
#define TEXT_MAX 256
#define LINES_MAX 64 /* arguments of our own */

struct command_line {
    const char *arguments[LINES_MAX + 2 * BENCH_PIPELINE_SETS_MAX + 1];
    size_t count;
    char texts[LINES_MAX][TEXT_MAX];
    size_t text_count;
};

struct pipeline {
    const struct bench_pipeline_options *options;
    struct child simulator, node;
    uint64_t simulator_port, node_port;
};

static const char *const sources[] = {[BENCH_PLAIN] = "direct", [BENCH_KAFKA] = "kafka"};

/* ---- command lines ---- */

static void add(struct command_line *line, const char *argument)
{
    assert(line->count + 1 < COUNT_OF(line->arguments));
    line->arguments[line->count++] = argument;
}

static void add_text(struct command_line *line, const char *format, ...) PRINTF(2, 3);

static void add_text(struct command_line *line, const char *format, ...)
{
    assert(line->text_count < LINES_MAX);
    char *text = line->texts[line->text_count++];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, TEXT_MAX, format, arguments);
    va_end(arguments);
    add(line, text);
}

static void add_exchanges(struct command_line *line, uint64_t port)
{
    for (size_t i = 0; i < exchange_count(); i++) {
        const char *name = exchange_at(i)->name;
        add(line, "--set");
        add_text(line, "exchanges.%s.ws_url=ws://127.0.0.1:%u/%s", name, (unsigned)port, name);
        add(line, "--set");
        add_text(line, "exchanges.%s.rest_url=http://127.0.0.1:%u/%s", name, (unsigned)port, name);
    }
}

/* The user's first, so that ours win. */
static void add_settings(struct command_line *line, const struct bench_pipeline_options *options,
                         enum bench_way way)
{
    for (size_t i = 0; i < options->set_count; i++) {
        add(line, "--set");
        add(line, options->sets[i]);
    }
    static const char *const ours[] = {"http.listen=127.0.0.1:0", "cluster.role=leader",
                                       "cluster.peers=",          "log.level=info",
                                       "log.format=logfmt",       "node.state_file="};
    for (size_t i = 0; i < COUNT_OF(ours); i++) {
        add(line, "--set");
        add(line, ours[i]);
    }
    add(line, "--set");
    add(line, way == BENCH_KAFKA ? "kafka.enabled=true" : "kafka.enabled=false");
    if (way != BENCH_KAFKA)
        return;
    add(line, "--set");
    add_text(line, "kafka.brokers=%s", options->brokers);
    add(line, "--set");
    add_text(line, "kafka.topic=%s", options->topic);
}

/* ---- the two processes ---- */

static int simulator_start(struct pipeline *pipeline, struct err *err)
{
    struct command_line line = {.count = 0};
    uint64_t orders = pipeline->options->rate * ORDERS_PER_MESSAGE_PERCENT / 100;
    add(&line, "simulate");
    add(&line, "--listen");
    add(&line, "127.0.0.1:0");
    add(&line, "--rate");
    add_text(&line, "%u", (unsigned)(orders > ORDERS_MAX ? ORDERS_MAX : orders));
    int error = child_start(&pipeline->simulator, line.arguments, err);
    if (error < 0)
        return error;
    return child_wait(&pipeline->simulator, "simulator listens", "://127.0.0.1:", START_MS,
                      &pipeline->simulator_port, err);
}

static int node_start(struct pipeline *pipeline, enum bench_way way, struct err *err)
{
    struct command_line line = {.count = 0};
    add(&line, "serve");
    add_settings(&line, pipeline->options, way);
    add_exchanges(&line, pipeline->simulator_port);
    int error = child_start(&pipeline->node, line.arguments, err);
    if (error < 0)
        return error;
    return child_wait(&pipeline->node, "msg=serving", " port=", START_MS, &pipeline->node_port,
                      err);
}

/* ---- what feeds the node ---- */

/* One request and its whole answer, which fits. */
static struct slice ask(uint16_t port, char *out, size_t out_size)
{
    static const char request[] =
        "GET /ws/info HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    const struct timeval limit = {.tv_sec = ANSWER_S};
    struct slice answer = {.data = out, .size = 0};
    char number[8];
    snprintf(number, sizeof number, "%u", (unsigned)port);
    int fd = socket_connect("127.0.0.1", number, NULL);
    if (fd < 0)
        return answer;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ssize_t size = send(fd, request, sizeof request - 1, MSG_NOSIGNAL);
    while (size > 0 && answer.size < out_size) {
        size = recv(fd, out + answer.size, out_size - answer.size, 0);
        answer.size += size > 0 ? (size_t)size : 0;
    }
    close(fd);
    return answer;
}

static bool is_fed_by(const struct pipeline *pipeline, const char *source)
{
    char text[8192];
    char wanted[32];
    struct slice answer = ask((uint16_t)pipeline->node_port, text, sizeof text);
    snprintf(wanted, sizeof wanted, "\"source\":\"%s\"", source);
    return memmem(answer.data, answer.size, wanted, strlen(wanted)) != NULL;
}

static int wait_for_source(const struct pipeline *pipeline, const char *source, struct err *err)
{
    int64_t end_ns = clock_monotonic_ns() + (int64_t)SOURCE_MS * NS_PER_MS;
    while (!is_fed_by(pipeline, source)) {
        if (clock_monotonic_ns() > end_ns)
            return err_set(err, -ETIMEDOUT, "the node is not fed by `%s` after %d s", source,
                           SOURCE_MS / 1000);
        poll(NULL, 0, LOOK_MS);
    }
    return 0;
}

/* ---- turns ---- */

static int measure(const struct pipeline *pipeline, uint64_t seconds,
                   struct bench_fanout_result *ret_result, struct err *err)
{
    char url[TEXT_MAX];
    snprintf(url, sizeof url, "ws://127.0.0.1:%u/ws/exchange?snapshot=0",
             (unsigned)pipeline->node_port);
    const struct bench_fanout_options options = {.url = url,
                                                 .clients = pipeline->options->clients,
                                                 .seconds = seconds,
                                                 .process = (uint64_t)pipeline->node.process,
                                                 .sequence_field = "seq",
                                                 .time_field = "recv"};
    return bench_fanout(&options, ret_result, err);
}

static int node_measure(struct pipeline *pipeline, enum bench_way way,
                        struct bench_fanout_result *ret_result, struct err *err)
{
    const struct bench_pipeline_options *options = pipeline->options;
    int error = node_start(pipeline, way, err);
    if (error == 0)
        error = wait_for_source(pipeline, sources[way], err);
    if (error == 0 && options->warm > 0)
        error = measure(pipeline, options->warm, ret_result, err);
    if (error == 0)
        error = measure(pipeline, options->seconds, ret_result, err);
    if (error == 0 && !is_fed_by(pipeline, sources[way]))
        error = err_set(err, -EIO, "the node left `%s` while it was measured", sources[way]);
    return error;
}

static int turn(struct pipeline *pipeline, enum bench_way way,
                struct bench_fanout_result *ret_result, struct err *err)
{
    int error = node_measure(pipeline, way, ret_result, err);
    child_stop(&pipeline->node);
    return error;
}

/* ---- medians ---- */

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* The lower of the two in the middle. */
static uint64_t median(const struct bench_fanout_result *runs, uint64_t count, size_t offset)
{
    uint64_t values[BENCH_PIPELINE_ROUNDS_MAX] = {0};
    for (uint64_t i = 0; i < count; i++)
        memcpy(&values[i], (const char *)&runs[i] + offset, sizeof values[i]);
    qsort(values, count, sizeof values[0], compare);
    return values[(count - 1) / 2];
}

void bench_pipeline_summarize(const struct bench_fanout_result *runs, uint64_t count,
                              struct bench_fanout_result *ret_summary)
{
    assert(count >= 1 && count <= BENCH_PIPELINE_ROUNDS_MAX);
    struct bench_fanout_result summary = {
        .p50_us = median(runs, count, offsetof(struct bench_fanout_result, p50_us)),
        .p99_us = median(runs, count, offsetof(struct bench_fanout_result, p99_us)),
        .p999_us = median(runs, count, offsetof(struct bench_fanout_result, p999_us)),
    };
    for (uint64_t i = 0; i < count; i++) {
        summary.max_us = runs[i].max_us > summary.max_us ? runs[i].max_us : summary.max_us;
        summary.delivered += runs[i].delivered;
        summary.elapsed_us += runs[i].elapsed_us;
        summary.server_us += runs[i].server_us;
        summary.gaps += runs[i].gaps;
        summary.missing += runs[i].missing;
        summary.repeats += runs[i].repeats;
        summary.closed += runs[i].closed;
    }
    *ret_summary = summary;
}

/* ---- the whole ---- */

/* runs: of each way BENCH_PIPELINE_ROUNDS_MAX. */
static int rounds(struct pipeline *pipeline, struct bench_fanout_result *runs,
                  struct bench_pipeline_result *result, struct err *err)
{
    const struct bench_pipeline_options *options = pipeline->options;
    uint64_t ways = options->brokers == NULL ? 1 : BENCH_WAYS;
    for (uint64_t i = 0; i < options->rounds; i++)
        for (uint64_t j = 0; j < ways; j++) {
            enum bench_way way = (enum bench_way)((i + j) % ways); /* each begins now and then */
            int error = turn(pipeline, way, &runs[way * BENCH_PIPELINE_ROUNDS_MAX + i], err);
            if (error != 0)
                return error;
        }
    for (uint64_t way = 0; way < ways; way++)
        bench_pipeline_summarize(&runs[way * BENCH_PIPELINE_ROUNDS_MAX], options->rounds,
                                 &result->ways[way]);
    return 0;
}

int bench_pipeline(const struct bench_pipeline_options *options,
                   struct bench_pipeline_result *ret_result, struct err *err)
{
    struct pipeline pipeline = {.options = options};
    struct bench_pipeline_result result = {0};
    struct bench_fanout_result *runs =
        memory_array(BENCH_WAYS * BENCH_PIPELINE_ROUNDS_MAX, sizeof *runs);
    assert(options->rounds >= 1 && options->rounds <= BENCH_PIPELINE_ROUNDS_MAX);
    assert(options->set_count <= BENCH_PIPELINE_SETS_MAX);
    int error = simulator_start(&pipeline, err);
    if (error == 0)
        error = rounds(&pipeline, runs, &result, err);
    memory_free(runs);
    child_stop(&pipeline.simulator);
    if (error == 0)
        *ret_result = result;
    return error;
}
