/* SPDX-License-Identifier: Apache-2.0 */
/* Settings that are read again: what changes, what waits for a restart, what is refused. */
#include "node/settings_reload.h"

#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define FILE_NAME "settings_reload_test.yaml"

static const struct settings_options from_file = {.file = FILE_NAME};

static void write_file(const char *text)
{
    FILE *file = fopen(FILE_NAME, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static void load(struct settings *ret_settings, const struct settings_options *options)
{
    struct err err = {.code = 0};
    if (settings_load(ret_settings, options, &err) != 0)
        fail_msg("%s", err.text);
}

static void reload(struct settings *running, const struct settings_options *options,
                   struct settings_reload *ret_reload)
{
    struct err err = {.code = 0};
    if (settings_reload(running, options, ret_reload, &err) != 0)
        fail_msg("%s", err.text);
}

static void assert_keys(const struct text_list *keys, const char *expected)
{
    char text[4096];
    settings_reload_say(keys, text, sizeof text);
    assert_string_equal(text, expected);
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

static void effective(const struct settings *settings, struct buffer *out)
{
    buffer_init(out, MEBIBYTE);
    settings_write_effective(settings, out);
}

static void live_values_change_and_others_wait(void **state)
{
    (void)state;
    struct settings running;
    struct settings_reload result;
    write_file("http: { listen: \"127.0.0.1:1\", max_clients: 10 }\n"
               "exchanges: { upbit: { symbols: [BTC-KRW] } }\n");
    load(&running, &from_file);
    write_file("http: { listen: \"127.0.0.1:2\", max_clients: 20 }\n"
               "exchanges: { upbit: { symbols: [BTC-KRW, ETH-KRW], connections: 2 },\n"
               "             bithumb: { generation: 1 }, binance: { enabled: false } }\n"
               "node: { state_file: budgets }\n"
               "log: { level: warn }\n");
    reload(&running, &from_file, &result);

    assert_keys(&result.live, "http.max_clients, exchanges.binance.enabled, "
                              "exchanges.upbit.symbols, exchanges.upbit.connections, log.level");
    assert_keys(&result.restart, "node.state_file, http.listen, exchanges.bithumb.generation");
    assert_string_equal(running.http.listen, "127.0.0.1:1");
    assert_string_equal(running.node.state_file, "");
    assert_int_equal(running.http.max_clients, 20);
    assert_int_equal(running.log.level, LOG_WARN);
    assert_false(exchange_of(&running, "binance")->enabled);
    struct settings_exchange *upbit = exchange_of(&running, "upbit");
    assert_int_equal(upbit->connections, 2);
    assert_int_equal(upbit->symbols.count, 2);
    assert_string_equal(upbit->symbols.items[1], "ETH-KRW");
    struct settings_exchange *bithumb = exchange_of(&running, "bithumb");
    assert_int_equal(bithumb->generation, 2);
    assert_ptr_equal(bithumb->exchange, exchange_find(SLICE("bithumb"), 2));

    assert_true(settings_reload_has(&result, "log.level"));
    assert_true(settings_reload_has(&result, "exchanges.upbit."));
    assert_false(settings_reload_has(&result, "exchanges.bithumb."));
    assert_false(settings_reload_has(&result, "http.listen"));
    assert_false(settings_reload_has(&result, "log"));
    settings_reload_release(&result);
    settings_release(&running);
}

static void kafka_comes_and_goes_and_the_cluster_stays(void **state)
{
    (void)state;
    struct settings running;
    struct settings_reload result;
    struct err err = {.code = 0};
    write_file("kafka: { enabled: true, brokers: \"k1:9092\" }\n");
    load(&running, &from_file);
    write_file("kafka: { enabled: false, brokers: \"k2:9092\", topic: other, password_file: x,\n"
               "         properties: { linger.ms: 0 } }\n"
               "cluster: { role: leader, peers: [\"http://h:1\"] }\n");
    reload(&running, &from_file, &result);
    assert_keys(&result.live, "kafka.enabled, kafka.brokers, kafka.topic, kafka.properties, "
                              "kafka.password_file");
    assert_keys(&result.restart, "cluster.role, cluster.peers");
    assert_false(running.kafka.enabled);
    assert_string_equal(running.kafka.brokers, "k2:9092");
    assert_int_equal(running.cluster.role, CLUSTER_AUTO);
    assert_int_equal(running.cluster.peers.count, 0);
    assert_true(settings_reload_has(&result, "kafka."));
    settings_reload_release(&result);
    settings_release(&running);

    /* The peers of the new file count only after a restart: until then Kafka is all it has. */
    write_file("cluster: { role: follower }\nkafka: { enabled: true }\n");
    load(&running, &from_file);
    write_file("cluster: { role: follower, peers: [\"http://h:1\"] }\n");
    assert_int_equal(settings_reload(&running, &from_file, &result, &err), -EINVAL);
    assert_non_null(strstr(err.text, "nothing to follow"));
    assert_true(running.kafka.enabled);
    settings_release(&running);
}

/* The texts that stay are the same bytes; those that go are there until the release. */
static void borrowed_texts_outlive_the_change(void **state)
{
    (void)state;
    struct settings running;
    struct settings_reload result;
    write_file("exchanges: { upbit: { ws_url: \"ws://a\", symbols: [BTC-KRW] } }");
    load(&running, &from_file);
    const struct settings_exchange *upbit = exchange_of(&running, "upbit");
    const char *listen = running.http.listen;
    const char *before = upbit->ws_url;
    char **symbols = upbit->symbols.items;
    write_file("exchanges: { upbit: { ws_url: \"ws://b\", symbols: [BTC-KRW] } }\n"
               "http: { listen: \"127.0.0.1:2\" }");
    reload(&running, &from_file, &result);
    assert_ptr_equal(running.http.listen, listen);
    assert_ptr_equal(upbit->symbols.items, symbols);
    assert_string_equal(upbit->ws_url, "ws://b");
    assert_string_equal(before, "ws://a");
    assert_ptr_equal(exchange_of(&result.replaced, "upbit")->ws_url, before);
    settings_reload_release(&result);
    settings_release(&running);
}

static void nothing_new_is_nothing_said(void **state)
{
    (void)state;
    struct settings running;
    struct settings_reload result;
    write_file("log: { level: warn }");
    load(&running, &from_file);
    write_file("# moved\nlog:\n  level: warn\n");
    reload(&running, &from_file, &result);
    assert_int_equal(result.live.count, 0);
    assert_int_equal(result.restart.count, 0);
    settings_reload_release(&result);
    settings_release(&running);
}

/* A key taken out of the file has its default again; --set goes on beating the file. */
static void sources_keep_their_order(void **state)
{
    (void)state;
    static const char *const set[] = {"stream.heartbeat=1s"};
    const struct settings_options options = {.file = FILE_NAME, .set = set, .set_count = 1};
    struct settings running;
    struct settings_reload result;
    struct buffer out;
    write_file("log: { level: warn }\nstream: { max_lag: 1s }");
    load(&running, &options);
    write_file("stream: { heartbeat: 9s, max_lag: 1s, book_depth: 7 }");
    reload(&running, &options, &result);
    assert_keys(&result.live, "log.level");
    assert_keys(&result.restart, "stream.book_depth");
    assert_int_equal(running.log.level, LOG_INFO);
    assert_int_equal(running.stream.heartbeat_ms, 1000);
    effective(&running, &out);
    assert_non_null(strstr(out.data, "\n  level: info # default, live\n"));
    assert_non_null(strstr(out.data, "\n  heartbeat: 1s # flag, live\n"));
    assert_non_null(strstr(out.data, "\n  book_depth: 100 # default, restart\n"));
    buffer_release(&out);
    settings_reload_release(&result);
    settings_release(&running);
}

static void assert_refused(struct settings *running, const struct settings_options *options,
                           const char *why)
{
    struct settings_reload result;
    struct err err = {.code = 0};
    struct buffer before;
    struct buffer after;
    effective(running, &before);
    int code = settings_reload(running, options, &result, &err);
    assert_int_not_equal(code, 0);
    assert_int_equal(code, err.code);
    assert_string_equal(err.text, why);
    effective(running, &after);
    assert_string_equal(before.data, after.data);
    buffer_release(&before);
    buffer_release(&after);
}

static void what_is_wrong_changes_nothing(void **state)
{
    (void)state;
    struct settings running;
    write_file("log: { level: warn }");
    load(&running, &from_file);
    write_file("log: { level: debug }\nhttp: { lisen: x }");
    assert_refused(&running, &from_file,
                   FILE_NAME ":2:9: no such key \"http.lisen\"; did you mean \"http.listen\"?");
    write_file("log: { level: loud }");
    assert_refused(&running, &from_file,
                   FILE_NAME
                   ":1:15: log.level: expected one of debug|info|warn|error, found \"loud\"");
    write_file("");
    assert_refused(&running, &from_file, FILE_NAME ": expected settings, found an empty file");
    unlink(FILE_NAME);
    assert_refused(&running, &from_file, FILE_NAME ": cannot open it: No such file or directory");
    assert_int_equal(running.log.level, LOG_WARN);
    settings_release(&running);
}

static void too_much_for_one_connection_is_refused(void **state)
{
    (void)state;
    struct settings running;
    struct buffer set;
    const char *sets[] = {NULL};
    struct settings_options options = {.set = sets, .set_count = 1};
    buffer_init(&set, 64 * KIBIBYTE);
    load(&running, &(struct settings_options){.file = NULL});
    buffer_append_text(&set, "exchanges.binance.symbols=A0-USDT");
    for (int i = 1; i < 342; i++)
        buffer_append_format(&set, ",A%d-USDT", i);
    sets[0] = set.data;
    assert_refused(&running, &options,
                   "exchanges.binance: 342 symbols with 3 channels are 1026 streams, expected at "
                   "most 1024 on one connection");
    buffer_release(&set);
    settings_release(&running);
}

static void long_lists_are_cut_for_the_log(void **state)
{
    (void)state;
    char *items[] = {"log.level", "log.format"};
    const struct text_list keys = {.items = items, .count = 2};
    char text[32];
    settings_reload_say(&keys, text, sizeof text);
    assert_string_equal(text, "log.level, log.format");
    settings_reload_say(&keys, text, 20);
    assert_string_equal(text, "log.level...");
    settings_reload_say(&(struct text_list){.count = 0}, text, sizeof text);
    assert_string_equal(text, "");
}

static int remove_file(void **state)
{
    (void)state;
    unlink(FILE_NAME);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live_values_change_and_others_wait),
        cmocka_unit_test(kafka_comes_and_goes_and_the_cluster_stays),
        cmocka_unit_test(borrowed_texts_outlive_the_change),
        cmocka_unit_test(nothing_new_is_nothing_said),
        cmocka_unit_test(sources_keep_their_order),
        cmocka_unit_test(what_is_wrong_changes_nothing),
        cmocka_unit_test(too_much_for_one_connection_is_refused),
        cmocka_unit_test(long_lists_are_cut_for_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, remove_file);
}
