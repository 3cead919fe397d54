/* SPDX-License-Identifier: Apache-2.0 */
/* `tickwire bench pipeline`: options to a run, its result to JSON. */
#include "bench/bench.h"

#include "bench/options.h"

#define CLIENTS_MAX 100000
#define SECONDS_MAX 3600
#define RATE_MAX 20000 /* what the simulator can do */
#define HUNDRED 100

static bool text_read(struct bench_pipeline_options *options, const char *name, const char *value)
{
    if (strcmp(name, "--brokers") == 0)
        options->brokers = value;
    else if (strcmp(name, "--topic") == 0)
        options->topic = value;
    else if (strcmp(name, "--set") == 0 && options->set_count < BENCH_PIPELINE_SETS_MAX)
        options->sets[options->set_count++] = value;
    else
        return false;
    return true;
}

static bool options_read(struct bench_pipeline_options *options, int argc, char **argv)
{
    const struct number_option numbers[] = {
        {"--rate", 1, RATE_MAX, &options->rate},
        {"--clients", 1, CLIENTS_MAX, &options->clients},
        {"--seconds", 1, SECONDS_MAX, &options->seconds},
        {"--warm", 0, SECONDS_MAX, &options->warm},
        {"--rounds", 1, BENCH_PIPELINE_ROUNDS_MAX, &options->rounds},
        {NULL, 0, 0, NULL},
    };
    if (argc % 2 != 0)
        return false;
    for (int i = 0; i < argc; i += 2)
        if (!text_read(options, argv[i], argv[i + 1]) &&
            !number_read(numbers, argv[i], argv[i + 1]))
            return false;
    return true;
}

static void print_way(const char *name, const struct bench_pipeline_options *options,
                      const struct bench_fanout_result *way)
{
    int64_t hundredths = way->elapsed_us / 10000 * (int64_t)options->clients;
    int64_t rate = hundredths == 0 ? 0 : (int64_t)way->delivered * 10000 / hundredths;
    int64_t permille = way->elapsed_us == 0 ? 0 : way->server_us * 1000 / way->elapsed_us;
    printf(",\"%s\":{\"delivered\":%llu", name, (unsigned long long)way->delivered);
    print_decimal("rate", rate, HUNDRED, 2);
    print_decimal("p50_ms", (int64_t)way->p50_us, 1000, 3);
    print_decimal("p99_ms", (int64_t)way->p99_us, 1000, 3);
    print_decimal("p99.9_ms", (int64_t)way->p999_us, 1000, 3);
    print_decimal("max_ms", (int64_t)way->max_us, 1000, 3);
    print_decimal("node_cpu_percent", permille, 10, 1);
    print_number("gaps", way->gaps);
    print_number("missing", way->missing);
    print_number("repeats", way->repeats);
    print_number("closed", way->closed);
    putchar('}');
}

int bench_pipeline_command(int argc, char **argv)
{
    struct bench_pipeline_options options = {.topic = "tickwire.bench",
                                             .rate = 2000,
                                             .clients = 100,
                                             .seconds = 5,
                                             .warm = 5,
                                             .rounds = 3};
    struct bench_pipeline_result result = {0};
    struct err err = {0};
    if (!options_read(&options, argc, argv)) {
        fprintf(stderr,
                "usage: tickwire bench pipeline [--brokers HOST:PORT[,...]] [--topic NAME] "
                "[--set key=value ...]\n"
                "    [--rate R, at most %d] [--clients N] [--seconds T] [--warm T] "
                "[--rounds N, at most %d]\n",
                RATE_MAX, BENCH_PIPELINE_ROUNDS_MAX);
        return 2;
    }
    if (bench_pipeline(&options, &result, &err) != 0) {
        fprintf(stderr, "bench pipeline: %s\n", err.text);
        return 1;
    }
    printf("{\"rate\":%llu", (unsigned long long)options.rate);
    print_number("clients", options.clients);
    print_number("seconds", options.seconds);
    print_number("rounds", options.rounds);
    print_way("plain", &options, &result.ways[BENCH_PLAIN]);
    if (options.brokers != NULL)
        print_way("kafka", &options, &result.ways[BENCH_KAFKA]);
    puts("}");
    return fflush(stdout) == 0 ? 0 : 1;
}
