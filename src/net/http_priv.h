/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of heads and of their fields share. */
#pragma once

#include "net/http.h"

static inline bool http_is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* Ignoring case. */
bool http_name_is(struct slice name, const char *text);

/* "host", "host:port", "[address]:port", or nothing at all: under LIMIT_HOST bytes, none of which
 * means anything in a URL, in JSON or in a log. */
bool http_host_valid(struct slice host);
