/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nothing of a proxy's URL is repeated in an error: where a slash or a blank stands in a password
 * that should have been percent-encoded, no part of it can be told from the password. The rules of
 * NO_PROXY are read once; a host that is written as a name is compared as a name, never looked up.
 */
#include "net/proxy_priv.h"

#include "base/memory.h"
#include "net/address.h"
#include "net/http.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <strings.h>

#define FIELD "Proxy-Authorization: Basic "
#define CREDENTIALS_MAX (2 * LIMIT_URL)

enum rule_kind { RULE_ALL, RULE_DOMAIN, RULE_RANGE };

struct rule {
    enum rule_kind kind;
    uint16_t port; /* 0: any */
    struct address_range range;
    char domain[LIMIT_HOST]; /* without leading and trailing dots */
};

struct proxy {
    struct url url;
    char name[LIMIT_HOST + 32];
    char authorization[sizeof(FIELD) + CREDENTIALS_MAX * 4 / 3 + 8];
    size_t rule_count;
    struct rule *rules; /* owned */
};

/* ---- its URL ---- */

static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

/* "user:password", percent-encoded, to a field of a request (RFC 7617, section 2). */
static int read_user(struct slice text, struct proxy *proxy, struct err *err)
{
    char credentials[CREDENTIALS_MAX];
    char user[LIMIT_URL];
    char password[LIMIT_URL];
    struct slice rest;
    struct slice name = slice_split(text, ':', &rest);
    bool good = http_percent_decode(name, user, sizeof(user)) &&
                http_percent_decode(rest, password, sizeof(password));
    if (good && is_printable(user) && is_printable(password) && strchr(user, ':') == NULL) {
        int size = snprintf(credentials, sizeof(credentials), "%s:%s", user, password);
        unsigned char *field = (unsigned char *)proxy->authorization;
        memcpy(field, FIELD, strlen(FIELD));
        int encoded =
            EVP_EncodeBlock(field + strlen(FIELD), (const unsigned char *)credentials, size);
        memcpy(field + strlen(FIELD) + encoded, "\r\n", 3);
    } else {
        good = false;
    }
    OPENSSL_cleanse(credentials, sizeof(credentials));
    OPENSSL_cleanse(user, sizeof(user));
    OPENSSL_cleanse(password, sizeof(password));
    return good ? 0
                : err_set(err, -EINVAL,
                          "the proxy's user or password is malformed: percent-encode what is not a "
                          "letter or a digit");
}

static int read_url(const char *text, struct proxy *proxy, struct err *err)
{
    struct slice rest = slice_of(text);
    struct slice scheme =
        slice_starts_with(rest, SLICE("https://")) ? SLICE("https://") : SLICE("http://");
    if (!slice_starts_with(rest, scheme))
        return err_set(err, -EINVAL, "a proxy's URL must begin with http:// or https://");
    rest.data += scheme.size;
    rest.size -= scheme.size;
    struct slice authority = {.data = rest.data, .size = strcspn(rest.data, "/?#")};
    struct slice behind = {.data = rest.data + authority.size, .size = rest.size - authority.size};
    struct slice host;
    struct slice user = slice_split(authority, '@', &host);
    bool has_user = user.size < authority.size;
    bool once = host.size == 0 || memchr(host.data, '@', host.size) == NULL;
    if (rest.size >= LIMIT_URL || (behind.size > 0 && !slice_is(behind, "/")) || !once)
        return err_set(err, -EINVAL,
                       "a proxy's URL must be http://[user:password@]host[:port], without a path; "
                       "/, ?, # and @ in a password must be percent-encoded");
    if (!has_user)
        host = authority;
    int failed = has_user ? read_user(user, proxy, err) : 0;
    if (failed != 0)
        return failed;
    char plain[LIMIT_URL + 16];
    snprintf(plain, sizeof(plain), "%s%.*s/", scheme.data, (int)host.size, host.data);
    if (url_parse(plain, &proxy->url, NULL) != 0)
        return err_set(err, -EINVAL, "the proxy's host or port is malformed");
    const char *open = proxy->url.bracketed ? "[" : "";
    snprintf(proxy->name, sizeof(proxy->name), "%s%s%s%s:%u", scheme.data, open, proxy->url.host,
             proxy->url.bracketed ? "]" : "", (unsigned)proxy->url.port);
    return 0;
}

/* ---- NO_PROXY ---- */

/* "host", "host:port", "[address]:port"; an address with two colons and more has no port. */
static bool split_port(struct slice *text, uint16_t *ret_port)
{
    struct slice port = {.data = NULL};
    const char *end = text->data + text->size;
    const char *colon = memchr(text->data, ':', text->size);
    *ret_port = 0;
    if (text->data[0] == '[') {
        const char *bracket = memchr(text->data, ']', text->size);
        if (bracket == NULL || (bracket + 1 < end && bracket[1] != ':'))
            return false;
        colon = bracket + 1 < end ? bracket + 1 : NULL;
        *text = (struct slice){.data = text->data + 1, .size = (size_t)(bracket - text->data) - 1};
    } else if (colon != NULL && memchr(colon + 1, ':', (size_t)(end - colon) - 1) != NULL) {
        return true;
    } else if (colon != NULL) {
        text->size = (size_t)(colon - text->data);
    }
    if (colon == NULL)
        return true;
    uint64_t number = 0;
    port = (struct slice){.data = colon + 1, .size = (size_t)(end - colon) - 1};
    bool good = slice_to_uint64(port, UINT16_MAX, &number) && number > 0;
    *ret_port = (uint16_t)number;
    return good;
}

static struct slice trim_dots(struct slice text)
{
    if (slice_starts_with(text, SLICE("*.")))
        text = (struct slice){.data = text.data + 1, .size = text.size - 1};
    if (slice_starts_with(text, SLICE(".")))
        text = (struct slice){.data = text.data + 1, .size = text.size - 1};
    if (text.size > 0 && text.data[text.size - 1] == '.')
        text.size--;
    return text;
}

static bool is_domain(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
        if (!letter && (byte < '0' || byte > '9') && byte != '-' && byte != '.' && byte != '_')
            return false;
    }
    return text.size > 0;
}

static bool read_rule(struct slice text, struct rule *rule)
{
    if (!split_port(&text, &rule->port))
        return false;
    rule->kind = RULE_ALL;
    if (slice_is(text, "*"))
        return true;
    rule->kind = RULE_RANGE;
    if (address_range_parse(text, &rule->range, NULL) == 0)
        return true;
    rule->kind = RULE_DOMAIN;
    struct slice domain = trim_dots(text);
    return is_domain(domain) && slice_copy(domain, rule->domain, sizeof(rule->domain));
}

static int read_rules(const char *text, struct proxy *proxy, struct err *err)
{
    static const char separators[] = ", \t\r\n";
    const char *at = text == NULL ? "" : text;
    proxy->rules = memory_array(LIMIT_PROXY_RULES, sizeof(*proxy->rules));
    for (at += strspn(at, separators); *at != '\0'; at += strspn(at, separators)) {
        struct slice item = {.data = at, .size = strcspn(at, separators)};
        if (proxy->rule_count == LIMIT_PROXY_RULES)
            return err_set(err, -EINVAL, "NO_PROXY has more than %d entries", LIMIT_PROXY_RULES);
        if (!read_rule(item, &proxy->rules[proxy->rule_count++]))
            return err_set(err, -EINVAL,
                           "NO_PROXY: \"%.*s\" is not a name, a domain, an address, a range or *, "
                           "with :PORT or not",
                           (int)(item.size < 60 ? item.size : 60), item.data);
        at += item.size;
    }
    return 0;
}

/* ---- asking ---- */

/* domain itself and all below it. */
static bool is_within(struct slice host, const char *domain)
{
    size_t size = strlen(domain);
    if (host.size < size || strncasecmp(host.data + host.size - size, domain, size) != 0)
        return false;
    return host.size == size || host.data[host.size - size - 1] == '.';
}

static bool rule_serves(const struct rule *rule, struct slice name, const struct address *address,
                        uint16_t port)
{
    if (rule->port != 0 && rule->port != port)
        return false;
    switch (rule->kind) {
    case RULE_ALL:
        return true;
    case RULE_DOMAIN:
        return address == NULL && is_within(name, rule->domain);
    case RULE_RANGE:
        return address != NULL && address_range_contains(&rule->range, address);
    }
    return false;
}

static bool is_loopback(struct slice name, const struct address *address)
{
    static const struct address v6 = {.bytes = {[ADDRESS_SIZE - 1] = 1}};
    if (address == NULL)
        return is_within(name, "localhost");
    return address_equal(address, &v6) || (address_is_v4(address) && address->bytes[12] == 127);
}

bool proxy_serves(const struct proxy *proxy, const char *host, uint16_t port)
{
    if (proxy == NULL)
        return false;
    struct slice name = slice_of(host);
    struct address number;
    const struct address *address = address_parse(name, &number) ? &number : NULL;
    name = trim_dots(name);
    if (is_loopback(name, address))
        return false;
    for (size_t i = 0; i < proxy->rule_count; i++)
        if (rule_serves(&proxy->rules[i], name, address, port))
            return false;
    return true;
}

const char *proxy_name(const struct proxy *proxy)
{
    return proxy->name;
}

const struct url *proxy_url(const struct proxy *proxy)
{
    return &proxy->url;
}

const char *proxy_authorization(const struct proxy *proxy)
{
    return proxy->authorization;
}

/* ---- lives ---- */

int proxy_create(const char *url, const char *no_proxy, struct proxy **ret_proxy, struct err *err)
{
    struct proxy *proxy = memory_alloc(sizeof(*proxy));
    int failed = read_url(url, proxy, err);
    if (failed == 0)
        failed = read_rules(no_proxy, proxy, err);
    if (failed != 0) {
        proxy_destroy(proxy);
        return failed;
    }
    *ret_proxy = proxy;
    return 0;
}

void proxy_destroy(struct proxy *proxy)
{
    if (proxy == NULL)
        return;
    OPENSSL_cleanse(proxy->authorization, sizeof(proxy->authorization));
    memory_free(proxy->rules);
    memory_free(proxy);
}
