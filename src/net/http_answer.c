/* SPDX-License-Identifier: Apache-2.0 */
/* What goes out: heads of answers, problems, files, the upgrade; and the line in the log. */
#include "net/http_server_priv.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <stdio.h>

#define PROBLEM_MAX (4 * KIBIBYTE)
#define LOGGED_PATH_MAX 256

/* ---- the access log ---- */

static void log_line(struct log_site *site, const struct http_connection *connection,
                     unsigned status, size_t size)
{
    const struct http_head *request = connection->request;
    char client[ADDRESS_TEXT];
    struct slice path = request == NULL ? SLICE("-") : request->path;
    address_write(&connection->client.address, client);
    if (path.size > LOGGED_PATH_MAX)
        path.size = LOGGED_PATH_MAX;
    int64_t took_ns = connection->head_ns == 0 ? 0 : clock_monotonic_ns() - connection->head_ns;
    const struct log_field fields[] = {
        log_text("msg", "request"),
        log_text("client", client),
        log_slice("method", request == NULL ? SLICE("-") : request->method),
        log_slice("path", path),
        log_int("status", status),
        log_int("bytes", (int64_t)size),
        log_int("ms", took_ns / 1000000),
        {.key = NULL},
    };
    log_write(site, LOG_INFO, "http", fields);
}

/* Neither query nor headers: tokens and the like are none of a log's business. */
static void log_request(struct http_connection *connection, unsigned status, size_t size)
{
    static struct log_site refused_site; /* so that a flood of these leaves the others readable */
    static struct log_site sampled_site;
    struct http_server *server = connection->server;
    if (server->options.access_log_every == 0 || !log_enabled(LOG_INFO))
        return;
    bool refused = status >= 400;
    bool sampled = !refused && server->until_logged == 0;
    if (!refused)
        server->until_logged =
            sampled ? server->options.access_log_every - 1 : server->until_logged - 1;
    if (refused || sampled)
        log_line(refused ? &refused_site : &sampled_site, connection, status, size);
}

/* ---- answers ---- */

/* What lets pages of other origins read it, and caches tell the answers apart. */
static void write_sharing(struct http_connection *connection)
{
    struct buffer *out = &connection->output;
    bool any = http_origins_any(connection->server->origins);
    bool vary_origin = connection->shared && !any;
    if (connection->shared && any)
        buffer_append_text(out, "Access-Control-Allow-Origin: *\r\n");
    if (vary_origin && connection->origin.size > 0)
        buffer_append_format(out, "Access-Control-Allow-Origin: %.*s\r\n",
                             (int)connection->origin.size, connection->origin.data);
    if (connection->shared && (any || connection->origin.size > 0))
        buffer_append_text(out, "Access-Control-Expose-Headers: ETag, Retry-After\r\n");
    if (vary_origin || connection->vary_encoding)
        buffer_append_format(out, "Vary: %s%s%s\r\n", vary_origin ? "Origin" : "",
                             vary_origin && connection->vary_encoding ? ", " : "",
                             connection->vary_encoding ? "Accept-Encoding" : "");
}

static void write_answer(struct http_connection *connection, unsigned status,
                         const char *content_type, const char *headers, struct slice body)
{
    struct buffer *out = &connection->output;
    bool bodiless = status == 304 || status == 204;
    buffer_append_format(out, "HTTP/1.1 %u %s\r\nX-Content-Type-Options: nosniff\r\n", status,
                         http_status_text(status));
    /* A length in a 304 would have to be that of the 200 (RFC 9110, section 8.6). */
    if (!bodiless)
        buffer_append_format(out, "Content-Type: %s\r\nContent-Length: %zu\r\n", content_type,
                             body.size);
    write_sharing(connection);
    if (headers != NULL)
        buffer_append_text(out, headers);
    bool said = headers != NULL && strstr(headers, "Connection:") != NULL;
    if (!connection->keep_alive && !said)
        buffer_append_text(out, "Connection: close\r\n");
    buffer_append_text(out, "\r\n");
    if (!connection->head_only && !bodiless)
        buffer_append_slice(out, body);
}

static void send_answer(struct http_connection *connection, unsigned status,
                        const char *content_type, const char *headers, struct slice body)
{
    const struct http_server_options *options = &connection->server->options;
    assert(!connection->answered); /* exactly one answer a request */
    assert(connection->output.size == 0);
    connection->answered = true;
    write_answer(connection, status, content_type, headers, body);
    if (connection->output.overflowed) {
        buffer_clear(&connection->output);
        connection->keep_alive = false;
        status = 500;
        write_answer(connection, status, "text/plain", NULL, SLICE("the answer is too large\n"));
    }
    connection->state = CONNECTION_SENDING;
    http_set_deadline(connection, LIMIT_HTTP_ANSWER_MS);
    connection->answer_end_ns = connection->deadline_ns;
    log_request(connection, status, connection->head_only || status == 304 ? 0 : body.size);
    if (options->on_answer != NULL)
        options->on_answer(options->context, status);
    if (!connection->dead)
        http_connection_flush(connection);
}

static void append_json_text(struct buffer *out, const char *text)
{
    for (const char *cursor = text; *cursor != '\0'; cursor++) {
        if (*cursor == '"' || *cursor == '\\')
            buffer_append_format(out, "\\%c", *cursor);
        else if ((unsigned char)*cursor < ' ')
            buffer_append_format(out, "\\u%04x", (unsigned)*cursor);
        else
            buffer_append(out, cursor, 1);
    }
}

void http_answer(struct http_connection *connection, unsigned status, const char *content_type,
                 const char *headers, struct slice body)
{
    send_answer(connection, status, content_type, headers, body);
}

void http_answer_problem(struct http_connection *connection, unsigned status, const char *detail)
{
    http_answer_problem_with(connection, status, NULL, detail);
}

void http_answer_problem_with(struct http_connection *connection, unsigned status,
                              const char *headers, const char *detail)
{
    struct buffer body;
    buffer_init(&body, PROBLEM_MAX);
    buffer_append_format(&body,
                         "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"detail\":\"",
                         http_status_text(status), status);
    append_json_text(&body, detail);
    buffer_append_text(&body, "\"}\n");
    assert(!body.overflowed);
    send_answer(connection, status, "application/problem+json", headers, buffer_slice(&body));
    buffer_release(&body);
}

/* ---- files ---- */

void http_answer_file(struct http_connection *connection, const struct http_head *request,
                      const struct http_file *file, const char *headers)
{
    char lines[KIBIBYTE];
    enum http_encoding encoding = http_encoding_choose(request, file->gzip_body.size > 0);
    bool gzip = encoding == HTTP_ENCODING_GZIP;
    const char *etag = gzip ? file->gzip_etag : file->etag;
    connection->vary_encoding = file->gzip_body.size > 0;
    if (encoding == HTTP_ENCODING_NONE) {
        http_answer_problem(connection, 406, "this is there as it is, or in gzip");
        return;
    }
    bool unchanged = http_etag_matches(request, slice_of(etag));
    int size = snprintf(lines, sizeof(lines), "ETag: %s\r\nCache-Control: no-cache\r\n%s%s%s", etag,
                        unchanged ? "" : "Accept-Ranges: none\r\n",
                        gzip && !unchanged ? "Content-Encoding: gzip\r\n" : "",
                        headers == NULL ? "" : headers);
    assert(size > 0 && (size_t)size < sizeof(lines));
    (void)size;
    if (unchanged)
        http_answer(connection, 304, NULL, lines, (struct slice){.data = NULL});
    else
        http_answer(connection, 200, file->type, lines, gzip ? file->gzip_body : file->body);
}

/* ---- handing over ---- */

struct tcp *http_upgrade(struct http_connection *connection, const struct http_head *request,
                         const char *headers, struct slice *ret_rest)
{
    assert(!connection->answered);
    const struct http_server_options *options = &connection->server->options;
    const char *subprotocol = connection->grant.subprotocol;
    struct tcp *tcp = connection->tcp;
    char accept[WS_ACCEPT_SIZE + 1];
    char head[KIBIBYTE];
    ws_accept_for(http_header_find(request, "Sec-WebSocket-Key"), accept);
    int size = snprintf(head, sizeof(head),
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s%s%s%s\r\n",
                        accept, subprotocol == NULL ? "" : "Sec-WebSocket-Protocol: ",
                        subprotocol == NULL ? "" : subprotocol, subprotocol == NULL ? "" : "\r\n",
                        headers == NULL ? "" : headers);
    assert(size > 0 && (size_t)size < sizeof(head));
    connection->answered = true;
    if (tcp_send(tcp, head, (size_t)size) != (size_t)size)
        tcp_shutdown(tcp); /* no room for two lines on an idle connection: it is broken */
    tcp_read_pause(tcp, false);
    *ret_rest = connection->rest;
    connection->tcp = NULL;
    log_request(connection, 101, 0);
    http_connection_end(connection);
    if (options->on_answer != NULL)
        options->on_answer(options->context, 101);
    return tcp;
}

/* ---- who asks ---- */

const struct http_grant *http_granted(const struct http_connection *connection)
{
    return &connection->grant;
}

void http_client_address(const struct http_connection *connection, struct address *ret_address)
{
    *ret_address = connection->client.address;
}

struct slice http_request_host(const struct http_connection *connection)
{
    return connection->client.host;
}

const char *http_request_scheme(const struct http_connection *connection)
{
    if (connection->client.scheme != NULL)
        return connection->client.scheme;
    return connection->server->options.secure ? "https" : "http";
}

void http_peer(const struct http_connection *connection, char *out, size_t out_size)
{
    if (connection->tcp != NULL)
        tcp_peer(connection->tcp, out, out_size);
    else
        snprintf(out, out_size, "unknown");
}
