/* SPDX-License-Identifier: Apache-2.0 */
/* The words for channels and verdicts, which configuration and metrics show, and what an adapter's
 * table says only by way of a sum. */
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

uint32_t exchange_symbols_max(const struct exchange *exchange, uint32_t channels)
{
    uint32_t streams = 0; /* of a symbol */
    for (unsigned i = 0; i < CHANNEL_COUNT; i++)
        streams += (channels & exchange->channels & CHANNEL_BIT(i)) != 0;
    if (streams == 0 || exchange->limits.streams_per_connection == 0)
        return UINT32_MAX;
    return exchange->limits.streams_per_connection / streams;
}
