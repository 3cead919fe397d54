/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An operating error: a negative errno and one sentence for a person. It lives in the caller's
 * frame, so nothing is allocated and nothing is global. Functions that can fail this way return the
 * code (0: done) and take a struct err as their last parameter; the one that decides logs, the
 * others only pass it up.
 */
#pragma once

#include "base/attr.h"

struct err {
    int code;       /* 0, or a negative errno */
    char text[240]; /* always terminated; cut when longer */
};

/* Stores code and text (unless err is NULL) and returns the code. code must be negative. */
int err_set(struct err *err, int code, const char *format, ...) PRINTF(3, 4);

/* Puts "context: " in front of the text; returns err's code. A NULL err is ignored (returns -EIO).
 */
int err_wrap(struct err *err, const char *context);
