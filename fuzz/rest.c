/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answer is put into memory of just its size and padding, so that the address sanitizer sees a
 * reader that looks further.
 */
#include "fuzz/rest.h"

#include "base/memory.h"
#include "exchange/exchange.h"

#include <stdio.h>
#include <stdlib.h>

struct visits {
    enum rest_kind kind;
    uint64_t bytes; /* of all that was borrowed, so that each is read */
};

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "broken promise: %s\n", what);
    abort();
}

static uint64_t bytes_sum(struct slice text)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < text.size; i++)
        sum += (unsigned char)text.data[i];
    return sum;
}

static void fact_require(void *context, const struct rest_fact *fact)
{
    struct visits *visits = context;
    visits->bytes += bytes_sum(fact->native);
    require(fact->native.size > 0 || visits->kind == REST_BOOK, "a symbol of a list has a name");
    require(!fact->tradable || visits->kind == REST_MARKETS, "markets say what is tradable");
    require(fact->trade_us >= 0 && fact->trade_us <= INT64_C(9007199254740991), "a time is one");
    require(fact->book_us >= 0 && fact->book_us <= INT64_C(9007199254740991), "a time is one");
    require(fact->trade_id >= 0 && fact->book_id >= 0, "ids are not negative");
}

int fuzz_rest(const char *exchange_name, unsigned generation, const uint8_t *data, size_t size)
{
    const struct exchange *exchange = exchange_find(slice_of(exchange_name), generation);
    require(exchange != NULL, "the exchange is there");
    char *text = memory_alloc(size + 1 + LIMIT_PADDING);
    if (size > 0)
        memcpy(text, data, size);
    for (unsigned kind = REST_MARKETS; kind <= REST_TICKERS; kind++) {
        struct visits visits = {.kind = (enum rest_kind)kind};
        struct slice note = {.data = NULL, .size = 1};
        bool good = exchange->rest_read(visits.kind, (struct slice){.data = text, .size = size},
                                        fact_require, &visits, &note);
        require(!good || note.size == 0, "no words with an answer");
        visits.bytes += bytes_sum(note);
    }
    memory_free(text);
    return 0;
}
