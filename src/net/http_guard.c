/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three structures over the same entries: a set-associative table by address, a queue of seats in
 * each, and a list of the addresses for each power of two of how many seats they have waiting; so
 * everything costs the same however many connections there are. Rates are kept as one number: the
 * time at which the address could again make a whole burst.
 */
#include "net/http_guard.h"

#include "base/limits.h"
#include "base/memory.h"
#include "base/random.h"

#include <assert.h>

#define WAYS 8
#define SETS (LIMIT_HTTP_ADDRESSES / WAYS)
#define CLASSES 33 /* bits of a count */
#define NS_PER_S 1000000000

static_assert(LIMIT_HTTP_ADDRESSES % WAYS == 0, "whole sets");

struct http_guard_address {
    struct address address;
    uint32_t connections;
    uint32_t waiting;
    struct http_seat *oldest; /* of those waiting */
    struct http_seat *newest;
    struct http_guard_address *previous; /* in its class */
    struct http_guard_address *next;
    int64_t rested_ns; /* when a whole burst is possible again */
};

struct class_list {
    struct http_guard_address *first; /* the longest in it */
    struct http_guard_address *last;
};

struct http_guard {
    struct http_limits limits;
    uint64_t seed;
    int64_t accept_rested_ns;
    struct class_list classes[CLASSES];
    struct http_guard_address *table; /* owned */
};

/* ---- rates ---- */

static bool rate_take(int64_t *rested_ns, uint32_t rate, uint32_t burst, int64_t now_ns)
{
    if (rate == 0)
        return true;
    int64_t interval_ns = NS_PER_S / rate;
    int64_t burst_ns = interval_ns * (burst == 0 ? rate : burst);
    int64_t rested = *rested_ns > now_ns ? *rested_ns : now_ns;
    if (rested + interval_ns - now_ns > burst_ns)
        return false;
    *rested_ns = rested + interval_ns;
    return true;
}

/* ---- the table ---- */

static struct http_guard_address *set_of(const struct http_guard *guard,
                                         const struct address *address)
{
    return &guard->table[address_seeded_hash(address, guard->seed) % SETS * WAYS];
}

static struct http_guard_address *way_find(const struct http_guard *guard,
                                           const struct address *group)
{
    struct http_guard_address *set = set_of(guard, group);
    for (size_t i = 0; i < WAYS; i++)
        if (address_equal(&set[i].address, group))
            return &set[i];
    return NULL;
}

/* Whether `left` is to be given up before `right`. */
static bool is_lesser(const struct http_guard_address *left, const struct http_guard_address *right)
{
    if (left->connections != right->connections)
        return left->connections < right->connections;
    return left->rested_ns < right->rested_ns;
}

static struct http_guard_address *way_take(struct http_guard *guard, const struct address *address)
{
    struct address group = address_group(address);
    struct http_guard_address *found = way_find(guard, &group);
    if (found != NULL)
        return found;
    struct http_guard_address *set = set_of(guard, &group);
    struct http_guard_address *least = set;
    for (size_t i = 1; i < WAYS; i++)
        if (is_lesser(&set[i], least))
            least = &set[i];
    if (least->connections == 0)
        *least = (struct http_guard_address){.address = group};
    return least;
}

/* ---- classes ---- */

static struct class_list *class_of(struct http_guard *guard, uint32_t waiting)
{
    size_t bits = 0;
    for (uint32_t left = waiting; left != 0; left >>= 1)
        bits++;
    return &guard->classes[bits];
}

static void class_leave(struct class_list *list, struct http_guard_address *address)
{
    if (address->previous != NULL)
        address->previous->next = address->next;
    else
        list->first = address->next;
    if (address->next != NULL)
        address->next->previous = address->previous;
    else
        list->last = address->previous;
    address->previous = NULL;
    address->next = NULL;
}

static void class_enter(struct class_list *list, struct http_guard_address *address)
{
    address->previous = list->last;
    if (list->last != NULL)
        list->last->next = address;
    else
        list->first = address;
    list->last = address;
}

static void set_waiting(struct http_guard *guard, struct http_guard_address *address,
                        uint32_t waiting)
{
    struct class_list *from = class_of(guard, address->waiting);
    struct class_list *to = class_of(guard, waiting);
    if (from != to && address->waiting > 0)
        class_leave(from, address);
    if (from != to && waiting > 0)
        class_enter(to, address);
    address->waiting = waiting;
}

/* ---- seats ---- */

void http_guard_wait(struct http_guard *guard, struct http_seat *seat)
{
    struct http_guard_address *address = seat->address;
    if (address == NULL || seat->waiting)
        return;
    seat->waiting = true;
    seat->older = address->newest;
    seat->newer = NULL;
    if (address->newest != NULL)
        address->newest->newer = seat;
    else
        address->oldest = seat;
    address->newest = seat;
    set_waiting(guard, address, address->waiting + 1);
}

void http_guard_busy(struct http_guard *guard, struct http_seat *seat)
{
    struct http_guard_address *address = seat->address;
    if (!seat->waiting)
        return;
    seat->waiting = false;
    if (seat->older != NULL)
        seat->older->newer = seat->newer;
    else
        address->oldest = seat->newer;
    if (seat->newer != NULL)
        seat->newer->older = seat->older;
    else
        address->newest = seat->older;
    set_waiting(guard, address, address->waiting - 1);
}

bool http_guard_enter(struct http_guard *guard, struct http_seat *seat,
                      const struct address *address, bool trusted)
{
    uint32_t most = guard->limits.connections_per_address;
    struct http_guard_address *taken = way_take(guard, address);
    if (!trusted && most > 0 && taken->connections >= most)
        return false;
    taken->connections++;
    *seat = (struct http_seat){.address = taken};
    return true;
}

void http_guard_leave(struct http_guard *guard, struct http_seat *seat)
{
    if (seat->address == NULL)
        return;
    http_guard_busy(guard, seat);
    assert(seat->address->connections > 0);
    seat->address->connections--;
    seat->address = NULL;
}

struct http_seat *http_guard_victim(const struct http_guard *guard)
{
    for (size_t i = CLASSES; i > 0; i--)
        if (guard->classes[i - 1].first != NULL)
            return guard->classes[i - 1].first->oldest;
    return NULL;
}

/* ---- the guard ---- */

bool http_guard_accept(struct http_guard *guard, int64_t now_ns)
{
    return rate_take(&guard->accept_rested_ns, guard->limits.accept_rate,
                     guard->limits.accept_burst, now_ns);
}

bool http_guard_handshake(struct http_guard *guard, const struct address *address, int64_t now_ns)
{
    if (guard->limits.handshake_rate == 0)
        return true;
    struct http_guard_address *taken = way_take(guard, address);
    return rate_take(&taken->rested_ns, guard->limits.handshake_rate, guard->limits.handshake_burst,
                     now_ns);
}

uint32_t http_guard_count(const struct http_guard *guard, const struct address *address)
{
    struct address group = address_group(address);
    const struct http_guard_address *found = way_find(guard, &group);
    return found == NULL ? 0 : found->connections;
}

struct http_guard *http_guard_create(const struct http_limits *limits)
{
    struct http_guard *guard = memory_alloc(sizeof(*guard));
    guard->limits = *limits;
    random_bytes(&guard->seed, sizeof(guard->seed));
    guard->table = memory_array(LIMIT_HTTP_ADDRESSES, sizeof(*guard->table));
    return guard;
}

void http_guard_destroy(struct http_guard *guard)
{
    if (guard == NULL)
        return;
    assert(http_guard_victim(guard) == NULL);
    memory_free(guard->table);
    memory_free(guard);
}
