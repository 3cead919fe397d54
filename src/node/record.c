/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tickwire record: the half of a node that collects, and behind it nothing. Sessions connect,
 * subscribe, keep within limits and watch their data as they do in a node; their records go to a
 * carrier of which nobody reads. What they hear and say is tapped into a recorder.
 */
#include "node/commands.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "node/collection.h"
#include "node/run.h"
#include "sim/recorder.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#define CHECK_MS 100
#define DAY_MS INT64_C(86400000)
#define DURATION_MAX_MS (366 * DAY_MS)
#define KEEP_MAX 1000000
#define NS_PER_MS 1000000
#define FIRST_EPOCH 1

struct record_arguments {
    struct node_arguments node;
    const char *file;
    int64_t rotate_bytes, rotate_ms, for_ms; /* 0: not given */
    uint64_t keep;
};

/* One exchange that is recorded. */
struct source {
    const char *name;          /* borrowed from the registry */
    struct recorder *recorder; /* borrowed */
    uint8_t exchange;
    struct session_tap tap;
};

struct recording_node {
    struct loop *loop;
    struct recorder *recorder;
    struct carrier *carrier;
    struct sequencer *sequencer;
    struct collection *collection;
    struct timer *check_timer, *end_timer;
    size_t source_count;
    struct source sources[LIMIT_EXCHANGES];
    uint64_t lost; /* of which the log has told */
    int status;
};

/* ---- from a session's tap into the recorder ---- */

static void put(const struct source *source, struct recorder_entry entry)
{
    entry.exchange = source->exchange;
    recorder_put(source->recorder, &entry); /* what has no room is counted, and told by check */
}

static void on_opened(void *context, uint32_t connection, const char *url)
{
    put(context, (struct recorder_entry){.kind = RECORDER_OPEN,
                                         .connection = connection,
                                         .wall_us = clock_wall_us(),
                                         .text = slice_of(url)});
}

static void on_received(void *context, uint32_t connection, bool binary, struct slice raw,
                        int64_t received_us)
{
    put(context, (struct recorder_entry){.kind = binary ? RECORDER_BINARY : RECORDER_TEXT,
                                         .connection = connection,
                                         .wall_us = received_us,
                                         .text = raw});
}

static void on_sent(void *context, uint32_t connection, struct slice text)
{
    put(context, (struct recorder_entry){.kind = RECORDER_SENT,
                                         .connection = connection,
                                         .wall_us = clock_wall_us(),
                                         .text = text});
}

static void on_closed(void *context, uint32_t connection, uint16_t code, const char *reason)
{
    put(context, (struct recorder_entry){.kind = RECORDER_CLOSE,
                                         .connection = connection,
                                         .code = code,
                                         .wall_us = clock_wall_us(),
                                         .text = slice_of(reason)});
}

/* ---- a stream that nobody reads ---- */

static void drop_record(void *context, const struct record *record)
{
    (void)context;
    (void)record;
}

static void drop_barrier(void *context, const struct barrier *barrier)
{
    (void)context;
    (void)barrier;
}

static int open_stream(struct recording_node *node, const struct settings *settings,
                       struct err *err)
{
    struct carrier_reader reader = {.record = drop_record, .barrier = drop_barrier};
    char stream[LIMIT_STREAM_ID];
    stream_id_make(stream);
    node->carrier =
        carrier_kind_find("memory")->open(&(struct carrier_options){.reader = reader}, err);
    if (node->carrier == NULL)
        return err_wrap(err, "carrier memory");
    node->sequencer = sequencer_create(stream, FIRST_EPOCH, 0, 0, node->carrier);
    if (sequencer_open_epoch(node->sequencer, settings->node.id, clock_wall_us()) != CARRIER_TAKEN)
        return err_set(err, -EIO, "the carrier does not take the first record");
    return 0;
}

/* ---- exchanges ---- */

/* The sources are in the order of the recorder's names. */
static void make_sources(struct recording_node *node, const struct settings *settings)
{
    for (size_t i = 0; i < settings->exchange_count; i++) {
        if (!settings->exchanges[i].enabled)
            continue;
        struct source *source = &node->sources[node->source_count];
        *source = (struct source){
            .name = settings->exchanges[i].exchange->name,
            .recorder = node->recorder,
            .exchange = (uint8_t)node->source_count++,
            .tap = {.opened = on_opened,
                    .received = on_received,
                    .sent = on_sent,
                    .closed = on_closed,
                    .context = source},
        };
    }
}

static const struct session_tap *tap_of(void *context, const char *exchange)
{
    const struct recording_node *node = context;
    for (size_t i = 0; i < node->source_count; i++)
        if (strcmp(node->sources[i].name, exchange) == 0)
            return &node->sources[i].tap;
    return NULL;
}

static int open_collection(struct recording_node *node, const struct settings *settings,
                           struct err *err)
{
    make_sources(node, settings);
    return collection_create(&(struct collection_options){.loop = node->loop,
                                                          .settings = settings,
                                                          .sequencer = node->sequencer,
                                                          .tap = tap_of,
                                                          .context = node},
                             &node->collection, err);
}

/* ---- the run ---- */

static void leave(void *context)
{
    struct recording_node *node = context;
    loop_stop(node->loop);
}

/* How the writing goes: what it could not take is told, and its end is ours. */
static void check(void *context)
{
    struct recording_node *node = context;
    struct recorder_totals totals;
    struct err err = {0};
    if (recorder_check(node->recorder, &err) < 0) {
        log_error("record", log_text("msg", "cannot write any more, ending"),
                  log_text("error", err.text));
        node->status = EXIT_FAILED;
        loop_stop(node->loop);
        return;
    }
    recorder_describe(node->recorder, &totals);
    if (totals.lost > node->lost)
        log_warn("record", log_text("msg", "the disk is too slow, messages left out"),
                 log_int("messages", (int64_t)(totals.lost - node->lost)),
                 log_int("in_all", (int64_t)totals.lost));
    node->lost = totals.lost;
}

static void run(struct recording_node *node, int64_t for_ms)
{
    timer_start(node->check_timer, CHECK_MS, CHECK_MS);
    if (for_ms > 0)
        timer_start(node->end_timer, (uint64_t)for_ms, 0);
    collection_start(node->collection);
    loop_run(node->loop);
}

static void ignore(void *context)
{
    (void)context;
}

static void open_timers(struct recording_node *node)
{
    loop_on_signal(node->loop, SIGTERM, leave, node);
    loop_on_signal(node->loop, SIGINT, leave, node);
    loop_on_signal(node->loop, SIGHUP, ignore, node); /* nothing is reloaded; a recording goes on */
    node->check_timer = timer_create_on(node->loop, check, node);
    node->end_timer = timer_create_on(node->loop, leave, node);
}

static void release_node(struct recording_node *node)
{
    collection_destroy(node->collection);
    timer_destroy(node->check_timer);
    timer_destroy(node->end_timer);
    sequencer_destroy(node->sequencer);
    if (node->carrier != NULL)
        node->carrier->kind->close(node->carrier);
}

/* Everything is on the disk, or the reason why not is said. */
static int close_recorder(struct recorder *recorder, int status)
{
    struct err err = {0};
    struct recorder_totals totals;
    recorder_describe(recorder, &totals);
    if (recorder_close(recorder, &err) < 0) {
        if (status == EXIT_DONE) /* else it was said when it came */
            log_error("record", log_text("msg", "not all could be written"),
                      log_text("error", err.text));
        return EXIT_FAILED;
    }
    log_info("record", log_text("msg", "recorded"), log_int("entries", (int64_t)totals.entries),
             log_int("left_out", (int64_t)totals.lost));
    return status;
}

static int record(const struct record_arguments *arguments, const struct settings *settings,
                  struct recorder *recorder)
{
    struct err err = {0};
    struct recording_node node = {.recorder = recorder, .loop = loop_create()};
    open_timers(&node);
    int result = open_stream(&node, settings, &err);
    if (result == 0)
        result = open_collection(&node, settings, &err);
    if (result == 0)
        run(&node, arguments->for_ms);
    else
        log_error("record", log_text("msg", "cannot start"), log_text("error", err.text));
    release_node(&node);
    int status = close_recorder(recorder, result == 0 ? node.status : EXIT_FAILED);
    return end_loop(node.loop, status);
}

/* ---- the command ---- */

static int open_recorder(const struct record_arguments *arguments, const struct settings *settings,
                         const char **names, struct recorder **ret_recorder)
{
    struct err err = {0};
    struct recorder_options options = {
        .file = arguments->file,
        .exchanges = names,
        .rotate_bytes = (uint64_t)arguments->rotate_bytes,
        .rotate_ns = arguments->rotate_ms * NS_PER_MS,
        .keep = (uint32_t)arguments->keep,
    };
    for (size_t i = 0; i < settings->exchange_count; i++)
        if (settings->exchanges[i].enabled)
            names[options.exchange_count++] = settings->exchanges[i].exchange->name;
    if (options.exchange_count == 0)
        fprintf(stderr, "tickwire record: no exchange is enabled\n");
    else if (recorder_open(&options, ret_recorder, &err) < 0)
        fprintf(stderr, "tickwire record: %s\n", err.text);
    return *ret_recorder == NULL ? EXIT_FAILED : 0;
}

static int load_settings(const struct node_arguments *arguments, struct settings *settings)
{
    struct err err = {0};
    struct settings_options sources;
    run_sources(arguments, &sources);
    if (settings_load(settings, &sources, &err) == 0)
        return 0;
    fprintf(stderr, "tickwire: %s\n", err.text);
    return EXIT_CONFIGURATION;
}

static int record_option(struct arguments *list, const char *argument,
                         struct record_arguments *record)
{
    const char *value = NULL;
    int result = arguments_node(list, "record", argument, &record->node);
    if (result != 0)
        return result;
    if (arguments_option(list, argument, "-o", &value)) {
        record->file = value;
        return value != NULL ? 1 : usage_error("record", "-o needs a file");
    }
    if (arguments_option(list, argument, "--rotate-size", &value)) {
        bool read = value != NULL && arguments_size(value, RECORDER_PART_MIN, INT64_C(1) << 50,
                                                    &record->rotate_bytes);
        return read ? 1 : usage_error("record", "--rotate-size needs a size of 64KiB or more");
    }
    if (arguments_option(list, argument, "--rotate-time", &value)) {
        bool read =
            value != NULL && arguments_duration(value, 1000, DURATION_MAX_MS, &record->rotate_ms);
        return read ? 1 : usage_error("record", "--rotate-time needs a duration of 1s or more");
    }
    if (arguments_option(list, argument, "--for", &value)) {
        bool read = value != NULL && arguments_duration(value, 1, DURATION_MAX_MS, &record->for_ms);
        return read ? 1 : usage_error("record", "--for needs a duration like 60s or 1h");
    }
    if (arguments_option(list, argument, "--keep", &value)) {
        bool read = value != NULL && slice_to_uint64(slice_of(value), KEEP_MAX, &record->keep) &&
                    record->keep > 0;
        return read ? 1 : usage_error("record", "--keep needs a number of files");
    }
    return usage_error("record", "unknown argument `%s`", argument);
}

static int check_usage(const struct record_arguments *record)
{
    if (record->file == NULL || record->file[0] == '\0')
        return usage_error("record", "it needs -o FILE");
    if (record->keep > 0 && record->rotate_bytes == 0 && record->rotate_ms == 0)
        return usage_error("record", "--keep goes with --rotate-size or --rotate-time");
    return 0;
}

int command_record(int count, char **arguments)
{
    struct arguments list = {.count = count, .values = arguments};
    struct record_arguments options = {0};
    struct settings settings;
    struct recorder *recorder = NULL;
    const char *names[LIMIT_EXCHANGES];
    for (const char *argument = arguments_next(&list); argument != NULL;
         argument = arguments_next(&list)) {
        int result = record_option(&list, argument, &options);
        if (result > 1)
            return result;
    }
    int status = check_usage(&options);
    if (status == 0)
        status = load_settings(&options.node, &settings);
    if (status != 0)
        return status;
    run_start_log(&settings);
    signal(SIGXFSZ, SIG_IGN); /* a limit of file size is an error like a full disk */
    status = open_recorder(&options, &settings, names, &recorder);
    if (status == 0)
        status = record(&options, &settings, recorder);
    log_stop();
    settings_release(&settings);
    return status;
}
