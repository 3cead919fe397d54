/* SPDX-License-Identifier: Apache-2.0 */
/* The words for channels and verdicts: configuration and metrics show them. */
#include "exchange/exchange.h"

const char *const channel_names[CHANNEL_COUNT] = {
    [CHANNEL_TRADE] = "trade",
    [CHANNEL_TICKER] = "ticker",
    [CHANNEL_BOOK] = "book",
    [CHANNEL_QUOTE] = "quote",
};

const char *const decode_verdict_names[DECODE_VERDICT_COUNT] = {
    [DECODE_EVENTS] = "events",
    [DECODE_NOTHING] = "nothing",
    [DECODE_ACKNOWLEDGED] = "acknowledged",
    [DECODE_REFUSED] = "refused",
    [DECODE_KEPT_ALIVE] = "kept_alive",
    [DECODE_LEAVING] = "leaving",
    [DECODE_UNKNOWN_TYPE] = "unknown_type",
    [DECODE_UNKNOWN_SYMBOL] = "unknown_symbol",
    [DECODE_MALFORMED] = "malformed",
};

bool channel_find(struct slice name, enum channel *ret_channel)
{
    for (unsigned i = 0; i < CHANNEL_COUNT; i++) {
        if (slice_is(name, channel_names[i])) {
            *ret_channel = (enum channel)i;
            return true;
        }
    }
    return false;
}
