/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One node's carrier on the modelled Kafka: a producer whose writes land after a while, in order in
 * one session, and a reader. When the connection breaks, what was in hand lands later, or in part,
 * or never; before the carrier is up again it has looked whether what it read last is still there.
 */
#include "tests/simulation/broker.h"
#include "tests/simulation/monitor.h"
#include "tests/simulation/plant.h"

#include "base/memory.h"

#include <assert.h>

#define QUEUE 1024
#define POLL_MOST 256
#define ALL (1 << 20)
#define POSITION_NONE (-1)

struct flight {
    const struct item *item;
    int64_t land_ms;
};

struct kafka {
    struct carrier carrier;
    struct carrier_reader reader;
    struct node *node;
    struct broker *broker;
    enum carrier_state state;
    int64_t since_ms, due_ms; /* of the state; when the next one is looked for */
    int64_t cut_ms;           /* since when nothing answers; 0: it does */
    uint64_t breaks;
    uint32_t restarts;              /* of the broker, as last seen */
    bool begin;                     /* to begin anew */
    bool asked;                     /* the replica wants so: what it was given is no good */
    int64_t position, caught_up_at; /* -1: it was told */
    uint64_t last_id;               /* of the entry before position; 0: none was read */
    int64_t window;                 /* entries at the end in which a start is looked for */
    int64_t delay_ms, read_delay_ms;
    struct flight queue[QUEUE];
    uint32_t head, count, queue_max;
    bool forgot;                   /* for a planted bug: the next record is left out */
    const struct barrier *pretend; /* for another: told to its writer, and never written */
};

static struct dice *dice_of(const struct kafka *kafka)
{
    return &kafka->node->world->dice;
}

static int64_t now_of(const struct kafka *kafka)
{
    return kafka->node->world->now_ms;
}

/* ---- the producer ---- */

/* The session is over: a part of what is in hand, from its beginning, is under way all the same. */
static void session_end(struct kafka *kafka, bool all_lost)
{
    struct dice *dice = dice_of(kafka);
    struct counts *counts = kafka->node->world->counts;
    uint32_t sent = all_lost || kafka->count == 0 ? 0 : dice_below(dice, kafka->count + 1);
    int64_t most_ms = dice_chance(dice, 25) ? 12000 : dice_chance(dice, 50) ? 2000 : 100;
    int64_t due_ms = now_of(kafka) + dice_between(dice, 0, most_ms);
    bool twice = dice_chance(dice, 20);
    for (uint32_t i = 0; i < sent; i++)
        broker_ghost(kafka->broker, kafka->queue[kafka->head + i].item, due_ms);
    for (uint32_t i = 0; twice && i < sent; i++)
        broker_ghost(kafka->broker, kafka->queue[kafka->head + i].item, due_ms + 200);
    counts->double_writes += twice ? sent : 0;
    counts->lost_writes += kafka->count - sent;
    kafka->head = kafka->count = 0;
}

static enum carrier_result produce(struct carrier *carrier, struct item **ret_item)
{
    struct kafka *kafka = (struct kafka *)carrier;
    if (kafka->state != CARRIER_UP)
        return CARRIER_DOWN;
    if (kafka->count >= kafka->queue_max) {
        kafka->node->world->counts->full++;
        return CARRIER_FULL;
    }
    if (kafka->head + kafka->count == QUEUE) {
        memmove(kafka->queue, kafka->queue + kafka->head, kafka->count * sizeof kafka->queue[0]);
        kafka->head = 0;
    }
    int64_t land_ms = now_of(kafka) + kafka->delay_ms;
    if (kafka->count > 0 && kafka->queue[kafka->head + kafka->count - 1].land_ms > land_ms)
        land_ms = kafka->queue[kafka->head + kafka->count - 1].land_ms;
    *ret_item = broker_room(kafka->broker, sizeof **ret_item);
    kafka->queue[kafka->head + kafka->count++] =
        (struct flight){.item = *ret_item, .land_ms = land_ms};
    return CARRIER_TAKEN;
}

static const char *stream_copy(struct kafka *kafka, const char *stream)
{
    return monitor_stream_name(kafka->node->world, monitor_stream(kafka->node->world, stream));
}

static enum carrier_result kafka_write(struct carrier *carrier, const struct record *record)
{
    struct kafka *kafka = (struct kafka *)carrier;
    struct item *item;
    if (planted_wrong_resend && kafka->forgot) {
        kafka->forgot = false;
        return CARRIER_TAKEN;
    }
    enum carrier_result result = produce(carrier, &item);
    if (result != CARRIER_TAKEN)
        return result;
    item->kind = ITEM_RECORD;
    item->record = *record;
    item->record.stream = stream_copy(kafka, record->stream);
    item->record.text = broker_copy(kafka->broker, record->text);
    item->record.type.data = item->record.text.data + (sizeof "{\"type\":\"" - 1);
    item->record.key = broker_copy(kafka->broker, record->key);
    return result;
}

/* ZooKeeper's transaction, which comes before a barrier: an epoch is given once, and to nobody
 * whose election is over. Without it a broker that loses a barrier lets two nodes open one epoch.
 */
static bool is_granted(struct kafka *kafka, const struct barrier *barrier)
{
    struct node *node = kafka->node;
    struct world *world = node->world;
    if (!world->election || barrier->start >= 0 || node_leads(node))
        return true;
    if (!node->leads) {
        node->follow_ms = world->now_ms;
        return false;
    }
    if (barrier->epoch > world->zk_epoch)
        world->zk_epoch = barrier->epoch;
    return true;
}

static enum carrier_result kafka_write_barrier(struct carrier *carrier,
                                               const struct barrier *barrier)
{
    struct kafka *kafka = (struct kafka *)carrier;
    struct item *item;
    if (!is_granted(kafka, barrier))
        return CARRIER_DOWN;
    enum carrier_result result = produce(carrier, &item);
    if (result != CARRIER_TAKEN)
        return result;
    item->kind = ITEM_BARRIER;
    item->barrier = *barrier;
    item->barrier.stream = stream_copy(kafka, barrier->stream);
    item->barrier.writer = broker_copy_text(kafka->broker, barrier->writer);
    item->barrier.node = broker_copy_text(kafka->broker, barrier->node);
    if (planted_no_barrier && barrier->start < 0) {
        kafka->count--;
        kafka->pretend = &item->barrier;
    }
    return result;
}

static enum carrier_result kafka_write_beacon(struct carrier *carrier, const struct beacon *beacon)
{
    struct kafka *kafka = (struct kafka *)carrier;
    struct item *item;
    enum carrier_result result = produce(carrier, &item);
    if (result != CARRIER_TAKEN)
        return result;
    item->kind = ITEM_BEACON;
    item->beacon = *beacon;
    item->beacon.node = broker_copy_text(kafka->broker, beacon->node);
    return result;
}

static enum carrier_result kafka_write_state(struct carrier *carrier,
                                             const struct state_note *state)
{
    struct kafka *kafka = (struct kafka *)carrier;
    struct item *item;
    enum carrier_result result = produce(carrier, &item);
    if (result != CARRIER_TAKEN)
        return result;
    item->kind = ITEM_STATE;
    item->state = *state;
    item->state.stream = stream_copy(kafka, state->stream);
    item->state.text = broker_copy(kafka->broker, state->text);
    return result;
}

/* What has gone to the socket can't be forgotten any more. */
static void kafka_forget(struct carrier *carrier)
{
    struct kafka *kafka = (struct kafka *)carrier;
    uint32_t sent = kafka->count == 0 ? 0 : dice_below(dice_of(kafka), kafka->count + 1);
    kafka->node->world->counts->lost_writes += kafka->count - sent;
    kafka->count = sent;
    kafka->forgot = true;
}

static void producer_step(struct kafka *kafka)
{
    while (kafka->count > 0 && kafka->queue[kafka->head].land_ms <= now_of(kafka)) {
        broker_append(kafka->broker, kafka->queue[kafka->head].item);
        kafka->head++;
        kafka->count--;
    }
    if (kafka->count == 0)
        kafka->head = 0;
}

/* ---- the connection ---- */

static bool answers(const struct kafka *kafka)
{
    const struct node *node = kafka->node;
    return broker_answers(kafka->broker) && !(node->cut_read && node->cut_write);
}

static void set_state(struct kafka *kafka, enum carrier_state state)
{
    kafka->state = state;
    kafka->since_ms = now_of(kafka);
    world_trace(kafka->node->world, "%s: kafka %s", kafka->node->name,
                state == CARRIER_UP ? "up" : "failed");
}

static void fail(struct kafka *kafka)
{
    struct dice *dice = dice_of(kafka);
    kafka->breaks++;
    kafka->due_ms = now_of(kafka) + dice_between(dice, 50, 1500);
    set_state(kafka, CARRIER_FAILED);
    if (dice_chance(dice, 60))
        session_end(kafka, dice_chance(dice, 30));
}

static void connect_again(struct kafka *kafka)
{
    const struct broker *broker = kafka->broker;
    int64_t last = kafka->position - 1;
    if (!answers(kafka) || kafka->node->cut_read || now_of(kafka) < kafka->due_ms)
        return;
    bool there = kafka->last_id == 0 ? kafka->position >= broker->low && kafka->position == 0
                                     : last >= broker->low && last < broker->count &&
                                           broker->entries[last].id == kafka->last_id;
    if (!there)
        kafka->begin = true;
    if (kafka->caught_up_at > broker->count)
        kafka->caught_up_at = broker->count; /* what was to be read first is no more */
    kafka->restarts = broker->restarts;
    set_state(kafka, CARRIER_UP);
}

static void connection_step(struct kafka *kafka)
{
    bool broken = kafka->restarts != kafka->broker->restarts;
    if (kafka->state != CARRIER_UP) {
        connect_again(kafka);
        return;
    }
    if (answers(kafka) && !kafka->node->cut_write && !kafka->node->cut_read) {
        kafka->cut_ms = 0;
        if (broken)
            fail(kafka);
        return;
    }
    if (kafka->cut_ms == 0) {
        kafka->cut_ms = now_of(kafka);
        kafka->due_ms = now_of(kafka) + dice_between(dice_of(kafka), 100, 4000);
    }
    if (broken || now_of(kafka) >= kafka->due_ms) {
        kafka->cut_ms = 0;
        fail(kafka);
    }
}

/* Before its node's poll; also while nothing reads. */
void kafka_step(struct kafka *kafka)
{
    connection_step(kafka);
    if (kafka->state == CARRIER_UP && answers(kafka) && !kafka->node->cut_write)
        producer_step(kafka);
}

/* ---- the reader ---- */

static void begin(struct kafka *kafka)
{
    struct broker *broker = kafka->broker;
    struct checkpoint nothing = {.position = broker->low};
    const struct beacon *beacon =
        kafka->asked ? broker_newest_start(broker) : broker_start(broker, kafka->window);
    const struct checkpoint *from = beacon == NULL ? &nothing : &beacon->start;
    kafka->begin = kafka->asked = false;
    kafka->position = from->position;
    kafka->last_id = kafka->position > broker->low ? broker->entries[kafka->position - 1].id : 0;
    kafka->caught_up_at = broker->count;
    if (beacon == NULL)
        kafka->node->world->counts->begun_at_start++;
    else
        kafka->node->world->counts->begun_in_middle++;
    world_trace(kafka->node->world, "%s: reads from %lld (%s.%lld.%lld)", kafka->node->name,
                (long long)from->position, from->stream, (long long)from->epoch,
                (long long)from->seq);
    kafka->reader.began(kafka->reader.context, from);
}

static void give(struct kafka *kafka, const struct entry *entry, int64_t position)
{
    const struct carrier_reader *reader = &kafka->reader;
    const struct item *item = entry->item;
    struct barrier barrier;
    switch (item->kind) {
    case ITEM_RECORD:
        reader->record(reader->context, &item->record);
        return;
    case ITEM_BARRIER:
        barrier = item->barrier;
        barrier.position = position;
        monitor_barrier(kafka->node, &barrier);
        reader->barrier(reader->context, &barrier);
        return;
    case ITEM_BEACON:
        if (beacon_fits(&item->beacon, position))
            reader->beacon(reader->context, &item->beacon);
        return;
    case ITEM_STATE:
        reader->state(reader->context, &item->state);
        return;
    }
}

static bool may_read(const struct kafka *kafka)
{
    return kafka->state == CARRIER_UP && answers(kafka) && !kafka->node->cut_read &&
           kafka->restarts == kafka->broker->restarts;
}

static bool kafka_poll(struct carrier *carrier)
{
    struct kafka *kafka = (struct kafka *)carrier;
    const struct broker *broker = kafka->broker;
    if (!may_read(kafka))
        return false;
    if (kafka->position < broker->low)
        kafka->begin = true; /* it has expired under the reader */
    if (kafka->begin)
        begin(kafka);
    if (kafka->pretend != NULL) {
        const struct barrier *barrier = kafka->pretend;
        kafka->pretend = NULL;
        kafka->reader.barrier(kafka->reader.context, barrier);
    }
    for (uint32_t given = 0; given < POLL_MOST; given++) {
        if (kafka->caught_up_at >= 0 && kafka->position >= kafka->caught_up_at) {
            kafka->caught_up_at = -1;
            kafka->reader.caught_up(kafka->reader.context);
        }
        if (kafka->begin)
            return true;
        if (kafka->position >= broker->count)
            return false;
        struct entry entry = broker->entries[kafka->position];
        if (entry.landed_ms + kafka->read_delay_ms > now_of(kafka))
            return false;
        kafka->last_id = entry.id;
        kafka->position++;
        give(kafka, &entry, kafka->position - 1);
    }
    return true;
}

static void kafka_restart(struct carrier *carrier)
{
    struct kafka *kafka = (struct kafka *)carrier;
    kafka->begin = kafka->asked = true;
}

static int64_t kafka_position(const struct carrier *carrier)
{
    return ((const struct kafka *)carrier)->position;
}

static void kafka_describe(const struct carrier *carrier, struct carrier_info *ret_info)
{
    const struct kafka *kafka = (const struct kafka *)carrier;
    *ret_info = (struct carrier_info){
        .state = kafka->state,
        .since_us = WALL_START_US + kafka->since_ms * 1000,
        .error = kafka->state == CARRIER_FAILED ? "it does not answer" : "",
        .rtt_us = -1,
        .breaks = kafka->breaks,
    };
}

bool kafka_caught_up(const struct kafka *kafka)
{
    return kafka->state == CARRIER_UP && !kafka->begin && kafka->position == kafka->broker->count;
}

void kafka_heal(struct kafka *kafka)
{
    kafka->delay_ms = kafka->read_delay_ms = 0;
    kafka->queue_max = QUEUE;
}

/* ---- life ---- */

static struct carrier *kafka_open(const struct carrier_options *options, struct err *err)
{
    (void)err;
    struct node *node = (struct node *)options->details;
    struct dice *dice = &node->world->dice;
    struct kafka *kafka = memory_alloc(sizeof *kafka);
    kafka->carrier.kind = &modelled_kafka_kind;
    kafka->reader = options->reader;
    kafka->node = node;
    kafka->broker = node->world->broker;
    kafka->state = CARRIER_CONNECTING;
    kafka->due_ms = node->world->now_ms + dice_between(dice, 0, 400);
    kafka->begin = true;
    kafka->window = dice_chance(dice, 25) ? ALL : dice_between(dice, 5, 400);
    kafka->delay_ms = dice_chance(dice, 10) ? dice_between(dice, 0, 600) : 0;
    kafka->read_delay_ms = dice_chance(dice, 10) ? dice_between(dice, 0, 300) : 0;
    kafka->queue_max = dice_chance(dice, 20) ? 4 + dice_below(dice, 60) : QUEUE;
    kafka->restarts = kafka->broker->restarts;
    if (node->world->healed || node->world->single)
        kafka_heal(kafka);
    if (node->world->single)
        kafka->window = ALL; /* a node that was away for seconds finds where it was */
    return &kafka->carrier;
}

static void kafka_close(struct carrier *carrier)
{
    struct kafka *kafka = (struct kafka *)carrier;
    session_end(kafka, !answers(kafka) || kafka->node->cut_write);
    memory_free(kafka);
}

const struct carrier_kind modelled_kafka_kind = {
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
