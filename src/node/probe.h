/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Can an exchange be reached from here? All enabled ones are tried at once; the first WebSocket
 * handshake that succeeds (for wss: over verified TLS) answers for all. Thread: main.
 */
#pragma once

#include "net/loop.h"
#include "net/proxy.h"
#include "node/settings.h"

struct probe_options {
    struct loop *loop;               /* borrowed; run and stopped by the probe */
    const struct settings *settings; /* borrowed for the call */
    const struct proxy *proxy;       /* borrowed for the call; NULL: straight */
    uint32_t timeout_ms;
};

/* The name of the exchange that answered first (static); NULL when none did in time, as soon as
 * that is certain. What kept each from answering is in the log. */
const char *probe_exchanges(const struct probe_options *options);
