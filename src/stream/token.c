/* SPDX-License-Identifier: Apache-2.0 */
/* Stream ids, and the tokens that clients build from them. */
#include "stream/stream.h"

#include "base/random.h"

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

static bool stream_id_valid(struct slice id)
{
    for (size_t i = 0; i < id.size; i++) {
        char byte = id.data[i];
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
        if (!letter && !(byte >= '0' && byte <= '9') && byte != '-')
            return false;
    }
    return id.size > 0;
}

/* A canonical number: a leading zero would give one message two tokens. */
static bool number_read(struct slice text, int64_t *ret_number)
{
    uint64_t value = 0;
    if (text.size > 1 && text.data[0] == '0')
        return false;
    if (!slice_to_uint64(text, INT64_MAX, &value))
        return false;
    *ret_number = (int64_t)value;
    return true;
}

bool token_read(struct slice text, struct token *ret_token)
{
    struct slice rest, seq;
    struct slice stream = slice_split(text, '.', &rest);
    struct slice epoch = slice_split(rest, '.', &seq);
    struct token token;
    if (!stream_id_valid(stream) || !slice_copy(stream, token.stream, sizeof token.stream))
        return false;
    if (!number_read(epoch, &token.epoch) || token.epoch < 1 || !number_read(seq, &token.seq))
        return false;
    *ret_token = token;
    return true;
}
