/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets of REST answers share. */
#pragma once

#include "base/attr.h"

/* Reads the bytes as an answer to each kind of query and checks what rest_read promises. Always
 * 0. */
int fuzz_rest(const char *exchange, unsigned generation, const uint8_t *data, size_t size);
