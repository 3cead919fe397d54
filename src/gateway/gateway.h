/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients: the handshake at /ws/exchange, hello, snapshot, resume, the live stream, heartbeats, the
 * slow, and discovery at /ws/info. A client is a cursor into the journal and a few bytes of its
 * own: every message was encoded and framed once, and goes from the journal straight to the kernel.
 * Joiners share one immutable snapshot blob.
 *
 * What a client is owed, in this order, always cut at frame boundaries only:
 * - pending: its own frames (hello, pong, close, heartbeat), the rest of a frame cut by a short
 * write
 * - blob: hello, snapshot messages, snapshot_end up to q
 * - journal: from q + 1 on
 *
 * Bounds: pending is at most one record and LIMIT_CLIENT_PENDING; above that the client is not read
 * from. A client further behind than max_lag, or than the journal, is slow: it is moved ahead
 * (`skipped`, hello, snapshot), or closed with 1008. Thread: its loop's, which is the journal's.
 */
#pragma once

#include "keeper/keeper.h"
#include "net/http_server.h"

struct gateway;

struct gateway_options {
    struct loop *loop;          /* borrowed, like all below */
    struct http_server *server; /* gets the routes /ws/exchange and /ws/info */
    struct journal *journal;
    struct keeper *keeper;
    const char *node;             /* id; JSON-safe */
    const char *public_url;       /* "" : from the request's Host */
    bool simulated;               /* hello says so */
    const char *const *exchanges; /* names collected, NULL-terminated */
    uint32_t heartbeat_ms;
    uint32_t max_lag_ms;
    bool disconnect_slow; /* else a slow client is moved ahead */
    uint32_t clients_max;
    uint32_t clients_per_address_max;
    size_t send_buffer; /* bytes given to the kernel in one send */
};

struct gateway *gateway_create(const struct gateway_options *options) MUST_CHECK;

/* Ends every connection at once. */
void gateway_destroy(struct gateway *gateway);

size_t gateway_clients(const struct gateway *gateway);

/*
 * Tells every client `draining`, each with its own time, spread so that they do not all come back
 * elsewhere at once; a client is closed with 1001 when its time has come and it has everything, and
 * all are at within_ms. New ones are refused (503).
 */
void gateway_drain(struct gateway *gateway, uint32_t within_ms);
