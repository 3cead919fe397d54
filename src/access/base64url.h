/* SPDX-License-Identifier: Apache-2.0 */
/* Base64url as RFC 7515 writes it (section 2): no padding, no blanks, nothing else. Pure. */
#pragma once

#include "base/slice.h"

/*
 * Exactly one spelling of any bytes is taken: other characters, a size that no bytes have, and bits
 * that say nothing but are not 0 are refused. False as well when out is too small; *ret_size is set
 * on success.
 */
bool base64url_decode(struct slice text, uint8_t *out, size_t out_size,
                      size_t *ret_size) MUST_CHECK;
