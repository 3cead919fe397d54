/* SPDX-License-Identifier: Apache-2.0 */
/* A file is never renamed and never opened again: what is written stays what it was. */
#include "sim/recorder_file.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "sim/parts.h"
#include "sim/recorder_line.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <zstd.h>

#define LEVEL 3
#define HEADER_MAX (8 * KIBIBYTE)

struct recorder_file {
    const struct recorder_options *options;
    ZSTD_CCtx *zstd; /* owned */
    char *packed;    /* owned */
    size_t packed_max;
    bool numbered;
    uint32_t part; /* of the open file */
    int fd;        /* -1: none */
    char path[PARTS_PATH_MAX];
    uint64_t size; /* of the open file, in whole frames */
    bool used;     /* it has more than its header */
    int64_t opened_ns;
    uint64_t bytes; /* of the files before */
    uint32_t files;
};

/* ---- numbers ---- */

static bool name_part(const struct recorder_file *file, uint32_t part, char path[PARTS_PATH_MAX])
{
    if (file->numbered)
        return parts_name(file->options->file, part, path);
    return slice_copy(slice_of(file->options->file), path, PARTS_PATH_MAX);
}

static void find_highest(void *context, uint32_t part)
{
    uint32_t *highest = context;
    if (part > *highest)
        *highest = part;
}

static void remove_old(void *context, uint32_t part)
{
    const struct recorder_file *file = context;
    char path[PARTS_PATH_MAX];
    if (part + file->options->keep > file->part || !name_part(file, part, path))
        return;
    if (unlink(path) == 0)
        log_info("record", log_text("msg", "old file removed"), log_text("file", path));
    else
        log_warn("record", log_text("msg", "old file not removed, going on"),
                 log_text("file", path), log_text("error", strerror(errno)));
}

/* ---- frames ---- */

static int write_all(struct recorder_file *file, size_t size)
{
    size_t written = 0;
    while (written < size) {
        ssize_t count = write(file->fd, file->packed + written, size - written);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return count == 0 ? -EIO : -errno;
        written += (size_t)count;
    }
    return 0;
}

static int put_packed(struct recorder_file *file, size_t size, struct err *err)
{
    int result = write_all(file, size);
    if (result == 0) {
        file->size += size;
        return 0;
    }
    bool whole = ftruncate(file->fd, (off_t)file->size) == 0;
    return err_set(err, result, "%.150s: %s; the file ends %s", file->path, strerror(-result),
                   whole ? "with the last whole frame" : "within a frame");
}

static int pack(struct recorder_file *file, struct slice lines, size_t *ret_size, struct err *err)
{
    size_t max = ZSTD_compressBound(lines.size);
    if (max > file->packed_max) {
        file->packed = memory_resize(file->packed, max, 1);
        file->packed_max = max;
    }
    *ret_size = ZSTD_compress2(file->zstd, file->packed, file->packed_max, lines.data, lines.size);
    if (ZSTD_isError(*ret_size) != 0)
        return err_set(err, -EIO, "zstd: %s", ZSTD_getErrorName(*ret_size));
    return 0;
}

/* ---- files ---- */

static int end_part(struct recorder_file *file, struct err *err)
{
    int result = 0;
    if (file->fd < 0)
        return 0;
    /* EINVAL: not a thing that can be synchronized */
    if (fsync(file->fd) != 0 && errno != EINVAL)
        result = err_set(err, -errno, "%.200s: %s", file->path, strerror(errno));
    close(file->fd);
    file->fd = -1;
    file->bytes += file->size;
    file->size = 0;
    return result;
}

static int write_header(struct recorder_file *file, struct err *err)
{
    struct buffer line;
    size_t size = 0;
    buffer_init(&line, HEADER_MAX);
    recorder_line_header(&line, clock_wall_us(), file->part, file->options);
    int result = line.overflowed ? err_set(err, -E2BIG, "too many exchanges for a header")
                                 : pack(file, buffer_slice(&line), &size, err);
    buffer_release(&line);
    return result == 0 ? put_packed(file, size, err) : result;
}

static int begin_part(struct recorder_file *file, struct err *err)
{
    file->part++;
    if (!name_part(file, file->part, file->path))
        return err_set(err, -ENAMETOOLONG, "the path of the recording is too long");
    file->fd = open(file->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file->fd < 0)
        return err_set(err, -errno, "%.200s: %s", file->path, strerror(errno));
    file->files++;
    file->used = false;
    file->opened_ns = clock_monotonic_ns();
    int result = write_header(file, err);
    if (result < 0 && file->size == 0)
        unlink(file->path); /* nothing is in it */
    if (result == 0)
        log_info("record", log_text("msg", "recording to"), log_text("file", file->path));
    return result;
}

static int turn_part(struct recorder_file *file, struct err *err)
{
    int result = end_part(file, err);
    if (result == 0)
        result = begin_part(file, err);
    if (result == 0 && file->options->keep > 0)
        result = parts_walk(file->options->file, remove_old, file, err);
    return result;
}

static bool is_full(const struct recorder_file *file, size_t more)
{
    const struct recorder_options *options = file->options;
    if (!file->used)
        return false;
    return (options->rotate_bytes > 0 && file->size + more > options->rotate_bytes) ||
           (options->rotate_ns > 0 && clock_monotonic_ns() - file->opened_ns >= options->rotate_ns);
}

int recorder_file_write(struct recorder_file *file, struct slice lines, struct err *err)
{
    size_t size = 0;
    int result = pack(file, lines, &size, err);
    if (result == 0 && is_full(file, size)) {
        result = turn_part(file, err);
        if (result == 0) /* the header used the same room */
            result = pack(file, lines, &size, err);
    }
    if (result == 0)
        result = put_packed(file, size, err);
    file->used = true;
    return result;
}

int recorder_file_open(const struct recorder_options *options, struct recorder_file **ret_file,
                       struct err *err)
{
    struct recorder_file *file = memory_alloc(sizeof *file);
    int result = 0;
    file->options = options;
    file->fd = -1;
    file->numbered = options->rotate_bytes > 0 || options->rotate_ns > 0;
    file->zstd = ZSTD_createCCtx();
    if (file->zstd == NULL)
        result = err_set(err, -ENOMEM, "no memory to compress");
    if (result == 0 && file->numbered)
        result = parts_walk(options->file, find_highest, &file->part, err);
    if (result == 0) {
        ZSTD_CCtx_setParameter(file->zstd, ZSTD_c_compressionLevel, LEVEL);
        ZSTD_CCtx_setParameter(file->zstd, ZSTD_c_checksumFlag, 1);
        result = begin_part(file, err);
    }
    if (result < 0) {
        recorder_file_close(file, NULL);
        return result;
    }
    *ret_file = file;
    return 0;
}

void recorder_file_describe(const struct recorder_file *file, uint64_t *ret_bytes,
                            uint32_t *ret_files)
{
    *ret_bytes = file->bytes + file->size;
    *ret_files = file->files;
}

int recorder_file_close(struct recorder_file *file, struct err *err)
{
    if (file == NULL)
        return 0;
    int result = end_part(file, err);
    ZSTD_freeCCtx(file->zstd);
    memory_free(file->packed);
    memory_free(file);
    return result;
}
