/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose pages may read us: the Origin header (RFC 6454) against a list from the configuration. An
 * origin is scheme, host and port; case of scheme and host does not matter, and a port left out is
 * the scheme's own. Values, no I/O.
 */
#pragma once

#include "base/err.h"
#include "base/limits.h"
#include "base/slice.h"

#define HTTP_ORIGIN_TEXT (LIMIT_HOST + 32)

struct http_origins; /* the list */

/* Each is "https://app.example", "http://127.0.0.1:3000", "null" (sandboxed pages and files) or
 * "*": every origin. No items at all (NULL) is "*" as well. 0, or -EINVAL with what is wrong. */
int http_origins_create(char *const *items, size_t count, struct http_origins **ret_origins,
                        struct err *err) MUST_CHECK;
void http_origins_destroy(struct http_origins *origins); /* NULL is a no-op */

/* Every origin is allowed. */
bool http_origins_any(const struct http_origins *origins);

/* Whether the value of an Origin header is in the list; a malformed one is in none but "*". */
bool http_origins_allow(const struct http_origins *origins, struct slice origin);

/* "https://app.example:443": the spelling that is compared. False when it is no origin. */
bool http_origin_read(struct slice text, char ret_text[HTTP_ORIGIN_TEXT]) MUST_CHECK;
