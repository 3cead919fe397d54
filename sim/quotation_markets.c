/* SPDX-License-Identifier: Apache-2.0 */
/* The markets of the quotation venues: quotes, ticks, sizes. */
#include "sim/quotation.h"
#include "sim/write.h"

#include <stdio.h>
#include <string.h>

#define USD_E8 INT64_C(100000000)
#define BTC_USD 83500
#define BTC_TICKS_MIN 1000 /* below it the tick of the BTC markets is too coarse */
#define LEVELS 60
#define LEVELS_THIN 9 /* fewer than a book shows */
#define FIRST_OTHERS 8

/* Ticks in KRW: from this price on. */
static const struct {
    int64_t price_e8; /* in KRW */
    unsigned scale;
    int64_t tick; /* at that scale */
} krw_ticks[] = {
    {1000000 * USD_E8, 0, 1000}, {500000 * USD_E8, 0, 500}, {100000 * USD_E8, 0, 100},
    {50000 * USD_E8, 0, 50},     {10000 * USD_E8, 0, 10},   {5000 * USD_E8, 0, 5},
    {1000 * USD_E8, 0, 1},       {100 * USD_E8, 1, 1},      {10 * USD_E8, 2, 1},
    {1 * USD_E8, 3, 1},          {USD_E8 / 10, 4, 1},       {0, 8, 1},
};

static void quote_set(struct market *market, const char *quote, unsigned scale, int64_t tick)
{
    snprintf(market->quote, sizeof market->quote, "%s", quote);
    market->price_scale = scale;
    market->tick = tick;
    market->value_scale = strcmp(quote, "KRW") == 0 ? 3 : 8;
}

static int64_t krw_set(struct market *market, int64_t usd_e8)
{
    int64_t price_e8 = usd_e8 * QUOTATION_KRW_PER_USD;
    size_t row = 0;
    while (price_e8 < krw_ticks[row].price_e8)
        row++;
    quote_set(market, "KRW", krw_ticks[row].scale, krw_ticks[row].tick);
    return price_e8 / (krw_ticks[row].tick * write_power(8 - krw_ticks[row].scale));
}

/* The last decimals of a price in dollars, so that there are ticks enough. */
static int64_t usdt_set(struct market *market, int64_t usd_e8)
{
    unsigned scale = usd_e8 >= 100 * USD_E8 ? 2 : usd_e8 >= USD_E8 ? 4 : 8;
    quote_set(market, "USDT", scale, 1);
    return usd_e8 / write_power(8 - scale);
}

void quotation_describe(struct market *market, int64_t usd_e8, bool usdt, int64_t order_usd,
                        struct flow_options *ret_flow)
{
    size_t kind = market->index < FIRST_OTHERS ? 0 : market->index % 8;
    if (kind == 2 && usd_e8 / BTC_USD >= BTC_TICKS_MIN) {
        quote_set(market, "BTC", 8, 1);
        ret_flow->price = usd_e8 / BTC_USD;
    } else if (kind == 3 && usdt) {
        ret_flow->price = usdt_set(market, usd_e8);
    } else {
        ret_flow->price = krw_set(market, usd_e8);
    }
    market->size_scale = usd_e8 >= USD_E8 / 2 ? 8 : usd_e8 >= USD_E8 / 1000 ? 4 : 1;
    ret_flow->size = write_ratio(order_usd * USD_E8, write_power(market->size_scale), usd_e8);
    ret_flow->levels = market->index % 7 == 6 ? LEVELS_THIN : LEVELS;
    int quoted =
        snprintf(market->native, sizeof market->native, "%s-%s", market->quote, market->base);
    assert(quoted > 0);
    (void)quoted;
}
