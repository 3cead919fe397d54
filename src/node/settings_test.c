/* SPDX-License-Identifier: Apache-2.0 */
/* Good settings: from every source, in their order, and back out. */
#include "base/log.h"
#include "base/memory.h"
#include "node/settings.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define FILE_NAME "settings_test.yaml"

static const char *file_with(const char *text)
{
    FILE *file = fopen(FILE_NAME, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    return FILE_NAME;
}

static struct settings load(const struct settings_options *options)
{
    struct settings settings;
    struct err err = {.code = 0};
    if (settings_load(&settings, options, &err) != 0)
        fail_msg("%s", err.text);
    return settings;
}

static struct settings load_file(const char *text)
{
    return load(&(struct settings_options){.file = file_with(text)});
}

static struct settings_exchange *exchange_of(struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->exchange_count; i++) {
        if (strcmp(settings->exchanges[i].exchange->name, name) == 0)
            return &settings->exchanges[i];
    }
    fail_msg("no exchange %s", name);
    return &settings->exchanges[0];
}

static void assert_list(const struct text_list *list, const char *expected)
{
    char text[512] = "";
    size_t size = 0;
    for (size_t i = 0; i < list->count; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "%s%s", i == 0 ? "" : " ",
                                 list->items[i]);
    assert_string_equal(text, expected);
}

static void defaults_are_the_contracts(void **state)
{
    (void)state;
    struct settings settings = load(&(struct settings_options){.file = NULL});
    assert_true(settings.node.id[0] != '\0');
    assert_int_equal(settings.node.drain_timeout_ms, 10000);
    assert_string_equal(settings.http.listen, "0.0.0.0:8080");
    assert_int_equal(settings.http.max_clients, 5000);
    assert_int_equal(settings.http.max_clients_per_ip, 1000);
    assert_int_equal(settings.http.send_buffer_bytes, 256 * 1024);
    assert_list(&settings.http.allowed_origins, "*");
    assert_int_equal(settings.stream.retain_bytes, 256 * 1024 * 1024);
    assert_int_equal(settings.stream.batch_interval_ms, 2);
    assert_int_equal(settings.stream.book_depth, 100);
    assert_int_equal(settings.stream.max_lag_ms, 10000);
    assert_int_equal(settings.stream.slow_client, SLOW_CLIENT_SNAPSHOT);
    assert_int_equal(settings.stream.heartbeat_ms, 5000);
    assert_true(settings.backfill.enabled);
    assert_false(settings.kafka.enabled);
    assert_string_equal(settings.kafka.brokers, "localhost:9092");
    assert_int_equal(settings.redis.ttl_ms, 3600000);
    assert_int_equal(settings.zookeeper.session_timeout_ms, 4000);
    assert_string_equal(settings.database.url, "sqlite:tickwire.db");
    assert_int_equal(settings.log.level, LOG_INFO);
    assert_int_equal(settings.log.format, LOG_LOGFMT);
    settings_release(&settings);
}

static void defaults_of_exchanges_are_the_adapters(void **state)
{
    (void)state;
    struct settings settings = load(&(struct settings_options){.file = NULL});
    assert_int_equal(settings.exchange_count, exchange_count());
    for (size_t i = 0; i < settings.exchange_count; i++) {
        const struct settings_exchange *of = &settings.exchanges[i];
        assert_ptr_equal(of->exchange, exchange_at(i));
        assert_true(of->enabled);
        assert_string_equal(of->ws_url, "");
        assert_int_equal(of->stale_after_ms, 30000);
        assert_int_equal(of->connections, 1);
    }
    struct settings_exchange *binance = exchange_of(&settings, "binance");
    assert_list(&binance->symbols, "BTC-USDT ETH-USDT XRP-USDT SOL-USDT");
    assert_list(&binance->channels, "trade ticker book");
    assert_int_equal(settings_channels(binance), CHANNEL_BIT(CHANNEL_TRADE) |
                                                     CHANNEL_BIT(CHANNEL_TICKER) |
                                                     CHANNEL_BIT(CHANNEL_BOOK));
    assert_list(&exchange_of(&settings, "upbit")->symbols,
                "BTC-KRW ETH-KRW XRP-KRW SOL-KRW USDT-KRW");
    assert_int_equal(exchange_of(&settings, "bithumb")->generation, 2);
    settings_release(&settings);
}

/* Two keys of exchanges and the six forms of values. */
static void file_sets_values_of_every_type(void **state)
{
    (void)state;
    struct settings settings = load_file("# a comment\n"
                                         "node: { id: gw-1, zone: \"a\" }\n"
                                         "http:\n"
                                         "  listen: \"[::1]:0\"\n"
                                         "  max_clients: 17\n"
                                         "  send_buffer: 64KiB\n"
                                         "stream: { slow_client: disconnect, max_lag: 1500ms,\n"
                                         "          retain: 1048577, heartbeat: 2m }\n"
                                         "exchanges:\n"
                                         "  binance:\n"
                                         "    symbols: [ETH-BTC, \"SOL-USDT\"]\n"
                                         "    channels:\n"
                                         "      - quote\n"
                                         "      - trade\n"
                                         "    ws_url: ws://127.0.0.1:9000/binance\n"
                                         "  upbit: { enabled: false }\n"
                                         "  bithumb: { generation: 1 }\n"
                                         "redis:\n" /* nothing in it */
                                         "log: { level: debug, format: json }\n");
    assert_string_equal(settings.node.id, "gw-1");
    assert_string_equal(settings.http.listen, "[::1]:0");
    assert_int_equal(settings.http.max_clients, 17);
    assert_int_equal(settings.http.send_buffer_bytes, 65536);
    assert_int_equal(settings.stream.slow_client, SLOW_CLIENT_DISCONNECT);
    assert_int_equal(settings.stream.max_lag_ms, 1500);
    assert_int_equal(settings.stream.retain_bytes, 1048577);
    assert_int_equal(settings.stream.heartbeat_ms, 120000);
    struct settings_exchange *binance = exchange_of(&settings, "binance");
    assert_list(&binance->symbols, "ETH-BTC SOL-USDT");
    assert_list(&binance->channels, "quote trade");
    assert_string_equal(binance->ws_url, "ws://127.0.0.1:9000/binance");
    assert_false(exchange_of(&settings, "upbit")->enabled);
    struct settings_exchange *bithumb = exchange_of(&settings, "bithumb");
    assert_ptr_equal(bithumb->exchange, exchange_find(SLICE("bithumb"), 1));
    assert_int_equal(settings.log.level, LOG_DEBUG);
    assert_int_equal(settings.log.format, LOG_JSON);
    settings_release(&settings);
}

static void empty_files_change_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "# only this\n",
                                        "---\n",
                                        "---\n...\n",
                                        "{}\n",
                                        "\xef\xbb\xbfhttp:\n",
                                        "exchanges: { upbit: }\n"};
    struct settings plain = load(&(struct settings_options){.file = NULL});
    struct buffer expected;
    struct buffer out;
    buffer_init(&expected, MEBIBYTE);
    buffer_init(&out, MEBIBYTE);
    settings_write_effective(&plain, &expected);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct settings settings = load_file(texts[i]);
        buffer_clear(&out);
        settings_write_effective(&settings, &out);
        assert_string_equal(out.data, expected.data);
        settings_release(&settings);
    }
    buffer_release(&expected);
    buffer_release(&out);
    settings_release(&plain);
}

static void flag_beats_environment_beats_file(void **state)
{
    (void)state;
    static const char *const environment[] = {"HOME=/root",
                                              "TICKWIRE_HTTP_MAX_CLIENTS=20",
                                              "TICKWIRE_STREAM_BOOK_DEPTH=20",
                                              "TICKWIRE_EXCHANGES_UPBIT_SYMBOLS=BTC-KRW, ETH-KRW",
                                              "TICKWIRE_NODE_ZONE=",
                                              NULL};
    static const char *const set[] = {"stream.book_depth=29", "stream.book_depth=30"};
    struct settings_options options = {
        .file = file_with("node: {zone: x}\n"
                          "http: {max_clients: 10, max_clients_per_ip: 10}\n"
                          "stream: {book_depth: 10}\n"),
        .environment = environment,
        .set = set,
        .set_count = 2,
    };
    struct settings settings = load(&options);
    assert_int_equal(settings.http.max_clients_per_ip, 10);
    assert_int_equal(settings.http.max_clients, 20);
    assert_int_equal(settings.stream.book_depth, 30);
    assert_string_equal(settings.node.zone, "");
    assert_list(&exchange_of(&settings, "upbit")->symbols, "BTC-KRW ETH-KRW");

    struct buffer out;
    buffer_init(&out, MEBIBYTE);
    settings_write_effective(&settings, &out);
    assert_non_null(strstr(out.data, "\n  max_clients_per_ip: 10 # file, live\n"));
    assert_non_null(strstr(out.data, "\n  max_clients: 20 # environment, live\n"));
    assert_non_null(strstr(out.data, "\n  book_depth: 30 # flag, restart\n"));
    assert_non_null(strstr(out.data, "\n  heartbeat: 5s # default, live\n"));
    assert_non_null(strstr(out.data, "\nexchanges:\n  binance:\n    enabled: true #"));
    assert_non_null(strstr(out.data, "\n  upbit:\n"));
    assert_non_null(strstr(out.data, "\n  jwt:\n    algorithm: \"\" #"));
    assert_null(strstr(strstr(out.data, "exchanges:") + 1, "exchanges:")); /* one section */
    buffer_release(&out);
    settings_release(&settings);
}

static void count_difference(void *context, const char *key, bool needs_restart)
{
    struct buffer *out = context;
    buffer_append_format(out, "%s %s\n", key, needs_restart ? "restart" : "live");
}

static void effective_configuration_reads_back(void **state)
{
    (void)state;
    static const char *const set[] = {
        "node.id=gw-1",       "http.listen=localhost:1",     "http.threads=1",
        "stream.max_lag=90s", "stream.retain=1536KiB",       "backfill.enabled=false",
        "log.format=json",    "exchanges.upbit.symbols=A-B", "exchanges.bithumb.generation=1",
        "log.level=error",    "node.drain_timeout=0s",
    };
    struct settings first =
        load(&(struct settings_options){.set = set, .set_count = COUNT_OF(set)});
    struct buffer out;
    buffer_init(&out, MEBIBYTE);
    settings_write_effective(&first, &out);
    struct settings second = load_file(out.data);
    buffer_clear(&out);
    assert_int_equal(settings_compare(&first, &second, count_difference, &out), 0);
    assert_string_equal(out.data, "");
    assert_int_equal(second.stream.max_lag_ms, 90000); /* and not by comparing alone */
    assert_int_equal(second.stream.retain_bytes, 1536 * 1024);
    buffer_release(&out);
    settings_release(&first);
    settings_release(&second);
}

static void differences_say_what_needs_a_restart(void **state)
{
    (void)state;
    static const char *const set[] = {"http.listen=0.0.0.0:81", "log.level=warn",
                                      "exchanges.upbit.symbols=BTC-KRW", "stream.heartbeat=5000ms"};
    struct settings before = load(&(struct settings_options){.file = NULL});
    struct settings after =
        load(&(struct settings_options){.set = set, .set_count = COUNT_OF(set)});
    struct buffer out;
    buffer_init(&out, MEBIBYTE);
    assert_int_equal(settings_compare(&before, &after, count_difference, &out), 3);
    assert_string_equal(out.data, "http.listen restart\n"
                                  "exchanges.upbit.symbols live\n"
                                  "log.level live\n");
    buffer_release(&out);
    settings_release(&before);
    settings_release(&after);
}

/* Most of them not to be had by loading yet: so the fields are set here. */
static void passwords_are_masked(void **state)
{
    (void)state;
    struct settings settings =
        load_file("kafka: { properties: { sasl.password: hunter2, linger.ms: 5,\n"
                  "  ssl.key.password: hunter2, ssl.key.pem: hunter2,\n"
                  "  sasl.oauthbearer.config: hunter2 } }\n");
    memory_free(settings.proxy);
    settings.proxy = memory_copy_text("http://user:hunter2@host:3128");
    memory_free(settings.redis.url);
    settings.redis.url = memory_copy_text("redis://:hunter2@host:6379/0");
    memory_free(settings.database.url);
    settings.database.url = memory_copy_text("mysql://user@host:3306/tickwire");
    struct buffer out;
    buffer_init(&out, MEBIBYTE);
    settings_write_effective(&settings, &out);
    assert_null(strstr(out.data, "hunter2"));
    assert_non_null(strstr(out.data, "proxy: \"http://user:***@host:3128\" #"));
    memory_free(settings.proxy);
    settings.proxy = memory_copy_text("https://hunter2@host");
    buffer_clear(&out);
    settings_write_effective(&settings, &out);
    assert_null(strstr(out.data, "hunter2"));
    assert_non_null(strstr(out.data, "proxy: \"https://***@host\" #"));
    assert_non_null(strstr(out.data, "url: \"redis://:***@host:6379/0\" #"));
    assert_non_null(strstr(out.data, "url: \"mysql://user@host:3306/tickwire\" #"));
    assert_non_null(
        strstr(out.data, "properties: {\"sasl.password\": \"***\", \"linger.ms\": \"5\", "));
    buffer_release(&out);
    settings_release(&settings);
}

static void a_cluster_is_told_its_parts(void **state)
{
    (void)state;
    struct settings settings =
        load_file("node: { advertise: \"http://gw-2:8080\" }\n"
                  "cluster: { role: follower, peers: [\"http://gw-1:8080\", \"https://gw-3\"],\n"
                  "           token_file: /run/token }\n"
                  "kafka: { enabled: true, brokers: \"k1:9092, [::1]:9093\", topic: a.B_c-1,\n"
                  "         password_file: /run/password }\n");
    assert_int_equal(settings.cluster.role, CLUSTER_FOLLOWER);
    assert_int_equal(settings.cluster.peers.count, 2);
    assert_string_equal(settings.cluster.peers.items[1], "https://gw-3");
    assert_string_equal(settings.cluster.token_file, "/run/token");
    assert_true(settings.kafka.enabled);
    assert_string_equal(settings.kafka.brokers, "k1:9092, [::1]:9093");
    assert_string_equal(settings.kafka.topic, "a.B_c-1");
    settings_release(&settings);

    static const char *const alone[] = {"cluster.role=leader"};
    settings = load(&(struct settings_options){.set = alone, .set_count = 1});
    assert_int_equal(settings.cluster.role, CLUSTER_LEADER);
    settings_release(&settings);
    static const char *const by_kafka[] = {"cluster.role=follower", "kafka.enabled=true"};
    settings = load(&(struct settings_options){.set = by_kafka, .set_count = 2});
    settings_release(&settings);
}

static void same_value_as_default_is_no_error(void **state)
{
    (void)state;
    struct settings settings =
        load_file("kafka: { enabled: false, topic: tickwire.market,\n"
                  "         properties: {} }\n"
                  "http: { allowed_origins: [\"*\"], threads: 1,\n"
                  "        trusted_proxies: [], tls: { cert: \"\" } }\n"
                  "auth: { mode: none, jwt: { audience: \"\" } }\n"
                  "cluster: { role: auto, peers: [] }\n"
                  "exchanges: { upbit: { connections: 1 }, binance: { connections: 2 } }\n"
                  "backfill: { enabled: false }\n"
                  "proxy: \"\"\n"
                  "database: { url: \"sqlite:tickwire.db\" }\n");
    assert_false(settings.backfill.enabled);
    assert_int_equal(settings.http.threads, 1);
    assert_int_equal(exchange_of(&settings, "binance")->connections, 2);
    assert_int_equal(exchange_of(&settings, "upbit")->connections, 1);
    settings_release(&settings);
}

static int remove_file(void **state)
{
    (void)state;
    unlink(FILE_NAME);
    return 0;
}

static void one_connection_carries_what_the_exchange_allows(void **state)
{
    (void)state;
    struct buffer set;
    struct settings settings;
    struct err err = {.code = 0};
    const char *sets[] = {NULL};
    struct settings_options options = {.set = sets, .set_count = 1};
    buffer_init(&set, 64 * KIBIBYTE);
    buffer_append_text(&set, "exchanges.binance.symbols=A0-USDT");
    for (int i = 1; i < 1024 / 3; i++) /* three channels by default */
        buffer_append_format(&set, ",A%d-USDT", i);
    sets[0] = set.data;
    settings = load(&options);
    settings_release(&settings);
    buffer_append_text(&set, ",ONE-MORE");
    sets[0] = set.data;
    assert_int_not_equal(settings_load(&settings, &options, &err), 0);
    assert_string_equal(err.text,
                        "exchanges.binance: 342 symbols with 3 channels are 1026 streams, "
                        "expected at most 1024 on one connection");
    buffer_release(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_contracts),
        cmocka_unit_test(defaults_of_exchanges_are_the_adapters),
        cmocka_unit_test(file_sets_values_of_every_type),
        cmocka_unit_test(empty_files_change_nothing),
        cmocka_unit_test(flag_beats_environment_beats_file),
        cmocka_unit_test(effective_configuration_reads_back),
        cmocka_unit_test(differences_say_what_needs_a_restart),
        cmocka_unit_test(passwords_are_masked),
        cmocka_unit_test(a_cluster_is_told_its_parts),
        cmocka_unit_test(same_value_as_default_is_no_error),
        cmocka_unit_test(one_connection_carries_what_the_exchange_allows),
    };
    return cmocka_run_group_tests(tests, NULL, remove_file);
}
