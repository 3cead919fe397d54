/* SPDX-License-Identifier: Apache-2.0 */
/* Which exchange is meant, by prefix or Host; and whether it takes who comes. */
#include "sim/simulator_priv.h"

#include "base/clock.h"
#include "sim/write.h"

#include <assert.h>
#include <stdio.h>

#define JSON "application/json;charset=UTF-8"
#define SECOND_NS 1000000000

static void answer_text(struct server_connection *connection, unsigned status, const char *detail)
{
    char body[256];
    int size = snprintf(body, sizeof body, "{\"status\":%u,\"detail\":\"%s\"}", status, detail);
    server_answer(connection, status, "application/problem+json", (struct slice){0},
                  (struct slice){.data = body, .size = (size_t)size});
}

/* ---- who is meant ---- */

static bool has_host(const struct venue *venue, struct slice host)
{
    for (size_t i = 0; venue->hosts != NULL && venue->hosts[i] != NULL; i++) {
        struct slice name = slice_of(venue->hosts[i]);
        if (host.size >= name.size && memcmp(host.data, name.data, name.size) == 0 &&
            (host.size == name.size || host.data[name.size] == ':'))
            return true;
    }
    return false;
}

/* Under its own host name an exchange needs no prefix. *ret_path is the rest behind it. */
static bool is_meant(const struct run *run, const struct http_head *head, struct slice *ret_path)
{
    struct slice path = head->path, name = slice_of(run->public.venue->exchange);
    if (has_host(run->public.venue, head->host)) {
        *ret_path = path;
        return true;
    }
    if (path.size <= name.size + 1 || path.data[0] != '/' || path.data[name.size + 1] != '/' ||
        memcmp(path.data + 1, name.data, name.size) != 0)
        return false;
    *ret_path = (struct slice){path.data + name.size + 1, path.size - name.size - 1};
    return true;
}

/* ---- refusals ---- */

struct refusal {
    unsigned status; /* 0: none */
    uint32_t retry_after_s;
    bool cut;
};

static struct refusal refusal_of(struct run *run, struct visitor *visitor, bool rest)
{
    struct faults *faults = run->simulator->faults;
    struct fault_scope scope = {.exchange = run->public.exchange, .channel = -1};
    const struct fault *ban = faults_find(faults, FAULT_BAN, &scope);
    visitor_is_early(run, visitor);
    if (ban != NULL) {
        visitor->away_ns = clock_monotonic_ns() + (int64_t)ban->retry_after_s * SECOND_NS;
        return (struct refusal){.status = ban->status, .retry_after_s = ban->retry_after_s};
    }
    if (faults_find(faults, FAULT_MAINTENANCE, &scope) != NULL)
        return (struct refusal){.status = 503};
    if (!rest && faults_find(faults, FAULT_DISCONNECT, &scope) != NULL)
        return (struct refusal){.cut = true};
    return (struct refusal){0};
}

static void refuse(struct run *run, struct server_connection *connection,
                   const struct refusal *refusal)
{
    char headers[64] = "";
    if (refusal->cut) {
        server_cut(connection);
        return;
    }
    if (refusal->retry_after_s > 0)
        snprintf(headers, sizeof headers, "Retry-After: %u\r\n", refusal->retry_after_s);
    struct buffer *body = &run->simulator->scratch;
    buffer_clear(body);
    if (run->public.venue->refusal != NULL)
        run->public.venue->refusal(&run->public, refusal->status, body);
    server_answer(connection, refusal->status, JSON, slice_of(headers), buffer_slice(body));
}

/* ---- WebSocket ---- */

static void remember_headers(struct run *run, const struct http_head *head)
{
    struct buffer *out = &run->state->stats.headers;
    buffer_clear(out);
    buffer_append_text(out, "{");
    for (size_t i = 0; i < head->header_count; i++) {
        buffer_append_text(out, i == 0 ? "" : ",");
        write_text(out, head->header[i].name);
        buffer_append_text(out, ":");
        write_text(out, head->header[i].value);
    }
    buffer_append_text(out, "}");
}

/* Asks the limits and the venue. False: it has been refused, with what is in the answer. */
static bool admit(struct run *run, const struct rest_request *request, struct visitor *visitor,
                  struct rest_answer *answer)
{
    const struct venue_limits *limits = &run->public.limits;
    enum broken broken = BROKEN_COUNT;
    if (!rate_log_take(&visitor->handshakes, limits->connects, limits->connects_ms)) {
        broken = BROKEN_CONNECTS;
        venue_broken(&run->public, broken);
    }
    answer->status = 429;
    if (run->public.venue->admit != NULL)
        return run->public.venue->admit(&run->public, request, broken, answer);
    return broken == BROKEN_COUNT;
}

static void handshake(struct run *run, struct server_connection *connection,
                      const struct server_request *whole, const struct rest_request *request)
{
    struct simulator *simulator = run->simulator;
    struct visitor *visitor = visitor_find(run->state, &request->address);
    const char *reason = NULL;
    visitor->connects++;
    run->state->stats.connects++;
    remember_headers(run, request->head);
    struct refusal refusal = refusal_of(run, visitor, false);
    unsigned status = ws_handshake_check(request->head, &reason);
    if (refusal.status != 0 || refusal.cut) {
        refuse(run, connection, &refusal);
        return;
    }
    if (status != 0 || simulator->connection_count >= CONNECTIONS_MAX) {
        answer_text(connection, status == 0 ? 503 : status,
                    status == 0 ? "too many connections" : reason);
        return;
    }
    char memory[VENUE_HEADERS_MAX];
    struct buffer headers;
    buffer_init(&headers, sizeof memory - 1);
    buffer_clear(&simulator->scratch);
    struct rest_answer answer = {
        .status = 200, .type = JSON, .body = &simulator->scratch, .headers = &headers};
    if (!admit(run, request, visitor, &answer))
        server_answer(connection, answer.status, answer.type, buffer_slice(&headers),
                      buffer_slice(answer.body));
    else {
        const char *extension =
            run->public.venue->deflate ? ws_deflate_accept(request->head) : NULL;
        struct slice rest;
        buffer_append_text(&headers, extension == NULL ? "" : extension);
        struct tcp *tcp = server_upgrade(connection, whole, buffer_slice(&headers), &rest);
        connection_open(run, tcp, extension != NULL, request->path, request->query, rest);
    }
    buffer_release(&headers);
}

/* ---- REST ---- */

/* False: this venue has nothing there. */
static bool rest(struct run *run, struct server_connection *connection,
                 const struct rest_request *request)
{
    struct buffer headers;
    struct visitor *visitor = visitor_find(run->state, &request->address);
    struct refusal refusal = refusal_of(run, visitor, true);
    if (refusal.status != 0) {
        run->state->stats.rest_requests++;
        refuse(run, connection, &refusal);
        return true;
    }
    buffer_init(&headers, VENUE_HEADERS_MAX);
    buffer_clear(&run->simulator->scratch);
    struct rest_answer answer = {
        .status = 200, .type = JSON, .body = &run->simulator->scratch, .headers = &headers};
    bool there = run->public.venue->rest(&run->public, request, &answer);
    if (there || answer.body->size > 0) {
        run->state->stats.rest_requests++;
        visitor->requests++;
        server_answer(connection, there ? answer.status : 404, answer.type, buffer_slice(&headers),
                      buffer_slice(answer.body));
        there = true;
    }
    buffer_release(&headers);
    return there;
}

void routes_handle(void *context, struct server_connection *connection,
                   const struct server_request *request)
{
    struct simulator *simulator = context;
    const struct http_head *head = request->head;
    bool meant = false;
    struct rest_request asked = {
        .method = head->method, .query = head->query, .head = head, .address = request->address};
    if (slice_starts_with(head->path, SLICE("/sim/"))) {
        control_handle(simulator, connection, request, head->path);
        return;
    }
    for (size_t i = 0; i < simulator->run_count; i++) {
        struct run *run = &simulator->runs[i];
        if (!is_meant(run, head, &asked.path))
            continue;
        meant = true;
        if (run->public.venue->is_stream(asked.path)) {
            if (head->upgrade)
                handshake(run, connection, request, &asked);
            else
                answer_text(connection, 426, "a WebSocket handshake is expected here");
            return;
        } else if (rest(run, connection, &asked))
            return;
    }
    answer_text(connection, 404,
                meant
                    ? "the exchange has nothing at this path"
                    : "no exchange is meant: /binance/, /upbit/, /bithumb/, or /sim/ for control");
}
