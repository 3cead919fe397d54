/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that run a node (serve, replay), and check, which only reads its configuration. */
#include "node/commands.h"

#include "base/log.h"
#include "base/memory.h"
#include "node/run.h"
#include "sim/replay.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define OUTPUT_MAX (4 * MEBIBYTE)
#define SPEED_MAX_PERMILLE 1000000

extern char **environ;

struct replay_arguments {
    struct node_arguments node;
    const char *file;
    const char *exchange;
    uint32_t speed_permille;
    bool forever;
};

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

int run_load(const struct node_arguments *arguments, struct settings *ret_settings,
             struct front **ret_front)
{
    struct err err = {0};
    struct settings_options options;
    run_sources(arguments, &options);
    if (settings_load(ret_settings, &options, &err) < 0)
        return say_wrong(&err);
    if (front_create(ret_settings, ret_front, &err) == 0)
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

/* ---- replay ---- */

/* "max", or a decimal of at most three digits behind the point, in thousandths. */
static bool read_speed(const char *text, uint32_t *ret_permille)
{
    struct slice fraction;
    struct slice whole = slice_split(slice_of(text), '.', &fraction);
    uint64_t units = 0, thousandths = 0;
    if (strcmp(text, "max") == 0) {
        *ret_permille = 0;
        return true;
    }
    if (!slice_to_uint64(whole, SPEED_MAX_PERMILLE / 1000, &units) || fraction.size > 3)
        return false;
    if (fraction.size > 0 && !slice_to_uint64(fraction, 999, &thousandths))
        return false;
    for (size_t i = fraction.size; i < 3; i++)
        thousandths *= 10;
    *ret_permille = (uint32_t)(units * 1000 + thousandths);
    return *ret_permille > 0 && *ret_permille <= SPEED_MAX_PERMILLE;
}

static int replay_option(struct arguments *list, const char *argument,
                         struct replay_arguments *replay)
{
    const char *value = NULL;
    int result = arguments_node(list, "replay", argument, &replay->node);
    if (result != 0)
        return result;
    if (arguments_option(list, argument, "--exchange", &value)) {
        replay->exchange = value;
        return value == NULL ? usage_error("replay", "--exchange needs a name") : 1;
    }
    if (arguments_option(list, argument, "--speed", &value)) {
        bool read = value != NULL && read_speed(value, &replay->speed_permille);
        return read ? 1
                    : usage_error("replay", "--speed needs a number from 0.001 to 1000, or max");
    }
    if (strcmp(argument, "--loop") == 0) {
        replay->forever = true;
        return 1;
    }
    if (argument[0] == '-')
        return usage_error("replay", "unknown option `%s`", argument);
    if (replay->file != NULL)
        return usage_error("replay", "only one file, not also `%s`", argument);
    replay->file = argument;
    return 1;
}

/* Recordings lie in folders named after their exchange; NULL when the folder is not named so. */
static const char *exchange_of_path(const char *path)
{
    struct slice rest = slice_of(path);
    const struct exchange *found = NULL;
    while (rest.size > 0) {
        struct slice part = slice_split(rest, '/', &rest);
        const struct exchange *exchange = exchange_find(part, 0);
        if (exchange != NULL && rest.size > 0)
            found = exchange;
    }
    return found == NULL ? NULL : found->name;
}

static int64_t recorded_index(const struct recording *recording, const char *name)
{
    for (size_t i = 0; i < recording->exchange_count; i++)
        if (strcmp(recording->exchanges[i], name) == 0)
            return (int64_t)i;
    return -1;
}

/* The node collects just the recorded exchanges, from the replay's own port. */
static int wire_replay(struct settings *settings, const struct recording *recording,
                       struct replay *replay)
{
    size_t wired = 0;
    for (size_t i = 0; i < settings->exchange_count; i++) {
        struct settings_exchange *exchange = &settings->exchanges[i];
        int64_t index = recorded_index(recording, exchange->exchange->name);
        exchange->enabled = index >= 0;
        if (index < 0)
            continue;
        char text[LIMIT_URL];
        snprintf(text, sizeof text, "/%s%s", exchange->exchange->name, exchange->exchange->ws_path);
        replay_route(replay, (size_t)index, text);
        snprintf(text, sizeof text, "ws://127.0.0.1:%u/%s", replay_port(replay),
                 exchange->exchange->name);
        memory_free(exchange->ws_url);
        exchange->ws_url = memory_copy_text(text);
        wired++;
    }
    if (wired == recording->exchange_count)
        return 0;
    for (size_t i = 0; i < recording->exchange_count; i++)
        if (exchange_find(slice_of(recording->exchanges[i]), 0) == NULL)
            fprintf(stderr, "tickwire replay: unknown exchange `%s` in the recording\n",
                    recording->exchanges[i]);
    return EXIT_FAILED;
}

static int run_replay(const struct replay_arguments *arguments, struct settings *settings,
                      struct front *front, const struct recording *recording)
{
    struct err err = {0};
    struct replay *replay = NULL;
    struct loop *loop = loop_create();
    struct replay_options options = {
        .recording = recording,
        .listen = "127.0.0.1:0",
        .speed_permille = arguments->speed_permille,
        .forever = arguments->forever,
    };
    int status = EXIT_FAILED;
    if (replay_open(loop, &options, &replay, &err) < 0)
        fprintf(stderr, "tickwire replay: %s\n", err.text);
    else
        status = wire_replay(settings, recording, replay);
    if (status == 0)
        status = run_node(&(struct node_options){.loop = loop,
                                                 .settings = settings,
                                                 .front = front,
                                                 .simulated = true,
                                                 .learn = true,
                                                 .blind = true,
                                                 .as_is = true});
    replay_close(replay);
    return end_loop(loop, status);
}

int command_replay(int count, char **arguments)
{
    struct arguments list = {.count = count, .values = arguments};
    struct replay_arguments replay = {.speed_permille = 1000};
    struct settings settings;
    struct front *front = NULL;
    struct recording recording;
    struct err err = {0};
    for (const char *argument = arguments_next(&list); argument != NULL;
         argument = arguments_next(&list)) {
        int result = replay_option(&list, argument, &replay);
        if (result > 1)
            return result;
    }
    if (replay.file == NULL)
        return usage_error("replay", "it needs a file");
    int status = run_load(&replay.node, &settings, &front);
    if (status != 0)
        return status;
    const char *exchange =
        replay.exchange != NULL ? replay.exchange : exchange_of_path(replay.file);
    if (recording_load(&recording, replay.file, exchange, &err) < 0) {
        fprintf(stderr, "tickwire replay: %s\n", err.text);
        run_release(&settings, front);
        return EXIT_FAILED;
    }
    run_start_log(&settings);
    status = run_replay(&replay, &settings, front, &recording);
    log_stop();
    recording_release(&recording);
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
