/* SPDX-License-Identifier: Apache-2.0 */
#include "access/jwt.h"

#include "access/issuer_test.h"
#include "access/vectors_test.h"
#include "base/limits.h"

#include <openssl/hmac.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW_S 1790133513
#define NOW_US (NOW_S * INT64_C(1000000))
#define GOOD "{\"aud\":\"ticks\",\"exp\":1790133600}"

struct fixture {
    struct issuer issuer;
    struct jwt_key *key;
    struct jwt_rule rule;
};

static struct fixture *open_fixture(const char *algorithm)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct err err = {0};
    issuer_init(&fixture->issuer, algorithm);
    if (jwt_key_create(algorithm, slice_of(fixture->issuer.pem), &fixture->key, &err) != 0)
        fail_msg("%s", err.text);
    fixture->rule = (struct jwt_rule){.key = fixture->key, .audience = "ticks"};
    return fixture;
}

static void close_fixture(struct fixture *fixture)
{
    jwt_key_destroy(fixture->key);
    issuer_release(&fixture->issuer);
    free(fixture);
}

static int setup(void **state)
{
    *state = open_fixture("EdDSA");
    return 0;
}

static int teardown(void **state)
{
    close_fixture(*state);
    return 0;
}

static enum jwt_verdict judge(const struct fixture *fixture, struct slice token)
{
    int64_t expires_us = -1;
    enum jwt_verdict verdict = jwt_check(&fixture->rule, token, NOW_US, &expires_us);
    assert_int_equal(verdict == JWT_GOOD, expires_us != -1); /* set on success only */
    return verdict;
}

struct row {
    const char *text;
    enum jwt_verdict verdict;
};

static void expect_payload(struct fixture *fixture, const struct row *row)
{
    enum jwt_verdict verdict = judge(fixture, issuer_issue(&fixture->issuer, row->text));
    if (verdict != row->verdict)
        fail_msg("%d, not %d, of %s", (int)verdict, (int)row->verdict, row->text);
}

static void each_algorithm_has_good_tokens(void **state)
{
    (void)state;
    static const char *const names[] = {"RS256", "RS384", "RS512", "PS256",
                                        "ES256", "ES384", "EdDSA"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct fixture *fixture = open_fixture(names[i]);
        int64_t expires_us = 0;
        struct slice token = issuer_issue(&fixture->issuer, GOOD);
        assert_int_equal(jwt_check(&fixture->rule, token, NOW_US, &expires_us), JWT_GOOD);
        assert_int_equal(expires_us, INT64_C(1790133600000000));
        close_fixture(fixture);
    }
}

static void another_key_signs_nothing(void **state)
{
    struct fixture *other = open_fixture("EdDSA");
    assert_int_equal(judge(*state, issuer_issue(&other->issuer, GOOD)), JWT_INVALID);
    assert_int_equal(judge(other, issuer_issue(&other->issuer, GOOD)), JWT_GOOD);
    close_fixture(other);
}

static void audiences(void **state)
{
    static const struct row rows[] = {
        {"{\"aud\":\"ticks\",\"exp\":1790133600}", JWT_GOOD},
        {"{\"aud\":[\"ticks\"],\"exp\":1790133600}", JWT_GOOD},
        {"{\"aud\":[\"a\",\"ticks\",\"b\"],\"exp\":1790133600}", JWT_GOOD},
        {"{\"aud\":\"\\u0074icks\",\"exp\":1790133600}", JWT_GOOD},
        {"{\"aud\":\"Ticks\",\"exp\":1790133600}", JWT_FOREIGN},
        {"{\"aud\":\"ticks \",\"exp\":1790133600}", JWT_FOREIGN},
        {"{\"aud\":\"\",\"exp\":1790133600}", JWT_FOREIGN},
        {"{\"aud\":[],\"exp\":1790133600}", JWT_FOREIGN},
        {"{\"aud\":[\"a\",\"b\"],\"exp\":1790133600}", JWT_FOREIGN},
        {"{\"aud\":[\"ticks\",7],\"exp\":1790133600}", JWT_INVALID},
        {"{\"aud\":[[\"ticks\"]],\"exp\":1790133600}", JWT_INVALID},
        {"{\"aud\":{\"ticks\":true},\"exp\":1790133600}", JWT_INVALID},
        {"{\"aud\":null,\"exp\":1790133600}", JWT_INVALID},
        {"{\"aud\":\"ticks\\u0000\",\"exp\":1790133600}", JWT_INVALID},
        {"{\"exp\":1790133600}", JWT_INVALID},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        expect_payload(*state, &rows[i]);
}

#define AUD "{\"aud\":\"ticks\","

static void times(void **state)
{
    static const struct row rows[] = {
        {AUD "\"exp\":1790133514}", JWT_GOOD},
        {AUD "\"exp\":1790133513}", JWT_EXPIRED}, /* "on or after" (RFC 7519, section 4.1.4) */
        {AUD "\"exp\":1790133512}", JWT_EXPIRED},
        {AUD "\"exp\":1790133513.25}", JWT_GOOD},
        {AUD "\"exp\":1790133513.0}", JWT_EXPIRED},
        {AUD "\"exp\":1.7901336e9}", JWT_GOOD},
        {AUD "\"exp\":0}", JWT_EXPIRED},
        {AUD "\"exp\":253402300799}", JWT_GOOD},
        {AUD "\"exp\":253402300800}", JWT_INVALID},
        {AUD "\"exp\":253402300799.5}", JWT_INVALID},
        {AUD "\"exp\":1790133600000000}", JWT_INVALID}, /* not seconds */
        {AUD "\"exp\":9223372036854775807}", JWT_INVALID},
        {AUD "\"exp\":9223372036854775808}", JWT_INVALID},
        {AUD "\"exp\":-1}", JWT_INVALID},
        {AUD "\"exp\":-0.5}", JWT_INVALID},
        {AUD "\"exp\":1e308}", JWT_INVALID},
        {AUD "\"exp\":1e999}", JWT_INVALID},
        {AUD "\"exp\":NaN}", JWT_INVALID},
        {AUD "\"exp\":\"1790133600\"}", JWT_INVALID},
        {AUD "\"exp\":true}", JWT_INVALID},
        {AUD "\"exp\":null}", JWT_INVALID},
        {AUD "\"exp\":[1790133600]}", JWT_INVALID},
        {AUD "\"Exp\":1790133600}", JWT_INVALID},
        {AUD "\"nbf\":1790133600}", JWT_INVALID},
        {AUD "\"exp\":1790133600,\"nbf\":1790133513}", JWT_GOOD},
        {AUD "\"exp\":1790133600,\"nbf\":1790133543}", JWT_GOOD}, /* JWT_LEEWAY_S */
        {AUD "\"exp\":1790133600,\"nbf\":1790133543.000001}", JWT_EARLY},
        {AUD "\"exp\":1790133600,\"nbf\":1790133544}", JWT_EARLY},
        {AUD "\"exp\":1790133600,\"nbf\":0}", JWT_GOOD},
        {AUD "\"exp\":1790133600,\"nbf\":-1}", JWT_INVALID},
        {AUD "\"exp\":1790133600,\"nbf\":\"x\"}", JWT_INVALID},
        {AUD "\"exp\":1790133600,\"nbf\":null}", JWT_INVALID},
        {AUD "\"exp\":1790133600,\"iat\":1890133600,\"sub\":\"x\",\"jti\":{}}", JWT_GOOD},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        expect_payload(*state, &rows[i]);
}

static void payloads_that_are_no_object(void **state)
{
    static const struct row rows[] = {
        {"", JWT_INVALID},
        {"{}", JWT_INVALID},
        {"[]", JWT_INVALID},
        {"null", JWT_INVALID},
        {"\"ticks\"", JWT_INVALID},
        {GOOD "}", JWT_INVALID},
        {GOOD " {}", JWT_INVALID},
        {" \r\n" GOOD " \t", JWT_GOOD},
        {"{\"aud\":\"ticks\",\"exp\":1790133600", JWT_INVALID},
        {"{\"aud\":\"ticks\",\"exp\":1790133600,}", JWT_INVALID},
        {"{\"aud\":\"x\",\"aud\":\"ticks\",\"exp\":1790133600}", JWT_INVALID},
        {AUD "\"exp\":1,\"exp\":1790133600}", JWT_INVALID},
        {AUD "\"exp\":1790133600,\"x\":{\"y\":1,\"y\":1}}", JWT_INVALID},
        {AUD "\"exp\":1790133600,\"x\":\"\xff\"}", JWT_INVALID},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        expect_payload(*state, &rows[i]);
}

static void headers(void **state)
{
    static const struct row rows[] = {
        {"{\"alg\":\"EdDSA\"}", JWT_GOOD},
        {"{\"typ\":\"JWT\",\"alg\":\"EdDSA\",\"kid\":\"7\"}", JWT_GOOD},
        {"{\"alg\":\"EdDSA\",\"jku\":\"http://127.0.0.1/\",\"jwk\":{}}", JWT_GOOD},
        {"{}", JWT_INVALID},
        {"[\"EdDSA\"]", JWT_INVALID},
        {"{\"typ\":\"JWT\"}", JWT_INVALID},
        {"{\"alg\":\"none\"}", JWT_INVALID},
        {"{\"alg\":\"None\"}", JWT_INVALID},
        {"{\"alg\":\"HS256\"}", JWT_INVALID},
        {"{\"alg\":\"RS256\"}", JWT_INVALID},
        {"{\"alg\":\"eddsa\"}", JWT_INVALID},
        {"{\"alg\":\"EdDSA \"}", JWT_INVALID},
        {"{\"alg\":\"EdDSA\\u0000\"}", JWT_INVALID},
        {"{\"alg\":[\"EdDSA\"]}", JWT_INVALID},
        {"{\"alg\":null}", JWT_INVALID},
        {"{\"alg\":\"EdDSA\",\"alg\":\"none\"}", JWT_INVALID},
        {"{\"alg\":\"none\",\"alg\":\"EdDSA\"}", JWT_INVALID},
        {"{\"alg\":\"EdDSA\",\"crit\":[\"exp\"]}", JWT_INVALID},
        {"{\"alg\":\"EdDSA\",\"crit\":[]}", JWT_INVALID},
        {"{\"alg\":\"EdDSA\",\"crit\":null}", JWT_INVALID},
        {"{\"alg\":\"EdDSA\",\"b64\":false,\"crit\":[\"b64\"]}", JWT_INVALID},
        {"{\"alg\":\"EdDSA\"", JWT_INVALID},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        enum jwt_verdict verdict =
            judge(fixture, issuer_sign(&fixture->issuer, rows[i].text, GOOD));
        if (verdict != rows[i].verdict)
            fail_msg("%d of %s", (int)verdict, rows[i].text);
    }
}

/* The public key is no secret: who takes it for one lets everybody sign. */
static void a_public_key_is_no_shared_secret(void **state)
{
    struct fixture *fixture = open_fixture("RS256");
    (void)state;
    char token[1024];
    unsigned char code[32];
    unsigned code_size = 0;
    size_t size = issuer_encode("{\"alg\":\"HS256\"}", 15, token);
    token[size++] = '.';
    size += issuer_encode(GOOD, sizeof GOOD - 1, token + size);
    assert_non_null(HMAC(EVP_sha256(), fixture->issuer.pem, (int)strlen(fixture->issuer.pem),
                         (unsigned char *)token, size, code, &code_size));
    token[size++] = '.';
    size += issuer_encode(code, code_size, token + size);
    assert_int_equal(judge(fixture, (struct slice){.data = token, .size = size}), JWT_INVALID);
    close_fixture(fixture);
}

static void examples_of_the_standards(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *algorithm, *pem, *token;
    } rows[] = {
        /* rightly signed, but for no audience: refused for that alone */
        {"RS256", VECTOR_RS256_KEY, VECTOR_RS256}, {"ES256", VECTOR_ES256_KEY, VECTOR_ES256},
        {"RS256", VECTOR_RS256_KEY, VECTOR_HS256}, {"RS256", VECTOR_RS256_KEY, VECTOR_NONE},
        {"EdDSA", VECTOR_EDDSA_KEY, VECTOR_EDDSA}, /* its payload is no JSON */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct jwt_key *key = NULL;
        struct err err = {0};
        int64_t expires_us;
        assert_int_equal(jwt_key_create(rows[i].algorithm, slice_of(rows[i].pem), &key, &err), 0);
        struct jwt_rule rule = {.key = key, .audience = "ticks"};
        assert_int_equal(jwt_check(&rule, slice_of(rows[i].token), 1, &expires_us), JWT_INVALID);
        jwt_key_destroy(key);
    }
    assert_int_equal(judge(fixture, slice_of(VECTOR_NONE)), JWT_INVALID);
}

static void wrong_forms(void **state)
{
    struct fixture *fixture = *state;
    static const char *const rows[] = {
        "",      ".",    "..",   "...",  "a",           "a.b",
        "a.b.c", "a..c", ".b.c", "a.b.", "e30.e30.e30", "opaque-token-of-a-file",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(judge(fixture, slice_of(rows[i])), JWT_INVALID);
}

/* Every byte counts, and a token has one spelling. */
static void a_changed_token_is_invalid(void **state)
{
    struct fixture *fixture = *state;
    char text[ISSUER_TOKEN_MAX];
    struct slice token = issuer_issue(&fixture->issuer, GOOD);
    memcpy(text, token.data, token.size);
    struct slice copy = {.data = text, .size = token.size};
    assert_int_equal(judge(fixture, copy), JWT_GOOD);
    for (size_t i = 0; i < copy.size; i++) {
        text[i] ^= 1;
        assert_int_equal(judge(fixture, copy), JWT_INVALID);
        text[i] ^= 1;
        struct slice shorter = {.data = text, .size = i};
        assert_int_equal(judge(fixture, shorter), JWT_INVALID);
    }
    static const char *const more[] = {"=", ".", ".e30", "A", "\n", " "};
    for (size_t i = 0; i < COUNT_OF(more); i++) {
        memcpy(text + copy.size, more[i], strlen(more[i]));
        struct slice longer = {.data = text, .size = copy.size + strlen(more[i])};
        assert_int_equal(judge(fixture, longer), JWT_INVALID);
    }
}

static struct slice sized(struct fixture *fixture, size_t filler)
{
    static char payload[ISSUER_TOKEN_MAX];
    size_t size = (size_t)snprintf(payload, sizeof payload, "%.*s,\"x\":\"%*s\"}",
                                   (int)sizeof GOOD - 2, GOOD, (int)filler, "");
    return issuer_sign_as(&fixture->issuer, "EdDSA", SLICE("{\"alg\":\"EdDSA\"}"),
                          (struct slice){.data = payload, .size = size});
}

static void a_token_has_a_size(void **state)
{
    struct fixture *fixture = *state;
    bool seen_good = false, seen_long = false;
    for (size_t filler = 5900; filler < 6100; filler++) {
        struct slice token = sized(fixture, filler);
        bool fits = token.size <= LIMIT_ACCESS_TOKEN;
        assert_int_equal(judge(fixture, token), fits ? JWT_GOOD : JWT_INVALID);
        seen_good = seen_good || fits;
        seen_long = seen_long || !fits;
    }
    assert_true(seen_good && seen_long);
}

/* The library's parser goes down with the brackets: it must come back. */
static void deep_nesting_is_refused(void **state)
{
    struct fixture *fixture = *state;
    static char payload[6000];
    memset(payload, '[', sizeof payload);
    struct slice deep = {.data = payload, .size = sizeof payload};
    struct slice header = SLICE("{\"alg\":\"EdDSA\"}");
    assert_int_equal(judge(fixture, issuer_sign_as(&fixture->issuer, "EdDSA", header, deep)),
                     JWT_INVALID);
    payload[0] = '{';
    memcpy(payload, "{\"aud\":", 7);
    assert_int_equal(judge(fixture, issuer_sign_as(&fixture->issuer, "EdDSA", header, deep)),
                     JWT_INVALID);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_algorithm_has_good_tokens),
        TEST(another_key_signs_nothing),
        TEST(audiences),
        TEST(times),
        TEST(payloads_that_are_no_object),
        TEST(headers),
        cmocka_unit_test(a_public_key_is_no_shared_secret),
        TEST(examples_of_the_standards),
        TEST(wrong_forms),
        TEST(a_changed_token_is_invalid),
        TEST(a_token_has_a_size),
        TEST(deep_nesting_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
