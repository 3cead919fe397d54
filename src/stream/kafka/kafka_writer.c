/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing. Everything goes to partition 0, through one idempotent producer, so the order of writes
 * is the order in the topic. What the producer holds is little; the queue is the replica's own log.
 */
#include "stream/kafka/kafka_priv.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <stdio.h>

#define HEADERS 5

/* One record of the topic. */
struct item {
    const char *stream;
    int64_t epoch, seq; /* seq -1: a note */
    struct slice type, key, text;
};

static void add_header(rd_kafka_headers_t *headers, const char *name, struct slice value)
{
    rd_kafka_header_add(headers, name, -1, value.data, (ssize_t)value.size);
}

static void add_number(rd_kafka_headers_t *headers, const char *name, int64_t number)
{
    char text[24];
    int size = snprintf(text, sizeof text, "%lld", (long long)number);
    add_header(headers, name, (struct slice){text, (size_t)size});
}

static rd_kafka_headers_t *headers_of(const struct kafka_carrier *kafka, const struct item *item)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(HEADERS);
    add_header(headers, "tw-stream", slice_of(item->stream));
    add_number(headers, "tw-epoch", item->epoch);
    if (item->seq >= 0)
        add_number(headers, "tw-seq", item->seq);
    add_header(headers, "tw-type", item->type);
    add_header(headers, "tw-node", slice_of(kafka->node));
    return headers;
}

/* librdkafka takes pointers to what it won't change (it copies). */
static void *unchanged(const char *data)
{
    void *pointer;
    memcpy(&pointer, &data, sizeof pointer);
    return pointer;
}

/* The headers are made here, not named one by one in the call: those librdkafka frees twice when it
 * finds that the topic is gone (its issue 4627). */
static rd_kafka_error_t *give(struct kafka_carrier *kafka, const struct item *item)
{
    rd_kafka_headers_t *headers = headers_of(kafka, item);
    const rd_kafka_vu_t values[] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = kafka->session->write_topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = 0},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {unchanged(item->key.data), item->key.size}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {unchanged(item->text.data), item->text.size}},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
    };
    rd_kafka_error_t *error =
        rd_kafka_produceva(kafka->session->producer, values, sizeof values / sizeof values[0]);
    if (error != NULL)
        rd_kafka_headers_destroy(headers); /* else the record's */
    return error;
}

static enum carrier_result refuse(struct kafka_carrier *kafka, rd_kafka_error_t *error)
{
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL && !kafka->trouble.fatal) {
        kafka->trouble.fatal = true; /* the next poll loses the session */
        snprintf(kafka->trouble.text, sizeof kafka->trouble.text, "a record was not taken: %s",
                 rd_kafka_err2str(code));
    }
    rd_kafka_error_destroy(error);
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        metric_add(kafka->metrics.full, 1);
        return CARRIER_FULL;
    }
    metric_add(kafka->metrics.down, 1);
    return CARRIER_DOWN;
}

static enum carrier_result put(struct carrier *carrier, const struct item *item)
{
    struct kafka_carrier *kafka = (struct kafka_carrier *)carrier;
    if (kafka->session == NULL || kafka->state != CARRIER_UP) {
        metric_add(kafka->metrics.down, 1);
        return CARRIER_DOWN;
    }
    rd_kafka_error_t *error = give(kafka, item);
    if (error != NULL)
        return refuse(kafka, error);
    if (kafka->unanswered++ == 0)
        kafka->answered_ns = clock_monotonic_ns();
    metric_add(kafka->metrics.taken, 1);
    return CARRIER_TAKEN;
}

enum carrier_result kafka_write(struct carrier *carrier, const struct record *record)
{
    return put(carrier, &(struct item){.stream = record->stream,
                                       .epoch = record->epoch,
                                       .seq = record->seq,
                                       .type = record->type,
                                       .key = record->key,
                                       .text = record->text});
}

static enum carrier_result put_note(struct carrier *carrier, const char *stream, int64_t epoch,
                                    struct slice type, struct slice text)
{
    return put(carrier, &(struct item){.stream = stream,
                                       .epoch = epoch,
                                       .seq = -1,
                                       .type = type,
                                       .key = SLICE("tickwire"),
                                       .text = text});
}

enum carrier_result kafka_write_barrier(struct carrier *carrier, const struct barrier *barrier)
{
    struct buffer *note = &((struct kafka_carrier *)carrier)->note;
    buffer_clear(note);
    note_write_barrier(barrier, note);
    assert(!note->overflowed);
    return put_note(carrier, barrier->stream, barrier->epoch, SLICE("barrier"), buffer_slice(note));
}

enum carrier_result kafka_write_beacon(struct carrier *carrier, const struct beacon *beacon)
{
    struct buffer *note = &((struct kafka_carrier *)carrier)->note;
    buffer_clear(note);
    note_write_beacon(beacon, note);
    assert(!note->overflowed);
    return put_note(carrier, beacon->now.stream, beacon->now.epoch, SLICE("beacon"),
                    buffer_slice(note));
}

enum carrier_result kafka_write_state(struct carrier *carrier, const struct state_note *state)
{
    return put_note(carrier, state->stream, state->epoch, SLICE("state"), state->text);
}

/*
 * Nothing is called back. The library purges in its own time, and takes what is written behind the
 * purge with it (seen with 2.0.2); waiting for it may block. What it holds is bounded, what comes
 * twice is dropped by its number, and a break ends it all with the session.
 */
void kafka_forget(struct carrier *carrier)
{
    (void)carrier;
}

/* ---- what comes back ---- */

bool kafka_is_refusal(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
           code == RD_KAFKA_RESP_ERR_INVALID_RECORD || code == RD_KAFKA_RESP_ERR_POLICY_VIOLATION;
}

static void take_report(struct kafka_carrier *kafka, const rd_kafka_message_t *message)
{
    int64_t latency_us = rd_kafka_message_latency(message);
    kafka->unanswered--;
    kafka->answered_ns = clock_monotonic_ns();
    if (message->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE)
        return;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        metric_add(kafka->metrics.lost, 1);
        kafka->trouble.fatal = true; /* it left a hole in what follows */
        kafka->trouble.refused = kafka->trouble.refused || kafka_is_refusal(message->err);
        snprintf(kafka->trouble.text, sizeof kafka->trouble.text, "a record was not written: %s",
                 rd_kafka_err2str(message->err));
        return;
    }
    kafka->stalled = false;
    if (latency_us >= 0) {
        kafka->rtt_us = latency_us;
        metric_observe(kafka->metrics.acknowledged, latency_us);
    }
}

static void take_event(struct kafka_carrier *kafka, rd_kafka_t *handle, rd_kafka_event_t *event)
{
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR) {
        kafka_trouble_add(&kafka->trouble, handle, event);
        return;
    }
    if (rd_kafka_event_type(event) != RD_KAFKA_EVENT_DR)
        return;
    const rd_kafka_message_t *message = rd_kafka_event_message_next(event);
    while (message != NULL) {
        take_report(kafka, message);
        message = rd_kafka_event_message_next(event);
    }
}

static void drain(struct kafka_carrier *kafka, rd_kafka_t *handle, rd_kafka_queue_t *queue)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 0);
    while (event != NULL) {
        take_event(kafka, handle, event);
        rd_kafka_event_destroy(event);
        event = rd_kafka_queue_poll(queue, 0);
    }
}

void kafka_writer_poll(struct kafka_carrier *kafka)
{
    bool stalled = kafka->stalled;
    drain(kafka, kafka->session->producer, kafka->session->write_events);
    drain(kafka, kafka->session->consumer, kafka->session->read_events);
    if (kafka->trouble.down || kafka->trouble.fatal) {
        kafka_carrier_lose(kafka, kafka->trouble.text);
        return;
    }
    int64_t age_ns = clock_monotonic_ns() - kafka->answered_ns;
    if (kafka->state == CARRIER_UP && kafka->unanswered > 0 &&
        age_ns > kafka_carrier_stall_ns(kafka)) {
        kafka->stalled = true;
        kafka_carrier_stall(kafka, kafka->trouble.text[0] == '\0'
                                       ? "what is written is not acknowledged"
                                       : kafka->trouble.text);
    } else if (stalled && !kafka->stalled) {
        kafka_carrier_up(kafka);
    }
}
