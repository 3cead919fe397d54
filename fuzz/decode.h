/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets of the decoders share: one message in, every promise checked. */
#pragma once

#include "base/attr.h"

/* Decodes the bytes as a message of the exchange, asserts what a batch promises, and that each
 * event, encoded as clients get it, reads back as the same. Always 0. */
int fuzz_decode(const char *exchange, unsigned generation, const uint8_t *data, size_t size);
