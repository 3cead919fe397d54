/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void split_takes_the_part_before(void **state)
{
    (void)state;
    struct slice rest = SLICE("a,,b");
    assert_true(slice_is(slice_split(rest, ',', &rest), "a"));
    assert_true(slice_is(slice_split(rest, ',', &rest), ""));
    assert_true(slice_is(slice_split(rest, ',', &rest), "b"));
    assert_int_equal(rest.size, 0);
    assert_int_equal(slice_split(rest, ',', &rest).size, 0);
    assert_true(slice_is(slice_split(SLICE("end,"), ',', &rest), "end"));
    assert_int_equal(rest.size, 0);
}

static void trim_takes_blanks_and_tabs_only(void **state)
{
    (void)state;
    assert_true(slice_is(slice_trim(SLICE(" \t a b\t ")), "a b"));
    assert_true(slice_is(slice_trim(SLICE("\na")), "\na"));
    assert_int_equal(slice_trim(SLICE(" \t ")).size, 0);
    assert_int_equal(slice_trim((struct slice){.data = NULL}).size, 0);
}

static void numbers_are_digits_within_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t max;
        bool good;
        uint64_t value;
    } rows[] = {
        {"0", 0, true, 0},
        {"1", 0, false, 0},
        {"007", 10, true, 7},
        {"65535", 65535, true, 65535},
        {"65536", 65535, false, 0},
        {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, false, 0},
        {"99999999999999999999999", UINT64_MAX, false, 0},
        {"", 9, false, 0},
        {"-1", 9, false, 0},
        {"+1", 9, false, 0},
        {" 1", 9, false, 0},
        {"1 ", 9, false, 0},
        {"0x1", 99, false, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t value = 77;
        bool good = slice_to_uint64(slice_of(rows[i].text), rows[i].max, &value);
        assert_int_equal(good, rows[i].good);
        assert_true(value == (good ? rows[i].value : 77));
    }
}

static void copy_terminates_or_refuses(void **state)
{
    (void)state;
    char target[4] = "zzz";
    assert_true(slice_copy(SLICE("abc"), target, sizeof target));
    assert_string_equal(target, "abc");
    assert_false(slice_copy(SLICE("abcd"), target, sizeof target));
    assert_string_equal(target, "");
    assert_true(slice_copy((struct slice){.data = NULL}, target, 1));
    assert_string_equal(target, "");
}

static void comparison_is_by_bytes(void **state)
{
    (void)state;
    struct slice with_nul = {.data = "a\0b", .size = 3};
    assert_false(slice_is(with_nul, "a"));
    assert_true(slice_starts_with(with_nul, SLICE("a")));
    assert_true(slice_starts_with(with_nul, SLICE("")));
    assert_false(slice_starts_with(SLICE("a"), SLICE("ab")));
    assert_true(slice_equal((struct slice){.data = NULL}, SLICE("")));
    assert_int_equal(slice_of(NULL).size, 0);
}

/* The published test vectors of FNV-1a. */
static void hashes_as_published(void **state)
{
    (void)state;
    assert_true(slice_hash(SLICE("")) == UINT64_C(0xcbf29ce484222325));
    assert_true(slice_hash(SLICE("a")) == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(slice_hash(SLICE("foobar")) == UINT64_C(0x85944171f73967e8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_as_published),
        cmocka_unit_test(split_takes_the_part_before),
        cmocka_unit_test(trim_takes_blanks_and_tabs_only),
        cmocka_unit_test(numbers_are_digits_within_bounds),
        cmocka_unit_test(copy_terminates_or_refuses),
        cmocka_unit_test(comparison_is_by_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
