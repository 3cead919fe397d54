/* SPDX-License-Identifier: Apache-2.0 */
/* Every text is scanned in memory that ends where the contract allows reading, so that the address
 * sanitizer sees one byte more; what lies behind the NUL would continue any token. */
#include "market/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static char *exact(struct slice text)
{
    char *copy = malloc(text.size + 1 + LIMIT_PADDING);
    assert_non_null(copy);
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    memset(copy + text.size + 1, '"', LIMIT_PADDING);
    return copy;
}

static bool valid(struct slice text)
{
    char *copy = exact(text);
    struct scan scan = scan_begin((struct slice){.data = copy, .size = text.size});
    scan_skip(&scan);
    bool finished = scan_finish(&scan);
    assert_true(finished == !scan.failed || scan.at < scan.end);
    free(copy);
    return finished;
}

static const char *const good_texts[] = {
    "{}",
    "[]",
    "[[]]",
    "[{}]",
    "{\"\":[]}",
    " \t\r\n[ \t\r\n1 \t\r\n, \t\r\n2 \t\r\n] \t\r\n",
    "{ \"a\" : 1 , \"b\" : { } }",
    "[0,-0,0.0,-0.5,1e5,1E+5,1e-5,9.9E-7,123456789012345678901234567890,1e999999]",
    "[true,false,null]",
    "[\"\",\"a\",\"seven77\",\"eight888\",\"nine99999\",\"0123456789abcdef0123456789\"]",
    "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\uD83D\\ude00\"]",
    "[\"\\uD800\"]", /* the grammar allows a lone surrogate */
    "[\"\x7f\"]",
    "[\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"]",
    "[\"\xed\x95\x9c\xea\xb8\x80\"]",
    "{\"a\":{\"b\":[{\"c\":[[],[1],{}]}]},\"d\":\"e\"}",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
};

static const char *const bad_texts[] = {
    "",
    " ",
    "]",
    "}",
    "[",
    "{",
    ",",
    ":",
    "[1",
    "[1}",
    "{1}",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1",
    "{\"a\":1]",
    "{\"a\":1,}",
    "{,\"a\":1}",
    "{\"a\",1}",
    "{\"a\"::1}",
    "{a:1}",
    "{'a':1}",
    "{1:1}",
    "{null:1}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":1}}",
    "{\"a\":1}{",
    "{\"a\":1} x",
    "{\"a\":1}//",
    "[1]]",
    "[1][",
    "[1,]",
    "[,1]",
    "[,]",
    "[1,,2]",
    "[1 2]",
    "[1:2]",
    "[\"a\" \"b\"]",
    "[\"a\"b]",
    "[\"a\":1]",
    "[01]",
    "[-01]",
    "[00]",
    "[+1]",
    "[-]",
    "[--1]",
    "[-+1]",
    "[.5]",
    "[-.5]",
    "[5.]",
    "[5.e1]",
    "[1e]",
    "[1e+]",
    "[1E-]",
    "[1ee5]",
    "[1.2.3]",
    "[1-2]",
    "[1+2]",
    "[0x10]",
    "[1a]",
    "[1_000]",
    "[NaN]",
    "[Infinity]",
    "[-Infinity]",
    "[inf]",
    "[True]",
    "[TRUE]",
    "[tru]",
    "[truer]",
    "[true1]",
    "[fals]",
    "[falsey]",
    "[nul]",
    "[nulll]",
    "[n]",
    "[t]",
    "[f]",
    "['a']",
    "[\"a]",
    "[a\"]",
    "[\"\\\"]",
    "[\"\\x41\"]",
    "[\"\\a\"]",
    "[\"\\0\"]",
    "[\"\\u\"]",
    "[\"\\u1\"]",
    "[\"\\u12\"]",
    "[\"\\u123\"]",
    "[\"\\u123g\"]",
    "[\"\\uD83D\\u\"]",
    "[\"\\U0041\"]",
    "[\"\\ \"]",
    "[\"\\\n\"]",
    "[\"tab\there\"]",
    "[\"line\nbreak\"]",
    "[\"\x01\"]",
    "[\"\x1f\"]",
    "[\"1234567\x1f\"]",
    "[\"\x80\"]",
    "[\"\xbf\"]",
    "[\"\xc0\x80\"]",
    "[\"\xc1\xbf\"]",
    "[\"\xc2\"]",
    "[\"\xc2\xc0\"]",
    "[\"\xe0\x9f\xbf\"]",
    "[\"\xe1\x80\"]",
    "[\"\xe1\x80\x7f\"]",
    "[\"\xed\xa0\x80\"]",
    "[\"\xf0\x8f\xbf\xbf\"]",
    "[\"\xf0\x90\x80\"]",
    "[\"\xf4\x90\x80\x80\"]",
    "[\"\xf5\x80\x80\x80\"]",
    "[\"\xff\"]",
    "[\"\xef\xbb\"]",
    "\xef\xbb\xbf[]",
    "[1]\f",
    "\v[1]",
    "[\x7f]",
    "[1]\xc2\xa0",
    "\xe2\x80\xa8[1]",
    "[/**/1]",
    "[1]/**/",
    "{\"a\":\"b\"",
    "{\"a\":\"b\",",
    "{\"a",
    "{\"a\"",
    "{\"a\":",
    "[{]}",
    "[[1}]",
    "{\"a\":[1}]",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"};

static void test_good_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good_texts); i++)
        if (!valid(slice_of(good_texts[i])))
            fail_msg("refused: %s", good_texts[i]);
}

static void test_bad_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad_texts); i++)
        if (valid(slice_of(bad_texts[i])))
            fail_msg("accepted: %s", bad_texts[i]);
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

/* A bracketed text that is cut anywhere is not valid any more. */
static void test_every_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good_texts); i++) {
        struct slice text = slice_of(good_texts[i]);
        while (is_space(text.data[text.size - 1]))
            text.size--;
        for (size_t size = 0; size < text.size; size++)
            if (valid((struct slice){.data = text.data, .size = size}))
                fail_msg("accepted: the first %zu bytes of %s", size, text.data);
    }
    for (size_t i = 0; i < COUNT_OF(bad_texts); i++) /* for the sanitizer */
        for (size_t size = 0; size < strlen(bad_texts[i]); size++)
            (void)valid((struct slice){.data = bad_texts[i], .size = size});
}

/* A NUL in the place of any byte, and anywhere between, spoils every text. */
static void test_nul_inside(void **state)
{
    (void)state;
    char text[256];
    for (size_t i = 0; i < COUNT_OF(good_texts); i++) {
        size_t size = strlen(good_texts[i]);
        for (size_t at = 0; at <= size; at++) {
            memcpy(text, good_texts[i], at);
            text[at] = '\0';
            memcpy(text + at + 1, good_texts[i] + at, size - at);
            if (valid((struct slice){.data = text, .size = size + 1}))
                fail_msg("accepted: %s with a NUL at %zu", good_texts[i], at);
        }
    }
}

static void test_unterminated_text_fails(void **state)
{
    (void)state;
    char text[8 + LIMIT_PADDING];
    memset(text, '1', sizeof(text));
    struct scan scan = scan_begin((struct slice){.data = text, .size = 3});
    assert_int_equal(scan_peek(&scan), '\0');
    assert_int_equal(scan_integer(&scan), 0);
    assert_false(scan_finish(&scan));
}

/* Each byte value in a string, at each place in a word: only what the grammar allows. */
static void test_every_byte_in_a_string(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        for (size_t before = 0; before < 18; before++) {
            char text[32] = "\"";
            memset(text + 1, 'x', before);
            text[before + 1] = (char)byte;
            memcpy(text + before + 2, "yyy\"", 4);
            bool wanted = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
            if (valid((struct slice){.data = text, .size = before + 6}) != wanted)
                fail_msg("byte %d behind %zu others", byte, before);
        }
    }
}

static void test_text(void **state)
{
    (void)state;
    static const char *const contents[] = {
        "",
        "a",
        "\\\"",
        "1234567",
        "12345678",
        "123456789",
        "\\u0041",
        "1234567\\n",
        "12345678\\n",
        "\xed\x95\x9c",
        "1234567\xed\x95\x9c-",
    };
    for (size_t i = 0; i < COUNT_OF(contents); i++) {
        char text[64];
        int size = snprintf(text, sizeof(text), " \"%s\" ,", contents[i]);
        char *copy = exact((struct slice){.data = text, .size = (size_t)size});
        struct scan scan = scan_begin((struct slice){.data = copy, .size = (size_t)size});
        struct slice content = scan_text(&scan);
        assert_true(slice_is(content, contents[i]));
        assert_true(scan_take(&scan, ','));
        assert_true(scan_finish(&scan));
        free(copy);
    }
}

static struct scan scan_of(const char *text, char **ret_copy)
{
    *ret_copy = exact(slice_of(text));
    return scan_begin((struct slice){.data = *ret_copy, .size = strlen(text)});
}

static void test_words(void **state)
{
    (void)state;
    char *copy;
    struct scan scan = scan_of(" true , false , null ,nul", &copy);
    assert_false(scan_take_null(&scan));
    assert_true(scan_boolean(&scan));
    scan_expect(&scan, ',');
    assert_false(scan_boolean(&scan));
    scan_expect(&scan, ',');
    assert_true(scan_take_null(&scan));
    scan_expect(&scan, ',');
    assert_false(scan.failed);
    assert_false(scan_take_null(&scan));
    assert_false(scan.failed);
    assert_false(scan_boolean(&scan));
    assert_true(scan.failed);
    free(copy);
}

static void test_take_exact(void **state)
{
    (void)state;
    char *copy;
    struct scan scan = scan_of("{\"a\":1,\"b\":2}", &copy);
    assert_false(scan_take_exact(&scan, SLICE("{\"b\":")));
    assert_true(scan_take_exact(&scan, SLICE("{\"a\":")));
    assert_int_equal(scan_integer(&scan), 1);
    assert_true(scan_take_exact(&scan, SLICE(",\"b\":")));
    assert_int_equal(scan_integer(&scan), 2);
    assert_false(scan_take_exact(&scan, SLICE("}}")));
    assert_false(scan_take_exact(&scan, SLICE("},\"and much more than there is\":")));
    assert_true(scan_take_exact(&scan, SLICE("}")));
    assert_false(scan_take_exact(&scan, SLICE("\"")));
    assert_true(scan_finish(&scan));
    free(copy);
}

static void test_walk(void **state)
{
    (void)state;
    char *copy;
    struct scan scan = scan_of("{\"a\": [1 , 2,3 ],\"skip\":{\"x\":[{}]}, \"\":[]}", &copy);
    bool first = true;
    struct slice key;
    int64_t sum = 0;
    int keys = 0;
    scan_expect(&scan, '{');
    while (scan_next_key(&scan, &first, &key)) {
        bool first_element = true;
        keys++;
        if (slice_is(key, "skip")) {
            scan_skip(&scan);
            continue;
        }
        scan_expect(&scan, '[');
        while (scan_next_element(&scan, &first_element))
            sum = sum * 10 + scan_integer(&scan);
    }
    assert_true(scan_finish(&scan));
    assert_int_equal(keys, 3);
    assert_int_equal(sum, 123);
    free(copy);
}

/* Walks objects and arrays by hand: what ends the walk must be the right bracket. */
static void test_walk_refuses(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"a\":1",  "{\"a\":1,", "{\"a\":1,}", "{,}",        "{",     "{\"a\"",
        "{\"a\" 1}", "{\"a\":1]", "{\"a\":1;}", "{\"a\":1}}", "{1:1}", "{\"a\":1\"b\":1}"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        char *copy;
        struct scan scan = scan_of(texts[i], &copy);
        bool first = true;
        struct slice key;
        int keys = 0;
        scan_expect(&scan, '{');
        while (scan_next_key(&scan, &first, &key) && keys++ < 5)
            (void)scan_integer(&scan);
        if (scan_finish(&scan))
            fail_msg("accepted: %s", texts[i]);
        free(copy);
    }
}

static void test_failure_stays(void **state)
{
    (void)state;
    char *copy;
    struct scan scan = scan_of("[1,2]", &copy);
    bool first = true;
    struct slice key;
    struct decimal value;
    scan_expect(&scan, '{');
    const char *at = scan.at;
    assert_true(scan.failed);
    assert_int_equal(scan_peek(&scan), '\0');
    assert_false(scan_take(&scan, '['));
    assert_false(scan_next_key(&scan, &first, &key));
    first = false;
    assert_false(scan_next_element(&scan, &first));
    assert_int_equal(scan_text(&scan).size, 0);
    assert_int_equal(scan_integer(&scan), 0);
    assert_int_equal(scan_number(&scan, &value), DECIMAL_INVALID);
    assert_int_equal(scan_quoted_decimal(&scan, &value), DECIMAL_INVALID);
    assert_false(scan_boolean(&scan));
    assert_false(scan_take_null(&scan));
    scan_skip(&scan);
    assert_ptr_equal(scan.at, at);
    assert_false(scan_finish(&scan));
    free(copy);
}

static uint64_t random_state = 2463534242u;

static size_t random_below(size_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state >> 33) % bound;
}

/* Texts put together from pieces of the grammar, for the sanitizer. */
static void test_random_pieces(void **state)
{
    (void)state;
    static const char *const pieces[] = {"{",   "}",    "[",      "]",       ",",    ":",
                                         "\"",  "\\",   "\\u00",  "1",       "0",    "-",
                                         ".",   "e",    "true",   "nul",     " ",    "\xed\x95",
                                         "\"a", "b\":", "[\"1\"", "1234567", "\xf0", "\"1.5\""};
    size_t accepted = 0;
    for (int i = 0; i < 200000; i++) {
        char text[128];
        size_t size = 0;
        for (size_t left = random_below(10); left > 0; left--) {
            struct slice piece = slice_of(pieces[random_below(COUNT_OF(pieces))]);
            memcpy(text + size, piece.data, piece.size);
            size += piece.size;
        }
        accepted += valid((struct slice){.data = text, .size = size});
    }
    assert_true(accepted > 1000 && accepted < 60000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_texts),
        cmocka_unit_test(test_bad_texts),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_nul_inside),
        cmocka_unit_test(test_unterminated_text_fails),
        cmocka_unit_test(test_every_byte_in_a_string),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_take_exact),
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_walk_refuses),
        cmocka_unit_test(test_failure_stays),
        cmocka_unit_test(test_random_pieces),
    };
    return cmocka_run_group_tests_name("scan", tests, NULL, NULL);
}
