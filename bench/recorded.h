/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of recordings and fixtures: JSON objects whose `raw` is the text of a message. For tests,
 * tools and benches.
 */
#pragma once

#include "base/buffer.h"

struct recorded {
    int64_t i;           /* -1: none */
    struct slice note;   /* these three borrow from the line; note still escaped */
    struct slice expect; /* any JSON value, as it stands */
    struct slice from;   /* `raw`, still escaped */
};

/* The line must be followed by a NUL and LIMIT_PADDING bytes. False when it is not such an object,
 * or has no raw. */
bool recorded_read(struct slice line, struct recorded *ret_recorded) MUST_CHECK;

/* Appends `from` with its escapes resolved, as UTF-8. False at an escape that is none. */
bool recorded_unescape(struct slice from, struct buffer *out) MUST_CHECK;

/* The message of a line, recorded or raw, in `out` (cleared first), followed by a NUL and
 * LIMIT_PADDING bytes. *ret_i is -1 when the line has none. */
bool recorded_message(struct slice line, struct buffer *out, struct slice *ret_message,
                      int64_t *ret_i) MUST_CHECK;

/* The next line of a text, without its end; false behind the last one. Lines may be empty. */
bool recorded_next_line(struct slice *text, struct slice *ret_line) MUST_CHECK;

/* A whole file, behind it a NUL and LIMIT_PADDING bytes; false when it cannot be read or is over
 * the buffer's maximum. */
bool recorded_load(const char *path, struct buffer *out) MUST_CHECK;
