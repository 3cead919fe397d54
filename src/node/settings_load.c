/* SPDX-License-Identifier: Apache-2.0 */
/* From the sources into the struct, weakest first: defaults, file, environment, --set. */
#include "base/memory.h"
#include "node/settings_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static const struct slice variable_prefix = {.data = "TICKWIRE_", .size = 9};

#define NAME_SHOWN 100

/* Of a long path its end, so that there is room for what is wrong. */
static const char *shown_name(const struct setting_place *place)
{
    size_t size = strlen(place->name);
    return size > NAME_SHOWN ? place->name + size - NAME_SHOWN : place->name;
}

int settings_fail(struct err *err, const struct setting_place *place, const char *format, ...)
{
    char text[sizeof err->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    switch (place->origin) {
    case ORIGIN_FILE:
        return err_set(err, -EINVAL, "%s:%zu:%zu: %s", shown_name(place), place->line,
                       place->column, text);
    case ORIGIN_ENVIRONMENT:
        return err_set(err, -EINVAL, "environment variable %.80s: %s", place->name, text);
    case ORIGIN_FLAG:
        return err_set(err, -EINVAL, "--set: %s", text);
    case ORIGIN_DEFAULT:
        break;
    }
    return err_set(err, -EINVAL, "default: %s", text);
}

/* ---- one value ---- */

struct loading {
    struct settings *settings;
    const struct settings *defaults;
    const struct catalog *catalog;
};

/* What does not exist yet may be said only as far as it changes nothing. */
static bool is_built(const struct loading *loading, const struct setting *setting,
                     const void *field)
{
    if ((setting->row->flags & SETTING_UNBUILT) == 0 ||
        setting_equal(setting, field, setting_field_const(loading->defaults, setting)))
        return true;
    if (setting->row->accepts == NULL)
        return false;
    struct buffer text;
    buffer_init(&text, KIBIBYTE);
    setting_write(setting, field, &text);
    bool is_accepted = slice_is(buffer_slice(&text), setting->row->accepts);
    buffer_release(&text);
    return is_accepted;
}

/* Puts a value that was read in the place of the one before. */
static int take(struct loading *loading, const struct setting *setting, void *value,
                const struct setting_place *place, struct err *err)
{
    if (!is_built(loading, setting, value)) {
        setting_clear(setting, value);
        return settings_fail(err, place, "%s is not built yet in this version", setting->key);
    }
    void *field = setting_field(loading->settings, setting);
    setting_clear(setting, field);
    memcpy(field, value, setting_size(setting));
    loading->settings->origin[setting - loading->catalog->settings] = (uint8_t)place->origin;
    return 0;
}

static int refuse(const struct setting *setting, const struct setting_complaint *complaint,
                  const struct setting_place *place, struct err *err)
{
    if (complaint->sentence[0] != '\0')
        return settings_fail(err, place, "%s", complaint->sentence);
    return settings_fail(err, place, "%s: expected %s, found %s", setting->key, complaint->expected,
                         complaint->found);
}

static int take_text(struct loading *loading, const struct setting *setting, struct slice text,
                     const struct setting_place *place, struct err *err)
{
    union any_value value = {.map = {.count = 0}};
    struct setting_complaint complaint = {.sentence = ""};
    if (!setting_read_text(setting, text, &value, &complaint))
        return refuse(setting, &complaint, place, err);
    return take(loading, setting, &value, place, err);
}

static int take_entry(void *context, const struct setting *setting,
                      const struct setting_input *input, const struct setting_place *place,
                      struct err *err)
{
    union any_value value = {.map = {.count = 0}};
    struct setting_complaint complaint = {.sentence = ""};
    if (!setting_read(setting, input, &value, &complaint))
        return refuse(setting, &complaint, place, err);
    return take(context, setting, &value, place, err);
}

/* ---- the sources ---- */

static void take_defaults(struct settings *settings, const struct catalog *catalog)
{
    *settings = (struct settings){.exchange_count = exchange_count()};
    for (size_t i = 0; i < catalog->count; i++) {
        const struct setting *setting = &catalog->settings[i];
        struct setting_complaint complaint = {.sentence = ""};
        bool taken = setting_read_text(setting, slice_of(setting->fallback),
                                       setting_field(settings, setting), &complaint);
        assert(taken); /* a default is within its own bounds */
    }
}

static const struct setting *find_variable(const struct catalog *catalog, struct slice name)
{
    for (size_t i = 0; i < catalog->count; i++) {
        char variable[SETTING_KEY_MAX + 16];
        setting_variable(&catalog->settings[i], variable);
        if (slice_is(name, variable))
            return &catalog->settings[i];
    }
    return NULL;
}

static int take_variable(struct loading *loading, struct slice entry, struct err *err)
{
    struct slice value;
    struct slice name = slice_split(entry, '=', &value);
    char terminated[160];
    bool is_short = slice_copy(name, terminated, sizeof terminated);
    const struct setting_place place = {.origin = ORIGIN_ENVIRONMENT,
                                        .name = is_short ? terminated : "TICKWIRE_..."};
    const struct setting *setting = find_variable(loading->catalog, name);
    if (setting != NULL)
        return take_text(loading, setting, value, &place, err);

    struct buffer hint;
    buffer_init(&hint, KIBIBYTE);
    suggest_variable(loading->catalog, name, &hint);
    int result = settings_fail(err, &place, "no such setting%s", hint.data);
    buffer_release(&hint);
    return result;
}

static int take_environment(struct loading *loading, const char *const *environment,
                            struct err *err)
{
    for (; environment != NULL && *environment != NULL; environment++) {
        struct slice entry = slice_of(*environment);
        if (!slice_starts_with(entry, variable_prefix))
            continue;
        int result = take_variable(loading, entry, err);
        if (result < 0)
            return result;
    }
    return 0;
}

static int take_flag(struct loading *loading, const char *flag, struct err *err)
{
    static const struct setting_place place = {.origin = ORIGIN_FLAG};
    if (strchr(flag, '=') == NULL)
        return settings_fail(err, &place, "expected key=value, found \"%.40s\"", flag);
    struct slice value;
    struct slice key = slice_trim(slice_split(slice_of(flag), '=', &value));
    const struct setting *setting = catalog_find(loading->catalog, key);
    if (setting != NULL)
        return take_text(loading, setting, slice_trim(value), &place, err);

    if (catalog_is_section(loading->catalog, key))
        return settings_fail(err, &place, "expected a key, found the section \"%.*s\"",
                             (int)key.size, key.data);
    struct buffer hint;
    buffer_init(&hint, KIBIBYTE);
    suggest_key(loading->catalog, key, &hint);
    int result = settings_fail(err, &place, "no such key \"%.*s\"%s",
                               (int)(key.size < 80 ? key.size : 80), key.data, hint.data);
    buffer_release(&hint);
    return result;
}

static int take_flags(struct loading *loading, const struct settings_options *options,
                      struct err *err)
{
    for (size_t i = 0; i < options->set_count; i++) {
        int result = take_flag(loading, options->set[i], err);
        if (result < 0)
            return result;
    }
    return 0;
}

/* ---- what follows from the values ---- */

/* A host's name may hold what a name may not; such bytes become '-'. */
static void name_node(struct settings *settings)
{
    assert(settings->node.id != NULL); /* texts never are */
    if (settings->node.id[0] != '\0')
        return;
    char name[64] = "";
    if (gethostname(name, sizeof name) != 0)
        name[0] = '\0';
    name[sizeof name - 1] = '\0';
    for (size_t i = 0; name[i] != '\0'; i++) {
        if (!check_name((struct slice){.data = &name[i], .size = 1}, NULL))
            name[i] = '-';
    }
    memory_free(settings->node.id);
    settings->node.id = memory_copy_text(name[0] == '\0' ? "node" : name);
}

static void choose_adapters(struct settings *settings)
{
    for (size_t i = 0; i < settings->exchange_count; i++) {
        struct settings_exchange *of = &settings->exchanges[i];
        of->exchange = exchange_find(slice_of(exchange_at(i)->name), (unsigned)of->generation);
        assert(of->exchange != NULL); /* check_generation has seen to it */
    }
}

#define LIFETIME_MIN_MS 2000 /* a connection must have time to be replaced */

static int check_streams(const struct settings *settings, struct err *err)
{
    for (size_t i = 0; i < settings->exchange_count; i++) {
        const struct settings_exchange *of = &settings->exchanges[i];
        uint32_t most = of->exchange->limits.streams_per_connection;
        size_t wanted = of->symbols.count * of->channels.count;
        if (of->lifetime_ms > 0 && of->lifetime_ms < LIFETIME_MIN_MS)
            return err_set(err, -EINVAL,
                           "exchanges.%s.lifetime: expected 0 or at least 2s, found %lldms",
                           of->exchange->name, (long long)of->lifetime_ms);
        if (of->enabled && most > 0 && wanted > most)
            return err_set(err, -EINVAL,
                           "exchanges.%s: %zu symbols with %zu channels are %zu streams, expected "
                           "at most %u on one connection",
                           of->exchange->name, of->symbols.count, of->channels.count, wanted, most);
    }
    return 0;
}

static bool has_property(const struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->kafka.properties.count; i++)
        if (strcmp(settings->kafka.properties.keys[i], name) == 0)
            return true;
    return false;
}

static int check_cluster(const struct settings *settings, struct err *err)
{
    bool has_peers = settings->cluster.peers.count > 0;
    if (settings->kafka.password_file[0] != '\0' && has_property(settings, "sasl.password"))
        return err_set(err, -EINVAL,
                       "kafka.password_file: expected no sasl.password in kafka.properties beside "
                       "it, found both");
    if (settings->cluster.role == CLUSTER_AUTO && has_peers)
        return err_set(err, -EINVAL,
                       "cluster.role: expected leader or follower where cluster.peers is set, "
                       "found \"auto\": the election among them is not built yet in this version");
    if (settings->cluster.role == CLUSTER_FOLLOWER && !has_peers && !settings->kafka.enabled)
        return err_set(err, -EINVAL,
                       "cluster.role: expected kafka.enabled or cluster.peers with a follower, "
                       "found neither: it has nothing to follow");
    return 0;
}

int settings_check(const struct settings *settings, struct err *err)
{
    int result = check_streams(settings, err);
    return result < 0 ? result : check_cluster(settings, err);
}

static void clear(struct settings *settings, const struct catalog *catalog)
{
    for (size_t i = 0; i < catalog->count; i++)
        setting_clear(&catalog->settings[i], setting_field(settings, &catalog->settings[i]));
}

int settings_load(struct settings *ret_settings, const struct settings_options *options,
                  struct err *err)
{
    CLEANUP(catalog_destroyp) struct catalog *catalog = catalog_create();
    CLEANUP(memory_freep) struct settings *defaults = memory_alloc(sizeof *defaults);
    CLEANUP(memory_freep) struct settings *settings = memory_alloc(sizeof *settings);
    take_defaults(defaults, catalog);
    take_defaults(settings, catalog);
    struct loading loading = {.settings = settings, .defaults = defaults, .catalog = catalog};

    int result = 0;
    if (options->file != NULL)
        result = settings_yaml_read(options->file, options->not_empty, catalog, take_entry,
                                    &loading, err);
    if (result == 0)
        result = take_environment(&loading, options->environment, err);
    if (result == 0)
        result = take_flags(&loading, options, err);

    clear(defaults, catalog);
    if (result == 0) {
        name_node(settings);
        choose_adapters(settings);
        result = settings_check(settings, err);
    }
    if (result < 0) {
        clear(settings, catalog);
        return result;
    }
    *ret_settings = *settings;
    return 0;
}

void settings_release(struct settings *settings)
{
    CLEANUP(catalog_destroyp) struct catalog *catalog = catalog_create();
    clear(settings, catalog);
    *settings = (struct settings){.exchange_count = 0};
}

uint32_t settings_channels(const struct settings_exchange *settings)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < settings->channels.count; i++) {
        enum channel channel;
        bool found = channel_find(slice_of(settings->channels.items[i]), &channel);
        assert(found);
        bits |= CHANNEL_BIT(channel);
    }
    return bits;
}
