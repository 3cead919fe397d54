/* SPDX-License-Identifier: Apache-2.0 */
/*
 * permessage-deflate (RFC 7692): its negotiation, frames compressed once for many peers, and what
 * ws.c needs to take compressed messages. No context takeover on either side: each message stands
 * alone, so compressors and inflaters are shared, and an idle connection costs nothing.
 *
 * Threads: a deflater and an inflater belong to one thread each, an inflater to that of all the
 * parsers that use it. Negotiation is pure.
 */
#pragma once

#include "base/buffer.h"
#include "net/http.h"
#include "net/ws.h"

/* ---- negotiation (RFC 7692, section 7.1; RFC 6455, section 9.1) ---- */

/*
 * What a server answers: the static line for http_upgrade, or NULL for a plain connection. The
 * first offer wins that has known parameters alone, each once, with valid values, and does not ask
 * for a server window under 15. A header that breaks the grammar declines everything: the
 * connection is plain.
 */
const char *ws_deflate_accept(const struct http_head *request) MUST_CHECK;

/* The line of a client's request. All parameters are there, so that every server can agree. */
#define WS_DEFLATE_OFFER                                                                           \
    "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "                   \
    "client_no_context_takeover; client_max_window_bits\r\n"

/* What a server made of WS_DEFLATE_OFFER: *ret_granted is false when it speaks no extension. A
 * negative errno and a sentence when it answers what was not offered. */
int ws_deflate_answered(const struct http_head *answer, bool *ret_granted,
                        struct err *err) MUST_CHECK;

/* ---- sending ---- */

struct ws_deflater;

/* level: 1 (quick) to 9 (small). Some 160 KiB; nothing is allocated after this. */
struct ws_deflater *ws_deflater_create(int level) MUST_CHECK;
void ws_deflater_destroy(struct ws_deflater *deflater); /* NULL is a no-op */

/*
 * Appends a whole unmasked frame with this message to out: compressed, with RSV1, where that is
 * smaller, else plain. While it works it needs room in out for the plain frame and a few bytes;
 * when out has none, nothing is appended and out->overflowed says so. opcode: WS_TEXT or WS_BINARY.
 */
void ws_deflate_frame(struct ws_deflater *deflater, enum ws_opcode opcode, struct slice payload,
                      struct buffer *out);

static inline void ws_deflate_message(struct ws_deflater *deflater, struct slice text,
                                      struct buffer *out)
{
    ws_deflate_frame(deflater, WS_TEXT, text, out);
}

/* ---- receiving ---- */

struct ws_inflater;

/*
 * Serves any number of parsers with this message_max. It holds the last message, inflated, and some
 * 50 KiB. Compressed messages that came in part are kept until they are whole, as bytes that were
 * really sent, in `waiting_max` bytes for all parsers together. Beyond it the message that waits
 * longest is given up, and its parser fails with 1013; one alone is always kept.
 */
struct ws_inflater *ws_inflater_create(size_t message_max, size_t waiting_max) MUST_CHECK;

/* After the last of its parsers; NULL is a no-op. */
void ws_inflater_destroy(struct ws_inflater *inflater);

/* permessage-deflate was negotiated: before the first byte is parsed. The inflater is borrowed
 * until ws_parser_release. */
void ws_parser_set_inflater(struct ws_parser *parser, struct ws_inflater *inflater);
