/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator's own HTTP/1.1 server: it must answer as exchanges do, take a body, and choose by
 * Host, none of which the gateway's server does. Requests one after another, heads and bodies of
 * SERVER_BODY_MAX at most, connections without a request for SERVER_IDLE_MS are closed, and
 * SERVER_CONNECTIONS_MAX at a time. Thread: its loop's.
 */
#pragma once

#include "base/buffer.h"
#include "net/address.h"
#include "net/http.h"
#include "net/tcp.h"

#define SERVER_BODY_MAX (64 * KIBIBYTE)
#define SERVER_ANSWER_MAX (16 * MEBIBYTE)
#define SERVER_IDLE_MS 60000
#define SERVER_CONNECTIONS_MAX 1024

struct server;
struct server_connection; /* one request being answered */

struct server_request {
    const struct http_head *head;
    struct slice body;
    struct address address;
};

/* Exactly one of server_answer, server_upgrade and server_cut before it returns. */
typedef void server_handler_fn(void *context, struct server_connection *connection,
                               const struct server_request *request);

/* listen: address:port; tls: NULL, or a context of which a handle is kept. */
int server_open(struct loop *loop, const char *listen, const struct tls_context *tls,
                struct server **ret_server, struct err *err) MUST_CHECK;
void server_set_handler(struct server *server, server_handler_fn *handler, void *context);
uint16_t server_port(const struct server *server);
void server_close(struct server *server); /* NULL is a no-op */

/* headers: whole lines, may be empty. */
void server_answer(struct server_connection *connection, unsigned status, const char *type,
                   struct slice headers, struct slice body);

/* Grants a WebSocket handshake that was checked (ws_handshake_check), and hands the connection
 * over. *ret_rest: what came behind the head, to be unmasked in place, valid during the handler. */
struct tcp *server_upgrade(struct server_connection *connection,
                           const struct server_request *request, struct slice headers,
                           struct slice *ret_rest) MUST_CHECK;

/* Closes without an answer. */
void server_cut(struct server_connection *connection);
