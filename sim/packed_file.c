/* SPDX-License-Identifier: Apache-2.0 */
/* zstd by its own streaming; gzip and plain by zlib, which tells them apart itself. */
#include "sim/packed_file.h"

#include "base/limits.h"
#include "base/memory.h"
#include "base/slice.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define INPUT_SIZE (64 * KIBIBYTE)
#define FRAME_HEADER_MAX_SIZE 18 /* RFC 8878, 3.1.1.1: magic number, descriptor, window, sizes */
#define MAGIC_SIZE 4

static const char zstd_magic[MAGIC_SIZE] = {'\x28', '\xb5', '\x2f', '\xfd'};

struct packed_file {
    char *path;       /* owned */
    int fd;           /* -1 when it is zlib's */
    gzFile gzip;      /* NULL when it is zstd */
    ZSTD_DCtx *zstd;  /* owned */
    char *input_data; /* owned */
    ZSTD_inBuffer input;
    uint64_t input_offset; /* of input.src in the file */
    uint64_t frame_offset; /* where the present frame begins */
    uint64_t frame_text;   /* bytes given of it */
    bool within;           /* something of the frame was seen */
    bool ended;
    struct packed_loss loss;
};

/* ---- zstd ---- */

static void zstd_torn(struct packed_file *file)
{
    char header[FRAME_HEADER_MAX_SIZE];
    struct stat status;
    off_t begin = (off_t)file->frame_offset;
    file->ended = true;
    file->loss.torn = true;
    if (fstat(file->fd, &status) == 0 && status.st_size > begin)
        file->loss.packed_bytes = (uint64_t)(status.st_size - begin);
    ssize_t size = pread(file->fd, header, sizeof header, begin);
    if (size <= 0)
        return;
    unsigned long long whole = ZSTD_getFrameContentSize(header, (size_t)size);
    if (whole != ZSTD_CONTENTSIZE_ERROR && whole != ZSTD_CONTENTSIZE_UNKNOWN &&
        whole > file->frame_text)
        file->loss.text_bytes = whole - file->frame_text;
}

static int zstd_failed(struct packed_file *file, size_t code, struct err *err)
{
    ZSTD_ErrorCode error = ZSTD_getErrorCode(code);
    if (error == ZSTD_error_prefix_unknown && file->frame_offset > 0 && file->frame_text == 0) {
        zstd_torn(file); /* whole frames, and then something else */
        return 0;
    }
    if (error == ZSTD_error_frameParameter_windowTooLarge)
        return err_set(err, -EFBIG, "%s: needs more than %d MiB to be unpacked (zstd --long)",
                       file->path, (1 << PACKED_WINDOW_LOG) / MEBIBYTE);
    return err_set(err, -EIO, "%s: damaged in the zstd frame at byte %llu: %s", file->path,
                   (unsigned long long)file->frame_offset, ZSTD_getErrorName(code));
}

/* False at the end of the file, or when it cannot be read (then *ret_result is negative). */
static bool zstd_fill(struct packed_file *file, int *ret_result, struct err *err)
{
    file->input_offset += file->input.size;
    ssize_t size = read(file->fd, file->input_data, INPUT_SIZE);
    file->input = (ZSTD_inBuffer){.src = file->input_data, .size = size > 0 ? (size_t)size : 0};
    if (size < 0)
        *ret_result = err_set(err, -errno, "%s: %s", file->path, strerror(errno));
    return size > 0;
}

static int64_t zstd_read(struct packed_file *file, char *out, size_t size, struct err *err)
{
    ZSTD_outBuffer output = {.dst = out, .size = size};
    while (output.pos == 0 && !file->ended) {
        int result = 0;
        /* Input may be used up while output waits inside: only when nothing comes any more is the
         * file asked. */
        bool dry = file->input.pos == file->input.size;
        if (dry && !zstd_fill(file, &result, err) && (result < 0 || !file->within)) {
            file->ended = true;
            return result;
        }
        bool last = file->input.size == 0;
        size_t code = ZSTD_decompressStream(file->zstd, &output, &file->input);
        if (ZSTD_isError(code) != 0)
            return zstd_failed(file, code, err);
        file->frame_text += output.pos;
        file->within = code != 0;
        if (code == 0) {
            file->frame_offset = file->input_offset + file->input.pos;
            file->frame_text = 0;
        } else if (last && output.pos == 0) {
            zstd_torn(file);
        }
    }
    return (int64_t)output.pos;
}

static int zstd_open(struct packed_file *file, struct err *err)
{
    file->zstd = ZSTD_createDCtx();
    if (file->zstd == NULL)
        return err_set(err, -ENOMEM, "%s: no memory to unpack it", file->path);
    ZSTD_DCtx_setParameter(file->zstd, ZSTD_d_windowLogMax, PACKED_WINDOW_LOG);
    file->input_data = memory_alloc(INPUT_SIZE);
    return 0;
}

/* ---- gzip, plain ---- */

static int64_t gzip_read(struct packed_file *file, char *out, size_t size, struct err *err)
{
    int code = Z_OK;
    int count = gzread(file->gzip, out, (unsigned)(size > INPUT_SIZE ? INPUT_SIZE : size));
    if (count > 0)
        return count;
    const char *text = gzerror(file->gzip, &code);
    file->ended = true;
    if (code == Z_OK || code == Z_STREAM_END)
        return 0;
    if (code == Z_BUF_ERROR) { /* it ends before its end */
        file->loss.torn = true;
        return 0;
    }
    return err_set(err, -EIO, "%s: %s", file->path, code == Z_ERRNO ? strerror(errno) : text);
}

static int gzip_open(struct packed_file *file, struct err *err)
{
    file->gzip = gzdopen(file->fd, "rb");
    if (file->gzip == NULL)
        return err_set(err, -ENOMEM, "%s: no memory to read it", file->path);
    file->fd = -1;
    return 0;
}

/* ---- either ---- */

static bool begins_as_zstd(int fd)
{
    char start[MAGIC_SIZE];
    ssize_t size = pread(fd, start, sizeof start, 0); /* fails for a pipe: not zstd */
    return size > 0 && memcmp(start, zstd_magic, (size_t)size) == 0;
}

int packed_file_open(const char *path, struct packed_file **ret_file, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    struct packed_file *file = memory_alloc(sizeof *file);
    file->path = memory_copy_text(path);
    file->fd = fd;
    int result = begins_as_zstd(fd) ? zstd_open(file, err) : gzip_open(file, err);
    if (result < 0) {
        packed_file_close(file);
        return result;
    }
    *ret_file = file;
    return 0;
}

int64_t packed_file_read(struct packed_file *file, char *out, size_t size, struct err *err)
{
    if (file->ended)
        return 0;
    return file->zstd != NULL ? zstd_read(file, out, size, err) : gzip_read(file, out, size, err);
}

void packed_file_loss(const struct packed_file *file, struct packed_loss *ret_loss)
{
    *ret_loss = file->loss;
}

void packed_file_close(struct packed_file *file)
{
    if (file == NULL)
        return;
    ZSTD_freeDCtx(file->zstd);
    if (file->gzip != NULL)
        gzclose(file->gzip);
    if (file->fd >= 0)
        close(file->fd);
    memory_free(file->input_data);
    memory_free(file->path);
    memory_free(file);
}
