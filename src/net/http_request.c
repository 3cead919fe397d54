/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of a request, in this order: who asks (a trusted proxy may say), the rate of
 * handshakes, preflights, whether it is granted, whether there is such a path, the handshake and
 * the page that it comes from, method, body, and the route's handler.
 */
#include "net/http_server_priv.h"

#include "base/clock.h"

#include <assert.h>

#define UPGRADE_HEADERS "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
#define RETRY_SOON "Retry-After: 1\r\n"

static const struct http_route *route_find(const struct http_server *server, struct slice path)
{
    const struct http_route *found = NULL;
    size_t found_size = 0;
    for (size_t i = 0; i < server->route_count; i++) {
        const struct http_route *route = &server->route[i];
        struct slice own = slice_of(route->path);
        if (!route->prefix && slice_equal(path, own))
            return route;
        if (route->prefix && own.size > found_size && slice_starts_with(path, own)) {
            found = route;
            found_size = own.size;
        }
    }
    return found;
}

static void refuse(struct http_connection *connection, enum http_refusal refusal, unsigned status,
                   const char *detail)
{
    http_count_refusal(connection->server, refusal);
    http_answer_problem_with(connection, status, status == 429 ? RETRY_SOON : NULL, detail);
}

/* ---- pages of other origins ---- */

/* True when the page that asks may, or no page does. */
static bool origin_allowed(struct http_connection *connection, const struct http_head *request)
{
    const struct http_origins *origins = connection->server->origins;
    struct slice origin = http_header_find(request, "Origin");
    if (origin.data == NULL || http_origins_any(origins))
        return true;
    if (!http_origins_allow(origins, origin))
        return false;
    connection->origin = origin;
    return true;
}

static bool is_preflight(const struct http_head *request)
{
    return slice_is(request->method, "OPTIONS") &&
           http_header_find(request, "Origin").data != NULL &&
           http_header_find(request, "Access-Control-Request-Method").data != NULL;
}

/* A browser asks, without any token, whether a page may ask with one. */
static void answer_preflight(struct http_connection *connection, bool allowed)
{
    if (!allowed) {
        refuse(connection, HTTP_REFUSAL_ORIGIN, 403, "pages of this origin may not read this");
        return;
    }
    http_answer(connection, 204, NULL,
                "Access-Control-Allow-Methods: GET, HEAD\r\n"
                "Access-Control-Allow-Headers: Authorization, If-None-Match\r\n"
                "Access-Control-Max-Age: 600\r\n",
                (struct slice){.data = NULL});
}

/* ---- checks; true when the request may go on, else it has been answered ---- */

static bool client_check(struct http_connection *connection, const struct http_head *request)
{
    const struct http_server *server = connection->server;
    if (http_client_read(&server->trusted, &connection->peer, request, &connection->client))
        return true;
    connection->client = (struct http_client){.address = connection->peer, .host = request->host};
    refuse(connection, HTTP_REFUSAL_FORWARDED, 400,
           "X-Forwarded-For, -Proto or -Host is malformed");
    return false;
}

static bool rate_check(struct http_connection *connection, const struct http_route *route)
{
    if (route == NULL || !route->websocket ||
        http_guard_handshake(connection->server->guard, &connection->client.address,
                             clock_monotonic_ns()))
        return true;
    refuse(connection, HTTP_REFUSAL_RATE, 429, "too many handshakes from this address");
    return false;
}

static bool grant_check(struct http_connection *connection, const struct http_route *route,
                        const struct http_head *request)
{
    const struct http_server_options *options = &connection->server->options;
    struct http_grant *grant = &connection->grant;
    if (options->authorize == NULL || (route != NULL && route->open))
        return true;
    options->authorize(options->context, request, grant);
    if (grant->status == 0)
        return true;
    assert(grant->status == 400 || grant->status == 401 || grant->status == 403);
    http_count_refusal(connection->server, HTTP_REFUSAL_UNAUTHORIZED);
    http_answer_problem_with(connection, grant->status, grant->headers,
                             grant->detail == NULL ? "this needs a token" : grant->detail);
    return false;
}

static bool handshake_check(struct http_connection *connection, const struct http_head *request,
                            bool allowed)
{
    const char *reason = "";
    unsigned status = ws_handshake_check(request, &reason);
    if (status == 405)
        http_answer_problem_with(connection, status, "Allow: GET\r\n", reason);
    else if (status == 426)
        http_answer_problem_with(connection, status,
                                 connection->keep_alive ? UPGRADE_HEADERS "Connection: Upgrade\r\n"
                                                        : UPGRADE_HEADERS
                                     "Connection: Upgrade, close\r\n",
                                 reason);
    else if (status != 0)
        http_answer_problem(connection, status, reason);
    else if (!allowed)
        refuse(connection, HTTP_REFUSAL_ORIGIN, 403, "pages of this origin may not connect");
    return status == 0 && allowed;
}

static bool method_check(struct http_connection *connection, const struct http_head *request)
{
    if (slice_is(request->method, "GET") || connection->head_only)
        return true;
    http_answer_problem_with(connection, 405, "Allow: GET, HEAD\r\n", "this can only be read");
    return false;
}

static bool body_check(struct http_connection *connection, const struct http_head *request)
{
    if (!request->has_body)
        return true;
    http_answer_problem(connection, 413, "a request may have no body here");
    return false;
}

/* ---- the request ---- */

static void begin(struct http_connection *connection, const struct http_head *request)
{
    struct http_server *server = connection->server;
    connection->request = request;
    connection->answered = false;
    connection->head_only = request != NULL && slice_is(request->method, "HEAD");
    /* The bytes of a body would be taken for the next request. */
    connection->keep_alive = request != NULL && request->keep_alive && !request->has_body &&
                             server->listener != NULL && connection->in_turn < HTTP_PIPELINED_MAX;
    connection->grant = (struct http_grant){.status = 0};
    connection->client = (struct http_client){.address = connection->peer};
    connection->origin = (struct slice){.data = NULL};
    connection->shared = false;
    connection->vary_encoding = false;
}

static void answer(struct http_connection *connection, const struct http_route *route,
                   const struct http_head *request)
{
    bool allowed = origin_allowed(connection, request);
    connection->shared = route == NULL || (!route->same_origin && !route->websocket);
    if (!client_check(connection, request) || !rate_check(connection, route))
        return;
    if (route != NULL && connection->shared && is_preflight(request)) {
        answer_preflight(connection, allowed);
        return;
    }
    if (!grant_check(connection, route, request))
        return;
    if (slice_is(request->path, "*")) {
        (void)method_check(connection, request);
        return;
    }
    if (route == NULL) {
        http_answer_problem(connection, 404, "nothing is served at this path");
        return;
    }
    if (route->websocket ? !handshake_check(connection, request, allowed)
                         : !method_check(connection, request))
        return;
    if (body_check(connection, request))
        route->handler(route->context, connection, request);
}

void http_request_handle(struct http_connection *connection, const struct http_head *request)
{
    const struct http_route *route = route_find(connection->server, request->path);
    begin(connection, request);
    if (route != NULL && route->there != NULL && !route->there(route->context))
        route = NULL;
    answer(connection, route, request);
    assert(connection->answered);
    connection->request = NULL;
}

void http_request_refuse(struct http_connection *connection, unsigned status, const char *headers,
                         const char *detail)
{
    begin(connection, NULL);
    http_answer_problem_with(connection, status, headers, detail);
}
