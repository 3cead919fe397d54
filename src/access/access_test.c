/* SPDX-License-Identifier: Apache-2.0 */
#include "access/access.h"

#include "access/head_test.h"
#include "access/issuer_test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TOKENS "access_test.tokens"
#define ADMIN "access_test.admin"
#define KEY "access_test.pem"
#define READER "reader-token-0001"
#define ENDING "ending-token-0001"
#define WRITER "writer-token-0001"
#define NOW_US INT64_C(1790133513000000)
#define REALM "WWW-Authenticate: Bearer realm=\"tickwire\""

static void put(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void put_usual(void)
{
    put(TOKENS, READER " name=desk\n" ENDING " expires=1790133514\n", 0600);
    put(ADMIN, WRITER "\n", 0600);
}

static const struct access_options by_token = {
    .mode = ACCESS_TOKEN, .tokens_file = TOKENS, .admin_token_file = ADMIN};
static const struct access_options by_jwt = {.mode = ACCESS_JWT,
                                             .jwt_algorithm = "EdDSA",
                                             .jwt_public_key = KEY,
                                             .jwt_audience = "ticks",
                                             .admin_token_file = ADMIN};

static struct access *create(const struct access_options *options)
{
    struct access *access = NULL;
    struct err err = {0};
    if (access_create(options, &access, &err) != 0)
        fail_msg("%s", err.text);
    return access;
}

typedef void check_fn(struct access *access, const struct http_head *request, int64_t now_us,
                      struct access_verdict *ret_verdict);

static struct access_verdict ask(check_fn *check, struct access *access, const char *headers)
{
    struct head_maker maker;
    struct access_verdict verdict;
    memset(&verdict, 0x5a, sizeof verdict);
    check(access, head_make(&maker, headers), NOW_US, &verdict);
    head_release(&maker);
    if (verdict.status == 0) {
        assert_null(verdict.detail);
        assert_null(verdict.headers);
    } else {
        assert_non_null(verdict.detail);
        assert_null(verdict.subprotocol);
        assert_int_equal(verdict.expires_us, 0);
        assert_string_equal(verdict.name, "");
    }
    return verdict;
}

static unsigned status_of(struct access *access, const char *headers)
{
    return ask(access_check, access, headers).status;
}

static unsigned admin_status_of(struct access *access, const char *headers)
{
    return ask(access_check_admin, access, headers).status;
}

#define BEARER(token) "Authorization: Bearer " token "\r\n"
#define OFFER(value) HANDSHAKE "Sec-WebSocket-Protocol: " value "\r\n"

/* ---- mode none ---- */

static void without_a_mode_everybody_may_read(void **state)
{
    (void)state;
    struct access *access = create(&(struct access_options){.mode = ACCESS_NONE});
    assert_int_equal(status_of(access, ""), 0);
    assert_int_equal(status_of(access, BEARER("x")), 0);
    assert_int_equal(status_of(access, BEARER("x") BEARER("y")), 0);
    assert_null(ask(access_check, access, HANDSHAKE).subprotocol);
    assert_null(ask(access_check, access, OFFER("other")).subprotocol);
    assert_string_equal(ask(access_check, access, OFFER("tickwire")).subprotocol, "tickwire");
    assert_string_equal(ask(access_check, access, OFFER("tickwire, bearer.x")).subprotocol,
                        "tickwire");
    assert_string_equal(access_warning(access), "");
    access_destroy(access);
    access_destroy(NULL);
}

static void without_an_admin_nobody_may_write(void **state)
{
    (void)state;
    put_usual();
    struct access_options options = by_token;
    options.admin_token_file = "";
    struct access *access = create(&options);
    assert_int_equal(admin_status_of(access, ""), 403);
    assert_int_equal(admin_status_of(access, BEARER(READER)), 403);
    assert_int_equal(admin_status_of(access, BEARER("x") BEARER("y")), 403);
    assert_null(ask(access_check_admin, access, "").headers); /* no token would help */
    access_destroy(access);
}

/* ---- tokens of a file ---- */

static void a_token_of_the_file_opens(void **state)
{
    (void)state;
    put_usual();
    struct access *access = create(&by_token);
    struct access_verdict verdict = ask(access_check, access, BEARER(READER));
    assert_int_equal(verdict.status, 0);
    assert_int_equal(verdict.expires_us, 0);
    assert_string_equal(verdict.name, "desk");
    assert_null(verdict.subprotocol);
    verdict = ask(access_check, access, OFFER("tickwire, bearer." ENDING));
    assert_int_equal(verdict.status, 0);
    assert_int_equal(verdict.expires_us, NOW_US + 1000000);
    assert_string_equal(verdict.name, "");
    assert_string_equal(verdict.subprotocol, "tickwire");
    verdict = ask(access_check, access, BEARER(READER) OFFER("tickwire"));
    assert_int_equal(verdict.status, 0);
    assert_string_equal(verdict.subprotocol, "tickwire");
    access_destroy(access);
}

static void each_refusal_says_why(void **state)
{
    (void)state;
    put(TOKENS, READER "\n" ENDING " expires=1790133513\n", 0600);
    static const struct {
        const char *headers;
        unsigned status;
        const char *challenge;
    } rows[] = {
        {"", 401, REALM "\r\n"},
        {HANDSHAKE, 401, REALM "\r\n"},
        {"Authorization: Basic eDp5\r\n", 401, REALM "\r\n"},
        {"Sec-WebSocket-Protocol: tickwire, bearer." READER "\r\n", 401, REALM "\r\n"},
        {BEARER("reader-token-0002"), 401,
         REALM ", error=\"invalid_token\", error_description=\"not valid here\"\r\n"},
        {BEARER("READER-TOKEN-0001"), 401,
         REALM ", error=\"invalid_token\", error_description=\"not valid here\"\r\n"},
        {BEARER(ENDING), 401,
         REALM ", error=\"invalid_token\", error_description=\"the token has ended\"\r\n"},
        {BEARER(READER) OFFER("tickwire, bearer." ENDING), 401,
         REALM ", error=\"invalid_token\", error_description=\"two different tokens\"\r\n"},
        {BEARER(READER) BEARER(READER), 400,
         REALM ", error=\"invalid_request\", error_description=\"one well-formed token is "
               "wanted\"\r\n"},
        {OFFER("bearer." READER), 400,
         REALM ", error=\"invalid_request\", error_description=\"one well-formed token is "
               "wanted\"\r\n"},
    };
    struct access *access = create(&by_token);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct access_verdict verdict = ask(access_check, access, rows[i].headers);
        assert_int_equal(verdict.status, rows[i].status);
        assert_string_equal(verdict.headers, rows[i].challenge);
    }
    access_destroy(access);
}

/* The maker's target has ?token=none: nothing there opens anything. */
static void the_query_is_not_looked_at(void **state)
{
    (void)state;
    put(TOKENS, "token-of-the-query-none\nnonenonenonenone\n", 0600);
    put(ADMIN, WRITER "\n", 0600);
    struct access *access = create(&by_token);
    assert_int_equal(status_of(access, ""), 401);
    access_destroy(access);
}

static void the_admin_may_read_and_write(void **state)
{
    (void)state;
    put_usual();
    struct access *access = create(&by_token);
    assert_int_equal(status_of(access, BEARER(WRITER)), 0);
    assert_int_equal(admin_status_of(access, BEARER(WRITER)), 0);
    assert_int_equal(admin_status_of(access, BEARER(READER)), 403);
    assert_int_equal(admin_status_of(access, BEARER("unknown-token-001")), 401);
    assert_int_equal(admin_status_of(access, ""), 401);
    assert_int_equal(admin_status_of(access, BEARER(WRITER) BEARER(WRITER)), 400);
    /* in the header only */
    assert_int_equal(admin_status_of(access, OFFER("tickwire, bearer." WRITER)), 401);
    assert_int_equal(status_of(access, OFFER("tickwire, bearer." WRITER)), 401);
    access_destroy(access);

    put(ADMIN, WRITER " expires=1790133513", 0600);
    access = create(&by_token);
    assert_int_equal(admin_status_of(access, BEARER(WRITER)), 401);
    assert_int_equal(status_of(access, BEARER(WRITER)), 401);
    access_destroy(access);

    put_usual();
    access = create(&(struct access_options){.admin_token_file = ADMIN});
    assert_int_equal(admin_status_of(access, BEARER(WRITER)), 0);
    assert_int_equal(admin_status_of(access, BEARER(READER)), 401);
    assert_int_equal(admin_status_of(access, ""), 401);
    access_destroy(access);
}

/* ---- JSON Web Tokens ---- */

static void with_token(char headers[2000], const char *start, struct slice token)
{
    snprintf(headers, 2000, "%s%.*s\r\n", start, (int)token.size, token.data);
}

static void a_jwt_opens_until_it_ends(void **state)
{
    (void)state;
    struct issuer *issuer = calloc(1, sizeof *issuer);
    char headers[2000];
    issuer_init(issuer, "EdDSA");
    put_usual();
    put(KEY, issuer->pem, 0644); /* it is public */
    struct access *access = create(&by_jwt);
    assert_string_equal(access_warning(access), "");
    struct slice token = issuer_issue(issuer, "{\"aud\":\"ticks\",\"exp\":1790133600.5}");
    with_token(headers, "Authorization: Bearer ", token);
    struct access_verdict verdict = ask(access_check, access, headers);
    assert_int_equal(verdict.status, 0);
    assert_int_equal(verdict.expires_us, INT64_C(1790133600500000));
    assert_int_equal(admin_status_of(access, headers), 403);
    with_token(headers, HANDSHAKE "Sec-WebSocket-Protocol: tickwire, bearer.", token);
    assert_string_equal(ask(access_check, access, headers).subprotocol, "tickwire");
    assert_int_equal(status_of(access, BEARER(WRITER)), 0);
    assert_int_equal(status_of(access, BEARER(READER)), 401);

    static const struct {
        const char *payload, *detail;
    } rows[] = {
        {"{\"aud\":\"ticks\",\"exp\":1790133513}", "the token has ended"},
        {"{\"aud\":\"ticks\",\"exp\":1790133600,\"nbf\":1790133590}", "the token is not valid yet"},
        {"{\"aud\":\"other\",\"exp\":1790133600}", "the token is for another audience"},
        {"{\"aud\":\"ticks\"}", "the token is not valid here"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        with_token(headers, "Authorization: Bearer ", issuer_issue(issuer, rows[i].payload));
        verdict = ask(access_check, access, headers);
        assert_int_equal(verdict.status, 401);
        assert_string_equal(verdict.detail, rows[i].detail);
        assert_non_null(strstr(verdict.headers, "error=\"invalid_token\""));
    }
    access_destroy(access);
    issuer_release(issuer);
    free(issuer);
}

/* ---- files ---- */

static void expect_failure(const struct access_options *options, const char *text)
{
    struct access *access = NULL;
    struct err err = {0};
    assert_true(access_create(options, &access, &err) < 0);
    assert_string_equal(err.text, text);
    assert_null(access);
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    struct access_options options = {.mode = ACCESS_TOKEN};
    expect_failure(&options, "auth.mode is token, so auth.tokens_file must be set");
    options = (struct access_options){.mode = ACCESS_JWT};
    expect_failure(&options, "auth.mode is jwt, so auth.jwt.algorithm must be set");
    options.jwt_algorithm = "ES256";
    expect_failure(&options, "auth.mode is jwt, so auth.jwt.public_key must be set");
    options.jwt_public_key = KEY;
    expect_failure(&options, "auth.mode is jwt, so auth.jwt.audience must be set");
}

static void wrong_files_are_named_and_not_told(void **state)
{
    (void)state;
    put_usual();
    put(TOKENS, READER "\nsecret\n", 0600);
    expect_failure(&by_token, "auth.tokens_file: " TOKENS ": line 2: a token has 16 to 8192 "
                              "characters");
    unlink(TOKENS);
    expect_failure(&by_token, "auth.tokens_file: " TOKENS ": No such file or directory");
    put(TOKENS, READER "\n", 0600);
    put(ADMIN, READER "\n", 0600);
    expect_failure(&by_token,
                   "auth.admin_token_file: its token stands in auth.tokens_file as well");
    put(ADMIN, READER "\n" WRITER "\n", 0600);
    expect_failure(&by_token, "auth.admin_token_file: more than one token");
    put(ADMIN, "\n", 0600);
    expect_failure(&by_token, "auth.admin_token_file: " ADMIN ": no token in it");
    unlink(KEY);
    expect_failure(&by_jwt, "auth.jwt.public_key: " KEY ": No such file or directory");
    put(KEY, "no key", 0600);
    expect_failure(&by_jwt, "auth.jwt.public_key: " KEY
                            ": no public key in PEM form (-----BEGIN PUBLIC KEY-----)");
}

static void exposed_files_are_warned_of(void **state)
{
    (void)state;
    put_usual();
    assert_int_equal(chmod(TOKENS, 0644), 0);
    struct access *access = create(&by_token);
    assert_string_equal(access_warning(access),
                        "auth.tokens_file: every user of this machine may read or change the file");
    assert_int_equal(chmod(ADMIN, 0606), 0);
    struct err err = {0};
    assert_int_equal(access_reload(access, &err), 0);
    assert_string_equal(
        access_warning(access),
        "auth.tokens_file: every user of this machine may read or change the file; "
        "auth.admin_token_file: every user of this machine may read or change the file");
    put_usual();
    assert_int_equal(access_reload(access, &err), 0);
    assert_string_equal(access_warning(access), "");
    access_destroy(access);
}

static void a_reload_is_all_or_nothing(void **state)
{
    (void)state;
    struct err err = {0};
    put_usual();
    struct access *access = create(&by_token);
    put(TOKENS, "another-token-001\n", 0600);
    assert_int_equal(status_of(access, BEARER(READER)), 0); /* nobody asked yet */
    put(ADMIN, "short\n", 0600);
    assert_int_equal(access_reload(access, &err), -EINVAL);
    assert_int_equal(status_of(access, BEARER(READER)), 0);
    assert_int_equal(status_of(access, BEARER("another-token-001")), 401);
    assert_int_equal(admin_status_of(access, BEARER(WRITER)), 0);
    put(ADMIN, "another-token-002\n", 0600);
    assert_int_equal(access_reload(access, &err), 0);
    assert_int_equal(status_of(access, BEARER(READER)), 401);
    assert_int_equal(status_of(access, BEARER("another-token-001")), 0);
    assert_int_equal(admin_status_of(access, BEARER(WRITER)), 401);
    assert_int_equal(admin_status_of(access, BEARER("another-token-002")), 0);
    access_destroy(access);
}

static int clean(void **state)
{
    (void)state;
    unlink(TOKENS);
    unlink(ADMIN);
    unlink(KEY);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_mode_everybody_may_read),
        cmocka_unit_test(without_an_admin_nobody_may_write),
        cmocka_unit_test(a_token_of_the_file_opens),
        cmocka_unit_test(each_refusal_says_why),
        cmocka_unit_test(the_query_is_not_looked_at),
        cmocka_unit_test(the_admin_may_read_and_write),
        cmocka_unit_test(a_jwt_opens_until_it_ends),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(wrong_files_are_named_and_not_told),
        cmocka_unit_test(exposed_files_are_warned_of),
        cmocka_unit_test(a_reload_is_all_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, clean);
}
