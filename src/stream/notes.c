/* SPDX-License-Identifier: Apache-2.0 */
/* A reader of flat JSON objects with a table of the members that it wants. */
#include "stream/notes.h"

#include <assert.h>

enum member_kind { MEMBER_STREAM, MEMBER_NAME, MEMBER_NUMBER, MEMBER_OBJECT, MEMBER_TYPE };

struct member {
    const char *name;
    void *target; /* char[LIMIT_STREAM_ID], char[LIMIT_NODE_ID], int64_t, struct slice;
                     MEMBER_TYPE: the text that it must be */
    int64_t min;  /* of a number */
    enum member_kind kind;
    bool optional, seen;
};

struct cursor {
    const char *at, *end;
};

bool note_is_stream(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
            c != '-')
            return false;
    }
    return text.size > 0 && text.size < LIMIT_STREAM_ID;
}

bool note_is_name(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c < '!' || c > '~' || c == '"' || c == '\\')
            return false;
    }
    return text.size > 0 && text.size < LIMIT_NODE_ID;
}

bool note_read_number(struct slice text, int64_t *ret_value)
{
    uint64_t value;
    if ((text.size > 1 && text.data[0] == '0') ||
        !slice_to_uint64(text, (uint64_t)LIMIT_NUMBER, &value))
        return false;
    *ret_value = (int64_t)value;
    return true;
}

#define STATE_SUM_MASK (UINT64_C(0x1fffffffffffff)) /* exact in any reader of JSON */

/* ---- clean text ---- */

/* Bytes of the character at `data`, 0 when it is none: RFC 3629, section 4. */
static size_t character_size(const unsigned char *data, size_t size)
{
    unsigned char lowest = 0x80, highest = 0xbf;
    size_t follow;
    if (data[0] < 0x80)
        return data[0] < 0x20 ? 0 : 1;
    if (data[0] >= 0xc2 && data[0] <= 0xdf)
        follow = 1;
    else if (data[0] >= 0xe0 && data[0] <= 0xef)
        follow = 2;
    else if (data[0] >= 0xf0 && data[0] <= 0xf4)
        follow = 3;
    else
        return 0;
    if (data[0] == 0xe0)
        lowest = 0xa0;
    if (data[0] == 0xed)
        highest = 0x9f;
    if (data[0] == 0xf0)
        lowest = 0x90;
    if (data[0] == 0xf4)
        highest = 0x8f;
    if (size < 1 + follow || data[1] < lowest || data[1] > highest)
        return 0;
    for (size_t i = 2; i <= follow; i++)
        if (data[i] < 0x80 || data[i] > 0xbf)
            return 0;
    return 1 + follow;
}

bool note_is_clean(struct slice text)
{
    static const uint64_t high = UINT64_C(0x8080808080808080), blank = UINT64_C(0x2020202020202020);
    const unsigned char *data = (const unsigned char *)text.data;
    size_t at = 0;
    while (at < text.size) {
        uint64_t eight;
        if (text.size - at >= sizeof eight) {
            memcpy(&eight, data + at, sizeof eight);
            /* Eight of ASCII; a byte below 0x20 borrows into its highest bit. */
            if (((eight | (eight - blank)) & high) == 0) {
                at += sizeof eight;
                continue;
            }
        }
        size_t size = character_size(data + at, text.size - at);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}

/* ---- JSON ---- */

static void pass_blanks(struct cursor *cursor)
{
    while (cursor->at < cursor->end && memchr(" \t\r\n", *cursor->at, 4) != NULL)
        cursor->at++;
}

static bool take(struct cursor *cursor, char wanted)
{
    if (cursor->at == cursor->end || *cursor->at != wanted)
        return false;
    cursor->at++;
    return true;
}

/* The inside of a string, escapes as they stand. */
static bool take_string(struct cursor *cursor, struct slice *ret_text)
{
    if (!take(cursor, '"'))
        return false;
    const char *start = cursor->at;
    for (; cursor->at < cursor->end; cursor->at++) {
        if (*cursor->at == '"') {
            *ret_text = (struct slice){.data = start, .size = (size_t)(cursor->at - start)};
            cursor->at++;
            return true;
        }
        if (*cursor->at == '\\' && ++cursor->at == cursor->end)
            return false;
    }
    return false;
}

/* What is neither string, object nor array: up to what ends it. */
static struct slice take_plain(struct cursor *cursor)
{
    const char *start = cursor->at;
    while (cursor->at < cursor->end && memchr(",:{}[]\" \t\r\n", *cursor->at, 11) == NULL)
        cursor->at++;
    return (struct slice){.data = start, .size = (size_t)(cursor->at - start)};
}

/* Any value, with all that is in it. Brackets are matched; what is between is not looked at. */
static bool take_value(struct cursor *cursor, struct slice *ret_text)
{
    char closing[LIMIT_JSON_DEPTH];
    size_t depth = 0;
    const char *start = cursor->at;
    struct slice inside;
    do {
        char c = cursor->at < cursor->end ? *cursor->at : '\0';
        if (c == '"') {
            if (!take_string(cursor, &inside))
                return false;
        } else if (c == '{' || c == '[') {
            if (depth == sizeof closing)
                return false;
            closing[depth++] = c == '{' ? '}' : ']';
            cursor->at++;
        } else if (depth > 0 && c == closing[depth - 1]) {
            depth--;
            cursor->at++;
        } else if (depth > 0 && c != '\0' && memchr(",: \t\r\n", c, 6) != NULL) {
            cursor->at++;
        } else if (take_plain(cursor).size == 0) {
            return false;
        }
    } while (depth > 0);
    *ret_text = (struct slice){.data = start, .size = (size_t)(cursor->at - start)};
    return true;
}

/* The inside of a value that is a string without escapes. */
static bool unquoted(struct slice value, struct slice *ret_text)
{
    if (value.size < 2 || value.data[0] != '"')
        return false;
    *ret_text = (struct slice){.data = value.data + 1, .size = value.size - 2};
    return memchr(ret_text->data, '\\', ret_text->size) == NULL;
}

static bool read_member(struct member *member, struct slice value)
{
    struct slice text = {0};
    if (member->seen)
        return false;
    member->seen = true;
    switch (member->kind) {
    case MEMBER_TYPE:
        return unquoted(value, &text) && slice_is(text, member->target);
    case MEMBER_STREAM:
        return unquoted(value, &text) && note_is_stream(text) &&
               slice_copy(text, member->target, LIMIT_STREAM_ID);
    case MEMBER_NAME:
        return unquoted(value, &text) && note_is_name(text) &&
               slice_copy(text, member->target, LIMIT_NODE_ID);
    case MEMBER_NUMBER: {
        int64_t *number = member->target;
        if (member->min < 0 && slice_is(value, "-1"))
            *number = -1;
        else if (!note_read_number(value, number))
            return false;
        return *number >= member->min;
    }
    case MEMBER_OBJECT:
        memcpy(member->target, &value, sizeof value);
        return value.data[0] == '{';
    }
    return false;
}

static bool read_pair(struct cursor *cursor, struct member *members, size_t count)
{
    struct slice name, value;
    pass_blanks(cursor);
    if (!take_string(cursor, &name))
        return false;
    pass_blanks(cursor);
    if (!take(cursor, ':'))
        return false;
    pass_blanks(cursor);
    if (!take_value(cursor, &value))
        return false;
    pass_blanks(cursor);
    for (size_t i = 0; i < count; i++)
        if (slice_is(name, members[i].name))
            return read_member(&members[i], value);
    return true;
}

static bool read_members(struct slice text, struct member *members, size_t count)
{
    struct cursor cursor = {.at = text.data, .end = text.data + text.size};
    if (text.size == 0 || !note_is_clean(text) || !take(&cursor, '{'))
        return false;
    do {
        if (!read_pair(&cursor, members, count))
            return false;
    } while (take(&cursor, ','));
    if (!take(&cursor, '}') || cursor.at != cursor.end)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!members[i].seen && !members[i].optional)
            return false;
    return true;
}

static bool read_checkpoint(struct slice text, struct checkpoint *ret_checkpoint)
{
    struct member members[] = {
        {.name = "stream", .kind = MEMBER_STREAM, .target = ret_checkpoint->stream},
        {.name = "epoch", .kind = MEMBER_NUMBER, .target = &ret_checkpoint->epoch, .min = 1},
        {.name = "seq", .kind = MEMBER_NUMBER, .target = &ret_checkpoint->seq, .min = 0},
        {.name = "record_epoch",
         .kind = MEMBER_NUMBER,
         .target = &ret_checkpoint->record_epoch,
         .optional = true},
        {.name = "states",
         .kind = MEMBER_NUMBER,
         .target = &ret_checkpoint->states,
         .optional = true},
        {.name = "position", .kind = MEMBER_NUMBER, .target = &ret_checkpoint->position, .min = -1},
    };
    return read_members(text, members, COUNT_OF(members));
}

/* ---- the notes ---- */

/* Texts that differ never add up to the same, for all that matters here. */
int64_t state_sum(const struct state_note *state)
{
    return (int64_t)(slice_hash(state->text) & STATE_SUM_MASK);
}

int64_t state_sum_add(int64_t sum, int64_t more)
{
    return (int64_t)(((uint64_t)sum + (uint64_t)more) & STATE_SUM_MASK);
}

bool note_read_barrier(struct slice text, struct note_barrier *ret_note)
{
    char type[] = "barrier";
    struct barrier *barrier = &ret_note->barrier;
    struct member members[] = {
        {.name = "type", .kind = MEMBER_TYPE, .target = type},
        {.name = "stream", .kind = MEMBER_STREAM, .target = ret_note->stream},
        {.name = "epoch", .kind = MEMBER_NUMBER, .target = &barrier->epoch, .min = 1},
        {.name = "start", .kind = MEMBER_NUMBER, .target = &barrier->start, .optional = true},
        {.name = "writer", .kind = MEMBER_NAME, .target = ret_note->writer},
        {.name = "node", .kind = MEMBER_NAME, .target = ret_note->node},
    };
    *barrier = (struct barrier){.stream = ret_note->stream,
                                .start = -1,
                                .writer = ret_note->writer,
                                .node = ret_note->node,
                                .position = -1};
    return text.size <= LIMIT_NOTE && read_members(text, members, COUNT_OF(members));
}

bool note_read_beacon(struct slice text, struct note_beacon *ret_note)
{
    char type[] = "beacon";
    struct beacon *beacon = &ret_note->beacon;
    struct slice start = {0};
    struct member members[] = {
        {.name = "type", .kind = MEMBER_TYPE, .target = type},
        {.name = "stream", .kind = MEMBER_STREAM, .target = beacon->now.stream},
        {.name = "epoch", .kind = MEMBER_NUMBER, .target = &beacon->now.epoch, .min = 1},
        {.name = "seq", .kind = MEMBER_NUMBER, .target = &beacon->now.seq},
        {.name = "record_epoch",
         .kind = MEMBER_NUMBER,
         .target = &beacon->now.record_epoch,
         .optional = true},
        {.name = "position", .kind = MEMBER_NUMBER, .target = &beacon->now.position, .min = -1},
        {.name = "barrier", .kind = MEMBER_NUMBER, .target = &beacon->barrier, .min = -1},
        {.name = "start", .kind = MEMBER_OBJECT, .target = &start, .optional = true},
        {.name = "node", .kind = MEMBER_NAME, .target = ret_note->node},
    };
    *beacon = (struct beacon){.node = ret_note->node};
    if (text.size > LIMIT_NOTE || !read_members(text, members, COUNT_OF(members)))
        return false;
    return start.size == 0 || read_checkpoint(start, &beacon->start);
}

void note_write_barrier(const struct barrier *barrier, struct buffer *out)
{
    assert(note_is_stream(slice_of(barrier->stream)) && note_is_name(slice_of(barrier->writer)) &&
           note_is_name(slice_of(barrier->node)) && barrier->epoch >= 1);
    buffer_append_format(out, "{\"type\":\"barrier\",\"stream\":\"%s\",\"epoch\":%lld",
                         barrier->stream, (long long)barrier->epoch);
    if (barrier->start >= 0)
        buffer_append_format(out, ",\"start\":%lld", (long long)barrier->start);
    buffer_append_format(out, ",\"writer\":\"%s\",\"node\":\"%s\"}", barrier->writer,
                         barrier->node);
}

static void write_checkpoint(const struct checkpoint *checkpoint, struct buffer *out)
{
    assert(note_is_stream(slice_of(checkpoint->stream)) && checkpoint->epoch >= 1);
    buffer_append_format(out, "\"stream\":\"%s\",\"epoch\":%lld,\"seq\":%lld", checkpoint->stream,
                         (long long)checkpoint->epoch, (long long)checkpoint->seq);
    if (checkpoint->record_epoch > 0)
        buffer_append_format(out, ",\"record_epoch\":%lld", (long long)checkpoint->record_epoch);
    if (checkpoint->states > 0)
        buffer_append_format(out, ",\"states\":%lld", (long long)checkpoint->states);
    buffer_append_format(out, ",\"position\":%lld", (long long)checkpoint->position);
}

void note_write_beacon(const struct beacon *beacon, struct buffer *out)
{
    assert(note_is_name(slice_of(beacon->node)));
    buffer_append_text(out, "{\"type\":\"beacon\",");
    write_checkpoint(&beacon->now, out);
    buffer_append_format(out, ",\"barrier\":%lld", (long long)beacon->barrier);
    if (beacon->start.stream[0] != '\0') {
        buffer_append_text(out, ",\"start\":{");
        write_checkpoint(&beacon->start, out);
        buffer_append_text(out, "}");
    }
    buffer_append_format(out, ",\"node\":\"%s\"}", beacon->node);
}
