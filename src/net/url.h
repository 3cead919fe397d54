/* SPDX-License-Identifier: Apache-2.0 */
/* The URLs that we connect to: ws, wss, http, https; no user, no fragment. */
#pragma once

#include "base/err.h"
#include "base/limits.h"

struct url {
    bool tls;        /* wss or https */
    bool bracketed;  /* the host was an IPv6 address in brackets (host has none) */
    uint16_t port;   /* given, or the scheme's: 80 or 443 */
    bool port_given; /* and not the scheme's own */
    char host[LIMIT_HOST];
    char target[LIMIT_URL]; /* path and query as sent; "/" when there was none */
};

/* 0, or -EINVAL with what is wrong. */
int url_parse(const char *text, struct url *ret_url, struct err *err) MUST_CHECK;

/* What the Host header says: host, in brackets when it needs them, and the port when it is not the
 * scheme's. */
void url_host_write(const struct url *url, char *out, size_t out_size);
