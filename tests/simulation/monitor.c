/* SPDX-License-Identifier: Apache-2.0 */
/* The names there are, and what is checked with them. */
#include "tests/simulation/monitor.h"

#include "tests/simulation/broker.h"

#include "base/memory.h"

#include <assert.h>

#define NAMES_FIRST 16384
#define SEQS_FIRST 4096
#define SUSPECTS 1024

struct stream_names {
    char name[LIMIT_STREAM_ID];
    uint32_t *by_seq; /* the newest name of each seq; 0: none */
    int64_t capacity, highest;
    int32_t begun[PAIRS]; /* the highest trade that was known to who named it; 0: none */
};

/* Accepted after the node had read a barrier of `barrier`: right only if it stands before that
 * epoch's first record. */
struct suspect {
    uint32_t node;
    uint16_t stream;
    int64_t epoch, seq, barrier;
};

struct monitor {
    struct stream_names streams[STREAMS];
    uint16_t stream_count;
    struct name *names; /* from 1 on */
    uint32_t count, capacity;
    struct suspect suspects[SUSPECTS];
    uint32_t suspect_count;
};

struct monitor *monitor_create(void)
{
    struct monitor *monitor = memory_alloc(sizeof *monitor);
    monitor->capacity = NAMES_FIRST;
    monitor->names = memory_array(NAMES_FIRST, sizeof monitor->names[0]);
    return monitor;
}

void monitor_destroy(struct monitor *monitor)
{
    for (uint32_t i = 0; i < STREAMS; i++)
        memory_free(monitor->streams[i].by_seq);
    memory_free(monitor->names);
    memory_free(monitor);
}

void monitor_begin(struct monitor *monitor)
{
    for (uint32_t i = 0; i < monitor->stream_count; i++) {
        struct stream_names *stream = &monitor->streams[i];
        memset(stream->by_seq, 0, (size_t)(stream->highest + 1) * sizeof stream->by_seq[0]);
        stream->highest = 0;
    }
    monitor->stream_count = 0;
    monitor->suspect_count = 0;
    monitor->count = 1;
}

/* ---- names ---- */

uint16_t monitor_stream(struct world *world, const char *stream)
{
    struct monitor *monitor = world->monitor;
    for (uint16_t i = monitor->stream_count; i > 0; i--)
        if (strcmp(monitor->streams[i - 1].name, stream) == 0)
            return (uint16_t)(i - 1);
    if (monitor->stream_count == STREAMS) {
        world_fail(world, "more than %d streams", STREAMS);
        return 0;
    }
    struct stream_names *names = &monitor->streams[monitor->stream_count];
    bool fits = slice_copy(slice_of(stream), names->name, sizeof names->name);
    assert(fits);
    (void)fits;
    if (names->by_seq == NULL) {
        names->capacity = SEQS_FIRST;
        names->by_seq = memory_array(SEQS_FIRST, sizeof names->by_seq[0]);
    }
    memset(names->begun, 0, sizeof names->begun);
    return monitor->stream_count++;
}

const char *monitor_stream_name(const struct world *world, uint16_t stream)
{
    return world->monitor->streams[stream].name;
}

void monitor_renamed(struct node *node)
{
    struct world *world = node->world;
    uint16_t stream = monitor_stream(world, journal_stream(replica_journal(node->replica)));
    memcpy(world->monitor->streams[stream].begun, node->notebook->highest,
           sizeof node->notebook->highest);
}

uint32_t monitor_find(const struct world *world, uint16_t stream, int64_t epoch, int64_t seq)
{
    const struct monitor *monitor = world->monitor;
    const struct stream_names *names = &monitor->streams[stream];
    if (seq < 1 || seq > names->highest)
        return 0;
    uint32_t index = names->by_seq[seq];
    while (index != 0 && monitor->names[index].epoch != epoch)
        index = monitor->names[index].other;
    return index;
}

void monitor_missed(const struct world *world, uint16_t stream, uint32_t chain, int64_t seq,
                    int32_t ret_highest[PAIRS])
{
    const struct monitor *monitor = world->monitor;
    const struct stream_names *names = &monitor->streams[stream];
    memcpy(ret_highest, names->begun, sizeof names->begun);
    if (seq > names->highest)
        seq = names->highest;
    for (uint32_t index = chain; seq >= 1; seq--) {
        const struct name *name = &monitor->names[index == 0 ? names->by_seq[seq] : index];
        if (name->trade > ret_highest[name->pair])
            ret_highest[name->pair] = name->trade;
        index = name->before;
    }
}

static uint64_t hash_of(struct slice text)
{
    uint64_t hash = text.size, word;
    size_t at = 0;
    for (; at + sizeof word <= text.size; at += sizeof word) {
        memcpy(&word, text.data + at, sizeof word);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    for (; at < text.size; at++)
        hash = (hash ^ (uint8_t)text.data[at]) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ (hash >> 32);
}

/* That it stands for a trade, or for a gap, which counts as its last one. */
static void name_read(struct name *name, const struct record *record)
{
    uint32_t pair;
    int32_t id;
    if (!trade_read(record, &pair, &id) && !gap_read(record, &pair, &id))
        return;
    name->pair = (uint8_t)pair;
    name->trade = id;
}

static uint32_t name_add(struct monitor *monitor, uint16_t stream, const struct record *record,
                         uint64_t hash)
{
    struct stream_names *names = &monitor->streams[stream];
    if (monitor->count == monitor->capacity) {
        monitor->capacity *= 2;
        monitor->names = memory_resize(monitor->names, monitor->capacity, sizeof monitor->names[0]);
    }
    while (record->seq >= names->capacity) {
        names->by_seq =
            memory_resize(names->by_seq, (size_t)names->capacity * 2, sizeof names->by_seq[0]);
        memset(names->by_seq + names->capacity, 0,
               (size_t)names->capacity * sizeof names->by_seq[0]);
        names->capacity *= 2;
    }
    monitor->names[monitor->count] =
        (struct name){.epoch = record->epoch, .hash = hash, .other = names->by_seq[record->seq]};
    name_read(&monitor->names[monitor->count], record);
    names->by_seq[record->seq] = monitor->count;
    if (record->seq > names->highest)
        names->highest = record->seq;
    return monitor->count++;
}

uint32_t monitor_name(struct world *world, const struct record *record, uint32_t before,
                      const char *who)
{
    struct monitor *monitor = world->monitor;
    uint16_t stream = monitor_stream(world, record->stream);
    uint64_t hash = hash_of(record->text);
    uint32_t index = monitor_find(world, stream, record->epoch, record->seq);
    if (index == 0)
        index = name_add(monitor, stream, record, hash);
    struct name *name = &monitor->names[index];
    if (name->hash != hash)
        world_fail(world, "%s.%lld.%lld stands for other bytes at %s", record->stream,
                   (long long)record->epoch, (long long)record->seq, who);
    if (name->before == 0)
        name->before = before;
    else if (before != 0 && name->before != before)
        world_fail(world, "%s.%lld.%lld comes behind epoch %lld at %s, and behind %lld elsewhere",
                   record->stream, (long long)record->epoch, (long long)record->seq,
                   (long long)monitor->names[before].epoch, who,
                   (long long)monitor->names[name->before].epoch);
    return index;
}

/* ---- logs ---- */

void monitor_accepted(struct node *node, struct journal *journal, const struct record *record)
{
    struct world *world = node->world;
    uint16_t stream = monitor_stream(world, record->stream);
    int64_t epoch = journal_epoch_at(journal, record->seq - 1);
    uint32_t before = epoch == 0 ? 0 : monitor_find(world, stream, epoch, record->seq - 1);
    (void)monitor_name(world, record, before, node->name);
    world->counts->records++;
    if (journal != replica_journal(node->replica))
        return;
    struct monitor *monitor = world->monitor;
    if (node->barrier[stream] > record->epoch && monitor->suspect_count < SUSPECTS)
        monitor->suspects[monitor->suspect_count++] =
            (struct suspect){.node = node->index,
                             .stream = stream,
                             .epoch = record->epoch,
                             .seq = record->seq,
                             .barrier = node->barrier[stream]};
}

void monitor_barrier(struct node *node, const struct barrier *barrier)
{
    uint16_t stream = monitor_stream(node->world, barrier->stream);
    if (barrier->epoch > node->barrier[stream])
        node->barrier[stream] = barrier->epoch;
}

void monitor_taken(struct node *node)
{
    struct world *world = node->world;
    const char *name = journal_stream(replica_journal(node->replica));
    uint16_t stream = monitor_stream(world, name);
    int64_t newest = node->barrier[stream];
    if (world->broker->lost && broker_newest_barrier(world->broker, name) < newest)
        newest = broker_newest_barrier(world->broker, name);
    memset(node->barrier, 0, sizeof node->barrier);
    node->barrier[stream] = newest;
}

void monitor_step(struct world *world)
{
    struct counts *counts = world->counts;
    for (uint32_t i = 0; i < world->node_count; i++) {
        struct node *node = &world->nodes[i];
        struct replica_info info;
        if (!node->alive)
            continue;
        replica_describe(node->replica, &info);
        counts->mode[info.mode]++;
        counts->takeovers += info.leader && !node->was_leader;
        counts->fenced += info.fenced && !node->was_fenced;
        counts->rewrites += info.rewrites - node->rewrites;
        node->was_leader = info.leader;
        node->was_fenced = info.fenced;
        node->rewrites = info.rewrites;
    }
}

/* ---- the end ---- */

/* P4 */
static void check_suspect(struct world *world, const struct suspect *suspect)
{
    const char *stream = monitor_stream_name(world, suspect->stream);
    int64_t highest = world->monitor->streams[suspect->stream].highest, first = 1;
    while (first <= highest && monitor_find(world, suspect->stream, suspect->barrier, first) == 0)
        first++;
    if (first <= highest && suspect->seq >= first)
        world_fail(world,
                   "node-%u served %s.%lld.%lld after it had read a barrier of %lld, which "
                   "begins with %lld",
                   suspect->node, stream, (long long)suspect->epoch, (long long)suspect->seq,
                   (long long)suspect->barrier, (long long)first);
}

static const struct node *leader_of(const struct world *world)
{
    for (uint32_t i = 0; i < world->node_count; i++)
        if (world->nodes[i].alive && node_leads(&world->nodes[i]))
            return &world->nodes[i];
    return NULL;
}

bool monitor_keepers_agree(const struct world *world)
{
    const struct node *leader = leader_of(world);
    for (uint32_t i = 0; leader != NULL && i < world->node_count; i++)
        if (memcmp(leader->notebook->known, world->nodes[i].notebook->known,
                   sizeof leader->notebook->known) != 0)
            return false;
    return true;
}

static void check_node(struct world *world, const struct node *leader, const struct node *node)
{
    const struct journal *log = replica_journal(leader->replica),
                         *other = replica_journal(node->replica);
    int64_t next = journal_next(log);
    if (strcmp(journal_stream(log), journal_stream(other)) != 0 || journal_next(other) != next ||
        journal_epoch(other) != journal_epoch(log))
        world_fail(world, "%s ends with %s.%lld.%lld, the leader %s with %s.%lld.%lld", node->name,
                   journal_stream(other), (long long)journal_epoch(other),
                   (long long)journal_next(other) - 1, leader->name, journal_stream(log),
                   (long long)journal_epoch(log), (long long)next - 1);
    for (uint32_t pair = 0; pair < PAIRS; pair++) {
        const struct notebook *left = leader->notebook, *right = node->notebook;
        if (left->last[pair] != right->last[pair] || left->last_seq[pair] != right->last_seq[pair])
            world_fail(world, "%s knows %d (%lld) as the last trade of %u, the leader %s %d (%lld)",
                       node->name, right->last[pair], (long long)right->last_seq[pair], pair,
                       leader->name, left->last[pair], (long long)left->last_seq[pair]);
        if (memcmp(left->known[pair], right->known[pair], sizeof left->known[pair]) != 0)
            world_fail(world, "%s knows other trades of %u than the leader %s", node->name, pair,
                       leader->name);
    }
}

static void check_client(struct world *world, uint32_t index, const struct node *leader)
{
    const struct client *client = &world->clients[index];
    struct journal *log = replica_journal(leader->replica);
    if (!client->attached || client->seq != journal_next(log) - 1)
        world_fail(world, "client %u ends with %lld, the leader with %lld", index,
                   (long long)client->seq, (long long)journal_next(log) - 1);
    for (uint32_t pair = 0; pair < PAIRS; pair++)
        for (int32_t id = client->base[pair] + 1; id <= world->market.count[pair]; id++)
            if (!notebook_has(&client->got, pair, id) &&
                (client->declared[pair][id / 64] >> (id % 64) & 1) == 0)
                world_fail(world, "client %u never got trade %u/%d, made at %d ms", index, pair, id,
                           world->market.made_ms[pair][id]);
}

/* One thing broke, once: nobody notices more than a pause. */
static void check_single(struct world *world)
{
    uint64_t start_overs = world->counts->start_overs - world->before.start_overs;
    uint64_t refused = world->counts->refused_tokens - world->before.refused_tokens;
    uint64_t streams = world->counts->new_streams - world->before.new_streams;
    bool lone = world->lone >= 0;
    if ((start_overs > 0 && !lone) || refused > 0 || streams > (lone ? 2 : 1))
        world_fail(world,
                   "one fault, and %d clients started over, %d tokens were refused, %d "
                   "streams",
                   (int)start_overs, (int)refused, (int)streams);
}

/* P1 across `hello`: who stays with a node that stood alone has each trade once when that comes
 * home; and none twice from before that on. */
static void check_lone(struct world *world)
{
    uint64_t again = world->counts->trades_again_over_hello - world->before.trades_again_over_hello;
    if (again > 0)
        world_fail(world, "%d trades came again over a hello", (int)again);
    for (uint32_t i = 0; i < world->client_count; i++) {
        const struct client *client = &world->clients[i];
        world->counts->came_home += client->stood_alone;
        for (uint32_t pair = 0; pair < PAIRS && client->stood_alone; pair++)
            for (int32_t id = client->since_alone[pair] + 1; id <= world->market.count[pair]; id++)
                if (!notebook_has(&client->ever, pair, id))
                    world_fail(world, "client %u lost trade %u/%d, made at %d ms, over a hello", i,
                               pair, id, world->market.made_ms[pair][id]);
    }
}

void monitor_end(struct world *world)
{
    const struct node *leader = leader_of(world);
    for (uint32_t i = 0; i < world->monitor->suspect_count; i++)
        check_suspect(world, &world->monitor->suspects[i]);
    if (leader == NULL) {
        world_fail(world, "nobody leads in the end");
        return;
    }
    for (uint32_t i = 0; i < world->node_count; i++)
        check_node(world, leader, &world->nodes[i]);
    for (uint32_t i = 0; i < world->client_count; i++)
        check_client(world, i, leader);
    if (world->single)
        check_single(world);
    if (world->lone >= 0)
        check_lone(world);
}
