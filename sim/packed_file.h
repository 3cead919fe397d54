/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file read from its beginning: zstd (any number of frames), gzip or plain, told by its first
 * bytes. A file that ends within a frame, or with something that is no frame behind whole ones, is
 * torn, not wrong: what can be had is given, and then the loss is known. A frame that is there and
 * damaged is an error. Memory is bounded, whatever a file inflates to: a zstd window of at most
 * 2^PACKED_WINDOW_LOG bytes is taken, and output is given in pieces.
 *
 * Thread: the caller's. Reading blocks.
 */
#pragma once

#include "base/err.h"

#define PACKED_WINDOW_LOG 23 /* what zstd writes up to level 19 */

struct packed_file;

struct packed_loss {
    bool torn;
    uint64_t
        packed_bytes;    /* of the file that could not be used whole: from its last frame's begin */
    uint64_t text_bytes; /* missing of what the frame should hold; 0: not known */
};

int packed_file_open(const char *path, struct packed_file **ret_file, struct err *err) MUST_CHECK;
void packed_file_close(struct packed_file *file); /* NULL is a no-op */

/* The next bytes, at most size (at least 1): their number, 0 at the end, or a negative errno. */
int64_t packed_file_read(struct packed_file *file, char *out, size_t size,
                         struct err *err) MUST_CHECK;

/* After the end. */
void packed_file_loss(const struct packed_file *file, struct packed_loss *ret_loss);
