/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dates and times as exchanges write them, to Unix time, by arithmetic of our own: the C library's
 * functions depend on the machine's zone and take nonsense. Nothing here knows what time it is.
 */
#pragma once

#include "base/slice.h"

/* Korea keeps UTC+9 all the year. */
#define CALENDAR_KST_SECONDS (9 * 3600)

/*
 * "yyyy-MM-dd" SEPARATOR "HH:mm:ss", then nothing or '.' and 1 to 6 digits, as if in UTC, to
 * microseconds. False for anything else, and for days and times that do not exist; years 1970 to
 * 9999.
 */
bool calendar_read(struct slice text, char separator, int64_t *ret_us) MUST_CHECK;

/* "yyyyMMdd" and "HHmmss", in the same way. */
bool calendar_read_compact(struct slice date, struct slice time, int64_t *ret_us) MUST_CHECK;
