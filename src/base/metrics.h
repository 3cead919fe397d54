/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters, gauges and histograms by family (one table, METRIC_TABLE, names them all) and label
 * set. The number of series is bounded by LIMIT_METRIC_SERIES: beyond it metric_series returns a
 * shared overflow series, which is never written out.
 *
 * Threads: series are made and written out by the main thread alone, at start-up or when an object
 * is made, never per message; the main thread hands them to whoever uses them. The values may be
 * changed by any thread: adding is one relaxed atomic, observing two. Threads that observe often
 * take a series each, or metric_observe_many, so that they do not fight for one cache line.
 */
#pragma once

#include "base/buffer.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* X(enum suffix, name without prefix, kind, help) */
#define METRIC_TABLE(X)                                                                            \
    X(MESSAGES_RECEIVED, "exchange_messages_total", METRIC_COUNTER,                                \
      "Messages received from an exchange, by what decoding made of them")                         \
    X(EVENTS, "messages_in_total", METRIC_COUNTER,                                                 \
      "Normalized messages made, by exchange and type")                                            \
    X(FIELDS_LEFT_OUT, "fields_left_out_total", METRIC_COUNTER,                                    \
      "Ticker fields of more than 18 digits, left out of their message")                           \
    X(DECODE_ERRORS, "decode_errors_total", METRIC_COUNTER, "Malformed messages, by exchange")     \
    X(EXCHANGE_STATE, "exchange_state", METRIC_GAUGE,                                              \
      "State of an exchange: 0 connecting, 1 live, 2 stale, 3 down")                               \
    X(EXCHANGE_AGE, "exchange_last_message_timestamp_seconds", METRIC_GAUGE,                       \
      "Wall time of the last message of an exchange")                                              \
    X(RECONNECTS, "reconnects_total", METRIC_COUNTER, "Connections to an exchange that ended")     \
    X(ENDS, "connections_ended_total", METRIC_COUNTER,                                             \
      "Connections to an exchange that ended, by reason")                                          \
    X(EXCHANGE_CONNECTIONS, "exchange_connections", METRIC_GAUGE,                                  \
      "Connections to an exchange that are open")                                                  \
    X(EXCHANGE_PAUSED, "exchange_paused_until_timestamp_seconds", METRIC_GAUGE,                    \
      "Wall time until which an exchange wants nothing from us; 0: it takes requests")             \
    X(CHANNEL_AGE, "channel_last_message_timestamp_seconds", METRIC_GAUGE,                         \
      "Wall time of the last data of a channel of an exchange")                                    \
    X(LOOKS, "staleness_checks_total", METRIC_COUNTER,                                             \
      "Silences that were looked into, by what was found")                                         \
    X(QUARANTINED, "quarantined_symbols", METRIC_GAUGE,                                            \
      "Symbols that the exchange does not list or trade, by exchange")                             \
    X(TRADES_MISSING, "missing_trades_total", METRIC_COUNTER,                                      \
      "Trades known by their ids to be missing")                                                   \
    X(PUBLISHED, "published_total", METRIC_COUNTER, "Records numbered by the sequencer, by type")  \
    X(DUPLICATES, "duplicates_dropped_total", METRIC_COUNTER,                                      \
      "Trades that an exchange sent again, dropped")                                               \
    X(FENCED, "fenced_records_total", METRIC_COUNTER, "Records of an older epoch, dropped")        \
    X(FENCED_ALARMS, "fenced_alarms_total", METRIC_COUNTER,                                        \
      "Times that for 2 s all that came was of an older epoch")                                    \
    X(REPEATED, "repeated_records_total", METRIC_COUNTER, "Records already read, dropped")         \
    X(EARLY, "sequence_gaps_total", METRIC_COUNTER, "Records ahead of their turn, dropped")        \
    X(CARRIER_READ, "carrier_records_read_total", METRIC_COUNTER,                                  \
      "Records and notes that a carrier gave, by carrier and kind")                                \
    X(CARRIER_SKIPPED, "carrier_records_skipped_total", METRIC_COUNTER,                            \
      "Records in a carrier that are none of ours or malformed, by reason")                        \
    X(CARRIER_WRITTEN, "carrier_records_written_total", METRIC_COUNTER,                            \
      "Records and notes that a carrier was given, by result")                                     \
    X(CARRIER_ACKNOWLEDGED, "carrier_acknowledged_seconds", METRIC_HISTOGRAM,                      \
      "From a write to a carrier to its acknowledgement")                                          \
    X(CARRIER_BREAKS, "carrier_breaks_total", METRIC_COUNTER,                                      \
      "Times that a carrier was up and failed")                                                    \
    X(RECORDS_UNREADABLE, "records_unreadable_total", METRIC_COUNTER,                              \
      "Accepted records that the keeper could not read")                                           \
    X(EXCHANGE_LATENCY, "exchange_latency_seconds", METRIC_HISTOGRAM,                              \
      "From the exchange's own time of an event to its receipt, where it gives one")               \
    X(PUBLISH_LATENCY, "publish_latency_seconds", METRIC_HISTOGRAM,                                \
      "From receipt of a message to the log's acceptance of what it brought")                      \
    X(DELIVERY_LATENCY, "delivery_latency_seconds", METRIC_HISTOGRAM,                              \
      "From the log's acceptance to the kernel's, for clients that keep up")                       \
    X(LOG_BYTES, "log_bytes", METRIC_GAUGE, "Bytes of the log kept for resume")                    \
    X(SEQUENCE, "sequence", METRIC_GAUGE, "Number of the last accepted record")                    \
    X(EPOCH, "epoch", METRIC_GAUGE, "Epoch of the stream")                                         \
    X(CLIENTS, "clients", METRIC_GAUGE, "WebSocket clients connected")                             \
    X(CLIENTS_TOTAL, "clients_total", METRIC_COUNTER,                                              \
      "WebSocket clients accepted, by how they began")                                             \
    X(CLIENTS_REFUSED, "clients_refused_total", METRIC_COUNTER, "Clients refused, by reason")      \
    X(CLIENT_ERRORS, "client_errors_total", METRIC_COUNTER,                                        \
      "Clients closed for what they sent, by close code")                                          \
    X(SLOW_CLIENTS, "slow_clients_total", METRIC_COUNTER, "Slow clients, by what was done")        \
    X(SENT_BYTES, "sent_bytes_total", METRIC_COUNTER, "Bytes sent to WebSocket clients")           \
    X(SENT_MESSAGES, "messages_out_total", METRIC_COUNTER, "Sequenced messages sent to clients")   \
    X(SNAPSHOTS, "snapshots_built_total", METRIC_COUNTER, "Snapshots built for joining clients")   \
    X(ROLE, "role", METRIC_GAUGE, "1: this node's part now, by role")                              \
    X(LEADERSHIPS, "leadership_changes_total", METRIC_COUNTER,                                     \
      "Epochs that began, as this node saw it")                                                    \
    X(MODE, "mode", METRIC_GAUGE, "1: this node's mode now, by mode")                              \
    X(MODE_CHANGES, "mode_changes_total", METRIC_COUNTER, "Changes of this node's mode")           \
    X(DEPOSED, "deposed", METRIC_GAUGE,                                                            \
      "1: it was configured to lead, another node has begun a newer epoch, and it follows")        \
    X(REWRITES, "rewrites_total", METRIC_COUNTER,                                                  \
      "Times a carrier was written to again from what it had accepted")                            \
    X(CARRIER_UP, "carrier_up", METRIC_GAUGE, "1: the carrier is reachable, by carrier")           \
    X(CARRIER_RTT, "carrier_rtt_seconds", METRIC_GAUGE,                                            \
      "Of the last request or write that was answered, by carrier")                                \
    X(PEERS_REACHABLE, "peers_reachable", METRIC_GAUGE, "Other nodes that answer")                 \
    X(PEER_LINK, "peer_link_up", METRIC_GAUGE, "1: the leader's stream is read by a link")         \
    X(PEER_LINKS, "peer_link_attempts_total", METRIC_COUNTER, "Attempts at a link, by result")     \
    X(HTTP_REQUESTS, "http_requests_total", METRIC_COUNTER, "HTTP requests, by status")            \
    X(ACCESS_CHECKS, "access_checks_total", METRIC_COUNTER,                                        \
      "Requests whose right to read or write was judged, by result")                               \
    X(HTTP_REFUSED, "http_refused_total", METRIC_COUNTER,                                          \
      "HTTP connections and requests refused or ended early, by reason")                           \
    X(TLS_HANDSHAKES, "tls_handshakes_total", METRIC_COUNTER,                                      \
      "TLS handshakes of connections to us, by how they ended")                                    \
    X(CERTIFICATE_EXPIRES, "tls_certificate_expires_timestamp_seconds", METRIC_GAUGE,              \
      "Wall time at which our certificate ends")                                                   \
    X(LOG_LINES_LOST, "log_lines_lost_total", METRIC_COUNTER,                                      \
      "Log lines dropped, the ring being full")                                                    \
    X(PROCESS_CPU, "process_cpu_seconds_total", METRIC_COUNTER, "CPU time of the process")         \
    X(PROCESS_MEMORY, "process_resident_memory_bytes", METRIC_GAUGE,                               \
      "Resident memory of the process")                                                            \
    X(PROCESS_FILES, "process_open_fds", METRIC_GAUGE, "File descriptors open")                    \
    X(PROCESS_FILES_MAX, "process_max_fds", METRIC_GAUGE, "File descriptors that may be open")     \
    X(PROCESS_THREADS, "process_threads", METRIC_GAUGE, "Threads of the process")                  \
    X(PROCESS_START, "process_start_time_seconds", METRIC_GAUGE,                                   \
      "Wall time at which the process started")

enum metric_family {
#define X(suffix, name, kind, help) METRIC_##suffix,
    METRIC_TABLE(X)
#undef X
        METRIC_FAMILY_COUNT
};

struct metric; /* one series; lives as long as the process */

/* labels: `exchange="upbit",type="trade"`, or "" for none; the same labels give the same series.
 * `le` is a histogram's own. Main thread. */
struct metric *metric_series(enum metric_family family, const char *labels);

/* Counters and gauges. */
void metric_add(struct metric *metric, uint64_t amount);
void metric_set(struct metric *metric, int64_t value);
int64_t metric_value(const struct metric *metric);

/*
 * Histograms: one value, or `count` equal ones. The buckets are the same for every family, from
 * 10 us to 10 s (metrics.c). A negative value, which two clocks that differ give, counts as 0; one
 * over LIMIT_METRIC_OBSERVED_US as that. The sum wraps as a counter that starts anew.
 */
void metric_observe(struct metric *metric, int64_t value_us);
void metric_observe_many(struct metric *metric, int64_t value_us, uint64_t count);

/*
 * Appends every series in Prometheus' text format 0.0.4; families without series are left out. A
 * family whose name contains "_seconds" keeps microseconds and is written as a decimal. What is
 * told of the process is read here, from /proc; what it does not say is left out (the number of
 * open files is known from Linux 6.2 on). Main thread.
 */
void metric_write_all(struct buffer *out);
