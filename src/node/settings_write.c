/* SPDX-License-Identifier: Apache-2.0 */
/* The settings for people: the effective configuration, the reference, and what a reload changes.
 */
#include "node/settings_priv.h"

#include <assert.h>
#include <inttypes.h>

static const char *const origin_names[] = {
    [ORIGIN_DEFAULT] = "default",
    [ORIGIN_FILE] = "file",
    [ORIGIN_ENVIRONMENT] = "environment",
    [ORIGIN_FLAG] = "flag",
};

static const char *change_name(const struct setting_row *row)
{
    return (row->flags & SETTING_LIVE) != 0 ? "live" : "restart";
}

static const char *last_name(const char *key)
{
    const char *dot = strrchr(key, '.');
    return dot == NULL ? key : dot + 1;
}

/* ---- the effective configuration ---- */

static void indent(struct buffer *out, size_t depth)
{
    for (size_t i = 0; i < depth; i++)
        buffer_append_text(out, "  ");
}

/* The section lines between the key before and this one; returns the depth of the key. */
static size_t write_sections(const char *before, const char *key, struct buffer *out)
{
    size_t depth = 0;
    bool is_same = true;
    struct slice rest = slice_of(key);
    struct slice rest_before = slice_of(before);
    for (;;) {
        struct slice name = slice_split(rest, '.', &rest);
        if (rest.size == 0)
            return depth;
        is_same = slice_equal(name, slice_split(rest_before, '.', &rest_before)) && is_same;
        if (!is_same) {
            indent(out, depth);
            buffer_append_slice(out, name);
            buffer_append_text(out, ":\n");
        }
        depth++;
    }
}

void settings_write_effective(const struct settings *settings, struct buffer *out)
{
    CLEANUP(catalog_destroyp) struct catalog *catalog = catalog_create();
    const char *before = "";
    for (size_t i = 0; i < catalog->count; i++) {
        const struct setting *setting = &catalog->settings[i];
        assert(settings->origin[i] < COUNT_OF(origin_names));
        indent(out, write_sections(before, setting->key, out));
        buffer_append_format(out, "%s: ", last_name(setting->key));
        setting_write(setting, setting_field_const(settings, setting), out);
        buffer_append_format(out, " # %s, %s\n", origin_names[settings->origin[i]],
                             change_name(setting->row));
        before = setting->key;
    }
}

/* ---- the reference ---- */

static const char reference_head[] =
    "# Configuration\n"
    "\n"
    "Made from the table of settings by `tickwire check --reference`; a test compares the two.\n"
    "\n"
    "Every key can be written in a YAML file (`-c FILE`), set by the environment\n"
    "(`http.listen` is `TICKWIRE_HTTP_LISTEN`: upper case, dots become underscores), or given as\n"
    "`--set http.listen=127.0.0.1:9000`. `--set` beats the environment, which beats the file, "
    "which\n"
    "beats the default. A key that does not exist is an error, and so is a value out of bounds.\n"
    "`tickwire check` prints what is in force, and where each value came from.\n"
    "\n"
    "Durations are written `250ms`, `4s`, `30m`, `1h`; sizes `64KiB`, `256MiB`, `1GiB` or plain\n"
    "bytes. Lists are `[a, b]` in YAML and `a,b` in the environment and `--set`; names and values\n"
    "are `{a: b}` and `a=b`.\n"
    "\n"
    "SIGHUP reads the file again: a *live* key has its new value at once, the others keep theirs\n"
    "until a *restart*, and the log says which is which. A file with an error changes nothing,\n"
    "nor does an empty one. The same signal reads certificate, key and tokens again\n"
    "(docs/access.md), and Kafka's password.\n"
    "Keys marked *not built yet* are known, but this version takes nothing but their default.\n";

/* A range as it is written in YAML, through a setting that has the row's type. */
static void write_bound(const struct setting_row *row, int64_t bound, struct buffer *out)
{
    const struct setting setting = {.row = row};
    setting_write(&setting, &bound, out);
}

static void write_range(const struct setting_row *row, struct buffer *out)
{
    write_bound(row, row->min, out);
    buffer_append_text(out, " to ");
    write_bound(row, row->max, out);
}

static void write_words(const char *words, struct buffer *out)
{
    const char *before = "";
    for (struct slice rest = slice_of(words); rest.size > 0; before = ", ") {
        struct slice word = slice_split(rest, '|', &rest);
        buffer_append_format(out, "%s`%.*s`", before, (int)word.size, word.data);
    }
}

static void write_type(const struct setting_row *row, struct buffer *out)
{
    switch (row->type) {
    case SETTING_BOOL:
        buffer_append_text(out, "`true`, `false`");
        break;
    case SETTING_INTEGER:
        buffer_append_text(out, "number, ");
        write_range(row, out);
        break;
    case SETTING_DURATION:
        buffer_append_text(out, "duration, ");
        write_range(row, out);
        break;
    case SETTING_SIZE:
        buffer_append_text(out, "size, ");
        write_range(row, out);
        break;
    case SETTING_WORD:
        write_words(row->words, out);
        break;
    case SETTING_TEXT:
        buffer_append_text(out, row->expected != NULL ? row->expected : "text");
        break;
    case SETTING_LIST:
        buffer_append_format(out, "list, %" PRId64 " to %" PRId64 " items%s%s", row->min, row->max,
                             row->expected != NULL ? ": " : "",
                             row->expected != NULL ? row->expected : "");
        break;
    case SETTING_MAP:
        buffer_append_text(out, "names and values");
        break;
    }
}

static void write_default(const struct setting_row *row, struct buffer *out)
{
    const char *quote = row->fallback == NULL || row->fallback[0] == '\0' ? "" : "\"";
    if (row->fallback == NULL)
        buffer_append_text(out, "below");
    else if (row->type == SETTING_LIST)
        buffer_append_format(out, "`[%s%s%s]`", quote, row->fallback, quote);
    else if (row->type == SETTING_MAP)
        buffer_append_text(out, "`{}`");
    else if (row->fallback[0] == '\0')
        buffer_append_text(out, "`\"\"`");
    else
        buffer_append_format(out, "`%s`", row->fallback);
}

static void write_row(const struct setting_row *row, struct buffer *out)
{
    bool is_each = (row->flags & SETTING_EACH) != 0;
    buffer_append_format(out, "| `%s%s` | ", is_each ? "exchanges.NAME." : "", row->key);
    write_type(row, out);
    buffer_append_text(out, " | ");
    write_default(row, out);
    buffer_append_format(out, " | %s | %s%s |\n", change_name(row), row->help,
                         (row->flags & SETTING_UNBUILT) != 0 ? " *Not built yet.*" : "");
}

static void write_exchange_defaults(const struct catalog *catalog, struct buffer *out)
{
    buffer_append_text(out, "\nDefaults of each exchange:\n\n| key | default |\n| --- | --- |\n");
    for (size_t i = 0; i < catalog->count; i++) {
        const struct setting *setting = &catalog->settings[i];
        if (setting->exchange == NULL || setting->row->fallback != NULL)
            continue;
        buffer_append_format(out, "| `%s` | `%s` |\n", setting->key, setting->fallback);
    }
}

static struct slice section_of(const struct setting_row *row)
{
    if ((row->flags & SETTING_EACH) != 0)
        return SLICE("exchanges");
    struct slice rest;
    return slice_split(slice_of(row->key), '.', &rest);
}

void settings_write_reference(struct buffer *out)
{
    CLEANUP(catalog_destroyp) struct catalog *catalog = catalog_create();
    buffer_append_text(out, reference_head);
    struct slice section = SLICE("");
    for (size_t i = 0; i < setting_row_count; i++) {
        const struct setting_row *row = &setting_rows[i];
        struct slice now = section_of(row);
        if (!slice_equal(now, section)) {
            if (slice_is(section, "exchanges"))
                write_exchange_defaults(catalog, out);
            buffer_append_format(out, "\n## %.*s\n\n", (int)now.size, now.data);
            buffer_append_text(out, "| key | value | default | change | what |\n"
                                    "| --- | --- | --- | --- | --- |\n");
            section = now;
        }
        write_row(row, out);
    }
}

/* ---- differences ---- */

size_t settings_compare(const struct settings *before, const struct settings *after,
                        settings_difference_fn *difference, void *context)
{
    CLEANUP(catalog_destroyp) struct catalog *catalog = catalog_create();
    size_t count = 0;
    for (size_t i = 0; i < catalog->count; i++) {
        const struct setting *setting = &catalog->settings[i];
        if (setting_equal(setting, setting_field_const(before, setting),
                          setting_field_const(after, setting)))
            continue;
        count++;
        difference(context, setting->key, (setting->row->flags & SETTING_LIVE) == 0);
    }
    return count;
}
