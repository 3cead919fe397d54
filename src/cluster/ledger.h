/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which trades a node has delivered, and which it has seen in the cluster's stream while it comes
 * back from standing alone: so that each is delivered once over the change. A multiset: exchanges
 * without ids have trades that look alike.
 *
 * Bound: the last LEDGER_TRADES trades; older ones are forgotten, and ledger_knows_since says from
 * when on it knows. Nothing is allocated after create. Thread: the replica's.
 */
#pragma once

#include "base/attr.h"

#define LEDGER_TRADES 16384

struct ledger;

struct ledger *ledger_create(void) MUST_CHECK;
void ledger_destroy(struct ledger *ledger); /* NULL is a no-op */

/* Clients were given it. own_seq: its number, when it came by this node's own exchange connections,
 * so that it will be waited for; else 0. */
void ledger_deliver(struct ledger *ledger, uint64_t hash, int64_t recv_us, int64_t own_seq);

/* The cluster's stream has it. False: it was never delivered here, or less often: deliver it. */
bool ledger_see(struct ledger *ledger, uint64_t hash);

/* What was seen counts no more: the cluster's stream is read anew. */
void ledger_forget_seen(struct ledger *ledger);

/* Own trades received since then that were not seen yet. */
uint32_t ledger_unseen(const struct ledger *ledger, int64_t since_us);

struct ledger_trade {
    uint64_t hash;
    int64_t recv_us;
    int64_t seq; /* the number under which it was delivered */
};

/* The same, one after the other, as they were delivered. step: 0 first, then as it was left. False:
 * there are no more. */
bool ledger_next_unseen(const struct ledger *ledger, int64_t since_us, uint32_t *step,
                        struct ledger_trade *ret_trade);

/* Receipt of the newest trade that was forgotten; 0: none was. */
int64_t ledger_knows_since(const struct ledger *ledger);
