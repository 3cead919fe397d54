/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of an unmasked WebSocket frame (RFC 6455, section 5.2): what a server sends. It stands
 * in base because the journal frames records once, for all clients, and may not know net/. Masks,
 * parsing and everything else is net/ws.
 */
#pragma once

#include "base/attr.h"

#define FRAME_HEADER_MAX 10
#define FRAME_TEXT 1
#define FRAME_COMPRESSED 0x40u /* RSV1 (RFC 7692, section 6), to be or'ed to an opcode */

/* Writes the header of a whole (fin) frame; returns its size: 2, 4 or 10. */
size_t frame_header_write(uint8_t out[FRAME_HEADER_MAX], unsigned opcode, uint64_t payload_size);

/* Header and payload together, of a frame that frame_header_write made. All header bytes must be
 * readable. */
size_t frame_size(const uint8_t *frame);

/* The header alone: 2, 4 or 10. */
size_t frame_header_size(const uint8_t *frame);

/* How many bytes of whole frames from `data` on fit `max`; at least one frame. size: bytes of whole
 * frames, not 0. */
size_t frames_fit(const char *data, size_t size, size_t max);

/* The end of the frame in which byte `sent` falls (`sent` itself when it is a boundary); adds the
 * frames passed. */
size_t frames_boundary(const char *data, size_t sent, int64_t *count);
