/* SPDX-License-Identifier: Apache-2.0 */
/* A list of items, and its ends at each node. */
#include "cluster/fake_topic.h"

#include <assert.h>
#include <stdio.h>

struct fake_topic fake_topic;

enum carrier_result fake_put(const struct fake_item *item)
{
    if (!fake_topic.losing) {
        assert(fake_topic.count < FAKE_ITEMS);
        fake_topic.items[fake_topic.count++] = *item;
    }
    return CARRIER_TAKEN;
}

static enum carrier_result fake_write(struct carrier *carrier, const struct record *record)
{
    (void)carrier;
    struct fake_item item = {.kind = ITEM_RECORD, .epoch = record->epoch, .seq = record->seq};
    snprintf(item.stream, sizeof item.stream, "%s", record->stream);
    snprintf(item.text, sizeof item.text, "%.*s", (int)record->text.size, record->text.data);
    return fake_put(&item);
}

static enum carrier_result fake_write_barrier(struct carrier *carrier,
                                              const struct barrier *barrier)
{
    (void)carrier;
    struct fake_item item = {
        .kind = ITEM_BARRIER, .epoch = barrier->epoch, .start = barrier->start};
    snprintf(item.stream, sizeof item.stream, "%s", barrier->stream);
    snprintf(item.writer, sizeof item.writer, "%s", barrier->writer);
    return fake_put(&item);
}

static enum carrier_result fake_write_beacon(struct carrier *carrier, const struct beacon *beacon)
{
    (void)carrier;
    return fake_put(
        &(struct fake_item){.kind = ITEM_BEACON, .now = beacon->now, .begin = beacon->start});
}

static enum carrier_result fake_write_state(struct carrier *carrier, const struct state_note *state)
{
    (void)carrier;
    (void)state;
    return CARRIER_TAKEN;
}

static void fake_forget(struct carrier *carrier)
{
    (void)carrier;
}

static void give(struct fake_carrier *fake, const struct fake_item *item)
{
    const struct carrier_reader *reader = &fake->reader;
    if (item->kind == ITEM_RECORD) {
        char text[sizeof item->text + LIMIT_PADDING + 1] = {0}, key[LIMIT_KEY];
        memcpy(text, item->text, sizeof item->text);
        struct record record = {
            .stream = item->stream, .epoch = item->epoch, .text = slice_of(text)};
        bool ours = record_read_head(record.text, key, &record);
        assert(ours);
        (void)ours;
        reader->record(reader->context, &record);
    } else if (item->kind == ITEM_BARRIER) {
        reader->barrier(reader->context, &(struct barrier){.stream = item->stream,
                                                           .epoch = item->epoch,
                                                           .start = item->start,
                                                           .writer = item->writer,
                                                           .node = "leader",
                                                           .position = (int64_t)fake->at - 1});
    } else {
        reader->beacon(reader->context, &(struct beacon){.node = "leader",
                                                         .now = item->now,
                                                         .start = item->begin,
                                                         .barrier = -1});
    }
}

/* Always from its very beginning. */
static bool fake_poll(struct carrier *carrier)
{
    struct fake_carrier *fake = (struct fake_carrier *)carrier;
    const struct carrier_reader *reader = &fake->reader;
    if (fake_topic.silent)
        return false;
    if (!fake->begun || fake->at > fake_topic.count) {
        fake->begun = true;
        fake->at = 0;
        fake->end = fake_topic.count;
        fake->caught_up = false;
        reader->began(reader->context, &(struct checkpoint){.position = 0});
    }
    size_t until = fake_topic.count > fake->late ? fake_topic.count - fake->late : 0;
    if (fake_topic.most > 0 && until > fake->at + fake_topic.most)
        until = fake->at + fake_topic.most;
    while (fake->begun && fake->at < until) {
        size_t at = fake->at++;
        give(fake, &fake_topic.items[at]);
    }
    if (fake->begun && !fake->caught_up && fake->at >= fake->end) {
        fake->caught_up = true;
        reader->caught_up(reader->context);
    }
    return false;
}

static void fake_restart(struct carrier *carrier)
{
    struct fake_carrier *fake = (struct fake_carrier *)carrier;
    fake->begun = false;
    fake->restarts++;
}

static int64_t fake_position(const struct carrier *carrier)
{
    return (int64_t)((const struct fake_carrier *)carrier)->at;
}

static void fake_describe(const struct carrier *carrier, struct carrier_info *ret_info)
{
    (void)carrier;
    *ret_info = (struct carrier_info){
        .state = fake_topic.failed ? CARRIER_FAILED : CARRIER_UP, .error = "", .rtt_us = -1};
}

const struct carrier_kind fake_carrier_kind = {
    .name = "kafka",
    .write = fake_write,
    .write_barrier = fake_write_barrier,
    .write_beacon = fake_write_beacon,
    .write_state = fake_write_state,
    .forget = fake_forget,
    .poll = fake_poll,
    .restart = fake_restart,
    .position = fake_position,
    .describe = fake_describe,
};
