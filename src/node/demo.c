/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command for a first look: a node as `serve` runs it, fed by the exchanges when one of them
 * can be reached, else by the simulator on the same loop. What is simulated is said everywhere.
 *
 * The addresses of the simulator are put behind the user's --set, so that settings that are read
 * again later say the same.
 */
#include "node/commands.h"

#include "base/log.h"
#include "base/memory.h"
#include "node/probe.h"
#include "node/run.h"
#include "node/way_out.h"
#include "sim/simulator.h"

#include <assert.h>
#include <stdio.h>

#define ANSWER_MS 5000
#define DEMO_SEED 1
#define SET_SIZE (SETTING_KEY_MAX + LIMIT_URL)

struct demo {
    struct node_arguments node;
    bool simulated;
    uint32_t rate;    /* 0: the simulator's own */
    const char *port; /* NULL: of the settings */
    char why[80];     /* simulated, or live */
    struct loop *loop;
    struct simulator *simulator; /* owned; NULL: live */
    struct settings settings;
    struct front *front;                   /* owned; NULL: nothing is loaded */
    char own_sets[SETS_OWN_MAX][SET_SIZE]; /* what node.sets borrows */
    size_t own_set_count;
};

/* ---- the command line ---- */

static int demo_option(struct arguments *list, const char *argument, struct demo *demo)
{
    const char *value = NULL;
    uint64_t number = 0;
    int result = arguments_node(list, "demo", argument, &demo->node);
    if (result != 0)
        return result;
    if (strcmp(argument, "--simulated") == 0) {
        demo->simulated = true;
        return 1;
    }
    if (arguments_option(list, argument, "--rate", &value)) {
        if (value == NULL || !slice_to_uint64(slice_of(value), SIMULATOR_RATE_MAX, &number) ||
            number == 0)
            return usage_error("demo", "--rate needs a number from 1 to %d", SIMULATOR_RATE_MAX);
        demo->rate = (uint32_t)number;
        return 1;
    }
    if (arguments_option(list, argument, "--port", &value)) {
        if (value == NULL || !slice_to_uint64(slice_of(value), UINT16_MAX, &number))
            return usage_error("demo", "--port needs a number from 0 to %d", UINT16_MAX);
        demo->port = value;
        return 1;
    }
    return usage_error("demo", "unknown argument `%s`", argument);
}

/* ---- the settings ---- */

static void demo_unload(struct demo *demo)
{
    if (demo->front != NULL)
        run_release(&demo->settings, demo->front);
    demo->front = NULL;
}

static int demo_load(struct demo *demo)
{
    demo_unload(demo);
    return run_load(&demo->node, &demo->settings, &demo->front);
}

static void demo_set(struct demo *demo, const char *key, const char *value)
{
    assert(demo->own_set_count < SETS_OWN_MAX);
    char *set = demo->own_sets[demo->own_set_count++];
    int size = snprintf(set, SET_SIZE, "%s=%s", key, value);
    assert(size > 0 && size < SET_SIZE);
    demo->node.sets[demo->node.set_count++] = set;
}

/* Where http.listen's port begins; there always is one. */
static const char *port_of(const char *listen)
{
    const char *colon = strrchr(listen, ':');
    assert(colon != NULL);
    return colon + 1;
}

/* The configured address with the port of the command line. */
static void demo_set_port(struct demo *demo)
{
    const char *listen = demo->settings.http.listen;
    char address[LIMIT_URL];
    snprintf(address, sizeof address, "%.*s%s", (int)(port_of(listen) - listen), listen,
             demo->port);
    demo_set(demo, "http.listen", address);
}

static_assert(2 * LIMIT_EXCHANGES + 2 + RUN_ALONE_SETS <= SETS_OWN_MAX, "room for all of them");

/* What is simulated spends none of an exchange's real budget, so it is kept nowhere. */
static void demo_set_addresses(struct demo *demo)
{
    run_alone(&demo->node);
    demo_set(demo, "node.state_file", "");
    static const char *const schemes[][2] = {{"ws_url", "ws"}, {"rest_url", "http"}};
    unsigned port = simulator_port(demo->simulator);
    for (size_t i = 0; i < demo->settings.exchange_count; i++) {
        const char *name = demo->settings.exchanges[i].exchange->name;
        for (size_t j = 0; j < COUNT_OF(schemes); j++) {
            char key[SETTING_KEY_MAX];
            char value[128];
            snprintf(key, sizeof key, "exchanges.%s.%s", name, schemes[j][0]);
            snprintf(value, sizeof value, "%s://127.0.0.1:%u/%s", schemes[j][1], port, name);
            demo_set(demo, key, value);
        }
    }
}

/* ---- where the prices come from ---- */

/* 0; or EXIT_CONFIGURATION with the reason said. */
static int demo_ask(struct demo *demo)
{
    struct err err = {0};
    struct proxy *proxy = NULL;
    if (demo->simulated) {
        snprintf(demo->why, sizeof demo->why, "asked for");
        return 0;
    }
    if (way_out_create(&demo->settings, &proxy, &err) < 0) {
        fprintf(stderr, "tickwire: %s\n", err.text);
        return EXIT_CONFIGURATION;
    }
    const char *answered = probe_exchanges(&(struct probe_options){
        .loop = demo->loop, .settings = &demo->settings, .proxy = proxy, .timeout_ms = ANSWER_MS});
    proxy_destroy(proxy);
    demo->simulated = answered == NULL;
    if (answered == NULL)
        snprintf(demo->why, sizeof demo->why, "no exchange can be reached from here");
    else
        snprintf(demo->why, sizeof demo->why, "%s answers", answered);
    return 0;
}

static int demo_simulate(struct demo *demo)
{
    struct err err = {0};
    const struct simulator_options options = {
        .listen = {"127.0.0.1:0"}, .listen_count = 1, .seed = DEMO_SEED, .rate = demo->rate};
    if (simulator_open(demo->loop, &options, &demo->simulator, &err) < 0) {
        fprintf(stderr, "tickwire demo: the simulator does not start: %s\n", err.text);
        return EXIT_FAILED;
    }
    demo_set_addresses(demo);
    return demo_load(demo);
}

/* ---- running ---- */

/* An address that a browser on this machine can open; any is the loopback's as well. */
static void demo_url(const struct settings *settings, char *out, size_t out_size)
{
    const char *listen = settings->http.listen;
    const char *port = port_of(listen);
    struct slice host = {.data = listen, .size = (size_t)(port - 1 - listen)};
    if (slice_is(host, "0.0.0.0"))
        host = SLICE("127.0.0.1");
    else if (slice_is(host, "[::]"))
        host = SLICE("[::1]");
    snprintf(out, out_size, "%s://%.*s:%s/", settings->http.tls_cert[0] != '\0' ? "https" : "http",
             (int)host.size, host.data, port);
}

static void demo_announce(const struct demo *demo)
{
    char url[LIMIT_URL];
    demo_url(&demo->settings, url, sizeof url);
    if (demo->simulated)
        printf("tickwire demo: SIMULATED exchanges (%s): these are no real prices\n", demo->why);
    else
        printf("tickwire demo: live exchanges (%s)\n", demo->why);
    if (strcmp(port_of(demo->settings.http.listen), "0") == 0)
        printf("tickwire demo: serving on a free port, which the log names\n");
    else
        printf("tickwire demo: open %s\n", url);
    printf("tickwire demo: Ctrl-C ends it\n");
    fflush(stdout);
}

static int demo_run(struct demo *demo)
{
    struct err err = {0};
    struct node *node = NULL;
    struct settings_options sources;
    run_sources(&demo->node, &sources);
    const struct node_options options = {.loop = demo->loop,
                                         .settings = &demo->settings,
                                         .sources = &sources,
                                         .front = demo->front,
                                         .simulated = demo->simulated};
    log_info("node", log_text("msg", "demo"),
             log_text("exchanges", demo->simulated ? "simulated" : "live"),
             log_text("because", demo->why));
    if (node_create(&options, &node, &err) < 0) {
        fprintf(stderr, "tickwire demo: %s; --port takes another port\n", err.text);
        return EXIT_FAILED;
    }
    demo_announce(demo);
    node_run(node);
    node_destroy(node);
    return EXIT_DONE;
}

/* The settings are loaded. */
static int demo_start(struct demo *demo)
{
    run_start_log(&demo->settings);
    demo->loop = loop_create();
    int status = demo_ask(demo);
    if (status == 0 && demo->simulated)
        status = demo_simulate(demo);
    if (status == 0)
        status = demo_run(demo);
    simulator_close(demo->simulator);
    status = end_loop(demo->loop, status);
    log_stop();
    return status;
}

int command_demo(int count, char **arguments)
{
    struct arguments list = {.count = count, .values = arguments};
    CLEANUP(memory_freep) struct demo *demo = memory_alloc(sizeof *demo);
    for (const char *argument = arguments_next(&list); argument != NULL;
         argument = arguments_next(&list)) {
        int result = demo_option(&list, argument, demo);
        if (result > 1)
            return result;
    }
    int status = demo_load(demo);
    if (status == 0 && demo->port != NULL) {
        demo_set_port(demo);
        status = demo_load(demo);
    }
    if (status == 0)
        status = demo_start(demo);
    demo_unload(demo);
    return status;
}
