/* SPDX-License-Identifier: Apache-2.0 */
#include "net/ws.h"

#include "net/ws_record_test.h"
#include "net/ws_script_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MESSAGE_MAX 100000

static void add_text(struct script *script, unsigned first_byte, const char *payload)
{
    add(script, first_byte, payload, strlen(payload));
}

/* The bytes give the expected record however they are cut. */
static void expect_bytes(struct slice bytes, enum ws_role role, const char *expected)
{
    for (int round = 0; round < 22; round++) {
        char *text = ws_record_of(bytes, role, MESSAGE_MAX, NULL, ws_cuts_of(round));
        assert_string_equal(text, expected);
        memory_free(text);
    }
}

static void expect(struct script *script, const char *expected)
{
    expect_bytes(buffer_slice(&script->bytes), script->masked ? WS_SERVER : WS_CLIENT, expected);
    buffer_release(&script->bytes);
}

static void test_messages(void **state)
{
    (void)state;
    for (int masked = 0; masked < 2; masked++) {
        struct script script;
        script_init(&script, masked != 0);
        add_text(&script, 0x81, "AB");
        add_text(&script, 0x82, "\xff");
        add_text(&script, 0x81, "");
        add_text(&script, 0x89, "ping");
        add_text(&script, 0x8a, "");
        add_text(&script, 0x88,
                 "\x03\xe8"
                 "bye");
        add_text(&script, 0x81, "ignored");
        expect(&script, "(1 4142)(2 ff)(1 )[9 70696e67][10 ][8 1000 627965]");
    }
}

static void test_fragments_with_control_between(void **state)
{
    (void)state;
    struct script script;
    script_init(&script, true);
    add_text(&script, 0x01, "a");
    add_text(&script, 0x89, "p");
    add_text(&script, 0x00, "");
    add_text(&script, 0x00, "b");
    add_text(&script, 0x80, "");
    add_text(&script, 0x02, "");
    add_text(&script, 0x80, "");
    add_text(&script, 0x02, "");
    add_text(&script, 0x80, "z");
    expect(&script, "(1 61[9 70]62)(2 )(2 7a)");
}

static void test_characters_cut_by_frames(void **state)
{
    (void)state;
    struct script script;
    script_init(&script, false);
    add_text(&script, 0x01, "\xed");
    add_text(&script, 0x00, "\x95");
    add_text(&script, 0x80, "\x9c");
    add_text(&script, 0x01, "\xf0\x9f");
    add_text(&script, 0x80, "\x98\x80");
    expect(&script, "(1 ed959c)(1 f09f9880)");
}

static void test_close_without_code(void **state)
{
    (void)state;
    struct script script;
    script_init(&script, false);
    add_text(&script, 0x88, "");
    expect(&script, "[8 1005 ]");
}

static void test_long_messages(void **state)
{
    (void)state;
    static const size_t sizes[] = {125, 126, 127, 65535, 65536, MESSAGE_MAX};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        char *payload = memory_alloc(sizes[i] + 1);
        memset(payload, 'x', sizes[i]);
        struct script script;
        script_init(&script, true);
        add(&script, 0x81, payload, sizes[i]);
        struct ws_record record;
        ws_record_init(&record, WS_SERVER, MESSAGE_MAX);
        ws_record_feed(&record, script.bytes.data, script.bytes.size);
        assert_int_equal(record.text.size, 2 * sizes[i] + 4);
        assert_memory_equal(record.text.data, "(1 7878", 7);
        assert_memory_equal(record.text.data + record.text.size - 5, "7878)", 5);
        ws_record_end(&record);
        buffer_release(&record.text);
        buffer_release(&script.bytes);
        memory_free(payload);
    }
}

struct bad_frames {
    const char *what;
    struct slice bytes; /* unmasked: what a server sent us */
    const char *expected;
};

/* SLICE is a compound literal, which a static table may not hold. */
#define BYTES(literal)                                                                             \
    {                                                                                              \
        .data = (literal), .size = sizeof(literal) - 1                                             \
    }

static const struct bad_frames bad_frames[] = {
    {"reserved bit 1", BYTES("\xc1\x01x"), "!1002"},
    {"reserved bit 2", BYTES("\xa1\x01x"), "!1002"},
    {"reserved bit 3", BYTES("\x91\x01x"), "!1002"},
    {"reserved bit on a control frame", BYTES("\xc9\x00"), "!1002"},
    {"opcode 3", BYTES("\x83\x00"), "!1002"},
    {"opcode 7", BYTES("\x87\x00"), "!1002"},
    {"opcode 11", BYTES("\x8b\x00"), "!1002"},
    {"opcode 15", BYTES("\x8f\x00"), "!1002"},
    {"masked by a server", BYTES("\x81\x81\x01\x02\x03\x04x"), "!1002"},
    {"continuation of nothing", BYTES("\x80\x01x"), "!1002"},
    {"continuation after a whole message", BYTES("\x81\x01x\x80\x01y"), "(1 78)!1002"},
    {"text within a message", BYTES("\x01\x01x\x81\x01y"), "(1 78!1002"},
    {"binary within a message", BYTES("\x01\x01x\x82\x01y"), "(1 78!1002"},
    {"fragmented ping", BYTES("\x09\x00"), "!1002"},
    {"fragmented close", BYTES("\x08\x00"), "!1002"},
    {"ping of 126 bytes", BYTES("\x89\x7e\x00\x7e"), "!1002"},
    {"close with a length of 64 bits", BYTES("\x88\x7f\0\0\0\0\0\0\0\0"), "!1002"},
    {"125 in 16 bits", BYTES("\x82\x7e\x00\x7d"), "!1002"},
    {"0 in 16 bits", BYTES("\x82\x7e\x00\x00"), "!1002"},
    {"65535 in 64 bits", BYTES("\x82\x7f\0\0\0\0\0\0\xff\xff"), "!1002"},
    {"length with the top bit", BYTES("\x82\x7f\x80\0\0\0\0\0\0\0"), "!1002"},
    {"over the limit", BYTES("\x82\x7f\0\0\0\0\0\x01\x86\xa1"), "!1009"},
    {"far over the limit", BYTES("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"), "!1009"},
    {"over the limit by fragments", BYTES("\x02\x01x\x80\x7f\0\0\0\0\0\x01\x86\xa0"), "(2 78!1009"},
    {"close of one byte", BYTES("\x88\x01\x03"), "!1002"},
    {"close 0", BYTES("\x88\x02\x00\x00"), "!1002"},
    {"close 999", BYTES("\x88\x02\x03\xe7"), "!1002"},
    {"close 1004", BYTES("\x88\x02\x03\xec"), "!1002"},
    {"close 1005", BYTES("\x88\x02\x03\xed"), "!1002"},
    {"close 1006", BYTES("\x88\x02\x03\xee"), "!1002"},
    {"close 1015", BYTES("\x88\x02\x03\xf7"), "!1002"},
    {"close 2999", BYTES("\x88\x02\x0b\xb7"), "!1002"},
    {"close 5000", BYTES("\x88\x02\x13\x88"), "!1002"},
    {"close reason that is not UTF-8", BYTES("\x88\x03\x03\xe8\xff"), "!1007"},
    {"close reason cut in a character", BYTES("\x88\x04\x03\xe8\xed\x95"), "!1007"},
    {"lone continuation byte", BYTES("\x81\x02x\x80"), "(1 78!1007"},
    {"overlong slash, 2 bytes", BYTES("\x81\x02\xc0\xaf"), "!1007"},
    {"overlong, 2 bytes, c1", BYTES("\x81\x02\xc1\xbf"), "!1007"},
    {"overlong, 3 bytes", BYTES("\x81\x03\xe0\x9f\xbf"), "(1 e0!1007"},
    {"overlong, 4 bytes", BYTES("\x81\x04\xf0\x8f\xbf\xbf"), "(1 f0!1007"},
    {"first surrogate", BYTES("\x81\x03\xed\xa0\x80"), "(1 ed!1007"},
    {"last surrogate", BYTES("\x81\x03\xed\xbf\xbf"), "(1 ed!1007"},
    {"above U+10FFFF", BYTES("\x81\x04\xf4\x90\x80\x80"), "(1 f4!1007"},
    {"f5", BYTES("\x81\x04\xf5\x80\x80\x80"), "!1007"},
    {"ff", BYTES("\x81\x01\xff"), "!1007"},
    {"character not continued", BYTES("\x81\x03\xe2\x82x"), "(1 e282!1007"},
    {"message ends in a character", BYTES("\x81\x04xx\xe2\x82"), "(1 7878e2!1007"},
    {"message ends in a character, empty frame", BYTES("\x01\x02\xe2\x82\x80\x00"), "(1 e282!1007"},
    {"bad byte before the frame is whole", BYTES("\x81\x7e\xff\xffgood\xff"), "(1 676f6f64!1007"},
    {"bad byte behind a run of ASCII",
     BYTES("\x81\x12"
           "0123456789abcdef\x80x"),
     "(1 30313233343536373839616263646566!1007"},
};

static void test_bad_frames(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad_frames); i++) {
        print_message("%s\n", bad_frames[i].what);
        expect_bytes(bad_frames[i].bytes, WS_CLIENT, bad_frames[i].expected);
    }
}

static void test_server_refuses_unmasked(void **state)
{
    (void)state;
    expect_bytes(SLICE("\x81\x01x"), WS_SERVER, "!1002");
    expect_bytes(SLICE("\x89\x00"), WS_SERVER, "!1002");
}

static void test_good_close_codes(void **state)
{
    (void)state;
    static const uint16_t good[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009,
                                    1010, 1011, 1012, 1014, 3000, 4000, 4999};
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        char bytes[4] = "\x88\x02";
        bytes[2] = (char)(good[i] >> 8);
        bytes[3] = (char)(good[i] & 0xff);
        char expected[16];
        snprintf(expected, sizeof(expected), "[8 %u ]", (unsigned)good[i]);
        expect_bytes((struct slice){.data = bytes, .size = 4}, WS_CLIENT, expected);
    }
}

/* Each code point alone, by the rule of the RFC and not by the code's tables. */
static size_t encode(uint32_t point, char out[4])
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    size_t size = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const unsigned lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (point & 0x3f));
        point >>= 6;
    }
    out[0] = (char)(lead[size] | point);
    return size;
}

static void test_every_code_point(void **state)
{
    (void)state;
    for (uint32_t point = 0; point < 0x120000; point += point < 0x11000 ? 1 : 61) {
        char bytes[16] = "\x81";
        size_t size = encode(point, bytes + 2);
        bytes[1] = (char)size;
        struct ws_parser parser;
        ws_parser_init(&parser, WS_CLIENT, 100);
        char *cursor = bytes;
        struct ws_part part;
        struct ws_control control;
        enum ws_result result = ws_parse(&parser, &cursor, bytes + 2 + size, &part, &control);
        bool valid = point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
        assert_int_equal(result == WS_DATA && part.last, valid);
    }
}

static void test_parts_of_a_cut_message(void **state)
{
    (void)state;
    char bytes[] = "\x81\x04xxyy";
    struct ws_parser parser;
    struct ws_part part;
    struct ws_control control;
    ws_parser_init(&parser, WS_CLIENT, 100);
    char *cursor = bytes;
    assert_int_equal(ws_parse(&parser, &cursor, bytes + 4, &part, &control), WS_DATA);
    assert_true(part.first);
    assert_false(part.last);
    assert_ptr_equal(part.data, bytes + 2);
    assert_int_equal(part.size, 2);
    assert_int_equal(ws_parse(&parser, &cursor, bytes + 4, &part, &control), WS_NEED_MORE);
    assert_int_equal(ws_parse(&parser, &cursor, bytes + 6, &part, &control), WS_DATA);
    assert_false(part.first);
    assert_true(part.last);
    assert_ptr_equal(part.data, bytes + 4);
}

static void test_write_header(void **state)
{
    (void)state;
    uint8_t out[WS_HEADER_MAX];
    assert_int_equal(ws_write_header(out, WS_TEXT, 5, NULL), 2);
    assert_memory_equal(out, "\x81\x05", 2);
    assert_int_equal(ws_write_header(out, WS_PING, 5, mask), 6);
    assert_memory_equal(out, "\x89\x85\x37\xfa\x21\x3d", 6);
    assert_int_equal(ws_write_header(out, WS_BINARY, 126, NULL), 4);
    assert_memory_equal(out, "\x82\x7e\x00\x7e", 4);
    assert_int_equal(ws_write_header(out, WS_BINARY, 65536, mask), 14);
    assert_memory_equal(out, "\x82\xff\0\0\0\0\0\x01\0\0\x37\xfa\x21\x3d", 14);
}

static void test_mask(void **state)
{
    (void)state;
    char hello[] = "\x7f\x9f\x4d\x51\x58"; /* RFC 6455, section 5.7 */
    ws_mask(hello, 5, mask, 0);
    assert_memory_equal(hello, "Hello", 5);
    for (size_t size = 0; size < 40; size++) {
        for (size_t offset = 0; offset < 9; offset++) {
            char data[48] = {0};
            ws_mask(data + 3, size, mask, offset);
            for (size_t i = 0; i < size; i++)
                assert_int_equal((uint8_t)data[3 + i], mask[(offset + i) % 4]);
            assert_int_equal(data[2], 0);
            assert_int_equal(data[3 + size], 0);
        }
    }
}

int main(void)
{
    srand(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_fragments_with_control_between),
        cmocka_unit_test(test_characters_cut_by_frames),
        cmocka_unit_test(test_close_without_code),
        cmocka_unit_test(test_long_messages),
        cmocka_unit_test(test_bad_frames),
        cmocka_unit_test(test_server_refuses_unmasked),
        cmocka_unit_test(test_good_close_codes),
        cmocka_unit_test(test_every_code_point),
        cmocka_unit_test(test_parts_of_a_cut_message),
        cmocka_unit_test(test_write_header),
        cmocka_unit_test(test_mask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
