/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A text is written as a JSON string (RFC 8259, section 7) where it is UTF-8 and escaping does not
 * double it, which no JSON of an exchange does; else as base64.
 */
#include "sim/recorder_line.h"

#include "sim/base64.h"
#include "sim/utf8_text.h"

#include <inttypes.h>

#define US_PER_SECOND 1000000
#define ESCAPED_MAX 6 /* \u0000 */

static bool is_utf8(struct slice text)
{
    const char *at = text.data, *end = text.data + text.size;
    while (at < end) {
        size_t size = utf8_text_size(at, end);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}

static size_t escape(char byte, char out[ESCAPED_MAX])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t value = (uint8_t)byte;
    if (value >= 0x20 && byte != '"' && byte != '\\') {
        out[0] = byte;
        return 1;
    }
    out[0] = '\\';
    out[1] = byte;
    if (byte == '\n')
        out[1] = 'n';
    else if (value < 0x20) {
        memcpy(out + 1, "u00", 3);
        out[4] = digits[value >> 4];
        out[5] = digits[value & 15];
        return 6;
    }
    return 2;
}

static bool append_escaped(struct buffer *out, struct slice text)
{
    size_t size = 0;
    char *room = buffer_reserve(out, 2 * text.size + ESCAPED_MAX);
    if (room == NULL)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (size > 2 * text.size)
            return false;
        size += escape(text.data[i], room + size);
    }
    if (size > 2 * text.size)
        return false;
    out->size += size;
    return true;
}

/* ,"NAME":"..." or ,"NAME64":"..." */
static void append_text(struct buffer *out, const char *name, struct slice text)
{
    size_t before = out->size;
    buffer_append_format(out, ",\"%s\":\"", name);
    if (!is_utf8(text) || !append_escaped(out, text)) {
        out->size = before;
        buffer_append_format(out, ",\"%s64\":\"", name);
        base64_append(out, text);
    }
    buffer_append_text(out, "\"");
}

static void append_time(struct buffer *out, int64_t wall_us)
{
    buffer_append_format(out, "{\"ts\":%" PRId64 ".%06" PRId64, wall_us / US_PER_SECOND,
                         wall_us % US_PER_SECOND);
}

void recorder_line(struct buffer *out, const struct recorder_entry *entry, uint64_t number,
                   const char *exchange)
{
    append_time(out, entry->wall_us);
    buffer_append_format(out, ",\"conn\":%" PRIu32 ",\"i\":%" PRIu64, entry->connection, number);
    if (entry->kind == RECORDER_TEXT || entry->kind == RECORDER_BINARY)
        buffer_append_format(out, ",\"op\":\"%s\"",
                             entry->kind == RECORDER_TEXT ? "text" : "binary");
    buffer_append_format(out, ",\"exchange\":\"%s\"", exchange);
    switch (entry->kind) {
    case RECORDER_TEXT:
    case RECORDER_BINARY:
        append_text(out, "raw", entry->text);
        break;
    case RECORDER_OPEN:
        buffer_append_text(out, ",\"event\":\"open\"");
        append_text(out, "url", entry->text);
        break;
    case RECORDER_SENT:
        buffer_append_text(out, ",\"event\":\"sent\"");
        append_text(out, "raw", entry->text);
        break;
    case RECORDER_CLOSE:
        buffer_append_format(out, ",\"event\":\"close\",\"code\":%u", entry->code);
        append_text(out, "reason", entry->text);
        break;
    }
    buffer_append_text(out, "}\n");
}

void recorder_line_lost(struct buffer *out, int64_t wall_us, uint64_t number, uint64_t count)
{
    append_time(out, wall_us);
    buffer_append_format(out, ",\"i\":%" PRIu64 ",\"event\":\"lost\",\"count\":%" PRIu64 "}\n",
                         number, count);
}

void recorder_line_header(struct buffer *out, int64_t wall_us, uint32_t part,
                          const struct recorder_options *options)
{
    append_time(out, wall_us);
    buffer_append_format(
        out,
        ",\"event\":\"recording\",\"version\":1,\"by\":\"tickwire " TICKWIRE_VERSION
        "\",\"part\":%" PRIu32 ",\"exchanges\":[",
        part);
    for (size_t i = 0; i < options->exchange_count; i++)
        buffer_append_format(out, "%s\"%s\"", i == 0 ? "" : ",", options->exchanges[i]);
    buffer_append_text(out, "]}\n");
}
