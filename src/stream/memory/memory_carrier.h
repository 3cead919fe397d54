/* SPDX-License-Identifier: Apache-2.0 */
/* The row of the registry for the carrier `memory`: one node, no other system. */
#pragma once

#include "stream/stream.h"

extern const struct carrier_kind memory_carrier_kind;
