/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request as the server goes through it, behind the reader of heads: the handshake, the query,
 * the page's origin, what a proxy says, which form of a file is wanted. Each is held to what it
 * promises. First byte: which peer it comes from; the rest: bytes of a connection.
 */
#include "net/http_forwarded.h"
#include "net/http_origin.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool good)
{
    if (!good)
        abort();
}

static struct address_range range(const char *text)
{
    struct address_range read;
    struct err err;
    need(address_range_parse(slice_of(text), &read, &err) == 0);
    return read;
}

/* What was read can be written and read again. */
static void check_address(const struct address *address)
{
    char text[ADDRESS_TEXT];
    struct address again;
    address_write(address, text);
    need(address_parse(slice_of(text), &again) && address_equal(address, &again));
    struct address group = address_group(address);
    struct address twice = address_group(&group);
    need(address_equal(&group, &twice));
}

static void check_host(struct slice host)
{
    need(host.size < LIMIT_HOST);
    for (size_t i = 0; i < host.size; i++)
        need(host.data[i] > ' ' && host.data[i] < 0x7f &&
             strchr("/@\"\\?#,", host.data[i]) == NULL);
}

static void use_client(const struct http_head *head, bool trusted_peer)
{
    struct address_range ranges[] = {range("10.0.0.0/8"), range("2001:db8::/32")};
    const struct http_trusted trusted = {.count = COUNT_OF(ranges), .ranges = ranges};
    struct address peer = trusted_peer ? ranges[0].base : range("192.0.2.1").base;
    struct http_client client;
    bool good = http_client_read(&trusted, &peer, head, &client);
    need(good || trusted_peer);
    if (!good)
        return;
    check_address(&client.address);
    check_host(client.host);
    need(trusted_peer || address_equal(&client.address, &peer));
}

/* The spelling that is compared is an origin itself, and spelled so. */
static void use_origin(const struct http_head *head)
{
    char *const items[] = {(char[]){"https://app.example"}, (char[]){"http://[::1]:3000"}};
    char text[HTTP_ORIGIN_TEXT];
    char again[HTTP_ORIGIN_TEXT];
    struct slice origin = http_header_find(head, "Origin");
    struct http_origins *origins;
    struct err err;
    bool is_one = http_origin_read(origin, text);
    /* Its port is written out now, which may make it too long to be read. */
    if (is_one && strstr(text, ":0") == NULL && origin.size + 8 < LIMIT_HOST)
        need(http_origin_read(slice_of(text), again) && strcmp(text, again) == 0);
    need(http_origins_create(items, COUNT_OF(items), &origins, &err) == 0);
    bool allowed = http_origins_allow(origins, origin);
    need(!allowed || (is_one && (strcmp(text, "https://app.example:443") == 0 ||
                                 strcmp(text, "http://[::1]:3000") == 0)));
    http_origins_destroy(origins);
}

static void use_query(const struct http_head *head)
{
    static const char *const names[] = {"since", "snapshot", "batch"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char value[48];
        bool present;
        if (http_query_find(head->query, names[i], value, sizeof(value), &present))
            need(present && strlen(value) < sizeof(value));
    }
}

static void use_handshake(const struct http_head *head)
{
    const char *reason = NULL;
    unsigned status = ws_handshake_check(head, &reason);
    need(status == 0 || ((status == 400 || status == 405 || status == 426) && reason != NULL));
    if (status != 0)
        return;
    char accept[WS_ACCEPT_SIZE + 1];
    ws_accept_for(http_header_find(head, "Sec-WebSocket-Key"), accept);
    need(strlen(accept) == WS_ACCEPT_SIZE && head->upgrade);
}

static void use_head(const struct http_head *head, bool trusted_peer)
{
    need(slice_is(head->path, "*") || (head->path.size > 0 && head->path.data[0] == '/'));
    check_host(head->host);
    use_handshake(head);
    use_query(head);
    use_origin(head);
    use_client(head, trusted_peer);
    need(http_encoding_choose(head, false) != HTTP_ENCODING_GZIP);
    (void)http_encoding_choose(head, true);
    (void)http_etag_matches(head, SLICE("\"0123-gzip\""));
    struct address_range of_value;
    struct err err;
    if (address_range_parse(http_header_find(head, "X-Range"), &of_value, &err) == 0) {
        check_address(&of_value.base);
        need(address_range_contains(&of_value, &of_value.base));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct http_reader *reader = http_reader_create(HTTP_KIND_REQUEST);
    struct slice bytes = {.data = (const char *)data + 1, .size = size - 1};
    const struct http_head *head;
    size_t used;
    while (bytes.size > 0 && http_read(reader, bytes, &used, &head) == HTTP_READ_HEAD) {
        use_head(head, (data[0] & 1) != 0);
        bytes.data += used;
        bytes.size -= used;
    }
    http_reader_destroy(reader);
    return 0;
}
