/* SPDX-License-Identifier: Apache-2.0 */
/* serve, which runs a node, check, which only reads its configuration, and what commands that run a
 * node share. */
#include "node/commands.h"

#include "base/log.h"
#include "base/memory.h"
#include "node/replication.h"
#include "node/run.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define OUTPUT_MAX (4 * MEBIBYTE)

extern char **environ;

/* ---- what they share ---- */

static int say_wrong(const struct err *err)
{
    fprintf(stderr, "tickwire: %s\n", err->text);
    return EXIT_CONFIGURATION;
}

void run_sources(const struct node_arguments *arguments, struct settings_options *ret_options)
{
    *ret_options = (struct settings_options){
        .file = arguments->file,
        .environment = (const char *const *)environ,
        .set = arguments->sets,
        .set_count = arguments->set_count,
    };
}

void run_alone(struct node_arguments *arguments)
{
    static const char *const sets[RUN_ALONE_SETS] = {"kafka.enabled=false", "cluster.role=auto",
                                                     "cluster.peers="};
    for (size_t i = 0; i < COUNT_OF(sets); i++) {
        assert(arguments->set_count < COUNT_OF(arguments->sets));
        arguments->sets[arguments->set_count++] = sets[i];
    }
}

/* What is read from here on may be older than the change that it tells of. */
static void hold_hangup(void)
{
    sigset_t hangup;
    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &hangup, NULL);
}

int run_load(const struct node_arguments *arguments, struct settings *ret_settings,
             struct front **ret_front)
{
    struct err err = {0};
    struct settings_options options;
    hold_hangup();
    run_sources(arguments, &options);
    if (settings_load(ret_settings, &options, &err) < 0)
        return say_wrong(&err);
    if (replication_check(ret_settings, &err) == 0 &&
        front_create(ret_settings, ret_front, &err) == 0)
        return 0;
    settings_release(ret_settings);
    return say_wrong(&err);
}

void run_release(struct settings *settings, struct front *front)
{
    front_destroy(front);
    settings_release(settings);
}

int run_node(const struct node_options *options)
{
    struct err err = {0};
    struct node *node = NULL;
    if (node_create(options, &node, &err) < 0) {
        log_error("node", log_text("msg", "cannot start"), log_text("error", err.text));
        return EXIT_FAILED;
    }
    node_run(node);
    node_destroy(node);
    return EXIT_DONE;
}

void run_start_log(const struct settings *settings)
{
    signal(SIGPIPE, SIG_IGN); /* a reader of our log that goes away must not end us */
    log_configure((enum log_level)settings->log.level, (enum log_format)settings->log.format);
    log_start();
}

/* ---- serve ---- */

int command_serve(int count, char **arguments)
{
    struct arguments list = {.count = count, .values = arguments};
    struct node_arguments node = {0};
    struct settings settings;
    struct front *front = NULL;
    for (const char *argument = arguments_next(&list); argument != NULL;
         argument = arguments_next(&list)) {
        int result = arguments_node(&list, "serve", argument, &node);
        if (result == 0)
            result = usage_error("serve", "unknown argument `%s`", argument);
        if (result > 1)
            return result;
    }
    int status = run_load(&node, &settings, &front);
    if (status != 0)
        return status;
    run_start_log(&settings);
    struct loop *loop = loop_create();
    struct settings_options sources;
    run_sources(&node, &sources);
    status = end_loop(
        loop, run_node(&(struct node_options){
                  .loop = loop, .settings = &settings, .sources = &sources, .front = front}));
    log_stop();
    run_release(&settings, front);
    return status;
}

/* ---- check ---- */

int command_check(int count, char **arguments)
{
    struct arguments list = {.count = count, .values = arguments};
    struct node_arguments node = {0};
    struct settings settings;
    struct front *front = NULL;
    struct buffer out;
    bool reference = false;
    for (const char *argument = arguments_next(&list); argument != NULL;
         argument = arguments_next(&list)) {
        int result = arguments_node(&list, "check", argument, &node);
        if (result == 0 && strcmp(argument, "--reference") == 0)
            reference = true;
        else if (result == 0)
            result = usage_error("check", "unknown argument `%s`", argument);
        if (result > 1)
            return result;
    }
    int status = reference ? 0 : run_load(&node, &settings, &front);
    if (status != 0)
        return status;
    buffer_init(&out, OUTPUT_MAX);
    if (reference) {
        settings_write_reference(&out);
    } else {
        settings_write_effective(&settings, &out);
        run_release(&settings, front);
    }
    bool written = fwrite(out.data, 1, out.size, stdout) == out.size && fflush(stdout) == 0;
    buffer_release(&out);
    return written ? EXIT_DONE : EXIT_FAILED;
}
