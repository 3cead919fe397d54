/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A WebSocket client connection: resolves, connects, shakes hands, gives whole messages, answers
 * pings by itself. One object is one connection; whoever wants it again makes a new one. What is
 * sent while the kernel takes no more is queued up to a limit.
 */
#pragma once

#include "net/proxy.h"
#include "net/tcp.h"
#include "net/tls.h"
#include "net/ws.h"

struct ws_client;

struct ws_client_callbacks {
    void (*on_open)(void *context);
    /* A whole message, UTF-8 checked when text. data is writable, NUL-terminated behind size, with
     * LIMIT_PADDING readable bytes after that; valid during the call. */
    void (*on_message)(void *context, enum ws_opcode opcode, char *data, size_t size);
    /* Every ping and pong that came; pings have been answered already. May be NULL. */
    void (*on_control)(void *context, enum ws_opcode opcode, struct slice payload);
    /* Comes once, also when it never opened: nothing comes after it; destroy it then. close_code:
     * what the peer sent (1005: a close frame without a code), 1006 when it sent no close frame.
     * reason: the peer's, or what went wrong here; valid during the call. */
    void (*on_closed)(void *context, uint16_t close_code, const char *reason);
};

struct ws_client_options {
    /* ws:// or wss://host[:port]/path?query (http:// and https:// mean the same) */
    const char *url;
    /* For wss: whom to trust (a handle is kept). NULL: the system's authorities, which are read
     * anew for this connection (20 ms): who connects again and again brings a context. */
    const struct tls_context *tls;
    size_t message_max;  /* a longer message ends the connection with 1009 */
    size_t queue_max;    /* bytes of output waiting at most; beyond it the connection fails */
    uint32_t connect_ms; /* for address, TCP, TLS and handshake together */
    /* permessage-deflate is offered, and messages come inflated; what is sent stays plain */
    bool deflate;
    /* NULL: straight; borrowed as long as the connection lives. TLS to a proxy whose URL is https
     * trusts whom `tls` does. */
    const struct proxy *proxy;
    const char *bearer; /* as in http_client.h */
};

/* How the peer, or the proxy before it, refused the handshake. */
struct ws_client_refusal {
    unsigned status;       /* of its answer; 0: it was none */
    int64_t retry_after_s; /* its Retry-After (RFC 9110, 10.2.3); -1: none */
    bool proxy;            /* it was the proxy */
};

/* on_closed follows for whatever is wrong but the URL and the system's authorities, which are
 * answered here. url is copied. */
int ws_client_open(struct loop *loop, const struct ws_client_options *options,
                   const struct ws_client_callbacks *callbacks, void *context,
                   struct ws_client **ret_client, struct err *err) MUST_CHECK;

/* After on_open; text, binary, ping or pong. False when it is not open (any more), or the queue is
 * full (the connection is then failing, and on_closed follows). */
bool ws_client_send(struct ws_client *client, enum ws_opcode opcode, struct slice payload);

/* In on_closed. */
void ws_client_refused(const struct ws_client *client, struct ws_client_refusal *ret_refusal);

/* Sends a close frame, waits LIMIT_WS_CLOSE_MS for the peer's at most; on_closed follows, but no
 * message. A reason is cut to 123 bytes. Also before it is open: then it fails. */
void ws_client_close(struct ws_client *client, uint16_t code, const char *reason);

/* At once and silently; NULL is a no-op. Allowed inside its callbacks. */
void ws_client_destroy(struct ws_client *client);

/* While true nothing is read, so the peer is slowed; messages already read still come. */
void ws_client_pause(struct ws_client *client, bool paused);
