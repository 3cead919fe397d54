/* SPDX-License-Identifier: Apache-2.0 */
/* A proxy's inside, for dial.c. */
#pragma once

#include "net/proxy.h"

/* Where it is: host, port, and whether TLS is spoken to it. */
const struct url *proxy_url(const struct proxy *proxy);

/* "Proxy-Authorization: Basic ...\r\n", or "" when it has no user; a secret. */
const char *proxy_authorization(const struct proxy *proxy);
