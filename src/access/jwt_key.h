/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one public key of one algorithm (RFC 7518, section 3; RFC 8037) that tokens must be signed
 * with. Asymmetric algorithms alone: a node holds nothing that could make a token.
 *
 * A key does not change. jwt_key_verifies may be called by any thread.
 */
#pragma once

#include "base/err.h"
#include "base/slice.h"

struct jwt_key;

/*
 * algorithm: RS256, RS384, RS512, PS256, ES256, ES384 or EdDSA (Ed25519). pem: one PUBLIC KEY
 * (SubjectPublicKeyInfo) of the type that it wants: RSA of 2048 to 8192 bits, P-256, P-384,
 * Ed25519.
 */
int jwt_key_create(const char *algorithm, struct slice pem, struct jwt_key **ret_key,
                   struct err *err) MUST_CHECK;

/* NULL is a no-op. */
void jwt_key_destroy(struct jwt_key *key);

/* The name that `alg` must be, exactly. Static. */
const char *jwt_key_algorithm(const struct jwt_key *key);

/* Whether this is the signature of these bytes, in JWS form: of ES256 and ES384 r and s, one behind
 * the other. */
bool jwt_key_verifies(const struct jwt_key *key, struct slice bytes, struct slice signature);
