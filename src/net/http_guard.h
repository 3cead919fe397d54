/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who holds how many connections, and who must give one up. Connections are counted by address
 * (IPv6: by /64); one that waits for its peer, for a
 * head or to take an answer, stands in its address's queue. When a server is full it
 * closes the one that has waited longest of the address with the most of them (as a power of two),
 * so that a flood meets itself first. And each address has a rate of handshakes.
 *
 * The table is bounded (LIMIT_HTTP_ADDRESSES), in sets of eight. A new address takes the place of
 * the one that has been quiet for the longest, whose rate is forgotten; where all eight of a set
 * hold connections, it shares the limits of the one with the fewest.
 *
 * Thread: the server's. No I/O, no clock: the caller says the time.
 */
#pragma once

#include "net/address.h"

struct http_limits {
    uint32_t connections_per_address; /* that are no WebSocket clients; 0: no limit */
    uint32_t handshake_rate;          /* WebSocket handshakes a second of one address; 0: any */
    uint32_t handshake_burst;         /* so many at once when it was quiet; 0: as the rate */
    uint32_t accept_rate;             /* connections a second of all; 0: any. More are closed */
    uint32_t accept_burst;            /* so many at once when it was quiet; 0: as the rate */
};

struct http_guard;
struct http_guard_address;

struct http_seat {                      /* in a connection */
    struct http_guard_address *address; /* borrowed; NULL: not counted */
    struct http_seat *older;            /* in its address's queue */
    struct http_seat *newer;
    bool waiting;
};

struct http_guard *http_guard_create(const struct http_limits *limits) MUST_CHECK;

/* Every seat must have been left; NULL is a no-op. */
void http_guard_destroy(struct http_guard *guard);

/* Whether one more connection may be made now; takes it off the rate. */
bool http_guard_accept(struct http_guard *guard, int64_t now_ns) MUST_CHECK;

/* Counts a connection. False (and it is not) when its address has as many as it may have; one that
 * is trusted may have any number. */
bool http_guard_enter(struct http_guard *guard, struct http_seat *seat,
                      const struct address *address, bool trusted) MUST_CHECK;
void http_guard_leave(struct http_guard *guard, struct http_seat *seat); /* or never entered */

/* It waits for its peer from now on, or no longer. */
void http_guard_wait(struct http_guard *guard, struct http_seat *seat);
void http_guard_busy(struct http_guard *guard, struct http_seat *seat);

/* The seat whose connection goes first; NULL when none waits. */
struct http_seat *http_guard_victim(const struct http_guard *guard);

/* Whether this address may make a handshake now; takes it off its rate. */
bool http_guard_handshake(struct http_guard *guard, const struct address *address,
                          int64_t now_ns) MUST_CHECK;

/* Connections that are counted for an address now. */
uint32_t http_guard_count(const struct http_guard *guard, const struct address *address);
