/* SPDX-License-Identifier: Apache-2.0 */
/* Cut, decode, look at the header, verify, and only then read what was signed. */
#include "access/jwt.h"

#include "access/base64url.h"
#include "access/timestamp.h"
#include "base/limits.h"

#include <jansson.h>
#include <openssl/crypto.h>

#define US_PER_SECOND 1000000
#define HEADER_SIZE_MAX 4096
#define SIGNATURE_SIZE_MAX 1024 /* of RSA with 8192 bits */
#define PAYLOAD_SIZE_MAX (LIMIT_ACCESS_TOKEN / 4 * 3)

struct parts { /* a token cut at its two dots */
    struct slice header, payload, signature;
    struct slice covered; /* what the signature is of */
};

struct claims {
    int64_t expires_us;
    int64_t not_before_us; /* 0: not given */
    bool for_audience;
};

static bool cut(struct slice token, struct parts *ret_parts)
{
    struct slice rest = token;
    ret_parts->header = slice_split(rest, '.', &rest);
    ret_parts->payload = slice_split(rest, '.', &rest);
    ret_parts->signature = rest;
    if (ret_parts->header.size == 0 || ret_parts->payload.size == 0 || rest.size == 0)
        return false;
    ret_parts->covered = (struct slice){.data = token.data, .size = token.size - rest.size - 1};
    return true; /* a third dot is none of base64url's characters */
}

/* The object that a part holds; NULL when it is none. */
static json_t *part_read(struct slice part, uint8_t *room, size_t room_size)
{
    size_t size = 0;
    json_t *json = NULL;
    if (base64url_decode(part, room, room_size, &size))
        json = json_loadb((const char *)room, size, JSON_REJECT_DUPLICATES, NULL);
    OPENSSL_cleanse(room, size);
    if (json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

/* ---- the header ---- */

static bool header_allows(const struct jwt_rule *rule, struct slice part)
{
    uint8_t room[HEADER_SIZE_MAX];
    json_t *header = part_read(part, room, sizeof room);
    const char *algorithm = json_string_value(json_object_get(header, "alg"));
    bool allowed = algorithm != NULL && strcmp(algorithm, jwt_key_algorithm(rule->key)) == 0 &&
                   json_object_get(header, "crit") == NULL;
    json_decref(header);
    return allowed;
}

static bool signature_holds(const struct jwt_rule *rule, const struct parts *parts)
{
    uint8_t room[SIGNATURE_SIZE_MAX];
    size_t size = 0;
    if (!base64url_decode(parts->signature, room, sizeof room, &size))
        return false;
    struct slice signature = {.data = (const char *)room, .size = size};
    bool holds = jwt_key_verifies(rule->key, parts->covered, signature);
    OPENSSL_cleanse(room, sizeof room);
    return holds;
}

/* ---- the claims ---- */

/* RFC 7519's NumericDate: seconds, which may have a fraction. */
static bool date_read(const json_t *json, int64_t *ret_us)
{
    if (json_is_integer(json)) {
        json_int_t seconds = json_integer_value(json);
        if (seconds < 0 || seconds > TIMESTAMP_SECONDS_MAX)
            return false;
        *ret_us = (int64_t)seconds * US_PER_SECOND;
        return true;
    }
    double seconds = json_real_value(json); /* 0 when it is no number */
    if (!json_is_real(json) || !(seconds >= 0 && seconds <= (double)TIMESTAMP_SECONDS_MAX))
        return false;
    *ret_us = (int64_t)(seconds * US_PER_SECOND);
    return true;
}

/* One text, or a list of nothing but texts (RFC 7519, section 4.1.3). */
static bool audience_read(const json_t *json, const char *audience, bool *ret_included)
{
    const char *text = json_string_value(json);
    *ret_included = text != NULL && strcmp(text, audience) == 0;
    if (text != NULL || !json_is_array(json))
        return text != NULL;
    for (size_t i = 0; i < json_array_size(json); i++) {
        text = json_string_value(json_array_get(json, i));
        if (text == NULL)
            return false;
        *ret_included = *ret_included || strcmp(text, audience) == 0;
    }
    return true;
}

static bool claims_read(const json_t *payload, const char *audience, struct claims *ret_claims)
{
    const json_t *not_before = json_object_get(payload, "nbf");
    *ret_claims = (struct claims){0};
    if (not_before != NULL && !date_read(not_before, &ret_claims->not_before_us))
        return false;
    return date_read(json_object_get(payload, "exp"), &ret_claims->expires_us) &&
           audience_read(json_object_get(payload, "aud"), audience, &ret_claims->for_audience);
}

static enum jwt_verdict claims_judge(const struct claims *claims, int64_t now_us)
{
    if (!claims->for_audience)
        return JWT_FOREIGN;
    if (now_us >= claims->expires_us)
        return JWT_EXPIRED;
    if (claims->not_before_us - JWT_LEEWAY_S * US_PER_SECOND > now_us)
        return JWT_EARLY;
    return JWT_GOOD;
}

enum jwt_verdict jwt_check(const struct jwt_rule *rule, struct slice token, int64_t now_us,
                           int64_t *ret_expires_us)
{
    struct parts parts;
    struct claims claims;
    uint8_t room[PAYLOAD_SIZE_MAX];
    if (token.size > LIMIT_ACCESS_TOKEN || !cut(token, &parts) ||
        !header_allows(rule, parts.header) || !signature_holds(rule, &parts))
        return JWT_INVALID;
    json_t *payload = part_read(parts.payload, room, sizeof room);
    bool read = claims_read(payload, rule->audience, &claims);
    json_decref(payload);
    if (!read)
        return JWT_INVALID;
    enum jwt_verdict verdict = claims_judge(&claims, now_us);
    if (verdict == JWT_GOOD)
        *ret_expires_us = claims.expires_us;
    return verdict;
}
