/* SPDX-License-Identifier: Apache-2.0 */
/* What a client of a quotation venue asks for: the array of objects, read. */
#pragma once

#include "sim/quotation.h"

struct quotation_request {
    struct quotation_subscription subscription; /* the caller's to release */
    bool has_format;
    bool list; /* LIST_SUBSCRIPTIONS: the subscription is empty but for its format */
    char ticket[128];
};

/* *ret_request is set when it is QUOTATION_GOOD, and only then. */
enum quotation_error quotation_request_read(const struct quotation_style *style,
                                            const struct exchange *exchange, struct slice text,
                                            struct quotation_request *ret_request) MUST_CHECK;

void quotation_subscription_release(struct quotation_subscription *subscription);

/* The answer to LIST_SUBSCRIPTIONS. */
void quotation_list_write(const struct quotation_subscription *subscription, const char *ticket,
                          struct buffer *out);

/* {"error":{...}}; name and message in changing order. */
void quotation_error_write(enum quotation_error error, bool message_first, struct buffer *out);

/* Candle number i: "candle.1s"; static. Its length in seconds. */
const char *quotation_candle_name(unsigned candle);
int64_t quotation_candle_seconds(unsigned candle);

/* What `level` may say of this market: the group in ticks; 0: nothing of the kind. `level` is in
 * the quote currency. */
int64_t quotation_level_ticks(const struct market *market, const json_t *level,
                              int64_t level_default);
