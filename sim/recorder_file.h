/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a recording: whole zstd frames, one write each, in one file or in numbered parts. A
 * write that fails is taken back, so that a file always ends with a whole frame unless the process
 * is killed within a write. Thread: any one at a time; it waits for the disk.
 */
#pragma once

#include "sim/recorder.h"

struct recorder_file;

/* Opens the first file and writes its header. options as recorder_open's, borrowed until close. */
int recorder_file_open(const struct recorder_options *options, struct recorder_file **ret_file,
                       struct err *err) MUST_CHECK;

/* Lines as one frame, in the next file when this one is full or old. After an error only close. */
int recorder_file_write(struct recorder_file *file, struct slice lines, struct err *err) MUST_CHECK;

/* Of all files. */
void recorder_file_describe(const struct recorder_file *file, uint64_t *ret_bytes,
                            uint32_t *ret_files);

/* To the disk (fsync), then closed; NULL is a no-op. Returns whether the disk has it. */
int recorder_file_close(struct recorder_file *file, struct err *err);
