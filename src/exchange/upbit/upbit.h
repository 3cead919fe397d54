/* SPDX-License-Identifier: Apache-2.0 */
/* Upbit (Korea). */
#pragma once

#include "exchange/exchange.h"

extern const struct exchange exchange_upbit;
