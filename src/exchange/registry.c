/* SPDX-License-Identifier: Apache-2.0 */
/* Every exchange that there is. The first row of a name is its default generation. */
#include "exchange/exchange.h"

#include "exchange/binance/binance.h"
#include "exchange/bithumb/bithumb.h"
#include "exchange/upbit/upbit.h"

static const struct exchange *const registry[] = {
    &exchange_binance,
    &exchange_upbit,
    &exchange_bithumb,
    &exchange_bithumb1,
};

static bool is_default(size_t row)
{
    return row == 0 || strcmp(registry[row]->name, registry[row - 1]->name) != 0;
}

size_t exchange_count(void)
{
    size_t count = 0;
    for (size_t i = 0; i < COUNT_OF(registry); i++)
        count += is_default(i);
    return count;
}

const struct exchange *exchange_at(size_t index)
{
    assert(index < exchange_count());
    for (size_t i = 0; i < COUNT_OF(registry); i++) {
        if (!is_default(i))
            continue;
        if (index == 0)
            return registry[i];
        index--;
    }
    return NULL;
}

const struct exchange *exchange_find(struct slice name, unsigned generation)
{
    for (size_t i = 0; i < COUNT_OF(registry); i++)
        if (slice_is(name, registry[i]->name) &&
            (generation == 0 || generation == registry[i]->generation))
            return registry[i];
    return NULL;
}
