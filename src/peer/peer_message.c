/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the first few dozen bytes, and looks at the others. */
#include "peer/peer_message.h"

#include "base/limits.h"

#define TYPE_MAX 32

static const struct {
    const char *type;
    enum peer_message_kind kind;
} unsequenced[] = {
    /* some carry a seq that is not their own */
    {"hello", PEER_MESSAGE_HELLO},       {"snapshot_end", PEER_MESSAGE_SNAPSHOT_END},
    {"draining", PEER_MESSAGE_DRAINING}, {"heartbeat", PEER_MESSAGE_NOTE},
    {"source", PEER_MESSAGE_NOTE},       {"skipped", PEER_MESSAGE_NOTE},
};

static bool take(struct slice *rest, struct slice expected)
{
    if (!slice_starts_with(*rest, expected))
        return false;
    rest->data += expected.size;
    rest->size -= expected.size;
    return true;
}

/* What stands before the next quote; *rest begins with the quote then. */
static bool take_type(struct slice *rest, struct slice *ret_type)
{
    size_t size = 0;
    while (size < rest->size && size < TYPE_MAX && rest->data[size] != '"')
        size++;
    *ret_type = (struct slice){.data = rest->data, .size = size};
    rest->data += size;
    rest->size -= size;
    return size > 0 && rest->size > 0 && rest->data[0] == '"';
}

/* A canonical number; behind it the next field, or the end. */
static bool take_seq(struct slice rest, int64_t *ret_seq)
{
    uint64_t seq = 0;
    size_t size = 0;
    while (size < rest.size && rest.data[size] >= '0' && rest.data[size] <= '9')
        size++;
    if (size == rest.size || (rest.data[size] != ',' && rest.data[size] != '}') ||
        rest.data[0] == '0' ||
        !slice_to_uint64((struct slice){.data = rest.data, .size = size}, LIMIT_NUMBER, &seq))
        return false;
    *ret_seq = (int64_t)seq;
    return true;
}

/* It goes on to clients, in batches of lines too. */
static bool is_line(struct slice text)
{
    unsigned char least = 0xff;
    for (size_t i = 0; i < text.size; i++)
        if ((unsigned char)text.data[i] < least)
            least = (unsigned char)text.data[i];
    return least >= 0x20;
}

struct peer_message peer_message_read(struct slice text)
{
    struct peer_message message = {.kind = PEER_MESSAGE_MALFORMED};
    struct slice rest = text, type;
    if (!take(&rest, SLICE("{\"type\":\"")) || !take_type(&rest, &type) ||
        text.data[text.size - 1] != '}' || !is_line(text))
        return message;
    for (size_t i = 0; i < COUNT_OF(unsequenced); i++) {
        if (slice_is(type, unsequenced[i].type)) {
            message.kind = unsequenced[i].kind;
            return message;
        }
    }
    if (!take(&rest, SLICE("\",\"seq\":"))) {
        message.kind = PEER_MESSAGE_NOTE;
        return message;
    }
    if (take_seq(rest, &message.seq))
        message.kind = slice_is(type, "epoch") ? PEER_MESSAGE_EPOCH : PEER_MESSAGE_RECORD;
    return message;
}
