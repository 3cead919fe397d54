/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Web Tokens (RFC 7519) in the compact form of RFC 7515, checked against one key and one
 * audience. Of the header `alg` counts, which must be the configured algorithm; `crit` is refused,
 * and what would name another key (`jwk`, `jku`, `x5u`, `kid`) is not looked at. Of the claims
 * `exp` and `aud` must be there, and `nbf` counts when it is. A key that comes twice in any object
 * is refused.
 *
 * Nothing is remembered: each call verifies. jwt_check may be called by any thread.
 */
#pragma once

#include "access/jwt_key.h"

#define JWT_LEEWAY_S                                                                               \
    30 /* a token may start that much later than now: clocks differ. None for exp */

enum jwt_verdict {
    JWT_GOOD,
    JWT_INVALID, /* form, algorithm, signature, or a claim that is missing or mistyped */
    JWT_EXPIRED, /* rightly signed, as the next two, but ... */
    JWT_EARLY,
    JWT_FOREIGN, /* for another audience */
};

/* All borrowed. */
struct jwt_rule {
    const struct jwt_key *key;
    const char *audience;
};

/* token: of any size; more than LIMIT_ACCESS_TOKEN is invalid. *ret_expires_us: wall time, set when
 * good. */
enum jwt_verdict jwt_check(const struct jwt_rule *rule, struct slice token, int64_t now_us,
                           int64_t *ret_expires_us);
