/* SPDX-License-Identifier: Apache-2.0 */
/* Clients: they join, read, fall behind, lose their node and come back elsewhere with their token;
 * and each checks what it is given. */
#include "tests/simulation/world.h"

#include "tests/simulation/monitor.h"

#include "base/frame.h"

#include <stdio.h>

#define TOKEN_WAIT_MS 2000

void clients_begin(struct world *world)
{
    for (uint32_t i = 0; i < world->client_count; i++)
        world->clients[i] = (struct client){
            .node = -1, .due_ms = 500 + dice_between(&world->dice, 0, 1500), .heard_ms = 1000};
}

static void leave(struct world *world, struct client *client, int64_t least_ms, int64_t most_ms)
{
    cursor_detach(&client->cursor);
    client->attached = client->start_over = false;
    client->node = -1;
    client->due_ms = world->now_ms + dice_between(&world->dice, least_ms, most_ms);
}

void clients_lose(struct world *world, uint32_t node)
{
    for (uint32_t i = 0; i < world->client_count; i++)
        if (world->clients[i].node == (int32_t)node)
            leave(world, &world->clients[i], 50, 600);
}

void clients_start_over(struct world *world, uint32_t node)
{
    for (uint32_t i = 0; i < world->client_count; i++)
        if (world->clients[i].node == (int32_t)node && world->clients[i].attached)
            world->clients[i].start_over = true;
    for (uint32_t i = 0; i < world->node_count; i++)
        if (world->nodes[i].link.state == LINK_LIVE && world->nodes[i].link.to == node)
            world->nodes[i].link.started_over = true;
}

/* ---- hello ---- */

static void attach(struct world *world, struct client *client, int64_t next)
{
    struct journal *log = replica_journal(world->nodes[client->node].replica);
    cursor_detach(&client->cursor);
    if (!cursor_attach(&client->cursor, log, next))
        world_fail(world, "a client can't be put before %lld of %s", (long long)next,
                   journal_stream(log));
    client->attached = true;
    client->start_over = false;
}

/* Trades up to these came before its hello: its node knows them, or would if its keeper were whole.
 * TRADES_MAX: there was none, so the first one tells. */
static void find_bases(const struct world *world, struct client *client)
{
    const struct notebook *notebook = world->nodes[client->node].notebook;
    int32_t missed[PAIRS];
    monitor_missed(world, client->stream, client->chain, client->seq, missed);
    for (uint32_t pair = 0; pair < PAIRS; pair++) {
        int32_t highest = notebook->highest[pair];
        if (missed[pair] > highest)
            highest = missed[pair];
        client->base[pair] = highest == 0 ? TRADES_MAX : highest;
    }
}

/* hello, with a snapshot: from here on, and nothing is promised of what was before. */
static void greet_anew(struct world *world, struct client *client)
{
    const struct node *node = &world->nodes[client->node];
    struct journal *log = replica_journal(node->replica);
    int64_t next = journal_next(log);
    attach(world, client, next);
    for (uint32_t pair = 0; pair < PAIRS; pair++)
        for (int32_t id = client->base[pair] + 1;
             client->hellos > 0 && id <= client->got.highest[pair]; id++)
            world->counts->trades_missing_over_hello += !notebook_has(&client->ever, pair, id);
    client->hellos++;
    client->stream = monitor_stream(world, journal_stream(log));
    client->seq = next - 1;
    client->epoch = journal_epoch_at(log, next - 1);
    client->has_token = client->epoch > 0;
    client->chain = monitor_find(world, client->stream, client->epoch, client->seq);
    client->got = (struct notebook){0};
    memset(client->declared, 0, sizeof client->declared);
    find_bases(world, client);
    if (node->mode == REPLICA_ALONE) {
        client->stood_alone = true;
        memcpy(client->since_alone, client->base, sizeof client->base);
    }
    world_trace(world, "client %d: hello at %s, %s.%lld.%lld", (int)(client - world->clients),
                node->name, journal_stream(log), (long long)client->epoch, (long long)client->seq);
}

static void join(struct world *world, struct client *client)
{
    const struct node *node = &world->nodes[client->node];
    struct journal *log = replica_journal(node->replica);
    if (client->has_token &&
        strcmp(monitor_stream_name(world, client->stream), journal_stream(log)) == 0) {
        bool ahead = client->seq >= journal_next(log);
        if (ahead && world->now_ms < client->deadline_ms)
            return;
        if (!ahead && journal_epoch_at(log, client->seq) == client->epoch) {
            attach(world, client, client->seq + 1);
            world->counts->resumes++;
            return;
        }
    }
    if (client->has_token) {
        world->counts->refused_tokens++;
        world_trace(world, "client %d: token %s.%lld.%lld refused by %s",
                    (int)(client - world->clients), monitor_stream_name(world, client->stream),
                    (long long)client->epoch, (long long)client->seq, node->name);
    } else {
        world->counts->joins++;
    }
    greet_anew(world, client);
}

static void look_for_node(struct world *world, struct client *client)
{
    uint32_t index = dice_below(&world->dice, world->node_count);
    const struct node *node = &world->nodes[index];
    if (world->now_ms < client->due_ms)
        return;
    client->due_ms = world->now_ms + 100;
    if (!node_runs(node) || !node->served || node->leaving)
        return;
    client->node = (int32_t)index;
    client->deadline_ms = world->now_ms + TOKEN_WAIT_MS;
}

/* ---- messages ---- */

static void on_epoch(struct world *world, struct client *client, struct slice text)
{
    int64_t epoch = number_behind(text, "\"epoch\":");
    if (epoch <= client->epoch)
        world_fail(world, "client %d: epoch %lld after %lld", (int)(client - world->clients),
                   (long long)epoch, (long long)client->epoch);
    client->epoch = epoch;
}

static void on_gap(struct client *client, const struct record *record)
{
    uint32_t pair =
        (uint32_t)(record->key.data[1] - '0') * 2 + (uint32_t)(record->key.data[4] - '0');
    int64_t to = number_behind(record->text, "\"to\":");
    for (int64_t id = number_behind(record->text, "\"from\":"); id <= to; id++)
        client->declared[pair][id / 64] |= UINT64_C(1) << (id % 64);
}

static void on_trade(struct world *world, struct client *client, uint32_t pair, int32_t id)
{
    if (notebook_has(&client->got, pair, id))
        world_fail(world, "client %d: trade %u/%d twice", (int)(client - world->clients), pair, id);
    world->counts->trades_again_over_hello += notebook_has(&client->ever, pair, id);
    if (client->base[pair] == TRADES_MAX)
        client->base[pair] = id;
    if (client->since_alone[pair] == TRADES_MAX)
        client->since_alone[pair] = id;
    notebook_add(&client->got, pair, id, 0);
    notebook_add(&client->ever, pair, id, 0);
}

static void on_frame(struct world *world, struct client *client, struct slice frame)
{
    char key[LIMIT_KEY];
    struct record record = {.stream = monitor_stream_name(world, client->stream)};
    size_t header = frame_header_size((const uint8_t *)frame.data);
    uint32_t pair;
    int32_t id;
    record.text = (struct slice){.data = frame.data + header, .size = frame.size - header};
    if (!record_read_head(record.text, key, &record) || record.seq != client->seq + 1) {
        world_fail(world, "client %d: %lld after %lld", (int)(client - world->clients),
                   (long long)record.seq, (long long)client->seq);
        return;
    }
    if (slice_is(record.type, "epoch"))
        on_epoch(world, client, record.text);
    else if (record.type.data[0] == 'g')
        on_gap(client, &record);
    else if (trade_read(&record, &pair, &id))
        on_trade(world, client, pair, id);
    record.epoch = client->epoch;
    if (client->epoch > 0)
        client->chain = monitor_name(world, &record, client->chain, "a client");
    client->seq = record.seq;
    client->has_token = client->epoch > 0;
    client->heard_ms = world->now_ms;
    world->counts->delivered++;
}

/* all: of a log that is no longer its node's as well. */
static void read_on(struct world *world, struct client *client, bool all)
{
    while (!world->failed) {
        struct slice frame = all ? cursor_peek_until(&client->cursor, 1, INT64_MAX)
                                 : cursor_peek(&client->cursor, 1);
        if (frame.size == 0)
            return;
        on_frame(world, client, frame);
        (void)cursor_advance(&client->cursor, frame.size);
    }
}

static void start_over(struct world *world, struct client *client)
{
    if (dice_chance(&world->dice, 50) || world->lone >= 0)
        read_on(world, client, true);
    world->counts->start_overs++;
    greet_anew(world, client);
}

static void measure_silence(struct world *world, const struct client *client)
{
    int64_t silence_ms = world->now_ms - client->heard_ms;
    if (world->market.open && !client->idle && silence_ms > world->silence_ms)
        world->silence_ms = silence_ms;
}

void client_step(struct world *world, struct client *client)
{
    measure_silence(world, client);
    if (client->node < 0) {
        look_for_node(world, client);
        return;
    }
    const struct node *node = &world->nodes[client->node];
    if (!node_runs(node)) {
        if (!world->healed && dice_chance(&world->dice, 3))
            leave(world, client, 50, 500);
        return;
    }
    if (!client->attached) {
        join(world, client);
        return;
    }
    if (dice_chance(&world->dice, 2) && !world->healed)
        client->idle = !client->idle;
    if (world->healed || world->lone >= 0)
        client->idle = false;
    if (client->start_over || cursor_lost(&client->cursor))
        start_over(world, client);
    else if (!client->idle)
        read_on(world, client, false);
    if (!world->single && !world->healed && dice_below(&world->dice, 1000) < 4)
        leave(world, client, 50, 3000);
}
