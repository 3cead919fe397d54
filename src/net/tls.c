/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL between tcp.c and a socket; tls_priv.h says how and why. */
#include "net/tls_priv.h"

#include "base/buffer.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#define RECORD_MAX (16 * KIBIBYTE) /* RFC 8446, section 5.1 */
#define RECORD_HEADER 5
#define HELLO_HEADER (RECORD_HEADER + 4) /* and a message's: its kind, its size in three bytes */
#define HELLO_MAX (16 * KIBIBYTE)        /* ten times what anybody sends; OpenSSL takes 131 KB */
#define KIND_HANDSHAKE 22
#define MAJOR_VERSION 3 /* of every record since SSL 3.0 */
#define KIND_CLIENT_HELLO 1

/* Decrypted bytes go to the front of the buffer whose end holds the encrypted ones. A record of
 * which a part came earlier can make more of them than came now. */
static_assert(2 * LIMIT_TLS_READ + RECORD_MAX <= LIMIT_READ_BUFFER, "they do not meet");
static_assert(LIMIT_TLS_PENDING >= 2 * RECORD_MAX, "a record fits, encrypted, and alerts");

struct tls {
    SSL *ssl;                    /* owned; NULL until the first record is there */
    struct tls *outer;           /* owned; what it is spoken through; NULL: the socket itself */
    struct tls_context *context; /* owned, during the handshake */
    struct buffer pending;       /* encrypted, for the kernel or `outer`; no memory when empty */
    size_t pending_sent;         /* bytes of it that the kernel has taken */
    struct slice input;          /* encrypted, from the kernel; borrowed by tls_read */
    struct tls_waiter waiter;
    int fd;
    int error; /* negative errno of the socket, or 0 */
    enum tls_state state;
    bool client;
    bool begun;             /* the peer has said something */
    size_t awaited;         /* bytes of its hello at which the kernel wakes us; 0: at any */
    bool peer_ended;        /* recv brought 0 */
    bool direct;            /* reads the socket, for the handshake of the one inside */
    bool closing;           /* good-bye has been said: SHUT_WR follows what is pending */
    bool waiting_for_input; /* a message of the peer was cut in the middle */
    char failure[TLS_FAILURE_MAX];
};

/* ---- what OpenSSL reads and writes through ---- */

static size_t socket_send(struct tls *tls, const char *data, size_t size)
{
    ssize_t sent;
    do {
        sent = send(tls->fd, data, size, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
        tls->error = -errno;
    return sent < 0 ? 0 : (size_t)sent;
}

static void keep_pending(struct tls *tls, const char *data, size_t size)
{
    if (tls->pending.data == NULL)
        buffer_init(&tls->pending, LIMIT_TLS_PENDING);
    buffer_append(&tls->pending, data, size);
    if (tls->pending.overflowed)
        tls->error = -ENOBUFS; /* a peer that makes us answer and does not read the answers */
}

/* All or nothing, as SSL_write is. */
static size_t outer_send(struct tls *tls, const char *data, size_t size)
{
    struct tls *outer = tls->outer;
    size_t sent = 0;
    int result = SSL_write_ex(outer->ssl, data, size, &sent);
    if (result == 1)
        return sent;
    /* See send_record: half a message of the peer must be read to its end first. */
    if (SSL_get_error(outer->ssl, result) == SSL_ERROR_WANT_READ)
        tls->waiting_for_input = true;
    else
        tls->error = outer->error != 0 ? outer->error : -EPROTO;
    return 0;
}

static int on_write(BIO *bio, const char *data, int size)
{
    struct tls *tls = BIO_get_data(bio);
    size_t sent = 0;
    BIO_clear_retry_flags(bio);
    if (tls->pending.data == NULL && tls->outer != NULL)
        sent = outer_send(tls, data, (size_t)size);
    else if (tls->pending.data == NULL)
        sent = socket_send(tls, data, (size_t)size);
    if (tls->error == 0 && sent < (size_t)size)
        keep_pending(tls, data + sent, (size_t)size - sent);
    return tls->error == 0 ? size : -1;
}

static int read_input(struct tls *tls, char *out, size_t size)
{
    size_t part = tls->input.size < size ? tls->input.size : size;
    if (part == 0)
        return -1;
    memcpy(out, tls->input.data, part);
    tls->input.data += part;
    tls->input.size -= part;
    return (int)part;
}

static ssize_t socket_receive(struct tls *tls, char *out, size_t size)
{
    ssize_t got;
    do {
        got = recv(tls->fd, out, size, 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
        tls->error = -errno;
    tls->peer_ended = got == 0;
    return got;
}

/* As recv: 0 is the end, however the outer one ended. */
static int outer_receive(struct tls *tls, char *out, size_t size)
{
    struct tls *outer = tls->outer;
    size_t got = 0;
    outer->direct = tls->state == TLS_SHAKING;
    int result = SSL_read_ex(outer->ssl, out, size, &got);
    if (result == 1)
        return (int)got;
    int why = SSL_get_error(outer->ssl, result);
    if (why == SSL_ERROR_WANT_READ)
        return -1;
    tls->peer_ended = why == SSL_ERROR_ZERO_RETURN || outer->peer_ended;
    if (!tls->peer_ended)
        tls->error = outer->error != 0 ? outer->error : -EPROTO;
    else
        ERR_clear_error();
    return tls->peer_ended ? 0 : -1;
}

static int on_read(BIO *bio, char *out, int size)
{
    struct tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    int got;
    if (tls->outer != NULL)
        got = outer_receive(tls, out, (size_t)size);
    else if (tls->state == TLS_SHAKING || tls->direct)
        got = (int)socket_receive(tls, out, (size_t)size);
    else
        got = read_input(tls, out, (size_t)size);
    if (got < 0 && tls->error == 0)
        BIO_set_retry_read(bio);
    return got;
}

static long on_control(BIO *bio, int command, long number, void *pointer)
{
    (void)number;
    (void)pointer;
    const struct tls *tls = BIO_get_data(bio);
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1; /* nothing is kept back */
    case BIO_CTRL_EOF:
        return tls->peer_ended;
    default:
        return 0;
    }
}

static BIO_METHOD *method; /* written once, kept as long as the process */

static void method_make(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "tickwire socket");
    assert(method != NULL);
    BIO_meth_set_write(method, on_write);
    BIO_meth_set_read(method, on_read);
    BIO_meth_set_ctrl(method, on_control);
}

/* ---- lives ---- */

static void ssl_make(struct tls *tls)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, method_make);
    ERR_clear_error();
    tls->ssl = SSL_new(tls->context->ssl);
    BIO *bio = BIO_new(method);
    assert(tls->ssl != NULL && bio != NULL); /* out of memory, like base/memory.h */
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio); /* takes it */
    if (tls->client)
        SSL_set_connect_state(tls->ssl);
    else
        SSL_set_accept_state(tls->ssl);
}

static struct tls *tls_make(const struct tls_context *context, int fd)
{
    assert(fd >= 0);
    struct tls *tls = memory_alloc(sizeof(*tls));
    tls->context = tls_context_share(context);
    tls->fd = fd;
    return tls;
}

struct tls *tls_create_server(const struct tls_context *context, int fd)
{
    return tls_make(context, fd);
}

struct tls *tls_create_client(const struct tls_context *context, int fd, const char *host)
{
    struct tls *tls = tls_make(context, fd);
    struct in6_addr address; /* of the two kinds the larger one */
    tls->client = true;
    ssl_make(tls);
    bool number =
        inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
    int done;
    if (number) { /* has no name to ask for (RFC 6066, section 3) */
        done = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls->ssl), host);
    } else {
        SSL_set_hostflags(tls->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        done = SSL_set1_host(tls->ssl, host) == 1 && SSL_set_tlsext_host_name(tls->ssl, host) == 1;
    }
    assert(done == 1); /* else it would accept whoever answers */
    return tls;
}

void tls_put_inside(struct tls *tls, struct tls *outer)
{
    assert(tls->outer == NULL && outer->outer == NULL && outer->state != TLS_SHAKING);
    tls->outer = outer;
}

static void count(const struct tls *tls, enum tls_result result)
{
    struct metric *metric = tls->context->results[result];
    if (metric != NULL && tls->begun)
        metric_add(metric, 1);
}

static void pending_drop(struct tls *tls)
{
    if (tls->pending.data != NULL)
        buffer_release(&tls->pending);
    tls->pending_sent = 0;
}

void tls_destroy(struct tls *tls)
{
    if (tls == NULL)
        return;
    if (tls->state == TLS_SHAKING)
        count(tls, TLS_RESULT_FAILED);
    tls_flush(tls);
    if (!tls_is_pending(tls))
        tls_shutdown(tls);
    struct tls *owned[] = {tls, tls->outer};
    for (size_t i = 0; i < COUNT_OF(owned) && owned[i] != NULL; i++) {
        SSL_free(owned[i]->ssl);
        tls_context_destroy(owned[i]->context);
        pending_drop(owned[i]);
        memory_free(owned[i]);
    }
    ERR_clear_error();
}

enum tls_state tls_state(const struct tls *tls)
{
    return tls->state;
}

int tls_error(const struct tls *tls)
{
    assert(tls->state == TLS_FAILED);
    return tls->error;
}

const char *tls_failure(const struct tls *tls)
{
    return tls->failure;
}

struct tls_waiter *tls_waiter(struct tls *tls)
{
    return &tls->waiter;
}

/* ---- failing ---- */

static void describe_failure(struct tls *tls)
{
    long verified = SSL_get_verify_result(tls->ssl);
    if (tls->client && verified != X509_V_OK)
        snprintf(tls->failure, sizeof(tls->failure), "certificate verify failed: %s",
                 X509_verify_cert_error_string(verified));
    else if (tls->peer_ended)
        snprintf(tls->failure, sizeof(tls->failure), "the peer closed during the TLS handshake");
    else if (tls->error != 0)
        snprintf(tls->failure, sizeof(tls->failure), "TLS failed: %s", strerror(-tls->error));
    else
        snprintf(tls->failure, sizeof(tls->failure), "TLS failed: %s", tls_error_text());
}

/* OpenSSL has sent the peer an alert, where there was one to send. */
static void fail(struct tls *tls)
{
    describe_failure(tls);
    if (tls->error == 0)
        tls->error = tls->peer_ended ? -ECONNRESET : -EPROTO;
    tls->state = TLS_FAILED;
    ERR_clear_error();
}

/* ---- the handshake ---- */

/* Who speaks HTTP here gets to read why that does not work. */
static void answer_plain_request(struct tls *tls)
{
    static const char answer[] =
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\n"
        "Content-Length: 104\r\nConnection: close\r\n\r\n"
        "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,"
        "\"detail\":\"only https and wss are served here\"}\n";
    char rest[4 * KIBIBYTE];
    /* To close over unread input could take the answer with it. */
    (void)recv(tls->fd, rest, sizeof(rest), MSG_DONTWAIT);
    (void)socket_send(tls, answer, sizeof(answer) - 1);
}

static void handshake_failed(struct tls *tls)
{
    count(tls, TLS_RESULT_FAILED);
    if (!tls->client && ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST)
        answer_plain_request(tls);
    fail(tls);
}

/* True when it has to be waited for: not twice for the same, which the kernel may not grant. */
static bool await_input(struct tls *tls, size_t size)
{
    const int low = (int)size;
    if (tls->awaited >= size)
        return false;
    tls->awaited = size;
    return setsockopt(tls->fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)) == 0;
}

enum hello { HELLO_AWAITED, HELLO_THERE, HELLO_TOO_LONG };

/*
 * A handshake costs OpenSSL 70 KB and more from its first byte on, 200 KB where a long message is
 * announced. So a server looks first, without taking it, whether the first record is there as a
 * whole; until then a peer costs a few hundred bytes. What is no hello at all is OpenSSL's to say.
 */
static enum hello look_for_hello(struct tls *tls)
{
    uint8_t head[HELLO_HEADER] = {0};
    int there = 0;
    ssize_t got = recv(tls->fd, head, sizeof(head), MSG_PEEK);
    tls->begun = tls->begun || got > 0;
    if (got <= 0 || head[0] != KIND_HANDSHAKE)
        return HELLO_THERE;
    if ((size_t)got < sizeof(head))
        return await_input(tls, sizeof(head)) ? HELLO_AWAITED : HELLO_THERE;
    if (head[1] != MAJOR_VERSION || head[5] != KIND_CLIENT_HELLO)
        return HELLO_THERE; /* and no good one: OpenSSL says so at once */
    size_t record = RECORD_HEADER + ((size_t)head[3] << 8 | head[4]);
    size_t message = (size_t)head[6] << 16 | (size_t)head[7] << 8 | head[8];
    if (message > HELLO_MAX)
        return HELLO_TOO_LONG;
    if (record > RECORD_HEADER + RECORD_MAX || ioctl(tls->fd, FIONREAD, &there) != 0)
        return HELLO_THERE;
    return (size_t)there < record && await_input(tls, record) ? HELLO_AWAITED : HELLO_THERE;
}

/* False when the handshake can't begin yet, or never. */
static bool begin(struct tls *tls)
{
    const int any = 1;
    switch (look_for_hello(tls)) {
    case HELLO_AWAITED:
        return false;
    case HELLO_TOO_LONG:
        count(tls, TLS_RESULT_FAILED);
        tls->error = -EPROTO;
        tls->state = TLS_FAILED;
        return false;
    case HELLO_THERE:
        break;
    }
    if (tls->awaited > 0)
        (void)setsockopt(tls->fd, SOL_SOCKET, SO_RCVLOWAT, &any, sizeof(any));
    ssl_make(tls);
    return true;
}

enum tls_state tls_shake(struct tls *tls)
{
    assert(tls->state == TLS_SHAKING);
    if (tls->ssl == NULL && !begin(tls))
        return tls->state;
    tls->waiting_for_input = false;
    ERR_clear_error();
    int done = SSL_do_handshake(tls->ssl);
    if (done == 1) {
        count(tls, SSL_session_reused(tls->ssl) ? TLS_RESULT_RESUMED : TLS_RESULT_OK);
        tls->state = TLS_OPEN;
    } else if (SSL_get_error(tls->ssl, done) != SSL_ERROR_WANT_READ) {
        handshake_failed(tls);
    }
    if (tls->state != TLS_SHAKING) {
        tls_context_destroy(tls->context);
        tls->context = NULL;
    }
    return tls->state;
}

/* ---- reading ---- */

/* The one that speaks to the socket. */
static struct tls *outermost(struct tls *tls)
{
    return tls->outer != NULL ? tls->outer : tls;
}

bool tls_has_unread(const struct tls *tls)
{
    return tls->state == TLS_OPEN && tls->outer != NULL && SSL_has_pending(tls->outer->ssl);
}

/* False when there is nothing to be decrypted. */
static bool receive(struct tls *tls, char *buffer)
{
    struct tls *base = outermost(tls);
    char *encrypted = buffer + LIMIT_READ_BUFFER - LIMIT_TLS_READ;
    bool unread = tls_has_unread(tls);
    ssize_t got = socket_receive(base, encrypted, LIMIT_TLS_READ);
    tls->error = base->error;
    if (got > 0)
        base->input = (struct slice){.data = encrypted, .size = (size_t)got};
    else if (got == 0) /* without good-bye: whatever is spoken inside has ends of its own */
        tls->state = TLS_ENDED;
    else if (tls->error != 0)
        fail(tls);
    return got > 0 || (unread && tls->state == TLS_OPEN);
}

static void read_ended(struct tls *tls, int result)
{
    int why = SSL_get_error(tls->ssl, result);
    bool used = outermost(tls)->input.size == 0;
    bool cut = tls->outer != NULL && tls->peer_ended; /* by the outer one's good-bye */
    outermost(tls)->input = (struct slice){.data = NULL};
    if (why == SSL_ERROR_ZERO_RETURN || cut)
        tls->state = TLS_ENDED; /* what is behind the good-bye is nobody's */
    else if (why != SSL_ERROR_WANT_READ || !used)
        fail(tls);
}

size_t tls_read(struct tls *tls, char *buffer)
{
    size_t space = LIMIT_READ_BUFFER - LIMIT_TLS_READ;
    size_t size = 0;
    int result;
    assert(tls->state == TLS_OPEN);
    tls->waiting_for_input = false;
    if (!receive(tls, buffer))
        return 0;
    if (tls->outer != NULL)
        tls->outer->direct = false;
    ERR_clear_error();
    do {
        size_t part = 0;
        assert(size < space);
        result = SSL_read_ex(tls->ssl, buffer + size, space - size, &part);
        size += part;
    } while (result == 1);
    read_ended(tls, result);
    return size;
}

/* ---- sending ---- */

bool tls_is_pending(const struct tls *tls)
{
    return tls->pending.data != NULL || (tls->outer != NULL && tls->outer->pending.data != NULL);
}

bool tls_wants_write(const struct tls *tls)
{
    bool to_kernel = (tls->outer != NULL ? tls->outer : tls)->pending.data != NULL;
    return to_kernel || (tls->pending.data != NULL && !tls->waiting_for_input);
}

bool tls_is_waiting_for_input(const struct tls *tls)
{
    return tls->waiting_for_input;
}

/* What is pending at this one, to the kernel or into the outer one. */
static void flush_one(struct tls *tls)
{
    struct buffer *pending = &tls->pending;
    if (pending->data == NULL)
        return;
    const char *data = pending->data + tls->pending_sent;
    size_t size = pending->size - tls->pending_sent;
    ERR_clear_error();
    tls->pending_sent +=
        tls->outer != NULL ? outer_send(tls, data, size) : socket_send(tls, data, size);
    if (tls->error == 0 && tls->pending_sent == pending->size)
        pending_drop(tls);
}

void tls_flush(struct tls *tls)
{
    struct tls *base = outermost(tls);
    if (!tls_is_pending(tls) || tls->state == TLS_FAILED)
        return;
    flush_one(base);
    if (base != tls && base->error == 0 && base->pending.data == NULL)
        flush_one(tls);
    tls->error = tls->error != 0 ? tls->error : base->error;
    if (tls->error != 0)
        fail(tls);
    else if (tls->closing && !tls_is_pending(tls))
        (void)shutdown(tls->fd, SHUT_WR);
}

/* Returns the bytes taken: all, or none. */
static size_t send_record(struct tls *tls, const char *data, size_t size)
{
    size_t taken = 0;
    ERR_clear_error();
    int result = SSL_write_ex(tls->ssl, data, size, &taken);
    if (result == 1)
        return taken;
    /* It never waits for the kernel; but where the peer's message (a ticket, new keys) has come by
     * half, OpenSSL wants the rest first. */
    if (SSL_get_error(tls->ssl, result) == SSL_ERROR_WANT_READ)
        tls->waiting_for_input = true;
    else
        fail(tls);
    return 0;
}

size_t tls_send(struct tls *tls, const void *data, size_t size)
{
    const char *bytes = data;
    size_t taken = 0;
    if (tls->closing) {
        tls->error = -EPIPE;
        fail(tls);
    }
    tls_flush(tls);
    while (taken < size && tls->state != TLS_FAILED && !tls_is_pending(tls)) {
        size_t part = size - taken < RECORD_MAX ? size - taken : RECORD_MAX;
        size_t sent = send_record(tls, bytes + taken, part);
        if (sent == 0)
            break;
        taken += sent;
    }
    return taken;
}

void tls_shutdown(struct tls *tls)
{
    if (tls->closing)
        return;
    bool open = tls->state == TLS_OPEN || tls->state == TLS_ENDED;
    tls->closing = true;
    ERR_clear_error();
    if (open && SSL_shutdown(tls->ssl) < 0)
        ERR_clear_error(); /* then without good-bye */
    if (tls->outer != NULL && SSL_shutdown(tls->outer->ssl) < 0)
        ERR_clear_error();
    if (!tls_is_pending(tls))
        (void)shutdown(tls->fd, SHUT_WR);
}
