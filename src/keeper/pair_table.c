/* SPDX-License-Identifier: Apache-2.0 */
/* One open-addressed table, keyed by exchange and symbol. */
#include "keeper/pair_table.h"

#include "base/memory.h"

#define TABLE_START 256

static uint64_t names_hash(struct slice exchange, struct slice symbol)
{
    uint64_t hash = slice_hash(exchange) * UINT64_C(0x9e3779b97f4a7c15) + slice_hash(symbol);
    return hash ^ (hash >> 32);
}

static size_t table_slot(const struct pair_table *table, uint64_t hash, struct slice exchange,
                         struct slice symbol)
{
    size_t slot = hash & (table->slot_count - 1);
    for (; table->slots[slot] != NULL; slot = (slot + 1) & (table->slot_count - 1)) {
        const struct pair *pair = table->slots[slot];
        if (pair->hash == hash && slice_equal(pair_exchange(pair), exchange) &&
            slice_equal(pair_symbol(pair), symbol))
            break;
    }
    return slot;
}

static void table_resize(struct pair_table *table, size_t slot_count)
{
    memory_free(table->slots);
    table->slots = memory_array(slot_count, sizeof(struct pair *));
    table->pairs = memory_resize(table->pairs, slot_count / 2, sizeof(struct pair *));
    table->slot_count = slot_count;
    for (size_t i = 0; i < table->count; i++) {
        struct pair *pair = table->pairs[i];
        table->slots[table_slot(table, pair->hash, pair_exchange(pair), pair_symbol(pair))] = pair;
    }
}

void pair_table_init(struct pair_table *table)
{
    *table = (struct pair_table){0};
    table_resize(table, TABLE_START);
}

void pair_table_release(struct pair_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        trade_keys_destroy(table->pairs[i]->keys);
        memory_free(table->pairs[i]);
    }
    memory_free(table->pairs);
    memory_free(table->slots);
    *table = (struct pair_table){0};
}

struct pair *pair_table_find(const struct pair_table *table, struct slice exchange,
                             struct slice symbol)
{
    return table->slots[table_slot(table, names_hash(exchange, symbol), exchange, symbol)];
}

struct pair *pair_table_get(struct pair_table *table, struct slice exchange, struct slice symbol)
{
    uint64_t hash = names_hash(exchange, symbol);
    size_t slot = table_slot(table, hash, exchange, symbol);
    if (table->slots[slot] != NULL)
        return table->slots[slot];
    if (table->count == LIMIT_STATES || exchange.size + symbol.size + 2 > PAIR_KEY_MAX)
        return NULL;
    struct pair *pair = memory_alloc(sizeof *pair);
    pair->hash = hash;
    pair->exchange_size = (uint8_t)exchange.size;
    pair->symbol_size = (uint8_t)symbol.size;
    memcpy(pair->key, exchange.data, exchange.size);
    if (symbol.size > 0)
        memcpy(pair->key + exchange.size + 1, symbol.data, symbol.size);
    table->slots[slot] = pair;
    table->pairs[table->count++] = pair;
    if (table->count == table->slot_count / 2)
        table_resize(table, table->slot_count * 2);
    return pair;
}
