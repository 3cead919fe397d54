/* SPDX-License-Identifier: Apache-2.0 */
#include "base/frame.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void header_is_the_standards(void **state)
{
    (void)state;
    static const struct {
        uint64_t payload;
        size_t size;
        uint8_t bytes[FRAME_HEADER_MAX];
    } rows[] = {
        {0, 2, {0x81, 0}},
        {125, 2, {0x81, 125}},
        {126, 4, {0x81, 126, 0, 126}},
        {65535, 4, {0x81, 126, 0xff, 0xff}},
        {65536, 10, {0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}},
        {0x0102030405, 10, {0x81, 127, 0, 0, 0, 1, 2, 3, 4, 5}},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t header[FRAME_HEADER_MAX];
        memset(header, 0xee, sizeof header);
        assert_int_equal(frame_header_write(header, FRAME_TEXT, rows[i].payload), rows[i].size);
        assert_memory_equal(header, rows[i].bytes, rows[i].size);
        assert_int_equal(frame_header_size(header), rows[i].size);
        assert_true(frame_size(header) == rows[i].size + rows[i].payload);
    }
}

static void opcode_is_kept(void **state)
{
    (void)state;
    uint8_t header[FRAME_HEADER_MAX];
    assert_int_equal(frame_header_write(header, 0x9, 5), 2);
    assert_int_equal(header[0], 0x89);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_is_the_standards),
        cmocka_unit_test(opcode_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
