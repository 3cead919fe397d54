/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a recording, as recorder.h describes them. Pure. */
#pragma once

#include "base/buffer.h"
#include "sim/recorder.h"

/* The longest line: text of which each byte becomes two, and what stands around it. */
#define RECORDER_LINE_MAX (2 * LIMIT_EXCHANGE_MESSAGE + 4 * KIBIBYTE)

void recorder_line(struct buffer *out, const struct recorder_entry *entry, uint64_t number,
                   const char *exchange);
void recorder_line_lost(struct buffer *out, int64_t wall_us, uint64_t number, uint64_t count);
void recorder_line_header(struct buffer *out, int64_t wall_us, uint32_t part,
                          const struct recorder_options *options);
