/* SPDX-License-Identifier: Apache-2.0 */
/* Names and meanings of the configurations: Kafka's documentation, "Topic Configs". */
#include "stream/kafka/kafka_topic.h"

#include "base/log.h"

#include <errno.h>

static const struct kafka_property configs[] = {
    {"cleanup.policy", "delete"},
    {"retention.ms", "21600000"},       /* 6 h */
    {"retention.bytes", "21474836480"}, /* 20 GiB */
    {"segment.ms", "600000"},           /* 10 min: what has expired goes in such pieces */
    {"message.timestamp.type", "LogAppendTime"},
    {"unclean.leader.election.enable", "false"},
    {"max.message.bytes", "1114112"}, /* LIMIT_KAFKA_MESSAGE */
};

/* The library says "transport" when there was no connection all the time. */
static int read_metadata(rd_kafka_t *handle, rd_kafka_topic_t *topic, int answer_ms,
                         const struct rd_kafka_metadata **ret_metadata, struct err *err)
{
    rd_kafka_resp_err_t code = rd_kafka_metadata(handle, 0, topic, ret_metadata, answer_ms);
    if (code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__TRANSPORT)
        return err_set(err, code == RD_KAFKA_RESP_ERR__TIMED_OUT ? -ETIMEDOUT : -EAGAIN,
                       "no answer within %d ms", answer_ms);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return err_set(err, -EAGAIN, "%s", rd_kafka_err2str(code));
    return 0;
}

static int judge_partition(const struct rd_kafka_metadata_partition *partition, const char *name,
                           struct err *err)
{
    if (partition->leader >= 0)
        return 0;
    return err_set(err, -EAGAIN, "topic %s: its partition has no leader (%s)", name,
                   rd_kafka_err2str(partition->err));
}

static int judge(const struct rd_kafka_metadata *metadata, const char *name, struct err *err)
{
    if (metadata->topic_cnt < 1)
        return err_set(err, -EAGAIN, "topic %s: the broker does not tell of it", name);
    const struct rd_kafka_metadata_topic *topic = &metadata->topics[0];
    if (topic->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        return err_set(err, -ENOENT, "there is no topic %s", name);
    if (topic->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
        topic->err == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION)
        return err_set(err, -EINVAL, "topic %s: %s", name, rd_kafka_err2str(topic->err));
    if (topic->err != RD_KAFKA_RESP_ERR_NO_ERROR || topic->partition_cnt < 1)
        return err_set(err, -EAGAIN, "topic %s: %s", name, rd_kafka_err2str(topic->err));
    if (topic->partition_cnt > 1)
        return err_set(
            err, -EINVAL,
            "topic %s has %d partitions; it must have one, since only one keeps an order", name,
            topic->partition_cnt);
    return judge_partition(&topic->partitions[0], name, err);
}

int kafka_topic_check(rd_kafka_t *handle, rd_kafka_topic_t *topic, int answer_ms, struct err *err)
{
    const struct rd_kafka_metadata *metadata;
    int result = read_metadata(handle, topic, answer_ms, &metadata, err);
    if (result != 0)
        return result;
    result = judge(metadata, rd_kafka_topic_name(topic), err);
    rd_kafka_metadata_destroy(metadata);
    return result;
}

static rd_kafka_NewTopic_t *describe_topic(const char *name, int brokers, struct err *err)
{
    char text[160];
    int replication = brokers < 3 ? brokers : 3;
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, 1, replication, text, sizeof text);
    if (topic == NULL) {
        err_set(err, -EINVAL, "topic %s: %s", name, text);
        return NULL;
    }
    for (size_t i = 0; i < COUNT_OF(configs); i++)
        rd_kafka_NewTopic_set_config(topic, configs[i].name, configs[i].value);
    if (replication == 3)
        rd_kafka_NewTopic_set_config(topic, "min.insync.replicas", "2");
    return topic;
}

static int judge_answer(rd_kafka_event_t *event, const char *name, struct err *err)
{
    size_t count = 0;
    if (event == NULL)
        return err_set(err, -ETIMEDOUT, "topic %s: no answer to the request to make it", name);
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return err_set(err, -EAGAIN, "topic %s can't be made: %s", name,
                       rd_kafka_event_error_string(event));
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    rd_kafka_resp_err_t code =
        count == 0 ? RD_KAFKA_RESP_ERR__FAIL : rd_kafka_topic_result_error(results[0]);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            log_info("kafka", log_text("msg", "topic made"), log_text("topic", name));
        return err_set(err, -EINPROGRESS, "topic %s is being made", name);
    }
    const char *text = count == 0 ? NULL : rd_kafka_topic_result_error_string(results[0]);
    return err_set(err, -EINVAL, "topic %s can't be made: %s", name,
                   text == NULL ? rd_kafka_err2str(code) : text);
}

static int ask_for_topic(rd_kafka_t *handle, const char *name, int brokers, int answer_ms,
                         struct err *err)
{
    rd_kafka_NewTopic_t *topic = describe_topic(name, brokers, err);
    if (topic == NULL)
        return -EINVAL;
    char text[160];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(handle, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_AdminOptions_set_request_timeout(options, answer_ms, text, sizeof text);
    rd_kafka_CreateTopics(handle, &topic, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 2 * answer_ms);
    int result = judge_answer(event, name, err);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(topic);
    return result;
}

int kafka_topic_make(rd_kafka_t *handle, rd_kafka_topic_t *topic, int answer_ms, struct err *err)
{
    const struct rd_kafka_metadata *metadata;
    int result = read_metadata(handle, topic, answer_ms, &metadata, err);
    if (result != 0)
        return result;
    int brokers = metadata->broker_cnt;
    rd_kafka_metadata_destroy(metadata);
    if (brokers < 1)
        return err_set(err, -EAGAIN, "the broker names no brokers");
    return ask_for_topic(handle, rd_kafka_topic_name(topic), brokers, answer_ms, err);
}
