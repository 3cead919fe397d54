/* SPDX-License-Identifier: Apache-2.0 */
/* Piece by piece: bytes into a window, a line out of it, a message out of that. */
#include "sim/recording.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "sim/base64.h"
#include "sim/packed_file.h"
#include "sim/recording_line.h"

#include <errno.h>

#define CHUNK (64 * KIBIBYTE)
#define SINCE_MAX_US INT64_C(1000000000000000)

struct recording {
    struct recording_options options;
    size_t file_index; /* of the open one, or the next */
    struct packed_file *file;
    struct buffer text; /* read and not yet used up */
    size_t at;          /* where the next line begins */
    size_t searched;    /* no end of line before this */
    size_t line;        /* number in its file */
    bool unfinished;    /* the present line has no end: nothing comes behind it */
    bool failed;
    int64_t first_us, last_at_us;
    uint64_t barren;
    struct recording_loss loss;
    struct recording_line now; /* the present line; borrows from text */
    struct buffer decoded;     /* its raw64 */
};

static const char *file_name(const struct recording *recording)
{
    return recording->options.files[recording->file_index];
}

/* ---- lines ---- */

enum line_result { LINE_FOUND, LINE_NONE, LINE_FAILED };

static void lose_end(struct recording *recording, size_t text_bytes)
{
    struct packed_loss loss;
    packed_file_loss(recording->file, &loss);
    if (!loss.torn && text_bytes == 0)
        return;
    recording->loss.files++;
    recording->loss.packed_bytes += loss.packed_bytes;
    recording->loss.text_bytes += loss.text_bytes + text_bytes;
}

/* The file has ended: what is left is a line that lacks its end, perhaps nothing else. */
static enum line_result take_rest(struct recording *recording, struct slice *ret_line)
{
    struct packed_loss loss;
    packed_file_loss(recording->file, &loss);
    *ret_line = (struct slice){.data = recording->text.data + recording->at,
                               .size = recording->text.size - recording->at};
    recording->at = recording->searched = recording->text.size;
    recording->unfinished = true;
    if (ret_line->size > 0 && !loss.torn)
        return LINE_FOUND;
    lose_end(recording, ret_line->size);
    return LINE_NONE;
}

static int64_t read_more(struct recording *recording, struct err *err)
{
    buffer_consume(&recording->text, recording->at);
    recording->searched -= recording->at;
    recording->at = 0;
    if (recording->text.size > RECORDING_LINE_MAX)
        return err_set(err, -EFBIG, "%s:%zu: line too long", file_name(recording),
                       recording->line + 1);
    char *room = buffer_reserve(&recording->text, CHUNK);
    int64_t size = packed_file_read(recording->file, room, CHUNK, err);
    if (size > 0)
        recording->text.size += (size_t)size;
    return size;
}

static enum line_result next_line(struct recording *recording, struct slice *ret_line,
                                  struct err *err)
{
    struct buffer *text = &recording->text;
    if (recording->unfinished)
        return LINE_NONE;
    for (;;) {
        const char *end =
            memchr(text->data + recording->searched, '\n', text->size - recording->searched);
        if (end != NULL) {
            size_t next = (size_t)(end - text->data) + 1;
            *ret_line = (struct slice){.data = text->data + recording->at,
                                       .size = next - 1 - recording->at};
            recording->at = recording->searched = next;
            recording->line++;
            return LINE_FOUND;
        }
        recording->searched = text->size;
        int64_t size = read_more(recording, err);
        if (size < 0)
            return LINE_FAILED;
        if (size == 0)
            return take_rest(recording, ret_line);
    }
}

/* ---- what a line says ---- */

static void take_time(struct recording *recording, struct recorded_message *message)
{
    message->at_us = recording->last_at_us;
    message->ts_us = recording->now.ts_us;
    if (message->ts_us == 0)
        return;
    if (recording->first_us == 0)
        recording->first_us = message->ts_us;
    int64_t since_us = message->ts_us - recording->first_us;
    if (since_us > recording->last_at_us && since_us < SINCE_MAX_US)
        message->at_us = recording->last_at_us = since_us;
}

/* False: the line holds no message. */
static bool take_raw(struct recording *recording, struct recorded_message *message, bool *ret_bad)
{
    *ret_bad = false;
    message->raw = recording->now.raw;
    if (message->raw.data != NULL)
        return true;
    if (recording->now.raw64.data == NULL)
        return false;
    buffer_clear(&recording->decoded);
    *ret_bad = !base64_read(recording->now.raw64, &recording->decoded);
    message->raw = buffer_slice(&recording->decoded);
    return true;
}

/* 1: a message; 0: none; negative: an error. */
static int take_message(struct recording *recording, struct recorded_message *message,
                        struct err *err)
{
    const struct recording_line *now = &recording->now;
    bool bad = false;
    *message = (struct recorded_message){.binary = slice_is(now->op, "binary")};
    if (slice_is(now->event, "lost"))
        recording->loss.unrecorded += now->count;
    if (now->has_event)
        return 0;
    if (!take_raw(recording, message, &bad))
        return 0;
    if (bad)
        return err_set(err, -EINVAL, "%s:%zu: raw64 is not base64", file_name(recording),
                       recording->line);
    if (message->raw.size > LIMIT_EXCHANGE_MESSAGE)
        return err_set(err, -EFBIG, "%s:%zu: a message of more than %d bytes", file_name(recording),
                       recording->line, LIMIT_EXCHANGE_MESSAGE);
    message->exchange =
        now->has_exchange ? now->exchange.data : recording->options.default_exchange;
    if (message->exchange == NULL)
        return err_set(err, -EINVAL, "%s:%zu: no exchange named: give --exchange",
                       file_name(recording), recording->line);
    if (strlen(message->exchange) >= RECORDING_NAME_MAX)
        return err_set(err, -ENAMETOOLONG, "%s:%zu: exchange name too long", file_name(recording),
                       recording->line);
    recording->barren = 0;
    take_time(recording, message);
    return 1;
}

/*
 * A quick look before the line is parsed: does it name another exchange than the one that is asked
 * for? Quotes within a JSON string are escaped, so these bytes are a key and its value.
 */
static bool names_another(const struct recording *recording, struct slice line)
{
    static const char key[] = "\"exchange\":\"";
    const char *only = recording->options.only;
    if (only == NULL || line.size == 0)
        return false;
    const char *at = memmem(line.data, line.size, key, sizeof key - 1);
    if (at == NULL)
        return false;
    struct slice value = {.data = at + sizeof key - 1,
                          .size = line.size - (size_t)(at + sizeof key - 1 - line.data)};
    struct slice rest;
    return !slice_is(slice_split(value, '"', &rest), only);
}

/* As take_message. */
static int read_line(struct recording *recording, struct slice line,
                     struct recorded_message *message, struct err *err)
{
    recording->now = (struct recording_line){0};
    line = slice_trim(line);
    if (line.size > 0 && line.data[line.size - 1] == '\r')
        line.size--;
    recording->barren += line.size + 1;
    if (recording->barren > RECORDING_BARREN_MAX)
        return err_set(err, -EFBIG, "%s:%zu: %llu bytes without a message", file_name(recording),
                       recording->line, (unsigned long long)RECORDING_BARREN_MAX);
    if (line.size == 0)
        return 0;
    if (names_another(recording, line)) {
        recording->barren = 0;
        return 0;
    }
    char *text = recording->text.data + (line.data - recording->text.data);
    bool read = recording_line_read(text, line.size, &recording->now);
    if (recording->unfinished && !read) {
        lose_end(recording, line.size);
        return 0;
    }
    if (!read)
        return err_set(err, -EINVAL,
                       "%s:%zu: not a line of a recording (a JSON object with \"raw\")",
                       file_name(recording), recording->line + (recording->unfinished ? 1 : 0));
    return take_message(recording, message, err);
}

/* ---- files ---- */

static void leave_file(struct recording *recording)
{
    packed_file_close(recording->file);
    recording->file = NULL;
    recording->file_index++;
}

static int enter_file(struct recording *recording, struct err *err)
{
    buffer_clear(&recording->text);
    recording->at = recording->searched = recording->line = 0;
    recording->unfinished = false;
    return packed_file_open(file_name(recording), &recording->file, err);
}

static bool is_wanted(const struct recording *recording, const struct recorded_message *message)
{
    const char *only = recording->options.only;
    return message->at_us >= recording->options.from_us &&
           (only == NULL || (message->exchange != NULL && strcmp(message->exchange, only) == 0));
}

/* RECORDING_AGAIN: a line that is no wanted message, or the end of a file. */
static enum recording_result step(struct recording *recording, size_t *looked,
                                  struct recorded_message *message, struct err *err)
{
    struct slice line = {0};
    *message = (struct recorded_message){0};
    if (recording->file_index == recording->options.file_count)
        return RECORDING_END;
    if (recording->file == NULL && enter_file(recording, err) < 0)
        return RECORDING_FAILED;
    switch (next_line(recording, &line, err)) {
    case LINE_FAILED:
        return RECORDING_FAILED;
    case LINE_NONE:
        leave_file(recording);
        return RECORDING_AGAIN;
    case LINE_FOUND:
        break;
    }
    *looked += line.size + 1;
    int result = read_line(recording, line, message, err);
    if (result < 0)
        return RECORDING_FAILED;
    return result > 0 && is_wanted(recording, message) ? RECORDING_MESSAGE : RECORDING_AGAIN;
}

enum recording_result recording_next(struct recording *recording,
                                     struct recorded_message *ret_message, struct err *err)
{
    size_t looked = 0;
    enum recording_result result = recording->failed ? RECORDING_FAILED : RECORDING_AGAIN;
    while (result == RECORDING_AGAIN && looked < RECORDING_TURN)
        result = step(recording, &looked, ret_message, err);
    recording->failed = result == RECORDING_FAILED;
    return result;
}

int recording_rewind(struct recording *recording, struct err *err)
{
    packed_file_close(recording->file);
    recording->file = NULL;
    recording->file_index = 0;
    recording->failed = false;
    recording->first_us = recording->options.first_us;
    recording->last_at_us = 0;
    recording->barren = 0;
    recording->loss = (struct recording_loss){0};
    return enter_file(recording, err);
}

int recording_open(const struct recording_options *options, struct recording **ret_recording,
                   struct err *err)
{
    if (options->file_count == 0 || options->file_count > RECORDING_FILES_MAX)
        return err_set(err, -EINVAL, "a recording is 1 to %d files", RECORDING_FILES_MAX);
    struct recording *recording = memory_alloc(sizeof *recording);
    recording->options = *options;
    buffer_init(&recording->text, RECORDING_LINE_MAX + 2 * CHUNK);
    buffer_init(&recording->decoded, RECORDING_LINE_MAX);
    int result = recording_rewind(recording, err);
    if (result < 0) {
        recording_close(recording);
        return result;
    }
    *ret_recording = recording;
    return 0;
}

void recording_loss(const struct recording *recording, struct recording_loss *ret_loss)
{
    *ret_loss = recording->loss;
}

void recording_close(struct recording *recording)
{
    if (recording == NULL)
        return;
    packed_file_close(recording->file);
    buffer_release(&recording->text);
    buffer_release(&recording->decoded);
    memory_free(recording);
}

/* ---- what is in it ---- */

/* Names are shown to whoever plays the recording, and a stranger may have made it. */
static bool is_shown_safely(const char *name)
{
    for (; *name != '\0'; name++)
        if (*name <= ' ' || *name > '~')
            return false;
    return true;
}

static int survey_add(struct recording_survey *survey, const char *name, const char *file,
                      struct err *err)
{
    if (!is_shown_safely(name))
        return err_set(err, -EINVAL, "%s: an exchange name that is not plain letters", file);
    for (size_t i = 0; i < survey->exchange_count; i++)
        if (strcmp(survey->exchanges[i], name) == 0)
            return 0;
    if (survey->exchange_count == RECORDING_EXCHANGES_MAX)
        return err_set(err, -E2BIG, "%s: more than %d exchanges", file, RECORDING_EXCHANGES_MAX);
    if (!slice_copy(slice_of(name), survey->exchanges[survey->exchange_count], RECORDING_NAME_MAX))
        return err_set(err, -ENAMETOOLONG, "%s: exchange name too long", file);
    survey->exchange_count++;
    return 0;
}

/* Our recorder names the exchanges in the first line. 1: so it was; 0: it was not. */
static int survey_header(struct recording_survey *survey, const struct recording_line *line,
                         const char *file, struct err *err)
{
    struct slice rest = line->exchanges, found;
    char name[RECORDING_NAME_MAX];
    if (!slice_is(line->event, "recording") || rest.size == 0)
        return 0;
    while (recording_line_name(&rest, &found)) {
        if (!slice_copy(found, name, sizeof name))
            return err_set(err, -ENAMETOOLONG, "%s: exchange name too long", file);
        int result = survey_add(survey, name, file, err);
        if (result < 0)
            return result;
    }
    return 1;
}

/* One file, until nothing more can be learnt. */
static int survey_file(struct recording *recording, struct recording_survey *survey, bool *some,
                       struct err *err)
{
    const char *file = recording->options.files[0];
    int told = 0;
    for (bool first = true; told == 0 || !*some; first = false) {
        size_t looked = 0;
        struct recorded_message message;
        enum recording_result result = step(recording, &looked, &message, err);
        if (result == RECORDING_END)
            return 0;
        if (result == RECORDING_FAILED)
            return -EINVAL;
        if (first)
            told = survey_header(survey, &recording->now, file, err);
        if (told < 0)
            return told;
        if (result != RECORDING_MESSAGE)
            continue;
        if (!*some)
            survey->first_us = message.ts_us;
        *some = true;
        int added = survey_add(survey, message.exchange == NULL ? "" : message.exchange, file, err);
        if (added < 0)
            return added;
    }
    return 0;
}

int recording_survey(const struct recording_options *options, struct recording_survey *ret_survey,
                     struct err *err)
{
    bool some = false;
    *ret_survey = (struct recording_survey){0};
    for (size_t i = 0; i < options->file_count; i++) {
        struct recording_options one = {.files = &options->files[i],
                                        .file_count = 1,
                                        .default_exchange = options->default_exchange};
        struct recording *recording = NULL;
        int result = recording_open(&one, &recording, err);
        if (result == 0)
            result = survey_file(recording, ret_survey, &some, err);
        recording_close(recording);
        if (result < 0)
            return result;
    }
    if (!some)
        return err_set(err, -ENODATA, "%s: no messages in it", options->files[0]);
    return 0;
}
