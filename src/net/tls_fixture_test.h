/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests with TLS, behind <cmocka.h>: an authority and certificates made on the spot, as PEM
 * files in a folder of their own, and a peer that speaks TLS with OpenSSL's plain blocking calls.
 */
#pragma once

#include "base/clock.h"
#include "net/peer_test.h"
#include "net/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define DAY_S 86400L

struct authority {
    char folder[64];
    EVP_PKEY *key;
    X509 *certificate;
};

struct leaf {
    const char *name;      /* of the files: NAME.pem and NAME.key */
    const char *hosts;     /* "DNS:localhost,IP:127.0.0.1" */
    long from_s, until_s;  /* from now */
    bool rsa, self_signed; /* else P-256, signed by the authority */
};

static inline const char *authority_path(const struct authority *authority, const char *name)
{
    static char paths[8][96];
    static unsigned next;
    char *path = paths[next++ % COUNT_OF(paths)];
    snprintf(path, sizeof(paths[0]), "%s/%s", authority->folder, name);
    return path;
}

static inline void write_key(const char *path, EVP_PKEY *key, const char *password)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    const EVP_CIPHER *cipher = password == NULL ? NULL : EVP_aes_128_cbc();
    assert_int_equal(PEM_write_PrivateKey(file, key, cipher, NULL, 0, NULL, (void *)password), 1);
    fclose(file);
}

static inline void write_certificate(const char *path, X509 *certificate)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    fclose(file);
}

static inline void add_extension(X509 *certificate, int kind, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, value);
    assert_non_null(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

static inline X509 *make_certificate(const char *name, EVP_PKEY *key, long from_s, long until_s)
{
    static long serial;
    X509 *certificate = X509_new();
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), from_s);
    X509_gmtime_adj(X509_getm_notAfter(certificate), until_s);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    return certificate;
}

static inline void authority_init(struct authority *authority)
{
    snprintf(authority->folder, sizeof(authority->folder), "/tmp/tickwire-tls-XXXXXX");
    assert_non_null(mkdtemp(authority->folder));
    authority->key = EVP_EC_gen("P-256");
    authority->certificate = make_certificate("test authority", authority->key, -DAY_S, DAY_S);
    X509_set_issuer_name(authority->certificate, X509_get_subject_name(authority->certificate));
    add_extension(authority->certificate, NID_basic_constraints, "critical,CA:TRUE");
    assert_true(X509_sign(authority->certificate, authority->key, EVP_sha256()) > 0);
    write_certificate(authority_path(authority, "ca.pem"), authority->certificate);
}

static inline void authority_release(struct authority *authority)
{
    EVP_PKEY_free(authority->key);
    X509_free(authority->certificate);
    static const char *const names[] = {"ca",      "good", "other",    "rsa",    "wrong",
                                        "expired", "self", "password", "future", "empty"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char name[32];
        snprintf(name, sizeof(name), "%s.pem", names[i]);
        unlink(authority_path(authority, name));
        snprintf(name, sizeof(name), "%s.key", names[i]);
        unlink(authority_path(authority, name));
    }
    rmdir(authority->folder);
}

static inline void authority_issue(const struct authority *authority, const struct leaf *leaf)
{
    char name[32];
    EVP_PKEY *key = leaf->rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
    X509 *certificate = make_certificate(leaf->name, key, leaf->from_s, leaf->until_s);
    X509_set_issuer_name(certificate, leaf->self_signed
                                          ? X509_get_subject_name(certificate)
                                          : X509_get_subject_name(authority->certificate));
    add_extension(certificate, NID_subject_alt_name, leaf->hosts);
    EVP_PKEY *signer = leaf->self_signed ? key : authority->key;
    assert_true(X509_sign(certificate, signer, EVP_sha256()) > 0);
    snprintf(name, sizeof(name), "%s.pem", leaf->name);
    write_certificate(authority_path(authority, name), certificate);
    snprintf(name, sizeof(name), "%s.key", leaf->name);
    write_key(authority_path(authority, name), key, NULL);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

#define LOCAL_HOSTS "DNS:localhost,IP:127.0.0.1"

static inline void authority_issue_good(const struct authority *authority, const char *name)
{
    authority_issue(
        authority,
        &(struct leaf){.name = name, .hosts = LOCAL_HOSTS, .from_s = -DAY_S, .until_s = DAY_S});
}

/* Fails the test when it can't be made. */
static inline struct tls_context *server_context(const struct authority *authority,
                                                 const char *name,
                                                 const struct tls_context *previous)
{
    char certificate[32];
    char key[32];
    struct tls_context *context = NULL;
    struct err err = {.code = 0};
    snprintf(certificate, sizeof(certificate), "%s.pem", name);
    snprintf(key, sizeof(key), "%s.key", name);
    if (tls_context_create(authority_path(authority, certificate), authority_path(authority, key),
                           previous, &context, &err) != 0)
        fail_msg("%s", err.text);
    return context;
}

/* ---- a peer with TLS, in its own thread ---- */

/* Blocking, on the peer's socket; NULL when the handshake failed. */
static inline SSL *peer_shake(struct peer *peer, SSL_CTX *context, SSL_SESSION *session)
{
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, peer->fd);
    if (session != NULL)
        SSL_set_session(ssl, session);
    if (SSL_is_server(ssl) ? SSL_accept(ssl) == 1 : SSL_connect(ssl) == 1)
        return ssl;
    SSL_free(ssl);
    return NULL;
}

/* All that comes until the end; true when that was said with close_notify. */
static inline bool peer_read_all(struct peer *peer, SSL *ssl)
{
    char data[65536];
    size_t size;
    while (SSL_read_ex(ssl, data, sizeof(data), &size) == 1)
        buffer_append(&peer->seen, data, size);
    return (SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
}

static inline bool peer_read_size(struct peer *peer, SSL *ssl, size_t size)
{
    char data[65536];
    size_t got;
    while (peer->seen.size < size) {
        if (SSL_read_ex(ssl, data, sizeof(data), &got) != 1)
            return false;
        buffer_append(&peer->seen, data, got);
    }
    return true;
}

static inline bool peer_write(SSL *ssl, const void *data, size_t size)
{
    size_t written;
    return SSL_write_ex(ssl, data, size, &written) == 1;
}
