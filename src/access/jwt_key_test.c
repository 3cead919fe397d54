/* SPDX-License-Identifier: Apache-2.0 */
#include "access/jwt_key.h"

#include "access/base64url.h"
#include "access/issuer_test.h"
#include "access/vectors_test.h"

#include <errno.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const algorithms[] = {"RS256", "RS384", "RS512", "PS256",
                                         "ES256", "ES384", "EdDSA"};

static struct jwt_key *key_of(const char *algorithm, const char *pem)
{
    struct jwt_key *key = NULL;
    struct err err = {0};
    if (jwt_key_create(algorithm, slice_of(pem), &key, &err) != 0)
        fail_msg("%s: %s", algorithm, err.text);
    assert_string_equal(jwt_key_algorithm(key), algorithm);
    return key;
}

/* Of "covered.signature", the signature decoded. */
static size_t cut_token(struct slice token, struct slice *ret_covered, uint8_t signature[1024])
{
    const char *dot = memrchr(token.data, '.', token.size);
    size_t size = 0;
    assert_non_null(dot);
    *ret_covered = (struct slice){.data = token.data, .size = (size_t)(dot - token.data)};
    struct slice rest = {.data = dot + 1, .size = token.size - ret_covered->size - 1};
    assert_true(base64url_decode(rest, signature, 1024, &size));
    return size;
}

static bool holds(const struct jwt_key *key, struct slice bytes, const uint8_t *signature,
                  size_t size)
{
    return jwt_key_verifies(key, bytes,
                            (struct slice){.data = (const char *)signature, .size = size});
}

static void examples_of_the_standards_hold(void **state)
{
    (void)state;
    static const struct {
        const char *algorithm, *pem, *token;
    } rows[] = {
        {"RS256", VECTOR_RS256_KEY, VECTOR_RS256},
        {"ES256", VECTOR_ES256_KEY, VECTOR_ES256},
        {"EdDSA", VECTOR_EDDSA_KEY, VECTOR_EDDSA},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t signature[1024];
        struct slice covered;
        struct jwt_key *key = key_of(rows[i].algorithm, rows[i].pem);
        size_t size = cut_token(slice_of(rows[i].token), &covered, signature);
        assert_true(holds(key, covered, signature, size));
        covered.size--;
        assert_false(holds(key, covered, signature, size));
        jwt_key_destroy(key);
    }
    jwt_key_destroy(NULL);
}

/* One bit of it, or of what it covers, or one byte more or less, and it does not hold. */
static void only_the_very_signature_holds(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
        uint8_t signature[1024];
        struct issuer *issuer = calloc(1, sizeof *issuer);
        issuer_init(issuer, algorithms[i]);
        struct jwt_key *key = key_of(algorithms[i], issuer->pem);
        char text[] = "what is signed";
        struct slice bytes = {.data = text, .size = sizeof text - 1};
        size_t size = issuer_sign_bytes(issuer, algorithms[i], bytes, signature);
        assert_true(holds(key, bytes, signature, size));
        for (size_t bit = 0; bit < 8 * size; bit += 11) {
            signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_false(holds(key, bytes, signature, size));
            signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_false(holds(key, bytes, signature, size - 1));
        assert_false(holds(key, bytes, signature, size + 1));
        assert_false(holds(key, bytes, signature, 0));
        text[0] ^= 1;
        assert_false(holds(key, bytes, signature, size));
        text[0] ^= 1;
        assert_true(holds(key, bytes, signature, size));
        jwt_key_destroy(key);
        issuer_release(issuer);
        free(issuer);
    }
}

static void zeros_are_no_signature(void **state)
{
    (void)state;
    static const uint8_t zeros[1024];
    struct jwt_key *key = key_of("ES256", VECTOR_ES256_KEY);
    assert_false(holds(key, SLICE("x"), zeros, 64)); /* r = s = 0 */
    jwt_key_destroy(key);
    key = key_of("EdDSA", VECTOR_EDDSA_KEY);
    assert_false(holds(key, SLICE("x"), zeros, 64));
    jwt_key_destroy(key);
    key = key_of("RS256", VECTOR_RS256_KEY);
    assert_false(holds(key, SLICE("x"), zeros, 256));
    jwt_key_destroy(key);
}

/* The same RSA key, and another padding or digest. */
static void algorithms_of_one_key_are_not_mixed(void **state)
{
    (void)state;
    struct issuer *issuer = calloc(1, sizeof *issuer);
    issuer_init(issuer, "RS256");
    for (size_t signing = 0; signing < 4; signing++) {
        uint8_t signature[1024];
        size_t size = issuer_sign_bytes(issuer, algorithms[signing], SLICE("x"), signature);
        for (size_t checking = 0; checking < 4; checking++) {
            struct jwt_key *key = key_of(algorithms[checking], issuer->pem);
            assert_int_equal(holds(key, SLICE("x"), signature, size), signing == checking);
            jwt_key_destroy(key);
        }
    }
    issuer_release(issuer);
    free(issuer);
}

/* RFC 7518, section 3.5: the salt is as long as the digest. */
static void another_salt_is_refused(void **state)
{
    (void)state;
    static const struct {
        int salt_size;
        bool good;
    } rows[] = {{32, true}, {20, false}, {0, false}, {64, false}};
    struct issuer *issuer = calloc(1, sizeof *issuer);
    issuer_init(issuer, "PS256");
    struct jwt_key *key = key_of("PS256", issuer->pem);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t signature[1024];
        size_t size = sizeof signature;
        EVP_PKEY_CTX *options;
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        assert_int_equal(EVP_DigestSignInit(context, &options, EVP_sha256(), NULL, issuer->key), 1);
        assert_true(EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) > 0);
        assert_true(EVP_PKEY_CTX_set_rsa_pss_saltlen(options, rows[i].salt_size) > 0);
        assert_int_equal(EVP_DigestSign(context, signature, &size, (const unsigned char *)"x", 1),
                         1);
        assert_int_equal(holds(key, SLICE("x"), signature, size), rows[i].good);
        EVP_MD_CTX_free(context);
    }
    jwt_key_destroy(key);
    issuer_release(issuer);
    free(issuer);
}

/* ---- keys that are refused ---- */

static void expect_refused(const char *algorithm, struct slice pem, const char *text)
{
    struct jwt_key *key = NULL;
    struct err err = {0};
    assert_int_not_equal(jwt_key_create(algorithm, pem, &key, &err), 0);
    assert_string_equal(err.text, text);
    assert_null(key);
}

static void algorithms_that_share_a_secret_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"",      "none",  "None",  "HS256",  "HS384", "HS512",
                                        "rs256", "PS384", "ES512", "ES256K", "RS256 "};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        expect_refused(names[i], SLICE(VECTOR_RS256_KEY),
                       "no algorithm that is taken: one of RS256, RS384, RS512, PS256, ES256, "
                       "ES384 or EdDSA");
}

static void a_key_must_be_of_its_type(void **state)
{
    (void)state;
    static const char *const wanted[] = {"an RSA key",    "an RSA key",  "an RSA key",
                                         "an RSA key",    "a P-256 key", "a P-384 key",
                                         "an Ed25519 key"};
    char text[100];
    for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
        snprintf(text, sizeof text, "%s wants %s, and this is another", algorithms[i], wanted[i]);
        if (algorithms[i][0] != 'R' && algorithms[i][0] != 'P')
            expect_refused(algorithms[i], SLICE(VECTOR_RS256_KEY), text);
        if (strcmp(algorithms[i], "ES256") != 0)
            expect_refused(algorithms[i], SLICE(VECTOR_ES256_KEY), text);
        if (strcmp(algorithms[i], "EdDSA") != 0)
            expect_refused(algorithms[i], SLICE(VECTOR_EDDSA_KEY), text);
    }
}

static void an_rsa_key_must_be_long_enough(void **state)
{
    (void)state;
    char pem[4096];
    EVP_PKEY *key = EVP_RSA_gen(1024);
    assert_non_null(key);
    issuer_write_public(key, pem, sizeof pem);
    expect_refused("RS256", slice_of(pem), "an RSA key of 1024 bits; 2048 to 8192 are wanted");
    EVP_PKEY_free(key);
}

static void a_file_must_hold_one_public_key(void **state)
{
    (void)state;
    const char *none = "no public key in PEM form (-----BEGIN PUBLIC KEY-----)";
    expect_refused("ES256", SLICE(""), none);
    expect_refused("ES256", SLICE("hello\n"), none);
    expect_refused("ES256", SLICE("-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n"),
                   none);
    expect_refused("ES256", SLICE("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"),
                   none);
    expect_refused("ES256", SLICE(VECTOR_ES256_KEY VECTOR_ES256_KEY), "holds more than one key");
    expect_refused("ES256", SLICE("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"),
                   "holds a private key; a node needs the public one alone");
    expect_refused("ES256", SLICE(VECTOR_ES256_KEY "-----BEGIN EC PRIVATE KEY-----\n"),
                   "holds a private key; a node needs the public one alone");
    jwt_key_destroy(key_of("ES256", "of the issuer\n\n" VECTOR_ES256_KEY "\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_of_the_standards_hold),
        cmocka_unit_test(only_the_very_signature_holds),
        cmocka_unit_test(zeros_are_no_signature),
        cmocka_unit_test(algorithms_of_one_key_are_not_mixed),
        cmocka_unit_test(another_salt_is_refused),
        cmocka_unit_test(algorithms_that_share_a_secret_are_refused),
        cmocka_unit_test(a_key_must_be_of_its_type),
        cmocka_unit_test(an_rsa_key_must_be_long_enough),
        cmocka_unit_test(a_file_must_hold_one_public_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
