/* SPDX-License-Identifier: Apache-2.0 */
/* A line is words: the token, then what is said of it. */
#include "access/token_list.h"

#include "access/timestamp.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

struct token_list {
    size_t count;
    size_t capacity;
    struct token_entry *entries; /* owned */
};

void token_digest(struct slice token, uint8_t ret_digest[TOKEN_DIGEST_SIZE])
{
    unsigned size = 0;
    int done = EVP_Digest(token.data, token.size, ret_digest, &size, EVP_sha256(), NULL);
    assert(done == 1);
    assert(size == TOKEN_DIGEST_SIZE);
    (void)done;
}

static bool is_letter_or_digit(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9');
}

bool token_well_formed(struct slice token)
{
    size_t size = token.size;
    while (size > 0 && token.data[size - 1] == '=')
        size--;
    for (size_t i = 0; i < size; i++)
        if (!is_letter_or_digit(token.data[i]) &&
            (token.data[i] == '\0' || strchr("-._~+/", token.data[i]) == NULL))
            return false;
    return size > 0;
}

/* ---- reading ---- */

/* The next word of the line, which becomes what follows; empty at the end. */
static struct slice word_take(struct slice *line)
{
    struct slice rest = slice_trim(*line);
    size_t size = 0;
    while (size < rest.size && rest.data[size] != ' ' && rest.data[size] != '\t')
        size++;
    *line = (struct slice){.data = rest.data + size, .size = rest.size - size};
    return (struct slice){.data = rest.data, .size = size};
}

static bool name_read(struct slice text, char ret_name[LIMIT_ACCESS_NAME])
{
    for (size_t i = 0; i < text.size; i++)
        if (!is_letter_or_digit(text.data[i]) &&
            (text.data[i] == '\0' || strchr("-._", text.data[i]) == NULL))
            return false;
    return text.size > 0 && slice_copy(text, ret_name, LIMIT_ACCESS_NAME);
}

static const char *attribute_read(struct slice word, struct token_entry *entry)
{
    struct slice value;
    struct slice key = slice_split(word, '=', &value);
    if (slice_is(key, "expires") && entry->expires_us == 0) {
        if (!timestamp_read(value, &entry->expires_us) || entry->expires_us == 0)
            return "expires= wants a time like 2027-01-01T00:00:00Z, or seconds since 1970";
        return NULL;
    }
    if (slice_is(key, "name") && entry->name[0] == '\0') {
        if (!name_read(value, entry->name))
            return "name= wants letters, digits, '.', '_' and '-', at most 63";
        return NULL;
    }
    return "behind the token stand expires=TIME and name=NAME, each at most once";
}

/* NULL, or what was expected. */
static const char *entry_read(struct slice line, struct token_entry *entry)
{
    struct slice token = word_take(&line);
    if (!token_well_formed(token))
        return "a token has letters, digits and -._~+/ alone, and = at its end";
    if (token.size < LIMIT_ACCESS_TOKEN_MIN || token.size > LIMIT_ACCESS_TOKEN)
        return "a token has 16 to 8192 characters";
    token_digest(token, entry->digest);
    for (struct slice word = word_take(&line); word.size > 0; word = word_take(&line)) {
        const char *problem = attribute_read(word, entry);
        if (problem != NULL)
            return problem;
    }
    return NULL;
}

static const char *list_add(struct token_list *list, const struct token_entry *entry)
{
    if (list->count == LIMIT_ACCESS_TOKENS)
        return "more than 1000 tokens";
    if (token_list_find(list, entry->digest) != NULL)
        return "this token stands in the file already";
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
        list->entries = memory_resize(list->entries, list->capacity, sizeof *list->entries);
    }
    assert(list->entries != NULL);
    list->entries[list->count++] = *entry;
    return NULL;
}

static int list_read(struct token_list *list, struct slice text, struct err *err)
{
    struct slice rest = text;
    for (unsigned number = 1; rest.size > 0; number++) {
        struct slice line = slice_split(rest, '\n', &rest);
        if (line.size > 0 && line.data[line.size - 1] == '\r')
            line.size--;
        line = slice_trim(line);
        if (line.size == 0 || line.data[0] == '#')
            continue;
        struct token_entry entry = {0};
        const char *problem = entry_read(line, &entry);
        if (problem == NULL)
            problem = list_add(list, &entry);
        if (problem != NULL)
            return err_set(err, -EINVAL, "line %u: %s", number, problem);
    }
    return list->count > 0 ? 0 : err_set(err, -EINVAL, "no token in it");
}

int token_list_create(struct slice text, struct token_list **ret_list, struct err *err)
{
    struct token_list *list = memory_alloc(sizeof *list);
    int result = list_read(list, text, err);
    if (result < 0)
        token_list_destroy(list);
    else
        *ret_list = list;
    return result;
}

void token_list_destroy(struct token_list *list)
{
    if (list == NULL)
        return;
    memory_free(list->entries);
    memory_free(list);
}

size_t token_list_count(const struct token_list *list)
{
    return list->count;
}

const struct token_entry *token_list_at(const struct token_list *list, size_t index)
{
    assert(index < list->count);
    return &list->entries[index];
}

const struct token_entry *token_list_find(const struct token_list *list,
                                          const uint8_t digest[TOKEN_DIGEST_SIZE])
{
    size_t found = 0; /* 1 + its index; no branch depends on it in the loop */
    for (size_t i = 0; i < list->count; i++) {
        size_t same = CRYPTO_memcmp(list->entries[i].digest, digest, TOKEN_DIGEST_SIZE) == 0;
        found |= (i + 1) & (0 - same);
    }
    return found == 0 ? NULL : &list->entries[found - 1];
}
