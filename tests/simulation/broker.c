/* SPDX-License-Identifier: Apache-2.0 */
/* The log of the modelled Kafka. */
#include "tests/simulation/broker.h"

#include "base/memory.h"

#include <assert.h>

#define ARENA_SIZE (64 * MEBIBYTE)
#define ENTRIES_FIRST 4096

struct broker *broker_create(struct world *world)
{
    struct broker *broker = memory_alloc(sizeof *broker);
    broker->world = world;
    broker->capacity = ENTRIES_FIRST;
    broker->entries = memory_array(ENTRIES_FIRST, sizeof broker->entries[0]);
    broker->arena_size = ARENA_SIZE;
    broker->arena = memory_alloc(ARENA_SIZE);
    return broker;
}

void broker_destroy(struct broker *broker)
{
    memory_free(broker->entries);
    memory_free(broker->arena);
    memory_free(broker);
}

void broker_begin(struct broker *broker)
{
    broker->count = broker->low = 0;
    broker->ids = 0;
    broker->down = broker->frozen = broker->lost = false;
    broker->restarts = 0;
    broker->ghost_count = 0;
    broker->arena_used = 0;
}

void *broker_room(struct broker *broker, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    assert(broker->arena_used + size <= broker->arena_size);
    void *room = broker->arena + broker->arena_used;
    broker->arena_used += size;
    return room;
}

struct slice broker_copy(struct broker *broker, struct slice text)
{
    char *room = broker_room(broker, text.size + 1 + LIMIT_PADDING);
    memcpy(room, text.data, text.size);
    memset(room + text.size, 0, 1 + LIMIT_PADDING);
    return (struct slice){.data = room, .size = text.size};
}

const char *broker_copy_text(struct broker *broker, const char *text)
{
    size_t size = strlen(text) + 1;
    char *room = broker_room(broker, size);
    memcpy(room, text, size);
    return room;
}

bool broker_answers(const struct broker *broker)
{
    return !broker->down && !broker->frozen;
}

void broker_append(struct broker *broker, const struct item *item)
{
    if (broker->count == broker->capacity) {
        broker->capacity *= 2;
        broker->entries =
            memory_resize(broker->entries, (size_t)broker->capacity, sizeof broker->entries[0]);
    }
    broker->entries[broker->count++] =
        (struct entry){.item = item, .id = ++broker->ids, .landed_ms = broker->world->now_ms};
}

void broker_ghost(struct broker *broker, const struct item *item, int64_t due_ms)
{
    if (broker->ghost_count == GHOSTS_MAX)
        return; /* lost, as it may be */
    broker->ghosts[broker->ghost_count].item = item;
    broker->ghosts[broker->ghost_count++].due_ms = due_ms;
}

void broker_step(struct broker *broker)
{
    uint32_t kept = 0;
    if (!broker_answers(broker))
        return;
    for (uint32_t i = 0; i < broker->ghost_count; i++) {
        if (broker->ghosts[i].due_ms <= broker->world->now_ms) {
            broker_append(broker, broker->ghosts[i].item);
            broker->world->counts->late_writes++;
        } else {
            broker->ghosts[kept++] = broker->ghosts[i];
        }
    }
    broker->ghost_count = kept;
}

int64_t broker_newest_barrier(const struct broker *broker, const char *stream)
{
    int64_t newest = 0;
    for (int64_t at = broker->low; at < broker->count; at++) {
        const struct item *item = broker->entries[at].item;
        if (item->kind == ITEM_BARRIER && item->barrier.epoch > newest &&
            strcmp(item->barrier.stream, stream) == 0)
            newest = item->barrier.epoch;
    }
    return newest;
}

bool beacon_fits(const struct beacon *beacon, int64_t position)
{
    return beacon->now.position <= position && beacon->barrier < position &&
           (beacon->start.stream[0] == '\0' || beacon->start.position <= beacon->now.position);
}

static bool is_usable(const struct broker *broker, int64_t at)
{
    const struct item *item = broker->entries[at].item;
    return item->kind == ITEM_BEACON && beacon_fits(&item->beacon, at) &&
           item->beacon.start.stream[0] != '\0' && item->beacon.start.position >= broker->low;
}

const struct beacon *broker_newest_start(const struct broker *broker)
{
    for (int64_t at = broker->count - 1; at >= broker->low; at--)
        if (is_usable(broker, at))
            return &broker->entries[at].item->beacon;
    return NULL;
}

const struct beacon *broker_start(const struct broker *broker, int64_t window)
{
    int64_t from = broker->count - window;
    for (int64_t to = broker->count; to > broker->low; to = from, from -= 10 * window) {
        from = from < broker->low ? broker->low : from;
        for (int64_t at = from; at < to; at++)
            if (is_usable(broker, at))
                return &broker->entries[at].item->beacon;
    }
    return NULL;
}
