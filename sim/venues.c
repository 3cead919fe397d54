/* SPDX-License-Identifier: Apache-2.0 */
/* The exchanges that there are. A second venue of an exchange stands behind its first. */
#include "sim/venue.h"

const struct venue *const venue_table[] = {
    &venue_binance, &venue_upbit, &venue_bithumb, &venue_bithumb_old, NULL,
};
