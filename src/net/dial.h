/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a URL to a connection that is ready to be spoken on: resolves, connects, through a proxy
 * when that serves the host (CONNECT, RFC 9110, section 9.3.6; over TLS when the proxy's URL says
 * so), and shakes hands where the URL wants TLS. For the clients of this folder. Its time limit is
 * its owner's: whoever tires of it asks dial_late and destroys it. Thread: its loop's.
 */
#pragma once

#include "net/proxy.h"
#include "net/tcp.h"
#include "net/tls.h"
#include "net/url.h"

struct dial;

struct dial_options {
    const struct url *url;         /* copied */
    const struct tls_context *tls; /* for the host, and a proxy with TLS; NULL: the system's */
    const struct proxy *proxy;     /* NULL: straight; borrowed as long as it dials */
    uint32_t timeout_ms;           /* of the look-up and TCP alone */
};

struct dial_result {
    struct tcp *tcp;       /* the callee's from now on; NULL: it failed */
    const char *reason;    /* of a failure: a sentence with host or proxy in front */
    unsigned proxy_status; /* of a failure: what the proxy answered; 0: it did not */
    int64_t retry_after_s; /* and its Retry-After; -1: none */
    /* What came through a tunnel to a host without TLS before anything was asked; in the loop's
     * buffer, like what tcp's on_data brings; NULL: nothing */
    char *early;
    size_t early_size;
};

/* Once, later, unless it is destroyed before; it may be destroyed inside. What result points to is
 * valid during the call. */
typedef void dial_done_fn(void *context, const struct dial_result *result);

/* Only the system's authorities, when they can't be read, are answered here. */
int dial_start(struct loop *loop, const struct dial_options *options, dial_done_fn *on_done,
               void *context, struct dial **ret_dial, struct err *err) MUST_CHECK;

/* What has not been done until now, for an error: "example.com:443: not connected", terminated. */
void dial_late(const struct dial *dial, char *out, size_t out_size);

/* NULL is a no-op. A connection that was handed over is not touched. */
void dial_destroy(struct dial *dial);
