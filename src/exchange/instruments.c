/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instruments of a session: an array that never moves, so that pointers into it hold, and an
 * open-addressed table of its indices. Everything is allocated at create; the table is kept at
 * most half full, so that a search for what is not there ends soon.
 */
#include "exchange/exchange.h"

#include "base/memory.h"

struct instruments {
    struct instrument *entry; /* owned; `capacity` of them */
    uint32_t *table;          /* owned; index + 1 into entry, 0: free */
    uint32_t capacity;
    uint32_t count;
    uint32_t mask; /* of the table: its size less 1, a power of two */
    bool learn;
};

struct instruments *instruments_create(uint32_t capacity, bool learn)
{
    assert(capacity > 0 && capacity <= UINT32_MAX / 4);
    struct instruments *instruments = memory_alloc(sizeof(*instruments));
    uint32_t size = 4;
    while (size < 2 * capacity)
        size *= 2;
    instruments->entry = memory_array(capacity, sizeof(*instruments->entry));
    instruments->table = memory_array(size, sizeof(*instruments->table));
    instruments->capacity = capacity;
    instruments->mask = size - 1;
    instruments->learn = learn;
    return instruments;
}

void instruments_destroy(struct instruments *instruments)
{
    if (instruments == NULL)
        return;
    memory_free(instruments->entry);
    memory_free(instruments->table);
    memory_free(instruments);
}

uint32_t instruments_count(const struct instruments *instruments)
{
    return instruments->count;
}

struct instrument *instruments_at(struct instruments *instruments, uint32_t index)
{
    assert(index < instruments->count);
    return &instruments->entry[index];
}

/* Bit 5 is what tells upper from lower case; without it a hash is blind to case (and to a few
 * signs, which the comparison then tells apart). */
#define CASE_BITS UINT64_C(0x2020202020202020)

static ALWAYS_INLINE uint64_t folded_load(const char *data, size_t size)
{
    uint64_t word = 0;
    memcpy(&word, data, size);
    return word | CASE_BITS;
}

static ALWAYS_INLINE uint64_t hash_mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ (hash >> 29);
}

/* Words overlap instead of a loop over the last bytes. */
static ALWAYS_INLINE uint64_t native_hash(struct slice native)
{
    uint64_t hash = native.size;
    const char *data = native.data;
    if (native.size >= 8) {
        for (size_t i = 0; i + 8 < native.size; i += 8)
            hash = hash_mix(hash, folded_load(data + i, 8));
        return hash_mix(hash, folded_load(data + native.size - 8, 8));
    }
    if (native.size >= 4) {
        hash = hash_mix(hash, folded_load(data, 4));
        return hash_mix(hash, folded_load(data + native.size - 4, 4));
    }
    for (size_t i = 0; i < native.size; i++)
        hash = hash_mix(hash, folded_load(data + i, 1));
    return hash;
}

/* Equality without a call, for the sizes that symbols have; in the same case, as they mostly are.
 */
static ALWAYS_INLINE bool same_bytes(const char *stored, struct slice native)
{
    size_t size = native.size;
    if (LIKELY(size >= 4 && size < 8))
        return memcmp(stored, native.data, 4) == 0 &&
               memcmp(stored + size - 4, native.data + size - 4, 4) == 0;
    return memcmp(stored, native.data, size) == 0;
}

static char ascii_upper(char byte)
{
    return byte >= 'a' && byte <= 'z' ? (char)(byte - 'a' + 'A') : byte;
}

static bool same_caseless(const char *stored, struct slice native)
{
    for (size_t i = 0; i < native.size; i++)
        if (ascii_upper(stored[i]) != ascii_upper(native.data[i]))
            return false;
    return true;
}

static ALWAYS_INLINE bool native_equal(const char *stored, struct slice native)
{
    return stored[native.size] == '\0' &&
           (LIKELY(same_bytes(stored, native)) || same_caseless(stored, native));
}

/* The slot that holds the native symbol, or the free one where it would go. */
static ALWAYS_INLINE uint32_t *slot_find(struct instruments *instruments, struct slice native)
{
    uint32_t at = (uint32_t)native_hash(native) & instruments->mask;
    while (instruments->table[at] != 0) {
        if (native_equal(instruments->entry[instruments->table[at] - 1].native, native))
            break;
        at = (at + 1) & instruments->mask;
    }
    return &instruments->table[at];
}

static bool native_fits(struct slice native)
{
    return native.size > 0 && native.size < LIMIT_NATIVE_SYMBOL;
}

struct instrument *instruments_add(struct instruments *instruments, const struct symbol *symbol,
                                   struct slice native)
{
    if (!native_fits(native) || memchr(native.data, '\0', native.size) != NULL)
        return NULL;
    uint32_t *slot = slot_find(instruments, native);
    if (*slot != 0)
        return &instruments->entry[*slot - 1];
    if (instruments->count == instruments->capacity)
        return NULL;
    struct instrument *instrument = &instruments->entry[instruments->count++];
    instrument->symbol = *symbol;
    memcpy(instrument->native, native.data, native.size);
    *slot = instruments->count;
    return instrument;
}

/* Adds what the exchange's spelling can be read of. */
static struct instrument *instrument_learn(struct instruments *instruments,
                                           const struct exchange *exchange, struct slice native)
{
    struct symbol symbol;
    char spelling[LIMIT_NATIVE_SYMBOL];
    if (!exchange->from_native(native, &symbol) || !exchange->to_native(&symbol, spelling))
        return NULL;
    return instruments_add(instruments, &symbol, slice_of(spelling));
}

struct instrument *instruments_find(struct instruments *instruments,
                                    const struct exchange *exchange, struct slice native)
{
    if (UNLIKELY(!native_fits(native)))
        return NULL;
    const uint32_t *slot = slot_find(instruments, native);
    if (LIKELY(*slot != 0))
        return &instruments->entry[*slot - 1];
    return instruments->learn ? instrument_learn(instruments, exchange, native) : NULL;
}
