/* SPDX-License-Identifier: Apache-2.0 */
/* Read with the product's own scanner; the escapes are resolved here, as the product never does. */
#include "bench/recorded.h"

#include "market/scan.h"

#include <stdio.h>

static const char padding[LIMIT_PADDING + 1];

static void key_take(struct scan *scan, struct slice key, struct recorded *recorded)
{
    if (slice_equal(key, SLICE("raw"))) {
        recorded->from = scan_text(scan);
    } else if (slice_equal(key, SLICE("note"))) {
        recorded->note = scan_text(scan);
    } else if (slice_equal(key, SLICE("i"))) {
        recorded->i = scan_integer(scan);
    } else if (slice_equal(key, SLICE("expect"))) {
        (void)scan_peek(scan);
        const char *start = scan->at;
        scan_skip(scan);
        recorded->expect = (struct slice){.data = start, .size = (size_t)(scan->at - start)};
    } else {
        scan_skip(scan);
    }
}

bool recorded_read(struct slice line, struct recorded *ret_recorded)
{
    struct recorded recorded = {.i = -1};
    struct slice key;
    bool first = true;
    /* A line inside a longer text is not followed by a NUL, so its end is looked for by hand. */
    struct scan scan = {.at = line.data, .end = line.data + line.size};
    scan_expect(&scan, '{');
    while (scan_next_key(&scan, &first, &key))
        key_take(&scan, key, &recorded);
    if (scan.failed || recorded.from.data == NULL)
        return false;
    *ret_recorded = recorded;
    return true;
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

/* Four hexadecimal digits; false when there are none. */
static bool hex_read(struct slice from, size_t at, uint32_t *ret_value)
{
    if (at + 4 > from.size)
        return false;
    uint32_t value = 0;
    for (size_t i = at; i < at + 4; i++) {
        int digit = hex_value(from.data[i]);
        if (digit < 0)
            return false;
        value = value * 16 + (uint32_t)digit;
    }
    *ret_value = value;
    return true;
}

static void utf8_append(struct buffer *out, uint32_t code)
{
    char text[4];
    size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint32_t lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size; i-- > 1; code >>= 6)
        text[i] = (char)(0x80 | (code & 0x3f));
    text[0] = (char)(lead[size] | code);
    buffer_append(out, text, size);
}

/* \uXXXX, or two of them; *at stands behind the 'u'. */
static bool unicode_unescape(struct slice from, size_t *at, struct buffer *out)
{
    uint32_t code;
    uint32_t low;
    if (!hex_read(from, *at, &code))
        return false;
    *at += 4;
    if (code >= 0xd800 && code < 0xdc00 && *at + 2 <= from.size && from.data[*at] == '\\' &&
        from.data[*at + 1] == 'u' && hex_read(from, *at + 2, &low) && low >= 0xdc00 &&
        low < 0xe000) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        *at += 6;
    }
    utf8_append(out, code);
    return true;
}

bool recorded_unescape(struct slice from, struct buffer *out)
{
    static const char escapes[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    size_t at = 0;
    while (at < from.size) {
        const char *escape = memchr(from.data + at, '\\', from.size - at);
        size_t end = escape == NULL ? from.size : (size_t)(escape - from.data);
        buffer_append(out, from.data + at, end - at);
        at = end;
        if (escape == NULL)
            break;
        if (at + 2 > from.size)
            return false;
        char kind = from.data[at + 1];
        at += 2;
        const char *found = memchr(escapes, kind, sizeof(escapes) - 1);
        if (found != NULL)
            buffer_append(out, meanings + (found - escapes), 1);
        else if (kind != 'u' || !unicode_unescape(from, &at, out))
            return false;
    }
    return !out->overflowed;
}

bool recorded_message(struct slice line, struct buffer *out, struct slice *ret_message,
                      int64_t *ret_i)
{
    struct recorded recorded;
    *ret_i = -1;
    buffer_clear(out);
    if (recorded_read(line, &recorded)) {
        *ret_i = recorded.i;
        if (!recorded_unescape(recorded.from, out))
            return false;
    } else {
        buffer_append_slice(out, line);
    }
    size_t size = out->size;
    buffer_append(out, padding, sizeof(padding));
    *ret_message = (struct slice){.data = out->data, .size = size};
    return !out->overflowed;
}

bool recorded_next_line(struct slice *text, struct slice *ret_line)
{
    if (text->size == 0)
        return false;
    const char *end = memchr(text->data, '\n', text->size);
    size_t size = end == NULL ? text->size : (size_t)(end - text->data);
    size_t step = end == NULL ? size : size + 1;
    *ret_line = (struct slice){.data = text->data, .size = size};
    *text = (struct slice){.data = text->data + step, .size = text->size - step};
    return true;
}

bool recorded_load(const char *path, struct buffer *out)
{
    char chunk[4096];
    size_t count;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    while ((count = fread(chunk, 1, sizeof(chunk), file)) > 0)
        buffer_append(out, chunk, count);
    bool good = !ferror(file) && !out->overflowed;
    fclose(file);
    size_t size = out->size;
    buffer_append(out, padding, sizeof(padding));
    good = good && !out->overflowed;
    out->size = size;
    return good;
}
