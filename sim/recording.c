/* SPDX-License-Identifier: Apache-2.0 */
/* Reading is not what the product exists for: zlib unpacks and jansson parses. */
#include "sim/recording.h"

#include "base/limits.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>

#include <jansson.h>
#include <zlib.h>

struct reading { /* what only the reading needs */
    struct recording *recording;
    const char *file;
    const char *default_exchange;
    size_t line;
    double first_s; /* 0: none yet */
};

static int exchange_index(struct reading *reading, const char *name, struct err *err)
{
    struct recording *recording = reading->recording;
    for (size_t i = 0; i < recording->exchange_count; i++)
        if (strcmp(recording->exchanges[i], name) == 0)
            return (int)i;
    if (recording->exchange_count == RECORDING_EXCHANGES_MAX)
        return err_set(err, -E2BIG, "%s:%zu: more than %d exchanges", reading->file, reading->line,
                       RECORDING_EXCHANGES_MAX);
    if (!slice_copy(slice_of(name), recording->exchanges[recording->exchange_count],
                    RECORDING_NAME_MAX))
        return err_set(err, -ENAMETOOLONG, "%s:%zu: exchange name too long", reading->file,
                       reading->line);
    return (int)recording->exchange_count++;
}

static int64_t message_at_us(struct reading *reading, const json_t *line)
{
    const json_t *ts = json_object_get(line, "ts");
    if (!json_is_number(ts))
        return reading->recording->length_us;
    double seconds = json_number_value(ts);
    if (reading->first_s <= 0)
        reading->first_s = seconds;
    double since = (seconds - reading->first_s) * 1e6;
    if (!(since >= 0 && since < 1e15))
        return reading->recording->length_us;
    return (int64_t)since;
}

static void add_message(struct recording *recording, const struct recorded_message *message)
{
    if (recording->count == recording->capacity) {
        recording->capacity = recording->capacity == 0 ? 1024 : 2 * recording->capacity;
        recording->messages =
            memory_resize(recording->messages, recording->capacity, sizeof *recording->messages);
    }
    recording->messages[recording->count++] = *message;
}

static int read_message(struct reading *reading, const json_t *line, struct err *err)
{
    struct recording *recording = reading->recording;
    const json_t *raw = json_object_get(line, "raw");
    if (!json_is_string(raw) || json_object_get(line, "event") != NULL)
        return 0;
    if (json_string_length(raw) > LIMIT_EXCHANGE_MESSAGE)
        return err_set(err, -EFBIG, "%s:%zu: a message of more than %d bytes", reading->file,
                       reading->line, LIMIT_EXCHANGE_MESSAGE);
    if (recording->count == RECORDING_MESSAGES_MAX)
        return err_set(err, -EFBIG, "%s: more than %d messages", reading->file,
                       RECORDING_MESSAGES_MAX);
    const char *exchange = json_string_value(json_object_get(line, "exchange"));
    if (exchange == NULL)
        exchange = reading->default_exchange;
    if (exchange == NULL)
        return err_set(err, -EINVAL, "%s:%zu: no exchange named: give --exchange", reading->file,
                       reading->line);
    int index = exchange_index(reading, exchange, err);
    if (index < 0)
        return index;
    const char *op = json_string_value(json_object_get(line, "op"));
    struct recorded_message message = {
        .at_us = message_at_us(reading, line),
        .offset = recording->text.size,
        .size = (uint32_t)json_string_length(raw),
        .exchange = (uint8_t)index,
        .binary = op != NULL && strcmp(op, "binary") == 0,
    };
    buffer_append(&recording->text, json_string_value(raw), message.size);
    if (recording->text.overflowed)
        return err_set(err, -EFBIG, "%s: larger than %u bytes", reading->file, RECORDING_MAX);
    if (message.at_us > recording->length_us)
        recording->length_us = message.at_us;
    add_message(recording, &message);
    return 0;
}

static int read_line(struct reading *reading, const char *text, size_t size, struct err *err)
{
    json_error_t error;
    json_t *line = json_loadb(text, size, JSON_ALLOW_NUL, &error);
    if (!json_is_object(line)) {
        json_decref(line);
        return err_set(err, -EINVAL,
                       "%s:%zu: not a line of a recording (a JSON object with \"raw\")",
                       reading->file, reading->line);
    }
    int result = read_message(reading, line, err);
    json_decref(line);
    return result;
}

static int read_lines(struct reading *reading, gzFile file, char *line, struct err *err)
{
    int result = 0;
    while (result == 0 && gzgets(file, line, (int)RECORDING_LINE_MAX) != NULL) {
        size_t size = strlen(line);
        reading->line++;
        if (size + 1 == RECORDING_LINE_MAX)
            return err_set(err, -EFBIG, "%s:%zu: line too long", reading->file, reading->line);
        while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r'))
            size--;
        if (size > 0)
            result = read_line(reading, line, size, err);
    }
    int code = Z_OK;
    const char *text = gzerror(file, &code);
    if (result == 0 && code != Z_OK && code != Z_STREAM_END)
        result = err_set(err, -EIO, "%s: %s", reading->file, text);
    return result;
}

int recording_load(struct recording *recording, const char *file, const char *default_exchange,
                   struct err *err)
{
    *recording = (struct recording){0};
    buffer_init(&recording->text, RECORDING_MAX);
    struct reading reading = {
        .recording = recording, .file = file, .default_exchange = default_exchange};
    gzFile opened = gzopen(file, "rb");
    if (opened == NULL) {
        buffer_release(&recording->text);
        return err_set(err, -errno, "%s: %s", file, strerror(errno));
    }
    char *line = memory_alloc(RECORDING_LINE_MAX);
    int result = read_lines(&reading, opened, line, err);
    memory_free(line);
    gzclose(opened);
    if (result == 0 && recording->count == 0)
        result = err_set(err, -EINVAL, "%s: no messages in it", file);
    if (result < 0)
        recording_release(recording);
    return result;
}

void recording_release(struct recording *recording)
{
    buffer_release(&recording->text);
    memory_free(recording->messages);
    *recording = (struct recording){0};
}
