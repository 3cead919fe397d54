/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of trades, found by hash through chains of indexes. */
#include "cluster/ledger.h"

#include "base/memory.h"

#include <string.h>

#define BUCKETS (2 * LEDGER_TRADES)
#define NONE UINT32_MAX

struct entry {
    uint64_t hash;
    int64_t recv_us;
    int64_t own_seq; /* 0: not own */
    uint32_t next;   /* in its chain; NONE: the last */
    bool seen;
};

struct ledger {
    struct entry entries[LEDGER_TRADES]; /* a ring */
    uint32_t heads[BUCKETS];
    uint64_t count; /* ever delivered; the next one goes to count % LEDGER_TRADES */
    int64_t forgotten_us;
};

struct ledger *ledger_create(void)
{
    struct ledger *ledger = memory_alloc(sizeof *ledger);
    memset(ledger->heads, 0xff, sizeof ledger->heads); /* NONE */
    return ledger;
}

void ledger_destroy(struct ledger *ledger)
{
    memory_free(ledger);
}

static void unchain(struct ledger *ledger, uint32_t index)
{
    uint32_t *link = &ledger->heads[ledger->entries[index].hash % BUCKETS];
    while (*link != index)
        link = &ledger->entries[*link].next;
    *link = ledger->entries[index].next;
}

static uint32_t held(const struct ledger *ledger)
{
    return ledger->count < LEDGER_TRADES ? (uint32_t)ledger->count : LEDGER_TRADES;
}

void ledger_deliver(struct ledger *ledger, uint64_t hash, int64_t recv_us, int64_t own_seq)
{
    uint32_t index = (uint32_t)(ledger->count % LEDGER_TRADES);
    struct entry *entry = &ledger->entries[index];
    uint32_t *head = &ledger->heads[hash % BUCKETS];
    if (ledger->count >= LEDGER_TRADES) {
        if (entry->recv_us > ledger->forgotten_us)
            ledger->forgotten_us = entry->recv_us;
        unchain(ledger, index);
    }
    *entry = (struct entry){.hash = hash, .recv_us = recv_us, .next = *head, .own_seq = own_seq};
    *head = index;
    ledger->count++;
}

bool ledger_see(struct ledger *ledger, uint64_t hash)
{
    for (uint32_t i = ledger->heads[hash % BUCKETS]; i != NONE; i = ledger->entries[i].next) {
        struct entry *entry = &ledger->entries[i];
        if (entry->hash == hash && !entry->seen) {
            entry->seen = true;
            return true;
        }
    }
    return false;
}

void ledger_forget_seen(struct ledger *ledger)
{
    for (uint32_t i = 0; i < held(ledger); i++)
        ledger->entries[i].seen = false;
}

static bool is_unseen(const struct entry *entry, int64_t since_us)
{
    return entry->own_seq != 0 && !entry->seen && entry->recv_us >= since_us;
}

uint32_t ledger_unseen(const struct ledger *ledger, int64_t since_us)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < held(ledger); i++)
        count += is_unseen(&ledger->entries[i], since_us);
    return count;
}

bool ledger_next_unseen(const struct ledger *ledger, int64_t since_us, uint32_t *step,
                        struct ledger_trade *ret_trade)
{
    while (*step < held(ledger)) {
        uint64_t index = (ledger->count - held(ledger) + (*step)++) % LEDGER_TRADES;
        const struct entry *entry = &ledger->entries[index];
        if (!is_unseen(entry, since_us))
            continue;
        *ret_trade = (struct ledger_trade){
            .hash = entry->hash, .recv_us = entry->recv_us, .seq = entry->own_seq};
        return true;
    }
    return false;
}

int64_t ledger_knows_since(const struct ledger *ledger)
{
    return ledger->forgotten_us;
}
