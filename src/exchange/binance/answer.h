/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Binance's answers to requests: {"result":null,"id":7}, {"error":{"code":2,"msg":"..."},"id":7},
 * and the flat {"code":2,"msg":"...","id":7}. For this folder only.
 */
#pragma once

#include "exchange/exchange.h"
#include "market/scan.h"

struct answer {
    struct slice words; /* of an error */
    struct slice code;  /* of an error: its digits */
    int64_t id;         /* of the request; -1: none, or not one of ours */
    bool has_result, has_error, has_id, has_code;
    bool muddled; /* a key came twice */
};

/* Takes the value of a key of an answer; false when it is none of these. */
bool answer_take(struct answer *answer, struct scan *scan, struct slice key);

/* Whether a message is one, now that all of it is read. */
bool answer_is(const struct answer *answer, bool has_data);

enum decode_verdict answer_decode(const struct answer *answer, struct event_batch *batch);
