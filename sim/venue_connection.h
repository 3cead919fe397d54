/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One WebSocket connection to a venue. Messages of data go through the faults: they may be dropped,
 * doubled, delayed or exchanged. Answers do not. What waits for a client that does not read is at
 * most CONNECTION_OUT_MAX; beyond it the connection is cut. Pings, idle time, the number of
 * messages and the lifetime are watched here, by the venue's limits.
 *
 * A connection may be closed or cut inside any callback: it then lives until the loop's turn ends,
 * and takes nothing more. Thread: the loop's.
 */
#pragma once

#include "sim/venue.h"

#define CONNECTION_OUT_MAX (16 * MEBIBYTE)
#define CONNECTIONS_MAX 1024 /* of all venues */

struct tcp;

/* The venue's own struct (connection_size). */
void *venue_connection_own(struct venue_connection *connection);
struct venue_run *venue_connection_run(const struct venue_connection *connection);

/* The connections of a venue that are open: the first one for NULL, else the next; NULL ends. None
 * is added or freed while one goes through them. */
struct venue_connection *venue_connection_next(const struct venue_run *run,
                                               struct venue_connection *previous);

/* Data about a market (NULL: of all), sent as text or binary as the venue does. Copied. */
void venue_connection_send(struct venue_connection *connection, const struct market *market,
                           enum channel channel, struct slice message);

/* The same, but not before `delay_ms` have gone by; order is kept among all data that waits. */
void venue_connection_send_after(struct venue_connection *connection, const struct market *market,
                                 enum channel channel, struct slice message, uint32_t delay_ms);

/* An answer: no fault touches it. Text or binary as the caller says; delay_ms 0: at once. */
void venue_connection_answer(struct venue_connection *connection, struct slice message, bool binary,
                             uint32_t delay_ms);

/* Sends a close frame (reason: NULL or static) after delay_ms, and then ends; nothing that is sent
 * after this call goes out. code 0: cuts without a close frame. */
void venue_connection_close(struct venue_connection *connection, uint16_t code, const char *reason,
                            uint32_t delay_ms);

/* Counts what the connection asks for now, for /sim/stats and `streams`. False, and counted as
 * broken, when it is more than it may; the venue then does what the exchange does. */
bool venue_connection_streams(struct venue_connection *connection, size_t count);
