/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes from the system, for ids, keys, masks and jitter. Fails never: without them the
 * process ends. */
#pragma once

#include "base/attr.h"

void random_bytes(void *out, size_t size);

/* Uniform in 0 .. bound - 1, for jitter (the bias of a 32-bit modulus is accepted). bound may not
 * be 0. */
uint32_t random_below(uint32_t bound);
