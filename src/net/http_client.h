/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP/1.1 client for one GET: resolves, connects (through a proxy when there is one), asks, and
 * gives the whole answer. The body is read by Content-Length, chunks (RFC 9112, 7.1) or the end of
 * the connection; compression is not asked for; redirections are answers. One object is one
 * request. Thread: its loop's.
 */
#pragma once

#include "net/http.h"
#include "net/proxy.h"
#include "net/tcp.h"
#include "net/tls.h"

struct http_client;

struct http_client_options {
    const char *url;               /* http:// or https://host[:port]/path?query; copied */
    const struct tls_context *tls; /* for https; as in ws_client.h */
    const struct proxy *proxy;     /* NULL: straight; borrowed as long as the request lives */
    size_t body_max;               /* a longer body fails */
    uint32_t timeout_ms;           /* for everything together */
    uint32_t connect_ms;           /* of that, for address and TCP at most; 0: no less */
    /* Sent as `Authorization: Bearer` (RFC 6750, 2.1), to the host alone, never to a proxy. NULL:
     * none. Well-formed, at most LIMIT_ACCESS_TOKEN bytes; copied. */
    const char *bearer;
};

struct http_client_result {
    unsigned status;              /* 0: there was no answer, and reason says why */
    const char *reason;           /* NULL when there was one */
    const struct http_head *head; /* NULL when there was none */
    int64_t retry_after_s;        /* -1: none; a date is turned into seconds from now */
    struct slice body;            /* a NUL and LIMIT_PADDING readable bytes follow */
};

/* Comes exactly once, later, unless it is destroyed before; what result points to is valid during
 * the call. Destroy the client then, inside it or later. */
typedef void http_client_done_fn(void *context, const struct http_client_result *result);

/* Only a wrong URL, and the system's authorities, are answered here. No Origin is ever sent. */
int http_client_get(struct loop *loop, const struct http_client_options *options,
                    http_client_done_fn *on_done, void *context, struct http_client **ret_client,
                    struct err *err) MUST_CHECK;
void http_client_destroy(struct http_client *client); /* NULL is a no-op */
