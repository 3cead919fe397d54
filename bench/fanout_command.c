/* SPDX-License-Identifier: Apache-2.0 */
/* `tickwire bench fanout`: options to a run, its result to JSON. */
#include "bench/bench.h"

#include "bench/options.h"
#include "bench/source.h"

#include <assert.h>

#define US_PER_S 1000000
#define CLIENTS_MAX 1000000
#define SECONDS_MAX 86400
#define JOIN_MS_MAX 60000

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

static bool switch_read(struct bench_fanout_options *options, const char *name)
{
    if (strcmp(name, "--lines") == 0)
        options->lines = true;
    else if (strcmp(name, "--deflate") == 0)
        options->deflate = true;
    else if (strcmp(name, "--snapshot") == 0)
        options->snapshot = true;
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
        {"--join-ms", 1, JOIN_MS_MAX, &options->join_ms},
        {NULL, 0, 0, NULL},
    };
    for (int i = 0; i < argc; i += 2) {
        if (switch_read(options, argv[i])) {
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

static void print_memory(const char *name, int64_t bytes)
{
    printf(",\"%s\":%lld", name, (long long)bytes);
}

static void print_join(const struct bench_fanout_options *options,
                       const struct bench_fanout_join *join)
{
    printf(",\"join\":{\"served\":%llu", (unsigned long long)join->served);
    print_number("wrong", join->wrong);
    print_number("snapshot_bytes", join->served == 0 ? 0 : join->bytes / join->served);
    print_decimal("p50_ms", (int64_t)join->p50_us, 1000, 3);
    print_decimal("p99_ms", (int64_t)join->p99_us, 1000, 3);
    print_decimal("max_ms", (int64_t)join->max_us, 1000, 3);
    if (options->join_ms > 0) {
        print_decimal("begun_seconds", join->begun_us, US_PER_S, 6);
        print_decimal("all_seconds", join->all_us, US_PER_S, 6);
    }
    if (options->join_ms > 0 && options->process != 0) {
        print_decimal("server_cpu_seconds", join->server_us, US_PER_S, 6);
        print_memory("server_peak_bytes", join->memory_peak);
    }
    putchar('}');
}

static void print_server(const struct bench_fanout_result *result)
{
    print_cpu("server", result->server_us, result->delivered);
    print_memory("server_memory_bytes", result->memory);
    print_memory("server_proportional_bytes", result->memory_proportional);
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
    print_number("frames", result->frames);
    print_number("compressed", result->compressed);
    print_decimal("p50_ms", (int64_t)result->p50_us, 1000, 3);
    print_decimal("p99_ms", (int64_t)result->p99_us, 1000, 3);
    print_decimal("p99.9_ms", (int64_t)result->p999_us, 1000, 3);
    print_decimal("max_ms", (int64_t)result->max_us, 1000, 3);
    print_number("gaps", result->gaps);
    print_number("missing", result->missing);
    print_number("repeats", result->repeats);
    print_number("closed", result->closed);
    print_number("behind", result->behind);
    if (options->process != 0)
        print_server(result);
    print_cpu("client", result->client_us, result->delivered);
    print_memory("kernel_queued_bytes", result->kernel_queued);
    print_memory("kernel_slab_bytes", result->kernel_slabs);
    if (options->join_ms > 0 || options->snapshot)
        print_join(options, &result->join);
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
                "usage: tickwire bench fanout --url ws[s]://HOST:PORT/PATH [--clients N] "
                "[--seconds T] [--pid SERVER]\n"
                "    [--sequence-field seq] [--time-field ts] [--lines] [--deflate]\n"
                "    [--snapshot] [--join-ms M, at most 60000]\n"
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
