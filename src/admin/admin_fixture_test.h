/* SPDX-License-Identifier: Apache-2.0 */
/* For the test files of what HTTP is answered, behind <cmocka.h>: a server with all of it, a
 * journal that nobody has written to yet, and who asks. */
#pragma once

#include "admin/admin.h"
#include "base/memory.h"
#include "net/http.h"
#include "net/http_client.h"

#include <stdio.h>

#define STREAM "tw-admin"

struct fixture {
    struct loop *loop;
    struct http_server *server;
    struct journal *journal;
    struct keeper *keeper;
    struct admin *admin;
    struct admin_health health;
    unsigned filled; /* times */
    const char *not_ready;
    struct admin_cluster cluster;
    unsigned status; /* of the last answer; its tag, "" when it had none, and its body */
    char tag[128];
    struct buffer body;
};

static inline void fill(void *context, struct admin_health *ret_health)
{
    struct fixture *fixture = context;
    fixture->filled++;
    *ret_health = fixture->health;
}

static inline const char *not_ready(void *context)
{
    return ((struct fixture *)context)->not_ready;
}

static inline void fill_cluster(void *context, struct admin_cluster *ret_cluster)
{
    *ret_cluster = ((struct fixture *)context)->cluster;
}

static inline void visit_none(void *context, admin_visit_market_fn *visit, void *visit_context)
{
    (void)context;
    (void)visit;
    (void)visit_context;
}

static inline int set_up(void **state)
{
    struct err err;
    struct fixture *fixture = memory_alloc(sizeof *fixture);
    fixture->loop = loop_create();
    fixture->journal = journal_create(STREAM, 1, 0);
    fixture->keeper = keeper_create(fixture->journal, 10);
    buffer_init(&fixture->body, MEBIBYTE);
    const struct http_server_options options = {.listen = "127.0.0.1:0", .connections_max = 4};
    assert_int_equal(http_server_open(fixture->loop, &options, &fixture->server, &err), 0);
    fixture->admin = admin_create(&(struct admin_options){.server = fixture->server,
                                                          .keeper = fixture->keeper,
                                                          .stream = STREAM,
                                                          .fill = fill,
                                                          .not_ready = not_ready,
                                                          .fill_cluster = fill_cluster,
                                                          .markets = visit_none,
                                                          .context = fixture,
                                                          .started_us = 5});
    fixture->health = (struct admin_health){.mode = "kafka", .source = "peer"};
    *state = fixture;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *fixture = *state;
    http_server_close(fixture->server);
    admin_destroy(fixture->admin);
    keeper_destroy(fixture->keeper);
    journal_destroy(fixture->journal);
    loop_destroy(fixture->loop);
    buffer_release(&fixture->body);
    memory_free(fixture);
    return 0;
}

static inline void on_done(void *context, const struct http_client_result *result)
{
    struct fixture *fixture = context;
    fixture->status = result->status;
    assert_true(
        slice_copy(http_header_find(result->head, "etag"), fixture->tag, sizeof fixture->tag));
    buffer_clear(&fixture->body);
    buffer_append_slice(&fixture->body, result->body);
    loop_stop(fixture->loop);
}

/* The body. */
static inline const char *get(struct fixture *fixture, const char *path)
{
    char url[128];
    struct err err;
    struct http_client *client;
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", (unsigned)http_server_port(fixture->server),
             path);
    const struct http_client_options options = {
        .url = url, .body_max = MEBIBYTE, .timeout_ms = 10000};
    assert_int_equal(http_client_get(fixture->loop, &options, on_done, fixture, &client, &err), 0);
    loop_run(fixture->loop);
    http_client_destroy(client);
    return fixture->body.size == 0 ? "" : fixture->body.data;
}
