/* SPDX-License-Identifier: Apache-2.0 */
/* One place for whoever connects, so that all take the same way. */
#include "node/way_out.h"

#include <stdlib.h>

int way_out_create(const struct settings *settings, struct proxy **ret_proxy, struct err *err)
{
    const char *left_out = getenv("NO_PROXY");
    if (left_out == NULL)
        left_out = getenv("no_proxy");
    if (settings->proxy[0] != '\0')
        return proxy_create(settings->proxy, left_out, ret_proxy, err);
    *ret_proxy = NULL;
    return 0;
}
