/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void reads_what_a_client_builds(void **state)
{
    (void)state;
    struct token token;
    assert_true(token_read(SLICE("tw-7f3a.4.1234567"), &token));
    assert_string_equal(token.stream, "tw-7f3a");
    assert_int_equal(token.epoch, 4);
    assert_int_equal(token.seq, 1234567);
    assert_true(token_read(SLICE("tw-7f3a.1.0"), &token));
    assert_int_equal(token.seq, 0);
    assert_true(token_read(SLICE("a.9007199254740991.9007199254740991"), &token));
    assert_int_equal(token.epoch, LIMIT_NUMBER);
}

static void refuses_everything_else(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        ".",
        "..",
        "tw",
        "tw.1",
        "tw.1.",
        "tw..1",
        ".1.1",
        "tw.0.1",
        "tw.1.-1",
        "tw.+1.1",
        "tw.01.1",
        "tw.1.01",
        "tw.1.1.1",
        "tw.1.1 ",
        " tw.1.1",
        "tw.1.1x",
        "t w.1.1",
        "tw/.1.1",
        "tw.1e3.1",
        "tw.0x1.1",
        "t\"w.1.1",
        "tw.1.1\n",
        "tw.1.9007199254740992",
        "tw.1.9223372036854775807",
        "tw.9007199254740992.1",
        "tw.99999999999999999999999.1",
        "abcdefghijklmnopqrstuvwxyz0123456789.1.1",
    };
    struct token token;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (token_read(slice_of(bad[i]), &token))
            fail_msg("accepted: %s", bad[i]);
    assert_false(token_read((struct slice){.data = "tw.1.1\0", .size = 7}, &token));
}

static void stream_ids_differ_and_read_back(void **state)
{
    (void)state;
    char one[LIMIT_STREAM_ID], two[LIMIT_STREAM_ID], text[2 * LIMIT_STREAM_ID];
    struct token token;
    stream_id_make(one);
    stream_id_make(two);
    assert_string_not_equal(one, two);
    assert_memory_equal(one, "tw-", 3);
    assert_int_equal(strlen(one), 3 + 16);
    snprintf(text, sizeof text, "%s.1.1", one);
    assert_true(token_read(slice_of(text), &token));
    assert_string_equal(token.stream, one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_a_client_builds),
        cmocka_unit_test(refuses_everything_else),
        cmocka_unit_test(stream_ids_differ_and_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
