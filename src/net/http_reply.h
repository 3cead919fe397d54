/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One whole HTTP/1.1 answer to a GET, without I/O: bytes in, head and body out. Interim answers
 * (1xx) are skipped, a few. The body ends where RFC 9112, section 6.3, says: never (204, 304), by
 * chunks (section 7.1; extensions and trailers are dropped), by Content-Length, or with the
 * connection: what a stranger cuts off there is not noticed, so who reads such a body checks it. A
 * value with one owner, any thread.
 */
#pragma once

#include "net/http.h"

struct http_reply;

enum http_reply_result {
    HTTP_REPLY_MORE,
    HTTP_REPLY_WHOLE, /* what comes behind it is not read */
    HTTP_REPLY_FAILED /* http_reply_reason says why */
};

/* A body of more than body_max bytes fails, as soon as that is known. */
struct http_reply *http_reply_create(size_t body_max) MUST_CHECK;
void http_reply_destroy(struct http_reply *reply); /* NULL is a no-op */

/* Bytes as they come, cut anywhere. After another result than MORE: the same again. */
enum http_reply_result http_reply_read(struct http_reply *reply, struct slice input);

/* The connection has ended: WHOLE, when that is what ends the body, or it was before; or FAILED. */
enum http_reply_result http_reply_end(struct http_reply *reply);

/* Of the whole one, as long as it lives; behind the body a NUL and LIMIT_PADDING bytes follow. */
const struct http_head *http_reply_head(const struct http_reply *reply);
struct slice http_reply_body(const struct http_reply *reply);

/* Of a failure: a sentence that begins in lower case. */
const char *http_reply_reason(const struct http_reply *reply);
