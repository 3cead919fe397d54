/* SPDX-License-Identifier: Apache-2.0 */
/* A stream of frames, written with the first byte free to choose: to be right or wrong. */
#pragma once

#include "base/buffer.h"
#include "net/ws.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SCRIPT_MAX (8 << 20)

static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};

struct script {
    struct buffer bytes;
    bool masked;
};

static inline void script_init(struct script *script, bool masked)
{
    buffer_init(&script->bytes, SCRIPT_MAX);
    script->masked = masked;
}

static inline void add(struct script *script, unsigned first_byte, const void *payload, size_t size)
{
    uint8_t header[WS_HEADER_MAX];
    size_t header_size = ws_write_header(header, WS_TEXT, size, script->masked ? mask : NULL);
    header[0] = (uint8_t)first_byte;
    buffer_append(&script->bytes, header, header_size);
    size_t start = script->bytes.size;
    buffer_append(&script->bytes, payload, size);
    if (script->masked && size > 0)
        ws_mask(script->bytes.data + start, size, mask, 0);
    assert_false(script->bytes.overflowed);
}
