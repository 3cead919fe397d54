/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of machines, without a port: IPv6 in 16 bytes, IPv4 as ::ffff:a.b.c.d, so that one peer
 * is one value whichever way it came. Values, no I/O, any thread.
 */
#pragma once

#include "base/err.h"
#include "base/slice.h"

#define ADDRESS_SIZE 16
#define ADDRESS_BITS 128
#define ADDRESS_TEXT 46 /* the longest with its NUL */

struct address {
    uint8_t bytes[ADDRESS_SIZE]; /* network order */
};

/* "192.0.2.1" or "2001:db8::1"; no brackets, no port, no zone, no leading zeros in IPv4. */
bool address_parse(struct slice text, struct address *ret_address) MUST_CHECK;

/* The same, or with brackets (IPv6), and with a port, which is checked and dropped: how
 * X-Forwarded-For and socket names have it. */
bool address_parse_peer(struct slice text, struct address *ret_address) MUST_CHECK;

/* The usual short form (RFC 5952); IPv4 with dots; terminated. */
void address_write(const struct address *address, char ret_text[ADDRESS_TEXT]);

bool address_equal(const struct address *left, const struct address *right);
bool address_is_v4(const struct address *address);

/* Negative, 0 or positive: numeric order. */
int address_compare(const struct address *left, const struct address *right);

/* For tables; `seed` is random where the addresses are an adversary's. */
uint64_t address_seeded_hash(const struct address *address, uint64_t seed);

/* What counts as one client: an IPv4 address, or an IPv6 /64 (one customer has at least that). */
struct address address_group(const struct address *address);

struct address_range {
    struct address base; /* no bits behind the prefix */
    unsigned bits;       /* of the prefix, 0 to 128; of IPv4: 96 more than written */
};

/* "10.0.0.0/8", "2001:db8::/32", or one address. 0, or -EINVAL with what is wrong; a base with bits
 * behind its prefix is. */
int address_range_parse(struct slice text, struct address_range *ret_range,
                        struct err *err) MUST_CHECK;
bool address_range_contains(const struct address_range *range, const struct address *address);
