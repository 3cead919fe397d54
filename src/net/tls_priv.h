/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS over one socket, for tcp.c alone.
 *
 * OpenSSL reads and writes through two functions of ours. What it writes goes to the kernel at
 * once; what the kernel does not take waits in `pending`, and while anything waits there nothing
 * more is encrypted. So tls_send has taken a byte when it is encrypted for good, and never depends
 * on what it is called with next (SSL_write on a socket would want the same bytes again). What
 * waits is a record (16 KiB), a handshake's flight, or answers to what the peer made us answer:
 * LIMIT_TLS_PENDING at most, beyond it the connection fails. The memory is there only while
 * something waits.
 *
 * Reading, OpenSSL is given what one recv has brought and hands out all that is whole in it; so
 * there are never decrypted bytes that nobody has been told about, and readiness of the socket says
 * all. Only during the handshake it reads from the socket, record by record: what comes behind the
 * handshake stays in the kernel until somebody wants it. (One inside another: see tls_has_unread.)
 */
#pragma once

#include "base/metrics.h"
#include "net/tcp.h"
#include "net/tls.h"

#include <openssl/ssl.h>

#define TLS_FAILURE_MAX 160

enum tls_result { TLS_RESULT_OK, TLS_RESULT_RESUMED, TLS_RESULT_FAILED, TLS_RESULT_COUNT };

struct tls_context {
    SSL_CTX *ssl;                             /* shared */
    struct metric *results[TLS_RESULT_COUNT]; /* a server's; NULL for a client */
};

enum tls_state {
    TLS_SHAKING, /* nothing can be sent or read */
    TLS_OPEN,
    TLS_ENDED, /* the peer sends no more; sending goes on */
    TLS_FAILED /* for good; `tls_error` says why */
};

struct tls;

/* Of an accepted, non-blocking socket, which stays the caller's. Of the context a handle is kept
 * until the handshake is over. A server's side takes memory for OpenSSL when the first record is
 * there.
 */
struct tls *tls_create_server(const struct tls_context *context, int fd) MUST_CHECK;

/* Of a connected one. host: the name, or address, that the certificate must be for. */
struct tls *tls_create_client(const struct tls_context *context, int fd,
                              const char *host) MUST_CHECK;

/* Just made, `tls` is spoken inside of `outer`, a client's whose handshake is over, and owns it: in
 * the tunnel through a proxy that speaks TLS itself. Both have the same socket. Where `outer` has
 * ended or failed meanwhile, with the very bytes that granted the tunnel, the handshake fails. */
void tls_put_inside(struct tls *tls, struct tls *outer);

/* Says good-bye to the peer, if the kernel takes it. NULL is a no-op. */
void tls_destroy(struct tls *tls);

enum tls_state tls_state(const struct tls *tls);

/* Negative errno, and a sentence, when it failed. */
int tls_error(const struct tls *tls);
const char *tls_failure(const struct tls *tls);

/* Goes on with the handshake with what has come; it may be over then. */
enum tls_state tls_shake(struct tls *tls);

/*
 * One recv, and all that is whole after it, decrypted to `buffer` (LIMIT_READ_BUFFER bytes):
 * returns how many bytes that is; may be 0. Afterwards tls_state tells whether more can come.
 */
size_t tls_read(struct tls *tls, char *buffer);

/* Bytes taken; fewer than size when the kernel takes no more (tls_wants_write tells when to go on),
 * or it failed. */
size_t tls_send(struct tls *tls, const void *data, size_t size);

/* Encrypted bytes wait: call tls_flush when the kernel takes some, as tls_wants_write says. */
bool tls_is_pending(const struct tls *tls);
bool tls_wants_write(const struct tls *tls);
void tls_flush(struct tls *tls);

/* Bytes are here, and not in the kernel, that tls_read would bring: one that is inside another may
 * have got them with its handshake's last record. */
bool tls_has_unread(const struct tls *tls);

/* tls_send has to wait for what the peer sends (its message was cut), not for the kernel. */
bool tls_is_waiting_for_input(const struct tls *tls);

/* Tells the peer that no more comes, behind all that was taken, and ends the socket's sending. */
void tls_shutdown(struct tls *tls);

/* Whom to tell when a client's handshake is over; for tcp_start_tls. */
struct tls_waiter {
    tcp_connected_fn *on_connected; /* NULL: nobody */
    void *context;
};

struct tls_waiter *tls_waiter(struct tls *tls);

/* Why OpenSSL's last call in this thread failed. */
const char *tls_error_text(void);
