/* SPDX-License-Identifier: Apache-2.0 */
/* Making and ending the stream on this node, its time, and what others read of it. */
#include "node/replication_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "node/way_out.h"

#include <stdio.h>

#define TICK_MS 25
#define MEASURE_NS INT64_C(1000000000)
#define REMIND_NS INT64_C(60000000000)

/* ---- time ---- */

static void replication_poll(void *context)
{
    struct replication *replication = context;
    if (replication->kafka != NULL && replication->kafka->kind->poll(replication->kafka))
        waker_wake(replication->waker);
}

/* Of one that may not lead, and is configured to: what a person must do is said to the end. */
static const char *why_deposed(struct replication *replication, const struct replica_info *info)
{
    bool led = info->mode != REPLICA_ALONE && info->mode != REPLICA_STARTING;
    snprintf(replication->why, sizeof replication->why,
             led ? "deposed by %.64s, which began epoch %lld: this node follows until it is "
                   "restarted; let one node only have cluster.role: leader"
                 : "deposed by %.64s, which began epoch %lld and does not lead: nobody does "
                   "until this node is restarted, or that one is there",
             info->fenced_by[0] == '\0' ? "an unknown node" : info->fenced_by,
             (long long)info->fenced_epoch);
    return replication->why;
}

/* What is said once is soon far up in a log: again each minute, and with each change of mode. */
static void remind(struct replication *replication)
{
    struct replica_info info;
    int64_t now_ns = clock_monotonic_ns();
    replica_describe(replication->replica, &info);
    bool due = info.changes != replication->reminded_change ||
               now_ns - replication->reminded_ns >= REMIND_NS;
    if (!info.fenced || !due)
        return;
    replication->reminded_ns = now_ns;
    replication->reminded_change = info.changes;
    log_warn("node", log_text("msg", "this node is configured to lead, and does not"),
             log_text("why", why_deposed(replication, &info)));
}

static void replication_tick(void *context)
{
    struct replication *replication = context;
    replication_poll(replication);
    replica_tick(replication->replica);
    if (replication->measured_ns + MEASURE_NS > clock_monotonic_ns())
        return;
    replication_measure(replication); /* what changes without a change of mode */
    remind(replication);
}

static void describe_kafka(const struct replication *replication, struct carrier_info *ret_info)
{
    *ret_info = (struct carrier_info){.state = CARRIER_FAILED,
                                      .since_us = replication->kafka_failed_us,
                                      .error = replication->kafka_error.text,
                                      .rtt_us = -1};
    if (replication->kafka != NULL)
        replication->kafka->kind->describe(replication->kafka, ret_info);
}

/* ---- metrics ---- */

static void measure_one_of(enum metric_family name, const char *label, const char *value, bool is)
{
    char labels[LIMIT_METRIC_LABELS];
    snprintf(labels, sizeof labels, "%s=\"%s\"", label, value);
    metric_set(metric_series(name, labels), is);
}

const char *replication_role(const struct replica_info *info)
{
    if (info->leader)
        return "leader";
    if (info->mode == REPLICA_ALONE)
        return "alone";
    return info->mode == REPLICA_STARTING ? "starting" : "follower";
}

/* A role outlasts changes of mode. */
static void note_role(struct replication *replication, const struct replica_info *info)
{
    const char *role = replication_role(info);
    if (replication->role != NULL && strcmp(role, replication->role) == 0)
        return;
    replication->role = role;
    replication->role_since_us = info->since_us;
}

/* url: NULL ends the list. */
static void set_node(struct replication *replication, size_t index, const char *url)
{
    char **node = &replication->nodes[index];
    if (*node != NULL && url != NULL && strcmp(*node, url) == 0)
        return;
    memory_free(*node);
    *node = url == NULL ? NULL : memory_copy_text(url);
}

/* As far as they have told where they are to be reached: a copy, since a peer's next answer may
 * take that back. */
static void list_nodes(struct replication *replication)
{
    size_t count = replication->peers == NULL ? 0 : peers_count(replication->peers);
    for (size_t i = 0; i < count; i++) {
        struct peer_info peer;
        peers_describe(replication->peers, i, &peer);
        set_node(replication, i, peer.url);
    }
    for (size_t i = count; i <= LIMIT_PEERS; i++)
        set_node(replication, i, NULL);
}

void replication_measure(struct replication *replication)
{
    static const char *const roles[] = {"leader", "follower", "alone", "starting"};
    struct replica_info info;
    struct carrier_info kafka;
    replication->measured_ns = clock_monotonic_ns();
    replica_describe(replication->replica, &info);
    describe_kafka(replication, &kafka);
    note_role(replication, &info);
    list_nodes(replication);
    for (size_t i = 0; i < COUNT_OF(roles); i++)
        measure_one_of(METRIC_ROLE, "role", roles[i], strcmp(roles[i], replication->role) == 0);
    for (size_t i = 0; i < REPLICA_MODE_COUNT; i++)
        measure_one_of(METRIC_MODE, "mode", replica_mode_names[i], info.mode == i);
    measure_one_of(METRIC_CARRIER_UP, "carrier", "kafka", kafka.state == CARRIER_UP);
    if (kafka.rtt_us >= 0)
        metric_set(metric_series(METRIC_CARRIER_RTT, "carrier=\"kafka\""), kafka.rtt_us);
    metric_set(metric_series(METRIC_DEPOSED, ""), info.fenced);
    metric_set(metric_series(METRIC_MODE_CHANGES, ""), (int64_t)info.changes);
    metric_set(metric_series(METRIC_REWRITES, ""), (int64_t)info.rewrites);
}

/* ---- who led ---- */

static void note_leader(struct replication *replication, int64_t epoch, const char *node)
{
    struct leadership *led = replication->led;
    struct replica_info info;
    if (replication->led_count > 0 && led[replication->led_count - 1].epoch == epoch &&
        strcmp(led[replication->led_count - 1].node, node) == 0)
        return;
    if (replication->led_count == LIMIT_LEADERSHIPS)
        memmove(led, led + 1, --replication->led_count * sizeof *led);
    replica_describe(replication->replica, &info);
    struct leadership *next = &led[replication->led_count++];
    *next = (struct leadership){.epoch = epoch, .from_us = clock_wall_us()};
    snprintf(next->node, sizeof next->node, "%s", node);
    snprintf(next->reason, sizeof next->reason, "%s",
             info.mode == REPLICA_ALONE ? "no leader was to be found" : "");
    metric_set(metric_series(METRIC_EPOCH, ""), epoch);
    metric_add(metric_series(METRIC_LEADERSHIPS, ""), 1);
    if (strcmp(node, replication->options.settings->node.id) != 0)
        log_info("node", log_text("msg", "another node leads"), log_text("node", node),
                 log_int("epoch", epoch));
}

static void note_record(void *context, const struct record *record)
{
    struct replication *replication = context;
    char node[sizeof replication->led[0].node];
    if (slice_is(record->type, "epoch") && replication_read_node(record->text, node, sizeof node))
        note_leader(replication, record->epoch, node);
}

static bool is_noted(const struct replication *replication, int64_t epoch)
{
    return replication->led_count > 0 &&
           replication->led[replication->led_count - 1].epoch == epoch;
}

/* Where the log begins behind the `epoch` message nobody has told it. Of an epoch that is noted the
 * replica may name the next one's leader already: its barrier comes before its first record. */
void replication_note_leader(struct replication *replication)
{
    struct replica_info info;
    int64_t epoch = journal_epoch(replica_journal(replication->replica));
    replica_describe(replication->replica, &info);
    if (epoch > 0 && info.leader_node[0] != '\0' && !is_noted(replication, epoch))
        note_leader(replication, epoch, info.leader_node);
}

/* ---- life ---- */

int replication_check(const struct settings *settings, struct err *err)
{
    int result = kafka_check(settings, err);
    if (result == 0 && peers_check_token(settings->cluster.token_file, err) != 0)
        result = err_wrap(err, "cluster.token_file");
    return result;
}

static int open_peers(struct replication *replication, struct err *err)
{
    const struct settings *settings = replication->options.settings;
    const char *urls[LIMIT_PEERS + 1] = {NULL};
    for (size_t i = 0; i < settings->cluster.peers.count && i < LIMIT_PEERS; i++)
        urls[i] = settings->cluster.peers.items[i];
    if (urls[0] == NULL)
        return 0;
    int result = way_out_create(settings, &replication->proxy, err);
    if (result < 0)
        return result;
    const struct peers_options options = {.loop = replication->options.loop,
                                          .urls = urls,
                                          .node = settings->node.id,
                                          .token_file = settings->cluster.token_file,
                                          .proxy = replication->proxy,
                                          .reader = replication_peer_reader(replication)};
    return peers_create(&options, &replication->peers, err);
}

int replication_create(const struct replication_options *options,
                       struct replication **ret_replication, struct err *err)
{
    const struct settings *settings = options->settings;
    struct replication *replication = memory_alloc(sizeof *replication);
    replication->options = *options;
    replication->past = replication_past_of(replication);
    replication->replica =
        replica_create(&(struct replica_options){.node = settings->node.id,
                                                 .retain = (size_t)settings->stream.retain_bytes,
                                                 .times = REPLICA_TIMES,
                                                 .ports = replication_ports(replication)});
    replication->keeper =
        keeper_create(replica_journal(replication->replica), (uint32_t)settings->stream.book_depth);
    journal_listen(replica_journal(replication->replica), note_record, replication);
    replication->waker = waker_create_on(options->loop, replication_poll, replication);
    replication->tick = timer_create_on(options->loop, replication_tick, replication);
    int result = open_peers(replication, err);
    if (result < 0) {
        replication_destroy(replication);
        return result;
    }
    *ret_replication = replication;
    return 0;
}

void replication_destroy(struct replication *replication)
{
    if (replication == NULL)
        return;
    timer_destroy(replication->tick);
    kafka_close(replication);
    kafka_settle();
    peers_destroy(replication->peers);
    proxy_destroy(replication->proxy);
    keeper_destroy(replication->shadow_keeper);
    keeper_destroy(replication->keeper);
    replica_destroy(replication->replica);
    waker_destroy(replication->waker);
    for (size_t i = 0; i < LIMIT_PEERS; i++)
        set_node(replication, i, NULL);
    memory_free(replication);
}

int replication_start(struct replication *replication, struct err *err)
{
    const struct settings *settings = replication->options.settings;
    int result = settings->kafka.enabled ? kafka_open(replication, err) : 0;
    if (result < 0)
        return result;
    /* Without an election nobody else remembers epochs: a topic that lost its end must not make us
     * give one twice, so an epoch is at least the time in seconds. */
    if (settings->cluster.role != CLUSTER_FOLLOWER)
        replica_lead(replication->replica, settings->kafka.enabled ? clock_wall_us() / 1000000 : 0);
    timer_start(replication->tick, TICK_MS, TICK_MS);
    replica_tick(replication->replica);
    replication_measure(replication);
    return 0;
}

void replication_leave(struct replication *replication)
{
    replica_leave(replication->replica);
}

bool replication_is_flushed(const struct replication *replication)
{
    return replica_is_flushed(replication->replica);
}

/* What can't be read changes nothing. */
static int reopen_kafka(struct replication *replication, struct err *err)
{
    bool wanted = replication->options.settings->kafka.enabled;
    if (wanted && kafka_check(replication->options.settings, err) < 0)
        return err->code;
    kafka_close(replication);
    return wanted ? kafka_open(replication, err) : 0;
}

static void reload_kafka(struct replication *replication)
{
    struct err *err = &replication->kafka_error;
    *err = (struct err){0};
    if (reopen_kafka(replication, err) == 0) {
        log_info("node", log_text("msg", "reloaded"), log_text("what", "kafka"));
        return;
    }
    replication->kafka_failed_us = clock_wall_us();
    log_error("node",
              log_text("msg", replication->kafka == NULL
                                  ? "Kafka is not used"
                                  : "the new settings of Kafka are not in force, the old ones are"),
              log_text("error", err->text));
}

/* A password is changed in its file, under the same name; what failed last may do now. */
static bool kafka_is_outdated(const struct replication *replication)
{
    return replication->options.settings->kafka.enabled &&
           (replication->kafka_error.code != 0 || kafka_password_differs(replication));
}

void replication_reload(struct replication *replication, const struct settings_reload *reload)
{
    if (!settings_reload_has(reload, "kafka.") && !kafka_is_outdated(replication))
        return;
    reload_kafka(replication);
    replica_tick(replication->replica);
    replication->options.changed(replication->options.context);
}

struct journal *replication_journal(struct replication *replication)
{
    return replica_journal(replication->replica);
}

struct keeper *replication_keeper(struct replication *replication)
{
    return replication->keeper;
}

struct sequencer *replication_sequencer(struct replication *replication)
{
    return replica_sequencer(replication->replica);
}

const struct publisher_past *replication_past(struct replication *replication)
{
    return &replication->past;
}

/* ---- what there is ---- */

void replication_describe(const struct replication *replication, struct replica_info *ret_info)
{
    replica_describe(replication->replica, ret_info);
}

int64_t replication_role_since_us(const struct replication *replication)
{
    return replication->role_since_us;
}

const char *replication_mode(const struct replication *replication)
{
    struct carrier_info kafka;
    describe_kafka(replication, &kafka);
    return kafka.state == CARRIER_UP ? "kafka" : "websocket";
}

static const char *why_not_up(struct replication *replication, const struct carrier_info *kafka,
                              bool fallen_out)
{
    const char *error = kafka->error[0] == '\0' ? "no answer yet" : kafka->error;
    long long retain = (long long)replication->options.settings->stream.retain_bytes;
    if (fallen_out)
        snprintf(replication->why, sizeof replication->why,
                 "Kafka: %.160s. This is longer than stream.retain (%lld bytes) holds: "
                 "a new stream begins when Kafka is back",
                 error, retain);
    else
        snprintf(replication->why, sizeof replication->why, "Kafka: %s", error);
    return replication->why;
}

const char *replication_better(struct replication *replication)
{
    struct carrier_info kafka;
    struct replica_info info;
    describe_kafka(replication, &kafka);
    replica_describe(replication->replica, &info);
    if (info.fenced)
        return why_deposed(replication, &info);
    if (strcmp(info.source, "kafka") == 0)
        return NULL;
    if (!replication->options.settings->kafka.enabled)
        return info.mode == REPLICA_ALONE ? "no leader is to be found" : NULL;
    if (kafka.state != CARRIER_UP)
        return why_not_up(replication, &kafka, info.fallen_out);
    if (info.mode == REPLICA_ALONE)
        return "Kafka answers, but nobody leads there";
    return info.leader ? "Kafka answers; it is used when what is written has come back for 5 s"
                       : "Kafka answers; it is used when a leader has been heard there for 5 s";
}

void replication_fill_dependency(const struct replication *replication,
                                 struct admin_dependency *ret_kafka)
{
    static const char *const states[] = {
        [CARRIER_CONNECTING] = "connecting", [CARRIER_UP] = "up", [CARRIER_FAILED] = "down"};
    struct carrier_info kafka;
    describe_kafka(replication, &kafka);
    bool measured = kafka.state == CARRIER_UP && kafka.rtt_us > 0; /* else: what once was */
    if (replication->options.settings->kafka.enabled)
        *ret_kafka = (struct admin_dependency){.enabled = true,
                                               .state = states[kafka.state],
                                               .error = kafka.error,
                                               .since_us = kafka.since_us,
                                               .rtt_us = measured ? kafka.rtt_us : 0};
}

const char *const *replication_nodes(const struct replication *replication)
{
    return (const char *const *)replication->nodes;
}

void replication_fill_cluster(const struct replication *replication,
                              struct admin_cluster *ret_cluster)
{
    for (size_t i = 0; replication->peers != NULL && i < peers_count(replication->peers); i++) {
        struct peer_info peer;
        peers_describe(replication->peers, i, &peer);
        ret_cluster->nodes[ret_cluster->node_count++] =
            (struct admin_node){.id = peer.node,
                                .role = peer.reachable ? peer.role : "unknown",
                                .url = peer.url,
                                .version = peer.version,
                                .clients = peer.clients,
                                .lag_ms = peer.lag_ms,
                                .since_us = peer.since_us};
    }
    for (size_t i = replication->led_count; i > 0; i--) {
        const struct leadership *led = &replication->led[i - 1];
        bool last = i == replication->led_count;
        ret_cluster->history[ret_cluster->history_count++] =
            (struct admin_leadership){.epoch = led->epoch,
                                      .node = led->node,
                                      .reason = led->reason,
                                      .from_us = led->from_us,
                                      .to_us = last ? 0 : replication->led[i].from_us};
    }
}
