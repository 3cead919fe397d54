/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tokens of a file, one a line, as their SHA-256 digests: the tokens themselves are not kept.
 *
 *     # who may read
 *     2b9e61c4f0a84d35b7      expires=2027-01-01T00:00:00Z name=desk-1
 *
 * A list does not change; a new file is a new list. Any thread.
 */
#pragma once

#include "base/err.h"
#include "base/limits.h"
#include "base/slice.h"

#define TOKEN_DIGEST_SIZE 32

struct token_list;

struct token_entry {
    uint8_t digest[TOKEN_DIGEST_SIZE];
    int64_t expires_us;           /* wall time; 0: never */
    char name[LIMIT_ACCESS_NAME]; /* "": none */
};

/*
 * Reads the text of a file. Fails on the first line that is wrong, with its number and what was
 * expected, and never with what stands there; also when there is no token, one comes twice, or
 * there are more than LIMIT_ACCESS_TOKENS.
 */
int token_list_create(struct slice text, struct token_list **ret_list, struct err *err) MUST_CHECK;

/* NULL is a no-op. */
void token_list_destroy(struct token_list *list);

size_t token_list_count(const struct token_list *list);
const struct token_entry *token_list_at(const struct token_list *list, size_t index);

/* The entry of this digest, or NULL. Every entry is looked at, whichever it is: the time taken
 * tells nothing. Ended ones are found as well. */
const struct token_entry *token_list_find(const struct token_list *list,
                                          const uint8_t digest[TOKEN_DIGEST_SIZE]);

void token_digest(struct slice token, uint8_t ret_digest[TOKEN_DIGEST_SIZE]);

/* RFC 6750's b64token: letters, digits and -._~+/, then any number of '='. */
bool token_well_formed(struct slice token);
