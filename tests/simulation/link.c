/* SPDX-License-Identifier: Apache-2.0 */
/* A follower's link to the leader's /ws/exchange, as src/peer would hold it. */
#include "tests/simulation/world.h"

#include "tests/simulation/monitor.h"

#include "base/frame.h"

#include <stdio.h>

#define LOOK_MS 400
#define TOKEN_WAIT_MS 2000
#define ALIVE_MS 500
#define STUCK_MS 3000

void link_close(struct node *node)
{
    cursor_detach(&node->link.cursor);
    node->link.state = LINK_CLOSED;
    node->link.generation++;
}

void link_open(struct node *node, const char *since)
{
    struct link *link = &node->link;
    link_close(node);
    link->state = LINK_LOOKING;
    link->due_ms = node->world->now_ms + dice_between(&node->world->dice, 0, LOOK_MS);
    snprintf(link->since, sizeof link->since, "%s", since);
}

static void look_again(struct node *node)
{
    struct link *link = &node->link;
    cursor_detach(&link->cursor);
    link->state = LINK_LOOKING;
    link->due_ms = node->world->now_ms + dice_between(&node->world->dice, 100, LOOK_MS);
}

static void lose(struct node *node, const char *reason)
{
    bool live = node->link.state == LINK_LIVE;
    world_trace(node->world, "%s: link lost: %s", node->name, reason);
    look_again(node);
    if (live)
        replica_peer_lost(node->replica, reason);
}

/* The cursors must go at once; the followers notice when they run. */
void links_lose(struct world *world, uint32_t to)
{
    for (uint32_t i = 0; i < world->node_count; i++) {
        struct link *link = &world->nodes[i].link;
        if (link->state != LINK_LIVE || link->to != to)
            continue;
        cursor_detach(&link->cursor);
        link->stuck_ms = 1;
    }
}

static bool reachable(const struct node *node, uint32_t to)
{
    const struct node *other = &node->world->nodes[to];
    return node_runs(other) && nodes_meet(node->world, node->index, to);
}

/* The newest epoch's, of those that say they lead. */
static void look(struct node *node)
{
    struct world *world = node->world;
    int64_t newest = -1;
    for (uint32_t i = 0; i < world->node_count; i++) {
        const struct node *other = &world->nodes[i];
        if (i == node->index || !reachable(node, i) || !other->served || !node_leads(other))
            continue;
        int64_t epoch = journal_epoch(replica_journal(other->replica));
        if (epoch > newest) {
            newest = epoch;
            node->link.to = i;
        }
    }
    node->link.due_ms = world->now_ms + dice_between(&world->dice, 50, LOOK_MS);
    if (newest < 0)
        return;
    node->link.state = LINK_JOINING;
    node->link.given_up_ms = world->now_ms + TOKEN_WAIT_MS;
}

/* ---- what the leader says ---- */

static void snapshot(struct node *node, struct node *leader, int64_t seq)
{
    char room[4096];
    struct buffer text;
    uint32_t generation = node->link.generation;
    buffer_init(&text, sizeof room);
    for (uint32_t pair = 0; pair < PAIRS && node->link.generation == generation; pair++) {
        buffer_clear(&text);
        notebook_save(leader->notebook, pair, seq, &text);
        memset(room, 0, sizeof room);
        memcpy(room, text.data, text.size);
        replica_peer_snapshot(node->replica, (struct slice){.data = room, .size = text.size});
    }
    buffer_release(&text);
    if (node->link.generation == generation)
        replica_peer_snapshot_end(node->replica, seq);
    node->world->counts->peer_snapshots++;
}

static void say_hello(struct node *node, bool resumed, int64_t next)
{
    struct link *link = &node->link;
    struct node *leader = &node->world->nodes[link->to];
    struct journal *log = replica_journal(leader->replica);
    uint32_t generation = link->generation;
    struct peer_hello hello = {.stream = journal_stream(log),
                               .node = leader->name,
                               .epoch = journal_epoch_at(log, next - 1),
                               .next = next,
                               .resumed = resumed};
    cursor_detach(&link->cursor);
    if (!cursor_attach(&link->cursor, log, next)) {
        world_fail(node->world, "%s: a link can't be put into %s's log", node->name, leader->name);
        return;
    }
    link->state = LINK_LIVE;
    link->started_over = false;
    link->stuck_ms = 0;
    link->alive_ms = node->world->now_ms;
    node->world->counts->peer_links++;
    world_trace(node->world, "%s: linked to %s, %s from %lld", node->name, leader->name,
                resumed ? "resumed" : "anew", (long long)next);
    replica_peer_hello(node->replica, &hello);
    if (!resumed && link->generation == generation)
        snapshot(node, leader, next - 1);
}

static void join(struct node *node)
{
    struct link *link = &node->link;
    const struct node *leader = &node->world->nodes[link->to];
    struct token token;
    if (!reachable(node, link->to) || !leader->served) {
        look_again(node);
        return;
    }
    struct journal *log = replica_journal(leader->replica);
    if (link->since[0] != '\0' && token_read(slice_of(link->since), &token) &&
        strcmp(token.stream, journal_stream(log)) == 0) {
        bool ahead = token.seq >= journal_next(log);
        if (ahead && node->world->now_ms < link->given_up_ms)
            return;
        if (!ahead && journal_epoch_at(log, token.seq) == token.epoch) {
            say_hello(node, true, token.seq + 1);
            return;
        }
    }
    say_hello(node, false, journal_next(log));
}

static void read_on(struct node *node)
{
    struct link *link = &node->link;
    static char text[LIMIT_RECORD + LIMIT_PADDING + 1];
    uint32_t generation = link->generation;
    while (link->generation == generation && link->state == LINK_LIVE) {
        struct slice frame = cursor_peek(&link->cursor, 1);
        if (frame.size == 0)
            break;
        size_t header = frame_header_size((const uint8_t *)frame.data);
        size_t size = frame.size - header;
        memcpy(text, frame.data + header, size);
        memset(text + size, 0, LIMIT_PADDING + 1);
        (void)cursor_advance(&link->cursor, frame.size);
        replica_peer_record(node->replica, (struct slice){.data = text, .size = size});
    }
}

static void live(struct node *node)
{
    struct link *link = &node->link;
    struct world *world = node->world;
    const struct node *leader = &world->nodes[link->to];
    if (link->cursor.segment == NULL) {
        lose(node, "the connection was reset");
        return;
    }
    if (!reachable(node, link->to)) {
        link->stuck_ms += STEP_MS;
        if (link->stuck_ms >= STUCK_MS)
            lose(node, "nothing was heard");
        return;
    }
    link->stuck_ms = 0;
    if (link->started_over || cursor_lost(&link->cursor)) {
        say_hello(node, false, journal_next(replica_journal(leader->replica)));
        return;
    }
    uint32_t generation = link->generation;
    read_on(node);
    if (link->generation != generation || link->state != LINK_LIVE)
        return;
    if (world->now_ms - link->alive_ms >= ALIVE_MS) {
        link->alive_ms = world->now_ms;
        replica_peer_alive(node->replica);
        if (link->generation == generation && !node_leads(leader))
            lose(node, "it leads no longer");
    }
}

void link_step(struct node *node)
{
    struct link *link = &node->link;
    switch (link->state) {
    case LINK_CLOSED:
        return;
    case LINK_LOOKING:
        if (node->world->now_ms >= link->due_ms)
            look(node);
        return;
    case LINK_JOINING:
        if (node->world->now_ms >= link->due_ms)
            join(node);
        return;
    case LINK_LIVE:
        live(node);
        return;
    }
}
