/* SPDX-License-Identifier: Apache-2.0 */
/* GET /ws/info: where to connect, and what feeds the stream now. */
#include "gateway/gateway_priv.h"

#include "base/log.h"

/* "http://gw:8080" -> "ws://gw:8080"; a URL that is ws already stays. */
static void write_base(struct buffer *out, const char *public_url,
                       const struct http_connection *connection)
{
    struct slice url = slice_of(public_url);
    if (url.size == 0) {
        bool secure = strcmp(http_request_scheme(connection), "https") == 0;
        buffer_append_text(out, secure ? "wss://" : "ws://");
        buffer_append_slice(out, http_request_host(connection));
        return;
    }
    if (slice_starts_with(url, SLICE("http"))) {
        buffer_append_text(out, "ws");
        url.data += 4;
        url.size -= 4;
    }
    while (url.size > 0 && url.data[url.size - 1] == '/')
        url.size--;
    buffer_append_slice(out, url);
}

/* The other nodes, behind this one. */
static void write_nodes(const struct gateway *gateway, struct slice base, struct buffer *out)
{
    const char *const *nodes = gateway->options.nodes;
    buffer_append_format(out, "\"nodes\":[\"%.*s/ws/exchange\"", (int)base.size, base.data);
    for (size_t i = 0; nodes != NULL && nodes[i] != NULL; i++) {
        struct buffer other;
        buffer_init(&other, LIMIT_URL);
        write_base(&other, nodes[i], NULL);
        if (!slice_equal(buffer_slice(&other), base))
            buffer_append_format(out, ",\"%.*s/ws/exchange\"", (int)other.size, other.data);
        buffer_release(&other);
    }
    buffer_append_text(out, "],");
}

/* Those that can be used now. */
static void write_endpoints(const struct gateway *gateway, struct slice base, struct buffer *out)
{
    buffer_append_text(out, "\"endpoints\":{");
    for (enum endpoint each = ENDPOINT_EXCHANGE; each < ENDPOINT_COUNT; each++)
        if (feed_serves(&gateway->feed, each))
            buffer_append_format(out, "%s\"%s\":\"%.*s/ws/%s\"",
                                 each == ENDPOINT_EXCHANGE ? "" : ",", endpoint_names[each],
                                 (int)base.size, base.data, endpoint_names[each]);
    buffer_append_text(out, "},");
}

static void write_info(const struct gateway *gateway, struct slice base, struct buffer *out)
{
    const struct gateway_options *options = &gateway->options;
    buffer_append_text(out, "{\"version\":1,");
    if (options->simulated)
        buffer_append_text(out, "\"simulated\":true,");
    buffer_append_format(
        out,
        "\"node\":\"%s\",\"mode\":\"%s\",\"source\":\"%s\",\"stream\":\"%s\",\"epoch\":%lld,"
        "\"endpoint\":\"%.*s/ws/exchange\",\"fallback\":\"%.*s/ws/exchange\",",
        options->node, gateway->feed.mode, source_names[gateway->feed.source],
        journal_stream(options->journal), (long long)journal_epoch(options->journal),
        (int)base.size, base.data, (int)base.size, base.data);
    write_endpoints(gateway, base, out);
    write_nodes(gateway, base, out);
    buffer_append_text(out, "\"exchanges\":[");
    for (size_t i = 0; options->exchanges[i] != NULL; i++)
        buffer_append_format(out, "%s\"%s\"", i == 0 ? "" : ",", options->exchanges[i]);
    buffer_append_text(
        out,
        "],\"types\":[\"trade\",\"ticker\",\"quote\",\"book\",\"status\",\"gap\",\"epoch\"]}\n");
}

void discovery_answer(void *context, struct http_connection *connection,
                      const struct http_head *request)
{
    const struct gateway *gateway = context;
    (void)request;
    if (gateway->options.public_url[0] == '\0' && http_request_host(connection).size == 0) {
        http_answer_problem(connection, 400, "the Host header is not a host and port");
        return;
    }
    struct buffer base, out;
    buffer_init(&base, LIMIT_URL);
    buffer_init(&out, 64 * KIBIBYTE);
    write_base(&base, gateway->options.public_url, connection);
    write_info(gateway, buffer_slice(&base), &out);
    http_answer(connection, 200, "application/json", "Cache-Control: no-store\r\n",
                buffer_slice(&out));
    buffer_release(&base);
    buffer_release(&out);
}
