/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of the exchanges, as settings, and who has used how much of them. */
#include "sim/simulator_priv.h"

#include "base/clock.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#define EARLY_SLACK_MS 5      /* clocks tick in milliseconds */
#define REFUSED_BEFORE_BAN 20 /* requests over the budget in one window */
#define BAN_MS 120000
#define VALUE_MAX 4000000000u
#define SECOND_MS 1000

struct limit_row {
    const char *name;
    size_t offset; /* in struct venue_limits */
    bool is_time;
};

#define ROW(name, field, is_time)                                                                  \
    {                                                                                              \
        name, offsetof(struct venue_limits, field), is_time                                        \
    }

static const struct limit_row rows[] = {
    ROW("connects", connects, false),
    ROW("connects-window", connects_ms, true),
    ROW("messages", messages, false),
    ROW("messages-window", messages_ms, true),
    ROW("messages-minute", messages_minute, false),
    ROW("streams", streams, false),
    ROW("request-size", request_size, false),
    ROW("ping", ping_ms, true),
    ROW("pong", pong_ms, true),
    ROW("idle", idle_ms, true),
    ROW("lifetime", lifetime_ms, true),
};

const char *simulator_limit_help(void)
{
    return "  connects, connects-window   handshakes of one address in so long\n"
           "  messages, messages-window   from one connection in so long\n"
           "  messages-minute             from one connection in a minute\n"
           "  streams                     of one connection\n"
           "  request-size                bytes of one message from a client\n"
           "  ping, pong                  time between our pings; a pong must come within\n"
           "  idle                        a connection that is silent for so long is cut\n"
           "  lifetime                    of a connection, whatever it does\n"
           "  weight, or a group's name   REST requests, or their weight, in the group's window\n";
}

/* "20s", "500ms", "2m", "24h", or a bare number: counts, or milliseconds. */
static bool value_read(struct slice text, bool is_time, uint32_t *ret_value)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    size_t digits = 0;
    while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9')
        digits++;
    uint64_t value, factor = 1;
    if (!slice_to_uint64((struct slice){text.data, digits}, VALUE_MAX, &value))
        return false;
    struct slice unit = {text.data + digits, text.size - digits};
    if (unit.size > 0) {
        factor = 0;
        for (size_t i = 0; is_time && i < COUNT_OF(units); i++)
            if (slice_is(unit, units[i].unit))
                factor = units[i].ms;
    }
    if (factor == 0 || value * factor > VALUE_MAX)
        return false;
    *ret_value = (uint32_t)(value * factor);
    return true;
}

static bool limit_set(struct run *run, struct slice name, struct slice value, bool *ret_bad)
{
    struct venue_run *public = &run->public;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint32_t *target = (uint32_t *)(void *)((char *)&public->limits + rows[i].offset);
        if (!slice_is(name, rows[i].name))
            continue;
        *ret_bad = !value_read(value, rows[i].is_time, target);
        return true;
    }
    for (size_t i = 0; i < VENUE_GROUPS_MAX && public->groups[i].name != NULL; i++)
        if (slice_is(name, public->groups[i].name) || (i == 0 && slice_is(name, "weight"))) {
            *ret_bad = !value_read(value, false, &public->groups[i].limit);
            return true;
        }
    return false;
}

int limits_set(struct simulator *simulator, const char *setting, struct err *err)
{
    struct slice value, name;
    struct slice key = slice_split(slice_of(setting), '=', &value);
    struct slice exchange = slice_split(key, '.', &name);
    bool there = false, bad = false;
    for (size_t i = 0; i < simulator->run_count; i++)
        if (slice_is(exchange, "*") || slice_is(exchange, simulator->runs[i].state->exchange.name))
            there |= limit_set(&simulator->runs[i], name, value, &bad);
    if (!there)
        return err_set(err, -EINVAL, "`%s`: there is no such limit", setting);
    if (bad)
        return err_set(err, -EINVAL, "`%s`: a number is needed, or for a time one with ms, s, m, h",
                       setting);
    return 0;
}

/* ---- counting ---- */

void rate_log_release(struct rate_log *log)
{
    memory_free(log->times_ns);
    *log = (struct rate_log){0};
}

bool rate_log_take(struct rate_log *log, uint32_t limit, uint32_t window_ms)
{
    if (limit == 0 || limit > RATE_LOG_MAX)
        return true;
    if (log->times_ns == NULL) {
        log->limit = limit;
        log->times_ns = memory_array(limit, sizeof log->times_ns[0]);
    }
    int64_t now_ns = clock_monotonic_ns();
    int64_t *oldest_ns = &log->times_ns[log->next];
    if (*oldest_ns != 0 && now_ns - *oldest_ns < (int64_t)window_ms * NS_PER_MS)
        return false;
    *oldest_ns = now_ns;
    log->next = (log->next + 1) % log->limit;
    return true;
}

struct visitor *visitor_find(struct exchange_state *state, const struct address *address)
{
    struct visitor *found = NULL, *oldest = NULL;
    for (size_t i = 0; i < state->visitor_count && found == NULL; i++) {
        struct visitor *visitor = &state->visitors[i];
        if (address_equal(&visitor->address, address))
            found = visitor;
        if (oldest == NULL || visitor->seen_ns < oldest->seen_ns)
            oldest = visitor;
    }
    if (found == NULL) {
        bool full = state->visitor_count == ADDRESSES_MAX;
        found = full ? oldest : &state->visitors[state->visitor_count++];
        assert(found != NULL); /* full is never empty */
        rate_log_release(&found->handshakes);
        *found = (struct visitor){.address = *address};
    }
    found->seen_ns = clock_monotonic_ns();
    return found;
}

void visitors_release(struct exchange_state *state)
{
    for (size_t i = 0; i < state->visitor_count; i++)
        rate_log_release(&state->visitors[i].handshakes);
    memory_free(state->visitors);
}

bool visitor_is_early(struct run *run, const struct visitor *visitor)
{
    bool early = clock_monotonic_ns() + (int64_t)EARLY_SLACK_MS * NS_PER_MS < visitor->away_ns;
    if (early)
        venue_broken(&run->public, BROKEN_BANNED);
    return early;
}

/* Over the budget: counted, as a request that came too early if it had been told so. */
static uint32_t refuse_units(struct venue_run *public, struct visitor_group *used,
                             const struct venue_group *rule)
{
    int64_t now_ns = clock_monotonic_ns(), window_ns = (int64_t)rule->window_ms * NS_PER_MS;
    bool early = now_ns + (int64_t)EARLY_SLACK_MS * NS_PER_MS < used->until_ns;
    venue_broken(public, early ? BROKEN_BANNED : BROKEN_WEIGHT);
    if (!used->banned)
        used->until_ns = used->start_ns + window_ns;
    if (!used->banned && ++used->refused > REFUSED_BEFORE_BAN) {
        used->banned = true;
        used->until_ns = now_ns + (int64_t)BAN_MS * NS_PER_MS;
    }
    return (uint32_t)((used->until_ns - now_ns) / NS_PER_MS / SECOND_MS) + 1;
}

enum taken venue_take(struct venue_run *public, const struct address *address, size_t group,
                      uint32_t units, uint32_t *ret_used, uint32_t *ret_retry_s)
{
    struct run *run = (struct run *)public;
    const struct venue_group *rule = &public->groups[group];
    struct visitor_group *used = &visitor_find(run->state, address)->groups[group];
    int64_t now_ns = clock_monotonic_ns();
    assert(group < VENUE_GROUPS_MAX && rule->name != NULL);
    bool fresh =
        used->start_ns == 0 || now_ns - used->start_ns >= (int64_t)rule->window_ms * NS_PER_MS;
    if (fresh && (!used->banned || now_ns >= used->until_ns))
        *used = (struct visitor_group){.start_ns = now_ns};
    used->used += units;
    bool over = used->banned || (rule->limit != 0 && used->used > rule->limit);
    uint32_t retry_s = over ? refuse_units(public, used, rule) : 0;
    if (ret_used != NULL)
        *ret_used = used->used;
    if (ret_retry_s != NULL)
        *ret_retry_s = retry_s;
    if (!over)
        return TAKEN;
    return used->banned ? TAKEN_BANNED : TAKEN_LIMITED;
}

void venue_broken(struct venue_run *public, enum broken broken)
{
    assert(broken < BROKEN_COUNT);
    ((struct run *)public)->state->stats.broken[broken]++;
}

void venue_bad_request(struct venue_run *public)
{
    ((struct run *)public)->state->stats.requests_bad++;
}

uint64_t simulator_limits_broken(const struct simulator *simulator)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < simulator->exchange_count; i++)
        for (size_t k = 0; k < BROKEN_COUNT; k++)
            sum += simulator->exchanges[i].stats.broken[k];
    return sum;
}
