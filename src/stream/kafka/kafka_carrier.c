/* SPDX-License-Identifier: Apache-2.0 */
/* The carrier's state, and the one place where a session comes and goes. */
#include "stream/kafka/kafka_carrier.h"
#include "stream/kafka/kafka_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <assert.h>
#include <stdio.h>

#define MESSAGE_BYTES 200 /* of a message in the log, usually */
#define TELL_AGAIN_NS INT64_C(10000000000)

static void enter(struct kafka_carrier *kafka, enum carrier_state state)
{
    if (kafka->state == CARRIER_UP && state == CARRIER_FAILED) {
        kafka->breaks++;
        metric_add(kafka->metrics.breaks, 1);
    }
    if (kafka->state != state)
        kafka->since_us = clock_wall_us();
    kafka->state = state;
}

static void fail(struct kafka_carrier *kafka, const char *reason)
{
    /* What each attempt to come back says differs; it is told every now and then. */
    bool news =
        kafka->state != CARRIER_FAILED || (strcmp(kafka->error, reason) != 0 &&
                                           clock_monotonic_ns() - kafka->told_ns > TELL_AGAIN_NS);
    snprintf(kafka->error, sizeof kafka->error, "%s", reason);
    enter(kafka, CARRIER_FAILED);
    if (!news)
        return;
    kafka->told_ns = clock_monotonic_ns();
    log_warn("kafka", log_text("msg", "the carrier failed, trying again"),
             log_text("topic", kafka->topic), log_text("error", kafka->error));
}

void kafka_carrier_up(struct kafka_carrier *kafka)
{
    kafka->error[0] = '\0';
    enter(kafka, CARRIER_UP);
    log_info("kafka", log_text("msg", "the carrier is up"), log_text("topic", kafka->topic),
             log_int("offset", kafka->next), log_int("rtt_us", kafka->rtt_us));
}

int64_t kafka_carrier_stall_ns(const struct kafka_carrier *kafka)
{
    return LIMIT_KAFKA_STALL_MS * INT64_C(1000000) / LIMIT_KAFKA_ANSWER_MS * kafka->probe.answer_ms;
}

void kafka_carrier_stall(struct kafka_carrier *kafka, const char *reason)
{
    fail(kafka, reason);
}

void kafka_carrier_lose(struct kafka_carrier *kafka, const char *reason)
{
    if (kafka->session == NULL)
        return;
    fail(kafka, reason[0] == '\0' ? "no broker can be reached" : reason);
    kafka_reader_end(kafka);
    kafka->session = NULL;
    kafka->refused = kafka->trouble.refused;
    kafka->trouble = (struct kafka_trouble){0};
    kafka->unanswered = 0;
    kafka->stalled = false;
    kafka->discard = true;
}

/* The topic ends before what had been read when it was looked at: it lost its tail, or is another
 * one. */
static void check_end(struct kafka_carrier *kafka)
{
    if (kafka->session == NULL || kafka->step != KAFKA_READING)
        return;
    bool lost = kafka->marked_ns < kafka->probe.asked_ns && kafka->probe.high < kafka->marked;
    kafka->marked = kafka->next;
    kafka->marked_ns = clock_monotonic_ns();
    if (!lost)
        return;
    kafka->anew = true;
    kafka_carrier_lose(kafka, "the topic has lost its end");
}

static void take_probe(struct kafka_carrier *kafka, const struct kafka_probe *probe)
{
    int64_t low = probe->low < 0 ? kafka->probe.low : probe->low;
    kafka->probe = *probe;
    kafka->probe.low = low;
    if (!kafka->trouble.fatal) /* else it is about to be told */
        kafka->trouble.text[0] = '\0';
    if (kafka->rtt_us < 0 || kafka->unanswered == 0)
        kafka->rtt_us = probe->rtt_us;
    check_end(kafka);
}

static void take_report(struct kafka_carrier *kafka)
{
    struct kafka_report report;
    kafka_link_take(kafka->link, &report);
    if (report.probed)
        take_probe(kafka, &report.probe);
    if (report.session != NULL) {
        assert(kafka->session == NULL);
        kafka->session = report.session;
        kafka_reader_begin(kafka);
    }
    if (!report.failed)
        return;
    if (kafka->session != NULL)
        kafka_carrier_lose(kafka, report.error);
    else
        fail(kafka, report.error);
}

static bool kafka_poll(struct carrier *carrier)
{
    struct kafka_carrier *kafka = (struct kafka_carrier *)carrier;
    assert(!kafka->polling);
    kafka->polling = true;
    bool more = false;
    take_report(kafka);
    if (kafka->session != NULL)
        kafka_writer_poll(kafka);
    if (kafka->session != NULL)
        more = kafka_reader_poll(kafka);
    if (kafka->discard) {
        kafka->discard = false;
        kafka_link_discard(kafka->link, kafka->refused); /* nothing of it is held any more */
    }
    kafka->polling = false;
    return more;
}

static void kafka_restart(struct carrier *carrier)
{
    struct kafka_carrier *kafka = (struct kafka_carrier *)carrier;
    kafka->anew = true;
    kafka->restart = kafka->session != NULL && kafka->step != KAFKA_SEARCHING;
}

static int64_t kafka_position(const struct carrier *carrier)
{
    const struct kafka_carrier *kafka = (const struct kafka_carrier *)carrier;
    if (!kafka->begun || kafka->step == KAFKA_SEARCHING)
        return -1;
    if (kafka->step == KAFKA_READING)
        return kafka->next;
    return kafka->last.position < 0 ? -1 : kafka->last.position + 1;
}

static void kafka_describe(const struct carrier *carrier, struct carrier_info *ret_info)
{
    const struct kafka_carrier *kafka = (const struct kafka_carrier *)carrier;
    *ret_info = (struct carrier_info){.state = kafka->state,
                                      .since_us = kafka->since_us,
                                      .error = kafka->error,
                                      .rtt_us = kafka->rtt_us,
                                      .breaks = kafka->breaks};
}

static struct metric *series(enum metric_family family, const char *label, const char *value)
{
    char labels[LIMIT_METRIC_LABELS];
    snprintf(labels, sizeof labels, "carrier=\"kafka\",%s=\"%s\"", label, value);
    return metric_series(family, labels);
}

static void make_metrics(struct kafka_metrics *metrics)
{
    static const char own[] = "carrier=\"kafka\"";
    for (size_t i = 0; i < KAFKA_NOTHING; i++)
        metrics->read[i] = series(METRIC_CARRIER_READ, "kind", kafka_kind_names[i]);
    for (size_t i = KAFKA_FOREIGN; i < KAFKA_VERDICTS; i++)
        metrics->skipped[i] = series(METRIC_CARRIER_SKIPPED, "reason", kafka_verdict_names[i]);
    metrics->taken = series(METRIC_CARRIER_WRITTEN, "result", "taken");
    metrics->full = series(METRIC_CARRIER_WRITTEN, "result", "full");
    metrics->down = series(METRIC_CARRIER_WRITTEN, "result", "down");
    metrics->lost = series(METRIC_CARRIER_WRITTEN, "result", "lost");
    metrics->acknowledged = metric_series(METRIC_CARRIER_ACKNOWLEDGED, own);
    metrics->breaks = metric_series(METRIC_CARRIER_BREAKS, own);
}

static void wake_nobody(void *context)
{
    (void)context;
}

static int64_t tail_of(const struct kafka_details *details)
{
    size_t records = details->retain / MESSAGE_BYTES;
    if (records < LIMIT_KAFKA_TAIL)
        return LIMIT_KAFKA_TAIL;
    return records < LIMIT_KAFKA_TAIL_MOST ? (int64_t)records : LIMIT_KAFKA_TAIL_MOST;
}

static struct carrier *kafka_open(const struct carrier_options *options, struct err *err)
{
    struct kafka_config *config;
    if (kafka_config_create(options, &config, err) != 0)
        return NULL;
    struct kafka_carrier *kafka = memory_alloc(sizeof *kafka);
    kafka->carrier.kind = &kafka_carrier_kind;
    kafka->reader = options->reader;
    kafka->node = memory_copy_text(config->node);
    kafka->topic = memory_copy_text(config->topic);
    kafka->tail_most = tail_of(options->details);
    kafka->since_us = clock_wall_us();
    kafka->rtt_us = -1;
    kafka->last.position = -1;
    buffer_init(&kafka->note, LIMIT_NOTE);
    make_metrics(&kafka->metrics);
    enter(kafka, CARRIER_CONNECTING);
    kafka_wake_fn *wake = options->reader.wake == NULL ? wake_nobody : options->reader.wake;
    if (kafka_link_open(config, wake, options->reader.wake_context, &kafka->link, err) == 0)
        return &kafka->carrier;
    kafka->carrier.kind->close(&kafka->carrier);
    return NULL;
}

static void kafka_close(struct carrier *carrier)
{
    struct kafka_carrier *kafka = (struct kafka_carrier *)carrier;
    assert(!kafka->polling);
    kafka_reader_end(kafka);
    if (kafka->link != NULL)
        kafka_link_close(kafka->link);
    buffer_release(&kafka->note);
    memory_free(kafka->node);
    memory_free(kafka->topic);
    memory_free(kafka);
}

const struct carrier_kind kafka_carrier_kind = {
    .name = "kafka",
    .open = kafka_open,
    .close = kafka_close,
    .write = kafka_write,
    .write_barrier = kafka_write_barrier,
    .write_beacon = kafka_write_beacon,
    .write_state = kafka_write_state,
    .forget = kafka_forget,
    .poll = kafka_poll,
    .restart = kafka_restart,
    .position = kafka_position,
    .describe = kafka_describe,
};
