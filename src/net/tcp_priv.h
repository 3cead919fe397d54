/* SPDX-License-Identifier: Apache-2.0 */
/* What tcp.c, tcp_listener.c and tcp_connect.c share. */
#pragma once

#include "net/loop_priv.h"
#include "net/tcp.h"

struct tcp_connector; /* a connection being made; owned by its struct tcp until it is done */

/* A connection without a socket yet. */
struct tcp *tcp_create(struct loop *loop) MUST_CHECK;

/* Gives it a connected, non-blocking socket, which it owns from now on. 0, or a negative errno
 * (then the socket is still the caller's). */
int tcp_adopt(struct tcp *tcp, int fd) MUST_CHECK;

/* It speaks TLS from the first byte on; owns `tls` from now on. Before tcp_set_callbacks. */
void tcp_take_tls(struct tcp *tcp, struct tls *tls);

void tcp_set_connector(struct tcp *tcp, struct tcp_connector *connector);

/* The connection is destroyed before it was made: on_connected will not come. */
void tcp_connector_abandon(struct tcp_connector *connector);

/* "192.0.2.1:5678" or "[2001:db8::1]:5678"; "unknown" for another family. */
void tcp_address_write(const struct sockaddr_storage *address, char *out, size_t out_size);
