/* SPDX-License-Identifier: Apache-2.0 */
/* Answers from what the node fills in at the moment of asking; nothing is cached. */
#include "admin/admin.h"

#include "admin/admin_cluster.h"
#include "admin/json_text.h"
#include "admin/page.h"
#include "admin/rest.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "market/encode.h"

#include <assert.h>

#define METRICS_MAX (4 * MEBIBYTE)
#define NO_STORE "Cache-Control: no-store\r\n"
#define PAGE_HEADERS                                                                               \
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; script-src "          \
    "'unsafe-inline'; "                                                                            \
    "connect-src 'self' ws: wss:\r\n"

struct admin {
    struct admin_options options;
    struct rest *rest; /* owned */
};

static void admin_healthz(void *context, struct http_connection *connection,
                          const struct http_head *request)
{
    (void)context;
    (void)request;
    http_answer(connection, 200, "text/plain; charset=utf-8", NO_STORE, SLICE("ok\n"));
}

static void admin_readyz(void *context, struct http_connection *connection,
                         const struct http_head *request)
{
    (void)request;
    struct admin *admin = context;
    const char *not_ready = admin->options.not_ready(admin->options.context);
    if (not_ready == NULL)
        http_answer(connection, 200, "text/plain; charset=utf-8", NO_STORE, SLICE("ready\n"));
    else
        http_answer_problem(connection, 503, not_ready);
}

static void admin_metrics(void *context, struct http_connection *connection,
                          const struct http_head *request)
{
    (void)context;
    (void)request;
    struct buffer out;
    buffer_init(&out, METRICS_MAX);
    metric_write_all(&out);
    http_answer(connection, 200, "text/plain; version=0.0.4; charset=utf-8", NO_STORE,
                buffer_slice(&out));
    buffer_release(&out);
}

static const char *const dependency_names[ADMIN_DEPENDENCY_COUNT] = {
    [ADMIN_KAFKA] = "kafka",
    [ADMIN_REDIS] = "redis",
    [ADMIN_ZOOKEEPER] = "zookeeper",
    [ADMIN_DATABASE] = "database",
};

static void append_dependency(struct buffer *out, const char *name,
                              const struct admin_dependency *dependency, int64_t started_us)
{
    bool enabled = dependency->enabled;
    int64_t rtt_us = enabled ? dependency->rtt_us : 0;
    buffer_append_format(out,
                         "\"%s\":{\"enabled\":%s,\"state\":\"%s\",\"since\":%lld,\"error\":", name,
                         enabled ? "true" : "false", enabled ? dependency->state : "disabled",
                         (long long)(enabled ? dependency->since_us : started_us));
    json_append_known(out, enabled ? dependency->error : NULL);
    if (rtt_us > 0)
        buffer_append_format(out, ",\"rtt_ms\":%lld.%03lld}", (long long)(rtt_us / 1000),
                             (long long)(rtt_us % 1000));
    else
        buffer_append_text(out, ",\"rtt_ms\":null}");
}

static void append_exchange(struct buffer *out, const struct admin_exchange *exchange)
{
    buffer_append_format(out, "\"%s\":{\"state\":\"%s\",\"since\":%lld,\"age_ms\":", exchange->name,
                         exchange->state, (long long)exchange->since_us);
    if (exchange->age_ms < 0)
        buffer_append_text(out, "null");
    else
        buffer_append_format(out, "%lld", (long long)exchange->age_ms);
    buffer_append_format(out, ",\"connections\":%u}", exchange->connections);
}

static void admin_infra_health(void *context, struct http_connection *connection,
                               const struct http_head *request)
{
    (void)request;
    struct admin *admin = context;
    struct admin_health health = {0};
    admin->options.fill(admin->options.context, &health);
    struct buffer out;
    buffer_init(&out, 64 * KIBIBYTE);
    buffer_append_format(&out, "{%s\"mode\":\"%s\",\"source\":\"%s\",\"better\":",
                         admin->options.simulated ? "\"simulated\":true," : "", health.mode,
                         health.source);
    json_append_text(&out, health.better);
    buffer_append_text(&out, ",\"dependencies\":{");
    for (size_t i = 0; i < ADMIN_DEPENDENCY_COUNT; i++) {
        buffer_append_text(&out, i == 0 ? "" : ",");
        append_dependency(&out, dependency_names[i], &health.dependencies[i],
                          admin->options.started_us);
    }
    buffer_append_text(&out, "},\"exchanges\":{");
    for (size_t i = 0; i < health.exchange_count; i++) {
        buffer_append_text(&out, i == 0 ? "" : ",");
        append_exchange(&out, &health.exchanges[i]);
    }
    buffer_append_text(&out, "}}\n");
    http_answer(connection, 200, "application/json", NO_STORE, buffer_slice(&out));
    buffer_release(&out);
}

static void admin_page(void *context, struct http_connection *connection,
                       const struct http_head *request)
{
    (void)context;
    for (size_t i = 0; i < page_files_count; i++) {
        if (!slice_is(request->path, page_files[i].path))
            continue;
        http_answer_file(connection, request, &page_files[i], PAGE_HEADERS);
        return;
    }
    assert(false); /* there is a route for each, and for these alone */
}

struct admin *admin_create(const struct admin_options *options)
{
    struct admin *admin = memory_alloc(sizeof *admin);
    admin->options = *options;
    const struct http_route routes[] = {
        {.path = "/healthz", .handler = admin_healthz, .context = admin, .open = true},
        {.path = "/readyz", .handler = admin_readyz, .context = admin, .open = true},
        {.path = "/metrics", .handler = admin_metrics, .context = admin, .same_origin = true},
        {.path = "/api/ws/infra-health", .handler = admin_infra_health, .context = admin},
    };
    for (size_t i = 0; i < COUNT_OF(routes); i++)
        http_server_route(options->server, &routes[i]);
    if (options->fill_cluster != NULL)
        http_server_route(options->server, &(struct http_route){.path = "/api/v1/cluster",
                                                                .handler = admin_cluster_answer,
                                                                .context = &admin->options});
    for (size_t i = 0; i < page_files_count; i++)
        http_server_route(options->server, &(struct http_route){.path = page_files[i].path,
                                                                .handler = admin_page,
                                                                .context = admin,
                                                                .same_origin = true});
    admin->rest = rest_create(options);
    return admin;
}

void admin_destroy(struct admin *admin)
{
    if (admin == NULL)
        return;
    rest_destroy(admin->rest);
    memory_free(admin);
}
