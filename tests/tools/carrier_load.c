/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A leader in small over the carrier `kafka`: writes numbered records of 250 bytes at a rate, takes
 * them back by the reading rule, writes again from what was not read back when the carrier comes up
 * or nothing comes back for a second, and says what it sees, one JSON object a line on stdout:
 *
 *     carrier_load BROKERS TOPIC RATE SECONDS [NAME=VALUE ...]
 *
 * It makes records for at least SECONDS, and until its stdin ends (at most MOST_SECONDS), since
 * nobody knows how long a broker takes to come back; then it waits until all were read back. A line
 * on its stdin: it is to read again from a place where one can begin; or, when it is a number, to
 * do nothing for so many milliseconds, and say {"woken":1} when it is woken meanwhile.
 * {"at_ms":..,"state":"connecting|up|failed","error":".."} at each change,
 * {"at_ms":..,"began":POSITION,"stream":".."}, {"at_ms":..,"caught_up":POSITION}, when the first
 * record was accepted {"at_ms":..,"first":1}, for one in 100 that was {"at_ms":..,"seq":N,
 * "position":POSITION}, and at the end
 * {"accepted":..,"repeated":..,...,"p50_us":..,"p99_us":..}: from write to read-back, of records
 * that were written once. The exit status is 1 when anything written was not accepted.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "stream/kafka/kafka_carrier.h"
#include "stream/stream.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define WINDOW 4096 /* records written and not read back */
#define RECORD 250
#define TOLD_EVERY 100 /* records */
#define MOST_SECONDS 240
#define PATIENCE_SECONDS 60 /* for what was written last */

struct load {
    struct carrier *carrier;
    struct reading reading;
    int64_t epoch; /* newer than that of anybody who wrote there before */
    char stream[LIMIT_STREAM_ID];
    int64_t started_ns;
    int64_t made;    /* seq of the newest record that there is to be written */
    int64_t written; /* seq up to which the carrier was given them since it came up */
    int64_t accepted_ns;
    int64_t most;        /* records */
    int64_t *written_ns; /* owned; by seq; negative: written again */
    int32_t *latencies;  /* owned; microseconds */
    size_t latency_count;
    int64_t verdicts[READING_FOREIGN + 1];
    int64_t rewrites, full, down;
    bool opened; /* the barrier was written since the carrier was up */
    bool ended;  /* stdin */
    enum carrier_state state;
    char error[240];
    int wake;
};

static int64_t at_ms(const struct load *load)
{
    return (clock_monotonic_ns() - load->started_ns) / 1000000;
}

static void on_began(void *context, const struct checkpoint *from)
{
    struct load *load = context;
    printf("{\"at_ms\":%lld,\"began\":%lld,\"stream\":\"%s\"}\n", (long long)at_ms(load),
           (long long)from->position, from->stream);
}

static void on_caught_up(void *context)
{
    struct load *load = context;
    printf("{\"at_ms\":%lld,\"caught_up\":%lld}\n", (long long)at_ms(load),
           (long long)load->carrier->kind->position(load->carrier));
}

static void on_record(void *context, const struct record *record)
{
    struct load *load = context;
    int64_t now_ns = clock_monotonic_ns();
    enum reading_verdict verdict =
        reading_record(&load->reading, record->stream, record->epoch, record->seq);
    load->verdicts[verdict]++;
    if (verdict != READING_ACCEPTED)
        return;
    load->accepted_ns = now_ns;
    if (record->seq == 1)
        printf("{\"at_ms\":%lld,\"first\":1}\n", (long long)at_ms(load));
    if (record->seq % TOLD_EVERY == 0)
        printf("{\"at_ms\":%lld,\"seq\":%lld,\"position\":%lld}\n", (long long)at_ms(load),
               (long long)record->seq, (long long)load->carrier->kind->position(load->carrier));
    if (record->seq > load->most / 4 && record->seq <= load->most &&
        load->written_ns[record->seq] > 0)
        load->latencies[load->latency_count++] =
            (int32_t)((now_ns - load->written_ns[record->seq]) / 1000);
}

static void on_barrier(void *context, const struct barrier *barrier)
{
    struct load *load = context;
    reading_barrier(&load->reading, barrier);
}

static void on_wake(void *context)
{
    struct load *load = context;
    uint64_t one = 1;
    if (write(load->wake, &one, sizeof one) < 0)
        return; /* it is full of wakes already */
}

static enum carrier_result write_record(struct load *load, int64_t seq)
{
    char text[RECORD + LIMIT_PADDING + 1] = {0};
    int size = snprintf(text, sizeof text,
                        "{\"type\":\"trade\",\"seq\":%lld,\"exchange\":\"binance\","
                        "\"symbol\":\"BTC-USDT\",\"pad\":\"%0150d\"}",
                        (long long)seq, 0);
    struct record record = {.stream = load->stream,
                            .epoch = load->epoch,
                            .seq = seq,
                            .type = SLICE("trade"),
                            .key = SLICE("binance:BTC-USDT"),
                            .text = {.data = text, .size = (size_t)size}};
    enum carrier_result result = load->carrier->kind->write(load->carrier, &record);
    if (result != CARRIER_TAKEN)
        return result;
    load->written_ns[seq] = load->written_ns[seq] == 0 ? clock_monotonic_ns() : -1;
    return result;
}

static void write_what_is_due(struct load *load)
{
    struct barrier barrier = {.stream = load->stream,
                              .epoch = load->epoch,
                              .start = 0,
                              .writer = "load",
                              .node = "load",
                              .position = -1};
    if (load->state != CARRIER_UP)
        return;
    if (!load->opened) {
        load->opened = load->carrier->kind->write_barrier(load->carrier, &barrier) == CARRIER_TAKEN;
        load->written = load->reading.seq;
        load->accepted_ns = clock_monotonic_ns();
    }
    bool stuck = load->written > load->reading.seq &&
                 clock_monotonic_ns() - load->accepted_ns > INT64_C(1000000000);
    if (stuck) {
        load->carrier->kind->forget(load->carrier);
        load->written = load->reading.seq;
        load->accepted_ns = clock_monotonic_ns();
        load->rewrites++;
    }
    while (load->written < load->made && load->written - load->reading.seq < WINDOW) {
        enum carrier_result result = write_record(load, load->written + 1);
        load->full += result == CARRIER_FULL;
        load->down += result == CARRIER_DOWN;
        if (result != CARRIER_TAKEN)
            return;
        load->written++;
    }
}

static void watch_state(struct load *load)
{
    static const char *const names[] = {"connecting", "up", "failed"};
    struct carrier_info info;
    load->carrier->kind->describe(load->carrier, &info);
    if (info.state == load->state && strcmp(info.error, load->error) == 0)
        return;
    if (info.state == CARRIER_UP)
        load->opened = false;
    load->state = info.state;
    snprintf(load->error, sizeof load->error, "%s", info.error);
    printf("{\"at_ms\":%lld,\"state\":\"%s\",\"breaks\":%llu,\"error\":\"%s\"}\n",
           (long long)at_ms(load), names[info.state], (unsigned long long)info.breaks, info.error);
}

static int by_size(const void *left, const void *right)
{
    int32_t a, b;
    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    return (a > b) - (a < b);
}

static int32_t percentile(const struct load *load, size_t thousandths)
{
    return load->latency_count == 0
               ? -1
               : load->latencies[(load->latency_count - 1) * thousandths / 1000];
}

static void summarize(struct load *load)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    if (load->latency_count > 0)
        qsort(load->latencies, load->latency_count, sizeof *load->latencies, by_size);
    printf("{\"made\":%lld,\"accepted\":%lld,\"repeated\":%lld,\"early\":%lld,\"fenced\":%lld,"
           "\"rewrites\":%lld,\"full\":%lld,\"down\":%lld,\"measured\":%zu,\"p50_us\":%d,"
           "\"p99_us\":%d,\"p999_us\":%d,\"resident_kib\":%ld}\n",
           (long long)load->made, (long long)load->reading.seq,
           (long long)load->verdicts[READING_REPEATED], (long long)load->verdicts[READING_EARLY],
           (long long)load->verdicts[READING_FENCED], (long long)load->rewrites,
           (long long)load->full, (long long)load->down, load->latency_count, percentile(load, 500),
           percentile(load, 990), percentile(load, 999), usage.ru_maxrss);
}

static struct carrier *open_carrier(struct load *load, int count, char **arguments)
{
    static struct kafka_property properties[LIMIT_KAFKA_PROPERTIES];
    struct kafka_details details = {
        .brokers = arguments[1], .topic = arguments[2], .properties = properties, .password = ""};
    struct err err;
    for (int i = 5; i < count && i - 5 < LIMIT_KAFKA_PROPERTIES; i++) {
        char *equals = strchr(arguments[i], '=');
        assert(equals != NULL);
        *equals = '\0';
        properties[details.property_count++] =
            (struct kafka_property){.name = arguments[i], .value = equals + 1};
    }
    struct carrier_options options = {.node = "load", .details = &details};
    options.reader = (struct carrier_reader){.began = on_began,
                                             .record = on_record,
                                             .barrier = on_barrier,
                                             .caught_up = on_caught_up,
                                             .context = load,
                                             .wake = on_wake,
                                             .wake_context = load};
    struct carrier *carrier = kafka_carrier_kind.open(&options, &err);
    if (carrier == NULL)
        fprintf(stderr, "carrier_load: %s\n", err.text);
    return carrier;
}

static void stand_still(struct load *load, int64_t ms)
{
    struct pollfd waiting = {.fd = load->wake, .events = POLLIN};
    int64_t end_ms = at_ms(load) + ms, left_ms = ms;
    while (left_ms > 0) {
        uint64_t wakes;
        if (poll(&waiting, 1, (int)left_ms) > 0 && read(load->wake, &wakes, sizeof wakes) > 0)
            printf("{\"at_ms\":%lld,\"woken\":1}\n", (long long)at_ms(load));
        left_ms = end_ms - at_ms(load);
    }
}

static void take_orders(struct load *load)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char line[64] = "";
    if (load->ended || poll(&input, 1, 0) == 0)
        return;
    ssize_t size = read(STDIN_FILENO, line, sizeof line - 1);
    if (size <= 0)
        load->ended = true;
    else if (line[0] >= '0' && line[0] <= '9')
        stand_still(load, strtoll(line, NULL, 10));
    else
        load->carrier->kind->restart(load->carrier);
}

/* Whether no more is to be made. */
static bool told_to_end(struct load *load, int64_t now_ns, int64_t seconds)
{
    int64_t age = (now_ns - load->started_ns) / 1000000000;
    take_orders(load);
    return age >= seconds && (age >= MOST_SECONDS || load->ended);
}

static void run(struct load *load, int64_t rate, int64_t seconds)
{
    struct pollfd waiting = {.fd = load->wake, .events = POLLIN};
    int64_t over_ns = 0;
    while (over_ns == 0 || load->reading.seq < load->made) {
        int64_t now_ns = clock_monotonic_ns();
        if (over_ns == 0)
            load->made = (now_ns - load->started_ns) / 1000 * rate / 1000000;
        if (load->made > load->most)
            load->made = load->most;
        if (over_ns == 0 && told_to_end(load, now_ns, seconds))
            over_ns = now_ns;
        if (over_ns != 0 && now_ns - over_ns > PATIENCE_SECONDS * INT64_C(1000000000))
            return;
        bool more = load->carrier->kind->poll(load->carrier);
        watch_state(load);
        write_what_is_due(load);
        uint64_t wakes;
        if (poll(&waiting, 1, more ? 0 : 1) > 0 && read(load->wake, &wakes, sizeof wakes) < 0)
            return;
    }
}

int main(int count, char **arguments)
{
    static struct load load = {.state = CARRIER_CONNECTING};
    if (count < 5) {
        fprintf(stderr, "usage: carrier_load BROKERS TOPIC RATE SECONDS [NAME=VALUE ...]\n");
        return 2;
    }
    int64_t rate = strtoll(arguments[3], NULL, 10), seconds = strtoll(arguments[4], NULL, 10);
    setvbuf(stdout, NULL, _IOLBF, 0);
    stream_id_make(load.stream);
    load.most = rate * (MOST_SECONDS + 1);
    load.written_ns = memory_array((size_t)load.most + 1, sizeof *load.written_ns);
    load.latencies = memory_array((size_t)load.most + 1, sizeof *load.latencies);
    load.wake = eventfd(0, EFD_NONBLOCK);
    load.started_ns = clock_monotonic_ns();
    load.epoch = clock_wall_us();
    load.carrier = open_carrier(&load, count, arguments);
    if (load.carrier == NULL)
        return 1;
    run(&load, rate, seconds);
    load.carrier->kind->close(load.carrier);
    summarize(&load);
    bool settled = kafka_carriers_settle(10000);
    close(load.wake);
    memory_free(load.written_ns);
    memory_free(load.latencies);
    return settled && load.reading.seq == load.made ? 0 : 1;
}
