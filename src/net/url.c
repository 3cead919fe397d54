/* SPDX-License-Identifier: Apache-2.0 */
/*
 * URL reading. Whatever could change the meaning of a request line (blanks, control characters) or
 * hide a host (a user before it) is refused, because these texts come from a configuration.
 */
#include "net/url.h"

#include "base/slice.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

struct scheme {
    const char *prefix;
    bool tls;
};

static const struct scheme schemes[] = {
    {.prefix = "ws://"},
    {.prefix = "http://"},
    {.prefix = "wss://", .tls = true},
    {.prefix = "https://", .tls = true},
};

static bool is_host_byte(char byte, bool bracketed)
{
    bool name = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_';
    return name || (bracketed && byte == ':');
}

static bool host_valid(struct slice host, bool bracketed)
{
    for (size_t i = 0; i < host.size; i++)
        if (!is_host_byte(host.data[i], bracketed))
            return false;
    return host.size > 0;
}

static const struct scheme *scheme_find(struct slice text)
{
    for (size_t i = 0; i < COUNT_OF(schemes); i++)
        if (slice_starts_with(text, slice_of(schemes[i].prefix)))
            return &schemes[i];
    return NULL;
}

/* "host", "host:port", "[address]", "[address]:port". */
static bool authority_read(struct slice text, struct url *url)
{
    struct slice host = text;
    struct slice port = {.data = NULL};
    url->bracketed = text.size > 0 && text.data[0] == '[';
    const char *from = text.data;
    if (url->bracketed) {
        const char *bracket = memchr(text.data, ']', text.size);
        if (bracket == NULL)
            return false;
        host = (struct slice){.data = text.data + 1, .size = (size_t)(bracket - text.data) - 1};
        from = bracket + 1;
        if (from < text.data + text.size && *from != ':')
            return false;
    }
    const char *end = text.data + text.size;
    const char *colon = from == end ? NULL : memchr(from, ':', (size_t)(end - from));
    if (colon != NULL) {
        port = (struct slice){.data = colon + 1, .size = (size_t)(end - colon) - 1};
        if (!url->bracketed)
            host.size = (size_t)(colon - text.data);
    }
    uint16_t standard = url->tls ? 443 : 80;
    uint64_t number = standard;
    if (colon != NULL && (!slice_to_uint64(port, UINT16_MAX, &number) || number == 0))
        return false;
    url->port = (uint16_t)number;
    url->port_given = number != standard;
    return host_valid(host, url->bracketed) && slice_copy(host, url->host, sizeof(url->host));
}

static bool target_read(struct slice text, struct url *url)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~' || text.data[i] == '#')
            return false;
    bool slash = text.size > 0 && text.data[0] == '/';
    int size = snprintf(url->target, sizeof(url->target), "%s%.*s", slash ? "" : "/",
                        (int)text.size, text.size > 0 ? text.data : "");
    return size > 0 && (size_t)size < sizeof(url->target);
}

int url_parse(const char *text, struct url *ret_url, struct err *err)
{
    assert(text != NULL);
    struct slice rest = slice_of(text);
    if (rest.size >= LIMIT_URL)
        return err_set(err, -EINVAL, "a URL may have %d bytes at most", LIMIT_URL - 1);
    const struct scheme *scheme = scheme_find(rest);
    if (scheme == NULL)
        return err_set(err, -EINVAL, "URL must begin with ws://, wss://, http:// or https://: %s",
                       text);
    rest.data += strlen(scheme->prefix);
    rest.size -= strlen(scheme->prefix);
    struct slice authority = {.data = rest.data, .size = strcspn(rest.data, "/?#")};
    struct slice target = {.data = rest.data + authority.size, .size = rest.size - authority.size};
    if (authority.size > 0 && memchr(authority.data, '@', authority.size) != NULL)
        return err_set(err, -EINVAL,
                       "URL may not contain a user"); /* nor is it repeated in a log */
    struct url url = {.tls = scheme->tls};
    if (!authority_read(authority, &url))
        return err_set(err, -EINVAL, "bad host or port in URL: %s", text);
    if (!target_read(target, &url))
        return err_set(err, -EINVAL, "bad path in URL: %s", text);
    *ret_url = url;
    return 0;
}

void url_host_write(const struct url *url, char *out, size_t out_size)
{
    char port[8] = "";
    if (url->port_given)
        snprintf(port, sizeof(port), ":%u", (unsigned)url->port);
    snprintf(out, out_size, "%s%s%s%s", url->bracketed ? "[" : "", url->host,
             url->bracketed ? "]" : "", port);
}
