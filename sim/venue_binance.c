/* SPDX-License-Identifier: Apache-2.0 */
/* Binance spot. */
#include "sim/venue_connection.h"

static const char *const hosts[] = {"stream.binance.com", "data-stream.binance.vision",
                                    "api.binance.com", "data-api.binance.vision", NULL};

const struct venue venue_binance = {
    .exchange = "binance",
    .name = "binance",
    .hosts = hosts,
};
