/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pairs of which something is kept: an exchange and a symbol, or an exchange alone (statuses
 * without symbol). Each is one state (keeper_save_state). They stay where they are, in the order of
 * their coming, LIMIT_STATES at most. Thread: the keeper's.
 */
#pragma once

#include "keeper/trade_keys.h"

#define PAIR_KEY_MAX (LIMIT_KEY + 2)

struct entry;

struct pair {
    uint64_t hash;
    char key[PAIR_KEY_MAX]; /* exchange, symbol, each ended by a NUL */
    uint8_t exchange_size, symbol_size;
    struct entry *entries;   /* borrowed; the keeper's, linked by pair_next, newest first */
    struct trade_keys *keys; /* owned; NULL: none yet */
    int64_t keys_through;    /* trades up to this seq are in them, or were */
    int64_t ahead;           /* what was loaded holds up to there, at most */
    bool complete;           /* a state was loaded: nothing before it is missing */
};

struct pair_table {
    struct pair **slots; /* owned; open addressing, a power of two, at most half full */
    size_t slot_count;
    struct pair **pairs; /* owned, and so are they */
    size_t count;
};

void pair_table_init(struct pair_table *table);
void pair_table_release(struct pair_table *table);

/* NULL: not there. */
struct pair *pair_table_find(const struct pair_table *table, struct slice exchange,
                             struct slice symbol);

/* Makes it when it is not there. NULL: no room for more, or the names are too long. */
struct pair *pair_table_get(struct pair_table *table, struct slice exchange, struct slice symbol);

static inline struct slice pair_exchange(const struct pair *pair)
{
    return (struct slice){.data = pair->key, .size = pair->exchange_size};
}

static inline struct slice pair_symbol(const struct pair *pair)
{
    return (struct slice){.data = pair->key + pair->exchange_size + 1, .size = pair->symbol_size};
}
