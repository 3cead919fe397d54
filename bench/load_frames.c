/* SPDX-License-Identifier: Apache-2.0 */
/* What a server sends, frame by frame: RFC 6455, section 5.2, and RFC 7692, section 6. */
#include "bench/load_priv.h"

#include "base/clock.h"
#include "base/frame.h"
#include "net/ws.h"

#define OPCODE_MASK 0x0fu
#define FIN 0x80u
#define COMPRESSED 0x40u
#define MASKED 0x80u

static void connection_pong(struct connection *connection, struct slice payload)
{
    static const uint8_t no_mask[4] = {0}; /* what it hides from is not on this machine */
    char frame[WS_HEADER_MAX + WS_CONTROL_MAX];
    if (payload.size > WS_CONTROL_MAX)
        return;
    size_t size = ws_write_header((uint8_t *)frame, WS_PONG, payload.size, no_mask);
    memcpy(frame + size, payload.data, payload.size);
    (void)channel_send(&connection->channel, frame, size + payload.size);
}

static void message_take(struct load *load, struct connection *connection, struct slice message,
                         int64_t now_us)
{
    if (load->options.joining != NULL && joining_take(load->options.joining, &connection->joiner,
                                                      &connection->last, message, now_us))
        return;
    tally_message(load->options.tally, &connection->last, message, now_us);
}

static void payload_take(struct load *load, struct connection *connection, struct slice payload,
                         int64_t now_us)
{
    if (!load->options.lines) {
        message_take(load, connection, payload, now_us);
        return;
    }
    while (payload.size > 0) {
        struct slice line = slice_split(payload, '\n', &payload);
        if (line.size > 0)
            message_take(load, connection, line, now_us);
    }
}

/* NULL, or why the connection ends. */
static const char *data_frame(struct load *load, struct connection *connection, unsigned head,
                              struct slice payload, int64_t now_us)
{
    if ((head & COMPRESSED) != 0) {
        struct slice text = {0};
        if (load->inflater == NULL)
            return "a compressed frame that nobody asked for";
        if ((head & FIN) == 0)
            return "a compressed message in fragments";
        if (!inflater_message(load->inflater, payload, &text))
            return "a compressed message that does not inflate";
        if (load->options.tally->counting)
            load->options.tally->compressed++;
        payload = text;
    }
    payload_take(load, connection, payload, now_us);
    return NULL;
}

static const char *connection_frame(struct load *load, struct connection *connection,
                                    struct slice frame, int64_t now_us)
{
    size_t header = frame_header_size((const uint8_t *)frame.data);
    struct slice payload = {.data = frame.data + header, .size = frame.size - header};
    unsigned head = (uint8_t)frame.data[0];
    unsigned opcode = head & OPCODE_MASK;
    if (opcode == WS_CLOSE)
        return "the server closed";
    if (opcode == WS_PING)
        connection_pong(connection, payload);
    if (opcode > WS_BINARY)
        return NULL;
    if (load->options.tally->counting)
        load->options.tally->frames++;
    return data_frame(load, connection, head, payload, now_us);
}

/* The size of the frame, 0 while it is not whole; more than LOAD_FRAME_MAX when it never will be.
 */
static size_t whole_frame(const char *data, size_t size)
{
    const uint8_t *frame = (const uint8_t *)data;
    static const uint8_t zeros[4] = {0};
    if (size < 2)
        return 0;
    if ((frame[1] & MASKED) != 0)
        return LOAD_FRAME_MAX + 1;
    size_t header = frame_header_size(frame);
    if (size < header)
        return 0;
    if (header == FRAME_HEADER_MAX && memcmp(frame + 2, zeros, sizeof zeros) != 0)
        return LOAD_FRAME_MAX + 1;
    size_t whole = frame_size(frame);
    return whole > size && whole <= LOAD_FRAME_MAX ? 0 : whole;
}

size_t connection_frames(struct load *load, struct connection *connection, const char *data,
                         size_t size)
{
    int64_t now_us = clock_wall_us();
    size_t at = 0;
    for (size_t next = whole_frame(data, size); next > 0;
         next = whole_frame(data + at, size - at)) {
        const char *why = "a frame that no server may send, or too large";
        if (next <= LOAD_FRAME_MAX)
            why = connection_frame(load, connection,
                                   (struct slice){.data = data + at, .size = next}, now_us);
        if (why != NULL) {
            connection_end(load, connection, why);
            break;
        }
        at += next;
    }
    return at;
}
