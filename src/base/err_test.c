/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void set_stores_code_and_text(void **state)
{
    (void)state;
    struct err err = {.code = 0};
    assert_int_equal(err_set(&err, -EPROTO, "frame of %d bytes", 7), -EPROTO);
    assert_int_equal(err.code, -EPROTO);
    assert_string_equal(err.text, "frame of 7 bytes");
    assert_int_equal(err_set(NULL, -EIO, "nobody asks"), -EIO);
}

static void long_text_is_cut(void **state)
{
    (void)state;
    char text[600];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    struct err err;
    assert_int_equal(err_set(&err, -EIO, "%s", text), -EIO);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    assert_int_equal(err_wrap(&err, text), -EIO);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

static void wrap_puts_context_first(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(err_set(&err, -EIO, "refused"), -EIO);
    assert_int_equal(err_wrap(&err, "upbit"), -EIO);
    assert_string_equal(err.text, "upbit: refused");
    assert_int_equal(err_wrap(NULL, "upbit"), -EIO);
}

static void own_text_may_be_an_argument(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(err_set(&err, -EIO, "refused"), -EIO);
    assert_int_equal(err_set(&err, -EPIPE, "again: %s", err.text), -EPIPE);
    assert_string_equal(err.text, "again: refused");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_stores_code_and_text),
        cmocka_unit_test(long_text_is_cut),
        cmocka_unit_test(wrap_puts_context_first),
        cmocka_unit_test(own_text_may_be_an_argument),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
