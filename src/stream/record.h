/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record: one encoded, numbered message, named (stream, epoch, seq). A name stands for the same
 * bytes everywhere, for ever. This folder knows no market: of the text only our own head is read,
 * which every message of ours begins with, in this order:
 *
 *     {"type":"T","seq":N[,"exchange":"E"[,"symbol":"S"]],...}
 */
#pragma once

#include "base/limits.h"
#include "base/slice.h"

struct record {
    const char *stream; /* borrowed, terminated */
    int64_t epoch;
    int64_t seq;
    struct slice type; /* "trade", ... */
    struct slice key;  /* "exchange:symbol", "exchange" or "tickwire" */
    struct slice text; /* the JSON that clients get, with its seq; a NUL and LIMIT_PADDING readable
                          bytes follow */
};

/*
 * Type, seq and key from the head of a text; stream, epoch and text stay as they are. The key,
 * which is never empty, is written to ret_key, which has LIMIT_KEY bytes, and the record points
 * into both. False when the text does not begin as ours do (stream/notes.h: note_read_number, what
 * a number is).
 */
bool record_read_head(struct slice text, char ret_key[LIMIT_KEY],
                      struct record *ret_record) MUST_CHECK;
