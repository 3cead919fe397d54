/* SPDX-License-Identifier: Apache-2.0 */
/* The command `simulate`: the exchanges, simulated, until a signal ends it. */
#include "node/commands.h"

#include "base/log.h"
#include "net/loop.h"
#include "sim/simulator.h"

#include <signal.h>
#include <stdio.h>

#define LISTEN_DEFAULT "127.0.0.1:9000"
#define LIMITS_MAX 64
#define LIMIT_TEXT_MAX 64

struct simulate {
    struct simulator_options options;
    const char *limits[LIMITS_MAX];
    char lifetime[LIMIT_TEXT_MAX];
    struct loop *loop;
};

static int number_read(const char *name, const char *value, uint64_t most, uint64_t *ret_number)
{
    if (!slice_to_uint64(slice_of(value), most, ret_number))
        return usage_error("simulate", "%s needs a number up to %llu", name,
                           (unsigned long long)most);
    return 0;
}

static int limit_add(struct simulate *simulate, const char *text)
{
    if (simulate->options.limit_count == LIMITS_MAX)
        return usage_error("simulate", "more than %d limits", LIMITS_MAX);
    simulate->limits[simulate->options.limit_count++] = text;
    return 0;
}

static int lifetime_set(struct simulate *simulate, const char *value)
{
    snprintf(simulate->lifetime, sizeof simulate->lifetime, "*.lifetime=%s", value);
    return limit_add(simulate, simulate->lifetime);
}

static int listen_add(struct simulate *simulate, const char *value)
{
    struct simulator_options *options = &simulate->options;
    if (options->listen_count == SIMULATOR_LISTENS_MAX)
        return usage_error("simulate", "more than %d --listen", SIMULATOR_LISTENS_MAX);
    options->listen[options->listen_count++] = value;
    return 0;
}

/* What the option of this name does. */
static int option_take(struct simulate *simulate, const char *name, const char *value)
{
    struct simulator_options *options = &simulate->options;
    uint64_t number = 0;
    int result = 0;
    if (strcmp(name, "--listen") == 0)
        return listen_add(simulate, value);
    if (strcmp(name, "--set-limit") == 0)
        return limit_add(simulate, value);
    if (strcmp(name, "--lifetime") == 0)
        return lifetime_set(simulate, value);
    if (strcmp(name, "--tls-cert") == 0)
        options->tls_certificate = value;
    else if (strcmp(name, "--tls-key") == 0)
        options->tls_key = value;
    else if (strcmp(name, "--seed") == 0) {
        result = number_read(name, value, UINT64_MAX, &number);
        options->seed = number;
    } else if (strcmp(name, "--rate") == 0) {
        result = number_read(name, value, SIMULATOR_RATE_MAX, &number);
        options->rate = (uint32_t)number;
    } else {
        result = number_read(name, value, SIMULATOR_SYMBOLS_MAX, &number);
        options->symbols = (uint32_t)number;
    }
    if (result == 0 && number == 0 && (name[2] == 'r' || strcmp(name, "--symbols") == 0))
        return usage_error("simulate", "%s needs a number over 0", name);
    return result;
}

/* 0, or an exit status that was said already. */
static int arguments_read(struct simulate *simulate, int count, char **values)
{
    static const char *const names[] = {"--listen",   "--seed",      "--rate",     "--symbols",
                                        "--lifetime", "--set-limit", "--tls-cert", "--tls-key"};
    struct arguments list = {.count = count, .values = values};
    for (const char *argument = arguments_next(&list); argument != NULL;
         argument = arguments_next(&list)) {
        const char *value = NULL;
        size_t i = 0;
        while (i < COUNT_OF(names) && !arguments_option(&list, argument, names[i], &value))
            i++;
        if (i == COUNT_OF(names))
            return usage_error("simulate", "unknown option `%s`", argument);
        if (value == NULL)
            return usage_error("simulate", "%s needs a value", names[i]);
        int result = option_take(simulate, names[i], value);
        if (result != 0)
            return result;
    }
    const struct simulator_options *options = &simulate->options;
    if ((options->tls_certificate == NULL) != (options->tls_key == NULL))
        return usage_error("simulate", "--tls-cert and --tls-key belong together");
    return 0;
}

static void on_signal(void *context)
{
    const struct simulate *simulate = context;
    loop_stop(simulate->loop);
}

/* Whoever started it waits for these lines. */
static void say_where(const struct simulate *simulate, const struct simulator *simulator)
{
    const struct simulator_options *options = &simulate->options;
    bool tls = options->tls_certificate != NULL;
    for (size_t i = 0; i < options->listen_count; i++) {
        const char *colon = strrchr(options->listen[i], ':');
        int host = colon == NULL ? 0 : (int)(colon - options->listen[i]);
        printf("simulator listens on %s://%.*s:%u\n", tls ? "https" : "http", host,
               options->listen[i], simulator_port_of(simulator, i));
    }
    printf("control: /sim/truth, /sim/fault, /sim/stats, /sim/markets (docs/simulator.md)\n");
    fflush(stdout);
}

int command_simulate(int count, char **arguments)
{
    static struct simulate simulate; /* the signals' handler keeps a pointer to it */
    struct simulator *simulator = NULL;
    struct err err = {0};
    simulate = (struct simulate){.options = {.seed = 1}};
    simulate.options.limits = simulate.limits;
    int result = arguments_read(&simulate, count, arguments);
    if (result != 0)
        return result;
    if (simulate.options.listen_count == 0)
        simulate.options.listen[simulate.options.listen_count++] = LISTEN_DEFAULT;
    signal(SIGPIPE, SIG_IGN);
    simulate.loop = loop_create();
    loop_on_signal(simulate.loop, SIGTERM, on_signal, &simulate);
    loop_on_signal(simulate.loop, SIGINT, on_signal, &simulate);
    if (simulator_open(simulate.loop, &simulate.options, &simulator, &err) < 0) {
        fprintf(stderr, "tickwire simulate: %s\n", err.text);
        return end_loop(simulate.loop, EXIT_FAILED);
    }
    say_where(&simulate, simulator);
    loop_run(simulate.loop);
    simulator_close(simulator);
    return end_loop(simulate.loop, EXIT_DONE);
}
