/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP/1.1 server for small answers from memory and for WebSocket handshakes: one table of
 * routes (paths as sent: an escaped byte is another path), GET and HEAD. Errors are RFC 9457
 * problem JSON. Connections are kept alive; a pipelined request waits until the answer before it
 * has been sent, and the 64th that comes at once is the connection's last. A body is refused (413).
 * Heads are limited in size and time, answers in size (LIMIT_HTTP_RESPONSE) and in the time without
 * progress. Where an error ends a connection, input is thrown away for a moment first, so that the
 * peer gets to read the answer.
 */
#pragma once

#include "net/http.h"
#include "net/tcp.h"

struct http_server;
struct http_connection; /* one request being answered */

typedef void http_handler_fn(void *context, struct http_connection *connection,
                             const struct http_head *request);

struct http_route {
    const char *path; /* exact; of a prefix: with a slash at its end */
    http_handler_fn *handler;
    void *context;  /* borrowed */
    bool websocket; /* a handshake is expected; anything else is answered 426 */
    bool prefix;    /* every path that starts so; the longest match wins, an exact one always */
};

struct http_server_options {
    const char *listen; /* address:port */
    /* How many of the connections handed over are still open: they count as well. May be NULL. */
    uint32_t (*handed_over)(void *context);
    uint32_t connections_max;                          /* more are answered 503 and closed */
    void (*on_answer)(void *context, unsigned status); /* for the metrics; may be NULL */
    void *context;
};

/* The options' text is not kept. */
int http_server_open(struct loop *loop, const struct http_server_options *options,
                     struct http_server **ret_server, struct err *err) MUST_CHECK;

/* Ends its connections, not those handed over; NULL is a no-op. Allowed inside handlers, after the
 * answer. */
void http_server_close(struct http_server *server);

/* Copied, but for path and context, which are borrowed. Before the loop runs. At most 64. */
void http_server_route(struct http_server *server, const struct http_route *route);

uint16_t http_server_port(const struct http_server *server);

/* No more connections are accepted; those that are there go on. */
void http_server_stop_listening(struct http_server *server);

/* Exactly one of these is called by a handler, before it returns. The bytes are copied. headers:
 * NULL or whole extra lines. An answer 304 has neither type nor body. */
void http_answer(struct http_connection *connection, unsigned status, const char *content_type,
                 const char *headers, struct slice body);
void http_answer_problem(struct http_connection *connection, unsigned status, const char *detail);
void http_answer_problem_with(struct http_connection *connection, unsigned status,
                              const char *headers, const char *detail);

/*
 * Grants the WebSocket handshake (already checked) and hands the TCP connection over; the caller
 * owns it from now on and sets its callbacks (or detaches it) before it returns. headers: NULL or
 * whole extra lines, of at most 256 bytes. *ret_rest: bytes that came behind the head, valid during
 * the handler, in memory that may be written to (to unmask them there).
 */
struct tcp *http_upgrade(struct http_connection *connection, const struct http_head *request,
                         const char *headers, struct slice *ret_rest) MUST_CHECK;

/* "192.0.2.1:5678". */
void http_peer(const struct http_connection *connection, char *out, size_t out_size);
