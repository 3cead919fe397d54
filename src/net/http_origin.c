/* SPDX-License-Identifier: Apache-2.0 */
/* Origins are brought to one spelling once, and compared as text. */
#include "net/http_origin.h"

#include "base/memory.h"
#include "net/http_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#define SCHEME_TEXT 24 /* "chrome-extension" and more, with a NUL */

struct http_origins {
    bool any;
    size_t count;
    char (*texts)[HTTP_ORIGIN_TEXT]; /* owned */
};

static char lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
}

static void lower_copy(struct slice text, char *out)
{
    for (size_t i = 0; i < text.size; i++)
        out[i] = lower(text.data[i]);
    out[text.size] = '\0';
}

static uint16_t standard_port(const char *scheme)
{
    if (strcmp(scheme, "http") == 0 || strcmp(scheme, "ws") == 0)
        return 80;
    if (strcmp(scheme, "https") == 0 || strcmp(scheme, "wss") == 0)
        return 443;
    return 0;
}

/* Of a URL, or of a browser's extension: "chrome-extension". */
static bool scheme_read(struct slice text, char scheme[SCHEME_TEXT])
{
    if (text.size == 0 || text.size >= SCHEME_TEXT)
        return false;
    lower_copy(text, scheme);
    for (size_t i = 0; i < text.size; i++)
        if ((scheme[i] < 'a' || scheme[i] > 'z') &&
            (i == 0 || (!http_is_digit(scheme[i]) && strchr("+-.", scheme[i]) == NULL)))
            return false;
    return true;
}

/* Cuts ":port" off a valid host; what is not there stays as it was. False when it is no port. */
static bool port_take(struct slice *host, uint16_t *port)
{
    size_t size = host->size;
    uint64_t number;
    while (size > 0 && http_is_digit(host->data[size - 1]))
        size--;
    if (size == 0 || host->data[size - 1] != ':')
        return true;
    struct slice digits = {.data = host->data + size, .size = host->size - size};
    if (!slice_to_uint64(digits, UINT16_MAX, &number) || number == 0)
        return false;
    host->size = size - 1;
    *port = (uint16_t)number;
    return true;
}

bool http_origin_read(struct slice text, char ret_text[HTTP_ORIGIN_TEXT])
{
    char scheme[SCHEME_TEXT];
    char host_text[LIMIT_HOST];
    struct slice host;
    struct slice name = slice_split(text, ':', &host);
    if (slice_is(text, "null")) {
        snprintf(ret_text, HTTP_ORIGIN_TEXT, "null");
        return true;
    }
    if (!scheme_read(name, scheme) || !slice_starts_with(host, SLICE("//")))
        return false;
    host = (struct slice){.data = host.data + 2, .size = host.size - 2};
    if (host.size == 0 || !http_host_valid(host))
        return false;
    uint16_t port = standard_port(scheme);
    if (!port_take(&host, &port))
        return false;
    lower_copy(host, host_text);
    int written =
        snprintf(ret_text, HTTP_ORIGIN_TEXT, "%s://%s:%u", scheme, host_text, (unsigned)port);
    assert(written > 0 && written < HTTP_ORIGIN_TEXT);
    (void)written;
    return true;
}

int http_origins_create(char *const *items, size_t count, struct http_origins **ret_origins,
                        struct err *err)
{
    struct http_origins *origins = memory_alloc(sizeof(*origins));
    origins->any = count == 0;
    origins->texts = memory_array(count + 1, sizeof(*origins->texts));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(items[i], "*") == 0) {
            origins->any = true;
        } else if (!http_origin_read(slice_of(items[i]), origins->texts[origins->count++])) {
            http_origins_destroy(origins);
            return err_set(err, -EINVAL, "not an origin like https://app.example, nor *: %.100s",
                           items[i]);
        }
    }
    *ret_origins = origins;
    return 0;
}

void http_origins_destroy(struct http_origins *origins)
{
    if (origins == NULL)
        return;
    memory_free(origins->texts);
    memory_free(origins);
}

bool http_origins_any(const struct http_origins *origins)
{
    return origins->any;
}

bool http_origins_allow(const struct http_origins *origins, struct slice origin)
{
    char text[HTTP_ORIGIN_TEXT];
    if (origins->any)
        return true;
    if (!http_origin_read(origin, text))
        return false;
    for (size_t i = 0; i < origins->count; i++)
        if (strcmp(origins->texts[i], text) == 0)
            return true;
    return false;
}
