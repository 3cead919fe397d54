/* SPDX-License-Identifier: Apache-2.0 */
/* The lists that proxies write are read from the end that they have written last. */
#include "net/http_forwarded.h"

#include "net/http_priv.h"

bool http_trusted_has(const struct http_trusted *trusted, const struct address *address)
{
    for (size_t i = 0; i < trusted->count; i++)
        if (address_range_contains(&trusted->ranges[i], address))
            return true;
    return false;
}

/* The part behind the last comma; *list becomes what stands before it. */
static struct slice last_take(struct slice *list)
{
    const char *comma = list->size == 0 ? NULL : memrchr(list->data, ',', list->size);
    size_t start = comma == NULL ? 0 : (size_t)(comma - list->data) + 1;
    struct slice last = {.data = list->data + start, .size = list->size - start};
    list->size = comma == NULL ? 0 : start - 1;
    return slice_trim(last);
}

/* One header, from its end; true when the client has been found, or the list is bad. */
static bool walk(const struct http_trusted *trusted, struct slice list, struct address *address,
                 bool *good)
{
    bool more = true;
    while (more) {
        more = memchr(list.data, ',', list.size) != NULL;
        *good = address_parse_peer(last_take(&list), address);
        if (!*good || !http_trusted_has(trusted, address))
            return true;
    }
    return false;
}

static bool address_find(const struct http_trusted *trusted, const struct http_head *head,
                         struct address *address)
{
    bool good = true;
    for (size_t i = head->header_count; i > 0; i--) {
        const struct http_header *header = &head->header[i - 1];
        if (!http_name_is(header->name, "X-Forwarded-For"))
            continue;
        if (walk(trusted, header->value, address, &good))
            return good;
    }
    return good;
}

static struct slice first_of(const struct http_head *head, const char *name)
{
    struct slice rest;
    return slice_trim(slice_split(http_header_find(head, name), ',', &rest));
}

static bool scheme_find(const struct http_head *head, const char **ret_scheme)
{
    struct slice scheme = first_of(head, "X-Forwarded-Proto");
    if (http_header_find(head, "X-Forwarded-Proto").data == NULL)
        return true;
    if (http_name_is(scheme, "https") || http_name_is(scheme, "wss"))
        *ret_scheme = "https";
    else if (http_name_is(scheme, "http") || http_name_is(scheme, "ws"))
        *ret_scheme = "http";
    else
        return false;
    return true;
}

bool http_client_read(const struct http_trusted *trusted, const struct address *peer,
                      const struct http_head *head, struct http_client *ret_client)
{
    struct http_client client = {.address = *peer, .host = head->host};
    if (trusted->count > 0 && http_trusted_has(trusted, peer)) {
        struct slice host = first_of(head, "X-Forwarded-Host");
        if (!address_find(trusted, head, &client.address) || !scheme_find(head, &client.scheme))
            return false;
        if (http_header_find(head, "X-Forwarded-Host").data != NULL) {
            if (host.size == 0 || !http_host_valid(host))
                return false;
            client.host = host;
        }
    }
    *ret_client = client;
    return true;
}
