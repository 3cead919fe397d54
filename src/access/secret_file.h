/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small file that holds a secret or a key: read whole, at one moment, into memory that is wiped
 * before it is given back. Any thread; it blocks on the disk, so at start-up and reload only.
 */
#pragma once

#include "base/err.h"
#include "base/slice.h"

struct secret_file {
    char *data; /* owned; followed by a NUL */
    size_t size;
    bool exposed; /* every user of the machine may read it, or write to it */
};

/* Regular files only, of at most `max` bytes. The error names the file, never what is in it. */
int secret_file_read(const char *path, size_t max, struct secret_file *ret_file,
                     struct err *err) MUST_CHECK;

/* Wipes and frees; the struct is empty afterwards. An empty one is a no-op. */
void secret_file_release(struct secret_file *file);

static inline struct slice secret_file_text(const struct secret_file *file)
{
    return (struct slice){.data = file->data, .size = file->size};
}
