/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recording out of hostile bytes. The first byte says how: as they are (so that the fuzzer meets
 * zlib and zstd, too), or packed here into frames, cut where the second byte says, so that it gets
 * behind their checksums to the lines. Whatever comes is within its bounds, and comes again the
 * same after a rewind.
 */
#include "sim/recording.h"

#include "base/buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <zstd.h>

#define INPUT_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int fd = -1;
static char path[64];
static char packed[2 * INPUT_MAX];

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void put(const void *data, size_t size)
{
    if (fd < 0) {
        fd = memfd_create("recording", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    must(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
}

static size_t pack(const uint8_t *data, size_t size, size_t at)
{
    size_t packed_size = ZSTD_compress(packed + at, sizeof packed - at, data, size, 1);
    must(!ZSTD_isError(packed_size));
    return at + packed_size;
}

static void put_packed(uint8_t cut, const uint8_t *data, size_t size)
{
    size_t half = size / 2;
    size_t end = pack(data, half, 0);
    end = pack(data + half, size - half, end);
    put(packed, end > cut ? end - cut : end);
}

/* How many messages, and a sum of what they say. */
static size_t read_all(struct recording *recording, uint64_t *ret_sum, struct err *err)
{
    struct recorded_message message;
    enum recording_result result = RECORDING_AGAIN;
    size_t count = 0;
    int64_t last_us = 0;
    *ret_sum = 0;
    while (result == RECORDING_AGAIN || result == RECORDING_MESSAGE) {
        result = recording_next(recording, &message, err);
        if (result != RECORDING_MESSAGE)
            continue;
        must(message.raw.size <= LIMIT_EXCHANGE_MESSAGE && message.at_us >= last_us);
        must(message.exchange[0] == '\0' || strlen(message.exchange) < RECORDING_NAME_MAX);
        last_us = message.at_us;
        *ret_sum = *ret_sum * 31 + slice_hash(message.raw) + (uint64_t)message.ts_us;
        count++;
    }
    must(result == RECORDING_END || err->text[0] != '\0');
    return count;
}

static void try_file(const char *only)
{
    const char *file = path;
    struct recording_options options = {
        .files = &file, .file_count = 1, .default_exchange = "x", .only = only};
    struct recording *recording = NULL;
    struct recording_survey survey;
    struct recording_loss first, again;
    struct err err = {0};
    uint64_t sum, sum_again;
    if (recording_survey(&options, &survey, &err) == 0)
        must(survey.exchange_count > 0);
    must(recording_open(&options, &recording, &err) == 0);
    size_t count = read_all(recording, &sum, &err);
    recording_loss(recording, &first);
    must(recording_rewind(recording, &err) == 0);
    must(read_all(recording, &sum_again, &err) == count && sum == sum_again);
    recording_loss(recording, &again);
    must(memcmp(&first, &again, sizeof first) == 0 && first.files <= 1);
    recording_close(recording);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > INPUT_MAX)
        return 0;
    if ((data[0] & 1) == 0)
        put(data + 2, size - 2);
    else
        put_packed(data[1], data + 2, size - 2);
    try_file((data[0] & 2) == 0 ? NULL : "upbit");
    return 0;
}
