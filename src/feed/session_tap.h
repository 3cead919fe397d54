/* SPDX-License-Identifier: Apache-2.0 */
/* Who wants to see a session's raw traffic, before decoding: a recorder. */
#pragma once

#include "base/slice.h"

/* Any may be NULL. connection: a running number of the exchange's connections. What is handed over
 * is valid during the call. Thread: the session's loop. */
struct session_tap {
    void (*opened)(void *context, uint32_t connection, const char *url);
    void (*received)(void *context, uint32_t connection, bool binary, struct slice raw,
                     int64_t received_us);
    void (*sent)(void *context, uint32_t connection, struct slice text);
    void (*closed)(void *context, uint32_t connection, uint16_t code, const char *reason);
    void *context;
};
