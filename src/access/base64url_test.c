/* SPDX-License-Identifier: Apache-2.0 */
#include "access/base64url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void bytes_are_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *text, *bytes;
    } rows[] = {
        {"", ""},
        {"Zg", "f"},
        {"Zm8", "fo"},
        {"Zm9v", "foo"},
        {"Zm9vYg", "foob"},
        {"Zm9vYmE", "fooba"},
        {"Zm9vYmFy", "foobar"},
        {"-_-_", "\xfb\xff\xbf"},
        {"A-z_", "\x03\xec\xff"}, /* RFC 7515, appendix C: its example */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t out[8];
        size_t size = 99;
        assert_true(base64url_decode(slice_of(rows[i].text), out, sizeof out, &size));
        assert_int_equal(size, strlen(rows[i].bytes));
        assert_memory_equal(out, rows[i].bytes, size);
    }
}

static void other_spellings_are_refused(void **state)
{
    (void)state;
    const struct slice rows[] = {
        SLICE("Z"),    SLICE("Zm9vY"), SLICE("Zg=="), SLICE("Zm8="),    SLICE("Zg="),
        SLICE("Zh"),   SLICE("Zm9"),   SLICE("+/+/"), SLICE("Zm 8"),    SLICE("Zm8\n"),
        SLICE(" Zm8"), SLICE("Zm\0v"), SLICE("Zm.v"), SLICE("Zm9\xc3"),
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t out[8];
        size_t size;
        if (base64url_decode(rows[i], out, sizeof out, &size))
            fail_msg("taken: %s", rows[i].data);
    }
}

static void room_is_kept(void **state)
{
    (void)state;
    for (size_t size = 0; size <= 12; size++) {
        if (size % 4 == 1)
            continue;
        uint8_t out[10];
        size_t decoded = 0;
        size_t needed = size * 3 / 4;
        struct slice text = {.data = "AAAAAAAAAAAA", .size = size};
        memset(out, 7, sizeof out);
        assert_true(base64url_decode(text, out, needed, &decoded));
        assert_int_equal(decoded, needed);
        assert_int_equal(out[needed], 7);
        if (needed > 0)
            assert_false(base64url_decode(text, out, needed - 1, &decoded));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_decoded),
        cmocka_unit_test(other_spellings_are_refused),
        cmocka_unit_test(room_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
