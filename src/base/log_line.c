/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is logged may come from outside (an exchange's error text, a client's header), so the line
 * is built to survive it: one line whatever the bytes, no terminal escapes, no half characters.
 * Both formats use JSON's string escapes; logfmt quotes a value only when it must.
 */
#include "base/log_priv.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

/* Kept free for what ends a line: a quote, the cut mark, a brace and the newline. */
#define TAIL_SIZE 32
#define BODY_MAX (LIMIT_LOG_LINE - TAIL_SIZE)
#define ESCAPE_MAX 6 /* \u00ff */

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug",
    [LOG_INFO] = "info",
    [LOG_WARN] = "warn",
    [LOG_ERROR] = "error",
};

struct writer {
    struct log_line *line;
    enum log_format format;
    bool cut;
};

/* A closing quote may stand one byte into the tail's room. */
static size_t room(const struct writer *writer)
{
    assert(writer->line->size < LIMIT_LOG_LINE);
    return writer->line->size >= BODY_MAX ? 0 : BODY_MAX - writer->line->size;
}

/* All or nothing, so that neither an escape nor a character is ever halved. */
static bool put(struct writer *writer, const char *data, size_t size)
{
    struct log_line *line = writer->line;
    if (size > room(writer)) {
        writer->cut = true;
        return false;
    }
    memcpy(line->text + line->size, data, size);
    line->size += size;
    return true;
}

static bool is_continuation(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Bytes of the valid UTF-8 character at `bytes`; 0 when there is none (RFC 3629's table). */
static size_t character_size(const unsigned char *bytes, size_t size)
{
    unsigned char first = bytes[0];
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4 || size < 2 || !is_continuation(bytes[1]))
        return 0;
    if (first < 0xe0)
        return 2;
    bool overlong = (first == 0xe0 && bytes[1] < 0xa0) || (first == 0xf0 && bytes[1] < 0x90);
    bool surrogate = first == 0xed && bytes[1] > 0x9f;
    bool too_high = first == 0xf4 && bytes[1] > 0x8f;
    if (overlong || surrogate || too_high || size < 3 || !is_continuation(bytes[2]))
        return 0;
    if (first < 0xf0)
        return 3;
    return size >= 4 && is_continuation(bytes[3]) ? 4 : 0;
}

/* C0, DEL, and C1 (which some terminals obey as well). */
static bool is_control(const unsigned char *bytes, size_t size)
{
    return (size == 1 && (bytes[0] < 0x20 || bytes[0] == 0x7f)) ||
           (size == 2 && bytes[0] == 0xc2 && bytes[1] < 0xa0);
}

/* The escape of the character, or 0 when it stands for itself. */
static size_t escape(char out[ESCAPE_MAX + 1], const unsigned char *bytes, size_t size)
{
    if (size == 0)
        return (size_t)snprintf(out, ESCAPE_MAX + 1, "\\ufffd");
    if (bytes[0] == '"' || bytes[0] == '\\')
        return (size_t)snprintf(out, ESCAPE_MAX + 1, "\\%c", bytes[0]);
    if (bytes[0] == '\n')
        return (size_t)snprintf(out, ESCAPE_MAX + 1, "\\n");
    if (bytes[0] == '\t')
        return (size_t)snprintf(out, ESCAPE_MAX + 1, "\\t");
    if (!is_control(bytes, size))
        return 0;
    return (size_t)snprintf(out, ESCAPE_MAX + 1, "\\u%04x", (unsigned)bytes[size - 1]);
}

static void put_quoted(struct writer *writer, struct slice text)
{
    if (!put(writer, "\"", 1))
        return;
    const unsigned char *bytes = (const unsigned char *)text.data;
    for (size_t i = 0; i < text.size;) {
        size_t size = character_size(bytes + i, text.size - i);
        char escaped[ESCAPE_MAX + 1];
        size_t escaped_size = escape(escaped, bytes + i, size);
        bool fits = escaped_size > 0 ? put(writer, escaped, escaped_size)
                                     : put(writer, text.data + i, size);
        if (!fits)
            break;
        i += size > 0 ? size : 1;
    }
    /* From the tail's room, so that a cut value still ends. */
    writer->line->text[writer->line->size++] = '"';
}

static bool needs_quotes(struct slice text)
{
    if (text.size == 0)
        return true;
    const unsigned char *bytes = (const unsigned char *)text.data;
    for (size_t i = 0; i < text.size;) {
        size_t size = character_size(bytes + i, text.size - i);
        if (size == 0 || bytes[i] <= ' ' || bytes[i] == '"' || bytes[i] == '=' ||
            bytes[i] == '\\' || is_control(bytes + i, size))
            return true;
        i += size;
    }
    return false;
}

static bool put_key(struct writer *writer, const char *key)
{
    bool is_first = writer->line->size <= 1; /* JSON: after the brace */
    char text[80];
    int size = writer->format == LOG_JSON
                   ? snprintf(text, sizeof text, "%s\"%s\":", is_first ? "" : ",", key)
                   : snprintf(text, sizeof text, "%s%s=", is_first ? "" : " ", key);
    assert(size > 0 && (size_t)size < sizeof text); /* keys are ours, and short */
    /* Room for the key and an empty value, or not at all. */
    if ((size_t)size + 2 > room(writer)) {
        writer->cut = true;
        return false;
    }
    return put(writer, text, (size_t)size);
}

static void put_field(struct writer *writer, const struct log_field *field)
{
    size_t before = writer->line->size;
    if (writer->cut || !put_key(writer, field->key))
        return;
    if (field->is_number) {
        char digits[24];
        int size = snprintf(digits, sizeof digits, "%" PRId64, field->number);
        if (!put(writer, digits, (size_t)size))
            writer->line->size = before; /* half a number would be a lie */
        return;
    }
    bool quoted = writer->format == LOG_JSON || needs_quotes(field->text);
    if (quoted)
        put_quoted(writer, field->text);
    else if (!put(writer, field->text.data, field->text.size))
        put_quoted(writer, field->text);
}

/* RFC 3339, UTC, milliseconds. */
static void put_time(struct writer *writer, int64_t wall_us)
{
    int64_t microseconds = wall_us % 1000000;
    if (microseconds < 0)
        microseconds += 1000000;
    time_t seconds = (time_t)((wall_us - microseconds) / 1000000);
    struct tm calendar = {.tm_mday = 1};
    gmtime_r(&seconds, &calendar);
    char text[96];
    size_t size = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &calendar);
    int rest = snprintf(text + size, sizeof text - size, ".%03dZ", (int)(microseconds / 1000));
    struct log_field field =
        log_slice("time", (struct slice){.data = text, .size = size + (size_t)rest});
    put_field(writer, &field);
}

/* From the tail's room. */
static void put_end(struct writer *writer)
{
    bool is_json = writer->format == LOG_JSON;
    const char *cut = is_json ? ",\"cut\":true" : " cut=true";
    struct log_line *line = writer->line;
    int size = snprintf(line->text + line->size, LIMIT_LOG_LINE - line->size, "%s%s",
                        writer->cut ? cut : "", is_json ? "}" : "");
    assert(size >= 0 && line->size + (size_t)size < LIMIT_LOG_LINE);
    line->size += (size_t)size;
    line->text[line->size++] = '\n';
}

void log_line_write(struct log_line *line, enum log_format format, const struct log_head *head,
                    const struct log_field *fields)
{
    assert(head->level < COUNT_OF(level_names));
    assert(fields != NULL);
    struct writer writer = {.line = line, .format = format};
    line->size = 0;
    if (format == LOG_JSON)
        put(&writer, "{", 1);

    put_time(&writer, head->wall_us);
    struct log_field level = log_text("level", level_names[head->level]);
    put_field(&writer, &level);
    struct log_field part = log_text("part", head->part);
    put_field(&writer, &part);
    if (head->held_back > 0) {
        struct log_field held_back = log_int("held_back", head->held_back);
        put_field(&writer, &held_back);
    }
    for (const struct log_field *field = fields; field->key != NULL; field++)
        put_field(&writer, field);
    put_end(&writer);
}
