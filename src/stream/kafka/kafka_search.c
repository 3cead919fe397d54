/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a reader can begin: at the `start` of a beacon, from where on everything is there, states
 * included. The first usable beacon of the topic's tail serves (so much can be told to clients with
 * old tokens). The tail is so many records, or, on a busy topic, those of the last minute, as far
 * as the log can hold them. Who has read before, and begins anew, takes the newest, since older
 * ones may have been written about what is not there any more. When the tail holds none, what is
 * before it is searched, ten times as much each time. A topic with barriers but without beacons is
 * read from its beginning; one without both, or an empty one, holds nothing to begin with.
 */
#include "stream/kafka/kafka_priv.h"

#include "base/clock.h"
#include "base/log.h"

#define TIMES_MOST 10 /* in one step: others' clocks are not ours */

static void begin_at(struct kafka_carrier *kafka, const struct checkpoint *from)
{
    kafka->step = KAFKA_READING;
    kafka->begun = true;
    kafka->anew = false;
    kafka->caught_up = false;
    kafka->last.position = -1;
    kafka->end = kafka->search.end;
    kafka_reader_go(kafka, from->position);
    log_info("kafka", log_text("msg", "reading begins"), log_text("topic", kafka->topic),
             log_int("offset", from->position), log_int("end", kafka->end),
             log_text("stream", from->stream), log_int("epoch", from->epoch),
             log_int("seq", from->seq));
    if (kafka->reader.began != NULL)
        kafka->reader.began(kafka->reader.context, from);
    if (kafka->state != CARRIER_UP && !kafka->stalled)
        kafka_carrier_up(kafka);
}

static void begin_with_nothing(struct kafka_carrier *kafka)
{
    const struct kafka_search *search = &kafka->search;
    struct checkpoint nothing = {.position = search->barrier ? search->low : search->end};
    begin_at(kafka, &nothing);
}

static void tail_begins(struct kafka_carrier *kafka, int64_t tail)
{
    struct kafka_search *search = &kafka->search;
    search->tail = tail;
    search->from = search->end - tail > search->low ? search->end - tail : search->low;
    search->young = !search->newest && search->from > search->low && tail < kafka->tail_most;
}

/* On a busy topic the tail is so many records more that it begins a minute ago. */
static bool tail_grows(struct kafka_carrier *kafka, const rd_kafka_message_t *message)
{
    struct kafka_search *search = &kafka->search;
    rd_kafka_timestamp_type_t type;
    int64_t made_ms = rd_kafka_message_timestamp(message, &type); /* -1: not known */
    int64_t age_ms = clock_wall_us() / 1000 - made_ms;
    if (!search->young)
        return false;
    search->young = false;
    if (made_ms < 0 || age_ms >= LIMIT_KAFKA_TAIL_MS)
        return false;
    int64_t times = age_ms <= 0 ? TIMES_MOST : LIMIT_KAFKA_TAIL_MS / age_ms + 1; /* 2 at least */
    int64_t tail = search->tail * (times < TIMES_MOST ? times : TIMES_MOST);
    tail_begins(kafka, tail < kafka->tail_most ? tail : kafka->tail_most);
    kafka_reader_go(kafka, search->from);
    return true;
}

/* Begins at what was found, or looks at the next part, before the last one. */
static void part_ends(struct kafka_carrier *kafka)
{
    struct kafka_search *search = &kafka->search;
    if (search->found) {
        struct checkpoint from = search->start;
        begin_at(kafka, &from);
        return;
    }
    if (search->from <= search->low) {
        begin_with_nothing(kafka);
        return;
    }
    search->to = search->from;
    search->tail *= 10;
    search->from = search->end - search->tail;
    if (search->tail > 10 * LIMIT_KAFKA_TAIL || search->from < search->low)
        search->from = search->low;
    kafka_reader_go(kafka, search->from);
}

void kafka_search_begin(struct kafka_carrier *kafka)
{
    struct kafka_search *search = &kafka->search;
    int64_t low = kafka->probe.low, end = kafka->probe.high;
    *search = (struct kafka_search){.low = low, .to = end, .end = end, .newest = kafka->begun};
    tail_begins(kafka, LIMIT_KAFKA_TAIL);
    kafka->step = KAFKA_SEARCHING;
    if (search->from >= end)
        begin_with_nothing(kafka);
    else
        kafka_reader_go(kafka, search->from);
}

void kafka_search_look(struct kafka_carrier *kafka, rd_kafka_message_t *message)
{
    struct kafka_search *search = &kafka->search;
    struct kafka_name name;
    if (message != NULL && tail_grows(kafka, message))
        return;
    if (message != NULL && message->offset < search->to) {
        kafka->next = message->offset + 1;
        enum kafka_verdict verdict =
            kafka_reader_decode(kafka, message, UINT32_C(1) << KAFKA_BEACON, &name);
        search->barrier = search->barrier || (verdict == KAFKA_GOOD && name.kind == KAFKA_BARRIER);
        const struct checkpoint *start = &kafka->decoded.beacon.beacon.start;
        if (verdict == KAFKA_GOOD && name.kind == KAFKA_BEACON && start->stream[0] != '\0' &&
            start->position >= search->low) {
            search->found = true;
            search->start = *start;
        }
    }
    if (message == NULL || message->offset + 1 >= search->to || (search->found && !search->newest))
        part_ends(kafka);
}
