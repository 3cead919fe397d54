/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that nobody can predict, for keys and masks (RFC 6455, section 10.3). Any thread. */
#pragma once

#include "base/attr.h"

/* From the system's source; ends the process should that be missing. */
void random_fill(void *out, size_t size);
