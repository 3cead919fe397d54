/* SPDX-License-Identifier: Apache-2.0 */
/* Written from what the node fills in at the moment of asking. */
#include "admin/admin_cluster.h"

#include "admin/admin.h"
#include "admin/json_text.h"
#include "admin/rest_query.h"

#include <assert.h>

#define ANSWER_MAX (256 * KIBIBYTE)
#define NO_STORE "Cache-Control: no-store\r\n"

/* The next member of an object whose `{` is in `out`. */
static void append_key(struct buffer *out, const char *key)
{
    bool first = out->data[out->size - 1] == '{';
    buffer_append_format(out, "%s\"%s\":", first ? "" : ",", key);
}

/* What is below `least` is not known: null. */
static void append_number(struct buffer *out, const char *key, int64_t number, int64_t least)
{
    append_key(out, key);
    if (number < least)
        buffer_append_text(out, "null");
    else
        buffer_append_format(out, "%lld", (long long)number);
}

static void append_text(struct buffer *out, const char *key, const char *text)
{
    append_key(out, key);
    json_append_known(out, text);
}

static void append_node(struct buffer *out, const struct admin_node *node)
{
    bool known = node->role != NULL && node->role[0] != '\0';
    append_text(out, "id", node->id);
    append_text(out, "role", known ? node->role : "unknown");
    append_text(out, "url", node->url);
    append_text(out, "version", node->version);
    append_number(out, "clients", node->clients, 0);
    append_number(out, "lag_ms", node->lag_ms, 0);
    append_number(out, "since", node->since_us, 1);
}

static void append_leadership(struct buffer *out, const struct admin_leadership *leadership)
{
    append_number(out, "epoch", leadership->epoch, 0);
    append_text(out, "node", leadership->node);
    append_number(out, "from", leadership->from_us, 1);
    append_number(out, "to", leadership->to_us, 1);
    append_text(out, "reason", leadership->reason);
}

static void append_cluster(struct buffer *out, const struct admin_cluster *cluster)
{
    append_text(out, "self", cluster->nodes[0].id);
    append_text(out, "leader", cluster->leader);
    append_number(out, "epoch", cluster->epoch, 0);
    append_text(out, "stream", cluster->stream);
    append_key(out, "nodes");
    buffer_append_text(out, "[");
    for (size_t i = 0; i < cluster->node_count; i++) {
        buffer_append_text(out, i == 0 ? "{" : ",{");
        append_node(out, &cluster->nodes[i]);
        buffer_append_text(out, "}");
    }
    buffer_append_text(out, "]");
    append_key(out, "history");
    buffer_append_text(out, "[");
    for (size_t i = 0; i < cluster->history_count; i++) {
        buffer_append_text(out, i == 0 ? "{" : ",{");
        append_leadership(out, &cluster->history[i]);
        buffer_append_text(out, "}");
    }
    buffer_append_text(out, "]");
}

void admin_cluster_answer(void *context, struct http_connection *connection,
                          const struct http_head *request)
{
    const struct admin_options *options = context;
    struct admin_cluster cluster = {0};
    struct rest_query query = {0};
    struct err err = {0};
    if (rest_query_read(request->query, NULL, 0, &query, &err) != 0) {
        http_answer_problem_with(connection, 400, NO_STORE, err.text);
        return;
    }
    options->fill_cluster(options->context, &cluster);
    assert(cluster.node_count >= 1 && cluster.node_count <= COUNT_OF(cluster.nodes));
    assert(cluster.history_count <= COUNT_OF(cluster.history));
    struct buffer out;
    buffer_init(&out, ANSWER_MAX);
    buffer_append_text(&out, options->simulated ? "{\"simulated\":true" : "{");
    append_cluster(&out, &cluster);
    buffer_append_text(&out, "}\n");
    if (out.overflowed)
        http_answer_problem_with(connection, 500, NO_STORE, "the answer is too large");
    else
        http_answer(connection, 200, "application/json", NO_STORE, buffer_slice(&out));
    buffer_release(&out);
}
