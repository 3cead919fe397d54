/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a request carries its bearer token: `Authorization: Bearer TOKEN` (RFC 6750, section 2.1),
 * or, for browsers, which cannot set headers on a WebSocket, the subprotocols
 * `tickwire, bearer.TOKEN` of a handshake. Never the query. Pure; any thread.
 */
#pragma once

#include "net/http.h"

#define BEARER_SUBPROTOCOL "tickwire"

enum bearer_result {
    BEARER_FOUND,
    BEARER_NONE,
    BEARER_MALFORMED, /* not the grammar, too long, or more than one in a place */
    BEARER_DIFFERENT, /* one in each place, and not the same */
};

struct bearer {
    struct slice token; /* of BEARER_FOUND: borrowed from the head */
    bool by_header;     /* the header carries it (the subprotocols may as well) */
    bool subprotocol;   /* a handshake that offers `tickwire`; set whatever the result */
};

/*
 * Another scheme than Bearer is no bearer token, and is passed over. In subprotocols a token counts
 * only beside `tickwire`, which is what the server answers: a token is never sent back. *ret_bearer
 * is always set.
 */
enum bearer_result bearer_find(const struct http_head *request, struct bearer *ret_bearer);
