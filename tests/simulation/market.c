/* SPDX-License-Identifier: Apache-2.0 */
/* Exchanges that trade, and what a node collects from them and hands to its sequencer. */
#include "tests/simulation/world.h"

#include "stream/stream.h"

#include <stdio.h>

#define RECENT 6 /* trades that an exchange repeats to who begins */

void market_begin(struct market *market, struct dice *dice)
{
    *market = (struct market){.rate = 4 + dice_below(dice, 8), .gives = TRADES_MAX, .open = true};
    if (dice_chance(dice, 8))
        market->gives = 3 + (int32_t)dice_below(dice, 20);
    if (dice_chance(dice, 1))
        market->fat = 60000;
}

void market_step(struct world *world)
{
    struct market *market = &world->market;
    if (!market->open)
        return;
    for (uint32_t pair = 0; pair < PAIRS; pair++) {
        if (!dice_chance(&world->dice, market->rate) || market->count[pair] + 1 == TRADES_MAX)
            continue;
        market->made_ms[pair][++market->count[pair]] = (int32_t)world->now_ms;
        world->counts->trades++;
    }
}

/* Trades are known by what the node's log has; what was sent and is not there is sent again. */
void collector_start(struct node *node)
{
    struct collector *collector = &node->collector;
    const struct market *market = &node->world->market;
    *collector = (struct collector){.on = true, .sent = *node->notebook};
    for (uint32_t pair = 0; pair < PAIRS; pair++) {
        int32_t highest = collector->sent.highest[pair];
        int32_t next = (highest == 0 ? market->count[pair] : highest) + 1 - RECENT;
        collector->next[pair] = next < 1 ? 1 : next;
        collector->book[pair] = true;
        if (highest == 0)
            collector->sent.highest[pair] = market->count[pair]; /* nothing before is missed */
    }
}

static bool publish(struct node *node, uint32_t pair, const char *type, struct slice body)
{
    struct sequencer *sequencer = replica_sequencer(node->replica);
    char key[8];
    int size = snprintf(key, sizeof key, "e%u:s%u", pair / 2, pair % 2);
    char *room = sequencer_reserve(sequencer, type, body.size);
    if (room == NULL)
        return false;
    memcpy(room, body.data, body.size);
    struct slice name = {.data = key, .size = (size_t)size};
    return sequencer_commit(sequencer, name, body.size) == CARRIER_TAKEN;
}

static bool publish_text(struct node *node, uint32_t pair, const char *type, const char *rest)
{
    char body[200];
    int size = snprintf(body, sizeof body, "\"exchange\":\"e%u\",\"symbol\":\"s%u\",%s}", pair / 2,
                        pair % 2, rest);
    return publish(node, pair, type, (struct slice){.data = body, .size = (size_t)size});
}

static bool publish_book(struct node *node, uint32_t pair)
{
    static char levels[65536];
    size_t fat = node->world->market.fat;
    if (fat == 0)
        return publish_text(node, pair, "book", "\"action\":\"snapshot\"");
    int size = snprintf(levels, 80, "\"exchange\":\"e%u\",\"symbol\":\"s%u\",\"levels\":\"",
                        pair / 2, pair % 2);
    memset(levels + size, 'x', fat);
    memcpy(levels + (size_t)size + fat, "\"}", 2);
    struct slice body = {.data = levels, .size = (size_t)size + fat + 2};
    return publish(node, pair, "book", body);
}

static bool publish_trade(struct node *node, uint32_t pair, int32_t id)
{
    char rest[80];
    snprintf(rest, sizeof rest, "\"id\":%d,\"recv\":%lld", id,
             (long long)(WALL_START_US + node->world->now_ms * 1000));
    return publish_text(node, pair, "trade", rest);
}

/* More is missed than the exchange still gives. */
static bool publish_gap(struct node *node, uint32_t pair, int32_t from, int32_t to)
{
    char rest[64];
    snprintf(rest, sizeof rest, "\"from\":%d,\"to\":%d", from, to);
    node->world->counts->gaps++;
    return publish_text(node, pair, "gap", rest);
}

bool market_doubt(struct node *node, struct slice key)
{
    uint32_t pair = (uint32_t)(key.data[1] - '0') * 2 + (uint32_t)(key.data[4] - '0');
    return publish_text(node, pair, "gap", "\"from\":1,\"to\":0");
}

static bool send_hole(struct node *node, uint32_t pair)
{
    struct collector *collector = &node->collector;
    const struct market *market = &node->world->market;
    int32_t oldest = market->count[pair] - market->gives + 1, next = collector->next[pair];
    int32_t from = collector->sent.highest[pair] + 1;
    if (next < from)
        next = from;
    if (next >= oldest)
        return true;
    if (!publish_gap(node, pair, next, oldest - 1))
        return false;
    collector->next[pair] = oldest;
    collector->sent.highest[pair] = oldest - 1;
    return true;
}

static void collect_pair(struct node *node, uint32_t pair)
{
    struct collector *collector = &node->collector;
    const struct market *market = &node->world->market;
    int64_t now_ms = node->world->now_ms;
    if (collector->book[pair] ||
        (market->fat > 0 && market->open && now_ms >= collector->book_ms[pair])) {
        if (!publish_book(node, pair))
            return;
        collector->book[pair] = false;
        collector->book_ms[pair] = now_ms + 400;
    }
    if (!send_hole(node, pair))
        return;
    for (int32_t *next = &collector->next[pair]; *next <= market->count[pair]; (*next)++) {
        if (notebook_has(&collector->sent, pair, *next))
            continue;
        if (!publish_trade(node, pair, *next))
            return; /* asked for again */
        notebook_add(&collector->sent, pair, *next, 0);
    }
}

void collector_step(struct node *node)
{
    for (uint32_t pair = 0; pair < PAIRS && node->collector.on; pair++)
        if (!node->feed_down[pair / 2])
            collect_pair(node, pair);
}
