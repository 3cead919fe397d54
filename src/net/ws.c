/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The WebSocket codec. A parser is a state machine over single header bytes and runs of payload, so
 * that it makes no difference where the input is cut: the same bytes give the same messages,
 * control frames and failures.
 */
#include "net/ws_priv.h"

#include "base/frame.h"
#include "base/memory.h"

#include <assert.h>

#define FIN_BIT 0x80
#define RESERVED_BITS 0x70
#define OPCODE_BITS 0x0f
#define CONTROL_BIT 0x08
#define MASK_BIT 0x80
#define LENGTH_BITS 0x7f
#define LENGTH_16 126
#define LENGTH_64 127
#define MASK_SIZE 4

#define CODE_PROTOCOL 1002
#define CODE_NO_STATUS 1005
#define CODE_NOT_UTF8 1007
#define CODE_TOO_BIG 1009
#define CODE_TRY_LATER 1013
#define MESSAGE_MAX_MAX (1u << 30)

enum parser_state {
    STATE_HEADER,
    STATE_DATA,
    STATE_CONTROL,
    STATE_CLOSED, /* a close came: what follows it means nothing (RFC 6455, section 5.5.1) */
    STATE_FAILED
};

/* What a parser needs at times only, so that an idle client does not pay for it. */
struct ws_rare {
    struct ws_waiting waiting; /* a compressed message that is not whole */
    uint8_t control[WS_CONTROL_MAX];
    uint8_t control_size; /* of a control frame that was cut */
    bool control_given;   /* the owner was told; it holds until the next call */
};

static_assert(sizeof(struct ws_parser) <= 64, "one for each client");
static_assert(WS_HEADER_MAX == FRAME_HEADER_MAX + MASK_SIZE, "a client's header has a mask");
static_assert(WS_CONTROL_MAX < LENGTH_16, "a control frame's length takes 7 bits");

/* ---- UTF-8 (RFC 3629, section 4) ---- */

/* State between bytes: how many continuation bytes are due, and the bounds of the next one. */
static uint32_t utf8_due(uint32_t count, uint32_t low, uint32_t high)
{
    return count << 16 | low << 8 | high;
}

/* The state after the first byte of a character of several bytes; 0: no such byte. */
static uint32_t utf8_lead(uint8_t byte)
{
    if (byte < 0xc2 || byte > 0xf4)
        return 0; /* a continuation, an overlong form, or above U+10FFFF */
    if (byte < 0xe0)
        return utf8_due(1, 0x80, 0xbf);
    if (byte < 0xf0)
        return utf8_due(2, byte == 0xe0 ? 0xa0 : 0x80, byte == 0xed ? 0x9f : 0xbf);
    return utf8_due(3, byte == 0xf0 ? 0x90 : 0x80, byte == 0xf4 ? 0x8f : 0xbf);
}

/* Length of the run of ASCII at the start of data, in steps of 8. */
static size_t ascii_run(const char *data, size_t size)
{
    size_t run = 0;
    while (size - run >= sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, data + run, sizeof(word));
        if ((word & UINT64_C(0x8080808080808080)) != 0)
            break;
        run += sizeof(word);
    }
    return run;
}

/* Index of the first byte that no text can have there; size when all are good. */
static size_t utf8_check(uint32_t *state, const char *data, size_t size)
{
    size_t i = 0;
    while (i < size) {
        if (*state == 0) {
            i += ascii_run(data + i, size - i);
            if (i == size)
                break;
        }
        uint8_t byte = (uint8_t)data[i];
        uint32_t count = *state >> 16;
        if (count == 0 && byte >= 0x80) {
            *state = utf8_lead(byte);
            if (*state == 0)
                return i;
        } else if (count > 0) {
            if (byte < (*state >> 8 & 0xff) || byte > (*state & 0xff))
                return i;
            *state = count == 1 ? 0 : utf8_due(count - 1, 0x80, 0xbf);
        }
        i++;
    }
    return size;
}

/* ---- the parser ---- */

void ws_parser_init(struct ws_parser *parser, enum ws_role role, uint64_t message_max)
{
    assert(message_max <= MESSAGE_MAX_MAX);
    *parser = (struct ws_parser){.role = (uint8_t)role, .message_max = (uint32_t)message_max};
    parser->header_size = 2;
}

void ws_parser_set_inflater(struct ws_parser *parser, struct ws_inflater *inflater)
{
    assert(parser->message_max == ws_inflater_message_max(inflater));
    parser->inflater = inflater;
}

static struct ws_rare *rare_of(struct ws_parser *parser)
{
    if (parser->rare == NULL) {
        parser->rare = memory_alloc(sizeof *parser->rare);
        parser->rare->waiting.parser = parser;
    }
    return parser->rare;
}

static void rare_free_unused(struct ws_parser *parser)
{
    struct ws_rare *rare = parser->rare;
    if (rare->control_size > 0 || rare->waiting.bytes.data != NULL)
        return;
    memory_free(rare);
    parser->rare = NULL;
}

static void drop_control(struct ws_parser *parser)
{
    parser->rare->control_size = 0;
    parser->rare->control_given = false;
    rare_free_unused(parser);
}

static void drop_waiting(struct ws_parser *parser)
{
    if (parser->rare == NULL)
        return;
    ws_inflater_forget(parser->inflater, &parser->rare->waiting);
    rare_free_unused(parser);
}

static enum ws_result fail(struct ws_parser *parser, uint16_t code)
{
    parser->state = STATE_FAILED;
    parser->error_code = code;
    drop_waiting(parser);
    return WS_FAILED;
}

void ws_parser_give_up(struct ws_parser *parser)
{
    fail(parser, CODE_TRY_LATER);
}

void ws_parser_release(struct ws_parser *parser)
{
    drop_waiting(parser);
    if (parser->rare != NULL)
        drop_control(parser);
}

static bool is_control(uint8_t opcode)
{
    return (opcode & CONTROL_BIT) != 0;
}

/* The first byte of a frame: final bit, reserved bits, opcode. */
static bool first_byte_valid(struct ws_parser *parser)
{
    uint8_t byte = parser->header[0];
    parser->fin = (byte & FIN_BIT) != 0;
    parser->opcode = byte & OPCODE_BITS;
    if ((byte & RESERVED_BITS & ~FRAME_COMPRESSED) != 0)
        return false;
    bool compressed = (byte & FRAME_COMPRESSED) != 0;
    bool may_be =
        parser->inflater != NULL && (parser->opcode == WS_TEXT || parser->opcode == WS_BINARY);
    if (compressed && !may_be) /* RFC 7692, section 6: a message's first frame has it */
        return false;
    switch (parser->opcode) {
    case WS_CONTINUATION:
        return parser->in_message;
    case WS_TEXT:
    case WS_BINARY:
        return !parser->in_message;
    case WS_CLOSE:
    case WS_PING:
    case WS_PONG:
        return parser->fin;
    default: /* a number from outside, not an enum */
        return false;
    }
}

/* The second: whether masked, and the length or the size of the length. */
static bool second_byte_valid(struct ws_parser *parser)
{
    uint8_t length = parser->header[1] & LENGTH_BITS;
    parser->masked = (parser->header[1] & MASK_BIT) != 0;
    if (parser->masked != (parser->role == WS_SERVER))
        return false;
    if (is_control(parser->opcode) && length > WS_CONTROL_MAX)
        return false;
    unsigned extended = length == LENGTH_16 ? 2 : length == LENGTH_64 ? 8 : 0;
    parser->header_size = (uint8_t)(2 + extended + (parser->masked ? MASK_SIZE : 0));
    return true;
}

static uint64_t read_big_endian(const uint8_t *bytes, size_t count)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* False when the length is not written in the shortest form (RFC 6455, section 5.2). */
static bool length_read(const struct ws_parser *parser, uint64_t *ret_size)
{
    uint8_t length = parser->header[1] & LENGTH_BITS;
    if (length == LENGTH_16) {
        *ret_size = read_big_endian(parser->header + 2, 2);
        return *ret_size >= LENGTH_16;
    }
    if (length == LENGTH_64) {
        *ret_size = read_big_endian(parser->header + 2, 8);
        return *ret_size > UINT16_MAX && *ret_size <= INT64_MAX;
    }
    *ret_size = length;
    return true;
}

static void begin_message(struct ws_parser *parser)
{
    parser->in_message = true;
    parser->message_opcode = parser->opcode;
    parser->message_size = 0;
    parser->utf8_state = 0;
    parser->part_given = false;
    parser->compressed = (parser->header[0] & FRAME_COMPRESSED) != 0;
}

static uint8_t *mask_of(struct ws_parser *parser)
{
    return parser->header + WS_HEADER_MAX - MASK_SIZE;
}

/* WS_NEED_MORE: all is well, the payload follows. */
static enum ws_result header_end(struct ws_parser *parser)
{
    uint64_t size;
    if (!length_read(parser, &size))
        return fail(parser, CODE_PROTOCOL);
    if (parser->masked)
        memmove(mask_of(parser), parser->header + parser->header_size - MASK_SIZE, MASK_SIZE);
    parser->mask_index = 0;
    parser->header_have = 0;
    parser->header_size = 2;
    if (is_control(parser->opcode)) {
        parser->payload_left = (uint32_t)size;
        parser->state = STATE_CONTROL;
        return WS_NEED_MORE;
    }
    if (parser->opcode != WS_CONTINUATION)
        begin_message(parser);
    size_t max = parser->message_max;
    if (parser->compressed)
        max = ws_compressed_max(max);
    assert(parser->message_size <= max);
    if (size > max - parser->message_size)
        return fail(parser, CODE_TOO_BIG);
    parser->payload_left = (uint32_t)size;
    parser->message_size += (uint32_t)size;
    parser->state = STATE_DATA;
    return WS_NEED_MORE;
}

static enum ws_result parse_header(struct ws_parser *parser, char **cursor, const char *end)
{
    while (parser->header_have < parser->header_size) {
        if (*cursor == end)
            return WS_NEED_MORE;
        parser->header[parser->header_have++] = (uint8_t) * (*cursor)++;
        if (parser->header_have == 1 && !first_byte_valid(parser))
            return fail(parser, CODE_PROTOCOL);
        if (parser->header_have == 2 && !second_byte_valid(parser))
            return fail(parser, CODE_PROTOCOL);
    }
    return header_end(parser);
}

/* Takes up to payload_left bytes of the input, unmasked in place. */
static struct slice take_payload(struct ws_parser *parser, char **cursor, const char *end)
{
    char *data = *cursor;
    size_t size = (size_t)(end - data);
    if (size > parser->payload_left)
        size = parser->payload_left;
    if (parser->masked && size > 0) {
        ws_mask(data, size, mask_of(parser), parser->mask_index);
        parser->mask_index = (uint8_t)((parser->mask_index + size) % MASK_SIZE);
    }
    parser->payload_left -= (uint32_t)size;
    *cursor = data + size;
    return (struct slice){.data = data, .size = size};
}

/* How many bytes of a text's part are good; less than its size fails the parser. */
static size_t text_check(struct ws_parser *parser, struct slice part, bool last)
{
    size_t good = utf8_check(&parser->utf8_state, part.data, part.size);
    bool cut_off = good == part.size && last && parser->utf8_state != 0;
    if (cut_off && good > 0)
        good--; /* the byte that ended the message is the one that should not have */
    if (good < part.size || cut_off)
        fail(parser, CODE_NOT_UTF8);
    return good;
}

static enum ws_result parse_data(struct ws_parser *parser, char **cursor, const char *end,
                                 struct ws_part *ret_part)
{
    assert(parser->in_message);
    if (*cursor == end && parser->payload_left > 0)
        return WS_NEED_MORE;
    char *data = *cursor;
    struct slice payload = take_payload(parser, cursor, end);
    bool frame_done = parser->payload_left == 0;
    bool last = frame_done && parser->fin;
    if (frame_done)
        parser->state = STATE_HEADER;
    if (parser->message_opcode == WS_TEXT)
        payload.size = text_check(parser, payload, last);
    bool failed = parser->state == STATE_FAILED;
    if (payload.size == 0 && failed)
        return WS_FAILED;
    if (payload.size == 0 && !last)
        return WS_NEED_MORE; /* an empty fragment: nothing to say yet */
    *ret_part = (struct ws_part){.opcode = (enum ws_opcode)parser->message_opcode,
                                 .first = !parser->part_given,
                                 .last = last && !failed,
                                 .data = data,
                                 .size = payload.size};
    parser->part_given = true;
    parser->in_message = !last;
    return WS_DATA;
}

/* A piece of a compressed message, or all of it. */
static enum ws_result parse_compressed(struct ws_parser *parser, char **cursor, const char *end,
                                       struct ws_part *ret_part)
{
    assert(parser->in_message);
    struct slice message = take_payload(parser, cursor, end);
    if (parser->payload_left == 0)
        parser->state = STATE_HEADER;
    bool whole = parser->payload_left == 0 && parser->fin;
    bool waited = parser->rare != NULL && parser->rare->waiting.bytes.data != NULL;
    if (message.size > 0 && (waited || !whole)) {
        ws_inflater_keep(parser->inflater, &rare_of(parser)->waiting, message);
        if (parser->state == STATE_FAILED)
            return WS_FAILED;
        waited = true;
    }
    if (!whole)
        return WS_NEED_MORE;
    if (waited)
        message = buffer_slice(&parser->rare->waiting.bytes);
    struct buffer *inflated;
    uint16_t code = ws_inflate(parser->inflater, message, &inflated);
    drop_waiting(parser);
    if (code != 0)
        return fail(parser, code);
    if (parser->message_opcode == WS_TEXT)
        (void)text_check(parser, buffer_slice(inflated), true);
    if (parser->state == STATE_FAILED)
        return WS_FAILED;
    parser->in_message = false;
    *ret_part = (struct ws_part){.opcode = (enum ws_opcode)parser->message_opcode,
                                 .first = true,
                                 .last = true,
                                 .data = inflated->data,
                                 .size = inflated->size};
    return WS_DATA;
}

/* A close frame: nothing, or a code and a reason in UTF-8. */
static enum ws_result close_read(struct ws_parser *parser, struct ws_control *control)
{
    parser->state = STATE_CLOSED;
    drop_waiting(parser);
    control->close_code = CODE_NO_STATUS;
    if (control->payload.size == 0)
        return WS_CONTROL;
    if (control->payload.size == 1)
        return fail(parser, CODE_PROTOCOL);
    control->close_code = (uint16_t)read_big_endian((const uint8_t *)control->payload.data, 2);
    control->payload.data += 2;
    control->payload.size -= 2;
    if (!ws_close_code_valid(control->close_code))
        return fail(parser, CODE_PROTOCOL);
    uint32_t state = 0;
    size_t good = utf8_check(&state, control->payload.data, control->payload.size);
    if (good < control->payload.size || state != 0)
        return fail(parser, CODE_NOT_UTF8);
    return WS_CONTROL;
}

/* Puts a piece of a control frame to what came before; returns all of it. */
static struct slice keep_control(struct ws_parser *parser, struct slice piece)
{
    struct ws_rare *rare = rare_of(parser);
    assert(rare->control_size + piece.size <= WS_CONTROL_MAX);
    memcpy(rare->control + rare->control_size, piece.data, piece.size);
    rare->control_size = (uint8_t)(rare->control_size + piece.size);
    return (struct slice){.data = (const char *)rare->control, .size = rare->control_size};
}

static enum ws_result parse_control(struct ws_parser *parser, char **cursor, const char *end,
                                    struct ws_control *ret_control)
{
    struct slice payload = take_payload(parser, cursor, end);
    bool waited = parser->rare != NULL && parser->rare->control_size > 0;
    if (payload.size > 0 && (waited || parser->payload_left > 0))
        payload = keep_control(parser, payload);
    if (parser->payload_left > 0)
        return WS_NEED_MORE;
    if (parser->rare != NULL)
        parser->rare->control_given = true;
    *ret_control =
        (struct ws_control){.opcode = (enum ws_opcode)parser->opcode, .payload = payload};
    parser->state = STATE_HEADER;
    if (parser->opcode == WS_CLOSE)
        return close_read(parser, ret_control);
    return WS_CONTROL;
}

static enum ws_result parse_step(struct ws_parser *parser, char **cursor, char *end,
                                 struct ws_part *ret_part, struct ws_control *ret_control)
{
    switch ((enum parser_state)parser->state) {
    case STATE_HEADER:
        return parse_header(parser, cursor, end);
    case STATE_DATA:
        if (parser->compressed)
            return parse_compressed(parser, cursor, end, ret_part);
        return parse_data(parser, cursor, end, ret_part);
    case STATE_CONTROL:
        return parse_control(parser, cursor, end, ret_control);
    case STATE_CLOSED:
        *cursor = end;
        return WS_NEED_MORE;
    case STATE_FAILED:
        return WS_FAILED;
    }
    return WS_FAILED;
}

/* Nothing more can come of an empty input, but of an empty payload it can. */
static bool is_starved(const struct ws_parser *parser)
{
    return parser->state == STATE_HEADER || parser->state == STATE_CLOSED ||
           (parser->state != STATE_FAILED && parser->payload_left > 0);
}

enum ws_result ws_parse(struct ws_parser *parser, char **cursor, char *end,
                        struct ws_part *ret_part, struct ws_control *ret_control)
{
    assert(*cursor <= end);
    if (parser->rare != NULL && parser->rare->control_given)
        drop_control(parser);
    enum ws_result result;
    do {
        result = parse_step(parser, cursor, end, ret_part, ret_control);
    } while (result == WS_NEED_MORE && (*cursor < end || !is_starved(parser)));
    return result;
}

/* ---- writing ---- */

size_t ws_write_header(uint8_t out[WS_HEADER_MAX], enum ws_opcode opcode, uint64_t size,
                       const uint8_t mask[4])
{
    size_t header_size = frame_header_write(out, (unsigned)opcode, size);
    if (mask == NULL)
        return header_size;
    out[1] |= MASK_BIT;
    memcpy(out + header_size, mask, MASK_SIZE);
    return header_size + MASK_SIZE;
}

void ws_mask(char *data, size_t size, const uint8_t mask[4], size_t offset)
{
    uint8_t turned[sizeof(uint64_t)];
    for (size_t i = 0; i < sizeof(turned); i++)
        turned[i] = mask[(offset + i) % MASK_SIZE];
    uint64_t mask_word;
    memcpy(&mask_word, turned, sizeof(mask_word));
    size_t i = 0;
    for (; size - i >= sizeof(mask_word); i += sizeof(mask_word)) {
        uint64_t word;
        memcpy(&word, data + i, sizeof(word));
        word ^= mask_word;
        memcpy(data + i, &word, sizeof(word));
    }
    for (; i < size; i++)
        data[i] = (char)(data[i] ^ turned[i % sizeof(turned)]);
}

bool ws_close_code_valid(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}
