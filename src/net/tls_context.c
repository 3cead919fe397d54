/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A context is a handle for OpenSSL's SSL_CTX, which counts its users itself, in any thread.
 * Sessions are resumed by tickets alone: nothing is kept for them here, and they work for every
 * context that has the same keys. RFC 8446 (TLS 1.3), RFC 7301 (ALPN), RFC 9325 (what to offer).
 */
#include "net/tls_priv.h"

#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#define TICKET_KEYS_MAX 256 /* OpenSSL 3 has 80 bytes of them */

/* Only with forward secrecy, only authenticated encryption; TLS 1.3 has no others. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

/* The only protocol spoken here, with its length in front. */
static const unsigned char protocols[] = "\x08http/1.1";

#define PROTOCOLS_SIZE ((unsigned)sizeof(protocols) - 1)

static const char *const result_labels[TLS_RESULT_COUNT] = {
    [TLS_RESULT_OK] = "result=\"ok\"",
    [TLS_RESULT_RESUMED] = "result=\"resumed\"",
    [TLS_RESULT_FAILED] = "result=\"failed\"",
};

/* The oldest error is the cause, those after it are what came of it. */
const char *tls_error_text(void)
{
    unsigned long code = ERR_peek_error();
    const char *text = ERR_reason_error_string(code);
    if (text == NULL && ERR_SYSTEM_ERROR(code))
        text = strerror(ERR_GET_REASON(code));
    return text == NULL ? "unknown error" : text;
}

static int on_protocols(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                        const unsigned char *in, unsigned in_size, void *context)
{
    (void)ssl;
    (void)context;
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_size, protocols, PROTOCOLS_SIZE, in, in_size) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301, section 3.2 */
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* Instead of asking at the terminal. */
static int on_password(char *out, int out_size, int writing, void *context)
{
    (void)out;
    (void)out_size;
    (void)writing;
    (void)context;
    return -1;
}

/* OpenSSL would say no more than "system lib". */
static int file_check(const char *what, const char *path, struct err *err)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not hold us up */
    if (fd < 0)
        return err_set(err, -errno, "cannot read the %s %s: %s", what, path, strerror(errno));
    bool regular = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    close(fd);
    return regular ? 0 : err_set(err, -EINVAL, "the %s %s is not a regular file", what, path);
}

static SSL_CTX *context_make(const SSL_METHOD *method)
{
    ERR_clear_error();
    SSL_CTX *ssl = SSL_CTX_new(method);
    assert(ssl != NULL); /* out of memory, like base/memory.h */
    int good = SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 &&
               SSL_CTX_set_cipher_list(ssl, CIPHERS) == 1;
    assert(good);
    (void)good;
    SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    /* An idle connection keeps no buffers. */
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    return ssl;
}

static struct tls_context *handle_make(SSL_CTX *ssl)
{
    struct tls_context *context = memory_alloc(sizeof(*context));
    context->ssl = ssl;
    return context;
}

static int certificate_load(SSL_CTX *ssl, const char *certificate, const char *key, struct err *err)
{
    int failed = file_check("certificate", certificate, err);
    if (failed == 0)
        failed = file_check("key", key, err);
    if (failed != 0)
        return failed;
    if (SSL_CTX_use_certificate_chain_file(ssl, certificate) != 1)
        return err_set(err, -EINVAL, "no usable certificate (PEM) in %s: %s", certificate,
                       tls_error_text());
    bool loaded = SSL_CTX_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM) == 1;
    if (!loaded && ERR_GET_REASON(ERR_peek_last_error()) != X509_R_KEY_VALUES_MISMATCH)
        return err_set(err, -EINVAL, "no usable key (PEM, not encrypted) in %s: %s", key,
                       tls_error_text());
    /* A key of another kind (RSA, EC) is loaded without a word. */
    if (!loaded || SSL_CTX_check_private_key(ssl) != 1)
        return err_set(err, -EINVAL, "the key in %s does not belong to the certificate in %s", key,
                       certificate);
    return 0;
}

static void tickets_take_over(SSL_CTX *ssl, SSL_CTX *previous)
{
    unsigned char keys[TICKET_KEYS_MAX];
    long size = SSL_CTX_get_tlsext_ticket_keys(ssl, NULL, 0);
    assert(size > 0 && size <= TICKET_KEYS_MAX);
    bool taken = SSL_CTX_get_tlsext_ticket_keys(previous, keys, size) == 1 &&
                 SSL_CTX_set_tlsext_ticket_keys(ssl, keys, size) == 1;
    assert(taken);
    (void)taken;
    OPENSSL_cleanse(keys, sizeof(keys));
}

int tls_context_create(const char *certificate, const char *key, const struct tls_context *previous,
                       struct tls_context **ret_context, struct err *err)
{
    SSL_CTX *ssl = context_make(TLS_server_method());
    SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(ssl, on_protocols, NULL);
    SSL_CTX_set_default_passwd_cb(ssl, on_password);
    int failed = certificate_load(ssl, certificate, key, err);
    ERR_clear_error();
    if (failed != 0) {
        SSL_CTX_free(ssl);
        return failed;
    }
    if (previous != NULL)
        tickets_take_over(ssl, previous->ssl);
    struct tls_context *context = handle_make(ssl);
    for (size_t i = 0; i < TLS_RESULT_COUNT; i++)
        context->results[i] = metric_series(METRIC_TLS_HANDSHAKES, result_labels[i]);
    *ret_context = context;
    return 0;
}

int tls_context_create_client(const char *ca_file, struct tls_context **ret_context,
                              struct err *err)
{
    int failed = ca_file == NULL ? 0 : file_check("authorities", ca_file, err);
    if (failed != 0)
        return failed;
    SSL_CTX *ssl = context_make(TLS_client_method());
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    int loaded = SSL_CTX_set_alpn_protos(ssl, protocols, PROTOCOLS_SIZE) == 0 &&
                 (ca_file == NULL ? SSL_CTX_set_default_verify_paths(ssl)
                                  : SSL_CTX_load_verify_file(ssl, ca_file)) == 1;
    if (!loaded) {
        err_set(err, -EINVAL, "no usable certificates of authorities (PEM) in %s: %s",
                ca_file == NULL ? "the system's files" : ca_file, tls_error_text());
        ERR_clear_error();
        SSL_CTX_free(ssl);
        return -EINVAL;
    }
    *ret_context = handle_make(ssl);
    return 0;
}

struct tls_context *tls_context_share(const struct tls_context *context)
{
    struct tls_context *other = memory_alloc(sizeof(*other));
    *other = *context;
    SSL_CTX_up_ref(other->ssl);
    return other;
}

int64_t tls_context_expires_us(const struct tls_context *context)
{
    struct tm end = {.tm_sec = 0};
    const X509 *certificate = SSL_CTX_get0_certificate(context->ssl);
    assert(certificate != NULL); /* a client's context has none */
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1)
        return 0;
    return (int64_t)timegm(&end) * 1000000;
}

void tls_context_destroy(struct tls_context *context)
{
    if (context == NULL)
        return;
    SSL_CTX_free(context->ssl);
    memory_free(context);
}
