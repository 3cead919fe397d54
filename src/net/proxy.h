/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way out: whether a connection goes through a proxy, and how it is asked (CONNECT, RFC 9110,
 * 9.3.6; Basic authentication, RFC 7617). A value that does not change once made. Any thread.
 */
#pragma once

#include "base/err.h"
#include "net/url.h"

struct proxy;

/*
 * url: http:// or https://[user[:password]@]host[:port] (80, 443), percent-encoding in user and
 * password undone. no_proxy: what NO_PROXY holds: names, domains (".example.com" and "example.com"
 * alike: itself and all below), addresses, ranges (10.0.0.0/8), each with :PORT or not, between
 * commas or spaces; "*": everything; NULL or "": nothing. Loopback addresses and localhost never go
 * through the proxy. -EINVAL with what is wrong, but never with the password.
 */
int proxy_create(const char *url, const char *no_proxy, struct proxy **ret_proxy,
                 struct err *err) MUST_CHECK;
void proxy_destroy(struct proxy *proxy); /* NULL is a no-op */

/* Whether a connection to that host and port goes through it. NULL: no. */
bool proxy_serves(const struct proxy *proxy, const char *host, uint16_t port);

/* "http://host:port", without user and password, for logs; as long as it lives. */
const char *proxy_name(const struct proxy *proxy);
