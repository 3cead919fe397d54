/* SPDX-License-Identifier: Apache-2.0 */
/* The modelled Kafka: one topic of one partition, and what may become of it. */
#pragma once

#include "tests/simulation/world.h"

enum item_kind { ITEM_RECORD, ITEM_BARRIER, ITEM_BEACON, ITEM_STATE };

struct item { /* as written; in the broker's arena */
    enum item_kind kind;
    union {
        struct record record;
        struct barrier barrier;
        struct beacon beacon;
        struct state_note state;
    };
};

struct entry { /* as it lies in the log */
    const struct item *item;
    uint64_t id; /* no two entries have the same, whatever their offset */
    int64_t landed_ms;
};

#define GHOSTS_MAX 4096

struct broker {
    struct world *world;
    struct entry *entries;
    int64_t capacity, count; /* offsets 0 .. count - 1 */
    int64_t low;             /* those before it have expired */
    uint64_t ids;
    bool down, frozen;
    bool lost;         /* ever an end, or all */
    uint32_t restarts; /* every connection breaks */
    struct {
        const struct item *item;
        int64_t due_ms;
    } ghosts[GHOSTS_MAX]; /* under way from producers that are gone */
    uint32_t ghost_count;
    char *arena;
    size_t arena_used, arena_size;
};

struct broker *broker_create(struct world *world);
void broker_destroy(struct broker *broker);
void broker_begin(struct broker *broker);
bool broker_answers(const struct broker *broker);
void broker_append(struct broker *broker, const struct item *item);
void broker_step(struct broker *broker);
void broker_ghost(struct broker *broker, const struct item *item, int64_t due_ms);
void *broker_room(struct broker *broker, size_t size);
struct slice broker_copy(struct broker *broker, struct slice text);
const char *broker_copy_text(struct broker *broker, const char *text);

/* The newest epoch of a stream that has a barrier there; 0: none has. */
int64_t broker_newest_barrier(const struct broker *broker, const char *stream);

/* False: it was written about places that are not there any more. As in kafka_decode.c. */
bool beacon_fits(const struct beacon *beacon, int64_t position);

/* The first beacon in the last `window` entries that says where one can begin, else in those before
 * them; NULL: none. As src/stream/kafka/kafka_search.c does it. */
const struct beacon *broker_start(const struct broker *broker, int64_t window);
const struct beacon *broker_newest_start(const struct broker *broker);

/* kafka.c */
extern const struct carrier_kind modelled_kafka_kind;
void kafka_step(struct kafka *kafka); /* time passes for what it has in hand */
bool kafka_caught_up(const struct kafka *kafka);
