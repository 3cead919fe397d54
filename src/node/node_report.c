/* SPDX-License-Identifier: Apache-2.0 */
/* What operators read of a node: what is collected, how it is, and the cluster as far as known. */
#include "node/node_priv.h"

#include "base/clock.h"
#include "base/memory.h"
#include "market/read.h"

#define READY_LAG_MS 5000

/* ---- what is collected ---- */

static_assert(CHANNEL_COUNT <= ADMIN_CHANNELS_MAX, "the channels of a market have room");

static void list_channels(uint32_t channels, const char *ret_names[ADMIN_CHANNELS_MAX + 1])
{
    size_t count = 0;
    for (size_t i = 0; i < CHANNEL_COUNT; i++)
        if ((channels & CHANNEL_BIT(i)) != 0)
            ret_names[count++] = channel_names[i];
    ret_names[count] = NULL;
}

static void visit_market(const struct settings_exchange *settings, const struct symbol *symbol,
                         uint32_t channels, admin_visit_market_fn *visit, void *visit_context)
{
    char native[LIMIT_NATIVE_SYMBOL];
    struct admin_market market = {.exchange = settings->exchange->name, .symbol = symbol->text};
    if (settings->exchange->to_native(symbol, native))
        market.native = native;
    list_channels(channels, market.channels);
    visit(visit_context, &market);
}

static bool is_configured(const struct settings_exchange *settings, struct slice symbol)
{
    for (size_t i = 0; i < settings->symbols.count; i++)
        if (slice_is(symbol, settings->symbols.items[i]))
            return true;
    return false;
}

struct learnt { /* a walk over what a replay brought that nobody had configured */
    const struct settings_exchange *settings;
    admin_visit_market_fn *visit;
    void *context;
};

static void visit_learnt(void *context, const struct keeper_pair *pair, uint32_t types)
{
    static const enum event_type types_of[CHANNEL_COUNT] = {[CHANNEL_TRADE] = EVENT_TRADE,
                                                            [CHANNEL_TICKER] = EVENT_TICKER,
                                                            [CHANNEL_BOOK] = EVENT_BOOK,
                                                            [CHANNEL_QUOTE] = EVENT_QUOTE};
    const struct learnt *learnt = context;
    struct symbol symbol;
    uint32_t channels = 0;
    if (!slice_is(pair->exchange, learnt->settings->exchange->name) ||
        is_configured(learnt->settings, pair->symbol) || !symbol_read(pair->symbol, &symbol))
        return;
    for (size_t i = 0; i < CHANNEL_COUNT; i++)
        if ((types & 1u << types_of[i]) != 0)
            channels |= CHANNEL_BIT(i);
    visit_market(learnt->settings, &symbol, channels, learnt->visit, learnt->context);
}

static void visit_markets_of(const struct node *node, const struct settings_exchange *settings,
                             admin_visit_market_fn *visit, void *visit_context)
{
    struct learnt learnt = {.settings = settings, .visit = visit, .context = visit_context};
    for (size_t i = 0; i < settings->symbols.count; i++) {
        struct symbol symbol;
        if (symbol_read(slice_of(settings->symbols.items[i]), &symbol))
            visit_market(settings, &symbol, settings_channels(settings), visit, visit_context);
    }
    if (node->options.learn)
        keeper_find_pairs(replication_keeper(node->replication), visit_learnt, &learnt);
}

void node_visit_markets(void *context, admin_visit_market_fn *visit, void *visit_context)
{
    const struct node *node = context;
    for (size_t i = 0; i < collection_count(node->collection); i++)
        visit_markets_of(node, collection_settings(node->collection, i), visit, visit_context);
}

static void count_market(void *context, const struct admin_market *market)
{
    (void)market;
    size_t *count = context;
    ++*count;
}

/* ---- exchanges that another node collects ---- */

struct seen { /* in what the stream says of them */
    struct admin_health *health;
    int64_t now_us;
    struct buffer text;
    struct read_scratch *scratch;
};

static struct admin_exchange *find_exchange(struct admin_health *health, struct slice name)
{
    for (size_t i = 0; i < health->exchange_count; i++)
        if (slice_is(name, health->exchanges[i].name))
            return &health->exchanges[i];
    return NULL;
}

/* What lies ahead has just come: another node's clock may be ahead, or ours have been set back. */
static int64_t age_of(int64_t then_us, int64_t now_us)
{
    return then_us < now_us ? (now_us - then_us) / 1000 : 0;
}

static void see_message(void *context, struct slice message)
{
    static const char padding[LIMIT_PADDING + 1];
    struct seen *seen = context;
    struct read_message read;
    buffer_clear(&seen->text);
    buffer_append_slice(&seen->text, message);
    buffer_append(&seen->text, padding, sizeof padding);
    struct slice text = {.data = seen->text.data, .size = message.size};
    if (seen->text.overflowed || message_read(text, seen->scratch, &read) != READ_EVENT)
        return;
    struct admin_exchange *exchange = find_exchange(seen->health, read.exchange);
    if (exchange == NULL || exchange->connections > 0)
        return;
    int64_t age_ms = age_of(read.event.received_us, seen->now_us);
    if (exchange->age_ms < 0 || age_ms < exchange->age_ms)
        exchange->age_ms = age_ms;
    if (read.event.type != EVENT_STATUS || read.event.symbol != NULL ||
        read.event.status.channel.size > 0)
        return; /* of a part of the exchange */
    exchange->state = status_state_names[read.event.status.state];
    exchange->since_us = read.event.received_us;
}

/* Asked for now and then, so it is looked up rather than kept. */
static void see_remote(const struct node *node, struct admin_health *health, int64_t now_us)
{
    struct seen seen = {.health = health, .now_us = now_us};
    buffer_init(&seen.text, LIMIT_RECORD + LIMIT_PADDING + 1);
    seen.scratch = memory_alloc(sizeof *seen.scratch);
    keeper_snapshot(replication_keeper(node->replication), see_message, &seen);
    memory_free(seen.scratch);
    buffer_release(&seen.text);
}

/* ---- what operators read ---- */

static void describe_exchange(const struct node *node, size_t index, int64_t now_us,
                              struct admin_exchange *ret_exchange)
{
    const struct settings_exchange *settings = collection_settings(node->collection, index);
    struct session_info info;
    *ret_exchange = (struct admin_exchange){
        .name = settings->exchange->name,
        .state = status_state_names[STATUS_CONNECTING],
        .reason = "",
        .since_us = node->started_us,
        .age_ms = -1,
    };
    list_channels(settings_channels(settings), ret_exchange->channels);
    visit_markets_of(node, settings, count_market, &ret_exchange->symbol_count);
    if (!collection_describe(node->collection, index, &info))
        return;
    ret_exchange->state = status_state_names[info.state];
    ret_exchange->reason = info.reason;
    ret_exchange->since_us = info.since_us;
    ret_exchange->age_ms = info.last_message_us == 0 ? -1 : age_of(info.last_message_us, now_us);
    ret_exchange->connections = info.connections;
    ret_exchange->stale = info.stale;
    ret_exchange->quarantined = info.quarantined;
}

/* The leader has not been heard for long; one that is not found makes the node stand alone. */
static bool is_behind(const struct node *node)
{
    struct replica_info info;
    replication_describe(node->replication, &info);
    return (info.mode == REPLICA_FOLLOWER_CARRIER || info.mode == REPLICA_FOLLOWER_PEER) &&
           info.lag_ms > READY_LAG_MS;
}

const char *node_why_not_ready(void *context)
{
    const struct node *node = context;
    if (node->draining)
        return "this node is leaving";
    if (!gateway_is_open(node->gateway))
        return "this node is starting: it has no stream yet";
    if (is_behind(node))
        return "this node's own feed is behind: it does not hear the leader";
    if (gateway_clients(node->gateway) >= node->clients_max)
        return "this node has as many clients as it may have";
    return NULL;
}

void node_fill_health(void *context, struct admin_health *ret_health)
{
    const struct node *node = context;
    int64_t now_us = clock_wall_us();
    struct replica_info info;
    replication_describe(node->replication, &info);
    *ret_health = (struct admin_health){.mode = replication_mode(node->replication),
                                        .source = info.source,
                                        .better = replication_better(node->replication)};
    replication_fill_dependency(node->replication, &ret_health->dependencies[ADMIN_KAFKA]);
    for (size_t i = 0; i < collection_count(node->collection); i++)
        describe_exchange(node, i, now_us, &ret_health->exchanges[ret_health->exchange_count++]);
    if (!collection_is_started(node->collection))
        see_remote(node, ret_health, now_us);
}

/* ---- the cluster ---- */

void node_fill_cluster(void *context, struct admin_cluster *ret_cluster)
{
    const struct node *node = context;
    const struct settings *settings = node->options.settings;
    const struct journal *journal = replication_journal(node->replication);
    int64_t since_us = replication_role_since_us(node->replication);
    struct replica_info info;
    replication_describe(node->replication, &info);
    *ret_cluster = (struct admin_cluster){.leader = info.leader_node,
                                          .epoch = journal_epoch(journal),
                                          .stream = journal_stream(journal),
                                          .node_count = 1};
    ret_cluster->nodes[0] = (struct admin_node){.id = settings->node.id,
                                                .role = replication_role(&info),
                                                .url = settings->node.advertise,
                                                .version = TICKWIRE_VERSION,
                                                .clients = (int64_t)gateway_clients(node->gateway),
                                                .lag_ms = info.lag_ms,
                                                .since_us = since_us};
    replication_fill_cluster(node->replication, ret_cluster);
}
