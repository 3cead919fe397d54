/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSocket frames (RFC 6455) for both ends, without I/O: bytes in, parts of messages and control
 * frames out. Payload is not copied, but for a control frame that was cut, and what is compressed
 * (RFC 7692, see ws_deflate.h). A reserved bit that was not negotiated fails the connection.
 *
 * Thread: a parser belongs to one at a time.
 */
#pragma once

#include "base/slice.h"

enum ws_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10
};

enum ws_role {
    WS_SERVER,
    WS_CLIENT
}; /* which end we are: a server reads masked frames, a client unmasked ones */

enum ws_result {
    WS_NEED_MORE, /* all input taken, nothing to say; for ever so after a close */
    WS_DATA,      /* a part of a message: part is filled */
    WS_CONTROL,   /* a whole ping, pong or close: control is filled */
    WS_FAILED,    /* protocol violation: close with error_code and stop */
};

#define WS_CONTROL_MAX 125
#define WS_HEADER_MAX 14

struct ws_part {
    enum ws_opcode opcode; /* WS_TEXT or WS_BINARY, also in later parts */
    bool first;            /* starts the message */
    bool last;             /* ends the message */
    /* Unmasked, in the caller's input; never NULL when size is over 0. A message that was
     * compressed is one part, in the inflater's memory, with LIMIT_PADDING readable bytes behind
     * it: valid until anything is parsed with that inflater. */
    char *data;
    size_t size;
};

struct ws_control {
    enum ws_opcode opcode;
    struct slice payload; /* valid until the next call; of a close: the reason behind the code */
    uint16_t close_code;  /* of a close; 1005 when it had none */
};

struct ws_inflater;
struct ws_rare;

struct ws_parser {                /* open, so that it can be embedded; fields are ws.c's own */
    struct ws_inflater *inflater; /* borrowed; NULL: compression was not negotiated */
    struct ws_rare *rare;         /* owned; NULL but while something is cut that must be kept */
    uint32_t payload_left;
    uint32_t message_size; /* bytes of the present message so far, as sent, this frame's announced
                              size included */
    uint32_t message_max;
    uint32_t utf8_state;
    uint16_t error_code;
    uint8_t role;
    uint8_t state;
    uint8_t opcode; /* of the frame */
    uint8_t message_opcode;
    uint8_t header_size, header_have;
    uint8_t mask_index;
    bool fin, in_message, masked, part_given, compressed;
    uint8_t header[WS_HEADER_MAX]; /* the mask, when it is whole, at the end */
};

/*
 * message_max: bytes of one message, fragments together, at most 1 GiB; more fails with 1009 as
 * soon as it is announced. A compressed message is measured inflated, when it is whole; until then
 * it may have an eighth more bytes than that. Allocates nothing.
 */
void ws_parser_init(struct ws_parser *parser, enum ws_role role, uint64_t message_max);

/* Frees what was kept of an unfinished frame or message; may be called again. */
void ws_parser_release(struct ws_parser *parser);

/*
 * Takes bytes from *cursor up to end and returns the next result; *cursor is moved. Call until
 * WS_NEED_MORE or WS_FAILED. Checked: reserved bits and opcodes, masks by role, minimal lengths,
 * control frames whole and at most 125 bytes, fragmentation, UTF-8 of text and of close reasons
 * (across fragments, failing as early as it can: the part before the bad byte comes out first),
 * close codes. A frame's end without bytes gives a part of size 0 only if it ends the message.
 * A compressed message is checked when it is whole, and then comes out or fails as a whole.
 */
enum ws_result ws_parse(struct ws_parser *parser, char **cursor, char *end,
                        struct ws_part *ret_part, struct ws_control *ret_control) MUST_CHECK;

/* The close code for WS_FAILED: 1002, 1007, 1009 or 1013 (see ws_inflater_create). */
static inline uint16_t ws_error_code(const struct ws_parser *parser)
{
    return parser->error_code;
}

/* Writes a frame header (whole message: fin set), mask NULL for a server; returns its size, 2
 * to 14. */
size_t ws_write_header(uint8_t out[WS_HEADER_MAX], enum ws_opcode opcode, uint64_t size,
                       const uint8_t mask[4]);

/* XORs data in place with the mask, starting at mask byte `offset` modulo 4. */
void ws_mask(char *data, size_t size, const uint8_t mask[4], size_t offset);

/* Whether the code may stand in a close frame (RFC 6455, section 7.4). */
bool ws_close_code_valid(uint16_t code);
