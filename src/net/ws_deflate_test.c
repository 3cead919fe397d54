/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed messages both ways; what goes out is read, and what comes in written, by zlib itself.
 */
#include "net/ws_deflate.h"

#include "base/frame.h"
#include "net/ws_record_test.h"
#include "net/ws_script_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <zlib.h>

#include "tests/tools/counted_allocations_test.h"

#define MESSAGE_MAX (64 * 1024)
#define ROUNDS 12
#define TAIL_SIZE 4

/* ---- a peer ---- */

static void add_slice(struct script *script, unsigned first_byte, struct slice payload)
{
    add(script, first_byte, payload.data, payload.size);
}

/* The message as another implementation compresses it; to be released. */
static struct buffer compressed(struct slice message, int level, int strategy)
{
    struct buffer out;
    buffer_init(&out, 32 << 20);
    z_stream stream = {.zalloc = NULL};
    assert_int_equal(deflateInit2(&stream, level, Z_DEFLATED, -15, 8, strategy), Z_OK);
    size_t room = deflateBound(&stream, message.size) + 64;
    stream.next_in = (Bytef *)(uintptr_t)message.data;
    stream.avail_in = (unsigned)message.size;
    stream.next_out = (Bytef *)buffer_reserve(&out, room);
    stream.avail_out = (unsigned)room;
    assert_int_equal(deflate(&stream, Z_SYNC_FLUSH), Z_OK);
    out.size = room - stream.avail_out - TAIL_SIZE;
    deflateEnd(&stream);
    return out;
}

static void expect_of(struct slice bytes, enum ws_role role, const char *expected)
{
    struct ws_inflater *inflater = ws_inflater_create(MESSAGE_MAX, 0);
    for (int round = 0; round < ROUNDS; round++) {
        char *text = ws_record_of(bytes, role, MESSAGE_MAX, inflater, ws_cuts_of(round));
        assert_string_equal(text, expected);
        memory_free(text);
    }
    ws_inflater_destroy(inflater);
}

/* However it is cut, and with an inflater that has had other messages before. */
static void expect(struct script *script, const char *expected)
{
    expect_of(buffer_slice(&script->bytes), script->masked ? WS_SERVER : WS_CLIENT, expected);
    buffer_release(&script->bytes);
}

/* ---- receiving ---- */

struct frames_case {
    const char *what;
    struct slice bytes; /* unmasked */
    const char *expected;
};

/* SLICE is a compound literal, which a static table may not hold. */
#define BYTES(literal)                                                                             \
    {                                                                                              \
        .data = (literal), .size = sizeof(literal) - 1                                             \
    }
#define HELLO "(1 48656c6c6f)"

static const struct frames_case frames_cases[] = {
    /* RFC 7692, section 7.2.3 */
    {"one block", BYTES("\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"), HELLO},
    {"two frames", BYTES("\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00"), HELLO},
    {"a block without compression", BYTES("\xc1\x0b\x00\x05\x00\xfa\xffHello\x00"), HELLO},
    {"a block marked as the last", BYTES("\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), HELLO},
    {"two blocks", BYTES("\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), HELLO},
    {"an empty message", BYTES("\xc1\x01\x00"), "(1 )"},
    {"its second one, of a shared window",
     BYTES("\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00"), HELLO "!1007"},
    /* and beside it */
    {"no bytes at all", BYTES("\xc2\x00"), "(2 )"},
    {"no bytes in three frames", BYTES("\x41\x00\x00\x00\x80\x00"), "(1 )"},
    {"the last block, and nothing behind it", BYTES("\xc1\x07\xf3\x48\xcd\xc9\xc9\x07\x00"), HELLO},
    {"two streams", BYTES("\xc1\x0f\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
     "(1 48656c6c6f48656c6c6f)"},
    {"plain, when compression was negotiated",
     BYTES("\x81\x05Hello\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\x81\x05Hello"), HELLO HELLO HELLO},
    {"empty frames around", BYTES("\x42\x00\x00\x07\xf2\x48\xcd\xc9\xc9\x07\x00\x80\x00"),
     "(2 48656c6c6f)"},
    {"a ping between", BYTES("\x41\x03\xf2\x48\xcd\x89\x01p\x80\x04\xc9\xc9\x07\x00\x8a\x00"),
     "[9 70]" HELLO "[10 ]"},
    {"a close between", BYTES("\x41\x03\xf2\x48\xcd\x88\x02\x03\xe8"), "[8 1000 ]"},
    {"RSV1 on a continuation", BYTES("\x41\x03\xf2\x48\xcd\xc0\x04\xc9\xc9\x07\x00"), "!1002"},
    {"RSV1 on a continuation of a plain one", BYTES("\x01\x01x\xc0\x01y"), "(1 78!1002"},
    {"RSV1 on a ping", BYTES("\xc9\x00"), "!1002"},
    {"RSV1 on a pong", BYTES("\xca\x00"), "!1002"},
    {"RSV1 on a close", BYTES("\xc8\x00"), "!1002"},
    {"RSV1 on nothing known", BYTES("\xc3\x00"), "!1002"},
    {"RSV2", BYTES("\xa1\x00"), "!1002"},
    {"RSV1 and RSV3", BYTES("\xd1\x00"), "!1002"},
    {"a message in a compressed one", BYTES("\x41\x01\xf2\xc1\x01\x00"), "!1002"},
    {"a kind of block that is none", BYTES("\xc1\x01\x07"), "!1007"},
    {"lengths that do not agree", BYTES("\xc1\x06\x00\x05\x00\xfa\xfeH"), "!1007"},
    {"cut in a block", BYTES("\xc1\x04\xf2\x48\xcd\xc9"), "!1007"},
    {"cut in a block without compression", BYTES("\xc1\x08\x00\x05\x00\xfa\xffHel"), "!1007"},
    {"with the end that is not sent", BYTES("\xc1\x0b\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff"),
     "!1007"},
    {"garbage behind the last block", BYTES("\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\xff"), "!1007"},
    {"a distance before the message", BYTES("\xc1\x05\xf2\x00\x11\x00\x00"), "!1007"},
    {"garbage as binary", BYTES("\xc2\x04\xff\xff\xff\xff"), "!1007"},
    {"not UTF-8", BYTES("\xc1\x07\x00\x01\x00\xfe\xff\xff\x00"), "!1007"},
    {"the same as binary", BYTES("\xc2\x07\x00\x01\x00\xfe\xff\xff\x00"), "(2 ff)"},
    {"ends in a character", BYTES("\xc1\x08\x00\x02\x00\xfd\xff\xe2\x82\x00"), "!1007"},
    {"a surrogate", BYTES("\xc1\x09\x00\x03\x00\xfc\xff\xed\xa0\x80\x00"), "!1007"},
    {"more than any message of that size needs", BYTES("\xc2\x7f\0\0\0\0\0\x01\x20\x41"), "!1009"},
};

static void test_frames(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(frames_cases); i++) {
        print_message("%s\n", frames_cases[i].what);
        expect_of(frames_cases[i].bytes, WS_CLIENT, frames_cases[i].expected);
    }
}

static void test_not_negotiated(void **state)
{
    (void)state;
    char *text = ws_record_of(SLICE("\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"), WS_CLIENT, MESSAGE_MAX,
                              NULL, WS_CUTS_NONE);
    assert_string_equal(text, "!1002");
    memory_free(text);
}

/* Zeros, compressed, in a message of one frame or of many. */
static void expect_zeros(size_t size, size_t fragment, bool fits)
{
    char *zeros = memory_alloc(size);
    struct slice message = {.data = zeros, .size = size};
    struct buffer payload = compressed(message, 9, Z_DEFAULT_STRATEGY);
    struct script script;
    script_init(&script, true);
    for (size_t at = 0; at < payload.size; at += fragment) {
        bool last = payload.size - at <= fragment;
        add(&script, (last ? 0x80u : 0) | (at == 0 ? 0x42 : 0), payload.data + at,
            last ? payload.size - at : fragment);
    }
    struct buffer expected;
    buffer_init(&expected, 2 * size + 16);
    buffer_append_text(&expected, fits ? "(2 " : "!1009");
    for (size_t i = 0; fits && i < size; i++)
        buffer_append_text(&expected, "00");
    buffer_append_text(&expected, fits ? ")" : "");
    expect(&script, expected.data);
    buffer_release(&expected);
    buffer_release(&payload);
    memory_free(zeros);
}

static void test_bombs(void **state)
{
    (void)state;
    expect_zeros(MESSAGE_MAX, SIZE_MAX, true);
    expect_zeros(MESSAGE_MAX + 1, SIZE_MAX, false);
    expect_zeros(1 << 20, SIZE_MAX, false);
    expect_zeros(1 << 20, 7, false);
    expect_zeros(16 << 20, 1000, false);
}

/* What grows when it is compressed may have its full size all the same. */
static void test_incompressible_messages(void **state)
{
    (void)state;
    static const int strategies[] = {Z_DEFAULT_STRATEGY, Z_FIXED, Z_HUFFMAN_ONLY};
    char *message = memory_alloc(MESSAGE_MAX);
    for (size_t i = 0; i < MESSAGE_MAX; i++)
        message[i] = (char)(200 + rand() % 56); /* of nine bits in a fixed block */
    struct slice slice = {.data = message, .size = MESSAGE_MAX};
    struct ws_inflater *inflater = ws_inflater_create(MESSAGE_MAX, 0);
    for (size_t i = 0; i < COUNT_OF(strategies); i++) {
        for (int level = 0; level < 2; level++) {
            struct buffer payload = compressed(slice, level, strategies[i]);
            struct script script;
            script_init(&script, true);
            add_slice(&script, 0xc2, buffer_slice(&payload));
            struct ws_parser parser;
            ws_parser_init(&parser, WS_SERVER, MESSAGE_MAX);
            ws_parser_set_inflater(&parser, inflater);
            char *cursor = script.bytes.data;
            struct ws_part part;
            struct ws_control control;
            assert_int_equal(
                ws_parse(&parser, &cursor, cursor + script.bytes.size, &part, &control), WS_DATA);
            assert_int_equal(part.size, MESSAGE_MAX);
            assert_memory_equal(part.data, message, MESSAGE_MAX);
            for (size_t at = 0; at < LIMIT_PADDING; at++)
                assert_int_equal(part.data[part.size + at], 0);
            buffer_release(&payload);
            buffer_release(&script.bytes);
        }
    }
    ws_inflater_destroy(inflater);
    memory_free(message);
}

/* Messages of many kinds, in frames of any size, with pings between. */
static void test_random_messages(void **state)
{
    (void)state;
    for (int round = 0; round < 40; round++) {
        struct script script;
        struct buffer expected;
        script_init(&script, round % 2 == 0);
        buffer_init(&expected, 1 << 20);
        for (int i = 0; i < 5; i++) {
            char message[3000];
            size_t size = (size_t)rand() % sizeof(message);
            for (size_t at = 0; at < size; at++)
                message[at] = (char)('!' + rand() % (1 + 2 * round));
            struct buffer payload =
                compressed((struct slice){.data = message, .size = size}, rand() % 10, rand() % 5);
            bool pinged = payload.size > 1;
            size_t first = pinged ? (size_t)rand() % payload.size : payload.size;
            add(&script, pinged ? 0x41 : 0xc1, payload.data, first);
            if (pinged) {
                add_slice(&script, 0x89, SLICE("a ping between"));
                add(&script, 0x80, payload.data + first, payload.size - first);
                buffer_append_text(&expected, "[9 612070696e67206265747765656e]");
            }
            buffer_append_text(&expected, "(1 ");
            for (size_t at = 0; at < size; at++)
                buffer_append_format(&expected, "%02x", (unsigned)message[at]);
            buffer_append_text(&expected, ")");
            buffer_release(&payload);
        }
        expect(&script, expected.data);
        buffer_release(&expected);
    }
}

/* ---- memory ---- */

static enum ws_result parse_all(struct ws_parser *parser, struct slice bytes)
{
    char *copy = memory_alloc(bytes.size + 1);
    memcpy(copy, bytes.data, bytes.size);
    char *cursor = copy;
    enum ws_result result;
    do {
        struct ws_part part;
        struct ws_control control;
        result = ws_parse(parser, &cursor, copy + bytes.size, &part, &control);
    } while (result == WS_DATA || result == WS_CONTROL);
    memory_free(copy);
    return result;
}

/* Nothing is held for whoever has said what he began, and what is held is given back. */
static void test_idle_parsers_hold_nothing(void **state)
{
    (void)state;
    struct ws_inflater *inflater = ws_inflater_create(MESSAGE_MAX, 0);
    struct ws_parser parser;
    ws_parser_init(&parser, WS_CLIENT, MESSAGE_MAX);
    ws_parser_set_inflater(&parser, inflater);
    assert_int_equal(parse_all(&parser, SLICE("\x41\x03\xf2\x48\xcd\x89\x04pi")), WS_NEED_MORE);
    assert_non_null(parser.rare);
    assert_int_equal(parse_all(&parser, SLICE("ng\x80\x04\xc9\xc9\x07\x00")), WS_NEED_MORE);
    assert_null(parser.rare);
    assert_int_equal(parse_all(&parser, SLICE("\x89\x04pi")), WS_NEED_MORE);
    assert_non_null(parser.rare);
    assert_int_equal(parse_all(&parser, SLICE("ng")), WS_NEED_MORE);
    assert_null(parser.rare);
    assert_int_equal(parse_all(&parser, SLICE("\x41\x03\xf2\x48\xcd\xc0")), WS_FAILED);
    assert_null(parser.rare);
    ws_parser_init(&parser, WS_CLIENT, MESSAGE_MAX);
    ws_parser_set_inflater(&parser, inflater);
    assert_int_equal(parse_all(&parser, SLICE("\x41\x03\xf2\x48\xcd\x89\x04pi")), WS_NEED_MORE);
    ws_parser_release(&parser);
    assert_null(parser.rare);
    ws_parser_release(&parser);
    ws_inflater_destroy(inflater);
}

/* The first of 1,000 bytes each. */
static void begin_message(struct ws_parser *parser)
{
    static const char header[] = "\x42\x7e\x08\x00";
    static const char bytes[1000];
    assert_int_equal(parse_all(parser, (struct slice){.data = header, .size = 4}), WS_NEED_MORE);
    assert_int_equal(parse_all(parser, (struct slice){.data = bytes, .size = sizeof(bytes)}),
                     WS_NEED_MORE);
}

/* Four fit. Who waits longest has to go, whoever comes; one alone never has to. */
static void test_waiting_messages_are_bounded(void **state)
{
    (void)state;
    enum { PARSERS = 6 };
    struct ws_inflater *inflater = ws_inflater_create(MESSAGE_MAX, 4500);
    struct ws_parser parsers[PARSERS];
    for (size_t i = 0; i < PARSERS; i++) {
        ws_parser_init(&parsers[i], WS_CLIENT, MESSAGE_MAX);
        ws_parser_set_inflater(&parsers[i], inflater);
        begin_message(&parsers[i]);
    }
    for (size_t i = 0; i < PARSERS; i++) {
        bool given_up = i < 2;
        assert_int_equal(parse_all(&parsers[i], SLICE("")), given_up ? WS_FAILED : WS_NEED_MORE);
        assert_int_equal(parsers[i].rare == NULL, given_up);
        if (given_up)
            assert_int_equal(ws_error_code(&parsers[i]), 1013);
    }
    ws_parser_release(&parsers[3]); /* in the middle of the list */
    ws_parser_release(&parsers[5]);
    static const char more[1040]; /* of 2,048 */
    struct slice piece = {.data = more, .size = sizeof(more)};
    assert_int_equal(parse_all(&parsers[4], piece), WS_NEED_MORE);
    assert_int_equal(parse_all(&parsers[2], piece), WS_NEED_MORE);
    static const char long_header[] = "\0\0\0\0\0\0\0\0\x00\x7e\x20\x00";
    assert_int_equal(parse_all(&parsers[4], (struct slice){.data = long_header, .size = 12}),
                     WS_NEED_MORE);
    for (int i = 0; i < 7; i++)
        assert_int_equal(parse_all(&parsers[4], piece), WS_NEED_MORE);
    assert_non_null(parsers[4].rare); /* alone, it may be longer than all together */
    assert_int_equal(parse_all(&parsers[2], SLICE("")), WS_FAILED);
    for (size_t i = 0; i < PARSERS; i++)
        ws_parser_release(&parsers[i]);
    ws_inflater_destroy(inflater);
}

/* ---- sending ---- */

/* An inflater that is not ours: the whole frame's payload, to be released. */
static struct buffer inflated(struct slice payload)
{
    struct buffer in;
    struct buffer out;
    buffer_init(&in, payload.size + TAIL_SIZE);
    buffer_append_slice(&in, payload);
    buffer_append(&in, "\0\0\xff\xff", TAIL_SIZE);
    buffer_init(&out, 4 << 20);
    z_stream stream = {.zalloc = NULL};
    assert_int_equal(inflateInit2(&stream, -15), Z_OK);
    stream.next_in = (Bytef *)in.data;
    stream.avail_in = (unsigned)in.size;
    stream.next_out = (Bytef *)buffer_reserve(&out, 4 << 20);
    stream.avail_out = 4 << 20;
    assert_int_equal(inflate(&stream, Z_SYNC_FLUSH), Z_OK);
    assert_int_equal(stream.avail_in, 0);
    out.size = (4 << 20) - stream.avail_out;
    inflateEnd(&stream);
    buffer_release(&in);
    return out;
}

/* One frame with this message was appended; returns whether it was compressed. */
static bool frame_check(struct slice bytes, unsigned opcode, struct slice message)
{
    const uint8_t *frame = (const uint8_t *)bytes.data;
    size_t header = frame_header_size(frame);
    assert_int_equal(frame_size(frame), bytes.size);
    assert_int_equal(frame[0] & ~0x40u, 0x80u | opcode);
    assert_int_equal(bytes.data[bytes.size], 0);
    struct slice payload = {.data = bytes.data + header, .size = bytes.size - header};
    if ((frame[0] & 0x40u) == 0) {
        assert_true(slice_equal(payload, message));
        return false;
    }
    assert_true(payload.size < message.size);
    struct buffer out = inflated(payload);
    assert_true(slice_equal(buffer_slice(&out), message));
    buffer_release(&out);
    return true;
}

#define LINE                                                                                       \
    "{\"type\":\"trade\",\"seq\":1042,\"exchange\":\"upbit\",\"symbol\":\"BTC-KRW\",\"ts\":"       \
    "1790133513470000,\"recv\":1795367001123456,\"id\":\"17901335130000007\",\"price\":"           \
    "\"116209162\",\"size\":\"7.05898\",\"side\":\"buy\"}"

static void test_messages_shrink(void **state)
{
    (void)state;
    struct buffer text;
    buffer_init(&text, 1 << 20);
    for (size_t count = 1; count <= 100; count *= 10) {
        buffer_clear(&text);
        for (size_t i = 0; i < count; i++)
            buffer_append_text(&text, i == 0 ? LINE : "\n" LINE);
        for (int level = 1; level <= 9; level++) {
            struct ws_deflater *deflater = ws_deflater_create(level);
            struct buffer out;
            buffer_init(&out, 1 << 20);
            buffer_append_text(&out, "before");
            ws_deflate_message(deflater, buffer_slice(&text), &out);
            struct slice frame = {.data = out.data + 6, .size = out.size - 6};
            assert_true(frame_check(frame, WS_TEXT, buffer_slice(&text)));
            assert_memory_equal(out.data, "before", 6);
            assert_true(frame.size * 10 < text.size * (count == 1 ? 9 : 3));
            size_t header = frame_header_size((const uint8_t *)frame.data);
            assert_int_not_equal((uint8_t)frame.data[header] & 6, 0); /* not a stored block */
            buffer_release(&out);
            ws_deflater_destroy(deflater);
        }
    }
    buffer_release(&text);
}

/* Sizes at which the header changes, of what shrinks and what does not. */
static void test_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,   1,   2,     3,     10,    100,   125,    126,
                                   127, 128, 65534, 65535, 65536, 65537, 300000, 1 << 20};
    struct ws_deflater *deflater = ws_deflater_create(1);
    char *message = memory_alloc(1 << 20);
    for (int kind = 0; kind < 3; kind++) {
        for (size_t i = 0; i < 1 << 20; i++)
            message[i] = (char)(kind == 0   ? 'x'
                                : kind == 1 ? rand()
                                            : "0123456789abcdef"[rand() % 16]);
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            struct buffer out;
            struct slice slice = {.data = message, .size = sizes[i]};
            buffer_init(&out, 2 << 20);
            ws_deflate_frame(deflater, WS_BINARY, slice, &out);
            bool smaller = frame_check(buffer_slice(&out), WS_BINARY, slice);
            if (sizes[i] >= 100)
                assert_int_equal(smaller, kind != 1);
            if (sizes[i] <= 1)
                assert_false(smaller);
            buffer_release(&out);
        }
    }
    memory_free(message);
    ws_deflater_destroy(deflater);
}

static void test_no_room(void **state)
{
    (void)state;
    struct ws_deflater *deflater = ws_deflater_create(1);
    struct buffer out;
    buffer_init(&out, sizeof(LINE));
    buffer_append_text(&out, "before");
    ws_deflate_message(deflater, SLICE(LINE), &out);
    assert_true(out.overflowed);
    assert_string_equal(out.data, "before");
    buffer_release(&out);
    ws_deflater_destroy(deflater);
}

/* What we send, our client reads; and each frame stands alone. */
static void test_both_ends(void **state)
{
    (void)state;
    struct ws_deflater *deflater = ws_deflater_create(1);
    struct script script;
    script_init(&script, false);
    for (int i = 0; i < 3; i++) {
        ws_deflate_message(deflater, SLICE("aaaaaaaaaaaaaaaaaaaaaaaa"), &script.bytes);
        ws_deflate_message(deflater, SLICE("b"), &script.bytes);
    }
#define PAIR "(1 616161616161616161616161616161616161616161616161)(1 62)"
    expect(&script, PAIR PAIR PAIR);
    ws_deflater_destroy(deflater);
}

static void test_nothing_is_allocated_for_a_message(void **state)
{
    (void)state;
    static const char hello[] = "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00";
    struct ws_deflater *deflater = ws_deflater_create(1);
    struct ws_inflater *inflater = ws_inflater_create(MESSAGE_MAX, 0);
    struct ws_parser parser;
    struct buffer out;
    char bytes[sizeof(hello)];
    ws_parser_init(&parser, WS_CLIENT, MESSAGE_MAX);
    ws_parser_set_inflater(&parser, inflater);
    buffer_init(&out, 1 << 20);
    for (int round = 0; round < 100; round++) {
        if (round == 1) /* the first makes the window and the buffers */
            allocations = 0;
        buffer_clear(&out);
        ws_deflate_message(deflater, SLICE(LINE "\n" LINE), &out);
        struct ws_part part;
        struct ws_control control;
        char *cursor = bytes;
        memcpy(bytes, hello, sizeof(hello));
        assert_int_equal(ws_parse(&parser, &cursor, bytes + sizeof(hello) - 1, &part, &control),
                         WS_DATA);
    }
    assert_int_equal(allocations, 0);
    buffer_release(&out);
    ws_inflater_destroy(inflater);
    ws_deflater_destroy(deflater);
}

int main(void)
{
    srand(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_not_negotiated),
        cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_incompressible_messages),
        cmocka_unit_test(test_random_messages),
        cmocka_unit_test(test_idle_parsers_hold_nothing),
        cmocka_unit_test(test_waiting_messages_are_bounded),
        cmocka_unit_test(test_messages_shrink),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_both_ends),
        cmocka_unit_test(test_nothing_is_allocated_for_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
