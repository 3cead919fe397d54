/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who knows everything: each name (stream, epoch, seq) that any log or client ever had, what bytes
 * it stood for and what name came before it. When both are the same wherever the name turns up,
 * equal tokens have equal prefixes, by induction.
 */
#pragma once

#include "tests/simulation/world.h"

#define STREAMS 64

struct name {
    int64_t epoch;
    uint64_t hash;   /* of the bytes */
    uint32_t before; /* the name before it; 0: not known yet */
    uint32_t other;  /* the same seq in another epoch; 0: none */
    uint8_t pair;    /* when it is a trade, or a gap */
    int32_t trade;   /* its number, or the last one missing; 0: it is neither */
};

struct monitor *monitor_create(void);
void monitor_destroy(struct monitor *monitor);
void monitor_begin(struct monitor *monitor);

/* The index of a stream's name, and a copy of it that lives as long as the schedule. */
uint16_t monitor_stream(struct world *world, const char *stream);
const char *monitor_stream_name(const struct world *world, uint16_t stream);

/* Its log goes on under another name. */
void monitor_renamed(struct node *node);
/* The highest trade of each pair that who is put behind `seq` has missed by that: those of the
 * stream up to there, and those known to who named it. chain: the name of `seq`; 0: not known. */
void monitor_missed(const struct world *world, uint16_t stream, uint32_t chain, int64_t seq,
                    int32_t ret_highest[PAIRS]);

/* Behind `before` (0: not known) came this record. Returns its name. */
uint32_t monitor_name(struct world *world, const struct record *record, uint32_t before,
                      const char *who);
/* 0: nobody ever had it. */
uint32_t monitor_find(const struct world *world, uint16_t stream, int64_t epoch, int64_t seq);

/* The node's log, or its shadow, has accepted it. */
void monitor_accepted(struct node *node, struct journal *journal, const struct record *record);
void monitor_barrier(struct node *node, const struct barrier *barrier);
/* Its log is another one: a barrier of another stream, or that the broker has lost, is none any
 * more. */
void monitor_taken(struct node *node);
void monitor_step(struct world *world);

/* Every node knows the trades that the leader knows. */
bool monitor_keepers_agree(const struct world *world);

/* Everything is healed and had its time. */
void monitor_end(struct world *world);
