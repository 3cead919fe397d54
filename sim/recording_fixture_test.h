/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of recordings share: files in a folder of their own, and all that a file gives. */
#pragma once

#include "base/buffer.h"
#include "base/memory.h"
#include "sim/recording.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define TEST_PATH 512

static char test_folder[TEST_PATH / 2];

static inline void make_folder(void)
{
    snprintf(test_folder, sizeof test_folder, "/tmp/tickwire-recording-XXXXXX");
    if (mkdtemp(test_folder) == NULL)
        abort();
}

static inline void path_of(const char *name, char ret_path[TEST_PATH])
{
    snprintf(ret_path, TEST_PATH, "%s/%s", test_folder, name);
}

static inline void remove_folder(void)
{
    DIR *folder = opendir(test_folder);
    char path[TEST_PATH];
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        path_of(entry->d_name, path);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    closedir(folder);
    rmdir(test_folder);
}

static inline void put_file(const char *path, struct slice bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.data, 1, bytes.size, file), bytes.size);
    fclose(file);
}

static inline void get_file(const char *path, struct buffer *ret_bytes)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    buffer_init(ret_bytes, 256 * MEBIBYTE);
    for (;;) {
        char *room = buffer_reserve(ret_bytes, 65536);
        size_t size = fread(room, 1, 65536, file);
        ret_bytes->size += size;
        if (size == 0)
            break;
    }
    fclose(file);
}

#define TAKEN_MAX 200000

struct taken { /* all that recording_next gave */
    size_t count;
    bool failed;
    struct err err;
    struct recording_loss loss;
    struct buffer texts; /* one behind the other, as they were */
    size_t ends[TAKEN_MAX];
    int64_t ts_us[TAKEN_MAX], at_us[TAKEN_MAX];
    bool binary[TAKEN_MAX];
    char exchange[TAKEN_MAX];
};

static inline void take_from(struct recording *recording, struct taken *taken)
{
    struct recorded_message message;
    enum recording_result result = RECORDING_AGAIN;
    while (result == RECORDING_AGAIN || result == RECORDING_MESSAGE) {
        result = recording_next(recording, &message, &taken->err);
        if (result != RECORDING_MESSAGE)
            continue;
        assert_true(taken->count < TAKEN_MAX);
        buffer_append_slice(&taken->texts, message.raw);
        taken->ends[taken->count] = taken->texts.size;
        taken->ts_us[taken->count] = message.ts_us;
        taken->at_us[taken->count] = message.at_us;
        taken->binary[taken->count] = message.binary;
        taken->exchange[taken->count++] = message.exchange[0];
    }
    taken->failed = result == RECORDING_FAILED;
    recording_loss(recording, &taken->loss);
}

static inline struct taken *take(const struct recording_options *options)
{
    struct taken *taken = memory_alloc(sizeof *taken);
    struct recording *recording = NULL;
    buffer_init(&taken->texts, 256 * MEBIBYTE);
    if (recording_open(options, &recording, &taken->err) < 0)
        taken->failed = true;
    else
        take_from(recording, taken);
    recording_close(recording);
    return taken;
}

static inline struct taken *take_file(const char *path)
{
    return take(
        &(struct recording_options){.files = &path, .file_count = 1, .default_exchange = "x"});
}

static inline void drop(struct taken *taken)
{
    buffer_release(&taken->texts);
    memory_free(taken);
}

static inline struct slice text_at(const struct taken *taken, size_t index)
{
    size_t begin = index == 0 ? 0 : taken->ends[index - 1];
    return (struct slice){.data = taken->texts.data + begin, .size = taken->ends[index] - begin};
}
