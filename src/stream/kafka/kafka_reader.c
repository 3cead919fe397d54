/* SPDX-License-Identifier: Apache-2.0 */
/* Reading partition 0 in its own order, from a position of our own choice. */
#include "stream/kafka/kafka_priv.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>

#define EVERYTHING UINT32_MAX
#define SEARCH_TURNS 8 /* a search hands nothing over, so it may take more at once */

static void drop_held(struct kafka_carrier *kafka)
{
    struct kafka_held *held = &kafka->held;
    while (held->next < held->count)
        rd_kafka_message_destroy(held->messages[held->next++]);
    held->next = held->count = 0;
}

void kafka_reader_end(struct kafka_carrier *kafka)
{
    drop_held(kafka);
    kafka->step = KAFKA_AWAY;
}

/* A seek makes what was fetched before it void, in the library's queues too. */
void kafka_reader_go(struct kafka_carrier *kafka, int64_t position)
{
    struct kafka_session *session = kafka->session;
    drop_held(kafka);
    kafka->next = position;
    kafka->marked = 0;
    kafka->moved_ns = clock_monotonic_ns();
    if (session->reading) {
        rd_kafka_seek(session->read_topic, 0, position, 0);
        return;
    }
    session->reading = true;
    if (rd_kafka_consume_start_queue(session->read_topic, 0, position, session->records) != 0)
        kafka->trouble.fatal = true; /* the next poll loses the session */
}

void kafka_reader_begin(struct kafka_carrier *kafka)
{
    const struct kafka_identity *last = &kafka->last;
    kafka->moved_ns = clock_monotonic_ns();
    kafka->restart = false; /* what it asked for is `anew` */
    if (!kafka->begun || kafka->anew || last->position < kafka->probe.low ||
        last->position >= kafka->probe.high) {
        kafka_search_begin(kafka);
        return;
    }
    kafka->step = KAFKA_VERIFYING;
    kafka_reader_go(kafka, last->position);
}

/* ---- one record ---- */

static enum kafka_verdict read_headers(rd_kafka_message_t *message,
                                       struct kafka_headers *ret_headers)
{
    rd_kafka_headers_t *headers;
    *ret_headers = (struct kafka_headers){0};
    rd_kafka_resp_err_t code = rd_kafka_message_headers(message, &headers);
    if (code == RD_KAFKA_RESP_ERR__NOENT)
        return KAFKA_FOREIGN;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return KAFKA_BAD_HEADERS;
    if (rd_kafka_header_cnt(headers) > LIMIT_KAFKA_HEADERS)
        return KAFKA_BAD_HEADERS;
    for (size_t i = 0; i < LIMIT_KAFKA_HEADERS; i++) {
        const char *name;
        const void *value;
        size_t size;
        if (rd_kafka_header_get_all(headers, i, &name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        kafka_headers_add(ret_headers, name, (struct slice){.data = value, .size = size});
    }
    return KAFKA_GOOD;
}

enum kafka_verdict kafka_reader_decode(struct kafka_carrier *kafka, rd_kafka_message_t *message,
                                       uint32_t wanted, struct kafka_name *ret_name)
{
    struct kafka_headers headers;
    struct slice text = {.data = kafka->scratch, .size = message->len};
    ret_name->kind = KAFKA_NOTHING;
    ret_name->stream[0] = '\0';
    ret_name->epoch = ret_name->seq = -1;
    enum kafka_verdict verdict = read_headers(message, &headers);
    if (verdict == KAFKA_GOOD)
        verdict = kafka_name_read(&headers, ret_name);
    if (verdict != KAFKA_GOOD || (wanted & (UINT32_C(1) << ret_name->kind)) == 0)
        return verdict;
    if (message->len > LIMIT_RECORD)
        return KAFKA_TOO_LONG;
    if (message->len > 0)
        memcpy(kafka->scratch, message->payload, message->len);
    memset(kafka->scratch + message->len, 0, 1 + LIMIT_PADDING);
    return kafka_decode(ret_name, &headers, text, message->offset, &kafka->decoded);
}

static struct kafka_identity identify(const rd_kafka_message_t *message,
                                      const struct kafka_name *name)
{
    rd_kafka_timestamp_type_t type;
    struct kafka_identity identity = {.position = message->offset,
                                      .timestamp = rd_kafka_message_timestamp(message, &type),
                                      .epoch = name->epoch,
                                      .seq = name->seq,
                                      .size = message->len,
                                      .kind = name->kind};
    memcpy(identity.stream, name->stream, sizeof identity.stream);
    return identity;
}

static bool identity_equal(const struct kafka_identity *left, const struct kafka_identity *right)
{
    return left->position == right->position && left->timestamp == right->timestamp &&
           left->epoch == right->epoch && left->seq == right->seq && left->size == right->size &&
           left->kind == right->kind && strcmp(left->stream, right->stream) == 0;
}

/* Some readers don't ask for some kinds. */
static void hand_over(struct kafka_carrier *kafka, enum kafka_kind kind)
{
    const struct carrier_reader *reader = &kafka->reader;
    struct kafka_decoded *decoded = &kafka->decoded;
    switch (kind) {
    case KAFKA_RECORD:
        if (reader->record != NULL)
            reader->record(reader->context, &decoded->record);
        return;
    case KAFKA_BARRIER:
        if (reader->barrier != NULL)
            reader->barrier(reader->context, &decoded->barrier.barrier);
        return;
    case KAFKA_BEACON:
        if (reader->beacon != NULL)
            reader->beacon(reader->context, &decoded->beacon.beacon);
        return;
    case KAFKA_STATE:
        if (reader->state != NULL)
            reader->state(reader->context, &decoded->state);
        return;
    case KAFKA_NOTHING:
        return;
    }
}

static void skip(struct kafka_carrier *kafka, const rd_kafka_message_t *message,
                 enum kafka_verdict verdict)
{
    metric_add(kafka->metrics.skipped[verdict], 1);
    log_debug("kafka", log_text("msg", "a record of the topic is none of ours, passed over"),
              log_text("reason", kafka_verdict_names[verdict]), log_int("offset", message->offset));
}

static void deliver(struct kafka_carrier *kafka, rd_kafka_message_t *message)
{
    struct kafka_name name;
    enum kafka_verdict verdict = kafka_reader_decode(kafka, message, EVERYTHING, &name);
    kafka->last = identify(message, &name);
    kafka->next = message->offset + 1;
    if (verdict != KAFKA_GOOD) {
        skip(kafka, message, verdict);
        return;
    }
    metric_add(kafka->metrics.read[name.kind], 1);
    hand_over(kafka, name.kind);
}

static void verify(struct kafka_carrier *kafka, rd_kafka_message_t *message)
{
    struct kafka_name name;
    if (message != NULL) {
        (void)kafka_reader_decode(kafka, message, 0, &name);
        struct kafka_identity identity = identify(message, &name);
        if (identity_equal(&identity, &kafka->last)) {
            kafka->step = KAFKA_READING;
            kafka->next = message->offset + 1;
            kafka_carrier_up(kafka);
            return;
        }
    }
    log_warn("kafka", log_text("msg", "the record read last is not there any more, beginning anew"),
             log_text("topic", kafka->topic), log_int("offset", kafka->last.position));
    kafka_search_begin(kafka);
}

/* ---- what the library gives ---- */

static void take_error(struct kafka_carrier *kafka, const rd_kafka_message_t *message)
{
    switch ((int)message->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        if (message->offset < kafka->next)
            return;
        if (kafka->step == KAFKA_READING)
            kafka->end = kafka->next = message->offset; /* some offsets are no records */
        else if (kafka->step == KAFKA_SEARCHING)
            kafka_search_look(kafka, NULL);
        else
            verify(kafka, NULL);
        return;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        kafka->anew = true;
        kafka_carrier_lose(kafka, "what was read last is not in the topic any more");
        return;
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        kafka->trouble.refused = kafka->trouble.refused || kafka_is_refusal(message->err);
        kafka_carrier_lose(kafka, rd_kafka_err2str(message->err));
        return;
    default:
        log_warn("kafka", log_text("msg", "reading met an error, going on"),
                 log_text("error", rd_kafka_message_errstr(message)));
    }
}

static void take_message(struct kafka_carrier *kafka, rd_kafka_message_t *message)
{
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        take_error(kafka, message);
        return;
    }
    if (message->offset < kafka->next)
        return; /* fetched before a seek */
    if (kafka->step == KAFKA_READING)
        deliver(kafka, message);
    else if (kafka->step == KAFKA_SEARCHING)
        kafka_search_look(kafka, message);
    else if (kafka->step == KAFKA_VERIFYING)
        verify(kafka, message);
}

static bool hold(struct kafka_carrier *kafka)
{
    struct kafka_held *held = &kafka->held;
    if (held->next < held->count)
        return true;
    ssize_t count = rd_kafka_consume_batch_queue(kafka->session->records, 0, held->messages,
                                                 COUNT_OF(held->messages));
    held->next = 0;
    held->count = count > 0 ? (size_t)count : 0;
    return held->count > 0;
}

/* Gives what is held, until `bytes` are given. A message may end the session, or move the reading,
 * which drops what is held. */
static void give(struct kafka_carrier *kafka, size_t bytes)
{
    struct kafka_held *held = &kafka->held;
    size_t given = 0;
    while (held->next < held->count && given < bytes) {
        rd_kafka_message_t *message = held->messages[held->next++];
        given += message->len;
        take_message(kafka, message);
        rd_kafka_message_destroy(message);
    }
    if (given > 0)
        kafka->moved_ns = clock_monotonic_ns();
}

static void tell_caught_up(struct kafka_carrier *kafka)
{
    if (kafka->step != KAFKA_READING || kafka->caught_up || kafka->next < kafka->end)
        return;
    kafka->caught_up = true;
    if (kafka->reader.caught_up != NULL)
        kafka->reader.caught_up(kafka->reader.context);
}

/* There is something to be read, and it does not come. */
static void watch(struct kafka_carrier *kafka)
{
    int64_t now_ns = clock_monotonic_ns();
    if (kafka->step == KAFKA_READING && kafka->next >= kafka->probe.high)
        kafka->moved_ns = now_ns;
    if (now_ns - kafka->moved_ns > kafka_carrier_stall_ns(kafka))
        kafka_carrier_lose(kafka, "the topic's records do not come");
}

bool kafka_reader_poll(struct kafka_carrier *kafka)
{
    int turns = kafka->step == KAFKA_SEARCHING ? SEARCH_TURNS : 1;
    if (kafka->restart) {
        kafka->restart = false;
        if (kafka->probe.high < kafka->next)
            kafka->probe.high = kafka->next;
        kafka_search_begin(kafka);
    }
    for (int i = 0; i < turns && kafka->session != NULL && hold(kafka); i++)
        give(kafka, LIMIT_KAFKA_TURN_BYTES);
    if (kafka->session == NULL)
        return false;
    tell_caught_up(kafka);
    /* A full turn: there may be more, and the queue tells only when it was empty. */
    bool more =
        kafka->held.count == COUNT_OF(kafka->held.messages) || kafka->held.next < kafka->held.count;
    if (!more)
        watch(kafka);
    return more && kafka->session != NULL;
}
