/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration file: the part of YAML that a configuration needs, and a clear error for the
 * rest. Read as libyaml's events, so that nothing is expanded and every place is known. The only
 * file that knows libyaml.
 */
#include "base/memory.h"
#include "node/settings_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#define DEPTH_MAX 4 /* sections within sections: exchanges, binance; auth, jwt */

struct reader {
    const struct catalog *catalog; /* borrowed, as all below */
    setting_entry_fn *entry;
    void *context;
    struct err *err;

    yaml_parser_t parser;
    yaml_event_t event; /* the present one */
    struct setting_place place;
    struct text_list seen;       /* every key so far, sections too */
    struct buffer path;          /* of the present key */
    size_t sizes[DEPTH_MAX + 1]; /* of the path at each section open */
    size_t depth;
};

static void set_place(struct reader *reader, yaml_mark_t mark)
{
    reader->place.line = mark.line + 1;
    reader->place.column = mark.column + 1;
}

/* ---- events ---- */

static int fail_parse(struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    if (parser->error == YAML_READER_ERROR)
        return err_set(reader->err, -EINVAL, "%s: byte %zu: expected UTF-8 text, found %s",
                       reader->place.name, parser->problem_offset, parser->problem);
    set_place(reader, parser->problem_mark);
    return settings_fail(reader->err, &reader->place, "expected YAML: %s", parser->problem);
}

static int refuse_feature(struct reader *reader, const char *feature)
{
    return settings_fail(reader->err, &reader->place,
                         "%s: expected plain YAML, found %s, which is not used here",
                         reader->path.size == 0 ? "file" : reader->path.data, feature);
}

/* The next event; anchors, aliases and tags are refused wherever they are. */
static int next(struct reader *reader)
{
    yaml_event_delete(&reader->event);
    if (yaml_parser_parse(&reader->parser, &reader->event) == 0)
        return fail_parse(reader);
    const yaml_event_t *event = &reader->event;
    set_place(reader, event->start_mark);
    bool has_anchor = false;
    bool has_tag = false;
    if (event->type == YAML_ALIAS_EVENT)
        return refuse_feature(reader, "an alias (*name)");
    if (event->type == YAML_SCALAR_EVENT) {
        has_anchor = event->data.scalar.anchor != NULL;
        has_tag = event->data.scalar.tag != NULL;
        /* Texts end at a NUL further on; what is behind it must not be lost silently. */
        if (memchr(event->data.scalar.value, '\0', event->data.scalar.length) != NULL)
            return refuse_feature(reader, "a NUL character");
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        has_anchor = event->data.sequence_start.anchor != NULL;
        has_tag = event->data.sequence_start.tag != NULL;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        has_anchor = event->data.mapping_start.anchor != NULL;
        has_tag = event->data.mapping_start.tag != NULL;
    }
    if (has_anchor)
        return refuse_feature(reader, "an anchor (&name)");
    return has_tag ? refuse_feature(reader, "a tag (!name)") : 0;
}

static struct slice scalar(const struct reader *reader)
{
    assert(reader->event.type == YAML_SCALAR_EVENT);
    return (struct slice){.data = (const char *)reader->event.data.scalar.value,
                          .size = reader->event.data.scalar.length};
}

/* `key:` with nothing behind it, or null. */
static bool is_nothing(const struct reader *reader)
{
    if (reader->event.type != YAML_SCALAR_EVENT ||
        reader->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    struct slice text = scalar(reader);
    return text.size == 0 || slice_is(text, "~") || slice_is(text, "null");
}

/* ---- keys ---- */

static int fail_unknown(struct reader *reader)
{
    struct buffer hint;
    buffer_init(&hint, KIBIBYTE);
    suggest_key(reader->catalog, buffer_slice(&reader->path), &hint);
    int result = settings_fail(reader->err, &reader->place, "no such key \"%.80s\"%s",
                               reader->path.data, hint.data);
    buffer_release(&hint);
    return result;
}

/* The present event's key, behind that of the open section. */
static int enter_key(struct reader *reader)
{
    reader->path.size = reader->sizes[reader->depth];
    reader->path.data[reader->path.size] = '\0';
    if (reader->event.type != YAML_SCALAR_EVENT)
        return settings_fail(reader->err, &reader->place, "%s: expected a key",
                             reader->path.size == 0 ? "file" : reader->path.data);
    buffer_append_text(&reader->path, reader->path.size == 0 ? "" : ".");
    buffer_append_slice(&reader->path, scalar(reader));
    struct slice path = buffer_slice(&reader->path);
    if (reader->path.overflowed || !check_printable(path))
        return settings_fail(reader->err, &reader->place, "expected a key, found something else");
    if (catalog_find(reader->catalog, path) == NULL && !catalog_is_section(reader->catalog, path))
        return fail_unknown(reader);
    for (size_t i = 0; i < reader->seen.count; i++) {
        if (slice_is(path, reader->seen.items[i]))
            return settings_fail(reader->err, &reader->place,
                                 "%s: expected every key once, found it again", path.data);
    }
    text_list_add(&reader->seen, path);
    return 0;
}

/* ---- values ---- */

static int fail_nested(struct reader *reader, const char *expected)
{
    return settings_fail(
        reader->err, &reader->place, "%s: expected %s, found %s", reader->path.data, expected,
        reader->event.type == YAML_SEQUENCE_START_EVENT ? "a list" : "names and values");
}

static int read_list(struct reader *reader, struct text_map *items)
{
    for (;;) {
        int result = next(reader);
        if (result < 0 || reader->event.type == YAML_SEQUENCE_END_EVENT)
            return result;
        if (reader->event.type != YAML_SCALAR_EVENT)
            return fail_nested(reader, "a list of texts");
        text_map_add(items, slice_of(""), scalar(reader));
    }
}

static bool has_key(const struct text_map *items, struct slice key)
{
    for (size_t i = 0; i < items->count; i++) {
        if (slice_is(key, items->keys[i]))
            return true;
    }
    return false;
}

static int read_map(struct reader *reader, struct text_map *items)
{
    for (;;) {
        int result = next(reader);
        if (result < 0 || reader->event.type == YAML_MAPPING_END_EVENT)
            return result;
        if (reader->event.type != YAML_SCALAR_EVENT)
            return fail_nested(reader, "a name");
        if (has_key(items, scalar(reader)))
            return settings_fail(reader->err, &reader->place,
                                 "%s: expected every name once, found one again",
                                 reader->path.data);
        CLEANUP(memory_freep) char *key = memory_alloc(scalar(reader).size + 1);
        memcpy(key, scalar(reader).data, scalar(reader).size);
        result = next(reader);
        if (result < 0)
            return result;
        if (reader->event.type != YAML_SCALAR_EVENT)
            return fail_nested(reader, "a text");
        text_map_add(items, slice_of(key), scalar(reader));
    }
}

/* Hands over the value that begins with the present event. */
static int read_value(struct reader *reader, const struct setting *setting)
{
    struct setting_place place = reader->place; /* of its beginning */
    struct text_map items = {.count = 0};
    struct setting_input input = {.shape = INPUT_TEXT, .items = &items};
    int result = 0;
    if (reader->event.type == YAML_SEQUENCE_START_EVENT) {
        input.shape = INPUT_LIST;
        result = read_list(reader, &items);
    } else if (reader->event.type == YAML_MAPPING_START_EVENT) {
        input.shape = INPUT_MAP;
        if (setting->row->type == SETTING_MAP) /* else it is refused, whatever is in it */
            result = read_map(reader, &items);
    } else if (is_nothing(reader)) {
        input.shape = INPUT_NOTHING;
    } else {
        input.text = scalar(reader);
    }
    if (result == 0)
        result = reader->entry(reader->context, setting, &input, &place, reader->err);
    text_map_clear(&items);
    return result;
}

static int open_section(struct reader *reader)
{
    if (is_nothing(reader))
        return 0; /* everything in it is commented out */
    if (reader->event.type != YAML_MAPPING_START_EVENT)
        return settings_fail(reader->err, &reader->place, "%s: expected keys and values, found %s",
                             reader->path.data,
                             reader->event.type == YAML_SCALAR_EVENT ? "a text" : "a list");
    assert(reader->depth < DEPTH_MAX); /* the catalog has no deeper section */
    reader->sizes[++reader->depth] = reader->path.size;
    return 0;
}

/* From behind the root's start to its end. */
static int read_sections(struct reader *reader)
{
    for (;;) {
        int result = next(reader);
        if (result < 0)
            return result;
        if (reader->event.type == YAML_MAPPING_END_EVENT) {
            if (reader->depth == 0)
                return 0;
            reader->depth--;
            continue;
        }
        result = enter_key(reader);
        if (result == 0)
            result = next(reader);
        if (result < 0)
            return result;
        const struct setting *setting = catalog_find(reader->catalog, buffer_slice(&reader->path));
        result = setting != NULL ? read_value(reader, setting) : open_section(reader);
        if (result < 0)
            return result;
    }
}

/* ---- the file ---- */

static int read_root(struct reader *reader)
{
    int result = next(reader);
    if (result < 0)
        return result;
    if (is_nothing(reader))
        return 0;
    if (reader->event.type != YAML_MAPPING_START_EVENT)
        return settings_fail(reader->err, &reader->place,
                             "file: expected keys and values, found %s",
                             reader->event.type == YAML_SCALAR_EVENT ? "a text" : "a list");
    return read_sections(reader);
}

static int read_stream(struct reader *reader)
{
    int result = next(reader); /* the stream's start */
    if (result == 0)
        result = next(reader);
    if (result < 0 || reader->event.type == YAML_STREAM_END_EVENT)
        return result;
    result = read_root(reader);
    if (result == 0)
        result = next(reader); /* the document's end */
    if (result == 0)
        result = next(reader);
    if (result == 0 && reader->event.type != YAML_STREAM_END_EVENT)
        return settings_fail(reader->err, &reader->place,
                             "file: expected one document, found another");
    return result;
}

static int read_file(const char *file, struct buffer *out, struct err *err)
{
    FILE *stream = fopen(file, "rbe");
    if (stream == NULL)
        return err_set(err, -errno, "%s: cannot open it: %s", file, strerror(errno));
    char chunk[4096];
    size_t size;
    while (!out->overflowed && (size = fread(chunk, 1, sizeof chunk, stream)) > 0)
        buffer_append(out, chunk, size);
    int error = ferror(stream) != 0 ? errno : 0;
    fclose(stream);
    if (error != 0)
        return err_set(err, -error, "%s: cannot read it: %s", file, strerror(error));
    if (out->overflowed)
        return err_set(err, -EFBIG, "%s: expected at most %d bytes", file, SETTINGS_FILE_MAX);
    return 0;
}

int settings_yaml_read(const char *file, bool not_empty, const struct catalog *catalog,
                       setting_entry_fn *entry, void *context, struct err *err)
{
    struct buffer text;
    buffer_init(&text, SETTINGS_FILE_MAX);
    int result = read_file(file, &text, err);
    if (result == 0 && not_empty && text.size == 0)
        result = err_set(err, -EINVAL, "%s: expected settings, found an empty file", file);
    if (result < 0) {
        buffer_release(&text);
        return result;
    }
    struct reader reader = {
        .catalog = catalog,
        .entry = entry,
        .context = context,
        .err = err,
        .place = {.origin = ORIGIN_FILE, .name = file},
    };
    buffer_init(&reader.path, 256);
    int initialized = yaml_parser_initialize(&reader.parser);
    assert(initialized == 1); /* fails only without memory */
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text.data, text.size);
    result = read_stream(&reader);
    yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    text_list_clear(&reader.seen);
    buffer_release(&reader.path);
    buffer_release(&text);
    return result;
}
