/* SPDX-License-Identifier: Apache-2.0 */
/* Between the parser (ws.c) and the inflater (ws_deflate.c). */
#pragma once

#include "net/ws_deflate.h"

/* What came of a compressed message that is not whole yet. */
struct ws_waiting {
    struct ws_waiting *older, *newer; /* of the inflater's list, while bytes.data is not NULL */
    struct ws_parser *parser;         /* borrowed: whose it is */
    struct buffer bytes;
};

/* Adds a piece, of which the parser knows that it fits; waiting->parser is set. May give up
 * messages, this one among them. */
void ws_inflater_keep(struct ws_inflater *inflater, struct ws_waiting *waiting, struct slice piece);

/* Drops what is kept; nothing when nothing is. */
void ws_inflater_forget(struct ws_inflater *inflater, struct ws_waiting *waiting);

/* In ws.c: the inflater has no room for its message any more. Fails it, which forgets. */
void ws_parser_give_up(struct ws_parser *parser);

/*
 * 0, or the close code: 1007 for broken data, 1009 for a message over message_max, of which no more
 * is inflated. *ret_message is the inflater's; its bytes may be written to, and LIMIT_PADDING
 * readable ones are behind them, of which the first is a NUL; valid until the next call.
 */
uint16_t ws_inflate(struct ws_inflater *inflater, struct slice compressed,
                    struct buffer **ret_message) MUST_CHECK;

size_t ws_inflater_message_max(const struct ws_inflater *inflater);

/* The most bytes in which a sane peer sends a message of this size: incompressible data grows by
 * less than an eighth, whatever kind of block it is put in. */
static inline size_t ws_compressed_max(size_t message_max)
{
    return message_max + message_max / 8 + 64;
}
