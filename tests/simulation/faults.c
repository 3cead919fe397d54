/* SPDX-License-Identifier: Apache-2.0 */
/* What a schedule is made of: who leads, and what breaks, when and for how long. */
#include "tests/simulation/world.h"

#include "tests/simulation/broker.h"

#define SESSION_MS 1500 /* a leader that says nothing so long has lost its election */

/* ---- the beginning ---- */

static void begin_nodes(struct world *world)
{
    struct dice *dice = &world->fault_dice;
    bool kafka = !dice_chance(dice, 8);
    world->node_count = 1 + dice_below(dice, NODES);
    if (world->single && world->node_count < 2)
        world->node_count = 2;
    for (uint32_t i = 0; i < world->node_count; i++) {
        struct node *node = &world->nodes[i];
        node->alive = false;
        node->replica = NULL;
        node->kafka = NULL;
        node->up_ms = world->single ? 0 : dice_between(dice, 0, dice_chance(dice, 20) ? 6000 : 500);
        node->takes_kafka = kafka || world->single;
        node->stolen_ms = node->paused_ms = 0;
        node->leads = !world->election && i == 0;
        node->leaving = node->cut_read = node->cut_write = false;
        node->cut_until_ms = node->alone_until_ms = node->feed_until_ms = 0;
        node->detached_until_ms = node->follow_ms = 0;
        for (uint32_t j = 0; j < NODES; j++)
            node->cut_from[j] = false;
        for (uint32_t j = 0; j < EXCHANGES; j++)
            node->feed_down[j] = false;
    }
    world->client_count = 2 + dice_below(dice, world->node_count * 2);
    if (world->client_count > CLIENTS)
        world->client_count = CLIENTS;
}

static struct replica_times times_of(struct dice *dice)
{
    struct replica_times times = REPLICA_TIMES;
    if (dice_chance(dice, 4))
        return times;
    times.take_over = 4000; /* the long ones are shorter, so that more happens */
    times.alone = 3000;
    times.healthy = 1000;
    times.refill = 3000;
    times.homecoming = 2000;
    return times;
}

void faults_begin(struct world *world)
{
    struct dice *dice = &world->fault_dice;
    world->single = dice_chance(dice, 20);
    world->election = world->single || dice_chance(dice, 75);
    world->times = times_of(dice);
    world->zk_epoch = 0;
    world->granted = -1;
    world->grant_ms = 0;
    world->fury = world->fierce ? 40 + dice_below(dice, 80) : 5 + dice_below(dice, 40);
    world->faults_end_ms =
        world->fierce ? dice_between(dice, 6000, 24000) : dice_between(dice, 4000, 14000);
    world->broker_ms = 0;
    world->lone = -1;
    if (world->single) {
        world->fault_ms = world->times.healthy > 1000 ? 9000 : 4000;
        world->faults_end_ms = world->fault_ms + 5000;
        world->market.fat = 0;   /* nobody falls out of a log */
        world->market.rate = 25; /* a silence is not the market's */
    }
    begin_nodes(world);
    if (!world->single && dice_chance(dice, 8)) {
        world->broker->down = true;
        world->broker_ms = dice_between(dice, 500, 6000);
    }
}

/* ---- who leads ---- */

static void grant(struct world *world, struct node *node)
{
    for (uint32_t i = 0; i < world->node_count; i++) {
        struct node *each = &world->nodes[i];
        if (each->leads && each != node) /* it hears of that later, or never */
            each->follow_ms = !world->healed && dice_chance(&world->fault_dice, 30)
                                  ? 0
                                  : world->now_ms + dice_between(&world->fault_dice, 0, 3000);
        each->leads = false;
    }
    node->leads = true;
    node->follow_ms = 0;
    world->granted = (int32_t)node->index;
    world->grant_ms = world->now_ms;
    world_trace(world, "%s: is granted the lead above %lld", node->name,
                (long long)world->zk_epoch);
    replica_lead(node->replica, world->zk_epoch++);
}

static bool grant_is_over(struct world *world)
{
    if (world->granted < 0)
        return true;
    const struct node *node = &world->nodes[world->granted];
    struct replica_info info;
    if (!node_runs(node) || node->leaving)
        return world->now_ms - world->grant_ms >= SESSION_MS;
    if (!node->leads)
        return true; /* it came back as another */
    replica_describe(node->replica, &info);
    if (!info.fenced)
        world->grant_ms = world->now_ms;
    return world->now_ms - world->grant_ms >= 500;
}

static void election_step(struct world *world)
{
    uint32_t index = dice_below(&world->fault_dice, world->node_count);
    for (uint32_t i = 0; i < world->node_count; i++) {
        struct node *node = &world->nodes[i];
        if (!node->alive)
            continue;
        int64_t epoch = sequencer_epoch(replica_sequencer(node->replica));
        if (node_leads(node) && epoch > world->zk_epoch)
            world->zk_epoch = epoch;
        if (node->follow_ms > 0 && world->now_ms >= node->follow_ms && node_runs(node)) {
            node->follow_ms = 0;
            world_trace(world, "%s: is told to follow", node->name);
            replica_follow(node->replica);
        }
    }
    if (world->election && grant_is_over(world) && node_runs(&world->nodes[index]) &&
        !world->nodes[index].leaving)
        grant(world, &world->nodes[index]);
}

/* ---- faults ---- */

typedef void fault_fn(struct world *world, struct node *node);

static int64_t later(struct world *world, int64_t least_ms, int64_t most_ms)
{
    return world->now_ms + dice_between(&world->fault_dice, least_ms, most_ms);
}

static void crash(struct world *world, struct node *node)
{
    if (!node->alive)
        return;
    world->counts->crashes++;
    node_stop(node);
    if (world->election)
        node->leads = false;
    node->up_ms = later(world, 200, 5000);
}

static void leave(struct world *world, struct node *node)
{
    if (!node_runs(node) || node->leaving)
        return;
    world->counts->leaves++;
    world_trace(world, "%s: leaves", node->name);
    node->leaving = true;
    node->alone_until_ms = later(world, 100, 600); /* then it ends */
    replica_leave(node->replica);
}

static void pause_node(struct world *world, struct node *node)
{
    if (!node_runs(node))
        return;
    world->counts->pauses++;
    node->paused_ms = later(world, 100, dice_chance(&world->fault_dice, 50) ? 1500 : 7000);
    node->clock_stands = dice_chance(&world->fault_dice, 50);
    world_trace(world, "%s: is paused until %lld", node->name, (long long)node->paused_ms);
}

static void cut_carrier(struct world *world, struct node *node)
{
    uint32_t which = dice_below(&world->fault_dice, 4);
    world->counts->carrier_cuts++;
    node->cut_read = which != 1;
    node->cut_write = which != 2;
    node->cut_until_ms = later(world, 100, 6000);
    world_trace(world, "%s: cut off%s%s until %lld", node->name, node->cut_read ? " reads" : "",
                node->cut_write ? " writes" : "", (long long)node->cut_until_ms);
}

static void restart_broker(struct world *world, struct node *node)
{
    struct broker *broker = world->broker;
    struct dice *dice = &world->fault_dice;
    uint32_t kind = world->single ? dice_below(dice, 70) : dice_below(dice, 100);
    (void)node;
    world->counts->broker_restarts++;
    broker->down = true;
    broker->restarts++;
    world->broker_ms = later(world, 100, 4000);
    if (kind >= 40 && kind < 80 && broker->count > broker->low) {
        int64_t most = broker->count - broker->low, lost = dice_between(dice, 1, 60);
        broker->count -= lost < most ? lost : most;
        broker->lost = true;
        world->counts->lost_tails++;
    } else if (kind >= 80 && kind < 88) {
        broker->count = broker->low = 0;
        broker->lost = true;
        world->counts->lost_logs++;
    } else if (kind >= 88) {
        broker->low += dice_below(dice, (uint32_t)(broker->count - broker->low + 1));
        world->counts->expired_heads++;
    }
    world_trace(world, "broker restarts with %lld to %lld", (long long)broker->low,
                (long long)broker->count);
}

static void freeze_broker(struct world *world, struct node *node)
{
    (void)node;
    world->counts->freezes++;
    world->broker->frozen = true;
    world->broker_ms = later(world, 200, 6000);
    world_trace(world, "broker is frozen until %lld", (long long)world->broker_ms);
}

static void part_nodes(struct world *world, struct node *node)
{
    world->counts->node_partitions++;
    for (uint32_t i = 0; i < world->node_count; i++)
        node->cut_from[i] = dice_chance(&world->fault_dice, 60);
    if (!node->leaving)
        node->alone_until_ms = later(world, 500, 6000);
}

static void stop_feed(struct world *world, struct node *node)
{
    world->counts->feed_outages++;
    node->feed_down[dice_below(&world->fault_dice, EXCHANGES)] = true;
    node->feed_until_ms = later(world, 100, 3000);
}

/* Whoever led is not told, or late: two lead. */
static void second_leader(struct world *world, struct node *node)
{
    if (!node_runs(node) || node->leaving || node_leads(node))
        return;
    world->counts->second_leaders++;
    if (world->election) {
        grant(world, node);
        return;
    }
    node->leads = true;
    world_trace(world, "%s: is configured to lead as well", node->name);
    replica_lead(node->replica, world->now_ms);
}

static void change_roles(struct world *world, struct node *node)
{
    if (!world->election || !node_runs(node) || node->leaving)
        return;
    world->counts->role_changes++;
    for (uint32_t i = 0; i < world->node_count; i++)
        if (node_runs(&world->nodes[i]) && &world->nodes[i] != node) {
            world->nodes[i].leads = false;
            world_trace(world, "%s: is told to follow", world->nodes[i].name);
            replica_follow(world->nodes[i].replica);
        }
    grant(world, node);
}

static void detach(struct world *world, struct node *node)
{
    if (!node_runs(node) || node->kafka == NULL)
        return;
    world->counts->detaches++;
    world_trace(world, "%s: kafka is switched off", node->name);
    node_switch_kafka(node, false);
    node->detached_until_ms = later(world, 100, 5000);
}

static fault_fn *const faults[] = {
    crash,     crash,          pause_node,    pause_node,    cut_carrier,  cut_carrier, part_nodes,
    stop_feed, restart_broker, freeze_broker, second_leader, change_roles, leave,       detach,
};

/* Until it stands alone; nobody else notices. */
static void cut_off_follower(struct world *world, struct node *leader)
{
    uint32_t behind = 1 + dice_below(&world->fault_dice, world->node_count - 1);
    struct node *node = &world->nodes[(leader->index + behind) % world->node_count];
    const struct replica_times *times = &world->times;
    world->lone = (int32_t)node->index;
    world->market.gives = TRADES_MAX;
    world->faults_end_ms = later(world, times->silence + times->alone * 3 / 2 + 500,
                                 times->silence + times->alone * 2);
    node->cut_read = node->cut_write = true;
    node->cut_until_ms = node->alone_until_ms = world->faults_end_ms;
    for (uint32_t i = 0; i < world->node_count; i++)
        node->cut_from[i] = true;
    world_trace(world, "%s: is cut off from everybody until %lld", node->name,
                (long long)node->cut_until_ms);
}

/* One thing breaks, once: the carrier, whoever leads, or what joins a follower to both. */
static fault_fn *const single_faults[] = {crash,          pause_node,   leave, cut_off_follower,
                                          restart_broker, freeze_broker};
#define SINGLE_CARRIER 4 /* from here on the carrier */

static struct node *leader_of(struct world *world)
{
    for (uint32_t i = 0; i < world->node_count; i++)
        if (world->nodes[i].alive && node_leads(&world->nodes[i]))
            return &world->nodes[i];
    return &world->nodes[0];
}

static void break_something(struct world *world)
{
    struct dice *dice = &world->fault_dice;
    uint32_t index = dice_below(dice, world->node_count);
    struct node *node = dice_chance(dice, 50) ? leader_of(world) : &world->nodes[index];
    if (world->single) {
        if (world->now_ms == world->fault_ms) {
            uint32_t kind = dice_below(dice, COUNT_OF(single_faults));
            world->carrier_fails = kind >= SINGLE_CARRIER;
            single_faults[kind](world, leader_of(world));
        }
        return;
    }
    if (dice_below(dice, 1000) < world->fury)
        faults[dice_below(dice, COUNT_OF(faults))](world, node);
}

/* ---- healing ---- */

static void mend_node(struct world *world, struct node *node)
{
    int64_t now_ms = world->now_ms;
    if (now_ms >= node->cut_until_ms)
        node->cut_read = node->cut_write = false;
    if (now_ms >= node->feed_until_ms)
        node->feed_down[0] = node->feed_down[1] = false;
    if (node->alive && node->leaving && now_ms >= node->alone_until_ms) {
        node_stop(node);
        node->leaving = false;
        node->leads = node->leads && !world->election;
        node->up_ms = later(world, 200, 3000);
    }
    if (now_ms >= node->alone_until_ms)
        for (uint32_t i = 0; i < NODES; i++)
            node->cut_from[i] = false;
    if (node_runs(node) && node->kafka == NULL && node->takes_kafka && !node->leaving &&
        now_ms >= node->detached_until_ms)
        node_switch_kafka(node, true);
}

void faults_step(struct world *world)
{
    if (world->now_ms >= world->broker_ms)
        world->broker->down = world->broker->frozen = false;
    for (uint32_t i = 0; i < world->node_count; i++)
        mend_node(world, &world->nodes[i]);
    election_step(world);
    if (!world->healed)
        break_something(world);
}

/* As an operator would: one is configured to lead, and who was fenced is started again. */
static void heal_roles(struct world *world)
{
    for (uint32_t i = 0; i < world->node_count; i++) {
        struct node *node = &world->nodes[i];
        bool leads = i == 0;
        if (node->leads == leads && !(leads && node->alive))
            continue;
        node->leads = leads;
        node_stop(node);
        node->up_ms = world->now_ms;
    }
}

void faults_heal(struct world *world)
{
    world->healed = true;
    world_trace(world, "everything is healed");
    world->broker_ms = 0;
    for (uint32_t i = 0; i < world->node_count; i++) {
        struct node *node = &world->nodes[i];
        if (node->leaving)
            node->alone_until_ms = world->now_ms;
        else
            node->alone_until_ms = 0;
        node->cut_until_ms = node->feed_until_ms = node->detached_until_ms = 0;
        mend_node(world, node);
        if (node->paused_ms > 0)
            node->paused_ms = world->now_ms;
        if (!node->alive)
            node->up_ms = world->now_ms;
        if (node->kafka != NULL)
            kafka_heal(node->kafka);
        if (world->election && !node->leads && node->alive)
            node->follow_ms = world->now_ms + STEP_MS;
    }
    if (!world->election)
        heal_roles(world);
}
