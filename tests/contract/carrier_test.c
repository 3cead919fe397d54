/* SPDX-License-Identifier: Apache-2.0 */
/* What every carrier owes, run over every row of the registry. */
#include "base/clock.h"
#include "base/memory.h"
#include "stream/journal.h"
#include "stream/kafka/kafka_carrier.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define STREAM "tw-contract"
#define NODE "node-1"
#define STATE                                                                                      \
    "{\"type\":\"state\",\"seq\":43,\"exchange\":\"binance\",\"messages\":[],\"trades\":[]}"
#define RECORDS 5000
#define WAIT_SECONDS 60 /* for what should take milliseconds */

struct heard {
    int64_t began, records, barriers, beacons, states, caught_up;
    int64_t last_barrier;
    int64_t next;
    struct journal *journal;
    bool from_start;         /* it is to begin at a beacon's start */
    struct checkpoint from;  /* where it began */
    struct checkpoint start; /* of the last beacon */
    bool woken;
};

/* Of the one wait that there is at a time. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void on_record(void *context, const struct record *record)
{
    struct heard *heard = context;
    assert_true(heard->barriers > 0); /* nothing of an epoch comes before its barrier */
    assert_int_equal(record->text.data[record->text.size], 0);
    heard->records++;
    if (journal_append(heard->journal, record) == JOURNAL_ACCEPTED)
        heard->next = record->seq + 1;
}

static void on_barrier(void *context, const struct barrier *barrier)
{
    struct heard *heard = context;
    heard->barriers++;
    heard->last_barrier = barrier->epoch;
    journal_barrier(heard->journal, barrier->stream, barrier->epoch);
}

static void check_body(void *context, const struct record *record)
{
    (void)context;
    char expected[128];
    if (slice_is(record->type, "epoch"))
        return;
    int size = snprintf(expected, sizeof expected,
                        "{\"type\":\"trade\",\"seq\":%lld,\"exchange\":\"binance\","
                        "\"symbol\":\"BTC-USDT\",\"body\":%lld}",
                        (long long)record->seq, (long long)record->seq * 7);
    assert_int_equal(record->text.size, size);
    assert_memory_equal(record->text.data, expected, (size_t)size);
    assert_true(slice_is(record->key, "binance:BTC-USDT"));
}

static void on_began(void *context, const struct checkpoint *from)
{
    struct heard *heard = context;
    assert_int_equal(from->stream[0] != '\0', heard->from_start);
    heard->from = *from;
    heard->began++;
    heard->next = heard->from_start ? 44 : 43;
}

static void on_beacon(void *context, const struct beacon *beacon)
{
    struct heard *heard = context;
    heard->beacons++;
    heard->start = beacon->start;
    assert_string_equal(beacon->node, NODE);
}

static void on_state(void *context, const struct state_note *state)
{
    struct heard *heard = context;
    heard->states++;
    assert_int_equal(state->seq, 43);
    assert_true(slice_equal(state->text, SLICE(STATE)));
    assert_int_equal(state->text.data[state->text.size], 0);
}

static void on_caught_up(void *context)
{
    struct heard *heard = context;
    heard->caught_up++;
}

static void on_wake(void *context)
{
    struct heard *heard = context;
    pthread_mutex_lock(&lock);
    heard->woken = true;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

/* Waits until the carrier says that there is something for poll. */
static void wait_for_wake(struct heard *heard)
{
    int64_t until_us = clock_wall_us() + WAIT_SECONDS * INT64_C(1000000);
    struct timespec until = {.tv_sec = until_us / 1000000};
    pthread_mutex_lock(&lock);
    while (!heard->woken)
        assert_int_equal(pthread_cond_timedwait(&changed, &lock, &until), 0);
    heard->woken = false;
    pthread_mutex_unlock(&lock);
}

/* Until `count` of what is counted there has come. */
static void await(struct heard *heard, struct carrier *carrier, const int64_t *counted,
                  int64_t count)
{
    int64_t until_ns = clock_monotonic_ns() + WAIT_SECONDS * INT64_C(1000000000);
    while (*counted < count) {
        assert_true(clock_monotonic_ns() < until_ns);
        if (carrier->kind->poll(carrier))
            continue;
        if (*counted < count)
            wait_for_wake(heard);
    }
}

static bool is_up(const struct carrier *carrier)
{
    struct carrier_info info;
    carrier->kind->describe(carrier, &info);
    return info.state == CARRIER_UP;
}

static struct carrier_reader reader_of(struct heard *heard)
{
    return (struct carrier_reader){.began = on_began,
                                   .record = on_record,
                                   .barrier = on_barrier,
                                   .beacon = on_beacon,
                                   .state = on_state,
                                   .caught_up = on_caught_up,
                                   .context = heard,
                                   .wake = on_wake,
                                   .wake_context = heard};
}

/* A topic of its own for each run; NULL: this kind can't be tried here. */
static const void *details_of(const struct carrier_kind *kind)
{
    static char topic[64];
    static struct kafka_details details = {.topic = topic, .password = ""};
    static const char nothing[] = "";
    if (strcmp(kind->name, "kafka") != 0)
        return nothing;
    details.brokers = getenv("TEST_KAFKA");
    if (details.brokers == NULL) {
        print_message("SKIPPED: kafka: TEST_KAFKA names no brokers (host:port)\n");
        return NULL;
    }
    stream_id_make(topic);
    return &details;
}

static struct carrier *open_carrier(const struct carrier_kind *kind, struct heard *heard,
                                    const void *details)
{
    struct err err = {0};
    struct carrier *carrier = kind->open(
        &(struct carrier_options){.reader = reader_of(heard), .node = NODE, .details = details},
        &err);
    assert_non_null(carrier);
    assert_ptr_equal(carrier->kind, kind);
    await(heard, carrier, &heard->caught_up, 1);
    assert_true(is_up(carrier));
    assert_int_equal(heard->began, 1);
    assert_int_equal(heard->caught_up, 1);
    return carrier;
}

static void write_records(struct heard *heard, struct carrier *carrier, struct sequencer *sequencer)
{
    for (int64_t i = 0; i < RECORDS; i++) {
        char *body = sequencer_reserve(sequencer, "trade", 128);
        assert_non_null(body);
        int size =
            snprintf(body, 128, "\"exchange\":\"binance\",\"symbol\":\"BTC-USDT\",\"body\":%lld}",
                     (long long)sequencer_next(sequencer) * 7);
        assert_int_equal(sequencer_commit(sequencer, SLICE("binance:BTC-USDT"), (size_t)size),
                         CARRIER_TAKEN);
        if (i % 1000 == 0)
            await(heard, carrier, &heard->records, i);
    }
}

static void gives_back_what_was_written(const struct carrier_kind *kind, const void *details)
{
    struct heard heard = {.journal = journal_create(STREAM, 43, 64 * MEBIBYTE), .next = 43};
    journal_listen(heard.journal, check_body, NULL);
    struct carrier *carrier = open_carrier(kind, &heard, details);
    struct sequencer *sequencer = sequencer_create(STREAM, 7, 6, 42, carrier);
    assert_int_equal(sequencer_open_epoch(sequencer, NODE, 1790133513739000), CARRIER_TAKEN);
    write_records(&heard, carrier, sequencer);
    await(&heard, carrier, &heard.records, RECORDS + 1);
    assert_int_equal(heard.records, RECORDS + 1);
    assert_int_equal(heard.barriers, 1);
    assert_int_equal(heard.last_barrier, 7);
    assert_int_equal(heard.next, 43 + RECORDS + 1);
    assert_int_equal(journal_epoch_at(heard.journal, 43), 7);
    sequencer_destroy(sequencer);
    kind->close(carrier);
    journal_destroy(heard.journal);
}

static void every_kind_gives_back_what_was_written(void **state)
{
    (void)state;
    assert_true(carrier_kind_count() > 0);
    for (size_t i = 0; i < carrier_kind_count(); i++) {
        const struct carrier_kind *kind = carrier_kind_at(i);
        assert_ptr_equal(carrier_kind_find(kind->name), kind);
        const void *details = details_of(kind);
        if (details != NULL)
            gives_back_what_was_written(kind, details);
    }
    assert_null(carrier_kind_find("pigeon"));
    assert_null(carrier_kind_at(carrier_kind_count()));
}

/* Of those that keep what they are given: another node that comes later begins at a beacon's start,
 * and is given everything from there on, in the same order. */
static void gives_another_what_it_keeps(const struct carrier_kind *kind, const void *details)
{
    struct heard writer = {.journal = journal_create(STREAM, 43, MEBIBYTE), .next = 43};
    struct carrier *carrier = open_carrier(kind, &writer, details);
    struct sequencer *sequencer = sequencer_create(STREAM, 7, 6, 42, carrier);
    assert_int_equal(sequencer_open_epoch(sequencer, NODE, 1790133513739000), CARRIER_TAKEN);
    await(&writer, carrier, &writer.records, 1);
    struct beacon beacon = {.node = NODE, .barrier = 0};
    beacon.now = (struct checkpoint){
        .stream = STREAM, .epoch = 7, .seq = 43, .position = kind->position(carrier)};
    beacon.start = beacon.now;
    struct state_note note = {STREAM, 7, 43, SLICE(STATE)};
    assert_int_equal(kind->write_state(carrier, &note), CARRIER_TAKEN);
    assert_int_equal(kind->write_beacon(carrier, &beacon), CARRIER_TAKEN);
    await(&writer, carrier, &writer.beacons, 1);
    assert_int_equal(writer.states, 1);
    assert_int_equal(writer.start.position, beacon.start.position);

    struct heard other = {.journal = journal_create(STREAM, 44, MEBIBYTE), .from_start = true};
    journal_barrier(other.journal, STREAM, 7);
    other.barriers = 1; /* it was before the start */
    struct carrier *second = open_carrier(kind, &other, details);
    assert_int_equal(other.from.position, beacon.start.position);
    assert_int_equal(other.from.seq, 43);
    assert_int_equal(other.from.epoch, 7);
    assert_string_equal(other.from.stream, STREAM);
    assert_int_equal(other.states, 1);
    assert_int_equal(other.beacons, 1);
    assert_int_equal(other.records, 0);
    assert_int_equal(kind->position(second), kind->position(carrier));
    write_records(&writer, carrier, sequencer);
    await(&other, second, &other.records, RECORDS);
    assert_int_equal(other.next, 44 + RECORDS);
    kind->restart(second);
    await(&other, second, &other.caught_up, 2);
    assert_int_equal(other.began, 2);
    assert_int_equal(other.records, 2 * RECORDS);
    sequencer_destroy(sequencer);
    kind->close(carrier);
    kind->close(second);
    journal_destroy(writer.journal);
    journal_destroy(other.journal);
}

/* What is forgotten is written again by who asked for it, and nothing is missing. */
static void forgets_and_goes_on(const struct carrier_kind *kind, const void *details)
{
    struct heard heard = {.journal = journal_create(STREAM, 43, MEBIBYTE), .next = 43};
    struct carrier *carrier = open_carrier(kind, &heard, details);
    struct sequencer *sequencer = sequencer_create(STREAM, 7, 6, 42, carrier);
    assert_int_equal(sequencer_open_epoch(sequencer, NODE, 1790133513739000), CARRIER_TAKEN);
    for (int i = 0; i < 10; i++) {
        for (int64_t seq = heard.next < 44 ? 44 : heard.next; seq < 44 + 500; seq++) {
            char text[256] = {0};
            int size = snprintf(text, sizeof text,
                                "{\"type\":\"trade\",\"seq\":%lld,\"exchange\":\"binance\"}",
                                (long long)seq);
            struct record record = {
                STREAM, 7, seq, SLICE("trade"), SLICE("binance"), {text, (size_t)size}};
            assert_int_equal(kind->write(carrier, &record), CARRIER_TAKEN);
        }
        if (i < 9)
            kind->forget(carrier);
        kind->poll(carrier);
    }
    await(&heard, carrier, &heard.next, 44 + 500);
    struct carrier_info info;
    kind->describe(carrier, &info);
    assert_int_equal(info.state, CARRIER_UP);
    assert_int_equal(info.breaks, 0);
    sequencer_destroy(sequencer);
    kind->close(carrier);
    journal_destroy(heard.journal);
}

static void kinds_that_keep_give_it_to_others(void **state)
{
    (void)state;
    for (size_t i = 0; i < carrier_kind_count(); i++) {
        const struct carrier_kind *kind = carrier_kind_at(i);
        const void *details = strcmp(kind->name, "memory") == 0 ? NULL : details_of(kind);
        if (details == NULL)
            continue;
        gives_another_what_it_keeps(kind, details);
        forgets_and_goes_on(kind, details_of(kind));
    }
}

static void a_body_that_could_be_too_large_is_refused(void **state)
{
    (void)state;
    struct err err = {0};
    struct heard heard = {.journal = journal_create(STREAM, 1, 0)};
    struct carrier_reader reader = {.record = on_record, .barrier = on_barrier, .context = &heard};
    struct carrier *carrier =
        carrier_kind_at(0)->open(&(struct carrier_options){.reader = reader}, &err);
    struct sequencer *sequencer = sequencer_create(STREAM, 1, 0, 0, carrier);
    assert_null(sequencer_reserve(sequencer, "trade", LIMIT_RECORD));
    assert_null(sequencer_reserve(sequencer, "trade", SIZE_MAX));
    assert_int_equal(sequencer_next(sequencer), 1);
    assert_int_equal(sequencer_open_epoch(sequencer, "n", 1), CARRIER_TAKEN);
    assert_int_equal(journal_next(heard.journal), 2);
    sequencer_destroy(sequencer);
    carrier->kind->close(carrier);
    journal_destroy(heard.journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_gives_back_what_was_written),
        cmocka_unit_test(kinds_that_keep_give_it_to_others),
        cmocka_unit_test(a_body_that_could_be_too_large_is_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (!kafka_carriers_settle(10000))
        failed++;
    return failed;
}
