/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States and messages of snapshots from anybody, a line each, for a keeper that began in the middle
 * and has heard some records. What is refused changes nothing; what is taken can be saved, and
 * another keeper that loads that tells the same. A line that begins with `+` is a record's text
 * behind its number.
 */
#include "base/memory.h"
#include "keeper/keeper.h"

#include <stdlib.h>

#define STREAM "tw-fuzz"
#define BEGIN 5
#define DEPTH 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct reader {
    struct journal *journal;
    struct keeper *keeper;
};

static struct reader reader_make(int64_t first)
{
    struct reader reader = {.journal = journal_create(STREAM, first, 0)};
    reader.keeper = keeper_create(reader.journal, DEPTH);
    journal_barrier(reader.journal, STREAM, 1);
    return reader;
}

static void reader_free(struct reader *reader)
{
    keeper_destroy(reader->keeper);
    journal_destroy(reader->journal);
}

static void put_line(void *context, struct slice message)
{
    buffer_append_slice(context, message);
    buffer_append_text(context, "\n");
}

static struct buffer told_by(const struct reader *reader)
{
    struct buffer told;
    buffer_init(&told, 8 * MEBIBYTE);
    keeper_snapshot(reader->keeper, put_line, &told);
    return told;
}

/* Of its own size, so that no byte behind the promised ones is read. */
static struct slice padded(struct slice text)
{
    char *copy = memory_alloc(text.size + LIMIT_PADDING + 1);
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    return (struct slice){.data = copy, .size = text.size};
}

static void read_record(struct reader *reader, struct slice rest)
{
    struct buffer out;
    char key[LIMIT_KEY];
    int64_t seq = journal_next(reader->journal);
    struct slice type = slice_split(rest, ' ', &rest);
    buffer_init(&out, MEBIBYTE);
    buffer_append_format(&out, "{\"type\":\"%.*s\",\"seq\":%lld,", (int)type.size, type.data,
                         (long long)seq);
    buffer_append_slice(&out, rest);
    struct slice text = padded(buffer_slice(&out));
    struct record record = {.stream = STREAM, .epoch = 1};
    if (record_read_head(text, key, &record) && record.seq == seq) {
        record.text = text;
        if (journal_append(reader->journal, &record) != JOURNAL_ACCEPTED)
            abort();
    }
    memory_free((void *)(uintptr_t)text.data);
    buffer_release(&out);
}

static void load_line(struct reader *reader, struct slice line)
{
    struct slice text = padded(line);
    struct buffer before = told_by(reader);
    bool state = slice_starts_with(line, SLICE("{\"type\":\"state\""));
    bool taken =
        state ? keeper_load_state(reader->keeper, text) : keeper_load_message(reader->keeper, text);
    struct buffer after = told_by(reader);
    if (!taken && !slice_equal(buffer_slice(&before), buffer_slice(&after)))
        abort();
    buffer_release(&before);
    buffer_release(&after);
    memory_free((void *)(uintptr_t)text.data);
}

/* False: some states are ahead of its journal, and not saved. */
static bool hand_over(struct reader *from, struct reader *to)
{
    struct buffer out;
    bool all = true;
    buffer_init(&out, LIMIT_STATE);
    size_t count = keeper_save_state(from->keeper, SIZE_MAX, &out);
    for (size_t i = 0; i < count; i++) {
        buffer_clear(&out);
        if (keeper_save_state(from->keeper, i, &out) != count || out.overflowed)
            abort();
        if (out.size == 0) {
            all = false;
            continue;
        }
        struct slice text = padded(buffer_slice(&out));
        if (!keeper_load_state(to->keeper, text))
            abort();
        memory_free((void *)(uintptr_t)text.data);
    }
    buffer_release(&out);
    return all;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader reader = reader_make(BEGIN);
    struct slice rest = {.data = (const char *)data, .size = size};
    while (rest.size > 0) {
        struct slice line = slice_split(rest, '\n', &rest);
        if (line.size > 0 && line.data[0] == '+')
            read_record(&reader, (struct slice){.data = line.data + 1, .size = line.size - 1});
        else
            load_line(&reader, line);
    }
    struct reader other = reader_make(journal_next(reader.journal));
    if (hand_over(&reader, &other)) {
        struct buffer left = told_by(&reader), right = told_by(&other);
        if (!slice_equal(buffer_slice(&left), buffer_slice(&right)))
            abort();
        buffer_release(&left);
        buffer_release(&right);
    }
    keeper_take(reader.keeper, other.keeper);
    other.keeper = NULL;
    keeper_clear(reader.keeper);
    reader_free(&reader);
    reader_free(&other);
    return 0;
}
