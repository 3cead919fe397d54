/* SPDX-License-Identifier: Apache-2.0 */
/*
 * permessage-deflate. The first byte says what the rest is: hostile frames to a parser with an
 * inflater, whose record must not depend on the cuts (as in ws.c, and once with so little memory
 * for what waits that parsers give up); a message that must survive our compressor and our
 * inflater; headers with offers or answers.
 */
#include "base/frame.h"
#include "fuzz/pieces.h"
#include "net/ws_record_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
    if (!condition)
        abort();
}

/* ---- frames ---- */

struct setup {
    enum ws_role role;
    size_t message_max;
    struct ws_inflater *inflater;
};

/* step 0: whole; else pieces of 1 to step bytes. */
static struct buffer record_of(const struct setup *setup, struct slice bytes, size_t step)
{
    struct ws_record record;
    ws_record_init(&record, setup->role, setup->message_max);
    ws_parser_set_inflater(&record.parser, setup->inflater);
    for (size_t at = 0, piece = 0; at < bytes.size; at += piece) {
        piece = piece_size(bytes, at, step);
        ws_record_feed(&record, bytes.data + at, piece);
    }
    ws_record_end(&record);
    return record.text;
}

static void compare(const struct setup *setup, struct slice bytes, const struct buffer *whole,
                    size_t step)
{
    struct buffer cut = record_of(setup, bytes, step);
    check(slice_equal(buffer_slice(&cut), buffer_slice(whole)));
    buffer_release(&cut);
}

/* Two parsers take turns at one inflater that has room for one byte of what waits: either is given
 * up, or says what it says alone. */
static void take_turns(const struct setup *setup, struct slice bytes, const struct buffer *whole)
{
    struct ws_record records[2];
    for (size_t i = 0; i < 2; i++) {
        ws_record_init(&records[i], setup->role, setup->message_max);
        ws_parser_set_inflater(&records[i].parser, setup->inflater);
    }
    for (size_t at = 0; at < bytes.size; at++)
        for (size_t i = 0; i < 2; i++)
            ws_record_feed(&records[i], bytes.data + at, 1);
    for (size_t i = 0; i < 2; i++) {
        struct buffer *text = &records[i].text;
        bool given_up = records[i].failed && ws_error_code(&records[i].parser) == 1013;
        check(given_up || slice_equal(buffer_slice(text), buffer_slice(whole)));
        ws_record_end(&records[i]);
        buffer_release(text);
    }
}

static void fuzz_frames(const uint8_t *data, size_t size)
{
    if (size < 2)
        return;
    struct setup setup = {.role = (data[0] & 1) != 0 ? WS_CLIENT : WS_SERVER,
                          .message_max = (size_t)1 << (data[0] >> 1) % 14};
    setup.inflater = ws_inflater_create(setup.message_max, 1);
    struct slice bytes = {.data = (const char *)data + 2, .size = size - 2};
    struct buffer whole = record_of(&setup, bytes, 0);
    compare(&setup, bytes, &whole, 1);
    compare(&setup, bytes, &whole, (size_t)data[1] + 2);
    take_turns(&setup, bytes, &whole);
    buffer_release(&whole);
    ws_inflater_destroy(setup.inflater);
}

/* ---- a message there and back ---- */

static void read_back(struct buffer *frame, struct slice message)
{
    struct ws_parser parser;
    struct ws_inflater *inflater = ws_inflater_create(message.size, 0);
    ws_parser_init(&parser, WS_CLIENT, message.size);
    ws_parser_set_inflater(&parser, inflater);
    char *cursor = frame->data;
    struct ws_part part;
    struct ws_control control;
    check(ws_parse(&parser, &cursor, frame->data + frame->size, &part, &control) == WS_DATA);
    check(cursor == frame->data + frame->size && part.first && part.last);
    check(slice_equal((struct slice){.data = part.data, .size = part.size}, message));
    ws_parser_release(&parser);
    ws_inflater_destroy(inflater);
}

static void fuzz_message(const uint8_t *data, size_t size)
{
    if (size < 1)
        return;
    struct ws_deflater *deflater = ws_deflater_create(1 + data[0] % 9);
    struct slice message = {.data = (const char *)data + 1, .size = size - 1};
    for (int round = 0; round < 2; round++) { /* the second one knows nothing of the first */
        struct buffer frame;
        buffer_init(&frame, message.size + 64);
        ws_deflate_frame(deflater, WS_BINARY, message, &frame);
        check(!frame.overflowed && frame_size((uint8_t *)frame.data) == frame.size);
        check(frame.size <= message.size + FRAME_HEADER_MAX);
        read_back(&frame, message);
        buffer_release(&frame);
    }
    ws_deflater_destroy(deflater);
}

/* ---- negotiation ---- */

/* Each line is a header, in memory of its own. */
static void add_header(struct http_head *head, struct slice value)
{
    char *copy = memory_alloc(value.size + 1);
    if (value.size > 0)
        memcpy(copy + 1, value.data, value.size); /* nothing is readable behind it */
    head->header[head->header_count++] = (struct http_header){
        .name = SLICE("Sec-WebSocket-Extensions"), .value = {.data = copy + 1, .size = value.size}};
}

static void fuzz_headers(struct slice text)
{
    struct http_head head = {.header_count = 0};
    while (text.size > 0 && head.header_count < LIMIT_HTTP_HEADERS - 1)
        add_header(&head, slice_split(text, '\n', &text));
    struct err err;
    bool granted = false;
    int failed = ws_deflate_answered(&head, &granted, &err);
    check(failed == 0 || !granted);
    const char *answer = ws_deflate_accept(&head);
    check(answer == NULL || head.header_count > 0);
    add_header(&head, SLICE("later; offer=\"that\"; changes, nothing"));
    check(ws_deflate_accept(&head) == answer);
    bool still = false;
    check(ws_deflate_answered(&head, &still, &err) != 0);
    for (size_t i = 0; i < head.header_count; i++)
        memory_free((char *)(uintptr_t)head.header[i].value.data - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    switch (data[0] % 3) {
    case 0:
        fuzz_frames(data + 1, size - 1);
        break;
    case 1:
        fuzz_message(data + 1, size - 1);
        break;
    default:
        fuzz_headers((struct slice){.data = (const char *)data + 1, .size = size - 1});
        break;
    }
    return 0;
}
