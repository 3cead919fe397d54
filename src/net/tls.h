/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What connections need to speak TLS 1.2 or 1.3: for a server its certificate and key, for a client
 * the authorities that it trusts. A context does not change once made; to reload is to make another
 * one. A handle belongs to one owner in one thread; what lies behind is shared, counted, and lives
 * as long as a handle or a connection made with it.
 */
#pragma once

#include "base/err.h"

struct tls_context;

/*
 * A server's, from PEM files: the chain, its own certificate first, and the key, which may not be
 * encrypted. previous: NULL, or one whose tickets this one accepts as well (and gives out), so that
 * clients resume across a reload. Nothing is read from the files later. Says no to a file that
 * can't be read, has nothing in it, and to a key that does not belong to the certificate; whether
 * that is still valid is for the caller to look at. Main thread.
 */
int tls_context_create(const char *certificate, const char *key, const struct tls_context *previous,
                       struct tls_context **ret_context, struct err *err) MUST_CHECK;

/* A client's. ca_file: PEM file of the authorities to trust; NULL: the system's (or what
 * SSL_CERT_FILE and SSL_CERT_DIR name). May take 100 ms. */
int tls_context_create_client(const char *ca_file, struct tls_context **ret_context,
                              struct err *err) MUST_CHECK;

/* Another handle for the same. */
struct tls_context *tls_context_share(const struct tls_context *context) MUST_CHECK;

/* Wall time when the server's certificate ends (microseconds since 1970). */
int64_t tls_context_expires_us(const struct tls_context *context);

void tls_context_destroy(struct tls_context *context); /* NULL is a no-op */
