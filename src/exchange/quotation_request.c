/* SPDX-License-Identifier: Apache-2.0 */
/* The asking half of the quotation protocol, and its spelling of symbols. */
#include "exchange/quotation.h"

static const char *const type_names[CHANNEL_COUNT] = {
    [CHANNEL_TRADE] = "trade",
    [CHANNEL_TICKER] = "ticker",
    [CHANNEL_BOOK] = "orderbook",
    [CHANNEL_QUOTE] = NULL, /* there is none */
};

static uint32_t channels_wanted(const struct instrument *instrument)
{
    return instrument->wanted & ~CHANNEL_BIT(CHANNEL_QUOTE);
}

static bool anything_changed(struct instruments *instruments)
{
    for (uint32_t i = 0; i < instruments_count(instruments); i++) {
        const struct instrument *instrument = instruments_at(instruments, i);
        if (channels_wanted(instrument) != instrument->asked)
            return true;
    }
    return false;
}

/* `,{"type":"trade","codes":["KRW-BTC"]}`, or nothing when nobody wants the channel. */
static void type_append(struct instruments *instruments, enum channel channel, struct buffer *out)
{
    bool any = false;
    for (uint32_t i = 0; i < instruments_count(instruments); i++) {
        const struct instrument *instrument = instruments_at(instruments, i);
        if (!(channels_wanted(instrument) & CHANNEL_BIT(channel)))
            continue;
        if (any)
            buffer_append(out, ",", 1);
        else
            buffer_append_format(out, ",{\"type\":\"%s\",\"codes\":[", type_names[channel]);
        buffer_append_format(out, "\"%s\"", instrument->native);
        any = true;
    }
    if (any)
        buffer_append_text(out, "]}");
}

size_t quotation_request(struct instruments *instruments, uint64_t request_id, struct buffer *out)
{
    if (!anything_changed(instruments))
        return 0;
    uint32_t wanted = 0;
    for (uint32_t i = 0; i < instruments_count(instruments); i++) {
        struct instrument *instrument = instruments_at(instruments, i);
        instrument->asked = channels_wanted(instrument);
        wanted |= instrument->asked;
    }
    if (wanted == 0)
        return 0;
    size_t start = out->size;
    buffer_append_format(out, "[{\"ticket\":\"tickwire-%llu\"}", (unsigned long long)request_id);
    for (unsigned channel = 0; channel < CHANNEL_COUNT; channel++)
        if (type_names[channel] != NULL)
            type_append(instruments, (enum channel)channel, out);
    buffer_append_text(out, ",{\"format\":\"DEFAULT\"}]");
    return out->size - start;
}

/* The quote comes first, as the exchanges of Korea print it. */
bool quotation_to_native(const struct symbol *symbol, char native[LIMIT_NATIVE_SYMBOL])
{
    struct slice base = symbol_base(symbol);
    struct slice quote = symbol_quote(symbol);
    size_t size = base.size + 1 + quote.size;
    if (size >= LIMIT_NATIVE_SYMBOL)
        return false;
    memcpy(native, quote.data, quote.size);
    native[quote.size] = '-';
    memcpy(native + quote.size + 1, base.data, base.size);
    native[size] = '\0';
    return true;
}

bool quotation_from_native(struct slice native, struct symbol *ret_symbol)
{
    struct slice base;
    struct slice quote = slice_split(native, '-', &base);
    return symbol_make(base, quote, ret_symbol);
}
