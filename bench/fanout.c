/* SPDX-License-Identifier: Apache-2.0 */
/* Connects everybody, lets the stream run in, measures, stops the source, and sees whether
 * everybody got everything. */
#include "bench/bench.h"

#include "base/clock.h"
#include "base/memory.h"
#include "bench/load.h"
#include "bench/process.h"
#include "bench/source.h"

#include <errno.h>
#include <unistd.h>

#define CONNECT_MS 60000
#define WARM_MS 1000   /* not measured: the first batches are those of a cold machine */
#define DRAIN_MS 10000 /* for what is still under way when the source has stopped */
#define DRAIN_STEP_MS 50
#define FILES_OTHER 16
#define NS_PER_US 1000

struct reading { /* at the start or the end of the measuring */
    int64_t at_us;
    int64_t server_us;
    int64_t client_us;
};

struct trial {                                  /* one run of the load */
    const struct bench_fanout_options *options; /* borrowed, like all below */
    struct load *load;
    struct tally *tally;
    struct joining *joining;
    struct bench_fanout_result *result;
    pid_t server, source;         /* 0: none */
    struct process_memory memory; /* before the first client */
    struct kernel_memory kernel;
};

static struct reading reading_take(const struct trial *trial)
{
    return (struct reading){
        .at_us = clock_monotonic_ns() / NS_PER_US,
        .server_us = trial->server == 0 ? 0 : process_cpu_us(trial->server),
        .client_us = process_own_cpu_us(),
    };
}

static void measure(struct trial *trial)
{
    struct tally *tally = trial->tally;
    struct bench_fanout_result *result = trial->result;
    load_run(trial->load, WARM_MS);
    struct reading start = reading_take(trial);
    tally->counting = true;
    load_run(trial->load, (uint32_t)trial->options->seconds * 1000);
    tally->counting = false;
    struct reading end = reading_take(trial);
    result->elapsed_us = end.at_us - start.at_us;
    result->server_us = end.server_us - start.server_us;
    result->client_us = end.client_us - start.client_us;
    result->delivered = tally->delivered;
    result->bytes = tally->bytes;
    result->frames = tally->frames;
    result->compressed = tally->compressed;
    result->p50_us = histogram_quantile(&tally->latency, 50000);
    result->p99_us = histogram_quantile(&tally->latency, 99000);
    result->p999_us = histogram_quantile(&tally->latency, 99900);
    result->max_us = tally->latency.max;
}

/* The source has stopped: until all clients stand at the same message, and it is the last. */
static void drain(struct trial *trial)
{
    uint64_t before = UINT64_MAX;
    for (int left_ms = DRAIN_MS; left_ms > 0; left_ms -= DRAIN_STEP_MS) {
        uint64_t seen = trial->tally->sequenced;
        if (seen == before && load_behind(trial->load) == 0)
            return;
        before = seen;
        load_run(trial->load, DRAIN_STEP_MS);
    }
}

/* ---- memory ---- */

static int memory_begin(struct trial *trial, struct err *err)
{
    trial->kernel = kernel_memory_read();
    if (trial->server == 0)
        return 0;
    if (!process_memory(trial->server, &trial->memory))
        return err_set(err, -ESRCH, "there is no process %ld that we may look at",
                       (long)trial->server);
    process_peak_reset(trial->server);
    return 0;
}

static void memory_end(struct trial *trial)
{
    struct process_memory memory = {0};
    struct kernel_memory kernel = kernel_memory_read();
    trial->result->kernel_queued = kernel.queued - trial->kernel.queued;
    trial->result->kernel_slabs = kernel.slabs - trial->kernel.slabs;
    if (trial->server == 0 || !process_memory(trial->server, &memory))
        return;
    trial->result->memory = memory.resident - trial->memory.resident;
    trial->result->memory_proportional = memory.proportional - trial->memory.proportional;
}

/* ---- joining ---- */

static int source_begin(struct trial *trial, struct err *err)
{
    struct source_options stream = {.address = trial->options->source,
                                    .rate = (uint32_t)trial->options->rate,
                                    .size = (uint32_t)trial->options->size};
    if (stream.address == NULL || stream.rate == 0)
        return 0;
    return source_start(&stream, &trial->source, err);
}

/* All at once, into a stream that runs. Some may not be served: that is a result. */
static int join(struct trial *trial, struct err *err)
{
    struct bench_fanout_join *result = &trial->result->join;
    int error = source_begin(trial, err);
    if (error != 0)
        return error;
    int64_t start_us = clock_wall_us();
    struct reading start = reading_take(trial);
    load_join(trial->load, (uint32_t)trial->options->join_ms, CONNECT_MS, &result->begun_us);
    result->server_us = reading_take(trial).server_us - start.server_us;
    result->all_us = trial->joining->last_us - start_us;
    if (trial->server != 0)
        result->memory_peak = process_peak(trial->server) - trial->memory.resident;
    if (trial->joining->served == 0)
        return err_set(err, -ECONNREFUSED, "nobody was served; %s", load_error(trial->load));
    return 0;
}

static int connect_all(struct trial *trial, struct err *err)
{
    if (trial->options->join_ms > 0)
        return join(trial, err);
    int error = load_connect(trial->load, CONNECT_MS, err);
    return error != 0 ? error : source_begin(trial, err);
}

static void joining_results(const struct joining *joining, struct bench_fanout_join *result)
{
    result->served = joining->served;
    result->wrong = joining->wrong;
    result->bytes = joining->bytes;
    result->p50_us = histogram_quantile(&joining->times, 50000);
    result->p99_us = histogram_quantile(&joining->times, 99000);
    result->max_us = joining->times.max;
}

/* ---- the whole ---- */

static int run(struct trial *trial, struct err *err)
{
    struct bench_fanout_result *result = trial->result;
    int error = memory_begin(trial, err);
    if (error == 0)
        error = connect_all(trial, err);
    if (error == 0) {
        measure(trial);
        memory_end(trial);
    }
    if (trial->source != 0) {
        source_stop(trial->source);
        if (error == 0)
            drain(trial);
        result->behind = load_behind(trial->load);
    }
    joining_results(trial->joining, &result->join);
    result->gaps = trial->tally->gaps;
    result->missing = trial->tally->missing;
    result->repeats = trial->tally->repeats;
    result->closed = load_closed(trial->load);
    return error;
}

int bench_fanout(const struct bench_fanout_options *options, struct bench_fanout_result *ret_result,
                 struct err *err)
{
    struct bench_fanout_result result = {0};
    if (process_raise_files(options->clients + FILES_OTHER) < options->clients + FILES_OTHER)
        return err_set(err, -EMFILE, "not as many open files are allowed (ulimit -n)");
    struct trial trial = {.options = options,
                          .tally = memory_alloc(sizeof *trial.tally),
                          .joining = memory_alloc(sizeof *trial.joining),
                          .result = &result,
                          .server = (pid_t)options->process};
    joining_init(trial.joining, options->snapshot);
    struct load_options load_options = {
        .url = options->url,
        .clients = (size_t)options->clients,
        .lines = options->lines,
        .deflate = options->deflate,
        .tally = trial.tally,
        .joining = options->snapshot || options->join_ms > 0 ? trial.joining : NULL};
    int error = tally_init(trial.tally, options->sequence_field, options->time_field)
                    ? load_create(&load_options, &trial.load, err)
                    : err_set(err, -EINVAL, "not the name of a field");
    if (error == 0)
        error = run(&trial, err);
    if (error == 0)
        *ret_result = result;
    load_destroy(trial.load);
    memory_free(trial.joining);
    memory_free(trial.tally);
    return error;
}
