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
    assert_int_equal(frame_header_write(header, FRAME_TEXT | FRAME_COMPRESSED, 126), 4);
    assert_int_equal(header[0], 0xc1);
    assert_int_equal(frame_size(header), 130);
}

/* Three frames of 7, 130 and 70010 bytes. */
static size_t three_frames(char *out)
{
    static const uint64_t payloads[] = {5, 126, 70000};
    size_t size = 0;
    for (size_t i = 0; i < COUNT_OF(payloads); i++) {
        size += frame_header_write((uint8_t *)out + size, FRAME_TEXT, payloads[i]);
        size += payloads[i];
    }
    return size;
}

static void frames_fit_whole(void **state)
{
    (void)state;
    static char data[70200];
    size_t size = three_frames(data);
    assert_int_equal(size, 7 + 130 + 70010);
    static const struct {
        size_t max;
        size_t fitting;
    } rows[] = {
        {0, 7},     {6, 7},       {7, 7},         {136, 7},
        {137, 137}, {70146, 137}, {70147, 70147}, {SIZE_MAX, 70147},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(frames_fit(data, size, rows[i].max), rows[i].fitting);
    assert_int_equal(frames_fit(data + 137, size - 137, 10), 70010); /* one at least */
}

static void boundary_is_the_end_of_the_frame(void **state)
{
    (void)state;
    static char data[70200];
    three_frames(data);
    static const struct {
        size_t sent;
        size_t boundary;
        int64_t count;
    } rows[] = {
        {0, 0, 0},     {1, 7, 1},       {7, 7, 1},         {8, 137, 2},
        {137, 137, 2}, {138, 70147, 3}, {70147, 70147, 3},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t count = 10;
        assert_int_equal(frames_boundary(data, rows[i].sent, &count), rows[i].boundary);
        assert_int_equal(count, 10 + rows[i].count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_is_the_standards),
        cmocka_unit_test(opcode_is_kept),
        cmocka_unit_test(frames_fit_whole),
        cmocka_unit_test(boundary_is_the_end_of_the_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
