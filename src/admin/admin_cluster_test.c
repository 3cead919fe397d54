/* SPDX-License-Identifier: Apache-2.0 */
/* What the node fills in, as it comes out over HTTP. */
#include "admin/admin_cluster.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "admin/admin_fixture_test.h"

#define LONGEST "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"

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
