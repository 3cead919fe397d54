/* SPDX-License-Identifier: Apache-2.0 */
/* A reader for lines that are flat: what is nested is passed over by its brackets. */
#include "sim/recording_line.h"

#include "sim/utf8_text.h"

#define DIGITS_SECONDS_MAX 10
#define DIGITS_FRACTION 6
#define COUNT_MAX UINT64_C(1000000000000000)

struct cursor {
    char *at;
    const char *end;
};

static void skip_space(struct cursor *cursor)
{
    while (cursor->at < cursor->end && (*cursor->at == ' ' || *cursor->at == '\t' ||
                                        *cursor->at == '\r' || *cursor->at == '\n'))
        cursor->at++;
}

/* Passes this character, with space before it. */
static bool pass(struct cursor *cursor, char character)
{
    skip_space(cursor);
    if (cursor->at == cursor->end || *cursor->at != character)
        return false;
    cursor->at++;
    return true;
}

/* ---- strings ---- */

static bool read_hex(struct cursor *cursor, uint32_t *ret_value)
{
    uint32_t value = 0;
    if (cursor->end - cursor->at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char digit = *cursor->at++;
        char lower = (char)(digit | 0x20);
        if (digit >= '0' && digit <= '9')
            value = value << 4 | (uint32_t)(digit - '0');
        else if (lower >= 'a' && lower <= 'f')
            value = value << 4 | (uint32_t)(lower - 'a' + 10);
        else
            return false;
    }
    *ret_value = value;
    return true;
}

static char *put_character(char *out, uint32_t code)
{
    if (code < 0x80) {
        *out++ = (char)code;
        return out;
    }
    unsigned more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const uint8_t leads[] = {0, 0xc0, 0xe0, 0xf0};
    *out++ = (char)(leads[more] | code >> 6 * more);
    for (unsigned i = more; i > 0; i--)
        *out++ = (char)(0x80 | (code >> 6 * (i - 1) & 0x3f));
    return out;
}

/* Behind \u: one unit, or two that are a pair. A lone half is no character. */
static char *read_unicode(struct cursor *cursor, char *out)
{
    uint32_t code, low;
    if (!read_hex(cursor, &code) || (code >= 0xdc00 && code <= 0xdfff))
        return NULL;
    if (code < 0xd800 || code > 0xdfff)
        return put_character(out, code);
    if (cursor->end - cursor->at < 6 || cursor->at[0] != '\\' || cursor->at[1] != 'u')
        return NULL;
    cursor->at += 2;
    if (!read_hex(cursor, &low) || low < 0xdc00 || low > 0xdfff)
        return NULL;
    return put_character(out, 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00));
}

/* Behind a backslash; what it means goes to out, which never passes the cursor. */
static char *read_escape(struct cursor *cursor, char *out)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (cursor->at == cursor->end)
        return NULL;
    char letter = *cursor->at++;
    if (letter == 'u')
        return read_unicode(cursor, out);
    const char *found = letter == '\0' ? NULL : strchr(letters, letter);
    if (found == NULL)
        return NULL;
    *out = meanings[found - letters];
    return out + 1;
}

static bool read_string(struct cursor *cursor, struct slice *ret_text)
{
    if (!pass(cursor, '"'))
        return false;
    char *begin = cursor->at, *out = begin;
    while (out != NULL && cursor->at < cursor->end) {
        char byte = *cursor->at;
        if (byte == '"') {
            cursor->at++;
            *out = '\0';
            *ret_text = (struct slice){.data = begin, .size = (size_t)(out - begin)};
            return true;
        }
        if (byte == '\\') {
            cursor->at++;
            out = read_escape(cursor, out);
        } else if ((unsigned char)byte < 0x80) {
            if ((unsigned char)byte < 0x20)
                return false;
            *out++ = byte;
            cursor->at++;
        } else {
            size_t size = utf8_text_size(cursor->at, cursor->end);
            if (size == 0)
                return false;
            memmove(out, cursor->at, size);
            out += size;
            cursor->at += size;
        }
    }
    return false;
}

/* ---- other values ---- */

/* An array or an object, by its brackets; it is not looked into. */
static bool skip_nested(struct cursor *cursor)
{
    size_t depth = 0;
    bool quoted = false;
    while (cursor->at < cursor->end) {
        char byte = *cursor->at++;
        if (quoted && byte == '\\' && cursor->at < cursor->end)
            cursor->at++;
        else if (byte == '"')
            quoted = !quoted;
        else if (!quoted && (byte == '[' || byte == '{'))
            depth++;
        else if (!quoted && (byte == ']' || byte == '}') && --depth == 0)
            return true;
    }
    return false;
}

static bool is_scalar(char byte)
{
    char lower = (char)(byte | 0x20);
    return (byte >= '0' && byte <= '9') || (lower >= 'a' && lower <= 'z') || byte == '+' ||
           byte == '-' || byte == '.';
}

/* A number, true, false or null, as it stands. */
static bool read_scalar(struct cursor *cursor, struct slice *ret_text)
{
    char *begin = cursor->at;
    while (cursor->at < cursor->end && is_scalar(*cursor->at))
        cursor->at++;
    *ret_text = (struct slice){.data = begin, .size = (size_t)(cursor->at - begin)};
    return ret_text->size > 0;
}

static bool all_digits(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    return true;
}

/* Seconds as a plain decimal; anything else is no time. The seventh digit rounds. */
static int64_t read_time(struct slice text)
{
    struct slice fraction;
    struct slice whole = slice_split(text, '.', &fraction);
    uint64_t seconds = 0, part = 0;
    char digits[DIGITS_FRACTION + 1];
    if (whole.size > DIGITS_SECONDS_MAX || !slice_to_uint64(whole, UINT64_MAX, &seconds) ||
        !all_digits(fraction))
        return 0;
    for (size_t i = 0; i < sizeof digits; i++)
        digits[i] = i < fraction.size ? fraction.data[i] : '0';
    bool read =
        slice_to_uint64((struct slice){.data = digits, .size = sizeof digits}, UINT64_MAX, &part);
    return read ? (int64_t)(seconds * 1000000 + (part + 5) / 10) : 0;
}

/* ---- members ---- */

static void keep_string(struct recording_line *line, struct slice key, struct slice value)
{
    const struct {
        const char *name;
        struct slice *place;
    } places[] = {{"raw", &line->raw},
                  {"op", &line->op},
                  {"exchange", &line->exchange},
                  {"raw64", &line->raw64},
                  {"event", &line->event}};
    for (size_t i = 0; i < COUNT_OF(places); i++)
        if (slice_is(key, places[i].name))
            *places[i].place = value;
}

static bool read_value(struct cursor *cursor, struct slice key, struct recording_line *line)
{
    struct slice text = {0};
    skip_space(cursor);
    if (cursor->at == cursor->end)
        return false;
    if (*cursor->at == '"') {
        if (!read_string(cursor, &text))
            return false;
        keep_string(line, key, text);
        return true;
    }
    if (*cursor->at == '[' || *cursor->at == '{') {
        const char *begin = cursor->at;
        bool skipped = skip_nested(cursor);
        if (slice_is(key, "exchanges"))
            line->exchanges = (struct slice){.data = begin, .size = (size_t)(cursor->at - begin)};
        return skipped;
    }
    if (!read_scalar(cursor, &text))
        return false;
    if (slice_is(key, "ts"))
        line->ts_us = read_time(text);
    if (slice_is(key, "count") && !slice_to_uint64(text, COUNT_MAX, &line->count))
        line->count = 0;
    return true;
}

bool recording_line_read(char *text, size_t size, struct recording_line *ret_line)
{
    struct cursor cursor = {.at = text, .end = text + size};
    *ret_line = (struct recording_line){0};
    if (!pass(&cursor, '{'))
        return false;
    bool more = !pass(&cursor, '}');
    while (more) {
        struct slice key;
        if (!read_string(&cursor, &key) || !pass(&cursor, ':'))
            return false;
        ret_line->has_event |= slice_is(key, "event");
        ret_line->has_exchange |= slice_is(key, "exchange");
        if (!read_value(&cursor, key, ret_line))
            return false;
        more = pass(&cursor, ',');
        if (!more && !pass(&cursor, '}'))
            return false;
    }
    skip_space(&cursor);
    return cursor.at == cursor.end;
}

bool recording_line_name(struct slice *rest, struct slice *ret_name)
{
    slice_split(*rest, '"', rest);
    if (rest->size == 0)
        return false;
    *ret_name = slice_split(*rest, '"', rest);
    return true;
}
