/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and keys that are good, missing, broken, or somebody else's. */
#include "net/tls.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "net/tls_fixture_test.h"

static struct authority authority;

static int set_up(void **state)
{
    (void)state;
    authority_init(&authority);
    authority_issue_good(&authority, "good");
    authority_issue_good(&authority, "other");
    authority_issue(&authority, &(struct leaf){.name = "rsa",
                                               .hosts = LOCAL_HOSTS,
                                               .from_s = -2 * DAY_S,
                                               .until_s = -DAY_S,
                                               .rsa = true});
    EVP_PKEY *key = EVP_EC_gen("P-256");
    write_key(authority_path(&authority, "password.key"), key, "secret");
    EVP_PKEY_free(key);
    fclose(fopen(authority_path(&authority, "empty.pem"), "w"));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    authority_release(&authority);
    return 0;
}

static void test_good(void **state)
{
    (void)state;
    struct tls_context *context = server_context(&authority, "good", NULL);
    struct tls_context *next = server_context(&authority, "rsa", context); /* expired: no matter */
    struct tls_context *same = tls_context_share(next);
    tls_context_destroy(next);
    int64_t day_us = DAY_S * 1000000LL;
    int64_t left_us = tls_context_expires_us(context) - clock_wall_us();
    assert_true(left_us > day_us - 60 * 1000000LL && left_us <= day_us);
    assert_true(tls_context_expires_us(same) < clock_wall_us());
    tls_context_destroy(same);
    tls_context_destroy(context);
    tls_context_destroy(NULL);
}

/* The text: the sentence, with the folder's name between its two parts. */
static void expect(const char *certificate, const char *key, int code, const char *before,
                   const char *after)
{
    struct tls_context *context = NULL;
    struct err err = {.code = 0};
    char expected[240];
    snprintf(expected, sizeof(expected), "%s%s%s", before, authority.folder, after);
    assert_int_equal(tls_context_create(authority_path(&authority, certificate),
                                        authority_path(&authority, key), NULL, &context, &err),
                     code);
    assert_null(context);
    assert_int_equal(err.code, code);
    if (strstr(err.text, expected) == NULL)
        fail_msg("%s: not: %s", err.text, expected);
    assert_int_equal(ERR_peek_error(), 0); /* nothing is left for whoever looks next */
}

static void test_bad(void **state)
{
    (void)state;
    expect("none.pem", "good.key", -ENOENT, "cannot read the certificate ",
           "/none.pem: No such file or directory");
    expect("good.pem", "none.key", -ENOENT, "cannot read the key ", "/none.key: No such file");
    expect("good.key", "good.key", -EINVAL, "no usable certificate (PEM) in ", "/good.key: ");
    expect("empty.pem", "good.key", -EINVAL, "no usable certificate (PEM) in ", "/empty.pem: ");
    expect("good.pem", "good.pem", -EINVAL, "no usable key (PEM, not encrypted) in ",
           "/good.pem: ");
    expect("good.pem", "empty.pem", -EINVAL, "no usable key (PEM, not encrypted) in ",
           "/empty.pem");
    expect("good.pem", "password.key", -EINVAL, "no usable key (PEM, not encrypted) in ",
           "/password.key: ");
    expect("good.pem", "other.key", -EINVAL, "the key in ", "/other.key does not belong to the ");
    expect("good.pem", "rsa.key", -EINVAL, "the key in ", "/rsa.key does not belong to the ");
    expect("rsa.pem", "good.key", -EINVAL, "the key in ", "/good.key does not belong to the ");
    expect("", "good.key", -EINVAL, "the certificate ", "/ is not a regular file");
    char pipe[160]; /* nobody writes to it: to open it the usual way would hold the node up */
    snprintf(pipe, sizeof(pipe), "%s", authority_path(&authority, "pipe.pem"));
    assert_int_equal(mkfifo(pipe, 0600), 0);
    expect("pipe.pem", "good.key", -EINVAL, "the certificate ", "/pipe.pem is not a regular file");
    unlink(pipe);
}

static void test_unreadable(void **state)
{
    (void)state;
    const char *path = authority_path(&authority, "good.key");
    if (geteuid() == 0)
        skip(); /* to whom every file is readable */
    chmod(path, 0);
    expect("good.pem", "good.key", -EACCES, "cannot read the key ", "/good.key: Permission denied");
    chmod(path, 0600);
}

static void test_authorities(void **state)
{
    (void)state;
    struct tls_context *context = NULL;
    struct err err;
    assert_int_equal(
        tls_context_create_client(authority_path(&authority, "ca.pem"), &context, &err), 0);
    tls_context_destroy(context);
    assert_int_equal(tls_context_create_client(NULL, &context, &err), 0);
    tls_context_destroy(context);
    const char *empty = authority_path(&authority, "empty.pem");
    assert_int_equal(tls_context_create_client(empty, &context, &err), -EINVAL);
    assert_non_null(strstr(err.text, "no usable certificates of authorities (PEM) in "));
    const char *none = authority_path(&authority, "none.pem");
    assert_int_equal(tls_context_create_client(none, &context, &err), -ENOENT);
    assert_non_null(strstr(err.text, "cannot read the authorities "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_authorities),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
