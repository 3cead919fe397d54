/* SPDX-License-Identifier: Apache-2.0 */
/* The order of destruction is librdkafka's rule: whatever was got from a handle goes before it. */
#include "stream/kafka/kafka_session.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "stream/kafka/kafka_topic.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

/* ---- the library's own log ---- */

/* At most LIMIT_KAFKA_LOG_LINES in ten seconds, of all handles: what matters is told by the
 * carrier's own lines, and a broker that is gone would fill the log. */
static bool log_has_room(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static int64_t window_ns;
    static int lines;
    int64_t now_ns = clock_monotonic_ns();
    pthread_mutex_lock(&lock);
    if (now_ns - window_ns > INT64_C(10000000000)) {
        window_ns = now_ns;
        lines = 0;
    }
    bool room = lines < LIMIT_KAFKA_LOG_LINES;
    lines += room ? 1 : 0;
    pthread_mutex_unlock(&lock);
    return room;
}

/* level: syslog's. Properties of the other kind of handle are no news: both get all. */
static void on_log(const rd_kafka_t *handle, int level, const char *facility, const char *text)
{
    (void)handle;
    if (strcmp(facility, "CONFWARN") == 0 || strcmp(facility, "TERMINATE") == 0)
        return;
    if (level > 4 || !log_has_room())
        log_debug("kafka", log_text("msg", "librdkafka says"), log_text("facility", facility),
                  log_text("text", text));
    else
        log_info("kafka", log_text("msg", "librdkafka says"), log_text("facility", facility),
                 log_text("text", text));
}

/* ---- errors ---- */

static bool tells_more(rd_kafka_resp_err_t code, const struct kafka_trouble *trouble)
{
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        return trouble->text[0] == '\0';
    return true;
}

/* The library ends with ", N identical error(s) suppressed)" what it tells again. */
static void leave_out_suppressed(char *text)
{
    char *comma = strrchr(text, ',');
    if (comma != NULL && strstr(comma, " identical error") != NULL)
        memcpy(comma, ")", 2);
}

/* Part of it came from a broker. */
static void make_plain(char *text)
{
    for (char *at = text; *at != '\0'; at++)
        if (*at < ' ' || *at > '~' || *at == '"' || *at == '\\')
            *at = '\'';
}

void kafka_trouble_add(struct kafka_trouble *trouble, rd_kafka_t *handle, rd_kafka_event_t *event)
{
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    const char *reason = rd_kafka_event_error_string(event);
    char text[sizeof trouble->text];
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        code = rd_kafka_fatal_error(handle, text, sizeof text);
        reason = text;
        trouble->fatal = true;
    }
    trouble->denied = trouble->denied || code == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
                      code == RD_KAFKA_RESP_ERR__SSL ||
                      code == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED;
    trouble->late = trouble->late || (reason != NULL && strstr(reason, "imed out") != NULL);
    trouble->down = trouble->down || code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
    if (!tells_more(code, trouble))
        return;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || reason == NULL)
        reason = trouble->down ? "no broker can be reached" : rd_kafka_err2str(code);
    if (strstr(reason, "ApiVersionRequest failed: Local: Timed out") != NULL)
        reason = "a broker takes connections and does not answer"; /* it guesses an old one */
    trouble->named = code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
    snprintf(trouble->text, sizeof trouble->text, "%s", reason);
    leave_out_suppressed(trouble->text);
    make_plain(trouble->text);
}

/* While nobody else reads the events: before the session is handed over. */
static void hear(rd_kafka_t *handle, rd_kafka_queue_t *queue, struct kafka_trouble *trouble)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 0);
    while (event != NULL) {
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR)
            kafka_trouble_add(trouble, handle, event);
        rd_kafka_event_destroy(event);
        event = rd_kafka_queue_poll(queue, 0);
    }
}

/* ---- making and destroying ---- */

struct waker {
    kafka_wake_fn *wake;
    void *context;
};

static rd_kafka_t *make_handle(const struct kafka_config *config, rd_kafka_type_t type,
                               int answer_ms, struct err *err)
{
    char text[200];
    rd_kafka_conf_t *conf = kafka_config_make(config, type, answer_ms, err);
    if (conf == NULL)
        return NULL;
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_DR);
    rd_kafka_t *handle = rd_kafka_new(type, conf, text, sizeof text);
    if (handle == NULL) {
        rd_kafka_conf_destroy(conf);
        err_set(err, -EINVAL, "librdkafka: %s", text);
    }
    return handle;
}

static void on_event(rd_kafka_t *handle, void *context)
{
    const struct waker *waker = context;
    (void)handle;
    waker->wake(waker->context);
}

struct whole_session {
    struct kafka_session session;
    struct waker waker;
};

int kafka_session_create(const struct kafka_config *config, int answer_ms, kafka_wake_fn *wake,
                         void *context, struct kafka_session **ret_session, struct err *err)
{
    struct whole_session *whole = memory_alloc(sizeof *whole);
    struct kafka_session *session = &whole->session;
    whole->waker = (struct waker){.wake = wake, .context = context};
    session->answer_ms = answer_ms;
    session->producer = make_handle(config, RD_KAFKA_PRODUCER, answer_ms, err);
    if (session->producer != NULL)
        session->consumer = make_handle(config, RD_KAFKA_CONSUMER, answer_ms, err);
    if (session->consumer == NULL) {
        kafka_session_destroy(session);
        return -EINVAL;
    }
    session->write_topic = rd_kafka_topic_new(session->producer, config->topic, NULL);
    session->read_topic = rd_kafka_topic_new(session->consumer, config->topic, NULL);
    session->write_events = rd_kafka_queue_get_main(session->producer);
    session->read_events = rd_kafka_queue_get_main(session->consumer);
    session->records = rd_kafka_queue_new(session->consumer);
    if (session->write_topic == NULL || session->read_topic == NULL) {
        kafka_session_destroy(session);
        return err_set(err, -EINVAL, "librdkafka can't make a topic's handle");
    }
    rd_kafka_queue_cb_event_enable(session->write_events, on_event, &whole->waker);
    rd_kafka_queue_cb_event_enable(session->read_events, on_event, &whole->waker);
    rd_kafka_queue_cb_event_enable(session->records, on_event, &whole->waker);
    *ret_session = session;
    return 0;
}

static void drop_queue(rd_kafka_queue_t *queue)
{
    if (queue == NULL)
        return;
    rd_kafka_queue_cb_event_enable(queue, NULL, NULL);
    rd_kafka_queue_destroy(queue);
}

void kafka_session_destroy(struct kafka_session *session)
{
    if (session == NULL)
        return;
    if (session->reading)
        rd_kafka_consume_stop(session->read_topic, 0);
    if (session->producer != NULL)
        rd_kafka_purge(session->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                              RD_KAFKA_PURGE_F_NON_BLOCKING);
    drop_queue(session->records);
    drop_queue(session->read_events);
    drop_queue(session->write_events);
    if (session->read_topic != NULL)
        rd_kafka_topic_destroy(session->read_topic);
    if (session->write_topic != NULL)
        rd_kafka_topic_destroy(session->write_topic);
    if (session->consumer != NULL)
        rd_kafka_destroy(session->consumer);
    if (session->producer != NULL)
        rd_kafka_destroy(session->producer);
    memory_free((struct whole_session *)session);
}

/* ---- looking ---- */

/* rd_kafka_query_watermark_offsets keeps no time-out while it tries again; this does. which:
 * RD_KAFKA_OFFSET_BEGINNING or _END, in the place of a time, as the protocol has it. */
static int ask_offset(struct kafka_session *session, const struct kafka_config *config,
                      int64_t which, int answer_ms, int64_t *ret_offset, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *partition =
        rd_kafka_topic_partition_list_add(list, config->topic, 0);
    partition->offset = which;
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(session->producer, list, answer_ms);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        code = partition->err;
    int64_t offset = partition->offset;
    rd_kafka_topic_partition_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR__TIMED_OUT)
        return err_set(err, -ETIMEDOUT, "no answer within %d ms", answer_ms);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR || offset < 0)
        return err_set(err, -EAGAIN, "topic %s: %s", config->topic, rd_kafka_err2str(code));
    *ret_offset = offset;
    return 0;
}

static int look(struct kafka_session *session, const struct kafka_config *config, bool whole,
                int answer_ms, struct kafka_probe *ret_probe, struct err *err)
{
    int64_t low = -1, high, asked_ns = clock_monotonic_ns();
    int result = ask_offset(session, config, RD_KAFKA_OFFSET_END, answer_ms, &high, err);
    int64_t rtt_us = (clock_monotonic_ns() - asked_ns) / 1000;
    if (result == 0 && whole)
        result = ask_offset(session, config, RD_KAFKA_OFFSET_BEGINNING, answer_ms, &low, err);
    if (result == 0)
        *ret_probe = (struct kafka_probe){.low = low,
                                          .high = high,
                                          .rtt_us = rtt_us,
                                          .asked_ns = asked_ns,
                                          .answer_ms = answer_ms};
    return result;
}

static int check_and_look(struct kafka_session *session, const struct kafka_config *config,
                          struct kafka_probe *ret_probe, struct err *err)
{
    int answer_ms = session->answer_ms;
    int result = kafka_topic_check(session->consumer, session->read_topic, answer_ms, err);
    if (result == -ENOENT)
        result = kafka_topic_make(session->producer, session->write_topic, answer_ms, err);
    if (result == 0) /* each handle knows the topic from what it was told itself */
        result = kafka_topic_check(session->producer, session->write_topic, answer_ms, err);
    return result == 0 ? look(session, config, true, answer_ms, ret_probe, err) : result;
}

/* What the producer has found out meanwhile, and is told of once only. */
static int check_producer(struct kafka_session *session, struct err *err)
{
    char text[200];
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(session->producer, text, sizeof text);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    session->spent = true;
    make_plain(text);
    return err_set(err, -EINVAL, "nothing can be written: %s (%s)", rd_kafka_err2str(code), text);
}

int kafka_session_prepare(struct kafka_session *session, const struct kafka_config *config,
                          struct kafka_probe *ret_probe, struct err *err)
{
    struct kafka_trouble trouble = {0};
    int result = check_and_look(session, config, ret_probe, err);
    hear(session->producer, session->write_events, &trouble);
    hear(session->consumer, session->read_events, &trouble);
    session->late = session->late || trouble.late || result == -ETIMEDOUT;
    if (result == -ETIMEDOUT)
        result = -EAGAIN;
    if (result != -EINVAL && check_producer(session, err) != 0)
        return -EINVAL;
    if (result == -EAGAIN && trouble.text[0] != '\0')
        return err_set(err,
                       trouble.denied  ? -EACCES
                       : trouble.named ? -EIO
                                       : -EAGAIN,
                       "%s", trouble.text);
    return result == -ENOENT ? -EAGAIN : result;
}

int kafka_session_probe(struct kafka_session *session, const struct kafka_config *config,
                        bool whole, int answer_ms, struct kafka_probe *ret_probe, struct err *err)
{
    if (whole) {
        int result = kafka_topic_check(session->producer, session->write_topic, answer_ms, err);
        if (result != 0)
            return result;
    }
    return look(session, config, whole, answer_ms, ret_probe, err);
}
