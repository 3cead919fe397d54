/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serves a recording over real WebSocket connections, as the exchange would: a client connects to
 * /EXCHANGE and the exchange's path, sends its subscriptions, and from its first message on gets
 * the recorded frames of that exchange, in their order, at their times. What the client asks for is
 * not looked at. Pings are answered. Shares no code with the decoders. Each connection reads the
 * recording for itself, piece by piece, however long it is. Thread: its loop's.
 */
#pragma once

#include "net/loop.h"
#include "sim/recording.h"

struct replay;

struct replay_options {
    /* files, default_exchange, first_us and from_us; what it points to is borrowed */
    struct recording_options recording;
    const char *listen;      /* address:port, port 0: any */
    uint32_t speed_permille; /* 1000: as recorded; 0: as fast as the client reads */
    bool forever;            /* from the start again after the end */
};

int replay_open(struct loop *loop, const struct replay_options *options, struct replay **ret_replay,
                struct err *err) MUST_CHECK;
uint16_t replay_port(const struct replay *replay);

/* Before the loop runs: serves the exchange (name as recorded, borrowed) at this path (copied). At
 * most RECORDING_EXCHANGES_MAX. */
void replay_route(struct replay *replay, const char *exchange, const char *path);
void replay_close(struct replay *replay); /* NULL is a no-op */
