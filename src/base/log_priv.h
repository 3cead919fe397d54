/* SPDX-License-Identifier: Apache-2.0 */
/* How one line of the log looks; no ring, no thread, no clock. Shared by log.c and its tests. */
#pragma once

#include "base/limits.h"
#include "base/log.h"

struct log_line {
    char text[LIMIT_LOG_LINE]; /* ends with a newline, not terminated */
    size_t size;
};

struct log_head {
    int64_t wall_us;
    enum log_level level;
    const char *part;
    uint32_t held_back; /* lines of this site left out before this one; 0: not said */
};

/*
 * Formats a whole line. Always valid UTF-8, always one line, always at most LIMIT_LOG_LINE: what
 * does not fit is cut and the field cut=true says so. Bytes that are not UTF-8 become U+FFFD.
 */
void log_line_write(struct log_line *line, enum log_format format, const struct log_head *head,
                    const struct log_field *fields);
