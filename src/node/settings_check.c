/* SPDX-License-Identifier: Apache-2.0 */
/* Whether one text is what a row of the table wants. No errors are made here: the row says what was
 * expected. */
#include "market/symbol.h"
#include "market/utf8.h"
#include "net/address.h"
#include "net/http_origin.h"
#include "net/proxy.h"
#include "node/settings_priv.h"

#define NAME_MAX_SIZE 63
#define URL_MAX_SIZE 512
#define TOPIC_MAX_SIZE 249 /* Kafka's own */

static bool is_letter_or_digit(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9');
}

/* YAML may not hold C0 but tab and line ends, DEL, C1, surrogates, U+FEFF, U+FFFE and U+FFFF; a
 * setting needs no tab or line end either. */
static bool is_printable(const char *at, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)at;
    if (size == 1)
        return bytes[0] >= 0x20 && bytes[0] != 0x7f;
    if (size == 2)
        return bytes[0] != 0xc2 || bytes[1] >= 0xa0;
    if (size == 3 && bytes[0] == 0xef)
        return !(bytes[1] == 0xbb && bytes[2] == 0xbf) && !(bytes[1] == 0xbf && bytes[2] >= 0xbe);
    return size != 0;
}

bool check_printable(struct slice text)
{
    for (size_t i = 0; i < text.size;) {
        size_t size = utf8_character_size(text.data + i, text.size - i);
        if (!is_printable(text.data + i, size))
            return false;
        i += size;
    }
    return true;
}

bool check_name(struct slice text, const struct exchange *exchange)
{
    (void)exchange;
    if (text.size == 0 || text.size > NAME_MAX_SIZE)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (!is_letter_or_digit(text.data[i]) && strchr("._-", text.data[i]) == NULL)
            return false;
    }
    return true;
}

static bool is_port(struct slice text, uint64_t min)
{
    uint64_t port;
    return text.size <= 5 && slice_to_uint64(text, UINT16_MAX, &port) && port >= min;
}

static bool is_address(struct slice text)
{
    bool has_colon = false;
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        has_colon = has_colon || byte == ':';
        if (!is_letter_or_digit(byte) && strchr(":.%", byte) == NULL)
            return false;
    }
    return has_colon && text.size < LIMIT_HOST;
}

static bool is_host(struct slice text)
{
    if (text.size == 0 || text.size >= LIMIT_HOST || text.data[0] == '.' || text.data[0] == '-')
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (!is_letter_or_digit(text.data[i]) && strchr("._-", text.data[i]) == NULL)
            return false;
    }
    return true;
}

/* Takes "host" or "[address]" off the front. */
static bool take_host(struct slice *text)
{
    if (text->size > 0 && text->data[0] == '[') {
        const char *end = memchr(text->data, ']', text->size);
        if (end == NULL)
            return false;
        size_t size = (size_t)(end - text->data);
        bool good = is_address((struct slice){.data = text->data + 1, .size = size - 1});
        *text = (struct slice){.data = end + 1, .size = text->size - size - 1};
        return good;
    }
    const char *colon = text->size == 0 ? NULL : memchr(text->data, ':', text->size);
    size_t size = colon == NULL ? text->size : (size_t)(colon - text->data);
    bool good = is_host((struct slice){.data = text->data, .size = size});
    *text = (struct slice){.data = text->data + size, .size = text->size - size};
    return good;
}

bool check_host_port(struct slice text, const struct exchange *exchange)
{
    (void)exchange;
    if (!take_host(&text) || text.size == 0 || text.data[0] != ':')
        return false;
    return is_port((struct slice){.data = text.data + 1, .size = text.size - 1}, 0);
}

/* Behind the scheme: host, maybe a port, maybe a path. No user, query or fragment, no slash at the
 * end: what is appended begins with one. */
static bool is_base(struct slice text)
{
    const char *slash = text.size == 0 ? NULL : memchr(text.data, '/', text.size);
    size_t authority_size = slash == NULL ? text.size : (size_t)(slash - text.data);
    struct slice rest = {.data = text.data, .size = authority_size};
    if (!take_host(&rest))
        return false;
    bool has_port = rest.size > 0;
    if (has_port && (rest.data[0] != ':' ||
                     !is_port((struct slice){.data = rest.data + 1, .size = rest.size - 1}, 1)))
        return false;
    for (size_t i = authority_size; i < text.size; i++) {
        if (!is_letter_or_digit(text.data[i]) && strchr("/._~-%+", text.data[i]) == NULL)
            return false;
    }
    return slash == NULL || text.data[text.size - 1] != '/';
}

/* schemes: like "ws wss". */
static bool is_url(struct slice text, struct slice schemes)
{
    static const struct slice mark = {.data = "://", .size = 3};
    if (text.size > URL_MAX_SIZE)
        return false;
    while (schemes.size > 0) {
        struct slice scheme = slice_split(schemes, ' ', &schemes);
        if (!slice_starts_with(text, scheme))
            continue;
        struct slice rest = {.data = text.data + scheme.size, .size = text.size - scheme.size};
        if (!slice_starts_with(rest, mark))
            continue;
        return is_base(
            (struct slice){.data = rest.data + mark.size, .size = rest.size - mark.size});
    }
    return false;
}

bool check_client_url(struct slice text, const struct exchange *exchange)
{
    (void)exchange;
    return is_url(text, SLICE("ws wss http https"));
}

/* An address alone: the paths are ours. */
bool check_http_url(struct slice text, const struct exchange *exchange)
{
    (void)exchange;
    size_t slashes = 0;
    for (size_t i = 0; i < text.size; i++)
        slashes += text.data[i] == '/';
    return slashes == 2 && is_url(text, SLICE("http https"));
}

bool check_proxy_url(struct slice text, const struct exchange *exchange)
{
    (void)exchange;
    char url[LIMIT_URL];
    struct proxy *proxy = NULL;
    bool good = slice_copy(text, url, sizeof(url)) && check_printable(text) &&
                proxy_create(url, NULL, &proxy, NULL) == 0;
    proxy_destroy(proxy);
    return good;
}

bool check_ws_base(struct slice text, const struct exchange *exchange)
{
    (void)exchange;
    return is_url(text, SLICE("ws wss"));
}

bool check_rest_base(struct slice text, const struct exchange *exchange)
{
    (void)exchange;
    return is_url(text, SLICE("http https"));
}

bool check_address_range(struct slice text, const struct exchange *exchange)
{
    (void)exchange;
    struct address_range range;
    struct err err;
    return address_range_parse(text, &range, &err) == 0;
}

bool check_origin(struct slice text, const struct exchange *exchange)
{
    (void)exchange;
    char spelled[HTTP_ORIGIN_TEXT];
    return slice_is(text, "*") || http_origin_read(text, spelled);
}

bool check_symbol(struct slice text, const struct exchange *exchange)
{
    struct symbol symbol;
    char native[LIMIT_NATIVE_SYMBOL];
    return symbol_read(text, &symbol) && exchange->to_native(&symbol, native);
}

bool check_channel(struct slice text, const struct exchange *exchange)
{
    enum channel channel;
    return channel_find(text, &channel) && (exchange->channels & CHANNEL_BIT(channel)) != 0;
}

/* Spaces are taken around a comma, as librdkafka does. */
bool check_brokers(struct slice text, const struct exchange *exchange)
{
    (void)exchange;
    if (text.size == 0 || text.data[text.size - 1] == ',')
        return false;
    while (text.size > 0) {
        struct slice broker = slice_trim(slice_split(text, ',', &text));
        if (!take_host(&broker) || broker.size == 0 || broker.data[0] != ':' ||
            !is_port((struct slice){.data = broker.data + 1, .size = broker.size - 1}, 1))
            return false;
    }
    return true;
}

bool check_topic(struct slice text, const struct exchange *exchange)
{
    (void)exchange;
    if (text.size == 0 || text.size > TOPIC_MAX_SIZE || slice_is(text, ".") || slice_is(text, ".."))
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (!is_letter_or_digit(text.data[i]) && strchr("._-", text.data[i]) == NULL)
            return false;
    }
    return true;
}

bool check_generation(struct slice text, const struct exchange *exchange)
{
    uint64_t generation;
    return slice_to_uint64(text, UINT16_MAX, &generation) && generation > 0 &&
           exchange_find(slice_of(exchange->name), (unsigned)generation) != NULL;
}
