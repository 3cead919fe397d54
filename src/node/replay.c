/* SPDX-License-Identifier: Apache-2.0 */
/* tickwire replay: a recording played as exchanges on a port of its own, and a node that collects
 * from there. */
#include "node/commands.h"

#include "base/log.h"
#include "base/memory.h"
#include "node/run.h"
#include "sim/parts.h"
#include "sim/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SPEED_MAX_PERMILLE 1000000
#define FROM_MAX_MS INT64_C(31622400000) /* a year */
#define US_PER_MS 1000

struct replay_arguments {
    struct node_arguments node;
    const char **files; /* owned array; as given */
    size_t file_count;
    const char *exchange;
    uint32_t speed_permille;
    int64_t from_ms;
    bool forever;
};

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
    if (arguments_option(list, argument, "--from", &value)) {
        bool read = value != NULL && arguments_duration(value, 0, FROM_MAX_MS, &replay->from_ms);
        return read ? 1 : usage_error("replay", "--from needs a duration like 90s, 10m or 1h");
    }
    if (strcmp(argument, "--loop") == 0) {
        replay->forever = true;
        return 1;
    }
    if (argument[0] == '-')
        return usage_error("replay", "unknown option `%s`", argument);
    if (replay->file_count == RECORDING_FILES_MAX)
        return usage_error("replay", "more than %d files", RECORDING_FILES_MAX);
    replay->files[replay->file_count++] = argument;
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

/* ---- the files of a recording ---- */

struct file_list {
    char **paths; /* owned, as each of them is */
    size_t count;
    uint32_t *parts; /* owned; of one name, while they are found */
    size_t part_count;
};

static void add_path(struct file_list *list, const char *path)
{
    list->paths = memory_resize(list->paths, list->count + 1, sizeof *list->paths);
    list->paths[list->count++] = memory_copy_text(path);
}

static void add_part(void *context, uint32_t part)
{
    struct file_list *list = context;
    if (list->part_count == RECORDING_FILES_MAX)
        return;
    list->parts = memory_resize(list->parts, list->part_count + 1, sizeof *list->parts);
    list->parts[list->part_count++] = part;
}

static int compare_parts(const void *left, const void *right)
{
    uint32_t one = *(const uint32_t *)left, other = *(const uint32_t *)right;
    return one < other ? -1 : one > other;
}

/* A name that is no file, but of which there are FILE.0001 and so on, stands for these. */
static void add_file(struct file_list *list, const char *path)
{
    char part[PARTS_PATH_MAX];
    list->part_count = 0;
    if (access(path, F_OK) != 0 && parts_walk(path, add_part, list, NULL) < 0)
        list->part_count = 0;
    if (list->part_count == 0)
        add_path(list, path); /* opening it says what is wrong */
    else
        qsort(list->parts, list->part_count, sizeof *list->parts, compare_parts);
    for (size_t i = 0; i < list->part_count; i++)
        if (parts_name(path, list->parts[i], part))
            add_path(list, part);
}

static void list_files(const struct replay_arguments *arguments, struct file_list *ret_list)
{
    *ret_list = (struct file_list){0};
    for (size_t i = 0; i < arguments->file_count; i++)
        add_file(ret_list, arguments->files[i]);
}

static void release_files(struct file_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        memory_free(list->paths[i]);
    memory_free(list->paths);
    memory_free(list->parts);
}

/* ---- the node ---- */

static const char *recorded_name(const struct recording_survey *survey, const char *name)
{
    for (size_t i = 0; i < survey->exchange_count; i++)
        if (strcmp(survey->exchanges[i], name) == 0)
            return survey->exchanges[i];
    return NULL;
}

/* The node collects just the recorded exchanges, from the replay's own port. */
static int wire_replay(struct settings *settings, const struct recording_survey *survey,
                       struct replay *replay)
{
    size_t wired = 0;
    for (size_t i = 0; i < settings->exchange_count; i++) {
        struct settings_exchange *exchange = &settings->exchanges[i];
        const char *recorded = recorded_name(survey, exchange->exchange->name);
        exchange->enabled = recorded != NULL;
        if (recorded == NULL)
            continue;
        char text[LIMIT_URL];
        snprintf(text, sizeof text, "/%s%s", exchange->exchange->name, exchange->exchange->ws_path);
        replay_route(replay, recorded, text);
        snprintf(text, sizeof text, "ws://127.0.0.1:%u/%s", replay_port(replay),
                 exchange->exchange->name);
        memory_free(exchange->ws_url);
        exchange->ws_url = memory_copy_text(text);
        wired++;
    }
    if (wired == survey->exchange_count)
        return 0;
    for (size_t i = 0; i < survey->exchange_count; i++)
        if (exchange_find(slice_of(survey->exchanges[i]), 0) == NULL)
            fprintf(stderr, "tickwire replay: unknown exchange `%s` in the recording\n",
                    survey->exchanges[i]);
    return EXIT_FAILED;
}

static int run_replay(const struct replay_options *options, struct settings *settings,
                      struct front *front, const struct recording_survey *survey)
{
    struct err err = {0};
    struct replay *replay = NULL;
    struct loop *loop = loop_create();
    int status = EXIT_FAILED;
    if (replay_open(loop, options, &replay, &err) < 0)
        fprintf(stderr, "tickwire replay: %s\n", err.text);
    else
        status = wire_replay(settings, survey, replay);
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

static int play_files(const struct replay_arguments *arguments, const struct file_list *files,
                      struct settings *settings, struct front *front)
{
    struct err err = {0};
    struct recording_survey survey;
    struct replay_options options = {
        .recording = {.files = (const char *const *)files->paths,
                      .file_count = files->count,
                      .default_exchange = arguments->exchange != NULL
                                              ? arguments->exchange
                                              : exchange_of_path(arguments->files[0]),
                      .from_us = arguments->from_ms * US_PER_MS},
        .listen = "127.0.0.1:0",
        .speed_permille = arguments->speed_permille,
        .forever = arguments->forever,
    };
    if (recording_survey(&options.recording, &survey, &err) < 0) {
        fprintf(stderr, "tickwire replay: %s\n", err.text);
        return EXIT_FAILED;
    }
    options.recording.first_us = survey.first_us;
    run_start_log(settings);
    int status = run_replay(&options, settings, front, &survey);
    log_stop();
    return status;
}

static int replay_files(struct replay_arguments *arguments)
{
    struct settings settings;
    struct front *front = NULL;
    struct file_list files;
    run_alone(&arguments->node);
    int status = run_load(&arguments->node, &settings, &front);
    if (status != 0)
        return status;
    list_files(arguments, &files);
    status = play_files(arguments, &files, &settings, front);
    release_files(&files);
    run_release(&settings, front);
    return status;
}

int command_replay(int count, char **arguments)
{
    struct arguments list = {.count = count, .values = arguments};
    struct replay_arguments replay = {.speed_permille = 1000};
    int result = 0;
    replay.files = memory_array((size_t)count + 1, sizeof *replay.files);
    for (const char *argument = arguments_next(&list); argument != NULL && result <= 1;
         argument = arguments_next(&list))
        result = replay_option(&list, argument, &replay);
    if (result <= 1 && replay.file_count == 0)
        result = usage_error("replay", "it needs a file");
    if (result <= 1)
        result = replay_files(&replay);
    memory_free(replay.files);
    return result;
}
