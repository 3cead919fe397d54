/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last LIMIT_KEEPER_TRADES trades of one symbol: slots of a fixed size, all allocated at create
 * (about 32 kB), nothing afterwards. A record longer than LIMIT_KEEPER_TRADE, which no trade of an
 * exchange is (the longest that ours make have about 250 bytes), is left out and takes an empty
 * slot, so that whoever reads can be told. Thread: the keeper's.
 */
#pragma once

#include "base/limits.h"
#include "base/slice.h"

struct trade_ring;

struct trade_ring *trade_ring_create(void) MUST_CHECK;
void trade_ring_destroy(struct trade_ring *ring); /* NULL is a no-op */

/* Copies the record; when the ring is full it replaces the oldest one. */
void trade_ring_add(struct trade_ring *ring, struct slice text);

uint32_t trade_ring_count(const struct trade_ring *ring);

/* index 0: the newest; less than the count. Empty when that record was left out. Valid until the
 * next add. */
struct slice trade_ring_at(const struct trade_ring *ring, uint32_t index);
