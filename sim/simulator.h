/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exchanges, simulated: their WebSocket and REST interfaces under /binance, /upbit and
 * /bithumb, or without a prefix under their own host names (Host header); and /sim/ to ask what was
 * true and to make things go wrong (docs/simulator.md). Everything that grows has a limit: 1,024
 * connections, the last 65,536 trades of a market, 16 MiB waiting for one connection.
 * Thread: the loop's.
 */
#pragma once

#include "base/err.h"
#include "net/loop.h"

#define SIMULATOR_LISTENS_MAX 8
#define SIMULATOR_SYMBOLS_MAX 1000 /* of one exchange */
#define SIMULATOR_RATE_MAX 50000

struct simulator;

struct simulator_options {
    const char *listen[SIMULATOR_LISTENS_MAX]; /* address:port; port 0: any */
    size_t listen_count;
    const char *tls_certificate, *tls_key; /* files; both NULL: plain */
    uint64_t seed;
    uint32_t rate;    /* market events a second, in all exchanges together; 0: the default, 200 */
    uint32_t symbols; /* of each exchange; 0: the default */
    const char *const *limits; /* "binance.lifetime=20s", "*.idle=5s"; NULL: none */
    size_t limit_count;
};

/* Listens and starts the markets. -EINVAL for a limit that there is none of, or a bad number; else
 * what kept it from listening. The options are not kept. */
int simulator_open(struct loop *loop, const struct simulator_options *options,
                   struct simulator **ret_simulator, struct err *err) MUST_CHECK;

/* Of the first address. */
uint16_t simulator_port(const struct simulator *simulator);
uint16_t simulator_port_of(const struct simulator *simulator, size_t listen);

/* Ends all connections; NULL is a no-op. */
void simulator_close(struct simulator *simulator);

/* The names that --set-limit takes, one a line with what they mean; static. */
const char *simulator_limit_help(void);

/* How many rules of the exchanges were broken so far. */
uint64_t simulator_limits_broken(const struct simulator *simulator);
