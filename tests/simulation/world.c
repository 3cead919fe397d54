/* SPDX-License-Identifier: Apache-2.0 */
/* Time, nodes, and what a replica asks of its node. */
#include "tests/simulation/world.h"

#include "tests/simulation/broker.h"
#include "tests/simulation/monitor.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/metrics.h"

#include <stdarg.h>
#include <stdio.h>

#define QUIET_MS 1000
#define SETTLE_STEP_MS 500
#define LAST_MS 2000
#define ROUND_MS 12000

/* ---- telling ---- */

void world_trace(const struct world *world, const char *format, ...)
{
    va_list arguments;
    if (!world->trace)
        return;
    fprintf(stderr, "%7lld ", (long long)world->now_ms);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

void world_fail(struct world *world, const char *format, ...)
{
    va_list arguments;
    if (world->failed)
        return; /* the first one tells most */
    world->failed = true;
    int size =
        snprintf(world->failure, sizeof world->failure, "at %lld ms: ", (long long)world->now_ms);
    va_start(arguments, format);
    vsnprintf(world->failure + size, sizeof world->failure - (size_t)size, format, arguments);
    va_end(arguments);
    world_trace(world, "FAILED %s", world->failure);
}

/* ---- the ports of a replica ---- */

static int64_t port_now_ns(void *context)
{
    const struct node *node = context;
    return (node->world->now_ms - node->stolen_ms) * MS_NS;
}

static int64_t port_wall_us(void *context)
{
    const struct node *node = context;
    return WALL_START_US + node->world->now_ms * 1000;
}

static uint64_t port_random(void *context)
{
    const struct node *node = context;
    return dice_roll(&node->world->dice);
}

static void port_collect(void *context, bool on)
{
    struct node *node = context;
    world_trace(node->world, "%s: collect %s", node->name, on ? "on" : "off");
    node->collector.on = false;
    if (!on)
        return;
    collector_start(node);
    if (dice_chance(&node->world->dice, 50))
        collector_step(node);
}

static void port_peer_open(void *context, const char *since)
{
    link_open(context, since);
}

static void port_peer_close(void *context)
{
    link_close(context);
}

static void port_changed(void *context)
{
    const struct node *node = context;
    struct replica_info info;
    replica_describe(node->replica, &info);
    node->world->counts->change[node->mode][info.mode]++;
    ((struct node *)context)->mode = info.mode;
}

static void shadow_record(void *context, const struct record *record)
{
    struct node *node = context;
    monitor_accepted(node, node->shadow_journal, record);
    notebook_record(node->shadow, record);
}

static void port_shadow(void *context, struct journal *shadow)
{
    struct node *node = context;
    node->shadow_journal = shadow;
    node->shadow = NULL;
    if (shadow == NULL)
        return;
    node->shadow = node->notebook == &node->books[0] ? &node->books[1] : &node->books[0];
    *node->shadow = (struct notebook){0};
    journal_listen(shadow, shadow_record, node);
}

static void port_taken(void *context)
{
    struct node *node = context;
    node->notebook = node->shadow;
    node->shadow = NULL;
    node->shadow_journal = NULL;
    node->world->counts->forks += node->served;
    node->served = true;
    world_trace(node->world, "%s: takes %s", node->name,
                journal_stream(replica_journal(node->replica)));
    monitor_taken(node);
    clients_start_over(node->world, node->index);
}

static void port_renamed(void *context)
{
    struct node *node = context;
    node->world->counts->new_streams++;
    node->served = true;
    monitor_renamed(node);
    clients_start_over(node->world, node->index);
}

static struct notebook *notebook_of(struct node *node, const struct journal *journal)
{
    return journal == node->shadow_journal ? node->shadow : node->notebook;
}

static void port_load_state(void *context, struct journal *journal, const struct state_note *state)
{
    if (!notebook_load(notebook_of(context, journal), state->text))
        world_fail(((struct node *)context)->world, "a state can't be read");
}

static void port_load_message(void *context, struct journal *journal, struct slice message)
{
    if (!notebook_load(notebook_of(context, journal), message))
        world_fail(((struct node *)context)->world, "a snapshot can't be read");
}

static size_t port_save_state(void *context, size_t index, struct buffer *out)
{
    const struct node *node = context;
    if (index < PAIRS)
        notebook_save(node->notebook, (uint32_t)index,
                      journal_next(replica_journal(node->replica)) - 1, out);
    return PAIRS;
}

static bool port_identify(void *context, const struct record *record,
                          struct replica_trade *ret_trade)
{
    uint32_t pair;
    int32_t id;
    (void)context;
    if (!trade_read(record, &pair, &id))
        return false;
    *ret_trade = (struct replica_trade){.hash = (uint64_t)id * PAIRS + pair + 1,
                                        .recv_us = number_behind(record->text, "\"recv\":")};
    return true;
}

/* No trade is missing: some may come again. */
static void port_declare_gap(void *context, struct slice key, int64_t from_us, int64_t to_us)
{
    struct node *node = context;
    if (key.size != 5 || from_us >= to_us)
        world_fail(node->world, "%s declares a gap of no market or no time", node->name);
    node->world->counts->doubts++;
    if (!market_doubt(node, key))
        world_fail(node->world, "%s can't declare a gap", node->name);
}

static struct replica_ports ports_of(struct node *node)
{
    return (struct replica_ports){
        .now_ns = port_now_ns,
        .wall_us = port_wall_us,
        .random = port_random,
        .collect = port_collect,
        .peer_open = port_peer_open,
        .peer_close = port_peer_close,
        .changed = port_changed,
        .shadow = port_shadow,
        .taken = port_taken,
        .renamed = port_renamed,
        .load_state = port_load_state,
        .load_message = port_load_message,
        .save_state = port_save_state,
        .identify = port_identify,
        .declare_gap = port_declare_gap,
        .context = node,
    };
}

/* ---- nodes ---- */

bool node_runs(const struct node *node)
{
    return node->alive && node->paused_ms == 0;
}

bool node_leads(const struct node *node)
{
    struct replica_info info;
    replica_describe(node->replica, &info);
    return info.leader && info.mode != REPLICA_ALONE;
}

bool nodes_meet(const struct world *world, uint32_t left, uint32_t right)
{
    return !world->nodes[left].cut_from[right] && !world->nodes[right].cut_from[left];
}

static void accepted(void *context, const struct record *record)
{
    struct node *node = context;
    monitor_accepted(node, replica_journal(node->replica), record);
    notebook_record(node->notebook, record);
}

void node_switch_kafka(struct node *node, bool on)
{
    struct err err = {0};
    struct carrier_options options = {.node = node->name, .details = node};
    if (on == (node->kafka != NULL))
        return;
    if (!on) {
        struct kafka *kafka = node->kafka;
        node->kafka = NULL;
        replica_detach(node->replica, 0);
        modelled_kafka_kind.close((struct carrier *)kafka);
        return;
    }
    replica_reader(node->replica, 0, &options.reader);
    node->kafka = (struct kafka *)modelled_kafka_kind.open(&options, &err);
    replica_attach(node->replica, 0, (struct carrier *)node->kafka);
}

void node_start(struct node *node)
{
    struct world *world = node->world;
    struct replica_options options = {.node = node->name,
                                      .retain = 4 * LIMIT_SEGMENT,
                                      .times = world->times,
                                      .ports = ports_of(node)};
    node->alive = true;
    node->leaving = node->served = node->was_leader = node->was_fenced = false;
    node->paused_ms = node->follow_ms = 0;
    node->mode = REPLICA_STARTING;
    node->rewrites = 0;
    node->books[0] = (struct notebook){0};
    node->notebook = &node->books[0];
    node->shadow = NULL;
    node->shadow_journal = NULL;
    node->collector.on = false;
    node->link = (struct link){.generation = node->link.generation + 1};
    memset(node->barrier, 0, sizeof node->barrier);
    world_trace(world, "%s: starts%s", node->name, node->leads ? ", to lead" : "");
    node->replica = replica_create(&options);
    journal_listen(replica_journal(node->replica), accepted, node);
    if (node->takes_kafka)
        node_switch_kafka(node, true);
    if (node->leads)
        replica_lead(node->replica, world->election ? world->zk_epoch : world->now_ms);
}

void node_stop(struct node *node)
{
    if (!node->alive)
        return;
    world_trace(node->world, "%s: ends", node->name);
    clients_lose(node->world, node->index);
    links_lose(node->world, node->index);
    link_close(node);
    node->alive = false;
    if (node->kafka != NULL)
        modelled_kafka_kind.close((struct carrier *)node->kafka);
    node->kafka = NULL;
    replica_destroy(node->replica);
    node->replica = NULL;
}

static void node_wake(struct node *node)
{
    world_trace(node->world, "%s: wakes", node->name);
    node->paused_ms = 0;
}

static void node_step(struct node *node)
{
    struct world *world = node->world;
    if (!node->alive && node->up_ms >= 0 && world->now_ms >= node->up_ms)
        node_start(node);
    if (node->paused_ms > 0 && world->now_ms >= node->paused_ms)
        node_wake(node);
    if (node->paused_ms > 0 && node->clock_stands)
        node->stolen_ms += STEP_MS;
    if (!node_runs(node))
        return;
    if (node->kafka != NULL) {
        kafka_step(node->kafka);
        for (uint32_t turn = 0; turn < 4 && node->kafka != NULL; turn++)
            if (!modelled_kafka_kind.poll((struct carrier *)node->kafka))
                break;
    }
    link_step(node);
    if (node->leaving) {
        replica_tick(node->replica);
        return;
    }
    collector_step(node);
    replica_tick(node->replica);
}

/* ---- the world ---- */

struct world *world_create(void)
{
    struct world *world = memory_alloc(sizeof *world);
    world->broker = broker_create(world);
    world->monitor = monitor_create();
    world->counts = memory_alloc(sizeof *world->counts);
    for (uint32_t i = 0; i < NODES; i++) {
        struct node *node = &world->nodes[i];
        node->world = world;
        node->index = i;
        snprintf(node->name, sizeof node->name, "node-%u", i);
    }
    return world;
}

void world_destroy(struct world *world)
{
    broker_destroy(world->broker);
    monitor_destroy(world->monitor);
    memory_free(world->counts);
    memory_free(world);
}

static void world_step(struct world *world)
{
    world->now_ms += STEP_MS;
    faults_step(world);
    market_step(world);
    broker_step(world->broker);
    uint32_t first = dice_below(&world->dice, world->node_count);
    for (uint32_t i = 0; i < world->node_count; i++)
        node_step(&world->nodes[(first + i) % world->node_count]);
    for (uint32_t i = 0; i < world->client_count; i++)
        client_step(world, &world->clients[i]);
    monitor_step(world);
}

static bool world_is_settled(const struct world *world)
{
    const struct node *leader = NULL;
    for (uint32_t i = 0; i < world->node_count; i++)
        if (world->nodes[i].alive && node_leads(&world->nodes[i]))
            leader = leader == NULL ? &world->nodes[i] : NULL;
    if (leader == NULL)
        return false;
    const struct journal *log = replica_journal(leader->replica);
    for (uint32_t i = 0; i < world->node_count; i++) {
        const struct node *node = &world->nodes[i];
        struct replica_info info;
        replica_describe(node->replica, &info);
        bool carrier = info.mode == REPLICA_LEADER_CARRIER || info.mode == REPLICA_FOLLOWER_CARRIER;
        if (!node->served || carrier != node->takes_kafka || info.mode == REPLICA_ALONE ||
            (node != leader && info.mode == REPLICA_STARTING) ||
            strcmp(journal_stream(log), journal_stream(replica_journal(node->replica))) != 0)
            return false;
    }
    for (uint32_t i = 0; i < world->client_count; i++)
        if (!world->clients[i].attached)
            return false;
    return true;
}

static void tell_who_is_unsettled(struct world *world)
{
    char text[300];
    int size = 0;
    for (uint32_t i = 0; i < world->node_count; i++) {
        const struct node *node = &world->nodes[i];
        struct replica_info info;
        replica_describe(node->replica, &info);
        size += snprintf(text + size, sizeof text - (size_t)size, " %s %s%s %s:%lld;", node->name,
                         replica_mode_names[info.mode], info.fenced ? " fenced" : "",
                         journal_stream(replica_journal(node->replica)),
                         (long long)journal_next(replica_journal(node->replica)) - 1);
    }
    world_fail(world, "not settled after healing:%s", text);
}

static int64_t settle_most_ms(const struct world *world)
{
    const struct replica_times *times = &world->times;
    return 8000 + times->take_over + 2 * times->alone + 3 * times->healthy + times->homecoming;
}

static void world_settle(struct world *world)
{
    int64_t most_ms = world->now_ms + settle_most_ms(world);
    faults_heal(world);
    while (!world->failed) {
        for (uint32_t i = 0; i < SETTLE_STEP_MS / STEP_MS && !world->failed; i++)
            world_step(world);
        if (world_is_settled(world))
            break;
        if (world->now_ms >= most_ms)
            tell_who_is_unsettled(world);
    }
    for (uint32_t i = 0; i < QUIET_MS / STEP_MS && !world->failed; i++)
        world_step(world);
    world->market.open = false;
    for (uint32_t i = 0; i < LAST_MS / STEP_MS && !world->failed; i++)
        world_step(world);
    /* Who took a stream whose leader was silent has its states within a round of them. */
    for (uint32_t i = 0; i < ROUND_MS / STEP_MS && !world->failed; i++) {
        if (monitor_keepers_agree(world))
            break;
        world->counts->waited_for_states += i == 0;
        world_step(world);
    }
}

static int64_t trace_now_ns(void *context)
{
    return ((const struct world *)context)->now_ms * MS_NS;
}

static int64_t trace_wall_us(void *context)
{
    return WALL_START_US + ((const struct world *)context)->now_ms * 1000;
}

static void world_begin(struct world *world, uint64_t seed, bool trace)
{
    world->seed = seed;
    world->trace = trace;
    world->dice.state = seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
    world->fault_dice.state = ~world->dice.state;
    world->now_ms = 0;
    world->silence_ms = 0;
    world->before = *world->counts;
    world->failed = world->healed = false;
    world->failure[0] = '\0';
    clock_replace(&(struct clock_source){trace_wall_us, trace_now_ns, world});
    broker_begin(world->broker);
    monitor_begin(world->monitor);
    market_begin(&world->market, &world->fault_dice);
}

bool world_run(struct world *world, uint64_t seed, bool trace)
{
    world_begin(world, seed, trace);
    faults_begin(world);
    clients_begin(world);
    while (!world->failed && world->now_ms < world->faults_end_ms)
        world_step(world);
    if (!world->failed)
        world_settle(world);
    if (!world->failed)
        monitor_end(world);
    for (uint32_t i = 0; i < world->node_count; i++)
        node_stop(&world->nodes[i]);
    clock_replace(NULL);
    world->counts->fenced_records = (uint64_t)metric_value(metric_series(METRIC_FENCED, ""));
    world->counts->repeated_records = (uint64_t)metric_value(metric_series(METRIC_REPEATED, ""));
    world->counts->early_records = (uint64_t)metric_value(metric_series(METRIC_EARLY, ""));
    return !world->failed;
}
