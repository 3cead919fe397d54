/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 with padding (RFC 4648, section 4), for the bytes of a recording that are no text. Pure.
 */
#pragma once

#include "base/buffer.h"

#define BASE64_SIZE(size) (((size) + 2) / 3 * 4)

void base64_append(struct buffer *out, struct slice bytes);

/* Appends the bytes; false when the text is not exactly what base64_append gives for any. */
bool base64_read(struct slice text, struct buffer *out) MUST_CHECK;
