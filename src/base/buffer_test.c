/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void appended_bytes_are_terminated(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 1000);
    assert_string_equal(buffer.data, "");
    buffer_append_text(&buffer, "a");
    buffer_append_slice(&buffer, SLICE("bc"));
    buffer_append_slice(&buffer, (struct slice){.data = NULL});
    buffer_append_format(&buffer, "%d-%s", 42, "x");
    assert_string_equal(buffer.data, "abc42-x");
    assert_int_equal(buffer.size, 7);
    assert_false(buffer.overflowed);
    buffer_release(&buffer);
}

static void maximum_is_exact(void **state)
{
    (void)state;
    for (size_t max = 0; max < 200; max++) {
        struct buffer buffer;
        buffer_init(&buffer, max);
        for (size_t i = 0; i < max; i++)
            buffer_append(&buffer, "x", 1);
        assert_int_equal(buffer.size, max);
        assert_false(buffer.overflowed);
        assert_true(buffer.data[max] == '\0');
        buffer_append_format(&buffer, "%d", 1);
        assert_true(buffer.overflowed);
        assert_int_equal(buffer.size, max);
        buffer_release(&buffer);
    }
}

static void what_does_not_fit_is_left_out_whole(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 10);
    buffer_append_text(&buffer, "12345678");
    buffer_append_text(&buffer, "abc");
    buffer_append_format(&buffer, "%s", "abc");
    assert_string_equal(buffer.data, "12345678");
    assert_true(buffer.overflowed);
    assert_null(buffer_reserve(&buffer, SIZE_MAX));
    buffer_clear(&buffer);
    assert_false(buffer.overflowed);
    assert_string_equal(buffer.data, "");
    buffer_release(&buffer);
}

static void reserve_and_consume(void **state)
{
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 5000);
    char *room = buffer_reserve(&buffer, 3000);
    assert_non_null(room);
    memset(room, 'y', 3000);
    buffer.size += 3000;
    buffer_append_text(&buffer, "end");
    buffer_consume(&buffer, 2999);
    assert_string_equal(buffer.data, "yend");
    buffer_consume(&buffer, 4);
    assert_string_equal(buffer.data, "");
    buffer_release(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appended_bytes_are_terminated),
        cmocka_unit_test(maximum_is_exact),
        cmocka_unit_test(what_does_not_fit_is_left_out_whole),
        cmocka_unit_test(reserve_and_consume),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
