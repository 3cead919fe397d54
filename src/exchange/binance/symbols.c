/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quotes of Binance's markets, now and in the time of old recordings. Left out on purpose are
 * those that end like a shorter one behind a usual letter: AEUR would make AD-AEUR of ADAEUR.
 */
#include "exchange/binance/symbols.h"

#define QUOTE(name)                                                                                \
    {                                                                                              \
        (name), sizeof(name) - 1                                                                   \
    }

static const struct slice quotes[] = {
    /* dollars */
    QUOTE("USDT"),
    QUOTE("USDC"),
    QUOTE("FDUSD"),
    QUOTE("TUSD"),
    QUOTE("BUSD"),
    QUOTE("USDP"),
    QUOTE("USDS"),
    QUOTE("USD1"),
    QUOTE("DAI"),
    QUOTE("PAX"),
    /* coins */
    QUOTE("BTC"),
    QUOTE("ETH"),
    QUOTE("BNB"),
    QUOTE("SOL"),
    QUOTE("XRP"),
    QUOTE("TRX"),
    QUOTE("DOGE"),
    QUOTE("DOT"),
    /* money */
    QUOTE("EUR"),
    QUOTE("EURI"),
    QUOTE("TRY"),
    QUOTE("RUB"),
    QUOTE("GBP"),
    QUOTE("BRL"),
    QUOTE("AUD"),
    QUOTE("UAH"),
    QUOTE("NGN"),
    QUOTE("ZAR"),
    QUOTE("PLN"),
    QUOTE("RON"),
    QUOTE("ARS"),
    QUOTE("JPY"),
    QUOTE("MXN"),
    QUOTE("COP"),
    QUOTE("CZK"),
    QUOTE("IDRT"),
    QUOTE("BIDR"),
    QUOTE("BKRW"),
    QUOTE("BVND"),
#undef QUOTE
};

bool binance_to_native(const struct symbol *symbol, char native[LIMIT_NATIVE_SYMBOL])
{
    struct slice base = symbol_base(symbol);
    struct slice quote = symbol_quote(symbol);
    size_t size = base.size + quote.size;
    if (size >= LIMIT_NATIVE_SYMBOL)
        return false;
    memcpy(native, base.data, base.size);
    memcpy(native + base.size, quote.data, quote.size);
    native[size] = '\0';
    return true;
}

/* quote is upper case. */
static bool ends_with(struct slice native, struct slice quote)
{
    if (native.size <= quote.size)
        return false;
    const char *end = native.data + native.size - quote.size;
    for (size_t i = 0; i < quote.size; i++) {
        char byte = end[i] >= 'a' && end[i] <= 'z' ? (char)(end[i] - 'a' + 'A') : end[i];
        if (byte != quote.data[i])
            return false;
    }
    return true;
}

bool binance_from_native(struct slice native, struct symbol *ret_symbol)
{
    struct slice best = {.data = NULL, .size = 0};
    for (size_t i = 0; i < COUNT_OF(quotes); i++)
        if (quotes[i].size > best.size && ends_with(native, quotes[i]))
            best = quotes[i];
    if (best.size == 0)
        return false;
    struct slice base = {.data = native.data, .size = native.size - best.size};
    return symbol_make(base, best, ret_symbol);
}
