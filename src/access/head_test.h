/* SPDX-License-Identifier: Apache-2.0 */
/* Request heads for tests, made by the reader that the server uses. */
#pragma once

#include "net/http.h"

#include <stdio.h>
#include <stdlib.h>

#define HANDSHAKE                                                                                  \
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"                   \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

struct head_maker {
    struct http_reader *reader;
    const struct http_head *head;
};

/* headers: whole lines. The head holds until head_release. */
static inline const struct http_head *head_make(struct head_maker *maker, const char *headers)
{
    struct buffer text;
    size_t used;
    buffer_init(&text, MEBIBYTE);
    buffer_append_format(&text, "GET /ws/exchange?token=none HTTP/1.1\r\nHost: a\r\n%s\r\n",
                         headers);
    maker->reader = http_reader_create(HTTP_KIND_REQUEST);
    if (http_read(maker->reader, buffer_slice(&text), &used, &maker->head) != HTTP_READ_HEAD)
        abort();
    buffer_release(&text);
    return maker->head;
}

static inline void head_release(struct head_maker *maker)
{
    http_reader_destroy(maker->reader);
}
