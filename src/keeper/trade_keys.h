/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the last trades of one symbol are known by, so that any node can go on without delivering
 * one twice (design: "Trades: once each"). A trade with an id is known by it, one without by (time,
 * side, price, size). Made from accepted records alone, so it is the same on every node.
 *
 * Kept: the last TRADE_KEYS_MAX, and none received more than TRADE_KEYS_AGE_US before the last one
 * that came; in memory that grows with what is kept: 1 KB at first, 64 KB at most. A trade whose id
 * is longer than LIMIT_TRADE_ID or has a JSON escape, which no exchange's has, is not kept.
 *
 * As JSON, in a state: ["ID",TS,RECV] or [TS,RECV,"SIDE","PRICE","SIZE"].
 *
 * Thread: the keeper's.
 */
#pragma once

#include "market/event.h"
#include "market/scan.h"

#define TRADE_KEYS_MAX 1000
#define TRADE_KEYS_AGE_US (5 * 60 * INT64_C(1000000))
#define TRADE_KEY_TEXT_MAX 256 /* bytes of one as JSON */

struct trade_key {
    int64_t received_us, exchange_us; /* 0: not given */
    uint8_t id_size;                  /* 0: it has none */
    uint8_t side;                     /* enum side; without an id */
    union {
        char id[LIMIT_TRADE_ID]; /* not terminated */
        struct {
            struct decimal price, size; /* in the one spelling of their values */
        } terms;                        /* without an id */
    };
};

/* Of an event of type trade, as it was read from our JSON. False: not to be kept. */
bool trade_key_make(const struct event *event, struct trade_key *ret_key) MUST_CHECK;

/* Of a trade's record, without reading more of it than that. text: as in struct record. */
bool trade_key_read(struct slice text, struct trade_key *ret_key) MUST_CHECK;

/* The trade as far as the key tells; it borrows from the key. */
struct event trade_key_event(const struct trade_key *key);

/* The same for equal identities (not of recv, nor of the time beside an id); goes on from `hash`.
 */
uint64_t trade_key_hash(const struct trade_key *key, uint64_t hash);

/* As JSON; at most TRADE_KEY_TEXT_MAX bytes, not terminated; returns the end. */
char *trade_key_write(char *out, const struct trade_key *key);

/* From JSON, strictly; fails the scan. */
struct trade_key trade_key_scan(struct scan *scan);

/* ---- the last ones ---- */

struct trade_keys;

struct trade_keys *trade_keys_create(void) MUST_CHECK;
void trade_keys_destroy(struct trade_keys *keys); /* NULL is a no-op */

/* The newest one; what is too old or too much goes. */
void trade_keys_add(struct trade_keys *keys, const struct trade_key *key);

uint32_t trade_keys_count(const struct trade_keys *keys); /* NULL: 0 */

/* index 0: the oldest; less than the count. Valid until the next add. */
const struct trade_key *trade_keys_at(const struct trade_keys *keys, uint32_t index);
