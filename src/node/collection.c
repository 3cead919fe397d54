/* SPDX-License-Identifier: Apache-2.0 */
/* Settings become plans of sessions here, at the start and whenever they change. */
#include "node/collection.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "node/way_out.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEEP_MS 1000 /* what the exchanges allow is written down so often */
#define STATE_MAX (4 * MEBIBYTE)
#define PATH_SIZE 4096

struct collected {
    struct egress *egress;   /* owned; stays when the session goes */
    struct session *session; /* owned; NULL: not collected */
    bool returning;          /* it was collected before */
};

struct collection {
    struct collection_options options;
    struct proxy *proxy; /* owned; NULL: none */
    struct timer *keep_timer;
    struct buffer kept, written; /* the state, as it is and as the file has it */
    bool keep_failed;            /* said once */
    bool started;
    struct collected collected[LIMIT_EXCHANGES]; /* in the order of the settings */
    const char *names[LIMIT_EXCHANGES + 1];
    size_t count;
    size_t index[LIMIT_EXCHANGES]; /* of those that are enabled, into settings and collected */
};

/* ---- what the exchanges allow, over a restart ---- */

static const char *state_file(const struct collection *collection)
{
    return collection->options.settings->node.state_file;
}

/* Never into what somebody else has put there: a link to another file, or a pipe. */
static int write_whole(const char *path, struct slice text)
{
    if (unlink(path) != 0 && errno != ENOENT)
        return -errno;
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        return -errno;
    ssize_t size = write(file, text.data, text.size);
    int result = size == (ssize_t)text.size ? 0 : size < 0 ? -errno : -ENOSPC;
    if (close(file) != 0 && result == 0)
        result = -errno;
    return result;
}

/* Whole or not at all: a reader never sees half a file. What is there and is no file (/dev/null)
 * stays. */
static int replace_file(const char *path, struct slice text)
{
    char fresh[PATH_SIZE];
    struct stat status;
    if (lstat(path, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode))
        return S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
    int size = snprintf(fresh, sizeof fresh, "%s.new", path);
    if (size < 0 || (size_t)size >= sizeof fresh)
        return -ENAMETOOLONG;
    int result = write_whole(fresh, text);
    if (result == 0 && rename(fresh, path) != 0)
        result = -errno;
    return result;
}

static bool same_text(const struct buffer *left, const struct buffer *right)
{
    return left->size == right->size &&
           (left->size == 0 || memcmp(left->data, right->data, left->size) == 0);
}

static void keep_state(void *context)
{
    struct collection *collection = context;
    int64_t now_ns = clock_monotonic_ns(), wall_us = clock_wall_us();
    buffer_clear(&collection->kept);
    for (size_t i = 0; i < collection->options.settings->exchange_count; i++) {
        egress_write(collection->collected[i].egress, now_ns, wall_us, &collection->kept);
        buffer_append_text(&collection->kept, "\n");
    }
    if (same_text(&collection->kept, &collection->written))
        return;
    int result = replace_file(state_file(collection), buffer_slice(&collection->kept));
    if (result < 0 && !collection->keep_failed)
        log_warn("node", log_text("msg", "node.state_file cannot be written, going on without"),
                 log_text("file", state_file(collection)), log_text("error", strerror(-result)));
    collection->keep_failed = result < 0;
    buffer_clear(&collection->written);
    if (result == 0)
        buffer_append_slice(&collection->written, buffer_slice(&collection->kept));
}

static void take_state(struct collection *collection, struct slice line)
{
    struct err err = {0};
    int result = -ENOENT;
    for (size_t i = 0; i < collection->options.settings->exchange_count && result == -ENOENT; i++)
        result = egress_read(collection->collected[i].egress, line, clock_monotonic_ns(),
                             clock_wall_us(), &err);
    if (result != 0 && result != -ENOENT)
        log_warn("node", log_text("msg", "a line of node.state_file is not used"),
                 log_text("error", err.text));
}

/* What is no plain file (a pipe, a device) has perhaps no end. */
static int read_whole(const char *path, struct buffer *out)
{
    char part[4096];
    struct stat status;
    int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (file < 0)
        return -errno;
    int result = fstat(file, &status) == 0 ? 0 : -errno;
    if (result == 0 && !S_ISREG(status.st_mode))
        result = S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
    while (result == 0 && !out->overflowed) {
        ssize_t size = read(file, part, sizeof part);
        if (size == 0)
            break;
        if (size > 0)
            buffer_append(out, part, (size_t)size);
        else if (errno != EINTR)
            result = -errno;
    }
    close(file);
    return result;
}

static void load_state(struct collection *collection)
{
    int result = read_whole(state_file(collection), &collection->kept);
    if (result == -ENOENT)
        return;
    if (result < 0) {
        log_warn("node", log_text("msg", "node.state_file cannot be read"),
                 log_text("file", state_file(collection)), log_text("error", strerror(-result)));
        return;
    }
    if (collection->kept.overflowed)
        log_warn("node", log_text("msg", "node.state_file is too long, not used"));
    buffer_append(&collection->kept, "\0", 1); /* whoever reads JSON may look behind it */
    char padding[LIMIT_PADDING] = {0};
    buffer_append(&collection->kept, padding, sizeof padding);
    if (collection->kept.overflowed)
        return;
    struct slice rest = slice_of(collection->kept.data);
    while (rest.size > 0) {
        struct slice line = slice_split(rest, '\n', &rest);
        if (line.size > 0)
            take_state(collection, line);
    }
}

/* ---- plans ---- */

/* The symbols belong to the caller: memory_free. */
static int make_plan(const struct settings_exchange *settings, struct session_plan *plan,
                     struct symbol **ret_symbols, struct err *err)
{
    const struct exchange *exchange = settings->exchange;
    struct symbol *symbols = memory_array(settings->symbols.count + 1, sizeof *symbols);
    *ret_symbols = symbols;
    for (size_t i = 0; i < settings->symbols.count; i++)
        if (!symbol_read(slice_of(settings->symbols.items[i]), &symbols[i]))
            return err_set(err, -EINVAL, "not a symbol: %s", settings->symbols.items[i]);
    *plan = (struct session_plan){
        .ws_url = settings->ws_url[0] == '\0' ? exchange->ws_url : settings->ws_url,
        .rest_url = settings->rest_url[0] == '\0' ? exchange->rest_url : settings->rest_url,
        .symbols = symbols,
        .symbol_count = settings->symbols.count,
        .channels = settings_channels(settings),
        .connections = (uint32_t)settings->connections,
        .stale_after_ms = settings->stale_after_ms,
        .lifetime_ms = settings->lifetime_ms,
    };
    return 0;
}

static void list_enabled(struct collection *collection)
{
    const struct settings *settings = collection->options.settings;
    collection->count = 0;
    for (size_t i = 0; i < settings->exchange_count; i++) {
        if (!settings->exchanges[i].enabled)
            continue;
        collection->names[collection->count] = settings->exchanges[i].exchange->name;
        collection->index[collection->count++] = i;
    }
    collection->names[collection->count] = NULL;
}

static int open_session(struct collection *collection, size_t index, struct err *err)
{
    const struct collection_options *options = &collection->options;
    const struct settings_exchange *settings = &options->settings->exchanges[index];
    struct collected *collected = &collection->collected[index];
    const char *name = settings->exchange->name;
    struct session_plan plan;
    struct symbol *symbols;
    struct session_options session = {
        .loop = options->loop,
        .exchange = settings->exchange,
        .sequencer = options->sequencer,
        .egress = collected->egress,
        .proxy = collection->proxy,
        .connecting = state_file(collection)[0] == '\0' ? NULL : keep_state,
        .context = collection,
        .tap = options->tap == NULL ? NULL : options->tap(options->context, name),
        .book_depth = (uint32_t)options->settings->stream.book_depth,
        .learn = options->learn,
        .blind = options->blind,
        .as_is = options->as_is,
        .returning = collected->returning,
        .past = options->past,
    };
    int result = make_plan(settings, &plan, &symbols, err);
    if (result == 0)
        collected->session = session_create(&session, &plan, err);
    memory_free(symbols);
    if (collected->session == NULL)
        return err_wrap(err, name);
    return 0;
}

static void close_session(struct collection *collection, size_t index)
{
    session_destroy(collection->collected[index].session);
    collection->collected[index].session = NULL;
}

/* ---- reload ---- */

static int change_session(struct collection *collection, size_t index, struct err *err)
{
    const struct settings_exchange *settings = &collection->options.settings->exchanges[index];
    struct session *session = collection->collected[index].session;
    struct session_plan plan;
    struct symbol *symbols;
    if (session == NULL) {
        int result = settings->enabled ? open_session(collection, index, err) : 0;
        if (result == 0 && settings->enabled)
            session_start(collection->collected[index].session);
        return result;
    }
    if (!settings->enabled) {
        session_retire(session);
        close_session(collection, index);
        collection->collected[index].returning = true;
        return 0;
    }
    int result = make_plan(settings, &plan, &symbols, err);
    if (result == 0)
        result = session_change(session, &plan, err);
    memory_free(symbols);
    return result;
}

void collection_reload(struct collection *collection, const struct settings_reload *reload)
{
    const struct settings *settings = collection->options.settings;
    list_enabled(collection);
    for (size_t i = 0; i < settings->exchange_count && collection->started; i++) {
        char prefix[64];
        struct err err = {0};
        const char *name = settings->exchanges[i].exchange->name;
        snprintf(prefix, sizeof prefix, "exchanges.%s.", name);
        if (settings_reload_has(reload, prefix) && change_session(collection, i, &err) < 0)
            log_error("node", log_text("msg", "the new settings of an exchange are not in force"),
                      log_text("exchange", name), log_text("error", err.text));
    }
}

/* ---- life ---- */

static void make_egresses(struct collection *collection)
{
    const struct settings *settings = collection->options.settings;
    const char *address = collection->proxy == NULL ? "" : proxy_name(collection->proxy);
    for (size_t i = 0; i < settings->exchange_count; i++)
        collection->collected[i].egress = egress_create(settings->exchanges[i].exchange, address);
    if (state_file(collection)[0] == '\0')
        return;
    load_state(collection);
    collection->keep_timer = timer_create_on(collection->options.loop, keep_state, collection);
    timer_start(collection->keep_timer, KEEP_MS, KEEP_MS);
}

int collection_create(const struct collection_options *options, struct collection **ret_collection,
                      struct err *err)
{
    struct collection *collection = memory_alloc(sizeof *collection);
    const struct settings *settings = options->settings;
    collection->options = *options;
    buffer_init(&collection->kept, STATE_MAX);
    buffer_init(&collection->written, STATE_MAX);
    int result = way_out_create(settings, &collection->proxy, err);
    if (result < 0) {
        collection_destroy(collection);
        return result;
    }
    make_egresses(collection);
    list_enabled(collection);
    *ret_collection = collection;
    return 0;
}

/* All of them are there before the first of them says anything. */
void collection_start(struct collection *collection)
{
    const struct settings *settings = collection->options.settings;
    struct err err = {0};
    collection->started = true;
    for (size_t i = 0; i < settings->exchange_count; i++)
        if (settings->exchanges[i].enabled && open_session(collection, i, &err) < 0)
            log_error("node", log_text("msg", "an exchange can't be collected"),
                      log_text("error", err.text));
    for (size_t i = 0; i < settings->exchange_count; i++)
        if (collection->collected[i].session != NULL)
            session_start(collection->collected[i].session);
}

void collection_leave(struct collection *collection)
{
    collection->started = false;
    for (size_t i = 0; i < LIMIT_EXCHANGES; i++)
        close_session(collection, i);
}

bool collection_is_started(const struct collection *collection)
{
    return collection->started;
}

void collection_destroy(struct collection *collection)
{
    if (collection == NULL)
        return;
    if (collection->keep_timer != NULL)
        keep_state(collection);
    timer_destroy(collection->keep_timer);
    for (size_t i = 0; i < LIMIT_EXCHANGES; i++) {
        session_destroy(collection->collected[i].session);
        egress_destroy(collection->collected[i].egress);
    }
    proxy_destroy(collection->proxy);
    buffer_release(&collection->kept);
    buffer_release(&collection->written);
    memory_free(collection);
}

/* ---- what there is ---- */

const char *const *collection_names(const struct collection *collection)
{
    return collection->names;
}

size_t collection_count(const struct collection *collection)
{
    return collection->count;
}

const struct settings_exchange *collection_settings(const struct collection *collection,
                                                    size_t index)
{
    assert(index < collection->count);
    return &collection->options.settings->exchanges[collection->index[index]];
}

bool collection_describe(const struct collection *collection, size_t index,
                         struct session_info *ret_info)
{
    assert(index < collection->count);
    const struct session *session = collection->collected[collection->index[index]].session;
    if (session == NULL)
        return false;
    session_describe(session, ret_info);
    return true;
}
