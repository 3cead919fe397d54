/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL keeps a record in memory of its own, which epoll does not see: a receive goes on until
 * there is nothing more or the caller's room is used up. */
#include "bench/channel.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static SSL_CTX *context_of(struct channel_tls *tls)
{
    return (SSL_CTX *)tls;
}

struct channel_tls *channel_tls_create(void)
{
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL)
        return NULL;
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_read_ahead(context, 1); /* one system call instead of two a record */
    return (struct channel_tls *)context;
}

void channel_tls_destroy(struct channel_tls *tls)
{
    SSL_CTX_free(context_of(tls));
}

void channel_open(struct channel *channel, int fd, struct channel_tls *tls)
{
    channel->fd = fd;
    channel->tls = tls == NULL ? NULL : SSL_new(context_of(tls));
    if (channel->tls != NULL)
        SSL_set_fd(channel->tls, fd);
}

void channel_close(struct channel *channel)
{
    SSL_free(channel->tls);
    channel->tls = NULL;
    if (channel->fd >= 0)
        close(channel->fd);
    channel->fd = -1;
}

int channel_secure(struct channel *channel, bool *ret_wants_write)
{
    *ret_wants_write = false;
    if (channel->tls == NULL)
        return 0;
    ERR_clear_error();
    int done = SSL_connect(channel->tls);
    if (done == 1)
        return 0;
    int why = SSL_get_error(channel->tls, done);
    *ret_wants_write = why == SSL_ERROR_WANT_WRITE;
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? -EAGAIN : -EPROTO;
}

static ssize_t tls_receive(struct channel *channel, char *out, size_t size)
{
    size_t got = 0;
    while (got < size) {
        size_t more = 0;
        ERR_clear_error();
        int read = SSL_read_ex(channel->tls, out + got, size - got, &more);
        if (read == 1) {
            got += more;
            continue;
        }
        int why = SSL_get_error(channel->tls, read);
        if (got > 0) /* whatever it is, the next receive meets it again */
            break;
        if (why == SSL_ERROR_ZERO_RETURN)
            return 0;
        return why == SSL_ERROR_WANT_READ ? -EAGAIN : -ECONNRESET;
    }
    return (ssize_t)got;
}

ssize_t channel_receive(struct channel *channel, char *out, size_t size)
{
    if (channel->tls != NULL)
        return tls_receive(channel, out, size);
    ssize_t got = recv(channel->fd, out, size, 0);
    if (got < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    return got;
}

int channel_send(struct channel *channel, const char *data, size_t size)
{
    if (channel->tls != NULL) {
        ERR_clear_error();
        size_t sent = 0;
        return SSL_write_ex(channel->tls, data, size, &sent) == 1 ? 0 : -EPIPE;
    }
    ssize_t sent = send(channel->fd, data, size, MSG_NOSIGNAL);
    if (sent < 0)
        return -errno;
    return (size_t)sent == size ? 0 : -EPIPE;
}
