/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load client's half of permessage-deflate (RFC 7692) without context takeover: every message
 * stands alone. Thousands of clients of one server get the same compressed bytes, and to inflate
 * them for each would cost more than the server's own work; so what was inflated lately is kept,
 * and used again when all bytes are the same. One thread.
 */
#pragma once

#include "base/slice.h"

#define INFLATER_TEXT_MAX ((size_t)4 * 1024 * 1024) /* a larger message is malformed */

struct inflater;

struct inflater *inflater_create(void);
void inflater_destroy(struct inflater *inflater); /* NULL is a no-op */

/* One message's payload without the tail of four bytes that senders leave off. ret_text holds until
 * the next call and has TALLY_PADDING readable bytes behind it. False: malformed. */
bool inflater_message(struct inflater *inflater, struct slice compressed,
                      struct slice *ret_text) MUST_CHECK;
