/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 heads, requests and answers, without I/O: bytes in, a head out. The grammar is the
 * library's (http_parser, kept to http.c); what a WebSocket gateway must not accept is refused
 * here: two Content-Lengths, two Hosts, both lengths, a missing Host, obs-fold.
 */
#pragma once

#include "base/buffer.h"
#include "base/err.h"
#include "base/limits.h"

/* (HTTP_HEAD and HTTP_REQUEST without more would be names of the library's.) */
enum http_result {
    HTTP_READ_MORE,
    HTTP_READ_HEAD,   /* the head is whole; *ret_used bytes of the input belong to it */
    HTTP_READ_FAILED, /* answer with `status` (400, 414, 431, 501, 505) and close */
};

enum http_kind { HTTP_KIND_REQUEST, HTTP_KIND_ANSWER };

struct http_header {
    struct slice name; /* as sent; compare with http_header_find, which ignores case */
    struct slice value;
};

struct http_head {
    struct slice method; /* of a request: "GET" */
    struct slice path;   /* of a request, without query; as sent, not decoded; "*" of OPTIONS */
    struct slice query;  /* behind '?', may be empty */
    struct slice host; /* of a request: of an absolute target, else the Host; valid, may be empty */
    unsigned status;   /* of an answer; of a failure: what to answer */
    const char *reason; /* of a failure: a sentence; static */
    bool keep_alive;
    bool upgrade;  /* asks for, or grants, a change of protocol */
    bool has_body; /* a body follows: chunked, or a Content-Length over 0 */
    uint64_t content_length;
    size_t header_count;
    struct http_header header[LIMIT_HTTP_HEADERS];
};

struct http_reader; /* reads one head after another; owns the bytes of the present one */

struct http_reader *http_reader_create(enum http_kind kind) MUST_CHECK;
void http_reader_destroy(struct http_reader *reader);

/*
 * Bytes as they come; *ret_used is set always. After HTTP_READ_HEAD the head is valid until the
 * next call, and the next call starts a new one. After HTTP_READ_FAILED (*ret_head then has status
 * and reason alone) nothing is read any more. One empty line before a request is skipped.
 */
enum http_result http_read(struct http_reader *reader, struct slice input, size_t *ret_used,
                           const struct http_head **ret_head);

/* Whether bytes of a head wait for the rest: a peer that says no more now is slow, not idle. */
bool http_reader_started(const struct http_reader *reader);

/* The value of the first header of that name, or an empty slice with data NULL. Names ignore case.
 */
struct slice http_header_find(const struct http_head *head, const char *name);

/* Whether a comma-separated header value has the token, ignoring case. */
bool http_has_token(struct slice value, const char *token);

/* The same over all headers of that name. */
bool http_header_has_token(const struct http_head *head, const char *name, const char *token);

/*
 * The value of the first `name` in a query string, percent-decoded into out (terminated); '+' stays
 * what it is. False when absent (*ret_present false), or malformed or too long (true). An encoded
 * NUL is malformed.
 */
bool http_query_find(struct slice query, const char *name, char *out, size_t out_size,
                     bool *ret_present) MUST_CHECK;

/* %-escapes into bytes, terminated. False when one is malformed, is a NUL, or out is too small. */
bool http_percent_decode(struct slice text, char *out, size_t out_size) MUST_CHECK;

/*
 * Whether the request's If-None-Match names this entity tag (with its quotes), or any: then the
 * answer is 304. Tags are compared weakly (RFC 9110, section 13.1.2); a list that is malformed ends
 * where it is so.
 */
bool http_etag_matches(const struct http_head *head, struct slice etag);

enum http_encoding { HTTP_ENCODING_NONE, HTTP_ENCODING_IDENTITY, HTTP_ENCODING_GZIP };

/*
 * What the request's Accept-Encoding (RFC 9110, section 12.5.3) makes of a body that is there as it
 * is and, perhaps, in gzip: the heavier one, gzip when they weigh the same. NONE: it wants neither.
 * A weight that is malformed counts as 0.
 */
enum http_encoding http_encoding_choose(const struct http_head *head, bool has_gzip);

/* An answer's Retry-After in seconds from now_us (wall time) on; a date that is past is 0; -1: it
 * has none, or a malformed one. */
int64_t http_retry_after_s(const struct http_head *head, int64_t now_us);

/* "Not Found"; static. */
const char *http_status_text(unsigned status);

/* ---- the WebSocket handshake (RFC 6455, section 4) ---- */

#define WS_ACCEPT_SIZE 28
#define WS_KEY_SIZE 24

/* base64(sha1(key + GUID)), terminated. */
void ws_accept_for(struct slice key, char ret_accept[WS_ACCEPT_SIZE + 1]);

/* 16 random bytes in base64, terminated. */
void ws_key_make(char ret_key[WS_KEY_SIZE + 1]);

/* 0 when the request is a valid handshake, else the status to refuse it with (400, 405, 426);
 * *ret_reason is static. */
unsigned ws_handshake_check(const struct http_head *request, const char **ret_reason);

/* 0 when the answer accepts our key, else a negative errno and a sentence. */
int ws_handshake_accepted(const struct http_head *answer, const char *key,
                          struct err *err) MUST_CHECK;

/* The same when an extension was offered: what the answer says of extensions is left to the caller
 * (ws_deflate.h). */
int ws_handshake_accepted_but_extension(const struct http_head *answer, const char *key,
                                        struct err *err) MUST_CHECK;
