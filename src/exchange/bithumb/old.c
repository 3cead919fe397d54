/* SPDX-License-Identifier: Apache-2.0 */
/* Bithumb's first generation: how it is asked, and its table. */
#include "exchange/bithumb/bithumb.h"

#include "exchange/bithumb/old_decode.h"
#include "exchange/bithumb/old_rest.h"
#include "exchange/rest.h"

static const char *const default_symbols[] = {"BTC-KRW", "ETH-KRW",  "XRP-KRW",
                                              "SOL-KRW", "USDT-KRW", NULL};

/* The differences (orderbookdepth) are decoded, but not asked for: nothing vouches for them. */
static const char *const type_names[CHANNEL_COUNT] = {
    [CHANNEL_TRADE] = "transaction",
    [CHANNEL_TICKER] = "ticker",
    [CHANNEL_BOOK] = "orderbooksnapshot",
    [CHANNEL_QUOTE] = NULL, /* there is none */
};

/* ---- requests ---- */

static bool channel_changed(struct instruments *instruments, uint32_t bit)
{
    for (uint32_t i = 0; i < instruments_count(instruments); i++) {
        const struct instrument *instrument = instruments_at(instruments, i);
        if ((instrument->wanted ^ instrument->asked) & bit)
            return true;
    }
    return false;
}

/* Marks all of a channel as asked for; returns how many. */
static uint32_t channel_mark(struct instruments *instruments, uint32_t bit)
{
    uint32_t wanted = 0;
    for (uint32_t i = 0; i < instruments_count(instruments); i++) {
        struct instrument *instrument = instruments_at(instruments, i);
        instrument->asked = (instrument->asked & ~bit) | (instrument->wanted & bit);
        wanted += (instrument->wanted & bit) != 0;
    }
    return wanted;
}

static void channel_append(struct instruments *instruments, enum channel channel,
                           struct buffer *out)
{
    const char *separator = "";
    buffer_append_format(out, "{\"type\":\"%s\",\"symbols\":[", type_names[channel]);
    for (uint32_t i = 0; i < instruments_count(instruments); i++) {
        const struct instrument *instrument = instruments_at(instruments, i);
        if (!(instrument->wanted & CHANNEL_BIT(channel)))
            continue;
        buffer_append_format(out, "%s\"%s\"", separator, instrument->native);
        separator = ",";
    }
    buffer_append_text(out, channel == CHANNEL_TICKER ? "],\"tickTypes\":[\"24H\"]}" : "]}");
}

/* A message of a type replaces that type's list. An empty list is no list, so what is not wanted
 * at all any more is not said: nothing is sent, and the data still comes. */
static size_t request_next(struct instruments *instruments, uint64_t request_id, struct buffer *out)
{
    (void)request_id;
    for (unsigned channel = 0; channel < CHANNEL_COUNT; channel++) {
        uint32_t bit = CHANNEL_BIT(channel);
        if (type_names[channel] == NULL || !channel_changed(instruments, bit) ||
            channel_mark(instruments, bit) == 0)
            continue;
        size_t start = out->size;
        channel_append(instruments, (enum channel)channel, out);
        return out->size - start;
    }
    return 0;
}

/* ---- symbols ---- */

static bool to_native(const struct symbol *symbol, char native[LIMIT_NATIVE_SYMBOL])
{
    static_assert(LIMIT_NATIVE_SYMBOL >= LIMIT_SYMBOL, "the spelling is as long as ours");
    struct slice base = symbol_base(symbol);
    memcpy(native, symbol->text, (size_t)symbol->size + 1);
    native[base.size] = '_';
    return true;
}

static bool from_native(struct slice native, struct symbol *ret_symbol)
{
    struct slice quote;
    struct slice base = slice_split(native, '_', &quote);
    return symbol_make(base, quote, ret_symbol);
}

/* ---- REST ---- */

static bool request_rest(const struct rest_query *query, struct rest_request *ret_request)
{
    size_t size;
    ret_request->weight = 1;
    ret_request->instrument_count = 0;
    switch (query->kind) {
    case REST_MARKETS: /* the keys of the tickers are the markets */
    case REST_TICKERS: /* whosever they are */
        ret_request->instrument_count = query->kind == REST_TICKERS ? query->instrument_count : 0;
        rest_set(ret_request, "/public/ticker/ALL_KRW", 1);
        return true;
    case REST_BOOK:
        size = rest_append(ret_request, 0, "/public/orderbook/", query->instrument);
        rest_append_number(ret_request, size,
                           "?count=", query->limit == 0 || query->limit > 30 ? 30 : query->limit);
        return true;
    case REST_TRADES:
        if (query->from_id >= 0)
            return false;
        size = rest_append(ret_request, 0, "/public/transaction_history/", query->instrument);
        rest_append_number(ret_request, size,
                           "?count=", query->limit == 0 || query->limit > 100 ? 100 : query->limit);
        return true;
    }
    return false;
}

const struct exchange exchange_bithumb1 = {
    .name = "bithumb",
    .generation = 1,
    .ws_url = "wss://pubwss.bithumb.com",
    .rest_url = "https://api.bithumb.com",
    .ws_path = "/pub/ws",
    .listed_quote = "KRW",
    .symbols = default_symbols,
    .channels =
        CHANNEL_BIT(CHANNEL_TRADE) | CHANNEL_BIT(CHANNEL_TICKER) | CHANNEL_BIT(CHANNEL_BOOK),
    .book_depth = 30,
    .ping_text = NULL,
    .deflate = false,
    .trade_ids_consecutive = false,
    .limits =
        {
            /* Of the stream nothing is documented but the messages themselves; 30 s is what clients
             * of it use. REST: "Rate limits" of API 1.x, 135 public requests a second. */
            .rest = {.count = 135, .window_ms = 1000},
            .rest_by_kind = false,
            .ping_interval_ms = 30000,
        },
    .state_size = 0,
    .to_native = to_native,
    .from_native = from_native,
    .next_request = request_next,
    .decode = bithumb1_decode,
    .rest_request = request_rest,
    .rest_read = bithumb1_rest_read,
};
