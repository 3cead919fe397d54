/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A payload of Binance, before it is known what it is. Its keys are single letters that mean
 * different things in different events ("a" is an aggregate's id, an ask's price or a list of
 * levels), and the letter that names the event may come last. So each value is read by its shape
 * into the slot of its letter, and the event then asks for the shapes that it needs. For this
 * folder only.
 */
#pragma once

#include "exchange/exchange.h"
#include "market/scan.h"

/* One slot a letter from 'A' to 'z'; the longer keys have those behind. */
#define SLOT(letter) ((unsigned)(unsigned char)(letter) - 'A')

enum slot_long {
    SLOT_PREVIOUS_ID = 58,
    SLOT_LAST_UPDATE_ID,
    SLOT_BIDS,
    SLOT_ASKS,
    SLOT_COUNT = 64
};

enum shape {
    SHAPE_NONE, /* the key did not come */
    SHAPE_TEXT,
    SHAPE_INTEGER,
    SHAPE_DECIMAL,  /* in quotes */
    SHAPE_TOO_LONG, /* the same, of more digits than ours have */
    SHAPE_TRUE,
    SHAPE_FALSE,
    SHAPE_LEVELS, /* b, bids: into the batch's first half; a, asks: into the second */
    SHAPE_OBJECT,
    SHAPE_OTHER,
};

/* What stands in it depends on the shape. */
struct slot {
    struct slice text; /* of a text; of an integer: its digits; of an object: where it begins */
    union {
        struct decimal decimal;
        int64_t integer;
        uint32_t level_count;
    };
};

struct payload {
    uint8_t shape[SLOT_COUNT]; /* enum shape */
    uint8_t repeated;          /* not 0: a key came twice */
    struct slot slot[SLOT_COUNT];
};

static inline void payload_init(struct payload *payload)
{
    memset(payload->shape, SHAPE_NONE, sizeof(payload->shape));
    payload->repeated = 0;
}

/* Takes the value of a key; false when the key has no slot and was passed over. */
bool payload_take(struct payload *payload, struct scan *scan, struct slice key,
                  struct event_batch *batch);

/* All of an object, its opening bracket included. */
void payload_take_object(struct payload *payload, struct scan *scan, struct event_batch *batch);

static inline bool payload_has(const struct payload *payload, char letter, enum shape shape)
{
    return payload->shape[SLOT(letter)] == shape;
}

static inline bool payload_saw(const struct payload *payload, char letter)
{
    return payload->shape[SLOT(letter)] != SHAPE_NONE;
}

static inline struct slice payload_text(const struct payload *payload, char letter)
{
    return payload->slot[SLOT(letter)].text;
}

static inline struct decimal payload_decimal(const struct payload *payload, char letter)
{
    return payload->slot[SLOT(letter)].decimal;
}

static inline int64_t payload_integer(const struct payload *payload, char letter)
{
    return payload->slot[SLOT(letter)].integer;
}
