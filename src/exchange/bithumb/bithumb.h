/* SPDX-License-Identifier: Apache-2.0 */
/* Bithumb: its present API, and the old one, which still answers. */
#pragma once

#include "exchange/exchange.h"

extern const struct exchange exchange_bithumb;  /* generation 2: the quotation protocol */
extern const struct exchange exchange_bithumb1; /* generation 1: pubwss */
