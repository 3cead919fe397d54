/* SPDX-License-Identifier: Apache-2.0 */
/* What the replica asks of this node, and what the leader's endpoint tells the replica. */
#include "node/replication_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "exchange/exchange.h"
#include "market/encode.h"
#include "market/scan.h"
#include "peer/peer_answer.h"

/* ---- ports ---- */

static int64_t port_now_ns(void *context)
{
    (void)context;
    return clock_monotonic_ns();
}

static int64_t port_wall_us(void *context)
{
    (void)context;
    return clock_wall_us();
}

static uint64_t port_random(void *context)
{
    uint64_t value;
    (void)context;
    random_bytes(&value, sizeof value);
    return value;
}

static void port_collect(void *context, bool on)
{
    struct replication *replication = context;
    replication->options.collect(replication->options.context, on);
}

static void port_peer_open(void *context, const char *since)
{
    struct replication *replication = context;
    if (replication->peers != NULL)
        peers_open_link(replication->peers, since);
}

static void port_peer_close(void *context)
{
    struct replication *replication = context;
    if (replication->peers != NULL)
        peers_close_link(replication->peers);
}

static void port_changed(void *context)
{
    struct replication *replication = context;
    replication_measure(replication);
    replication_note_leader(replication);
    replication->options.changed(replication->options.context);
}

static void port_shadow(void *context, struct journal *shadow)
{
    struct replication *replication = context;
    uint32_t depth = (uint32_t)replication->options.settings->stream.book_depth;
    keeper_destroy(replication->shadow_keeper);
    replication->shadow_keeper = shadow == NULL ? NULL : keeper_create(shadow, depth);
    replication->shadow_journal = shadow;
}

static void port_taken(void *context)
{
    struct replication *replication = context;
    keeper_take(replication->keeper, replication->shadow_keeper);
    replication->shadow_keeper = NULL;
    replication->shadow_journal = NULL;
    replication->options.start_over(replication->options.context);
}

static void port_renamed(void *context)
{
    struct replication *replication = context;
    replication->options.start_over(replication->options.context);
}

static struct keeper *keeper_of(struct replication *replication, const struct journal *journal)
{
    return journal == replication->shadow_journal ? replication->shadow_keeper
                                                  : replication->keeper;
}

static void port_load_state(void *context, struct journal *journal, const struct state_note *state)
{
    struct replication *replication = context;
    if (!keeper_load_state(keeper_of(replication, journal), state->text))
        log_warn("node", log_text("msg", "a state in the carrier can't be read, left out"));
}

static void port_load_message(void *context, struct journal *journal, struct slice message)
{
    struct replication *replication = context;
    if (!keeper_load_message(keeper_of(replication, journal), message))
        log_warn("node", log_text("msg", "a message of the leader's snapshot can't be read"));
}

static size_t port_save_state(void *context, size_t index, struct buffer *out)
{
    struct replication *replication = context;
    return keeper_save_state(replication->keeper, index, out);
}

static bool port_identify(void *context, const struct record *record,
                          struct replica_trade *ret_trade)
{
    (void)context;
    return keeper_identify_trade(record, &ret_trade->hash, &ret_trade->recv_us);
}

static void port_declare_gap(void *context, struct slice key, int64_t from_us, int64_t to_us)
{
    struct replication *replication = context;
    struct sequencer *sequencer = replica_sequencer(replication->replica);
    const char *colon = memchr(key.data, ':', key.size);
    struct symbol symbol;
    size_t size = colon == NULL ? 0 : (size_t)(colon - key.data);
    struct slice exchange = {.data = key.data, .size = size};
    if (colon == NULL ||
        !symbol_read((struct slice){.data = colon + 1, .size = key.size - size - 1}, &symbol))
        return; /* no market's */
    struct event gap = {.type = EVENT_GAP,
                        .symbol = &symbol,
                        .received_us = to_us,
                        .gap = {.channel = SLICE("trade"),
                                .from_us = from_us,
                                .to_us = to_us,
                                .missing = -1,
                                .reason = SLICE("not seen in the cluster's stream")}};
    char *body = sequencer_reserve(sequencer, "gap", event_encode_max(&gap, exchange));
    if (body == NULL)
        return; /* a reason is short: it never is */
    char *end = event_encode(body, &gap, exchange);
    (void)sequencer_commit(sequencer, key, (size_t)(end - body)); /* a log takes what is its next */
}

struct replica_ports replication_ports(struct replication *replication)
{
    return (struct replica_ports){
        .now_ns = port_now_ns,
        .wall_us = port_wall_us,
        .random = port_random,
        .collect = port_collect,
        .peer_open = port_peer_open,
        .peer_close = port_peer_close,
        .changed = port_changed,
        .shadow = port_shadow,
        .taken = port_taken,
        .renamed = port_renamed,
        .load_state = port_load_state,
        .load_message = port_load_message,
        .save_state = port_save_state,
        .identify = port_identify,
        .declare_gap = port_declare_gap,
        .context = replication,
    };
}

/* ---- what the log has ---- */

static void past_visit_trades(void *context, struct slice exchange, struct slice symbol,
                              publisher_trade_fn *visit, void *visitor)
{
    const struct replication *replication = context;
    struct keeper_pair pair = {.exchange = exchange, .symbol = symbol};
    keeper_visit_trade_keys(replication->keeper, &pair, visit, visitor);
}

static uint32_t past_channels(const struct replication *replication, const struct keeper_pair *pair,
                              bool (*told)(const struct keeper *keeper,
                                           const struct keeper_pair *pair, struct slice channel))
{
    uint32_t bits = 0;
    for (size_t i = 0; i < CHANNEL_COUNT; i++)
        if (told(replication->keeper, pair, slice_of(channel_names[i])))
            bits |= CHANNEL_BIT(i);
    return bits;
}

static uint32_t past_not_live(void *context, struct slice exchange, struct slice symbol)
{
    struct keeper_pair pair = {.exchange = exchange, .symbol = symbol};
    return past_channels(context, &pair, keeper_told_not_live);
}

static uint32_t past_down(void *context, struct slice exchange, struct slice symbol)
{
    struct keeper_pair pair = {.exchange = exchange, .symbol = symbol};
    return past_channels(context, &pair, keeper_told_down);
}

struct publisher_past replication_past_of(struct replication *replication)
{
    return (struct publisher_past){.visit_trades = past_visit_trades,
                                   .not_live = past_not_live,
                                   .down = past_down,
                                   .context = replication};
}

/* ---- the leader's endpoint ---- */

struct said { /* what `snapshot_end` and `epoch` say; -1, "": nothing */
    struct slice node;
    int64_t seq;
};

static bool read_said(struct slice message, struct said *said)
{
    struct scan scan = scan_begin(message);
    struct slice key;
    bool first = true;
    *said = (struct said){.node = SLICE(""), .seq = -1};
    scan_expect(&scan, '{');
    while (scan_next_key(&scan, &first, &key)) {
        if (slice_is(key, "node"))
            said->node = scan_text(&scan);
        else if (slice_is(key, "seq"))
            said->seq = scan_integer(&scan);
        else
            scan_skip(&scan);
    }
    return scan_finish(&scan);
}

bool replication_read_node(struct slice text, char *out, size_t out_size)
{
    struct said said;
    return read_said(text, &said) && slice_copy(said.node, out, out_size);
}

static void peer_hello(void *context, struct slice message)
{
    struct replication *replication = context;
    struct peer_greeting greeting;
    struct err err;
    if (peer_greeting_read(message, &greeting, &err) != 0)
        return; /* the link has looked at it already */
    struct peer_hello hello = {.stream = greeting.stream,
                               .node = greeting.node,
                               .epoch = greeting.epoch,
                               .next = greeting.next,
                               .resumed = greeting.resumed};
    replica_peer_hello(replication->replica, &hello);
    replica_tick(replication->replica);
}

static void peer_snapshot(void *context, struct slice message)
{
    struct replication *replication = context;
    replica_peer_snapshot(replication->replica, message);
}

static void peer_snapshot_end(void *context, struct slice message)
{
    struct replication *replication = context;
    struct said said;
    if (read_said(message, &said))
        replica_peer_snapshot_end(replication->replica, said.seq);
    replica_tick(replication->replica);
}

static void peer_record(void *context, struct slice message)
{
    struct replication *replication = context;
    replica_peer_record(replication->replica, message);
}

static void peer_alive(void *context)
{
    struct replication *replication = context;
    replica_peer_alive(replication->replica);
}

static void peer_lost(void *context, const char *reason)
{
    struct replication *replication = context;
    replica_peer_lost(replication->replica, reason);
}

struct peer_reader replication_peer_reader(struct replication *replication)
{
    return (struct peer_reader){
        .hello = peer_hello,
        .snapshot = peer_snapshot,
        .snapshot_end = peer_snapshot_end,
        .record = peer_record,
        .alive = peer_alive,
        .lost = peer_lost,
        .context = replication,
    };
}
