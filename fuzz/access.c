/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What decides who may, against hostile bytes. The first byte says what the others are: a file of
 * tokens; header lines, looked at for a bearer token that is then judged; header and payload of a
 * JSON Web Token, with a zero between, which is signed here so that the fuzzer gets behind the
 * signature; a signature; a key file.
 */
#include "access/bearer.h"
#include "access/issuer_test.h"
#include "access/jwt.h"
#include "access/timestamp.h"
#include "access/token_list.h"
#include "access/vectors_test.h"

#define NOW_US INT64_C(1790133513000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    const char *algorithm, *pem;
} vectors[] = {
    {"EdDSA", VECTOR_EDDSA_KEY}, {"ES256", VECTOR_ES256_KEY}, {"RS256", VECTOR_RS256_KEY},
    {"PS256", VECTOR_RS256_KEY}, {"RS512", VECTOR_RS256_KEY},
};

static struct jwt_key *keys[COUNT_OF(vectors)];
static struct issuer issuer; /* with the private half of the first key */

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void prepare(void)
{
    /* RFC 8037, appendix A.1 */
    static const unsigned char private_key[32] = {0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60,
                                                  0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
                                                  0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19,
                                                  0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60};
    struct err err;
    if (issuer.key != NULL)
        return;
    issuer.algorithm = "EdDSA";
    issuer.key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, private_key, 32);
    must(issuer.key != NULL);
    for (size_t i = 0; i < COUNT_OF(vectors); i++)
        must(jwt_key_create(vectors[i].algorithm, slice_of(vectors[i].pem), &keys[i], &err) == 0);
}

static enum jwt_verdict judge(const struct jwt_key *key, struct slice token)
{
    struct jwt_rule rule = {.key = key, .audience = "ticks"};
    int64_t expires_us = -1;
    enum jwt_verdict verdict = jwt_check(&rule, token, NOW_US, &expires_us);
    must((verdict == JWT_GOOD) == (expires_us > NOW_US));
    must(expires_us <= TIMESTAMP_SECONDS_MAX * INT64_C(1000000));
    return verdict;
}

/* Whatever is read of a file can be found again, and is within its bounds. */
static void try_file(struct slice bytes)
{
    struct token_list *list = NULL;
    struct err err = {0};
    if (token_list_create(bytes, &list, &err) != 0) {
        must(list == NULL && err.text[0] != '\0');
        return;
    }
    must(token_list_count(list) >= 1 && token_list_count(list) <= LIMIT_ACCESS_TOKENS);
    for (size_t i = 0; i < token_list_count(list); i++) {
        const struct token_entry *entry = token_list_at(list, i);
        must(token_list_find(list, entry->digest) == entry);
        must(entry->expires_us >= 0);
    }
    token_list_destroy(list);
}

static void try_headers(struct slice bytes)
{
    static const char start[] = "GET / HTTP/1.1\r\nHost: a\r\n";
    struct http_reader *reader = http_reader_create(HTTP_KIND_REQUEST);
    const struct http_head *head;
    size_t used;
    must(http_read(reader, SLICE(start), &used, &head) == HTTP_READ_MORE);
    if (http_read(reader, bytes, &used, &head) == HTTP_READ_HEAD) {
        struct bearer bearer;
        bool found = bearer_find(head, &bearer) == BEARER_FOUND;
        must(found == (bearer.token.size > 0));
        must(!found || token_well_formed(bearer.token));
        must(bearer.token.size <= LIMIT_ACCESS_TOKEN);
        must(!found || bearer.by_header || bearer.subprotocol);
        for (size_t i = 0; found && i < COUNT_OF(keys); i++)
            judge(keys[i], bearer.token);
    }
    http_reader_destroy(reader);
}

static void try_signed(struct slice bytes)
{
    struct slice payload;
    struct slice header = slice_split(bytes, '\0', &payload);
    if (bytes.size > 12000)
        return;
    struct slice token = issuer_sign_as(&issuer, "EdDSA", header, payload);
    if (judge(keys[0], token) != JWT_GOOD)
        return;
    issuer.token[token.size - 3] ^= 1; /* another signature, or none */
    must(judge(keys[0], token) == JWT_INVALID);
}

static void try_signature(struct slice bytes)
{
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        must(!jwt_key_verifies(keys[i], SLICE("what nobody has signed"), bytes));
}

static void try_key(struct slice bytes)
{
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        struct jwt_key *key = NULL;
        struct err err = {0};
        bool good = jwt_key_create(vectors[i].algorithm, bytes, &key, &err) == 0;
        must(good == (key != NULL) && good == (err.text[0] == '\0'));
        jwt_key_destroy(key);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const tries[])(struct slice) = {try_file, try_headers, try_signed, try_signature,
                                                  try_key};
    prepare();
    if (size > 0)
        tries[data[0] % COUNT_OF(tries)](
            (struct slice){.data = (const char *)data + 1, .size = size - 1});
    return 0;
}
