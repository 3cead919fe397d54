/* SPDX-License-Identifier: Apache-2.0 */
/* What the node fills in, as it comes out over HTTP. */
#include "admin/admin_cluster.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "admin/admin.h"
#include "base/memory.h"
#include "net/http_client.h"

#include <stdio.h>

#define LONGEST "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"

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
    unsigned status;
    struct buffer body;
};

static void fill(void *context, struct admin_health *ret_health)
{
    struct fixture *fixture = context;
    fixture->filled++;
    *ret_health = fixture->health;
}

static const char *not_ready(void *context)
{
    return ((struct fixture *)context)->not_ready;
}

static void fill_cluster(void *context, struct admin_cluster *ret_cluster)
{
    *ret_cluster = ((struct fixture *)context)->cluster;
}

static void visit_none(void *context, admin_visit_market_fn *visit, void *visit_context)
{
    (void)context;
    (void)visit;
    (void)visit_context;
}

static int set_up(void **state)
{
    struct err err;
    struct fixture *fixture = memory_alloc(sizeof *fixture);
    fixture->loop = loop_create();
    fixture->journal = journal_create("tw-admin", 1, 0);
    fixture->keeper = keeper_create(fixture->journal, 10);
    buffer_init(&fixture->body, MEBIBYTE);
    const struct http_server_options options = {.listen = "127.0.0.1:0", .connections_max = 4};
    assert_int_equal(http_server_open(fixture->loop, &options, &fixture->server, &err), 0);
    fixture->admin = admin_create(&(struct admin_options){.server = fixture->server,
                                                          .keeper = fixture->keeper,
                                                          .stream = "tw-admin",
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

static int tear_down(void **state)
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

static void on_done(void *context, const struct http_client_result *result)
{
    struct fixture *fixture = context;
    fixture->status = result->status;
    buffer_clear(&fixture->body);
    buffer_append_slice(&fixture->body, result->body);
    loop_stop(fixture->loop);
}

static const char *get(struct fixture *fixture, const char *path)
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

static void test_a_node_that_starts(void **state)
{
    struct fixture *fixture = *state;
    fixture->cluster = (struct admin_cluster){
        .node_count = 1, .nodes = {{.id = "a", .role = "starting", .clients = 0, .lag_ms = -1}}};
    assert_string_equal(get(fixture, "/api/v1/cluster"),
                        "{\"self\":\"a\",\"leader\":null,\"epoch\":0,\"stream\":null,\"nodes\":[{"
                        "\"id\":\"a\",\"role\":\"starting\",\"url\":null,\"version\":null,"
                        "\"clients\":0,\"lag_ms\":null,\"since\":null}],\"history\":[]}\n");
    assert_int_equal(fixture->status, 200);
}

static void test_a_cluster(void **state)
{
    struct fixture *fixture = *state;
    fixture->cluster = (struct admin_cluster){
        .leader = "b",
        .epoch = 4,
        .stream = "tw-1",
        .node_count = 3,
        .nodes = {{"a", "follower", "http://a:1", "0.1.0", 7, 12, 100},
                  {"b", "leader", "https://b", "0.2.0", 0, 0, 90},
                  {"", "", "http://c:1", "", -1, -1, 0}},
        .history_count = 2,
        .history = {{4, "b", "taken \"over\"", 90, 0}, {3, NULL, NULL, 10, 90}},
    };
    assert_string_equal(
        get(fixture, "/api/v1/cluster"),
        "{\"self\":\"a\",\"leader\":\"b\",\"epoch\":4,\"stream\":\"tw-1\",\"nodes\":["
        "{\"id\":\"a\",\"role\":\"follower\",\"url\":\"http://a:1\",\"version\":\"0.1.0\","
        "\"clients\":7,\"lag_ms\":12,\"since\":100},"
        "{\"id\":\"b\",\"role\":\"leader\",\"url\":\"https://b\",\"version\":\"0.2.0\","
        "\"clients\":0,\"lag_ms\":0,\"since\":90},"
        "{\"id\":null,\"role\":\"unknown\",\"url\":\"http://c:1\",\"version\":null,"
        "\"clients\":null,\"lag_ms\":null,\"since\":null}],\"history\":["
        "{\"epoch\":4,\"node\":\"b\",\"from\":90,\"to\":null,\"reason\":\"taken \\\"over\\\"\"},"
        "{\"epoch\":3,\"node\":null,\"from\":10,\"to\":90,\"reason\":null}]}\n");
}

static void test_the_largest_cluster_fits(void **state)
{
    struct fixture *fixture = *state;
    static char url[LIMIT_URL], reason[LIMIT_REASON];
    memset(url, 'u', sizeof url - 1);
    memset(reason, '\x01', sizeof reason - 1); /* six characters each */
    fixture->cluster.stream = "tw-1";
    fixture->cluster.node_count = COUNT_OF(fixture->cluster.nodes);
    fixture->cluster.history_count = COUNT_OF(fixture->cluster.history);
    for (size_t i = 0; i < fixture->cluster.node_count; i++)
        fixture->cluster.nodes[i] =
            (struct admin_node){LONGEST, "follower", url, LONGEST, INT64_MAX, INT64_MAX, INT64_MAX};
    for (size_t i = 0; i < fixture->cluster.history_count; i++)
        fixture->cluster.history[i] =
            (struct admin_leadership){INT64_MAX, LONGEST, reason, INT64_MAX, INT64_MAX};
    const char *body = get(fixture, "/api/v1/cluster");
    assert_int_equal(fixture->status, 200);
    assert_string_equal(body + strlen(body) - 5, "\"}]}\n");
}

#define DISABLED                                                                                   \
    "{\"enabled\":false,\"state\":\"disabled\",\"since\":5,\"error\":null,\"rtt_ms\":null}"
#define EXPECTED(kafka)                                                                            \
    "{\"mode\":\"kafka\",\"source\":\"peer\",\"better\":null,\"dependencies\":{\"kafka\":" kafka   \
    ",\"redis\":" DISABLED ",\"zookeeper\":" DISABLED ",\"database\":" DISABLED                    \
    "},\"exchanges\":{}}\n"

static void test_dependencies(void **state)
{
    struct fixture *fixture = *state;
    struct admin_dependency *kafka = &fixture->health.dependencies[ADMIN_KAFKA];
    assert_string_equal(get(fixture, "/api/ws/infra-health"), EXPECTED(DISABLED));
    *kafka =
        (struct admin_dependency){.enabled = true, .state = "up", .since_us = 9, .rtt_us = 12034};
    assert_string_equal(get(fixture, "/api/ws/infra-health"),
                        EXPECTED("{\"enabled\":true,\"state\":\"up\",\"since\":9,\"error\":null,"
                                 "\"rtt_ms\":12.034}"));
    *kafka = (struct admin_dependency){
        .enabled = true, .state = "down", .since_us = 9, .error = "say \"when\""};
    assert_string_equal(get(fixture, "/api/ws/infra-health"),
                        EXPECTED("{\"enabled\":true,\"state\":\"down\",\"since\":9,"
                                 "\"error\":\"say \\\"when\\\"\",\"rtt_ms\":null}"));
}

static void test_readiness(void **state)
{
    struct fixture *fixture = *state;
    get(fixture, "/readyz");
    assert_int_equal(fixture->status, 200);
    fixture->not_ready = "this node starts";
    assert_non_null(strstr(get(fixture, "/readyz"), "this node starts"));
    assert_int_equal(fixture->status, 503);
    assert_int_equal(fixture->filled, 0); /* which may take long, and anybody may ask */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_node_that_starts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_cluster, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_largest_cluster_fits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dependencies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_readiness, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
