/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in the fields of a head that has been read; declared in http.h. */
#include "net/http_priv.h"

#include <assert.h>
#include <http_parser.h>
#include <strings.h>

bool http_name_is(struct slice name, const char *text)
{
    return name.size == strlen(text) && strncasecmp(name.data, text, name.size) == 0;
}

static bool is_host_byte(char byte)
{
    return http_is_digit(byte) || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           byte == '-' || byte == '.' || byte == '_';
}

bool http_host_valid(struct slice host)
{
    const char *colon = host.size == 0 ? NULL : memchr(host.data, ':', host.size);
    size_t size = colon == NULL ? host.size : (size_t)(colon - host.data);
    bool bracketed = host.size > 0 && host.data[0] == '[';
    if (bracketed) {
        const char *end = memchr(host.data, ']', host.size);
        if (end == NULL || end == host.data + 1)
            return false;
        size = (size_t)(end - host.data) + 1;
        if (size < host.size && host.data[size] != ':')
            return false;
    }
    for (size_t i = bracketed; i + bracketed < size; i++)
        if (!is_host_byte(host.data[i]) && !(bracketed && host.data[i] == ':'))
            return false;
    for (size_t i = size + 1; i < host.size; i++)
        if (!http_is_digit(host.data[i]))
            return false;
    return host.size < LIMIT_HOST && (size > 0 || host.size == 0);
}

const char *http_status_text(unsigned status)
{
    return http_status_str((enum http_status)status);
}

struct slice http_header_find(const struct http_head *head, const char *name)
{
    for (size_t i = 0; i < head->header_count; i++)
        if (http_name_is(head->header[i].name, name))
            return head->header[i].value;
    return (struct slice){.data = NULL};
}

bool http_has_token(struct slice value, const char *token)
{
    struct slice rest = value;
    while (rest.size > 0) {
        struct slice item = slice_trim(slice_split(rest, ',', &rest));
        if (http_name_is(item, token))
            return true;
    }
    return false;
}

bool http_header_has_token(const struct http_head *head, const char *name, const char *token)
{
    for (size_t i = 0; i < head->header_count; i++)
        if (http_name_is(head->header[i].name, name) &&
            http_has_token(head->header[i].value, token))
            return true;
    return false;
}

static int hex_value(char byte)
{
    if (http_is_digit(byte))
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F')
        return byte - 'A' + 10;
    return -1;
}

bool http_percent_decode(struct slice text, char *out, size_t out_size)
{
    assert(out_size > 0);
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (byte == '%') {
            int high = text.size - i > 2 ? hex_value(text.data[i + 1]) : -1;
            int low = text.size - i > 2 ? hex_value(text.data[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            byte = (char)(high * 16 + low);
            i += 2;
        }
        if (byte == '\0' || size + 1 >= out_size)
            return false;
        out[size++] = byte;
    }
    out[size] = '\0';
    return true;
}

static struct slice slice_behind(struct slice slice, size_t size)
{
    assert(size <= slice.size);
    return (struct slice){.data = slice.data + size, .size = slice.size - size};
}

/* Takes the next tag, without W/, off the list; empty when there is none. A tag may hold commas. */
static struct slice etag_next(struct slice *list)
{
    struct slice rest = *list;
    while (rest.size > 0 && strchr(" \t,", rest.data[0]) != NULL)
        rest = slice_behind(rest, 1);
    if (slice_starts_with(rest, SLICE("W/")))
        rest = slice_behind(rest, 2);
    const char *end =
        rest.size > 1 && rest.data[0] == '"' ? memchr(rest.data + 1, '"', rest.size - 1) : NULL;
    if (end == NULL)
        return (struct slice){.data = NULL};
    struct slice tag = {.data = rest.data, .size = (size_t)(end - rest.data) + 1};
    *list = slice_behind(rest, tag.size);
    return tag;
}

bool http_etag_matches(const struct http_head *head, struct slice etag)
{
    for (size_t i = 0; i < head->header_count; i++) {
        if (!http_name_is(head->header[i].name, "If-None-Match"))
            continue;
        struct slice list = slice_trim(head->header[i].value);
        if (slice_is(list, "*"))
            return true;
        for (struct slice tag = etag_next(&list); tag.size > 0; tag = etag_next(&list))
            if (slice_equal(tag, etag))
                return true;
    }
    return false;
}

bool http_query_find(struct slice query, const char *name, char *out, size_t out_size,
                     bool *ret_present)
{
    assert(out_size > 0);
    struct slice rest = query;
    *ret_present = false;
    out[0] = '\0';
    while (rest.size > 0) {
        struct slice value;
        struct slice key = slice_split(slice_split(rest, '&', &rest), '=', &value);
        if (!slice_is(key, name))
            continue;
        *ret_present = true;
        return http_percent_decode(value, out, out_size);
    }
    return false;
}
