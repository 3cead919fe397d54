/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What somebody else may have written into the topic, against the reader of it. The input is
 * headers, one a line (name, '=', value), an empty line, and the value. What is taken must keep
 * what its header promises, and a note that is taken must be the same when it is written and read
 * again.
 */
#include "stream/kafka/kafka_decode.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define POSITION 1000

static void must(bool condition)
{
    if (!condition)
        abort();
}

static struct slice read_headers(struct slice rest, struct kafka_headers *headers)
{
    while (rest.size > 0) {
        struct slice value;
        struct slice line = slice_split(rest, '\n', &rest);
        char name[64];
        if (line.size == 0)
            break;
        struct slice left = slice_split(line, '=', &value);
        if (slice_copy(left, name, sizeof name))
            kafka_headers_add(headers, name, value);
    }
    return rest;
}

static void check_barrier(const struct note_barrier *note)
{
    struct note_barrier again;
    struct buffer out;
    buffer_init(&out, LIMIT_NOTE);
    note_write_barrier(&note->barrier, &out);
    must(!out.overflowed && note_read_barrier(buffer_slice(&out), &again));
    must(again.barrier.epoch == note->barrier.epoch && again.barrier.start == note->barrier.start);
    must(strcmp(again.stream, note->stream) == 0 && strcmp(again.writer, note->writer) == 0);
    buffer_release(&out);
}

static void check_beacon(const struct note_beacon *note)
{
    struct note_beacon again;
    struct buffer out;
    const struct beacon *beacon = &note->beacon;
    must(beacon->now.position <= POSITION && beacon->barrier < POSITION);
    must(beacon->start.stream[0] == '\0' || beacon->start.position <= beacon->now.position);
    buffer_init(&out, LIMIT_NOTE);
    note_write_beacon(beacon, &out);
    must(!out.overflowed && note_read_beacon(buffer_slice(&out), &again));
    must(again.beacon.now.seq == beacon->now.seq && again.beacon.barrier == beacon->barrier);
    must(again.beacon.start.position == beacon->start.position);
    buffer_release(&out);
}

static void check(const struct kafka_name *name, const struct kafka_decoded *decoded,
                  struct slice text)
{
    must(note_is_stream(slice_of(name->stream)) && name->epoch >= 1);
    switch (name->kind) {
    case KAFKA_RECORD:
        must(decoded->record.seq >= 1 && decoded->record.seq == name->seq);
        must(decoded->record.text.data == text.data && decoded->record.text.size == text.size);
        must(memchr(text.data, '\n', text.size) == NULL && note_is_clean(text));
        must(decoded->record.key.size > 0 && decoded->record.key.size < LIMIT_KEY);
        return;
    case KAFKA_BARRIER:
        check_barrier(&decoded->barrier);
        return;
    case KAFKA_BEACON:
        check_beacon(&decoded->beacon);
        return;
    case KAFKA_STATE:
        must(decoded->state.seq >= 1 && decoded->state.text.size <= LIMIT_STATE);
        return;
    case KAFKA_NOTHING:
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kafka_headers headers = {0};
    struct kafka_name name;
    static struct kafka_decoded decoded;
    struct slice value =
        read_headers((struct slice){.data = (const char *)data, .size = size}, &headers);
    if (kafka_name_read(&headers, &name) != KAFKA_GOOD || value.size > LIMIT_RECORD)
        return 0;
    char *text = malloc(value.size + 1 + LIMIT_PADDING); /* exact: ASan sees what reads beyond */
    if (text == NULL)
        return 0;
    if (value.size > 0)
        memcpy(text, value.data, value.size);
    memset(text + value.size, 0, 1 + LIMIT_PADDING);
    struct slice copy = {.data = text, .size = value.size};
    if (kafka_decode(&name, &headers, copy, POSITION, &decoded) == KAFKA_GOOD)
        check(&name, &decoded, copy);
    free(text);
    return 0;
}
