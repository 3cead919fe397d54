/* SPDX-License-Identifier: Apache-2.0 */
/* A trading pair in tickwire's spelling: BASE-QUOTE, upper case, UTF-8. A value; terminated. */
#pragma once

#include "base/limits.h"
#include "base/slice.h"

struct symbol {
    uint8_t size;
    char text[LIMIT_SYMBOL]; /* "BTC-USDT", terminated */
};

/* Letters, digits and bytes above 0x7f (valid UTF-8) on both sides of exactly one '-'; no lower
 * case. */
bool symbol_read(struct slice text, struct symbol *ret_symbol) MUST_CHECK;

/* From the two halves, upper-cased; false when empty, too long or with a byte that a symbol may not
 * have. */
bool symbol_make(struct slice base, struct slice quote, struct symbol *ret_symbol) MUST_CHECK;

static inline struct slice symbol_slice(const struct symbol *symbol)
{
    return (struct slice){.data = symbol->text, .size = symbol->size};
}

struct slice symbol_base(const struct symbol *symbol);
struct slice symbol_quote(const struct symbol *symbol);
