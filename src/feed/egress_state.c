/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an egress knows, as a line of JSON, and back. Wherever something is rounded it becomes
 * stricter: spendings later, pauses longer. The line comes from outside, so nothing in it is
 * believed without bounds, and nothing is changed before all of it has been read.
 */
#include "base/memory.h"
#include "feed/egress_priv.h"
#include "market/scan.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

#define NS_PER_US 1000
#define US_PER_S INT64_C(1000000)
#define STEPS 64      /* of a window, as it is written */
#define STEPS_MAX 128 /* as it is read */
#define WALL_MAX_US ((INT64_C(1) << 53) - 1)
#define STATUS_MAX 999

/* ---- writing ---- */

static int64_t wall_of(int64_t time_ns, int64_t now_ns, int64_t wall_us)
{
    int64_t age_us = time_ns < now_ns ? (now_ns - time_ns) / NS_PER_US : 0;
    return age_us < wall_us ? wall_us - age_us : 0;
}

static void write_step(struct buffer *out, bool *first, int64_t time_us, uint64_t weight)
{
    if (weight == 0)
        return;
    uint64_t most = weight < UINT32_MAX ? weight : UINT32_MAX;
    buffer_append_format(out, "%s[%" PRId64 ",%" PRIu64 "]", *first ? "" : ",", time_us, most);
    *first = false;
}

/* Both of a ledger, in the order of their times. */
static const struct budget_entry *ledger_next(const struct ledger *ledger, uint32_t index[2])
{
    const struct budget_entry *own = budget_entry_at(&ledger->own, index[0]);
    const struct budget_entry *inherited = budget_entry_at(&ledger->inherited, index[1]);
    if (inherited == NULL || (own != NULL && own->time_ns <= inherited->time_ns)) {
        index[0]++;
        return own;
    }
    index[1]++;
    return inherited;
}

static void write_ledger(struct buffer *out, const struct ledger *ledger, int64_t now_ns,
                         int64_t wall_us)
{
    uint32_t index[2] = {0, 0};
    bool first = true;
    uint64_t weight = 0; /* of the step that begins at begin_ns */
    int64_t begin_ns = 0, last_ns = 0;
    const struct budget_entry *entry = ledger_next(ledger, index);
    buffer_append_text(out, "[");
    for (; entry != NULL; entry = ledger_next(ledger, index)) {
        if (now_ns > entry->time_ns && now_ns - entry->time_ns >= ledger->own.window_ns)
            continue;
        if (weight == 0 || entry->time_ns - begin_ns > ledger->own.window_ns / STEPS) {
            write_step(out, &first, wall_of(last_ns, now_ns, wall_us), weight);
            begin_ns = entry->time_ns;
            weight = 0;
        }
        last_ns = entry->time_ns;
        weight += entry->weight;
    }
    write_step(out, &first, wall_of(last_ns, now_ns, wall_us), weight);
    buffer_append_text(out, "]");
}

static int64_t pause_wall_us(const struct egress *egress, int64_t now_ns, int64_t wall_us)
{
    if (!egress->pause.is_set)
        return 0;
    if (egress->pause.until_ns <= now_ns)
        return wall_of(egress->pause.until_ns, now_ns, wall_us);
    return wall_us + (egress->pause.until_ns - now_ns + NS_PER_US - 1) / NS_PER_US;
}

void egress_write(const struct egress *egress, int64_t now_ns, int64_t wall_us, struct buffer *out)
{
    buffer_append_format(out, "{\"exchange\":\"%s\",\"address\":\"", egress->exchange->name);
    buffer_append_slice(out, buffer_slice(&egress->address));
    buffer_append_format(out, "\",\"paused_until\":%" PRId64 ",\"status\":%u,\"strikes\":%u",
                         pause_wall_us(egress, now_ns, wall_us), egress->pause.status,
                         egress->pause.strikes);
    buffer_append_text(out, ",\"connects\":");
    write_ledger(out, &egress->ledgers[0], now_ns, wall_us);
    buffer_append_text(out, ",\"rest\":[");
    for (size_t i = 1; i < egress->ledger_count; i++) {
        buffer_append_text(out, i > 1 ? "," : "");
        write_ledger(out, &egress->ledgers[i], now_ns, wall_us);
    }
    buffer_append_text(out, "]}");
}

/* ---- reading ---- */

enum state_key {
    KEY_EXCHANGE,
    KEY_ADDRESS,
    KEY_PAUSED_UNTIL,
    KEY_STATUS,
    KEY_STRIKES,
    KEY_CONNECTS,
    KEY_REST,
    KEY_COUNT
};

static const char *const key_names[KEY_COUNT] = {
    "exchange", "address", "paused_until", "status", "strikes", "connects", "rest",
};

struct steps {
    struct budget_entry step[STEPS_MAX];
    uint32_t count;
};

struct reading {
    struct scan scan;
    const struct egress *egress; /* borrowed */
    int64_t now_ns, wall_us;
    uint32_t seen; /* bit of each enum state_key */
    bool another;  /* its exchange or address is not ours */
    int64_t paused_until_us;
    unsigned status, strikes;
    struct steps steps[EGRESS_LEDGERS_MAX];
};

static int64_t read_integer(struct reading *reading, int64_t max)
{
    int64_t value = scan_integer(&reading->scan);
    if (value < 0 || value > max) {
        scan_fail(&reading->scan);
        return 0;
    }
    return value;
}

/* What is too old to count is left out; what lies in the future is of now. */
static void read_step(struct reading *reading, int64_t window_ns, int64_t *time_us,
                      struct steps *steps)
{
    scan_expect(&reading->scan, '[');
    int64_t at_us = read_integer(reading, WALL_MAX_US);
    scan_expect(&reading->scan, ',');
    uint32_t weight = (uint32_t)read_integer(reading, UINT32_MAX);
    scan_expect(&reading->scan, ']');
    if (at_us < *time_us || steps->count == STEPS_MAX)
        scan_fail(&reading->scan);
    if (reading->scan.failed)
        return;
    *time_us = at_us;
    int64_t age_ns = at_us < reading->wall_us ? (reading->wall_us - at_us) * NS_PER_US : 0;
    if (age_ns < window_ns && weight > 0)
        steps->step[steps->count++] =
            (struct budget_entry){.time_ns = reading->now_ns - age_ns, .weight = weight};
}

static void read_steps(struct reading *reading, size_t index)
{
    if (index >= reading->egress->ledger_count) {
        scan_fail(&reading->scan);
        return;
    }
    int64_t time_us = 0;
    bool first = true;
    scan_expect(&reading->scan, '[');
    while (scan_next_element(&reading->scan, &first))
        read_step(reading, reading->egress->ledgers[index].own.window_ns, &time_us,
                  &reading->steps[index]);
}

static void read_rest(struct reading *reading)
{
    bool first = true;
    size_t index = 1;
    scan_expect(&reading->scan, '[');
    while (scan_next_element(&reading->scan, &first))
        read_steps(reading, index++);
    if (index != reading->egress->ledger_count)
        scan_fail(&reading->scan);
}

static void read_value(struct reading *reading, enum state_key key)
{
    const struct egress *egress = reading->egress;
    switch (key) {
    case KEY_EXCHANGE:
        reading->another |= !slice_is(scan_text(&reading->scan), egress->exchange->name);
        return;
    case KEY_ADDRESS:
        reading->another |= !slice_equal(scan_text(&reading->scan), buffer_slice(&egress->address));
        return;
    case KEY_PAUSED_UNTIL:
        reading->paused_until_us = read_integer(reading, WALL_MAX_US);
        return;
    case KEY_STATUS:
        reading->status = (unsigned)read_integer(reading, STATUS_MAX);
        return;
    case KEY_STRIKES:
        reading->strikes = (unsigned)read_integer(reading, EGRESS_STRIKES_MAX);
        return;
    case KEY_CONNECTS:
        if (reading->another) /* which may keep other books */
            scan_skip(&reading->scan);
        else
            read_steps(reading, 0);
        return;
    case KEY_REST:
        if (reading->another)
            scan_skip(&reading->scan);
        else
            read_rest(reading);
        return;
    case KEY_COUNT:
        return;
    }
}

/* All keys, each once, and no others. */
static bool read_all(struct reading *reading)
{
    struct slice name;
    bool first = true;
    scan_expect(&reading->scan, '{');
    while (scan_next_key(&reading->scan, &first, &name)) {
        unsigned key = 0;
        while (key < KEY_COUNT && !slice_is(name, key_names[key]))
            key++;
        if (key == KEY_COUNT || (reading->seen & 1u << key) != 0) {
            scan_fail(&reading->scan);
            continue;
        }
        reading->seen |= 1u << key;
        read_value(reading, (enum state_key)key);
    }
    return scan_finish(&reading->scan) && reading->seen == (1u << KEY_COUNT) - 1;
}

/*
 * The stricter of two histories: what counts at any later time is the greater of what counts in
 * one and in the other. From the newest time to the oldest, the sums of both grow, and the greater
 * sum's growth is what was spent at that time.
 */
static void inherit(struct budget *budget, const struct steps *steps)
{
    uint32_t left = budget->used, right = steps->count, count = 0;
    if (right == 0 || budget->count == 0)
        return;
    struct budget_entry *merged = memory_array((size_t)left + right, sizeof *merged);
    uint64_t left_sum = 0, right_sum = 0, sum = 0;
    while (left > 0 || right > 0) {
        const struct budget_entry *one = left > 0 ? budget_entry_at(budget, left - 1) : NULL;
        const struct budget_entry *entry = right > 0 ? &steps->step[right - 1] : one;
        bool take_left = one != NULL && one->time_ns >= entry->time_ns;
        if (take_left)
            entry = one;
        assert(entry != NULL);
        *(take_left ? &left_sum : &right_sum) += entry->weight;
        *(take_left ? &left : &right) -= 1;
        uint64_t greater = left_sum > right_sum ? left_sum : right_sum;
        if (greater > sum)
            merged[count++] = (struct budget_entry){.time_ns = entry->time_ns,
                                                    .weight = (uint32_t)(greater - sum)};
        sum = greater;
    }
    budget_clear(budget);
    while (count > 0) {
        count--;
        budget_spend(budget, merged[count].weight, merged[count].time_ns);
    }
    memory_free(merged);
}

static void inherit_pause(struct egress_pause_state *pause, const struct reading *reading)
{
    if (reading->paused_until_us == 0)
        return;
    int64_t left_us = reading->paused_until_us - reading->wall_us;
    if (left_us > EGRESS_PAUSE_MAX_S * US_PER_S)
        left_us = EGRESS_PAUSE_MAX_S * US_PER_S;
    if (left_us * NS_PER_US <= -EGRESS_HOUR_NS)
        return; /* over, and too long ago to double anything */
    int64_t until_ns = reading->now_ns + left_us * NS_PER_US;
    if (!pause->is_set || until_ns > pause->until_ns) {
        pause->until_ns = until_ns;
        pause->status = reading->status;
    }
    pause->is_set = true;
    if (reading->strikes > pause->strikes)
        pause->strikes = reading->strikes;
}

static int egress_take(struct egress *egress, struct reading *reading, struct err *err)
{
    if (!read_all(reading))
        return err_set(err, -EINVAL, "%s: this is no state of an egress", egress->exchange->name);
    if (reading->another)
        return err_set(err, -ENOENT, "%s: the state is of another exchange or address",
                       egress->exchange->name);
    for (size_t i = 0; i < egress->ledger_count; i++)
        inherit(&egress->ledgers[i].inherited, &reading->steps[i]);
    inherit_pause(&egress->pause, reading);
    return 0;
}

int egress_read(struct egress *egress, struct slice text, int64_t now_ns, int64_t wall_us,
                struct err *err)
{
    assert(wall_us >= 0 && wall_us <= WALL_MAX_US);
    if (text.size == 0 || text.size > EGRESS_TEXT_MAX)
        return err_set(err, -EINVAL, "%s: a state of %zu bytes", egress->exchange->name, text.size);
    /* A scan wants a NUL and bytes behind the text, which the caller's may not have. */
    char *copy = memory_alloc(text.size + 1 + LIMIT_PADDING);
    memcpy(copy, text.data, text.size);
    struct reading *reading = memory_alloc(sizeof *reading);
    reading->scan = scan_begin((struct slice){.data = copy, .size = text.size});
    reading->egress = egress;
    reading->now_ns = now_ns;
    reading->wall_us = wall_us;
    int result = egress_take(egress, reading, err);
    memory_free(reading);
    memory_free(copy);
    return result;
}
