/* SPDX-License-Identifier: Apache-2.0 */
/* Two places are looked at; each may hold one token. */
#include "access/bearer.h"

#include "access/token_list.h"

#include <strings.h>

#define SCHEME "Bearer"
#define PREFIX "bearer."

struct place { /* what one of the places holds */
    struct slice token;
    bool wrong;
};

static bool is_named(const struct http_header *header, const char *name)
{
    return header->name.size == strlen(name) &&
           strncasecmp(header->name.data, name, header->name.size) == 0;
}

static void place_put(struct place *place, struct slice token)
{
    place->wrong = place->wrong || place->token.data != NULL || token.size > LIMIT_ACCESS_TOKEN ||
                   !token_well_formed(token);
    place->token = token;
}

/* RFC 9110, section 11.4: scheme, blanks, token. */
static void authorization_read(struct slice value, struct place *place)
{
    size_t size = sizeof(SCHEME) - 1;
    if (value.size < size || strncasecmp(value.data, SCHEME, size) != 0)
        return;
    struct slice rest = {.data = value.data + size, .size = value.size - size};
    if (rest.size > 0 && rest.data[0] != ' ')
        return; /* a scheme of another name */
    while (rest.size > 0 && rest.data[0] == ' ')
        rest = (struct slice){.data = rest.data + 1, .size = rest.size - 1};
    place_put(place, rest);
}

static struct place header_place(const struct http_head *request)
{
    struct place place = {0};
    size_t count = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        if (!is_named(&request->header[i], "Authorization"))
            continue;
        authorization_read(slice_trim(request->header[i].value), &place);
        count++;
    }
    place.wrong = place.wrong || count > 1;
    return place;
}

/* The header may come several times, and is one list then (RFC 6455, section 11.3.4). Names of
 * subprotocols know upper and lower case. */
static struct place subprotocol_place(const struct http_head *request, bool *ret_offered)
{
    struct place place = {0};
    *ret_offered = false;
    for (size_t i = 0; i < request->header_count; i++) {
        if (!is_named(&request->header[i], "Sec-WebSocket-Protocol"))
            continue;
        struct slice rest = request->header[i].value;
        while (rest.size > 0) {
            struct slice item = slice_trim(slice_split(rest, ',', &rest));
            size_t size = sizeof(PREFIX) - 1;
            if (slice_is(item, BEARER_SUBPROTOCOL))
                *ret_offered = true;
            else if (slice_starts_with(item, SLICE(PREFIX)))
                place_put(&place,
                          (struct slice){.data = item.data + size, .size = item.size - size});
        }
    }
    place.wrong = place.wrong || (place.token.data != NULL && !*ret_offered);
    return place;
}

static bool is_handshake(const struct http_head *request)
{
    return request->upgrade && http_header_has_token(request, "Upgrade", "websocket");
}

enum bearer_result bearer_find(const struct http_head *request, struct bearer *ret_bearer)
{
    struct place header = header_place(request);
    struct place protocols = {0};
    *ret_bearer = (struct bearer){0};
    if (is_handshake(request))
        protocols = subprotocol_place(request, &ret_bearer->subprotocol);
    if (header.wrong || protocols.wrong)
        return BEARER_MALFORMED;
    if (header.token.data == NULL && protocols.token.data == NULL)
        return BEARER_NONE;
    if (header.token.data != NULL && protocols.token.data != NULL &&
        !slice_equal(header.token, protocols.token))
        return BEARER_DIFFERENT;
    ret_bearer->by_header = header.token.data != NULL;
    ret_bearer->token = ret_bearer->by_header ? header.token : protocols.token;
    return BEARER_FOUND;
}
