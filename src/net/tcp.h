/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP listeners and connections on a loop. A connection has no output queue: tcp_send takes what
 * the kernel takes, and on_writable tells when to go on; so whoever has a message log sends
 * straight from it. A connection with TLS behaves the same: what tcp_send has taken is encrypted
 * and on its way (at most LIMIT_TLS_PENDING of it waits here for the kernel), and what is sent next
 * may be anything. It takes nothing before its handshake is over.
 *
 * Callbacks run on the loop's thread. Inside any of them the connection may be destroyed or handed
 * over.
 */
#pragma once

#include "base/err.h"
#include "base/limits.h"
#include "net/loop.h"

struct tcp;
struct tcp_listener;
struct tls;         /* a connection's, opaque to all but net/ */
struct tls_context; /* net/tls.h */

struct tcp_callbacks {
    /* Bytes arrived. `data` is the loop's own buffer: writable, NUL-terminated behind `size`, with
     * LIMIT_PADDING readable bytes after that, valid during the call. */
    void (*on_data)(void *context, char *data, size_t size);
    /* After tcp_send took less than all: it will take more now. May be NULL. */
    void (*on_writable)(void *context);
    /* The peer closed (0) or the connection failed (negative errno; -EPROTO: what it sent is not
     * TLS, or not good TLS). Nothing is called after it;
     * destroy it then. (Only who goes on sending after a 0, because the peer may have closed its
     * half alone, can get on_writable and one more on_closed, with an error.) */
    void (*on_closed)(void *context, int error);
};

/* ---- listening ---- */

/* A new connection; the callee owns it: sets callbacks, or destroys it. */
typedef void tcp_accept_fn(void *context, struct tcp *tcp);

/*
 * address: "0.0.0.0:8080", "[::]:8080" (IPv4 as well), "127.0.0.1:0". Fails with -EADDRINUSE when
 * another process has the port, always. While the process has no file descriptor left, connections
 * are turned away: one at once, the others wait 100 ms in the kernel, and so on.
 */
int tcp_listen(struct loop *loop, const char *address, tcp_accept_fn *on_accept, void *context,
               struct tcp_listener **ret_listener, struct err *err) MUST_CHECK;
uint16_t tcp_listener_port(const struct tcp_listener *listener);

/* From the next connection on TLS is spoken, with this context (of which a handle is kept); NULL:
 * plain again. Connections that are there keep what they have. Handshakes go on inside the loop, in
 * the time that whoever owns the connection gives it: on_data comes after it, on_closed when it
 * fails (which METRIC_TLS_HANDSHAKES counts). A plain HTTP request is answered 400. */
void tcp_listener_set_tls(struct tcp_listener *listener, const struct tls_context *context);

void tcp_listener_destroy(struct tcp_listener *listener); /* NULL is a no-op */

/* ---- connecting ---- */

typedef void tcp_connected_fn(void *context, int error,
                              const char *error_text); /* error 0: connected */

/*
 * Resolves, connects to the first address that answers, within timeout_ms: the next one is tried
 * when one fails, or beside it when it has not answered for 250 ms (RFC 8305), IPv6 and IPv4 by
 * turns, LIMIT_CONNECT_ADDRESSES at most. on_connected comes exactly once, later, unless the
 * connection is destroyed before.
 */
struct tcp *tcp_connect(struct loop *loop, const char *host, uint16_t port, uint32_t timeout_ms,
                        tcp_connected_fn *on_connected, void *context) MUST_CHECK;

/* Shakes hands with `host`, whose certificate must be good for that name, or address. on_connected
 * comes exactly once more, later, unless the connection is destroyed before; this has no time limit
 * of its own. -EPROTO: the certificate was not accepted, or the peer speaks something else. A
 * handle of the context is kept. Before: on_connected, and what was agreed in the plain; callbacks
 * that were set for that are not called any more, and are set anew when it is done. May be done
 * twice: then the second TLS is inside the first (a tunnel through a proxy with TLS). */
void tcp_start_tls(struct tcp *tcp, const struct tls_context *context, const char *host,
                   tcp_connected_fn *on_connected, void *on_connected_context);

/* ---- a connection ---- */

/* From now on these (borrowed, as long as the connection lives) are called; reading starts with the
 * first call. */
void tcp_set_callbacks(struct tcp *tcp, const struct tcp_callbacks *callbacks, void *context);

/* Bytes the kernel took: 0 to size. Less than size: on_writable will come. A broken connection
 * takes nothing and on_closed will come. */
size_t tcp_send(struct tcp *tcp, const void *data, size_t size);

/* Sends no more: the peer sees the end of the data (with TLS: close_notify before it), and may go
 * on sending. What tcp_send has taken still goes out. */
void tcp_shutdown(struct tcp *tcp);

/* What the kernel may hold of what the peer has not read, roughly, in bytes. Without it, megabytes.
 */
void tcp_set_send_buffer(struct tcp *tcp, size_t size);

/* Stops and resumes reading: what is not read stays in the kernel and slows the peer. */
void tcp_read_pause(struct tcp *tcp, bool paused);

/* "192.0.2.1:5678" or "[2001:db8::1]:5678"; terminated. */
void tcp_peer(const struct tcp *tcp, char *out, size_t out_size);

struct loop *tcp_loop(const struct tcp *tcp);

/* ---- from one thread's loop to another's ---- */

/* A connection between two loops. A value that is moved, never copied: one owner, in any thread. */
struct tcp_socket {
    int fd;
    struct tls *tls; /* NULL: plain */
};

/* Takes an established connection off its loop and ends the object; no callback comes any more.
 * Allowed inside its callbacks. What the peer sent and nobody read stays in the kernel; a TLS
 * handshake may be under way and goes on. */
struct tcp_socket tcp_detach(struct tcp *tcp) MUST_CHECK;

/* Takes it over, on the thread of `loop`; its callbacks are set next. NULL: the system cannot watch
 * it (too much is being watched), and it is closed. */
struct tcp *tcp_attach(struct loop *loop, struct tcp_socket socket) MUST_CHECK;

/* Instead of tcp_attach: nobody wants it any more. */
void tcp_socket_close(struct tcp_socket socket);

/* Closes at once; NULL is a no-op. What tcp_send has taken still goes out, unless the peer has sent
 * something that was not read, or it is TLS and the kernel takes no more: who cares for the last
 * bytes calls tcp_shutdown and waits for on_closed. */
void tcp_destroy(struct tcp *tcp);
