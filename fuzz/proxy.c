/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A proxy's URL, NO_PROXY and a host, with NULs between. The name of what is accepted can stand in
 * a log, and has no user in it; loopback never goes through; what is refused is told.
 */
#include "net/proxy.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(const struct proxy *proxy, const char *host)
{
    for (const char *at = proxy_name(proxy); *at != '\0'; at++)
        if (*at <= ' ' || *at > '~' || *at == '@')
            abort();
    bool serves = proxy_serves(proxy, host, 443);
    if (serves && (strcmp(host, "localhost") == 0 || strcmp(host, "127.0.0.1") == 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = memory_alloc(size + 3);
    if (size > 0)
        memcpy(text, data, size);
    const char *no_proxy = text + strlen(text) + 1;
    const char *end = text + size + 2;
    no_proxy = no_proxy < end ? no_proxy : end;
    const char *host = no_proxy + strlen(no_proxy) + 1;
    host = host < end ? host : end;
    struct proxy *proxy = NULL;
    struct err err;
    if (proxy_create(text, no_proxy, &proxy, &err) == 0)
        look_at(proxy, host);
    else if (err.text[0] == '\0')
        abort();
    proxy_destroy(proxy);
    memory_free(text);
    return 0;
}
