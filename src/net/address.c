/* SPDX-License-Identifier: Apache-2.0 */
/* The system's own reader and writer of addresses, held to one spelling. */
#include "net/address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>

#define V4_OFFSET 12 /* where the four bytes of IPv4 lie */
#define V4_BITS 96
#define GROUP_BYTES 8 /* of IPv6: a /64 */

static const uint8_t v4_prefix[V4_OFFSET] = {[10] = 0xff, [11] = 0xff};

bool address_parse(struct slice text, struct address *ret_address)
{
    char terminated[ADDRESS_TEXT];
    struct address address = {.bytes = {0}};
    if (text.size == 0 || memchr(text.data, '\0', text.size) != NULL ||
        !slice_copy(text, terminated, sizeof(terminated)))
        return false;
    if (strchr(terminated, ':') != NULL) {
        if (inet_pton(AF_INET6, terminated, address.bytes) != 1)
            return false;
    } else {
        memcpy(address.bytes, v4_prefix, V4_OFFSET);
        if (inet_pton(AF_INET, terminated, address.bytes + V4_OFFSET) != 1)
            return false;
    }
    *ret_address = address;
    return true;
}

static bool port_valid(struct slice port)
{
    uint64_t number;
    return slice_to_uint64(port, UINT16_MAX, &number);
}

bool address_parse_peer(struct slice text, struct address *ret_address)
{
    struct slice rest;
    if (text.size > 0 && text.data[0] == '[') {
        struct slice inner = {.data = text.data + 1, .size = text.size - 1};
        const char *end = memchr(inner.data, ']', inner.size);
        if (end == NULL)
            return false;
        inner.size = (size_t)(end - inner.data);
        rest = (struct slice){.data = end + 1, .size = text.size - inner.size - 2};
        if (rest.size > 0 &&
            (rest.data[0] != ':' || !port_valid((struct slice){rest.data + 1, rest.size - 1})))
            return false;
        return memchr(inner.data, ':', inner.size) != NULL && address_parse(inner, ret_address);
    }
    struct slice host = slice_split(text, ':', &rest);
    bool one_colon =
        host.size < text.size && (rest.size == 0 || memchr(rest.data, ':', rest.size) == NULL);
    if (!one_colon)
        return address_parse(text, ret_address);
    return port_valid(rest) && address_parse(host, ret_address);
}

bool address_is_v4(const struct address *address)
{
    return memcmp(address->bytes, v4_prefix, V4_OFFSET) == 0;
}

void address_write(const struct address *address, char ret_text[ADDRESS_TEXT])
{
    bool v4 = address_is_v4(address);
    const char *written = inet_ntop(v4 ? AF_INET : AF_INET6, address->bytes + (v4 ? V4_OFFSET : 0),
                                    ret_text, ADDRESS_TEXT);
    assert(written != NULL);
    (void)written;
}

bool address_equal(const struct address *left, const struct address *right)
{
    return address_compare(left, right) == 0;
}

int address_compare(const struct address *left, const struct address *right)
{
    return memcmp(left->bytes, right->bytes, ADDRESS_SIZE);
}

/* Two rounds of multiply and fold over the halves: an adversary does not know the seed. */
uint64_t address_seeded_hash(const struct address *address, uint64_t seed)
{
    uint64_t halves[2];
    memcpy(halves, address->bytes, sizeof(halves));
    uint64_t hash = seed;
    for (size_t i = 0; i < COUNT_OF(halves); i++) {
        hash = (hash ^ halves[i]) * 0x9e3779b97f4a7c15u;
        hash = (hash ^ hash >> 32) * 0xd6e8feb86659fd93u;
        hash ^= hash >> 29;
    }
    return hash ^ hash >> 32;
}

struct address address_group(const struct address *address)
{
    struct address group = *address;
    if (!address_is_v4(address))
        memset(group.bytes + GROUP_BYTES, 0, ADDRESS_SIZE - GROUP_BYTES);
    return group;
}

/* The address with all bits behind the prefix cleared. */
static struct address masked(const struct address *address, unsigned bits)
{
    struct address result = {.bytes = {0}};
    size_t whole = bits / 8;
    memcpy(result.bytes, address->bytes, whole);
    if (bits % 8 != 0)
        result.bytes[whole] = address->bytes[whole] & (uint8_t)(0xff00 >> bits % 8);
    return result;
}

int address_range_parse(struct slice text, struct address_range *ret_range, struct err *err)
{
    struct slice bits_text;
    struct slice base_text = slice_split(text, '/', &bits_text);
    bool has_bits = base_text.size < text.size;
    struct address_range range = {.bits = ADDRESS_BITS};
    if (!address_parse(base_text, &range.base))
        return err_set(err, -EINVAL, "not an address or range like 10.0.0.0/8: %.*s",
                       (int)(text.size > 100 ? 100 : text.size), text.data);
    bool dotted = memchr(base_text.data, ':', base_text.size) == NULL;
    uint64_t bits = dotted ? ADDRESS_BITS - V4_BITS : ADDRESS_BITS;
    if (has_bits && !slice_to_uint64(bits_text, bits, &bits))
        return err_set(err, -EINVAL, "the prefix of a range is 0 to %d bits: %.*s",
                       dotted ? ADDRESS_BITS - V4_BITS : ADDRESS_BITS, (int)text.size, text.data);
    range.bits = (unsigned)bits + (dotted ? V4_BITS : 0);
    struct address base = masked(&range.base, range.bits);
    if (!address_equal(&base, &range.base))
        return err_set(err, -EINVAL, "the address has bits behind the prefix of its range: %.*s",
                       (int)text.size, text.data);
    *ret_range = range;
    return 0;
}

bool address_range_contains(const struct address_range *range, const struct address *address)
{
    struct address base = masked(address, range->bits);
    return address_equal(&base, &range->base);
}
