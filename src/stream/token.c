/* SPDX-License-Identifier: Apache-2.0 */
/* Stream ids, and the tokens that clients build from them. */
#include "stream/stream.h"

#include "base/random.h"
#include "stream/notes.h"

#include <stdio.h>

#define STREAM_ID_BYTES 8 /* 64 random bits: two ids never meet */

void stream_id_make(char ret_id[LIMIT_STREAM_ID])
{
    unsigned char random[STREAM_ID_BYTES];
    random_bytes(random, sizeof random);
    int size = snprintf(ret_id, LIMIT_STREAM_ID, "tw-");
    for (size_t i = 0; i < sizeof random; i++)
        size += snprintf(ret_id + size, LIMIT_STREAM_ID - (size_t)size, "%02x", random[i]);
}

bool token_read(struct slice text, struct token *ret_token)
{
    struct slice rest, seq;
    struct slice stream = slice_split(text, '.', &rest);
    struct slice epoch = slice_split(rest, '.', &seq);
    struct token token;
    if (!note_is_stream(stream) || !slice_copy(stream, token.stream, sizeof token.stream))
        return false;
    if (!note_read_number(epoch, &token.epoch) || token.epoch < 1 ||
        !note_read_number(seq, &token.seq))
        return false;
    *ret_token = token;
    return true;
}
