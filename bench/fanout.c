/* SPDX-License-Identifier: Apache-2.0 */
/* Connects everybody, lets the stream run in, measures, stops the source, and sees whether
 * everybody got everything. */
#include "bench/bench.h"

#include "base/clock.h"
#include "base/memory.h"
#include "bench/load.h"
#include "bench/process.h"
#include "bench/source.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

#define CONNECT_MS 60000
#define WARM_MS 1000  /* not measured: the first batches are those of a cold machine */
#define DRAIN_MS 5000 /* for what is still under way when the source has stopped */
#define DRAIN_STEP_MS 50
#define FILES_OTHER 16
#define NS_PER_US 1000
#define US_PER_S 1000000
#define CLIENTS_MAX 1000000
#define SECONDS_MAX 86400

struct reading { /* at the start or the end of the measuring */
    int64_t at_us;
    int64_t server_us;
    int64_t client_us;
};

static struct reading reading_take(const struct bench_fanout_options *options)
{
    return (struct reading){
        .at_us = clock_monotonic_ns() / NS_PER_US,
        .server_us = options->process == 0 ? 0 : process_cpu_us((pid_t)options->process),
        .client_us = process_own_cpu_us(),
    };
}

static void measure(struct load *load, struct tally *tally,
                    const struct bench_fanout_options *options, struct bench_fanout_result *result)
{
    load_run(load, WARM_MS);
    struct reading start = reading_take(options);
    tally->counting = true;
    load_run(load, (uint32_t)options->seconds * 1000);
    tally->counting = false;
    struct reading end = reading_take(options);
    result->elapsed_us = end.at_us - start.at_us;
    result->server_us = end.server_us - start.server_us;
    result->client_us = end.client_us - start.client_us;
    result->delivered = tally->delivered;
    result->bytes = tally->bytes;
    result->p50_us = histogram_quantile(&tally->latency, 50000);
    result->p99_us = histogram_quantile(&tally->latency, 99000);
    result->p999_us = histogram_quantile(&tally->latency, 99900);
    result->max_us = tally->latency.max;
}

/* The source has stopped: until all clients stand at the same message, and it is the last. */
static void drain(struct load *load, const struct tally *tally)
{
    uint64_t before = UINT64_MAX;
    for (int left_ms = DRAIN_MS; left_ms > 0; left_ms -= DRAIN_STEP_MS) {
        uint64_t seen = tally->sequenced;
        if (seen == before && load_behind(load) == 0)
            return;
        before = seen;
        load_run(load, DRAIN_STEP_MS);
    }
}

static int run(struct load *load, struct tally *tally, const struct bench_fanout_options *options,
               struct bench_fanout_result *result, struct err *err)
{
    pid_t server = (pid_t)options->process;
    pid_t source = 0;
    struct source_options stream = {.address = options->source,
                                    .rate = (uint32_t)options->rate,
                                    .size = (uint32_t)options->size};
    int64_t memory = server == 0 ? 0 : process_memory(server);
    if (memory < 0)
        return err_set(err, -ESRCH, "there is no process %ld", (long)server);
    int error = load_connect(load, CONNECT_MS, err);
    if (error == 0 && options->source != NULL && options->rate > 0)
        error = source_start(&stream, &source, err);
    if (error != 0)
        return error;
    measure(load, tally, options, result);
    result->memory = server == 0 ? 0 : process_memory(server) - memory;
    if (source != 0) {
        source_stop(source);
        drain(load, tally);
        result->behind = load_behind(load);
    }
    result->gaps = tally->gaps;
    result->missing = tally->missing;
    result->repeats = tally->repeats;
    result->closed = load_closed(load);
    return 0;
}

int bench_fanout(const struct bench_fanout_options *options, struct bench_fanout_result *ret_result,
                 struct err *err)
{
    struct bench_fanout_result result = {0};
    struct load *load = NULL;
    if (process_raise_files() < options->clients + FILES_OTHER)
        return err_set(err, -EMFILE, "not as many open files are allowed (ulimit -n)");
    struct tally *tally = memory_alloc(sizeof *tally);
    struct load_options load_options = {.url = options->url,
                                        .clients = (size_t)options->clients,
                                        .lines = options->lines,
                                        .tally = tally};
    int error = tally_init(tally, options->sequence_field, options->time_field)
                    ? load_create(&load_options, &load, err)
                    : err_set(err, -EINVAL, "not the name of a field");
    if (error == 0)
        error = run(load, tally, options, &result, err);
    if (error == 0)
        *ret_result = result;
    load_destroy(load);
    memory_free(tally);
    return error;
}

/* ---- the command ---- */

struct number_option {
    const char *name;
    uint64_t min, max;
    uint64_t *value;
};

static bool number_read(const struct number_option *table, const char *name, const char *value)
{
    for (; table->name != NULL; table++)
        if (strcmp(table->name, name) == 0)
            return slice_to_uint64(slice_of(value), table->max, table->value) &&
                   *table->value >= table->min;
    return false;
}

static bool text_read(struct bench_fanout_options *options, const char *name, const char *value)
{
    if (strcmp(name, "--url") == 0)
        options->url = value;
    else if (strcmp(name, "--source") == 0)
        options->source = value;
    else if (strcmp(name, "--sequence-field") == 0)
        options->sequence_field = value;
    else if (strcmp(name, "--time-field") == 0)
        options->time_field = value;
    else
        return false;
    return true;
}

static bool options_read(struct bench_fanout_options *options, int argc, char **argv)
{
    const struct number_option numbers[] = {
        {"--clients", 1, CLIENTS_MAX, &options->clients},
        {"--rate", 0, SOURCE_RATE_MAX, &options->rate},
        {"--size", SOURCE_SIZE_MIN, SOURCE_SIZE_MAX, &options->size},
        {"--seconds", 1, SECONDS_MAX, &options->seconds},
        {"--pid", 1, INT32_MAX, &options->process},
        {NULL, 0, 0, NULL},
    };
    for (int i = 0; i < argc; i += 2) {
        if (strcmp(argv[i], "--lines") == 0) {
            options->lines = true;
            i--;
            continue;
        }
        if (i + 1 == argc)
            return false;
        if (!text_read(options, argv[i], argv[i + 1]) &&
            !number_read(numbers, argv[i], argv[i + 1]))
            return false;
    }
    return options->url != NULL;
}

static void print_decimal(const char *name, int64_t value, int64_t unit, int digits)
{
    if (value < 0)
        value = 0; /* the server ended */
    printf(",\"%s\":%lld.%0*lld", name, (long long)(value / unit), digits,
           (long long)(value % unit));
}

static void print_number(const char *name, uint64_t value)
{
    printf(",\"%s\":%llu", name, (unsigned long long)value);
}

/* Microseconds over messages are seconds over millions of them. */
static void print_cpu(const char *name, int64_t used_us, uint64_t delivered)
{
    char per_million[64];
    char seconds[64];
    snprintf(seconds, sizeof seconds, "%s_cpu_seconds", name);
    snprintf(per_million, sizeof per_million, "%s_cpu_per_million", name);
    print_decimal(seconds, used_us, US_PER_S, 6);
    print_decimal(per_million, delivered == 0 ? 0 : used_us * 10000 / (int64_t)delivered, 10000, 4);
}

static void print_result(const struct bench_fanout_options *options,
                         const struct bench_fanout_result *result)
{
    /* Hundredths of a second, of all clients together. */
    int64_t served = result->elapsed_us / 10000 * (int64_t)options->clients;
    assert(served > 0);
    printf("{\"clients\":%llu", (unsigned long long)options->clients);
    print_decimal("seconds", result->elapsed_us, US_PER_S, 6);
    print_number("delivered", result->delivered);
    print_decimal("rate", (int64_t)result->delivered * 10000 / served, 100, 2);
    print_number("bytes", result->bytes);
    print_decimal("p50_ms", (int64_t)result->p50_us, 1000, 3);
    print_decimal("p99_ms", (int64_t)result->p99_us, 1000, 3);
    print_decimal("p99.9_ms", (int64_t)result->p999_us, 1000, 3);
    print_decimal("max_ms", (int64_t)result->max_us, 1000, 3);
    print_number("gaps", result->gaps);
    print_number("missing", result->missing);
    print_number("repeats", result->repeats);
    print_number("closed", result->closed);
    print_number("behind", result->behind);
    if (options->process != 0) {
        print_cpu("server", result->server_us, result->delivered);
        printf(",\"server_memory_bytes\":%lld", (long long)result->memory);
    }
    print_cpu("client", result->client_us, result->delivered);
    puts("}");
}

int bench_fanout_command(int argc, char **argv)
{
    struct bench_fanout_options options = {
        .clients = 100, .size = 250, .seconds = 10, .sequence_field = "seq", .time_field = "ts"};
    struct bench_fanout_result result = {0};
    struct err err = {0};
    if (!options_read(&options, argc, argv)) {
        fprintf(stderr,
                "usage: tickwire bench fanout --url ws://HOST:PORT/PATH [--clients N] "
                "[--seconds T] [--pid SERVER]\n"
                "    [--sequence-field seq] [--time-field ts] [--lines]\n"
                "    [--source HOST:PORT --rate R [--size S, %d to %d]]\n",
                SOURCE_SIZE_MIN, SOURCE_SIZE_MAX);
        return 2;
    }
    if (bench_fanout(&options, &result, &err) != 0) {
        fprintf(stderr, "bench fanout: %s\n", err.text);
        return 1;
    }
    print_result(&options, &result);
    return fflush(stdout) == 0 ? 0 : 1;
}
