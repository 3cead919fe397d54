/* SPDX-License-Identifier: Apache-2.0 */
/* Access, TLS and the HTTP server, put together as the settings say. */
#include "node/front.h"

#include "access/access.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "net/tls.h"

#include <errno.h>
#include <stdio.h>

#define EXPIRY_WARNING_US (INT64_C(14) * 24 * 3600 * 1000000)

struct front {
    const struct settings *settings; /* borrowed */
    struct access *access;           /* owned */
    struct tls_context *tls;         /* owned; NULL: plain */
    struct front_options options;    /* of front_listen */
};

/* ---- files ---- */

static bool front_names_tokens(const struct settings *settings)
{
    return settings->auth.tokens_file[0] != '\0' || settings->auth.jwt_algorithm[0] != '\0' ||
           settings->auth.jwt_public_key[0] != '\0' || settings->auth.jwt_audience[0] != '\0';
}

static void front_warn(const struct front *front)
{
    const char *access = access_warning(front->access);
    if (access[0] != '\0')
        log_warn("node", log_text("msg", "access is less safe than it could be"),
                 log_text("warning", access));
    if (front->settings->auth.mode == AUTH_NONE && front_names_tokens(front->settings))
        log_warn("node",
                 log_text("msg", "auth.mode is none: everybody may read, whatever else auth "
                                 "says"));
    if (front->tls == NULL)
        return;
    int64_t expires_us = tls_context_expires_us(front->tls);
    int64_t left_us = expires_us - clock_wall_us();
    metric_set(metric_series(METRIC_CERTIFICATE_EXPIRES, ""), expires_us);
    if (left_us < EXPIRY_WARNING_US)
        log_warn("node",
                 log_text("msg", left_us < 0 ? "the certificate has expired, served anyway"
                                             : "the certificate expires soon"),
                 log_text("certificate", front->settings->http.tls_cert),
                 log_int("hours_left", left_us / 1000000 / 3600));
}

static int front_open_access(struct front *front, struct err *err)
{
    static const enum access_mode modes[] = {
        [AUTH_NONE] = ACCESS_NONE, [AUTH_TOKEN] = ACCESS_TOKEN, [AUTH_JWT] = ACCESS_JWT};
    const struct settings *settings = front->settings;
    const struct access_options options = {
        .mode = modes[settings->auth.mode],
        .tokens_file = settings->auth.tokens_file,
        .jwt_algorithm = settings->auth.jwt_algorithm,
        .jwt_public_key = settings->auth.jwt_public_key,
        .jwt_audience = settings->auth.jwt_audience,
        .admin_token_file = settings->auth.admin_token_file,
    };
    return access_create(&options, &front->access, err);
}

static int front_open_tls(const struct front *front, struct tls_context **ret_tls, struct err *err)
{
    const char *certificate = front->settings->http.tls_cert;
    const char *key = front->settings->http.tls_key;
    if (certificate[0] == '\0' && key[0] == '\0') {
        *ret_tls = NULL;
        return 0;
    }
    if (certificate[0] == '\0' || key[0] == '\0')
        return err_set(err, -EINVAL, "http.tls.cert and http.tls.key belong together: %s is empty",
                       key[0] == '\0' ? "http.tls.key" : "http.tls.cert");
    if (tls_context_create(certificate, key, front->tls, ret_tls, err) < 0)
        return err_wrap(err, "http.tls");
    return 0;
}

int front_create(const struct settings *settings, struct front **ret_front, struct err *err)
{
    struct front *front = memory_alloc(sizeof *front);
    front->settings = settings;
    int result = front_open_access(front, err);
    if (result == 0)
        result = front_open_tls(front, &front->tls, err);
    if (result < 0) {
        front_destroy(front);
        return result;
    }
    *ret_front = front;
    return 0;
}

void front_destroy(struct front *front)
{
    if (front == NULL)
        return;
    access_destroy(front->access);
    tls_context_destroy(front->tls);
    memory_free(front);
}

/* ---- the server ---- */

static void front_authorize(void *context, const struct http_head *request,
                            struct http_grant *ret_grant)
{
    const struct front *front = context;
    struct access_verdict verdict;
    access_check(front->access, request, clock_wall_us(), &verdict);
    *ret_grant = (struct http_grant){.status = verdict.status,
                                     .detail = verdict.detail,
                                     .headers = verdict.headers,
                                     .subprotocol = verdict.subprotocol,
                                     .expires_us = verdict.expires_us};
}

static void front_count_answer(void *context, unsigned status)
{
    (void)context;
    char labels[32];
    snprintf(labels, sizeof labels, "status=\"%u\"", status);
    metric_add(metric_series(METRIC_HTTP_REQUESTS, labels), 1);
}

static uint32_t front_handed_over(void *context)
{
    const struct front *front = context;
    return front->options.handed_over(front->options.context);
}

static struct http_texts texts_of(const struct text_list *list)
{
    return (struct http_texts){.items = list->items, .count = list->count};
}

int front_listen(struct front *front, const struct front_options *options,
                 struct http_server **ret_server, struct err *err)
{
    const struct settings *settings = front->settings;
    front->options = *options;
    struct http_server_options server = {
        .listen = settings->http.listen,
        .tls = front->tls,
        .connections_max = options->connections_max,
        .handed_over = front_handed_over,
        .on_answer = front_count_answer,
        .authorize = front_authorize,
        .context = front,
        .trusted_proxies = texts_of(&settings->http.trusted_proxies),
        .allowed_origins = texts_of(&settings->http.allowed_origins),
        .limits = {.connections_per_address = (uint32_t)settings->http.connections_per_ip,
                   .handshake_rate = (uint32_t)settings->http.handshake_rate,
                   .handshake_burst = (uint32_t)settings->http.handshake_burst,
                   .accept_rate = (uint32_t)settings->http.accept_rate},
        .access_log_every = (uint32_t)settings->log.access,
    };
    int result = http_server_open(options->loop, &server, ret_server, err);
    if (result == 0)
        front_warn(front);
    return result;
}

/* ---- reloading ---- */

static void say_kept(const char *what, const struct err *err)
{
    log_error("node", log_text("msg", "not reloaded, the old one stays in force"),
              log_text("what", what), log_text("error", err->text));
}

void front_reload(struct front *front, struct http_server *server)
{
    struct err err = {0};
    struct tls_context *tls = NULL;
    if (access_reload(front->access, &err) < 0)
        say_kept("auth", &err);
    else
        log_info("node", log_text("msg", "reloaded"), log_text("what", "auth"));
    if (front->tls != NULL && front_open_tls(front, &tls, &err) < 0) {
        say_kept("http.tls", &err);
    } else if (front->tls != NULL) {
        http_server_set_tls(server, tls);
        tls_context_destroy(front->tls);
        front->tls = tls;
        log_info("node", log_text("msg", "reloaded"), log_text("what", "http.tls"));
    }
    front_warn(front);
}
