/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three bugs that the simulation must find, put into the linked program alone (-Wl,--wrap): the
 * product's files know nothing of it.
 *
 * - no-fence: a barrier raises nothing: a deposed leader's records are accepted
 * - no-barrier: an epoch begins without a barrier in the carrier
 * - wrong-resend: what is written again begins behind the place that was read back
 */
#pragma once

#include "base/attr.h"

/* False: there is none of that name. */
bool plant(const char *name);

extern bool planted_no_barrier, planted_wrong_resend;
