/* SPDX-License-Identifier: Apache-2.0 */
#include "access/token_list.h"

#include "base/buffer.h"

#include <errno.h>
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define FIRST "0123456789abcdef"
#define SECOND "ABCDEF-._~+/0123=="

static struct token_list *read_good(struct slice text)
{
    struct token_list *list = NULL;
    struct err err = {0};
    if (token_list_create(text, &list, &err) != 0)
        fail_msg("%s", err.text);
    return list;
}

static const struct token_entry *find(const struct token_list *list, const char *token)
{
    uint8_t digest[TOKEN_DIGEST_SIZE];
    token_digest(slice_of(token), digest);
    return token_list_find(list, digest);
}

static void digests_are_sha_256(void **state)
{
    (void)state;
    /* FIPS 180-4's example */
    static const uint8_t expected[TOKEN_DIGEST_SIZE] = {
        0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
        0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
        0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    uint8_t digest[TOKEN_DIGEST_SIZE];
    token_digest(SLICE("abc"), digest);
    assert_memory_equal(digest, expected, sizeof expected);
}

static void lines_become_entries(void **state)
{
    (void)state;
    struct token_list *list =
        read_good(SLICE("# who may\r\n\n   \t\n" FIRST "\r\n\t" SECOND
                        " \t name=desk-1.A_b   expires=2027-01-01T00:00:00Z \n"
                        "  # not this one: 0123456789abcdefg\n"
                        "0123456789abcdefh expires=1790133513"));
    assert_int_equal(token_list_count(list), 3);
    const struct token_entry *first = find(list, FIRST);
    assert_ptr_equal(first, token_list_at(list, 0));
    assert_int_equal(first->expires_us, 0);
    assert_string_equal(first->name, "");
    const struct token_entry *second = find(list, SECOND);
    assert_ptr_equal(second, token_list_at(list, 1));
    assert_string_equal(second->name, "desk-1.A_b");
    assert_int_equal(second->expires_us, 1798761600000000);
    assert_int_equal(find(list, "0123456789abcdefh")->expires_us, 1790133513000000);
    assert_null(find(list, "0123456789abcdefg"));
    assert_null(find(list, "0123456789abcde"));
    assert_null(find(list, ""));
    token_list_destroy(list);
    token_list_destroy(NULL);
}

#define FORM "a token has letters, digits and -._~+/ alone, and = at its end"
#define SIZE "a token has 16 to 8192 characters"
#define WORDS "behind the token stand expires=TIME and name=NAME, each at most once"
#define TIME "expires= wants a time like 2027-01-01T00:00:00Z, or seconds since 1970"
#define NAME "name= wants letters, digits, '.', '_' and '-', at most 63"

static void wrong_lines_are_told_without_what_they_say(void **state)
{
    (void)state;
    const struct {
        struct slice text;
        const char *error;
    } rows[] = {
        {SLICE(""), "no token in it"},
        {SLICE("# nothing\n\n"), "no token in it"},
        {SLICE("secret-tokenxyz"), "line 1: " SIZE},
        {SLICE("\n\n" FIRST "\nsecret token of 16\n"), "line 4: " SIZE},
        {SLICE(FIRST "!"), "line 1: " FORM},
        {SLICE("\"" FIRST "\""), "line 1: " FORM},
        {SLICE("0123456789=abcdef"), "line 1: " FORM},
        {SLICE("================"), "line 1: " FORM},
        {SLICE("0123456789abc\0def"), "line 1: " FORM},
        {SLICE(FIRST "\xc3\xa9"), "line 1: " FORM},
        {SLICE(FIRST " secret"), "line 1: " WORDS},
        {SLICE(FIRST " # desk"), "line 1: " WORDS},
        {SLICE(FIRST " Name=x"), "line 1: " WORDS},
        {SLICE(FIRST " name=x name=y"), "line 1: " WORDS},
        {SLICE(FIRST " expires=5 expires=6"), "line 1: " WORDS},
        {SLICE(FIRST " expires=secret"), "line 1: " TIME},
        {SLICE(FIRST " expires="), "line 1: " TIME},
        {SLICE(FIRST " expires=0"), "line 1: " TIME},
        {SLICE(FIRST " expires=2027-01-01"), "line 1: " TIME},
        {SLICE(FIRST " name="), "line 1: " NAME},
        {SLICE(FIRST " name=a/b"), "line 1: " NAME},
        {SLICE(FIRST " name=a\0b"), "line 1: " NAME},
        {SLICE(FIRST " name=123456789012345678901234567890123456789012345678901234567890abcd"),
         "line 1: " NAME},
        {SLICE(FIRST "\n" SECOND "\n" FIRST " name=x\n"),
         "line 3: this token stands in the file already"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct token_list *list = NULL;
        struct err err = {0};
        assert_int_equal(token_list_create(rows[i].text, &list, &err), -EINVAL);
        assert_string_equal(err.text, rows[i].error);
        assert_null(list);
    }
}

static void tokens_have_a_size(void **state)
{
    (void)state;
    char text[LIMIT_ACCESS_TOKEN + 1];
    struct token_list *list = NULL;
    struct err err = {0};
    memset(text, 'a', sizeof text);
    token_list_destroy(read_good((struct slice){.data = text, .size = LIMIT_ACCESS_TOKEN}));
    token_list_destroy(read_good((struct slice){.data = text, .size = LIMIT_ACCESS_TOKEN_MIN}));
    struct slice longer = {.data = text, .size = sizeof text};
    assert_int_equal(token_list_create(longer, &list, &err), -EINVAL);
    assert_string_equal(err.text, "line 1: " SIZE);
}

static void there_are_only_so_many(void **state)
{
    (void)state;
    struct buffer text;
    buffer_init(&text, MEBIBYTE);
    for (unsigned i = 0; i < LIMIT_ACCESS_TOKENS; i++)
        buffer_append_format(&text, "token-of-the-test-%u\n", i);
    struct token_list *list = read_good(buffer_slice(&text));
    assert_int_equal(token_list_count(list), LIMIT_ACCESS_TOKENS);
    for (unsigned i = 0; i < LIMIT_ACCESS_TOKENS; i++) {
        char token[40];
        snprintf(token, sizeof token, "token-of-the-test-%u", i);
        assert_ptr_equal(find(list, token), token_list_at(list, i));
    }
    token_list_destroy(list);
    buffer_append_text(&text, "one-token-more-than-that");
    struct err err = {0};
    assert_int_equal(token_list_create(buffer_slice(&text), &list, &err), -EINVAL);
    assert_string_equal(err.text, "line 1001: more than 1000 tokens");
    buffer_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_sha_256),
        cmocka_unit_test(lines_become_entries),
        cmocka_unit_test(wrong_lines_are_told_without_what_they_say),
        cmocka_unit_test(tokens_have_a_size),
        cmocka_unit_test(there_are_only_so_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
