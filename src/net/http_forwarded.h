/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks, when a proxy stands between. X-Forwarded-For, -Proto and -Host are believed of the
 * peers that the configuration names, and of nobody else: from others they are not even read.
 * Values, no I/O.
 */
#pragma once

#include "net/address.h"
#include "net/http.h"

struct http_trusted { /* ranges of proxies */
    size_t count;
    const struct address_range *ranges; /* borrowed */
};

struct http_client {
    struct address address; /* whose limits count */
    struct slice host;      /* what it called us; in the head's memory; valid, may be empty */
    const char *scheme;     /* "http" or "https", as it sees it; static; NULL: no proxy told */
};

bool http_trusted_has(const struct http_trusted *trusted, const struct address *address);

/*
 * Of a request of `peer`. From a trusted one: the address is the rightmost of X-Forwarded-For that
 * is not trusted itself (the leftmost when all are; the peer's own when there is none), scheme and
 * host the first of X-Forwarded-Proto and -Host. What stands left of that address is the client's
 * own invention and is not read. False when one that is read is malformed: answer 400.
 */
bool http_client_read(const struct http_trusted *trusted, const struct address *peer,
                      const struct http_head *head, struct http_client *ret_client) MUST_CHECK;
