/* SPDX-License-Identifier: Apache-2.0 */
/* Names and meanings: librdkafka's CONFIGURATION.md. */
#include "stream/kafka/kafka_config.h"

#include "base/memory.h"
#include "stream/notes.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

enum role { ROLE_BOTH, ROLE_PRODUCER, ROLE_CONSUMER };

struct setting {
    enum role role;
    struct kafka_property property;
};

/* Ours, unless the user says otherwise, with those of set_times, which let a lost broker be noticed
 * within a second and a half at first. One that is back is noticed within 200 ms. */
static const struct setting usual[] = {
    {ROLE_BOTH, {"client.id", "tickwire"}},
    {ROLE_BOTH, {"socket.nagle.disable", "true"}},
    {ROLE_BOTH, {"socket.keepalive.enable", "true"}},
    {ROLE_BOTH, {"reconnect.backoff.ms", "20"}},
    {ROLE_BOTH, {"reconnect.backoff.max.ms", "200"}},
    {ROLE_BOTH, {"topic.metadata.refresh.fast.interval.ms", "50"}},
    {ROLE_BOTH, {"log.connection.close", "false"}},
    {ROLE_PRODUCER, {"linger.ms", "0"}},
    {ROLE_PRODUCER, {"compression.codec", "none"}},
    {ROLE_PRODUCER, {"retry.backoff.ms", "20"}},
    {ROLE_PRODUCER, {"queue.buffering.max.messages", "8192"}},
    {ROLE_PRODUCER, {"queue.buffering.max.kbytes", "32768"}},
    {ROLE_CONSUMER, {"fetch.wait.max.ms", "100"}},
    {ROLE_CONSUMER, {"fetch.min.bytes", "1"}},
    {ROLE_CONSUMER, {"fetch.error.backoff.ms", "20"}},
    {ROLE_CONSUMER, {"queued.min.messages", "1000000"}},
    {ROLE_CONSUMER, {"queued.max.messages.kbytes", "65536"}},
    {ROLE_CONSUMER, {"check.crcs", "true"}},
};

static_assert(LIMIT_KAFKA_UNSENT == 8192 && LIMIT_KAFKA_UNSENT_BYTES == 32768 * KIBIBYTE &&
                  LIMIT_KAFKA_UNREAD_BYTES == 65536 * KIBIBYTE,
              "the table above says so");
static_assert(LIMIT_KAFKA_MESSAGE == 1114112, "the table below says so");

/* What the order of the stream, and this carrier's reading of it, rest on. Uncommitted: none of our
 * records is in a transaction, and one that a stranger leaves open would keep back all behind it.
 */
static const struct setting fixed[] = {
    {ROLE_BOTH, {"allow.auto.create.topics", "false"}},
    {ROLE_BOTH, {"message.max.bytes", "1114112"}},
    {ROLE_PRODUCER, {"enable.idempotence", "true"}},
    {ROLE_PRODUCER, {"acks", "all"}},
    {ROLE_PRODUCER, {"message.timeout.ms", "2147483647"}},
    {ROLE_CONSUMER, {"enable.partition.eof", "true"}},
    {ROLE_CONSUMER, {"enable.auto.commit", "false"}},
    {ROLE_CONSUMER, {"enable.auto.offset.store", "false"}},
    {ROLE_CONSUMER, {"auto.offset.reset", "error"}},
    {ROLE_CONSUMER, {"isolation.level", "read_uncommitted"}},
};

/* Names that a user may not set, aliases too, and why. */
static const struct {
    const char *name, *reason;
} refused[] = {
    {"bootstrap.servers", "set kafka.brokers"},
    {"metadata.broker.list", "set kafka.brokers"},
    {"acks", NULL},
    {"request.required.acks", NULL},
    {"enable.idempotence", NULL},
    {"enable.gapless.guarantee", NULL},
    {"transactional.id", NULL},
    {"message.timeout.ms", NULL},
    {"delivery.timeout.ms", NULL},
    {"message.send.max.retries", NULL},
    {"retries", NULL},
    {"max.in.flight", NULL},
    {"max.in.flight.requests.per.connection", NULL},
    {"queue.buffering.max.messages", NULL},
    {"queue.buffering.max.kbytes", NULL},
    {"queuing.strategy", NULL},
    {"partitioner", NULL},
    {"partitioner_cb", NULL},
    {"msg_order_cmp", NULL},
    {"auto.offset.reset", NULL},
    {"enable.partition.eof", NULL},
    {"enable.auto.commit", NULL},
    {"auto.commit.enable", NULL},
    {"enable.auto.offset.store", NULL},
    {"offset.store.method", NULL},
    {"offset.store.path", NULL},
    {"offset.store.sync.interval.ms", NULL},
    {"group.id", NULL},
    {"group.instance.id", NULL},
    {"isolation.level", NULL},
    {"allow.auto.create.topics", NULL},
    {"message.max.bytes", NULL},
    {"topic.blacklist", NULL},
    {"delivery.report.only.error", NULL},
    {"enabled_events", NULL},
    {"log.queue", NULL},
    {"log_level", "set log.level"},
    {"test.mock.num.brokers", "that is no Kafka"},
};

static bool is_secret(const char *name)
{
    static const char *const words[] = {"password", "secret", "pem",      "key",
                                        "token",    "config", "assertion"};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strstr(name, words[i]) != NULL)
            return true;
    return false;
}

static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *err)
{
    char text[200];
    switch (rd_kafka_conf_set(conf, name, value, text, sizeof text)) {
    case RD_KAFKA_CONF_OK:
        return 0;
    case RD_KAFKA_CONF_UNKNOWN:
        return err_set(err, -EINVAL, "kafka.properties: %s: librdkafka knows no such property",
                       name);
    case RD_KAFKA_CONF_INVALID:
        break;
    }
    if (is_secret(name))
        return err_set(err, -EINVAL, "kafka.properties: %s: librdkafka refuses its value", name);
    return err_set(err, -EINVAL, "kafka.properties: %s: %s", name, text);
}

static int check_name(const char *name, struct err *err)
{
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        if (strcmp(name, refused[i].name) != 0)
            continue;
        return err_set(err, -EPERM, "kafka.properties: %s can't be set: %s", name,
                       refused[i].reason == NULL ? "the order of the stream rests on it"
                                                 : refused[i].reason);
    }
    return 0;
}

int kafka_property_check(const char *name, const char *value, struct err *err)
{
    int result = check_name(name, err);
    if (result != 0)
        return result;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    result = set(conf, name, value, err);
    rd_kafka_conf_destroy(conf);
    return result;
}

static int set_all(rd_kafka_conf_t *conf, const struct setting *settings, size_t count,
                   rd_kafka_type_t type, struct err *err)
{
    enum role role = type == RD_KAFKA_PRODUCER ? ROLE_PRODUCER : ROLE_CONSUMER;
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++)
        if (settings[i].role == ROLE_BOTH || settings[i].role == role)
            result = set(conf, settings[i].property.name, settings[i].property.value, err);
    return result;
}

/* The broker is to give up first on what other brokers owe it. */
static int set_times(rd_kafka_conf_t *conf, rd_kafka_type_t type, int answer_ms, struct err *err)
{
    static const char *const names[] = {"socket.timeout.ms", "socket.connection.setup.timeout.ms",
                                        "api.version.request.timeout.ms"};
    char value[16];
    int result = 0;
    snprintf(value, sizeof value, "%d", answer_ms);
    for (size_t i = 0; i < COUNT_OF(names) && result == 0; i++)
        result = set(conf, names[i], value, err);
    snprintf(value, sizeof value, "%d", answer_ms / 2);
    if (result == 0 && type == RD_KAFKA_PRODUCER)
        result = set(conf, "request.timeout.ms", value, err);
    return result;
}

static int set_users(rd_kafka_conf_t *conf, const struct kafka_config *config, struct err *err)
{
    int result = set(conf, "bootstrap.servers", config->brokers, err);
    for (size_t i = 0; i < config->property_count && result == 0; i++)
        result = set(conf, config->properties[i].name, config->properties[i].value, err);
    if (result == 0 && config->password[0] != '\0')
        result = set(conf, "sasl.password", config->password, err);
    return result;
}

rd_kafka_conf_t *kafka_config_make(const struct kafka_config *config, rd_kafka_type_t type,
                                   int answer_ms, struct err *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (set_all(conf, usual, COUNT_OF(usual), type, err) == 0 &&
        set_times(conf, type, answer_ms, err) == 0 && set_users(conf, config, err) == 0 &&
        set_all(conf, fixed, COUNT_OF(fixed), type, err) == 0)
        return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}

static int check_details(const struct kafka_details *details, struct err *err)
{
    if (details->brokers[0] == '\0')
        return err_set(err, -EINVAL, "kafka.brokers is empty");
    /* Kafka's own rule for names of topics. */
    size_t size = strspn(details->topic, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                         "0123456789._-");
    if (size == 0 || size > 249 || details->topic[size] != '\0')
        return err_set(err, -EINVAL, "kafka.topic: letters, digits, '.', '_' and '-', at most 249");
    if (details->property_count > LIMIT_KAFKA_PROPERTIES)
        return err_set(err, -E2BIG, "kafka.properties: at most %d", LIMIT_KAFKA_PROPERTIES);
    for (size_t i = 0; i < details->property_count; i++) {
        const struct kafka_property *property = &details->properties[i];
        int result = kafka_property_check(property->name, property->value, err);
        if (result != 0)
            return result;
    }
    return 0;
}

int kafka_config_create(const struct carrier_options *options, struct kafka_config **ret_config,
                        struct err *err)
{
    const struct kafka_details *details = options->details;
    if (details == NULL || options->node == NULL || !note_is_name(slice_of(options->node)))
        return err_set(err, -EINVAL, "a kafka carrier needs its details and a node's id");
    int result = check_details(details, err);
    if (result != 0)
        return result;
    struct kafka_config *config = memory_alloc(sizeof *config);
    config->brokers = memory_copy_text(details->brokers);
    config->topic = memory_copy_text(details->topic);
    config->password = memory_copy_text(details->password == NULL ? "" : details->password);
    config->node = memory_copy_text(options->node);
    config->properties = memory_array(details->property_count + 1, sizeof *config->properties);
    for (size_t i = 0; i < details->property_count; i++) {
        config->properties[i].name = memory_copy_text(details->properties[i].name);
        config->properties[i].value = memory_copy_text(details->properties[i].value);
    }
    config->property_count = details->property_count;
    *ret_config = config;
    return 0;
}

static void free_text(const char *text)
{
    char *owned;
    memcpy(&owned, &text, sizeof owned);
    memory_free(owned);
}

void kafka_config_destroy(struct kafka_config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < config->property_count; i++) {
        free_text(config->properties[i].name);
        free_text(config->properties[i].value);
    }
    memory_free(config->properties);
    memset(config->password, 0, strlen(config->password));
    memory_free(config->brokers);
    memory_free(config->topic);
    memory_free(config->password);
    memory_free(config->node);
    memory_free(config);
}
