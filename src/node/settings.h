/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a user can set, as plain values. One table (settings_table.c) names every key with its type,
 * default, bounds and help; the YAML file, the environment (TICKWIRE_HTTP_LISTEN) and --set
 * (http.listen=...) all go through it, and docs/configuration.md is written from it. --set beats
 * the environment, which beats the file, which beats the default.
 *
 * Keys of exchanges come from the registry of exchange/: a new adapter needs nothing here.
 *
 * Owner: the node, main thread. All texts are owned by the struct, never NULL and terminated.
 */
#pragma once

#include "base/buffer.h"
#include "base/err.h"
#include "base/limits.h"
#include "exchange/exchange.h"

#define SETTINGS_MAX 256   /* keys, those of each exchange counted */
#define SETTING_KEY_MAX 64 /* bytes of a key, terminated */
#define SETTINGS_FILE_MAX (1 * MEBIBYTE)

struct text_list {
    char **items;
    size_t count;
};

struct text_map {
    char **keys;
    char **values; /* as many */
    size_t count;
};

/* What the words of enum settings mean; the fields are int, as the table writes them. */
enum slow_client_policy { SLOW_CLIENT_SNAPSHOT, SLOW_CLIENT_DISCONNECT };
enum cluster_role { CLUSTER_AUTO, CLUSTER_LEADER, CLUSTER_FOLLOWER };
enum cluster_standby { STANDBY_COLD, STANDBY_WARM };
enum auth_mode { AUTH_NONE, AUTH_TOKEN, AUTH_JWT };

enum settings_origin { ORIGIN_DEFAULT, ORIGIN_FILE, ORIGIN_ENVIRONMENT, ORIGIN_FLAG };

struct settings_exchange {
    const struct exchange *exchange; /* the adapter, in the generation that is set; static */
    bool enabled;
    char *ws_url;              /* "": the adapter's own */
    char *rest_url;            /* "": the adapter's own */
    struct text_list symbols;  /* symbol_read and to_native take each */
    struct text_list channels; /* settings_channels makes bits of them */
    int64_t stale_after_ms;
    int64_t connections;
    int64_t lifetime_ms; /* of a connection; 0: what the adapter says */
    int64_t generation;  /* 0 when the exchange has only one */
};

/* Members are named like the keys; those of a time or a size carry their unit. */
struct settings {
    struct {
        char *id; /* never empty: the host's name when nothing is set */
        char *zone, *advertise, *state_file;
        int64_t drain_timeout_ms;
    } node;
    struct {
        char *listen, *public_url;
        struct text_list trusted_proxies;
        int64_t threads, max_clients, max_clients_per_ip, send_buffer_bytes;
        int64_t connections_per_ip, handshake_rate, handshake_burst, accept_rate;
        char *tls_cert, *tls_key;
        struct text_list allowed_origins;
    } http;
    struct {
        int64_t retain_bytes, batch_interval_ms, book_depth, max_lag_ms, heartbeat_ms;
        int slow_client; /* enum slow_client_policy */
    } stream;
    char *proxy;
    struct {
        bool enabled;
        int64_t audit_ms, hold_ms;
    } backfill;
    struct settings_exchange exchanges[LIMIT_EXCHANGES]; /* in the registry's order */
    size_t exchange_count;
    struct {
        bool enabled;
        char *brokers, *topic, *password_file;
        struct text_map properties;
    } kafka;
    struct {
        bool enabled;
        char *url, *prefix, *password_file;
        int64_t ttl_ms;
    } redis;
    struct {
        bool enabled;
        char *servers, *root, *auth_file;
        int64_t session_timeout_ms;
    } zookeeper;
    struct {
        char *url, *password_file;
    } database;
    struct {
        int role, standby; /* enum cluster_role, enum cluster_standby */
        struct text_list peers;
        char *token_file;
    } cluster;
    struct {
        int mode; /* enum auth_mode */
        char *tokens_file, *jwt_algorithm, *jwt_public_key, *jwt_audience, *admin_token_file;
    } auth;
    struct {
        int level, format; /* enum log_level, enum log_format */
        int64_t access;    /* one request in so many */
    } log;

    uint8_t origin[SETTINGS_MAX]; /* enum settings_origin of each key, in the table's order */
};

struct settings_options {
    const char *file;               /* NULL: none */
    const char *const *environment; /* "NAME=value", NULL-terminated; NULL: none */
    const char *const *set;         /* "key=value", of --set, in their order; the last one wins */
    size_t set_count;
    bool not_empty; /* a file of no bytes is an error */
};

/*
 * Fills the settings from all sources. Fails with one sentence that names the place (file, line,
 * column; variable; --set), the key, what was expected and what was found, but never a secret; then
 * there is nothing to release.
 */
int settings_load(struct settings *ret_settings, const struct settings_options *options,
                  struct err *err) MUST_CHECK;

void settings_release(struct settings *settings);

/* CHANNEL_BITs of the configured channels. */
uint32_t settings_channels(const struct settings_exchange *settings);

/*
 * The effective configuration as YAML that settings_load reads back to the same values; each line
 * says where its value came from and whether a change of it is live or needs a restart. Passwords
 * in URLs and secret properties are masked.
 */
void settings_write_effective(const struct settings *settings, struct buffer *out);

/* docs/configuration.md. The same bytes on every machine. */
void settings_write_reference(struct buffer *out);

/* key: borrowed for the call. */
typedef void settings_difference_fn(void *context, const char *key, bool needs_restart);

/* Calls back for each key whose value differs; returns how many do. Where a value came from does
 * not matter. */
size_t settings_compare(const struct settings *before, const struct settings *after,
                        settings_difference_fn *difference, void *context);
