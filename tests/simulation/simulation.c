/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster simulated from seeds:
 *
 *     simulation [--schedules N] [--first-seed S] [--seconds T] [--keep-going] [--fierce]
 *     simulation --seed N --trace
 *     simulation --failed-once
 *     simulation --plant no-fence|no-barrier|wrong-resend ...
 *
 * Prints one JSON object. The exit status is 1 when a schedule failed; with --expect-failure, which
 * goes with --plant, when none did. See README.md.
 */
#include "tests/simulation/world.h"

#include "tests/simulation/plant.h"

#include "base/clock.h"
#include "base/log.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define FAILURES_SHOWN 20

/* Seeds that did not hold, by what was wrong. They tell that only as long as the dice are rolled in
 * the same order: what was wrong in src/cluster has a test there as well. */
static const struct {
    uint64_t seed;
    bool fierce;
} failed_once[] = {
    /* A barrier that a path could not place did not fence the log, or not the leader's. */
    {503552, false},
    {3016096, false},
    {464717, false},
    {823560, false},
    /* Nor did one that stood beyond the log's end, or that deposed its leader. */
    {23021, true},
    {44635, true},
    {84056, true},
    {114952, true},
    /* Nor one that was read while the peer filled a shadow; a log that lacked what it fenced waited
     * for it for ever. */
    {304570, true},
    {521420, true},
    {432842, true},
    /* A deposed leader was believed by who had read its end, and could not place it. */
    {609267, true},
    {643997, true},
    /* Written behind what another had written before one's barrier. */
    {672056, true},
    {751305, true},
    /* Taken over by who had read anew since it was elected, and knew too little. */
    {675380, true},
    /* A leader did not see that it was deposed, or that what was pending had been overtaken; nor a
     * follower the leader beside the stream that it read. */
    {1009270, true},
    {1054819, true},
    {1155941, true},
    /* A leader's link was refused, for the epoch before its own. */
    {307747, true},
    {1654897, true},
    /* A state ahead of its reading was believed, or its beacon where the states were not. */
    {294936, false},
    {61389, true},
    /* What was pending was dropped, and not collected again. */
    {177840, false},
    {254467, false},
    /* The log had gone on with a newer epoch than its barrier's. */
    {495238, false},
    /* Written to a carrier that had come back, before what it held by then was looked at. */
    {30332, false},
    /* A leader's path that was early for long was no more its log's, and nothing was delivered. */
    {265235, true},
    /* The model's: beacons about lost places; P4 where a log starts over; what is owed where a
     * keeper is not whole; an epoch that ZooKeeper would not have given twice. */
    {6612232, false},
    {156964, false},
    {299660, false},
    {25156, true},
    {91963, true},
    {300204, true},
    {538975, true},
    {401783, true},
    {752930, true},
};

struct arguments {
    uint64_t first, schedules;
    int64_t seconds; /* at most; 0: no matter */
    bool trace, keep_going, expect_failure;
    bool fierce; /* more faults, for longer */
    bool again;  /* those of failed_once, instead */
    const char *plant;
};

struct silence { /* the longest that a client had nothing, of each schedule */
    uint64_t schedules, sum_ms, worst_ms;
};

struct outcome {
    uint64_t schedules, failures, first_failed;
    uint64_t failed[FAILURES_SHOWN];
    int64_t began_ns, virtual_ms;
    struct silence leader, carrier; /* what failed, where one thing did */
};

/* The product has ended the process: the seed must be known. Written before, since little is
 * allowed then. */
static char last_words[80];

static void on_end(int number)
{
    ssize_t written = write(STDERR_FILENO, last_words, strlen(last_words));
    (void)written;
    signal(number, SIG_DFL); /* and as it was meant */
}

static uint64_t number(const char *text)
{
    uint64_t value = 0;
    if (text == NULL || !slice_to_uint64(slice_of(text), INT64_MAX, &value)) {
        fprintf(stderr, "simulation: a number is expected, not \"%s\"\n", text == NULL ? "" : text);
        exit(2);
    }
    return value;
}

static struct arguments read_arguments(char **argv)
{
    struct arguments arguments = {.first = 1, .schedules = 1000};
    for (char **at = argv + 1; *at != NULL; at++) {
        if (strcmp(*at, "--trace") == 0)
            arguments.trace = true;
        else if (strcmp(*at, "--fierce") == 0)
            arguments.fierce = true;
        else if (strcmp(*at, "--keep-going") == 0)
            arguments.keep_going = true;
        else if (strcmp(*at, "--expect-failure") == 0)
            arguments.expect_failure = true;
        else if (strcmp(*at, "--schedules") == 0)
            arguments.schedules = number(*++at);
        else if (strcmp(*at, "--first-seed") == 0)
            arguments.first = number(*++at);
        else if (strcmp(*at, "--seconds") == 0)
            arguments.seconds = (int64_t)number(*++at);
        else if (strcmp(*at, "--plant") == 0 && plant(*++at))
            arguments.plant = *at;
        else if (strcmp(*at, "--failed-once") == 0) {
            arguments.again = true;
            arguments.schedules = COUNT_OF(failed_once);
        } else if (strcmp(*at, "--seed") == 0) {
            arguments.first = number(*++at);
            arguments.schedules = 1;
        } else {
            fprintf(stderr, "simulation: \"%s\" is not understood\n", *at == NULL ? "" : *at);
            exit(2);
        }
    }
    return arguments;
}

static void note_failure(struct outcome *outcome, const struct world *world, uint64_t seed)
{
    if (outcome->failures < FAILURES_SHOWN) {
        outcome->failed[outcome->failures] = seed;
        fprintf(stderr, "seed %llu: %s\n", (unsigned long long)seed, world->failure);
    }
    outcome->failures++;
}

static void note_single(struct outcome *outcome, const struct world *world)
{
    struct silence *silence = world->carrier_fails ? &outcome->carrier : &outcome->leader;
    uint64_t silence_ms = (uint64_t)world->silence_ms;
    if (!world->single || world->lone >= 0)
        return;
    silence->schedules++;
    silence->sum_ms += silence_ms;
    if (silence_ms > silence->worst_ms)
        silence->worst_ms = silence_ms;
}

static void run(struct world *world, const struct arguments *arguments, struct outcome *outcome)
{
    for (uint64_t i = 0; i < arguments->schedules; i++) {
        uint64_t seed = arguments->again ? failed_once[i].seed : arguments->first + i;
        world->fierce = arguments->again ? failed_once[i].fierce : arguments->fierce;
        snprintf(last_words, sizeof last_words, "seed %llu: aborted\n", (unsigned long long)seed);
        if (!world_run(world, seed, arguments->trace))
            note_failure(outcome, world, seed);
        outcome->schedules++;
        outcome->virtual_ms += world->now_ms;
        note_single(outcome, world);
        if (outcome->failures > 0 && !arguments->keep_going)
            return;
        int64_t lived_ns = clock_monotonic_ns() - outcome->began_ns;
        if (arguments->seconds > 0 && lived_ns > arguments->seconds * 1000 * MS_NS)
            return;
    }
}

/* ---- the summary ---- */

static void print_modes(const struct counts *counts)
{
    const char *comma = "";
    printf("\"modes\":{");
    for (size_t i = 0; i < REPLICA_MODE_COUNT; i++, comma = ",")
        printf("%s\"%s\":%llu", comma, replica_mode_names[i], (unsigned long long)counts->mode[i]);
    printf("},\"changes\":{");
    comma = "";
    for (size_t i = 0; i < REPLICA_MODE_COUNT; i++)
        for (size_t j = 0; j < REPLICA_MODE_COUNT; j++)
            if (i != j && counts->change[i][j] > 0) {
                printf("%s\"%s > %s\":%llu", comma, replica_mode_names[i], replica_mode_names[j],
                       (unsigned long long)counts->change[i][j]);
                comma = ",";
            }
    printf("}");
}

static void print_silence(const char *what, const struct silence *silence)
{
    printf("\"%s\":{\"schedules\":%llu,\"silence_ms_mean\":%llu,\"silence_ms_worst\":%llu}", what,
           (unsigned long long)silence->schedules,
           (unsigned long long)(silence->sum_ms / (silence->schedules + (silence->schedules == 0))),
           (unsigned long long)silence->worst_ms);
}

/* Of this process: others may need the machine at the same time. */
static int64_t cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static void print_summary(const struct world *world, const struct arguments *arguments,
                          const struct outcome *outcome)
{
    int64_t lived_us = (clock_monotonic_ns() - outcome->began_ns) / 1000;
    int64_t used_us = cpu_us();
    const struct counts *counts = world->counts;
    printf("{\"plant\":\"%s\",\"first_seed\":%llu,\"schedules\":%llu,\"failures\":%llu,"
           "\"seconds\":%lld.%03lld,\"cpu_ms\":%lld,\"schedules_per_cpu_second\":%lld,"
           "\"virtual_seconds\":%lld,",
           arguments->plant == NULL ? "" : arguments->plant, (unsigned long long)arguments->first,
           (unsigned long long)outcome->schedules, (unsigned long long)outcome->failures,
           (long long)(lived_us / 1000000), (long long)(lived_us / 1000 % 1000),
           (long long)(used_us / 1000),
           (long long)((int64_t)outcome->schedules * 1000000 / (used_us + 1)),
           (long long)(outcome->virtual_ms / 1000));
    printf("\"failed_seeds\":[");
    for (uint64_t i = 0; i < outcome->failures && i < FAILURES_SHOWN; i++)
        printf("%s%llu", i == 0 ? "" : ",", (unsigned long long)outcome->failed[i]);
    printf("],\"single_fault\":{");
    print_silence("leader", &outcome->leader);
    printf(",");
    print_silence("carrier", &outcome->carrier);
    printf("},\"events\":{");
    const char *comma = "";
#define X(name)                                                                                    \
    printf("%s\"%s\":%llu", comma, #name, (unsigned long long)counts->name);                       \
    comma = ","
    COUNT_TABLE(X)
#undef X
    printf("},");
    print_modes(counts);
    printf("}\n");
}

int main(int argc, char **argv)
{
    (void)argc;
    struct arguments arguments = read_arguments(argv);
    struct outcome outcome = {.began_ns = clock_monotonic_ns()};
    log_configure(arguments.trace ? LOG_INFO : (enum log_level)(LOG_ERROR + 1), LOG_LOGFMT);
    signal(SIGABRT, on_end);
    signal(SIGSEGV, on_end);
    mallopt(M_MMAP_THRESHOLD, 256 * KIBIBYTE); /* logs come as zeroed pages, most never touched */
    struct world *world = world_create();
    run(world, &arguments, &outcome);
    print_summary(world, &arguments, &outcome);
    world_destroy(world);
    return (outcome.failures > 0) == arguments.expect_failure ? 0 : 1;
}
