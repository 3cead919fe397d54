/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers are given where the head of the JSON is written, so a number and its bytes cannot come
 * apart. */
#include "stream/stream.h"

#include "base/memory.h"

#include <assert.h>
#include <stdio.h>

#define HEAD_MAX 64 /* {"type":"ticker","seq":9223372036854775807, */

struct sequencer {
    char stream[LIMIT_STREAM_ID];
    int64_t epoch;
    int64_t previous_epoch, previous_seq;
    int64_t next;
    struct carrier *carrier; /* borrowed */
    const char *type;        /* of the record being made; NULL: none */
    size_t head_size;
    size_t body_max;
    char text[HEAD_MAX + LIMIT_RECORD + 1 + LIMIT_PADDING];
};

struct sequencer *sequencer_create(const char *stream, int64_t epoch, int64_t previous_epoch,
                                   int64_t previous_seq, struct carrier *carrier)
{
    struct sequencer *sequencer = memory_alloc(sizeof *sequencer);
    sequencer->carrier = carrier;
    sequencer_begin(sequencer, stream, epoch, previous_epoch, previous_seq);
    return sequencer;
}

void sequencer_begin(struct sequencer *sequencer, const char *stream, int64_t epoch,
                     int64_t previous_epoch, int64_t previous_seq)
{
    assert(epoch > previous_epoch && previous_seq >= 0 && sequencer->type == NULL);
    bool fits = slice_copy(slice_of(stream), sequencer->stream, sizeof sequencer->stream);
    assert(fits);
    (void)fits;
    sequencer->epoch = epoch;
    sequencer->previous_epoch = previous_epoch;
    sequencer->previous_seq = previous_seq;
    sequencer->next = previous_seq + 1;
}

void sequencer_destroy(struct sequencer *sequencer)
{
    memory_free(sequencer);
}

char *sequencer_reserve(struct sequencer *sequencer, const char *type, size_t body_max)
{
    assert(sequencer->type == NULL);
    if (body_max > LIMIT_RECORD - HEAD_MAX)
        return NULL;
    int size = snprintf(sequencer->text, HEAD_MAX, "{\"type\":\"%s\",\"seq\":%lld,", type,
                        (long long)sequencer->next);
    assert(size > 0 && size < HEAD_MAX);
    sequencer->type = type;
    sequencer->head_size = (size_t)size;
    sequencer->body_max = body_max;
    return sequencer->text + size;
}

enum carrier_result sequencer_commit(struct sequencer *sequencer, struct slice key,
                                     size_t body_size)
{
    assert(sequencer->type != NULL);
    assert(body_size <= sequencer->body_max);
    size_t size = sequencer->head_size + body_size;
    memset(sequencer->text + size, 0, 1 + LIMIT_PADDING);
    struct record record = {
        .stream = sequencer->stream,
        .epoch = sequencer->epoch,
        .seq = sequencer->next,
        .type = slice_of(sequencer->type),
        .key = key,
        .text = {.data = sequencer->text, .size = size},
    };
    sequencer->type = NULL;
    enum carrier_result result = sequencer->carrier->kind->write(sequencer->carrier, &record);
    if (result == CARRIER_TAKEN)
        sequencer->next++;
    return result;
}

enum carrier_result sequencer_open_epoch(struct sequencer *sequencer, const char *node,
                                         int64_t wall_us)
{
    assert(sequencer->next == sequencer->previous_seq + 1);
    struct carrier *carrier = sequencer->carrier;
    struct barrier barrier = {.stream = sequencer->stream,
                              .epoch = sequencer->epoch,
                              .start = -1,
                              .writer = node,
                              .node = node,
                              .position = -1};
    enum carrier_result result = carrier->kind->write_barrier(carrier, &barrier);
    if (result != CARRIER_TAKEN)
        return result;
    size_t max = 160 + strlen(node);
    char *body = sequencer_reserve(sequencer, "epoch", max);
    assert(body != NULL);
    int size = snprintf(
        body, max,
        "\"recv\":%lld,\"epoch\":%lld,\"prev\":{\"epoch\":%lld,\"seq\":%lld},\"node\":\"%s\"}",
        (long long)wall_us, (long long)sequencer->epoch, (long long)sequencer->previous_epoch,
        (long long)sequencer->previous_seq, node);
    assert(size > 0 && (size_t)size < max);
    return sequencer_commit(sequencer, SLICE("tickwire"), (size_t)size);
}

int64_t sequencer_next(const struct sequencer *sequencer)
{
    return sequencer->next;
}

int64_t sequencer_epoch(const struct sequencer *sequencer)
{
    return sequencer->epoch;
}

const char *sequencer_stream(const struct sequencer *sequencer)
{
    return sequencer->stream;
}
