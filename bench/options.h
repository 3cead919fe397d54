/* SPDX-License-Identifier: Apache-2.0 */
/* Options of the commands here that are numbers, and how results are printed. */
#pragma once

#include "base/slice.h"

#include <stdio.h>

struct number_option { /* a row of a table that ends with a name of NULL */
    const char *name;
    uint64_t min, max;
    uint64_t *value;
};

/* False: there is none of that name, or the value is not from min to max. */
static inline bool number_read(const struct number_option *table, const char *name,
                               const char *value)
{
    for (; table->name != NULL; table++)
        if (strcmp(table->name, name) == 0)
            return slice_to_uint64(slice_of(value), table->max, table->value) &&
                   *table->value >= table->min;
    return false;
}

/* value / unit, with as many digits behind the point; a negative one is 0. */
static inline void print_decimal(const char *name, int64_t value, int64_t unit, int digits)
{
    if (value < 0)
        value = 0; /* the server ended */
    printf(",\"%s\":%lld.%0*lld", name, (long long)(value / unit), digits,
           (long long)(value % unit));
}

static inline void print_number(const char *name, uint64_t value)
{
    printf(",\"%s\":%llu", name, (unsigned long long)value);
}
