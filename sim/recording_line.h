/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line of a recording, taken apart: a JSON object (RFC 8259) of which the members that a
 * recording has are kept. Strings are decoded where they stand, so nothing is allocated and nothing
 * copied twice: replays are played from here while a node works beside them. Pure.
 */
#pragma once

#include "base/slice.h"

struct recording_line { /* texts: data is NULL where there is none, or it is no string */
    int64_t ts_us;      /* 0: none */
    struct slice op, exchange, raw, raw64, event; /* decoded; a NUL stands behind each */
    struct slice exchanges;                       /* the array as it stands */
    uint64_t count;
    bool has_event, has_exchange; /* of whatever type */
};

/* False: it is no JSON object. What stands in text is changed; the line borrows from it. */
bool recording_line_read(char *text, size_t size, struct recording_line *ret_line) MUST_CHECK;

/* The next string of `exchanges`, which has no escapes; *rest is moved behind it. */
bool recording_line_name(struct slice *rest, struct slice *ret_name) MUST_CHECK;
