/* SPDX-License-Identifier: Apache-2.0 */
/* How connections to exchanges leave this machine, as the settings and the environment say. */
#pragma once

#include "net/proxy.h"
#include "node/settings.h"

/* The configured proxy, with what NO_PROXY (or no_proxy) leaves out; NULL when none is configured.
 * The caller's, for proxy_destroy. Fails as proxy_create does. */
int way_out_create(const struct settings *settings, struct proxy **ret_proxy,
                   struct err *err) MUST_CHECK;
