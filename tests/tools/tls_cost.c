/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What TLS costs a server of ours, beside plain TCP: CPU of its thread per message sent and per
 * handshake, memory per idle connection. The peers shake hands, and do not
 * decrypt what they are sent.
 *
 *   tls_cost P256.pem P256.key RSA.pem RSA.key
 */
#include "base/clock.h"
#include "net/tcp.h"
#include "net/tls.h"

#include <assert.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

#define PEERS 8
#define IDLE 500
#define LINKS_MAX 4096

struct link {
    struct tcp *tcp;
    struct server *server;
    size_t left; /* bytes to send */
};

struct server {
    struct loop *loop;
    struct waker *waker; /* ends the loop */
    struct tcp_listener *listener;
    struct link links[LINKS_MAX];
    size_t link_count;
    size_t total, part; /* bytes for each connection, and for each send */
    int64_t cpu_us;     /* of its thread, when it has ended */
};

static const char bytes[256 * 1024] = "x";

static void send_more(void *context)
{
    struct link *link = context;
    while (link->left > 0) {
        size_t size = link->left < link->server->part ? link->left : link->server->part;
        size_t sent = tcp_send(link->tcp, bytes, size);
        link->left -= sent;
        if (sent < size)
            return;
    }
    if (link->server->total > 0)
        tcp_shutdown(link->tcp);
}

static void on_data(void *context, char *data, size_t size)
{
    struct link *link = context;
    (void)tcp_send(link->tcp, data, size);
}

static void on_closed(void *context, int error)
{
    struct link *link = context;
    (void)error;
    tcp_destroy(link->tcp);
    link->tcp = NULL;
}

static const struct tcp_callbacks callbacks = {
    .on_data = on_data, .on_writable = send_more, .on_closed = on_closed};

static void on_accept(void *context, struct tcp *tcp)
{
    struct server *server = context;
    struct link *link = &server->links[server->link_count++ % LINKS_MAX];
    assert(link->tcp == NULL);
    *link = (struct link){.tcp = tcp, .server = server, .left = server->total};
    tcp_set_send_buffer(tcp, 256 * 1024);
    tcp_set_callbacks(tcp, &callbacks, link);
    if (link->left > 0)
        send_more(link);
}

static int64_t thread_cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_usec;
}

static void *serve(void *context)
{
    struct server *server = context;
    loop_run(server->loop);
    server->cpu_us = thread_cpu_us();
    for (size_t i = 0; i < LINKS_MAX; i++)
        tcp_destroy(server->links[i].tcp);
    tcp_listener_destroy(server->listener);
    return NULL;
}

static void on_wake(void *context)
{
    loop_stop(context);
}

static pthread_t server_start(struct server *server, const struct tls_context *tls)
{
    struct err err = {.code = 0};
    pthread_t thread;
    server->loop = loop_create();
    server->waker = waker_create_on(server->loop, on_wake, server->loop);
    if (tcp_listen(server->loop, "127.0.0.1:0", on_accept, server, &server->listener, &err) != 0)
        fprintf(stderr, "%s\n", err.text);
    tcp_listener_set_tls(server->listener, tls);
    int failed = pthread_create(&thread, NULL, serve, server);
    assert(failed == 0);
    (void)failed;
    return thread;
}

static void server_stop(struct server *server, pthread_t thread)
{
    waker_wake(server->waker);
    pthread_join(thread, NULL);
    waker_destroy(server->waker);
    loop_destroy(server->loop);
}

/* ---- peers ---- */

static int peer_open(const struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(tcp_listener_port(server->listener)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    int failed = connect(fd, (struct sockaddr *)&address, sizeof(address));
    assert(failed == 0);
    (void)failed;
    return fd;
}

static SSL *peer_shake(SSL_CTX *client, int fd, SSL_SESSION *session)
{
    SSL *ssl = SSL_new(client);
    SSL_set_fd(ssl, fd);
    if (session != NULL)
        SSL_set_session(ssl, session);
    int done = SSL_connect(ssl);
    assert(done == 1);
    (void)done;
    return ssl;
}

static void read_all(struct pollfd *peers)
{
    static char buffer[256 * 1024];
    size_t open = PEERS;
    while (open > 0) {
        poll(peers, PEERS, 10000);
        for (size_t i = 0; i < PEERS; i++) {
            if (peers[i].fd < 0 || peers[i].revents == 0)
                continue;
            if (recv(peers[i].fd, buffer, sizeof(buffer), 0) > 0)
                continue;
            close(peers[i].fd);
            peers[i].fd = -1;
            open--;
        }
    }
}

/* ---- measures ---- */

static void measure_sending(SSL_CTX *client, const struct tls_context *tls, size_t part,
                            size_t total)
{
    static struct server server;
    struct pollfd peers[PEERS];
    server = (struct server){.part = part, .total = total};
    pthread_t thread = server_start(&server, tls);
    int64_t begin_ns = clock_monotonic_ns();
    for (size_t i = 0; i < PEERS; i++) {
        peers[i] = (struct pollfd){.fd = peer_open(&server), .events = POLLIN};
        if (tls != NULL)
            SSL_free(peer_shake(client, peers[i].fd, NULL));
    }
    read_all(peers);
    int64_t wall_us = (clock_monotonic_ns() - begin_ns) / 1000;
    server_stop(&server, thread);
    double messages = (double)PEERS * (double)(total / part);
    printf("send %6zu bytes %-5s: %8.3f us CPU a send, %8.1f MB per CPU second, %.0f MB/s\n", part,
           tls == NULL ? "plain" : "TLS", (double)server.cpu_us / messages,
           PEERS * (double)total / (double)server.cpu_us, PEERS * (double)total / (double)wall_us);
}

static void measure_handshakes(SSL_CTX *client, const struct tls_context *tls, const char *name,
                               bool resume)
{
    static struct server server;
    const int count = 1000;
    SSL_SESSION *session = NULL;
    int resumed = 0;
    server = (struct server){.part = 1};
    pthread_t thread = server_start(&server, tls);
    int64_t begin_ns = clock_monotonic_ns();
    for (int i = 0; i < count; i++) {
        char byte = 'x';
        int fd = peer_open(&server);
        SSL *ssl = peer_shake(client, fd, session);
        int good = SSL_write(ssl, &byte, 1) == 1 && SSL_read(ssl, &byte, 1) == 1;
        assert(good);
        (void)good;
        resumed += SSL_session_reused(ssl);
        if (resume) {
            SSL_SESSION_free(session);
            session = SSL_get1_session(ssl);
        }
        SSL_shutdown(ssl);
        SSL_free(ssl);
        close(fd);
    }
    int64_t wall_us = (clock_monotonic_ns() - begin_ns) / 1000;
    server_stop(&server, thread);
    SSL_SESSION_free(session);
    printf("handshake %-8s %s: %7.1f us CPU each, %6.0f per CPU second (%d of %d resumed; one peer "
           "at a time %.0f/s)\n",
           name, SSL_CTX_get_max_proto_version(client) == TLS1_2_VERSION ? "1.2" : "1.3",
           (double)server.cpu_us / count, count * 1e6 / (double)server.cpu_us, resumed, count,
           count * 1e6 / (double)wall_us);
}

static void measure_memory(SSL_CTX *client, const struct tls_context *tls)
{
    static struct server server;
    static int fds[IDLE];
    server = (struct server){.part = 1};
    pthread_t thread = server_start(&server, tls);
    size_t before = mallinfo2().uordblks;
    for (size_t i = 0; i < IDLE; i++) {
        char byte = 'x';
        fds[i] = peer_open(&server);
        if (tls == NULL)
            continue;
        SSL *ssl = peer_shake(client, fds[i], NULL);
        int good = SSL_write(ssl, &byte, 1) == 1 && SSL_read(ssl, &byte, 1) == 1;
        assert(good);
        (void)good;
        SSL_free(ssl);
        if (i == 0) /* what is made once is not counted */
            before = mallinfo2().uordblks;
    }
    char byte = 'x';
    for (size_t i = 0; i < IDLE && tls == NULL; i++)
        if (send(fds[i], "x", 1, 0) != 1 || recv(fds[i], &byte, 1, 0) != 1)
            return;
    double each = (double)(mallinfo2().uordblks - before) / IDLE;
    printf("idle %-5s: %.0f bytes of memory a connection\n", tls == NULL ? "plain" : "TLS", each);
    for (size_t i = 0; i < IDLE; i++)
        close(fds[i]);
    server_stop(&server, thread);
}

/* Of handshakes that were begun and go no further. */
static void measure_half_open(SSL_CTX *client, const struct tls_context *tls)
{
    /* A record of 512 bytes, a ClientHello. */
    static const char begin[100] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    static struct server server;
    static int fds[IDLE];
    server = (struct server){.part = 1};
    pthread_t thread = server_start(&server, tls);
    size_t before = mallinfo2().uordblks;
    for (size_t i = 0; i < IDLE; i++) {
        fds[i] = peer_open(&server);
        ssize_t sent = send(fds[i], begin, sizeof(begin), 0);
        assert(sent == sizeof(begin));
        (void)sent;
    }
    int last = peer_open(&server);
    SSL_free(peer_shake(client, last, NULL)); /* so all before it have been read */
    printf("half a hello: %.0f bytes of memory a connection\n",
           (double)(mallinfo2().uordblks - before) / IDLE);
    close(last);
    for (size_t i = 0; i < IDLE; i++)
        close(fds[i]);
    server_stop(&server, thread);
}

int main(int argc, char **argv)
{
    struct tls_context *fast = NULL;
    struct tls_context *slow = NULL;
    struct err err = {.code = 0};
    if (argc != 5 || tls_context_create(argv[1], argv[2], NULL, &fast, &err) != 0 ||
        tls_context_create(argv[3], argv[4], NULL, &slow, &err) != 0) {
        fprintf(stderr, "usage: tls_cost P256.pem P256.key RSA.pem RSA.key\n%s\n", err.text);
        return 2;
    }
    static const int versions[] = {TLS1_3_VERSION, TLS1_2_VERSION};
    static const size_t parts[] = {300, 16384, 262144};
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        size_t total = parts[i] * (parts[i] == 300 ? 100000 : (256 << 20) / parts[i]);
        measure_sending(client, NULL, parts[i], total);
        measure_sending(client, fast, parts[i], total);
    }
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        SSL_CTX_set_max_proto_version(client, versions[i]);
        measure_handshakes(client, slow, "RSA-2048", false);
        measure_handshakes(client, fast, "P-256", false);
        measure_handshakes(client, fast, "resumed", true);
    }
    measure_memory(client, NULL);
    measure_memory(client, fast);
    measure_half_open(client, fast);
    SSL_CTX_free(client);
    tls_context_destroy(fast);
    tls_context_destroy(slow);
    return 0;
}
