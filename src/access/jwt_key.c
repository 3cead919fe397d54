/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL does the arithmetic; here stands which key and which padding an algorithm wants. */
#include "access/jwt_key.h"

#include "base/limits.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192 /* more costs a check more than it is worth */
#define NUMBER_SIZE_MAX 48
#define DER_SIZE_MAX (2 * NUMBER_SIZE_MAX + 16) /* two numbers, each with a head and a zero */
#define ALGORITHMS "RS256, RS384, RS512, PS256, ES256, ES384 or EdDSA"

struct jwt_algorithm {
    const char *name;
    const char *key_type; /* as OpenSSL calls it */
    const char *group;    /* of an elliptic curve key; else NULL */
    const char *wanted;   /* for a person */
    const char *digest;   /* NULL: the algorithm brings its own */
    bool pss;
    size_t number_size; /* of ES*: bytes of r and of s */
};

struct jwt_key {
    const struct jwt_algorithm *algorithm; /* static */
    EVP_PKEY *public_key;                  /* owned */
    EVP_MD *digest;                        /* owned; may be NULL */
};

static const struct jwt_algorithm algorithms[] = {
    {.name = "RS256", .key_type = "RSA", .wanted = "an RSA key", .digest = "SHA256"},
    {.name = "RS384", .key_type = "RSA", .wanted = "an RSA key", .digest = "SHA384"},
    {.name = "RS512", .key_type = "RSA", .wanted = "an RSA key", .digest = "SHA512"},
    {.name = "PS256", .key_type = "RSA", .wanted = "an RSA key", .digest = "SHA256", .pss = true},
    {.name = "ES256",
     .key_type = "EC",
     .group = "prime256v1",
     .wanted = "a P-256 key",
     .digest = "SHA256",
     .number_size = 32},
    {.name = "ES384",
     .key_type = "EC",
     .group = "secp384r1",
     .wanted = "a P-384 key",
     .digest = "SHA384",
     .number_size = 48},
    {.name = "EdDSA", .key_type = "ED25519", .wanted = "an Ed25519 key"},
};

static const struct jwt_algorithm *algorithm_find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(algorithms); i++)
        if (strcmp(algorithms[i].name, name) == 0)
            return &algorithms[i];
    return NULL;
}

/* ---- reading the key ---- */

static bool holds(struct slice text, struct slice part)
{
    return text.size > 0 && memmem(text.data, text.size, part.data, part.size) != NULL;
}

/* A file with two keys would leave open which of them counts. */
static bool holds_twice(struct slice text, struct slice part)
{
    const char *first = memmem(text.data, text.size, part.data, part.size);
    if (first == NULL)
        return false;
    size_t used = (size_t)(first - text.data) + part.size;
    return holds((struct slice){.data = text.data + used, .size = text.size - used}, part);
}

static EVP_PKEY *pem_read(struct slice pem)
{
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    if (bio == NULL)
        return NULL;
    EVP_PKEY *key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    BIO_free(bio);
    ERR_clear_error(); /* the queue belongs to the thread; TLS reads it as well */
    return key;
}

static int key_read(struct jwt_key *key, struct slice pem, struct err *err)
{
    if (pem.size > LIMIT_ACCESS_FILE)
        return err_set(err, -EFBIG, "more than %d bytes", LIMIT_ACCESS_FILE);
    if (pem.size > 0 && holds(pem, SLICE("PRIVATE KEY-----")))
        return err_set(err, -EINVAL, "holds a private key; a node needs the public one alone");
    if (pem.size > 0 && holds_twice(pem, SLICE("-----BEGIN ")))
        return err_set(err, -EINVAL, "holds more than one key");
    key->public_key = pem.size == 0 ? NULL : pem_read(pem);
    if (key->public_key == NULL)
        return err_set(err, -EINVAL, "no public key in PEM form (-----BEGIN PUBLIC KEY-----)");
    return 0;
}

static bool group_is(const EVP_PKEY *key, const char *group)
{
    char name[64];
    size_t size = 0;
    return EVP_PKEY_get_group_name(key, name, sizeof name, &size) == 1 && strcmp(name, group) == 0;
}

static int key_check(const struct jwt_key *key, struct err *err)
{
    const struct jwt_algorithm *algorithm = key->algorithm;
    bool fits = EVP_PKEY_is_a(key->public_key, algorithm->key_type) == 1 &&
                (algorithm->group == NULL || group_is(key->public_key, algorithm->group));
    ERR_clear_error();
    if (!fits)
        return err_set(err, -EINVAL, "%s wants %s, and this is another", algorithm->name,
                       algorithm->wanted);
    int bits = EVP_PKEY_get_bits(key->public_key);
    if (strcmp(algorithm->key_type, "RSA") == 0 && (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX))
        return err_set(err, -EINVAL, "an RSA key of %d bits; %d to %d are wanted", bits,
                       RSA_BITS_MIN, RSA_BITS_MAX);
    return 0;
}

int jwt_key_create(const char *algorithm, struct slice pem, struct jwt_key **ret_key,
                   struct err *err)
{
    const struct jwt_algorithm *row = algorithm_find(algorithm);
    if (row == NULL)
        return err_set(err, -EINVAL, "no algorithm that is taken: one of %s", ALGORITHMS);
    struct jwt_key *key = memory_alloc(sizeof *key);
    key->algorithm = row;
    int result = key_read(key, pem, err);
    if (result == 0)
        result = key_check(key, err);
    if (result == 0 && row->digest != NULL) {
        key->digest = EVP_MD_fetch(NULL, row->digest, NULL);
        if (key->digest == NULL)
            result = err_set(err, -ENOSYS, "OpenSSL has no %s here", row->digest);
        ERR_clear_error();
    }
    if (result < 0)
        jwt_key_destroy(key);
    else
        *ret_key = key;
    return result;
}

void jwt_key_destroy(struct jwt_key *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->public_key);
    EVP_MD_free(key->digest);
    memory_free(key);
}

const char *jwt_key_algorithm(const struct jwt_key *key)
{
    return key->algorithm->name;
}

/* ---- verifying ---- */

/* r and s of fixed size (RFC 7518, section 3.4) become what OpenSSL reads; 0 when they cannot. */
static size_t signature_to_der(struct slice raw, size_t number_size, uint8_t der[DER_SIZE_MAX])
{
    if (raw.size != 2 * number_size)
        return 0;
    const unsigned char *bytes = (const unsigned char *)raw.data;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(bytes, (int)number_size, NULL);
    BIGNUM *s = BN_bin2bn(bytes + number_size, (int)number_size, NULL);
    if (pair == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(pair, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(pair);
        return 0;
    }
    int size = i2d_ECDSA_SIG(pair, NULL);
    if (size > 0 && size <= DER_SIZE_MAX)
        size = i2d_ECDSA_SIG(pair, &der);
    ECDSA_SIG_free(pair);
    return size > 0 && size <= DER_SIZE_MAX ? (size_t)size : 0;
}

static bool verify(const struct jwt_key *key, struct slice bytes, struct slice signature)
{
    EVP_PKEY_CTX *options = NULL; /* belongs to the context */
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context != NULL &&
                EVP_DigestVerifyInit(context, &options, key->digest, NULL, key->public_key) == 1;
    if (good && key->algorithm->pss)
        good = EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1;
    good = good && EVP_DigestVerify(context, (const unsigned char *)signature.data, signature.size,
                                    (const unsigned char *)bytes.data, bytes.size) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return good;
}

bool jwt_key_verifies(const struct jwt_key *key, struct slice bytes, struct slice signature)
{
    uint8_t der[DER_SIZE_MAX];
    if (key->algorithm->number_size == 0)
        return verify(key, bytes, signature);
    size_t size = signature_to_der(signature, key->algorithm->number_size, der);
    struct slice converted = {.data = (const char *)der, .size = size};
    bool good = size > 0 && verify(key, bytes, converted);
    OPENSSL_cleanse(der, sizeof der);
    return good;
}
