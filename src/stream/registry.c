/* SPDX-License-Identifier: Apache-2.0 */
/* The carriers there are, one row each. */
#include "stream/stream.h"

#include "stream/kafka/kafka_carrier.h"
#include "stream/memory/memory_carrier.h"

static const struct carrier_kind *const carrier_kinds[] = {
    &memory_carrier_kind,
    &kafka_carrier_kind,
};

size_t carrier_kind_count(void)
{
    return COUNT_OF(carrier_kinds);
}

const struct carrier_kind *carrier_kind_at(size_t index)
{
    return index < COUNT_OF(carrier_kinds) ? carrier_kinds[index] : NULL;
}

const struct carrier_kind *carrier_kind_find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(carrier_kinds); i++)
        if (strcmp(carrier_kinds[i]->name, name) == 0)
            return carrier_kinds[i];
    return NULL;
}
