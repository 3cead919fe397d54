/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a record is given to clients as it stands, so its head must be as the sequencer
 * writes it, and the rest such as fits into a frame. */
#include "stream/kafka/kafka_decode.h"

const char *const kafka_kind_names[KAFKA_KINDS] = {
    [KAFKA_RECORD] = "record", [KAFKA_BARRIER] = "barrier", [KAFKA_BEACON] = "beacon",
    [KAFKA_STATE] = "state",   [KAFKA_NOTHING] = "skipped",
};

const char *const kafka_verdict_names[KAFKA_VERDICTS] = {
    [KAFKA_GOOD] = "good",       [KAFKA_FOREIGN] = "foreign", [KAFKA_BAD_HEADERS] = "headers",
    [KAFKA_TOO_LONG] = "length", [KAFKA_BAD_TEXT] = "text",   [KAFKA_BAD_POSITION] = "position",
};

enum { SEEN_STREAM = 1, SEEN_EPOCH = 2, SEEN_SEQ = 4, SEEN_TYPE = 8, SEEN_NODE = 16 };

#define SEEN_ALWAYS (SEEN_STREAM | SEEN_EPOCH | SEEN_TYPE | SEEN_NODE)

void kafka_headers_add(struct kafka_headers *headers, const char *name, struct slice value)
{
    const struct {
        const char *name;
        uint32_t bit;
        struct slice *target;
    } ours[] = {
        {"stream", SEEN_STREAM, &headers->stream}, {"epoch", SEEN_EPOCH, &headers->epoch},
        {"seq", SEEN_SEQ, &headers->seq},          {"type", SEEN_TYPE, &headers->type},
        {"node", SEEN_NODE, &headers->node},
    };
    if (strncmp(name, "tw-", 3) != 0)
        return;
    for (size_t i = 0; i < COUNT_OF(ours); i++) {
        if (strcmp(name + 3, ours[i].name) != 0)
            continue;
        headers->repeated = headers->repeated || (headers->seen & ours[i].bit) != 0;
        headers->seen |= ours[i].bit;
        *ours[i].target = value.data == NULL ? SLICE("") : value;
    }
}

static enum kafka_kind kind_of(struct slice type)
{
    static const enum kafka_kind notes[] = {KAFKA_BARRIER, KAFKA_BEACON, KAFKA_STATE};
    for (size_t i = 0; i < COUNT_OF(notes); i++)
        if (slice_is(type, kafka_kind_names[notes[i]]))
            return notes[i];
    return KAFKA_NOTHING;
}

enum kafka_verdict kafka_name_read(const struct kafka_headers *headers, struct kafka_name *ret_name)
{
    bool numbered = (headers->seen & SEEN_SEQ) != 0;
    if (headers->seen == 0)
        return KAFKA_FOREIGN;
    if (headers->repeated || (headers->seen & SEEN_ALWAYS) != SEEN_ALWAYS ||
        !note_is_stream(headers->stream) || !note_is_name(headers->node) ||
        !note_read_number(headers->epoch, &ret_name->epoch) || ret_name->epoch < 1)
        return KAFKA_BAD_HEADERS;
    ret_name->seq = -1;
    ret_name->kind = numbered ? KAFKA_RECORD : kind_of(headers->type);
    if (ret_name->kind == KAFKA_NOTHING)
        return KAFKA_BAD_HEADERS;
    if (numbered && (!note_read_number(headers->seq, &ret_name->seq) || ret_name->seq < 1))
        return KAFKA_BAD_HEADERS;
    return slice_copy(headers->stream, ret_name->stream, sizeof ret_name->stream)
               ? KAFKA_GOOD
               : KAFKA_BAD_HEADERS;
}

static bool is_object(struct slice text)
{
    return text.size >= 2 && text.data[text.size - 1] == '}' && note_is_clean(text);
}

static enum kafka_verdict decode_record(const struct kafka_name *name,
                                        const struct kafka_headers *headers, struct slice text,
                                        struct kafka_decoded *ret)
{
    struct record *record = &ret->record;
    if (text.size > LIMIT_RECORD)
        return KAFKA_TOO_LONG;
    *record = (struct record){.stream = name->stream, .epoch = name->epoch, .text = text};
    if (!is_object(text) || !record_read_head(text, ret->key, record) || record->seq != name->seq ||
        !slice_equal(record->type, headers->type))
        return KAFKA_BAD_TEXT;
    return KAFKA_GOOD;
}

static enum kafka_verdict decode_state(const struct kafka_name *name, struct slice text,
                                       struct kafka_decoded *ret)
{
    struct record head = {0};
    if (text.size > LIMIT_STATE)
        return KAFKA_TOO_LONG;
    if (!is_object(text) || !record_read_head(text, ret->key, &head) ||
        !slice_is(head.type, "state"))
        return KAFKA_BAD_TEXT;
    ret->state = (struct state_note){
        .stream = name->stream, .epoch = name->epoch, .seq = head.seq, .text = text};
    return KAFKA_GOOD;
}

static enum kafka_verdict decode_barrier(const struct kafka_name *name, struct slice text,
                                         int64_t position, struct kafka_decoded *ret)
{
    struct note_barrier *note = &ret->barrier;
    if (text.size > LIMIT_NOTE)
        return KAFKA_TOO_LONG;
    if (!note_read_barrier(text, note) || note->barrier.epoch != name->epoch ||
        strcmp(note->stream, name->stream) != 0)
        return KAFKA_BAD_TEXT;
    note->barrier.position = position;
    return KAFKA_GOOD;
}

static bool is_behind(const struct checkpoint *checkpoint, int64_t position)
{
    return checkpoint->position >= 0 && checkpoint->position <= position;
}

static enum kafka_verdict decode_beacon(const struct kafka_name *name, struct slice text,
                                        int64_t position, struct kafka_decoded *ret)
{
    struct note_beacon *note = &ret->beacon;
    const struct beacon *beacon = &note->beacon;
    if (text.size > LIMIT_NOTE)
        return KAFKA_TOO_LONG;
    if (!note_read_beacon(text, note) || beacon->now.epoch != name->epoch ||
        strcmp(beacon->now.stream, name->stream) != 0)
        return KAFKA_BAD_TEXT;
    if (!is_behind(&beacon->now, position) || beacon->barrier >= position ||
        (beacon->start.stream[0] != '\0' && !is_behind(&beacon->start, beacon->now.position)))
        return KAFKA_BAD_POSITION;
    return KAFKA_GOOD;
}

enum kafka_verdict kafka_decode(const struct kafka_name *name, const struct kafka_headers *headers,
                                struct slice text, int64_t position,
                                struct kafka_decoded *ret_decoded)
{
    switch (name->kind) {
    case KAFKA_RECORD:
        return decode_record(name, headers, text, ret_decoded);
    case KAFKA_BARRIER:
        return decode_barrier(name, text, position, ret_decoded);
    case KAFKA_BEACON:
        return decode_beacon(name, text, position, ret_decoded);
    case KAFKA_STATE:
        return decode_state(name, text, ret_decoded);
    case KAFKA_NOTHING:
        break;
    }
    return KAFKA_FOREIGN;
}
