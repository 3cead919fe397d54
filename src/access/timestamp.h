/* SPDX-License-Identifier: Apache-2.0 */
/* A moment as people write it in a file of tokens. Pure; any thread. */
#pragma once

#include "base/slice.h"

#define TIMESTAMP_SECONDS_MAX                                                                      \
    253402300799 /* 9999-12-31T23:59:59Z, the last that RFC 3339 spells                            \
                  */

/*
 * RFC 3339 ("2026-12-31T23:59:59Z", fractions and offsets allowed, no leap seconds), or seconds
 * since the Unix epoch in digits. From 1970 to TIMESTAMP_SECONDS_MAX; what is finer than a
 * microsecond is cut off. False otherwise.
 */
bool timestamp_read(struct slice text, int64_t *ret_us) MUST_CHECK;
