/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Barriers and beacons as JSON, for carriers that keep bytes:
 *
 *     {"type":"barrier","stream":S,"epoch":E[,"start":N],"writer":W,"node":ID}
 *     {"type":"beacon","stream":S,"epoch":E,"seq":Q[,"record_epoch":R],"position":P,
 *      "barrier":B[,"start":{"stream":S,"epoch":E,"seq":Q[,"record_epoch":R],"position":P}],
 *      "node":ID}
 *
 * What is read comes from outside and is judged strictly: every member of ours once, of its type
 * and within its range; integers without sign, fraction, exponent or leading zeros; names without
 * escapes. Members that we don't know are passed over. Thread: none; pure. Allocates nothing.
 */
#pragma once

#include "base/buffer.h"
#include "stream/carrier.h"

struct note_barrier {
    struct barrier barrier; /* its texts are those below; position -1 */
    char stream[LIMIT_STREAM_ID];
    char writer[LIMIT_NODE_ID];
    char node[LIMIT_NODE_ID];
};

struct note_beacon {
    struct beacon beacon; /* its text is the one below */
    char node[LIMIT_NODE_ID];
};

/* Appends. Names must be such as can be read again (note_is_name, note_is_stream). */
void note_write_barrier(const struct barrier *barrier, struct buffer *out);
void note_write_beacon(const struct beacon *beacon, struct buffer *out);

/* False: not such a note; *ret_note is then undefined. */
bool note_read_barrier(struct slice text, struct note_barrier *ret_note) MUST_CHECK;
bool note_read_beacon(struct slice text, struct note_beacon *ret_note) MUST_CHECK;

/* A stream id: 1 to LIMIT_STREAM_ID - 1 letters, digits and '-'. */
bool note_is_stream(struct slice text) MUST_CHECK;

/* An id of a node or a leadership: 1 to LIMIT_NODE_ID - 1 bytes of ASCII from '!' to '~', but no
 * quote and no backslash. */
bool note_is_name(struct slice text) MUST_CHECK;

/* Decimal, 0 to LIMIT_NUMBER, without sign and leading zeros. */
bool note_read_number(struct slice text, int64_t *ret_value) MUST_CHECK;

/* UTF-8 (RFC 3629) without control characters (below 0x20): can be put into a frame of text and
 * into a batch of lines, whatever else it is. */
bool note_is_clean(struct slice text) MUST_CHECK;
