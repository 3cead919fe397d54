/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One stage after the other, each ended by a callback of the connection. The proxy's answer is read
 * by the reader of heads, so it is bounded by it; interim answers (1xx) are skipped, a few. What is
 * behind its head belongs to the tunnel: where TLS begins there, nothing may be.
 */
#include "net/dial.h"

#include "base/clock.h"
#include "base/memory.h"
#include "net/http.h"
#include "net/proxy_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#define INTERIM_MAX 8
#define REASON_MAX 480
#define PEER_MAX (2 * LIMIT_HOST + 64)
#define CONNECT_MAX (4 * KIBIBYTE + 3 * LIMIT_URL)

enum dial_stage { DIAL_CONNECTING, DIAL_PROXY_TLS, DIAL_PROXY, DIAL_TLS, DIAL_DONE };

struct dial {
    dial_done_fn *on_done;
    void *context;              /* borrowed */
    struct tcp *tcp;            /* owned, until it is handed over */
    struct tls_context *tls;    /* owned; NULL: TLS is spoken nowhere */
    const struct proxy *proxy;  /* borrowed; NULL: straight */
    struct http_reader *reader; /* owned; of the proxy's answer */
    struct url url;
    enum dial_stage stage;
    unsigned interim; /* answers skipped */
    unsigned proxy_status;
    int64_t retry_after_s;
};

static void write_target(const struct dial *dial, char *out, size_t out_size)
{
    const struct url *url = &dial->url;
    snprintf(out, out_size, url->bracketed ? "[%s]:%u" : "%s:%u", url->host, (unsigned)url->port);
}

/* Whom the present stage is about. */
static void write_peer(const struct dial *dial, char *out, size_t out_size)
{
    char target[LIMIT_HOST + 16];
    write_target(dial, target, sizeof(target));
    if (dial->proxy == NULL)
        snprintf(out, out_size, "%s", target);
    else if (dial->stage == DIAL_TLS)
        snprintf(out, out_size, "%s, through proxy %s", target, proxy_name(dial->proxy));
    else
        snprintf(out, out_size, "proxy %s", proxy_name(dial->proxy));
}

/* The last thing done: the owner may destroy it inside. */
static void finish(struct dial *dial, struct dial_result *result)
{
    result->proxy_status = dial->proxy_status;
    result->retry_after_s = dial->retry_after_s;
    if (result->reason != NULL) {
        tcp_destroy(dial->tcp);
    } else {
        result->tcp = dial->tcp;
    }
    dial->tcp = NULL;
    dial->stage = DIAL_DONE;
    dial->on_done(dial->context, result);
}

static void PRINTF(2, 3) fail(struct dial *dial, const char *format, ...)
{
    char peer[PEER_MAX];
    char what[REASON_MAX];
    char reason[sizeof(peer) + sizeof(what)];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    write_peer(dial, peer, sizeof(peer));
    snprintf(reason, sizeof(reason), "%s%s", peer, what);
    finish(dial, &(struct dial_result){.reason = reason});
}

static void succeed(struct dial *dial, char *early, size_t early_size)
{
    finish(dial,
           &(struct dial_result){.early = early_size > 0 ? early : NULL, .early_size = early_size});
}

/* ---- TLS to the host ---- */

static void on_secured(void *context, int error, const char *error_text)
{
    struct dial *dial = context;
    if (error != 0)
        fail(dial, ": %s", error_text);
    else
        succeed(dial, NULL, 0);
}

/* There is a way to the host. */
static void secure(struct dial *dial, char *early, size_t early_size)
{
    if (!dial->url.tls) {
        succeed(dial, early, early_size);
        return;
    }
    dial->stage = DIAL_TLS;
    if (early_size > 0) {
        fail(dial, ": %zu bytes came out of the proxy's tunnel before TLS began", early_size);
        return;
    }
    tcp_start_tls(dial->tcp, dial->tls, dial->url.host, on_secured, dial);
}

/* ---- the proxy ---- */

/* 401 is for hosts, but that is what tinyproxy says to a wrong password. */
static void not_let_in(struct dial *dial, const struct http_head *answer)
{
    bool has_user = proxy_authorization(dial->proxy)[0] != '\0';
    struct slice wanted =
        http_header_find(answer, answer->status == 407 ? "Proxy-Authenticate" : "WWW-Authenticate");
    bool basic = wanted.size >= 5 && strncasecmp(wanted.data, "Basic", 5) == 0;
    if (wanted.size > 0 && !basic)
        fail(dial,
             " answered %u: it wants to know who we are by \"%.*s\", and only Basic is known here",
             answer->status, (int)(wanted.size < 40 ? wanted.size : 40), wanted.data);
    else
        fail(dial, " answered %u: %s", answer->status,
             has_user ? "it does not take this user and password"
                      : "it wants a user and a password, and its URL has none");
}

static void refused(struct dial *dial, const struct http_head *answer)
{
    char target[LIMIT_HOST + 16];
    write_target(dial, target, sizeof(target));
    dial->proxy_status = answer->status;
    dial->retry_after_s = http_retry_after_s(answer, clock_wall_us());
    if (answer->status == 401 || answer->status == 407)
        not_let_in(dial, answer);
    else
        fail(dial, " answered %u %s to CONNECT %s", answer->status,
             http_status_text(answer->status), target);
}

static void take_answer(struct dial *dial, const struct http_head *answer, struct slice rest)
{
    assert(answer->status >= 200);
    if (answer->status >= 300)
        refused(dial, answer);
    else
        secure(dial, (char *)rest.data, rest.size);
}

static void on_data(void *context, char *data, size_t size)
{
    struct dial *dial = context;
    struct slice rest = {.data = data, .size = size};
    const struct http_head *head;
    size_t used;
    enum http_result result;
    do {
        result = http_read(dial->reader, rest, &used, &head);
        rest.data += used;
        rest.size -= used;
        if (result == HTTP_READ_HEAD && head->status < 200 && ++dial->interim > INTERIM_MAX) {
            fail(dial, " sends one interim answer after the other");
            return;
        }
    } while (result == HTTP_READ_HEAD && head->status < 200);
    if (result == HTTP_READ_FAILED)
        fail(dial, " did not answer in HTTP: %s", head->reason);
    else if (result == HTTP_READ_HEAD)
        take_answer(dial, head, rest);
}

static void on_closed(void *context, int error)
{
    struct dial *dial = context;
    if (error == 0)
        fail(dial, " closed the connection without an answer to CONNECT");
    else
        fail(dial, ": the connection failed before it answered to CONNECT: %s", strerror(-error));
}

static const struct tcp_callbacks proxy_callbacks = {.on_data = on_data, .on_closed = on_closed};

static void ask_proxy(struct dial *dial)
{
    char target[LIMIT_HOST + 16];
    struct buffer request;
    write_target(dial, target, sizeof(target));
    buffer_init(&request, CONNECT_MAX);
    buffer_append_format(&request,
                         "CONNECT %s HTTP/1.1\r\nHost: %s\r\n"
                         "User-Agent: tickwire/" TICKWIRE_VERSION "\r\n%s\r\n",
                         target, target, proxy_authorization(dial->proxy));
    assert(!request.overflowed);
    dial->stage = DIAL_PROXY;
    dial->reader = http_reader_create(HTTP_KIND_ANSWER);
    tcp_set_callbacks(dial->tcp, &proxy_callbacks, dial);
    size_t taken = tcp_send(dial->tcp, request.data, request.size);
    if (taken < request.size) /* nothing else is on its way: the connection is broken */
        tcp_shutdown(dial->tcp);
    buffer_clear(&request);
    buffer_release(&request);
}

static void on_proxy_secured(void *context, int error, const char *error_text)
{
    struct dial *dial = context;
    if (error != 0)
        fail(dial, ": %s", error_text);
    else
        ask_proxy(dial);
}

static void on_connected(void *context, int error, const char *error_text)
{
    struct dial *dial = context;
    char reason[REASON_MAX];
    if (error != 0) { /* the address is in its text */
        snprintf(reason, sizeof(reason), "%s%s", dial->proxy == NULL ? "" : "proxy ", error_text);
        finish(dial, &(struct dial_result){.reason = reason});
    } else if (dial->proxy == NULL) {
        secure(dial, NULL, 0);
    } else if (!proxy_url(dial->proxy)->tls) {
        ask_proxy(dial);
    } else {
        dial->stage = DIAL_PROXY_TLS;
        tcp_start_tls(dial->tcp, dial->tls, proxy_url(dial->proxy)->host, on_proxy_secured, dial);
    }
}

/* ---- the owner's calls ---- */

int dial_start(struct loop *loop, const struct dial_options *options, dial_done_fn *on_done,
               void *context, struct dial **ret_dial, struct err *err)
{
    const struct url *url = options->url;
    struct tls_context *tls = NULL;
    bool serves = proxy_serves(options->proxy, url->host, url->port);
    if (url->tls || (serves && proxy_url(options->proxy)->tls)) {
        if (options->tls != NULL) {
            tls = tls_context_share(options->tls);
        } else {
            int failed = tls_context_create_client(NULL, &tls, err);
            if (failed != 0)
                return failed;
        }
    }
    struct dial *dial = memory_alloc(sizeof(*dial));
    dial->on_done = on_done;
    dial->context = context;
    dial->tls = tls;
    dial->proxy = serves ? options->proxy : NULL;
    dial->url = *url;
    dial->retry_after_s = -1;
    const struct url *first = serves ? proxy_url(options->proxy) : url;
    dial->tcp =
        tcp_connect(loop, first->host, first->port, options->timeout_ms, on_connected, dial);
    *ret_dial = dial;
    return 0;
}

void dial_late(const struct dial *dial, char *out, size_t out_size)
{
    static const char *const what[] = {
        [DIAL_CONNECTING] = "not connected",
        [DIAL_PROXY_TLS] = "no TLS handshake",
        [DIAL_PROXY] = "no answer to CONNECT",
        [DIAL_TLS] = "no TLS handshake",
        [DIAL_DONE] = "connected",
    };
    char peer[PEER_MAX];
    write_peer(dial, peer, sizeof(peer));
    snprintf(out, out_size, "%s: %s", peer, what[dial->stage]);
}

void dial_destroy(struct dial *dial)
{
    if (dial == NULL)
        return;
    tcp_destroy(dial->tcp);
    tls_context_destroy(dial->tls);
    http_reader_destroy(dial->reader);
    memory_free(dial);
}
