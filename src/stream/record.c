/* SPDX-License-Identifier: Apache-2.0 */
/* The head of our own messages, as sequencer.c and market/encode.c write it. */
#include "stream/record.h"

#include "stream/notes.h"

/* Takes `literal` from the front of the rest. */
static bool take(struct slice *rest, struct slice literal)
{
    if (!slice_starts_with(*rest, literal))
        return false;
    rest->data += literal.size;
    rest->size -= literal.size;
    return true;
}

/* Takes the inside of a string up to its end; names have no escapes. */
static bool take_text(struct slice *rest, struct slice *ret_text)
{
    const char *end = rest->size == 0 ? NULL : memchr(rest->data, '"', rest->size);
    if (end == NULL)
        return false;
    *ret_text = (struct slice){.data = rest->data, .size = (size_t)(end - rest->data)};
    rest->size -= ret_text->size + 1;
    rest->data = end + 1;
    return memchr(ret_text->data, '\\', ret_text->size) == NULL;
}

static bool take_seq(struct slice *rest, int64_t *ret_seq)
{
    struct slice digits = {.data = rest->data};
    while (digits.size < rest->size && rest->data[digits.size] >= '0' &&
           rest->data[digits.size] <= '9')
        digits.size++;
    rest->data += digits.size;
    rest->size -= digits.size;
    return note_read_number(digits, ret_seq) && *ret_seq >= 1;
}

static bool make_key(struct slice exchange, struct slice symbol, char ret_key[LIMIT_KEY],
                     struct slice *ret)
{
    size_t size = exchange.size + (symbol.size == 0 ? 0 : 1 + symbol.size);
    if (exchange.size == 0 || size >= LIMIT_KEY)
        return false;
    memcpy(ret_key, exchange.data, exchange.size);
    if (symbol.size > 0) {
        ret_key[exchange.size] = ':';
        memcpy(ret_key + exchange.size + 1, symbol.data, symbol.size);
    }
    ret_key[size] = '\0';
    *ret = (struct slice){.data = ret_key, .size = size};
    return true;
}

bool record_read_head(struct slice text, char ret_key[LIMIT_KEY], struct record *ret_record)
{
    struct slice rest = text, exchange = SLICE("tickwire"), symbol = {0};
    if (!take(&rest, SLICE("{\"type\":\"")) || !take_text(&rest, &ret_record->type) ||
        !take(&rest, SLICE(",\"seq\":")) || !take_seq(&rest, &ret_record->seq))
        return false;
    if (take(&rest, SLICE(",\"exchange\":\"")) && !take_text(&rest, &exchange))
        return false;
    if (take(&rest, SLICE(",\"symbol\":\"")) && !take_text(&rest, &symbol))
        return false;
    return make_key(exchange, symbol, ret_key, &ret_record->key);
}
