/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/kafka/kafka_config.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void good_properties_are_taken(void **state)
{
    (void)state;
    static const struct kafka_property good[] = {
        {"compression.codec", "zstd"},       {"linger.ms", "1"},
        {"sasl.username", "tickwire"},       {"security.protocol", "sasl_ssl"},
        {"sasl.mechanism", "SCRAM-SHA-512"}, {"client.id", "x"},
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct err err = {0};
        if (kafka_property_check(good[i].name, good[i].value, &err) != 0)
            fail_msg("%s", err.text);
    }
}

static void what_the_order_rests_on_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {
        "acks",
        "request.required.acks",
        "enable.idempotence",
        "message.timeout.ms",
        "partitioner",
        "delivery.timeout.ms",
        "auto.offset.reset",
        "transactional.id",
        "retries",
        "allow.auto.create.topics",
        "queuing.strategy",
        "group.id",
        "enable.auto.commit",
    };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct err err = {0};
        assert_true(kafka_property_check(names[i], "1", &err) < 0);
        assert_non_null(strstr(err.text, names[i]));
        assert_non_null(strstr(err.text, "the order of the stream rests on it"));
    }
    struct err err = {0};
    assert_true(kafka_property_check("bootstrap.servers", "a:1", &err) < 0);
    assert_non_null(strstr(err.text, "set kafka.brokers"));
}

static void others_are_told_what_is_wrong_without_secrets(void **state)
{
    (void)state;
    struct err err = {0};
    assert_true(kafka_property_check("linger.msx", "1", &err) < 0);
    assert_non_null(strstr(err.text, "linger.msx: librdkafka knows no such property"));
    assert_true(kafka_property_check("linger.ms", "soon", &err) < 0);
    assert_non_null(strstr(err.text, "linger.ms"));
    assert_true(kafka_property_check("compression.codec", "hunter2", &err) < 0);
    assert_non_null(strstr(err.text, "hunter2"));
    /* A value that librdkafka takes for a number, of a property that names a secret. */
    assert_true(kafka_property_check("sasl.oauthbearer.method", "hunter2", &err) < 0);
    assert_true(kafka_property_check("enable.ssl.certificate.verification", "perhaps", &err) < 0);
    assert_true(kafka_property_check("ssl_key", "hunter2", &err) < 0);
    assert_null(strstr(err.text, "hunter2"));
}

static int create(const struct kafka_details *details, struct err *err)
{
    struct kafka_config *config = NULL;
    int result = kafka_config_create(&(struct carrier_options){.node = "gw-1", .details = details},
                                     &config, err);
    kafka_config_destroy(config);
    return result;
}

static void details_are_checked(void **state)
{
    (void)state;
    struct err err = {0};
    struct kafka_property property = {"acks", "1"};
    struct kafka_details details = {.brokers = "a:1", .topic = "t", .password = "hunter2"};
    assert_int_equal(create(&details, &err), 0);
    details.properties = &property;
    details.property_count = 1;
    assert_true(create(&details, &err) < 0);
    assert_non_null(strstr(err.text, "acks"));
    details.property_count = 0;
    details.topic = "a b";
    assert_true(create(&details, &err) < 0);
    details.topic = "";
    assert_true(create(&details, &err) < 0);
    details.topic = "t";
    details.brokers = "";
    assert_true(create(&details, &err) < 0);
    assert_null(strstr(err.text, "hunter2"));
}

static void expect(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[128];
    size_t size = sizeof text;
    assert_int_equal(rd_kafka_conf_get(conf, name, text, &size), RD_KAFKA_CONF_OK);
    assert_string_equal(text, value);
}

static void ours_stand_and_the_users_beat_the_usual_ones(void **state)
{
    (void)state;
    struct err err = {0};
    struct kafka_config *config;
    static const struct kafka_property properties[] = {
        {"linger.ms", "3"}, {"client.id", "mine"}, {"socket.connection.setup.timeout.ms", "7000"}};
    struct kafka_details details = {.brokers = "a:1,b:2",
                                    .topic = "t",
                                    .properties = properties,
                                    .property_count = COUNT_OF(properties),
                                    .password = "hunter2"};
    struct carrier_options options = {.node = "gw-1", .details = &details};
    assert_int_equal(kafka_config_create(&options, &config, &err), 0);
    rd_kafka_conf_t *producer = kafka_config_make(config, RD_KAFKA_PRODUCER, 3000, &err);
    rd_kafka_conf_t *consumer = kafka_config_make(config, RD_KAFKA_CONSUMER, 3000, &err);
    assert_non_null(producer);
    assert_non_null(consumer);
    expect(producer, "enable.idempotence", "true");
    expect(producer, "request.required.acks", "-1");
    expect(producer, "message.timeout.ms", "2147483647");
    expect(producer, "linger.ms", "3");
    expect(producer, "client.id", "mine");
    expect(producer, "request.timeout.ms", "1500");
    expect(producer, "socket.timeout.ms", "3000");
    expect(consumer, "socket.timeout.ms", "3000");
    expect(consumer, "api.version.request.timeout.ms", "3000");
    expect(consumer, "socket.connection.setup.timeout.ms", "7000");
    expect(producer, "sasl.password", "hunter2");
    expect(producer, "bootstrap.servers", "a:1,b:2");
    expect(consumer, "auto.offset.reset", "error");
    expect(consumer, "enable.partition.eof", "true");
    expect(consumer, "isolation.level", "read_uncommitted");
    expect(consumer, "allow.auto.create.topics", "false");
    rd_kafka_conf_destroy(producer);
    rd_kafka_conf_destroy(consumer);
    kafka_config_destroy(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_properties_are_taken),
        cmocka_unit_test(what_the_order_rests_on_is_refused),
        cmocka_unit_test(others_are_told_what_is_wrong_without_secrets),
        cmocka_unit_test(details_are_checked),
        cmocka_unit_test(ours_stand_and_the_users_beat_the_usual_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
