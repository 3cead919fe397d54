/* SPDX-License-Identifier: Apache-2.0 */
/* What is traded, about what it costs, and a market's memory of its changes. */
#include "sim/market.h"

#include "base/memory.h"
#include "sim/venue.h"
#include "sim/write.h"

#include <assert.h>
#include <stdio.h>

#define USD_E8 100000000

struct coin {
    const char *base, *english, *korean;
    int64_t usd_e8;
    uint32_t weight;
    bool halted;
};

/* The first ones are what the gateway collects by default. */
static const struct coin coins[] = {
    {"BTC", "Bitcoin", "비트코인", 83500LL * USD_E8, 40, false},
    {"ETH", "Ethereum", "이더리움", 2650LL * USD_E8, 25, false},
    {"XRP", "XRP", "엑스알피", 215000000, 15, false},
    {"SOL", "Solana", "솔라나", 142LL * USD_E8, 10, false},
    {"USDT", "Tether", "테더", USD_E8, 6, false},
    {"DOGE", "Dogecoin", "도지코인", 17200000, 4, false},
    {"ADA", "Ada", "에이다", 67000000, 3, false},
    {"TRX", "TRON", "트론", 24500000, 3, false},
    {"LINK", "Chainlink", "체인링크", 1430000000, 2, false},
    {"AVAX", "Avalanche", "아발란체", 2120000000, 2, false},
    {"DOT", "Polkadot", "폴카닷", 420000000, 2, false},
    {"LTC", "Litecoin", "라이트코인", 88LL * USD_E8, 2, false},
    {"BCH", "Bitcoin Cash", "비트코인캐시", 335LL * USD_E8, 2, false},
    {"ETC", "Ethereum Classic", "이더리움클래식", 1690000000, 2, false},
    {"XLM", "Stellar Lumen", "스텔라루멘", 27000000, 2, false},
    {"ATOM", "Cosmos", "코스모스", 440000000, 2, false},
    {"NEAR", "NEAR Protocol", "니어프로토콜", 260000000, 2, false},
    {"APT", "Aptos", "앱토스", 520000000, 1, false},
    {"SUI", "Sui", "수이", 235000000, 2, false},
    {"ARB", "Arbitrum", "아비트럼", 33000000, 1, false},
    {"HBAR", "Hedera", "헤데라", 18000000, 1, false},
    {"SHIB", "Shiba Inu", "시바이누", 1290, 2, false},
    {"SAND", "The Sandbox", "샌드박스", 27500000, 1, false},
    {"AAVE", "Aave", "에이브", 168LL * USD_E8, 1, false},
    {"WAVES", "Waves", "웨이브", 120000000, 0, true},
};

size_t market_default_count(void)
{
    return COUNT_OF(coins);
}

void market_name(struct market *market, size_t coin, int64_t *ret_usd_e8)
{
    if (coin < COUNT_OF(coins)) {
        const struct coin *row = &coins[coin];
        snprintf(market->base, sizeof market->base, "%s", row->base);
        market->english = row->english;
        market->korean = row->korean;
        market->weight = row->weight;
        market->halted = row->halted;
        *ret_usd_e8 = row->usd_e8;
        return;
    }
    snprintf(market->base, sizeof market->base, "S%03zu", coin);
    market->english = "Simulated";
    market->korean = "모의";
    market->weight = 1;
    *ret_usd_e8 = USD_E8 / 10 * (int64_t)(1 + coin % 97);
}

void market_init(struct market *market, const struct flow_options *flow)
{
    flow_init(&market->flow, flow);
    truth_init(&market->truth, flow->price);
    market->changes = memory_array(MARKET_CHANGES_MAX, sizeof market->changes[0]);
    snprintf(market->symbol, sizeof market->symbol, "%s-%s", market->base, market->quote);
}

void market_release(struct market *market)
{
    flow_release(&market->flow);
    truth_release(&market->truth);
    memory_free(market->changes);
    memory_free(market->own[0]);
    memory_free(market->own[1]);
}

void market_step(struct market *market, struct flow_events *ret_events)
{
    int64_t id = market->flow.update_id;
    flow_step(&market->flow, ret_events);
    for (size_t i = 0; i < ret_events->change_count; i++)
        market->changes[(uint64_t)++id % MARKET_CHANGES_MAX] = ret_events->changes[i];
    market->changed += (int64_t)ret_events->change_count;
    assert(id == market->flow.update_id);
}

int64_t market_value(const struct market *market, int64_t ticks, int64_t steps)
{
    int64_t product = market_price(market, ticks) * steps;
    unsigned scale = market->price_scale + market->size_scale;
    if (scale >= market->value_scale)
        return product / write_power(scale - market->value_scale);
    return product * write_power(market->value_scale - scale);
}

const struct flow_change *market_change(const struct market *market, int64_t update_id)
{
    int64_t age = market->flow.update_id - update_id;
    if (age < 0 || age >= MARKET_CHANGES_MAX || age >= market->changed)
        return NULL;
    return &market->changes[(uint64_t)update_id % MARKET_CHANGES_MAX];
}
