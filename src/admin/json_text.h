/* SPDX-License-Identifier: Apache-2.0 */
/* A text as a JSON value, for both of the folder's writers. */
#pragma once

#include "base/buffer.h"
#include "market/encode.h"

/* In quotes; NULL: null. */
static inline void json_append_text(struct buffer *out, const char *text)
{
    if (text == NULL) {
        buffer_append_text(out, "null");
        return;
    }
    struct slice slice = slice_of(text);
    char *at = buffer_reserve(out, 6 * slice.size + 2);
    if (at != NULL)
        out->size += (size_t)(json_write_text(at, slice) - at);
}

/* The same; "" as well: null. */
static inline void json_append_known(struct buffer *out, const char *text)
{
    json_append_text(out, text == NULL || text[0] == '\0' ? NULL : text);
}
