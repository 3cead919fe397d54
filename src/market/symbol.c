/* SPDX-License-Identifier: Apache-2.0 */
/* Spelling of symbols. A symbol becomes part of keys, paths and JSON as it stands, so what it may
 * hold is decided here and nowhere else. */
#include "market/symbol.h"

#include "market/utf8.h"

#include <assert.h>

static_assert(LIMIT_SYMBOL <= UINT8_MAX, "the size is one byte");

/* True when all of it are upper case letters, digits or characters beyond ASCII, at least one. */
static bool half_valid(struct slice half)
{
    for (size_t i = 0; i < half.size;) {
        char byte = half.data[i];
        size_t size = utf8_character_size(half.data + i, half.size - i);
        bool plain = (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
        if (size == 0 || (size == 1 && !plain))
            return false;
        i += size;
    }
    return half.size > 0;
}

bool symbol_read(struct slice text, struct symbol *ret_symbol)
{
    if (text.size == 0 || text.size >= LIMIT_SYMBOL)
        return false;
    const char *dash = memchr(text.data, '-', text.size);
    if (dash == NULL)
        return false;
    struct slice base = {.data = text.data, .size = (size_t)(dash - text.data)};
    struct slice quote = {.data = dash + 1, .size = text.size - base.size - 1};
    if (!half_valid(base) || !half_valid(quote))
        return false;
    memcpy(ret_symbol->text, text.data, text.size);
    ret_symbol->text[text.size] = '\0';
    ret_symbol->size = (uint8_t)text.size;
    return true;
}

/* ASCII only: no case beyond it exists in symbols that exchanges use. */
static void copy_upper(char *out, struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        out[i] = (char)(byte >= 'a' && byte <= 'z' ? byte - 'a' + 'A' : byte);
    }
}

bool symbol_make(struct slice base, struct slice quote, struct symbol *ret_symbol)
{
    char text[LIMIT_SYMBOL];
    if (base.size >= LIMIT_SYMBOL || quote.size >= LIMIT_SYMBOL ||
        base.size + 1 + quote.size >= LIMIT_SYMBOL)
        return false;
    copy_upper(text, base);
    text[base.size] = '-';
    copy_upper(text + base.size + 1, quote);
    return symbol_read((struct slice){.data = text, .size = base.size + 1 + quote.size},
                       ret_symbol);
}

struct slice symbol_base(const struct symbol *symbol)
{
    const char *dash = memchr(symbol->text, '-', symbol->size);
    assert(dash != NULL);
    return (struct slice){.data = symbol->text, .size = (size_t)(dash - symbol->text)};
}

struct slice symbol_quote(const struct symbol *symbol)
{
    size_t skipped = symbol_base(symbol).size + 1;
    assert(skipped < symbol->size);
    return (struct slice){.data = symbol->text + skipped, .size = symbol->size - skipped};
}
