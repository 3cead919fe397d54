/* SPDX-License-Identifier: Apache-2.0 */
/* How the same input is cut differently, always alike: the size of the piece at `at`. */
#pragma once

#include "base/slice.h"

/* step 0: whole; else pieces of 1 to step bytes. */
static inline size_t piece_size(struct slice bytes, size_t at, size_t step)
{
    size_t piece = step == 0 ? bytes.size : 1;
    if (step > 1)
        piece = ((size_t)(unsigned char)bytes.data[at] + at) % step + 1;
    return piece > bytes.size - at ? bytes.size - at : piece;
}
