/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 6455, section 5.2: FIN, RSV1 and opcode in the first byte, then 7, 7+16 or 7+64 bits of
 * length. */
#include "base/frame.h"

#include <assert.h>

#define FIN 0x80u
#define LENGTH_MASK 0x7fu
#define LENGTH_16 126u
#define LENGTH_64 127u

size_t frame_header_write(uint8_t out[FRAME_HEADER_MAX], unsigned opcode, uint64_t payload_size)
{
    assert((opcode & ~FRAME_COMPRESSED) <= 0xf);
    assert(payload_size <= INT64_MAX); /* the RFC: the most significant bit is 0 */
    out[0] = (uint8_t)(FIN | opcode);
    if (payload_size < LENGTH_16) {
        out[1] = (uint8_t)payload_size;
        return 2;
    }
    if (payload_size <= UINT16_MAX) {
        out[1] = LENGTH_16;
        out[2] = (uint8_t)(payload_size >> 8);
        out[3] = (uint8_t)payload_size;
        return 4;
    }
    out[1] = LENGTH_64;
    for (unsigned i = 0; i < 8; i++)
        out[2 + i] = (uint8_t)(payload_size >> (56 - 8 * i));
    return 10;
}

size_t frame_header_size(const uint8_t *frame)
{
    unsigned length = frame[1] & LENGTH_MASK;
    if (length < LENGTH_16)
        return 2;
    return length == LENGTH_16 ? 4 : 10;
}

size_t frame_size(const uint8_t *frame)
{
    size_t header = frame_header_size(frame);
    if (header == 2)
        return header + (frame[1] & LENGTH_MASK);

    uint64_t payload = 0;
    for (size_t i = 2; i < header; i++)
        payload = payload << 8 | frame[i];
    assert(payload <= SIZE_MAX - header);
    return header + (size_t)payload;
}

size_t frames_fit(const char *data, size_t size, size_t max)
{
    assert(size > 0);
    if (size <= max)
        return size;
    size_t end = frame_size((const uint8_t *)data);
    for (size_t next = end; next <= max; next = end + frame_size((const uint8_t *)data + end))
        end = next;
    return end;
}

size_t frames_boundary(const char *data, size_t sent, int64_t *count)
{
    size_t end = 0;
    while (end < sent) {
        end += frame_size((const uint8_t *)data + end);
        (*count)++;
    }
    return end;
}
