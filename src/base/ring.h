/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded ring of variable-size records between one writing and one reading thread. When full,
 * ring_write refuses (false): the caller states its policy. Records come out whole and in order.
 */
#pragma once

#include "base/slice.h"

struct ring;

/*
 * capacity: bytes, a power of two, at least 32. Each record costs its size rounded up to 8, plus 8;
 * and the end of the memory is skipped when the next record does not fit there in one piece.
 */
struct ring *ring_create(size_t capacity) MUST_CHECK;
void ring_destroy(struct ring *ring);

/* Writing thread only. False when there is no room now, or never would be (a record of more than
 * capacity / 2 - 8 bytes). */
bool ring_write(struct ring *ring, struct slice record) MUST_CHECK;

/* Reading thread only: the oldest record, in place, until ring_release; false when empty. */
bool ring_peek(struct ring *ring, struct slice *ret_record) MUST_CHECK;
void ring_release(struct ring *ring);
