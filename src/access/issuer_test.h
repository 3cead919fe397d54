/* SPDX-License-Identifier: Apache-2.0 */
/* An issuer of tokens for tests: makes its own keys, and signs whatever it is told to. */
#pragma once

#include "base/slice.h"

#include <assert.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>

#define ISSUER_TOKEN_MAX 20000

struct issuer {
    const char *algorithm;
    EVP_PKEY *key;
    char pem[4096]; /* the public key */
    char token[ISSUER_TOKEN_MAX];
};

static inline EVP_PKEY *issuer_key(const char *algorithm)
{
    if (strcmp(algorithm, "ES256") == 0)
        return EVP_EC_gen("P-256");
    if (strcmp(algorithm, "ES384") == 0)
        return EVP_EC_gen("P-384");
    if (strcmp(algorithm, "EdDSA") == 0)
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    return EVP_RSA_gen(2048);
}

static inline void issuer_write_public(EVP_PKEY *key, char *pem, size_t pem_size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    if (PEM_write_bio_PUBKEY(bio, key) != 1)
        abort();
    int size = BIO_read(bio, pem, (int)pem_size - 1);
    assert(size > 0);
    pem[size] = '\0';
    BIO_free(bio);
}

static inline void issuer_init(struct issuer *issuer, const char *algorithm)
{
    issuer->algorithm = algorithm;
    issuer->key = issuer_key(algorithm);
    assert(issuer->key != NULL);
    issuer_write_public(issuer->key, issuer->pem, sizeof issuer->pem);
}

static inline void issuer_release(struct issuer *issuer)
{
    EVP_PKEY_free(issuer->key);
}

/* Base64url, from OpenSSL's base64. */
static inline size_t issuer_encode(const void *bytes, size_t size, char *out)
{
    size_t count = (size_t)EVP_EncodeBlock((unsigned char *)out, bytes, (int)size);
    while (count > 0 && out[count - 1] == '=')
        count--;
    for (size_t i = 0; i < count; i++)
        out[i] = (char)(out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i]);
    out[count] = '\0';
    return count;
}

static inline size_t issuer_raw(unsigned char *signature, size_t size, int number_size)
{
    const unsigned char *at = signature;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)size);
    assert(pair != NULL);
    BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, number_size);
    BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + number_size, number_size);
    ECDSA_SIG_free(pair);
    return 2 * (size_t)number_size;
}

static inline size_t issuer_sign_bytes(const struct issuer *issuer, const char *algorithm,
                                       struct slice bytes, unsigned char signature[1024])
{
    bool own = strcmp(algorithm, "EdDSA") == 0;
    const char *digest = strcmp(algorithm + 2, "384") == 0   ? "SHA384"
                         : strcmp(algorithm + 2, "512") == 0 ? "SHA512"
                                                             : "SHA256";
    size_t size = 1024;
    EVP_PKEY_CTX *options;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (EVP_DigestSignInit_ex(context, &options, own ? NULL : digest, NULL, NULL, issuer->key,
                              NULL) != 1)
        abort();
    if (algorithm[0] == 'P')
        EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING);
    if (algorithm[0] == 'P')
        EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST);
    if (EVP_DigestSign(context, signature, &size, (const unsigned char *)bytes.data, bytes.size) !=
        1)
        abort();
    EVP_MD_CTX_free(context);
    if (strncmp(algorithm, "ES", 2) != 0)
        return size;
    return issuer_raw(signature, size, strcmp(algorithm, "ES384") == 0 ? 48 : 32);
}

/* Any bytes as header and payload, signed by any algorithm that the key can do. */
static inline struct slice issuer_sign_as(struct issuer *issuer, const char *algorithm,
                                          struct slice header, struct slice payload)
{
    unsigned char signature[1024];
    assert((header.size + payload.size) / 3 * 4 + 2000 < ISSUER_TOKEN_MAX);
    size_t size = issuer_encode(header.data, header.size, issuer->token);
    issuer->token[size++] = '.';
    size += issuer_encode(payload.data, payload.size, issuer->token + size);
    struct slice covered = {.data = issuer->token, .size = size};
    size_t signature_size = issuer_sign_bytes(issuer, algorithm, covered, signature);
    issuer->token[size++] = '.';
    size += issuer_encode(signature, signature_size, issuer->token + size);
    return (struct slice){.data = issuer->token, .size = size};
}

static inline struct slice issuer_sign(struct issuer *issuer, const char *header,
                                       const char *payload)
{
    return issuer_sign_as(issuer, issuer->algorithm, slice_of(header), slice_of(payload));
}

/* With the plain header; the token holds until the next one. */
static inline struct slice issuer_issue(struct issuer *issuer, const char *payload)
{
    char header[64];
    snprintf(header, sizeof header, "{\"alg\":\"%s\",\"typ\":\"JWT\"}", issuer->algorithm);
    return issuer_sign(issuer, header, payload);
}
