/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP/1.1 server for small answers from memory and for WebSocket handshakes: one table of
 * routes (paths as sent: an escaped byte is another path), GET and HEAD. Errors are RFC 9457
 * problem JSON. Connections are kept alive; a pipelined request waits until the answer before it
 * has been sent, and the 64th that comes at once is the connection's last. A body is refused (413).
 * Heads are limited in size and time (from their first byte, and of the first one from the
 * connection's start), idle connections in time, answers in size (LIMIT_HTTP_RESPONSE), in time
 * and in the time without progress, and unsent answers of all together in size. Where an error ends
 * a connection, input is thrown away for a moment first (LIMIT_HTTP_IGNORED at most), so that the
 * peer gets to read the answer.
 *
 * When there are as many connections as there may be, the one that has waited longest for a head,
 * or for its peer to take an answer, of the address with the most of them, is closed for a new one
 * (http_guard.h); where none waits, the new one is answered 503. What is refused or ended early
 * is counted in http_refused_total{reason}.
 *
 * Thread: its loop's, for everything here.
 */
#pragma once

#include "net/address.h"
#include "net/http.h"
#include "net/http_guard.h"
#include "net/tcp.h"

struct http_server;
struct http_connection; /* one request being answered */

typedef void http_handler_fn(void *context, struct http_connection *connection,
                             const struct http_head *request);

struct http_route {
    const char *path; /* exact; of a prefix: with a slash at its end */
    http_handler_fn *handler;
    void *context;    /* borrowed */
    bool websocket;   /* a handshake is expected; anything else is answered 426 */
    bool prefix;      /* every path that starts so; the longest match wins, an exact one always */
    bool open;        /* nobody is asked whether it is granted */
    bool same_origin; /* pages of other origins may not read it, whichever are allowed */
    /* Asked at each request: false, and nothing is served at this path (404). NULL: always there */
    bool (*there)(void *context);
};

/* What an asker may do. The texts are static, or live until the next request is asked about. */
struct http_grant {
    unsigned status;         /* 0: granted; else 401 or 403 */
    const char *detail;      /* of a refusal: a sentence */
    const char *headers;     /* of a refusal: whole extra lines, as WWW-Authenticate; may be NULL */
    const char *subprotocol; /* to be named in the upgrade; NULL: none */
    int64_t expires_us;      /* wall time at which what was granted ends; 0: never */
};

/* *ret_grant comes zeroed: granted. */
typedef void http_authorize_fn(void *context, const struct http_head *request,
                               struct http_grant *ret_grant);

struct http_texts {
    char *const *items;
    size_t count;
};

struct http_server_options {
    const char *listen;            /* address:port */
    const struct tls_context *tls; /* NULL: plain; not needed after opening */
    /* How many of the connections handed over are still open: they count as well. May be NULL. */
    uint32_t (*handed_over)(void *context);
    uint32_t connections_max;                          /* more: see above */
    void (*on_answer)(void *context, unsigned status); /* for the metrics; may be NULL */
    /* Asked about every request, also of unknown paths, but for routes that are open and for
     * preflights; NULL: all is granted. */
    http_authorize_fn *authorize;
    void *context;
    struct http_texts trusted_proxies; /* addresses and ranges whose X-Forwarded-* are believed */
    struct http_texts allowed_origins; /* as in http_origin.h; none at all: every one */
    struct http_limits limits;
    /* One request in so many is logged; those refused (4xx, 5xx) are always, up to the log's own
     * limit. 1: each; 0: no request is logged at all. Never with query or headers. */
    uint32_t access_log_every;
    bool secure; /* what http_request_scheme says when no proxy says otherwise; tls implies it */
};

/* The options' texts are not kept. -EINVAL when a proxy or an origin is none. */
int http_server_open(struct loop *loop, const struct http_server_options *options,
                     struct http_server **ret_server, struct err *err) MUST_CHECK;

/* From the next connection on; see tcp_listener_set_tls. */
void http_server_set_tls(struct http_server *server, const struct tls_context *context);

/* Ends its connections, not those handed over; NULL is a no-op. Allowed inside handlers, after the
 * answer. */
void http_server_close(struct http_server *server);

/* Copied, but for path and context, which are borrowed. Before the loop runs. At most 64. */
void http_server_route(struct http_server *server, const struct http_route *route);

/* As many connections from now on; those that are there stay. */
void http_server_allow(struct http_server *server, uint32_t connections_max);

uint16_t http_server_port(const struct http_server *server);

/* No more connections are accepted; those that are there go on. */
void http_server_stop_listening(struct http_server *server);

/* ---- in a handler ---- */

/* Exactly one of these is called by a handler, before it returns. The bytes are copied. headers:
 * NULL or whole extra lines; no Vary. An answer 204 or 304 has neither type nor body. */
void http_answer(struct http_connection *connection, unsigned status, const char *content_type,
                 const char *headers, struct slice body);
void http_answer_problem(struct http_connection *connection, unsigned status, const char *detail);
void http_answer_problem_with(struct http_connection *connection, unsigned status,
                              const char *headers, const char *detail);

struct http_file { /* what does not change while the program runs */
    const char *path;
    const char *type;
    const char *etag;       /* strong, with its quotes */
    const char *gzip_etag;  /* of the compressed form, which is another sequence of bytes */
    struct slice body;      /* static */
    struct slice gzip_body; /* empty: there is none */
};

/* In the form that the asker prefers (406 when it wants none that there is), or 304; always whole.
 * headers: NULL or whole extra lines. */
void http_answer_file(struct http_connection *connection, const struct http_head *request,
                      const struct http_file *file, const char *headers);

/*
 * Grants the WebSocket handshake (already checked) and hands the TCP connection over; the caller
 * owns it from now on and sets its callbacks (or detaches it) before it returns. headers: NULL or
 * whole extra lines, of at most 256 bytes; the subprotocol that was granted is named without.
 * *ret_rest: bytes that came behind the head, valid during the handler, in memory that may be
 * written to (to unmask them there).
 */
struct tcp *http_upgrade(struct http_connection *connection, const struct http_head *request,
                         const char *headers, struct slice *ret_rest) MUST_CHECK;

/* What was granted to this request; during its handler, also after http_upgrade. */
const struct http_grant *http_granted(const struct http_connection *connection);

/* Whose limits count: the peer, or the one that a trusted proxy speaks for. As http_granted. */
void http_client_address(const struct http_connection *connection, struct address *ret_address);

/* What the client called us: "gw.example:8080"; valid, may be empty. As http_granted. */
struct slice http_request_host(const struct http_connection *connection);

/* "https" or "http", as the client sees it; static. As http_granted. */
const char *http_request_scheme(const struct http_connection *connection);

/* "192.0.2.1:5678": the TCP peer. */
void http_peer(const struct http_connection *connection, char *out, size_t out_size);
