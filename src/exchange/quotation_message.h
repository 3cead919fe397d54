/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message of the quotation protocol, before it is known what it is: keys may come in any order,
 * the type last. Private to the quotation files.
 */
#pragma once

#include "exchange/exchange.h"
#include "market/scan.h"

/* What the keys mean, whichever of their two spellings is used. */
enum quotation_field {
    FIELD_TYPE,
    FIELD_CODE,
    FIELD_ASK_BID,
    FIELD_STREAM_TYPE,
    FIELD_CANDLE_TIME,
    FIELD_STATUS,
    FIELD_TIMESTAMP,
    FIELD_TRADE_TIMESTAMP,
    FIELD_SEQUENTIAL_ID,
    FIELD_TRADE_PRICE,
    FIELD_TRADE_VOLUME,
    FIELD_OPENING_PRICE,
    FIELD_HIGH_PRICE,
    FIELD_LOW_PRICE,
    FIELD_DAY_VOLUME,       /* acc_trade_volume_24h */
    FIELD_DAY_QUOTE_VOLUME, /* acc_trade_price_24h */
    FIELD_CANDLE_VOLUME,
    FIELD_CANDLE_QUOTE_VOLUME,
    FIELD_UNITS,
    FIELD_ERROR,
    FIELD_METHOD,
    FIELD_RESULT,
    FIELD_COUNT /* of any other key: passed over */
};

#define FIELD_BIT(field) (1u << (field))

/* What is in a field depends on its kind. */
struct quotation_value {
    struct slice text; /* of a text; of an integer: its digits */
    union {
        struct decimal decimal;
        int64_t integer;
    };
};

struct quotation_message {
    uint32_t seen;
    uint32_t repeated; /* keys that came twice */
    uint32_t given;    /* with a value of the right kind */
    uint32_t null;
    uint32_t too_long; /* numbers of more digits than ours have */
    uint32_t bid_count, ask_count;
    struct slice words; /* of an error */
    struct slice name;  /* of an error */
    struct quotation_value value[FIELD_COUNT];
};

/* Reads the whole text, an object; book levels go into the batch. False when it is malformed. */
bool quotation_message_read(struct quotation_message *message, struct slice text,
                            struct event_batch *batch);
