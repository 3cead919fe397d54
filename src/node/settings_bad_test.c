/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong settings: each row is one, with the place and the words that its error must hold. */
#include "node/settings.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define FILE_NAME "settings_bad_test.yaml"
#define LONG_50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* The text of the error must be exactly this. */
struct row {
    const char *input;
    const char *error;
};

static const struct row file_rows[] = {
    /* keys */
    {"htpp: {}", ":1:1: no such key \"htpp\"; did you mean \"http\"?"},
    {"http:\n  lisen: x", ":2:3: no such key \"http.lisen\"; did you mean \"http.listen\"?"},
    {"listen: x", ":1:1: no such key \"listen\"; did you mean \"http.listen\"?"},
    {"qqqqqqqqqq: x", ":1:1: no such key \"qqqqqqqqqq\""},
    {"exchanges:\n  binanse: { enabled: true }",
     ":2:3: no such key \"exchanges.binanse\"; did you mean \"exchanges.binance\"?"},
    {"exchanges: { upbit: { symbol: [] } }",
     ":1:23: no such key \"exchanges.upbit.symbol\"; did you mean \"exchanges.upbit.symbols\"?"},
    {"exchanges: { upbit: { generation: 1 } }",
     ":1:23: no such key \"exchanges.upbit.generation\"; did you mean "
     "\"exchanges.bithumb.generation\"?"},
    {"proxy: \"\"\nproxy: \"\"", ":2:1: proxy: expected every key once, found it again"},
    {"http: {}\nlog: {}\nhttp: {}", ":3:1: http: expected every key once, found it again"},
    {"? [a]\n: b", ":1:3: file: expected a key"},
    {"<<: {}", ":1:1: no such key \"<<\""},
    {"\"http\\0listen\": x",
     ":1:1: file: expected plain YAML, found a NUL character, which is not used here"},
    {"http.listen.x: 1", ":1:1: no such key \"http.listen.x\""},
    /* shapes */
    {"- a", ":1:1: file: expected keys and values, found a list"},
    {"just words", ":1:1: file: expected keys and values, found a text"},
    {"http: 8080", ":1:7: http: expected keys and values, found a text"},
    {"http: [a]", ":1:7: http: expected keys and values, found a list"},
    {"http: { max_clients: [1] }",
     ":1:22: http.max_clients: expected a whole number, 1 to 1000000, found a list"},
    {"http: { listen: { host: a } }",
     ":1:17: http.listen: expected host:port, found names and values"},
    {"http: { listen: }",
     ":1:17: http.listen: expected host:port, found nothing (write \"\" for an empty text)"},
    {"log: { level: ~ }", ":1:15: log.level: expected one of debug|info|warn|error, found "
                          "nothing (write \"\" for an empty text)"},
    {"exchanges: { upbit: { symbols: BTC-KRW } }",
     ":1:32: exchanges.upbit.symbols: expected a list like [a, b], found \"BTC-KRW\""},
    {"exchanges: { upbit: { symbols: [[BTC-KRW]] } }",
     ":1:33: exchanges.upbit.symbols: expected a list of texts, found a list"},
    {"kafka: { properties: { a: [1] } }", ":1:27: kafka.properties: expected a text, found a list"},
    {"kafka: { properties: { a: 1, a: 2 } }",
     ":1:30: kafka.properties: expected every name once, found one again"},
    {"kafka: { properties: hunter2 }",
     ":1:22: kafka.properties: expected names and values like {a: b}, found something not shown "
     "here"},
    /* YAML that we do without */
    {"a: &x b", ":1:1: no such key \"a\""},
    {"proxy: &x \"\"", ":1:8: proxy: expected plain YAML, found an anchor (&name), which is not "
                       "used here"},
    {"node: { id: *x }", ":1:13: node.id: expected plain YAML, found an alias (*name), which is "
                         "not used here"},
    {"node: { id: !!str x }", ":1:13: node.id: expected plain YAML, found a tag (!name), which is "
                              "not used here"},
    {"--- !x\nnode: {}",
     ":1:5: file: expected plain YAML, found a tag (!name), which is not used here"},
    {"node: {}\n---\nnode: {}", ":2:1: file: expected one document, found another"},
    {"node: {", ":2:1: expected YAML: did not find expected node content"},
    {"node: { id: \"x", ":1:15: expected YAML: found unexpected end of stream"},
    {"node:\n\tid: x", ":2:1: expected YAML: found character that cannot start any token"},
    {"node: { id: \xff }", ": byte 12: expected UTF-8 text, found invalid leading UTF-8 octet"},
    /* booleans, numbers, durations, sizes, words */
    {"exchanges: { upbit: { enabled: yes } }",
     ":1:32: exchanges.upbit.enabled: expected true or false, found \"yes\""},
    {"http: { max_clients: 0 }",
     ":1:22: http.max_clients: expected a whole number, 1 to 1000000, found \"0\""},
    {"http: { max_clients: 1000001 }",
     ":1:22: http.max_clients: expected a whole number, 1 to 1000000, found \"1000001\""},
    {"http: { max_clients: -1 }",
     ":1:22: http.max_clients: expected a whole number, 1 to 1000000, found \"-1\""},
    {"http: { max_clients: 1e3 }",
     ":1:22: http.max_clients: expected a whole number, 1 to 1000000, found \"1e3\""},
    {"http: { max_clients: 99999999999999999999 }",
     ":1:22: http.max_clients: expected a whole number, 1 to 1000000, found "
     "\"99999999999999999999\""},
    {"stream: { book_depth: 1001 }",
     ":1:23: stream.book_depth: expected a whole number, 1 to 1000, found \"1001\""},
    {"stream: { heartbeat: 5 }", ":1:22: stream.heartbeat: expected a duration like 250ms, 4s, "
                                 "30m or 1h, 100ms to 10m, found \"5\""},
    {"stream: { heartbeat: 99ms }", ":1:22: stream.heartbeat: expected a duration like 250ms, 4s, "
                                    "30m or 1h, 100ms to 10m, found \"99ms\""},
    {"stream: { heartbeat: 1.5s }", ":1:22: stream.heartbeat: expected a duration like 250ms, "
                                    "4s, 30m or 1h, 100ms to 10m, found \"1.5s\""},
    {"stream: { heartbeat: 9223372036854775807h }",
     ":1:22: stream.heartbeat: expected a duration like 250ms, 4s, 30m or 1h, 100ms to 10m, found "
     "\"9223372036854775807h\""},
    {"stream: { heartbeat: \"5 s\" }", ":1:22: stream.heartbeat: expected a duration like 250ms, "
                                       "4s, 30m or 1h, 100ms to 10m, found \"5 s\""},
    {"http: { send_buffer: 64KB }", ":1:22: http.send_buffer: expected a size like 64KiB, 256MiB "
                                    "or 1GiB, 4KiB to 64MiB, found \"64KB\""},
    {"http: { send_buffer: 65MiB }", ":1:22: http.send_buffer: expected a size like 64KiB, 256MiB "
                                     "or 1GiB, 4KiB to 64MiB, found \"65MiB\""},
    {"log: { level: INFO }",
     ":1:15: log.level: expected one of debug|info|warn|error, found \"INFO\""},
    {"log: { level: inf }",
     ":1:15: log.level: expected one of debug|info|warn|error, found \"inf\""},
    {"stream: { slow_client: \"\" }",
     ":1:24: stream.slow_client: expected one of snapshot|disconnect, found \"\""},
    /* texts */
    {"http: { listen: \"8080\" }", ":1:17: http.listen: expected host:port, found \"8080\""},
    {"http: { listen: \":8080\" }", ":1:17: http.listen: expected host:port, found \":8080\""},
    {"http: { listen: \"a:65536\" }", ":1:17: http.listen: expected host:port, found \"a:65536\""},
    {"http: { listen: \"a:\" }", ":1:17: http.listen: expected host:port, found \"a:\""},
    {"http: { listen: \"::1:80\" }", ":1:17: http.listen: expected host:port, found \"::1:80\""},
    {"http: { listen: \"[::1]\" }", ":1:17: http.listen: expected host:port, found \"[::1]\""},
    {"http: { listen: \"[::1:80\" }", ":1:17: http.listen: expected host:port, found \"[::1:80\""},
    {"http: { listen: \"a b:80\" }", ":1:17: http.listen: expected host:port, found \"a b:80\""},
    {"http: { listen: \"\" }", ":1:17: http.listen: expected host:port, found \"\""},
    {"http: { listen: \"" LONG_50 "/\" }",
     ":1:17: http.listen: expected host:port, found a text of 51 bytes"},
    {"http: { listen: \"a:1\\n\" }", ":1:17: http.listen: expected host:port, found a text with "
                                     "control characters or that is not UTF-8"},
    {"http: { public_url: \"host:80\" }",
     ":1:21: http.public_url: expected a ws, wss, http or https URL, found \"host:80\""},
    {"http: { public_url: \"ftp://host\" }",
     ":1:21: http.public_url: expected a ws, wss, http or https URL, found \"ftp://host\""},
    {"http: { public_url: \"ws://user:hunter2@host\" }",
     ":1:21: http.public_url: expected a ws, wss, http or https URL, found something not shown "
     "here"},
    {"node: { id: \"a b\" }", ":1:13: node.id: expected letters, digits, '.', '_' and '-', at most "
                              "63, found \"a b\""},
    {"node: { advertise: \"ws://host:1\" }",
     ":1:20: node.advertise: expected http://host:port or https://host:port, found "
     "\"ws://host:1\""},
    {"exchanges: { upbit: { ws_url: \"https://h\" } }",
     ":1:31: exchanges.upbit.ws_url: expected a ws or wss URL without the exchange's path, a slash "
     "at its end, or a user, found \"https://h\""},
    {"exchanges: { upbit: { ws_url: \"ws://h:0\" } }",
     ":1:31: exchanges.upbit.ws_url: expected a ws or wss URL without the exchange's path, a slash "
     "at its end, or a user, found \"ws://h:0\""},
    {"exchanges: { upbit: { ws_url: \"ws://h/\" } }",
     ":1:31: exchanges.upbit.ws_url: expected a ws or wss URL without the exchange's path, a slash "
     "at its end, or a user, found \"ws://h/\""},
    {"exchanges: { upbit: { rest_url: \"https://h/a?b\" } }",
     ":1:33: exchanges.upbit.rest_url: expected an http or https URL without the exchange's path, "
     "a slash at its end, or a user, found \"https://h/a?b\""},
    /* lists */
    {"exchanges: { upbit: { symbols: [] } }",
     ":1:32: exchanges.upbit.symbols: expected 1 to 2000 items, found 0"},
    {"exchanges: { upbit: { symbols: [btc-krw] } }",
     ":1:32: exchanges.upbit.symbols: expected pairs in upper case like BTC-USDT, each once, found "
     "\"btc-krw\""},
    {"exchanges: { upbit: { symbols: [BTCKRW] } }",
     ":1:32: exchanges.upbit.symbols: expected pairs in upper case like BTC-USDT, each once, found "
     "\"BTCKRW\""},
    {"exchanges: { upbit: { symbols: [A-B-C] } }",
     ":1:32: exchanges.upbit.symbols: expected pairs in upper case like BTC-USDT, each once, found "
     "\"A-B-C\""},
    {"exchanges: { upbit: { symbols: [\"\"] } }",
     ":1:32: exchanges.upbit.symbols: expected pairs in upper case like BTC-USDT, each once, found "
     "\"\""},
    {"exchanges: { upbit: { symbols: [BTC-KRW, ETH-KRW, BTC-KRW] } }",
     ":1:32: exchanges.upbit.symbols: expected every item once, found \"BTC-KRW\" again"},
    {"exchanges: { upbit: { symbols: [\"BTC-KRW\\0\"] } }",
     ":1:33: exchanges.upbit.symbols: expected plain YAML, found a NUL character, which is not "
     "used here"},
    {"exchanges: { upbit: { channels: [trade, candles] } }",
     ":1:33: exchanges.upbit.channels: expected of trade, ticker, book, quote those it has, each "
     "once, found \"candles\""},
    {"exchanges: { bithumb: { generation: 3 } }",
     ":1:37: exchanges.bithumb.generation: expected a generation of this exchange's API, found "
     "\"3\""},
    {"exchanges: { bithumb: { generation: 0 } }",
     ":1:37: exchanges.bithumb.generation: expected a whole number, 1 to 99, found \"0\""},
    /* Kafka and the cluster */
    {"kafka: { enabled: yes }", ":1:19: kafka.enabled: expected true or false, found \"yes\""},
    {"kafka: { brokers: \"a\" }",
     ":1:19: kafka.brokers: expected host:port of brokers, separated by commas, found \"a\""},
    {"kafka: { brokers: \"a:0\" }",
     ":1:19: kafka.brokers: expected host:port of brokers, separated by commas, found \"a:0\""},
    {"kafka: { brokers: \"a:1,\" }",
     ":1:19: kafka.brokers: expected host:port of brokers, separated by commas, found \"a:1,\""},
    {"kafka: { brokers: \",a:1\" }",
     ":1:19: kafka.brokers: expected host:port of brokers, separated by commas, found \",a:1\""},
    {"kafka: { brokers: \"a:1 b:2\" }",
     ":1:19: kafka.brokers: expected host:port of brokers, separated by commas, found \"a:1 b:2\""},
    {"kafka: { brokers: \"a:1,b\" }",
     ":1:19: kafka.brokers: expected host:port of brokers, separated by commas, found \"a:1,b\""},
    {"kafka: { brokers: \"a:65536\" }",
     ":1:19: kafka.brokers: expected host:port of brokers, separated by commas, found \"a:65536\""},
    {"kafka: { brokers: \"SSL://a:1\" }", ":1:19: kafka.brokers: expected host:port of brokers, "
                                          "separated by commas, found \"SSL://a:1\""},
    {"kafka: { topic: \"\" }", ":1:17: kafka.topic: expected at most 249 letters, digits, '.', '_' "
                               "and '-', not . or .., found \"\""},
    {"kafka: { topic: \".\" }", ":1:17: kafka.topic: expected at most 249 letters, digits, '.', "
                                "'_' and '-', not . or .., found \".\""},
    {"kafka: { topic: \"..\" }", ":1:17: kafka.topic: expected at most 249 letters, digits, '.', "
                                 "'_' and '-', not . or .., found \"..\""},
    {"kafka: { topic: \"a b\" }", ":1:17: kafka.topic: expected at most 249 letters, digits, '.', "
                                  "'_' and '-', not . or .., found \"a b\""},
    {"kafka: { topic: \"a/b\" }", ":1:17: kafka.topic: expected at most 249 letters, digits, '.', "
                                  "'_' and '-', not . or .., found \"a/b\""},
    {"kafka: { topic: \"caf\xc3\xa9\" }",
     ":1:17: kafka.topic: expected at most 249 letters, digits, '.', '_' and '-', not . or .., "
     "found \"caf\xc3\xa9\""},
    {"kafka: { topic: " LONG_50 LONG_50 LONG_50 LONG_50 LONG_50 " }",
     ":1:17: kafka.topic: expected at most 249 letters, digits, '.', '_' and '-', not . or .., "
     "found a text of 250 bytes"},
    {"kafka: { properties: { linger.ms: 1, acks: hunter2 } }",
     ":1:22: kafka.properties: acks can't be set: the order of the stream rests on it"},
    {"kafka: { properties: { linger.ms: 1, enable.idempotence: hunter2 } }",
     ":1:22: kafka.properties: enable.idempotence can't be set: the order of the stream rests on "
     "it"},
    {"kafka: { properties: { linger.ms: 1, message.timeout.ms: hunter2 } }",
     ":1:22: kafka.properties: message.timeout.ms can't be set: the order of the stream rests on "
     "it"},
    {"kafka: { properties: { linger.ms: 1, auto.offset.reset: hunter2 } }",
     ":1:22: kafka.properties: auto.offset.reset can't be set: the order of the stream rests on "
     "it"},
    {"kafka: { properties: { linger.ms: 1, partitioner: hunter2 } }",
     ":1:22: kafka.properties: partitioner can't be set: the order of the stream rests on it"},
    {"kafka: { properties: { linger.ms: 1, group.id: hunter2 } }",
     ":1:22: kafka.properties: group.id can't be set: the order of the stream rests on it"},
    {"kafka: { properties: { linger.ms: 1, queue.buffering.max.messages: hunter2 } }",
     ":1:22: kafka.properties: queue.buffering.max.messages can't be set: the order of the stream "
     "rests on it"},
    {"kafka: { properties: { linger.ms: 1, transactional.id: hunter2 } }",
     ":1:22: kafka.properties: transactional.id can't be set: the order of the stream rests on it"},
    {"kafka: { properties: { bootstrap.servers: \"hunter2:1\" } }",
     ":1:22: kafka.properties: bootstrap.servers can't be set: set kafka.brokers"},
    {"kafka: { properties: { lingr.ms: 1 } }",
     ":1:22: kafka.properties: lingr.ms: librdkafka knows no such property"},
    {"kafka: { properties: { \"\": hunter2 } }",
     ":1:22: kafka.properties: expected names and values, each a line of text, found something not "
     "shown here"},
    {"cluster: { role: boss }",
     ":1:18: cluster.role: expected one of auto|leader|follower, found \"boss\""},
    {"cluster: { peers: [\"ws://h:1\"] }", ":1:19: cluster.peers: expected http://host:port or "
                                           "https://host:port, each once, found \"ws://h:1\""},
    {"cluster: { peers: [\"http://h:1/path\"] }",
     ":1:19: cluster.peers: expected http://host:port or https://host:port, each once, found "
     "\"http://h:1/path\""},
    {"cluster: { peers: [\"http://u:hunter2@h:1\"] }",
     ":1:19: cluster.peers: expected http://host:port or https://host:port, each once, found "
     "something not shown here"},
    {"cluster: { peers: [\"http://h:1\", \"http://h:1\"] }",
     ":1:19: cluster.peers: expected every item once, found \"http://h:1\" again"},
    {"cluster: { peers: [\"http://h:1\", \"http://h:2\", \"http://h:3\", \"http://h:4\", "
     "\"http://h:5\", \"http://h:6\", \"http://h:7\", \"http://h:8\", \"http://h:9\", "
     "\"http://h:10\", \"http://h:11\", \"http://h:12\", \"http://h:13\", \"http://h:14\", "
     "\"http://h:15\", \"http://h:16\", \"http://h:17\"] }",
     ":1:19: cluster.peers: expected 0 to 16 items, found 17"},
    {"cluster: { standby: warm }", ":1:21: cluster.standby is not built yet in this version"},
    /* not built yet */
    {"redis: { enabled: true }", ":1:19: redis.enabled is not built yet in this version"},
    {"zookeeper: { enabled: true }", ":1:23: zookeeper.enabled is not built yet in this version"},
    {"database: { url: \"mysql://u:hunter2@h/d\" }",
     ":1:18: database.url is not built yet in this version"},
    {"http: { threads: 65 }",
     ":1:18: http.threads: expected a whole number, 0 to 64, found \"65\""},
    {"http: { allowed_origins: [] }",
     ":1:26: http.allowed_origins: expected 1 to 256 items, found 0"},
    {"http: { allowed_origins: [app.example] }",
     ":1:26: http.allowed_origins: expected an origin like https://app.example, or *, found "
     "\"app.example\""},
    {"http: { trusted_proxies: [10.0.0.1/8] }",
     ":1:26: http.trusted_proxies: expected an address or a range like 10.0.0.0/8, found "
     "\"10.0.0.1/8\""},
    {"proxy: \"socks5://u:hunter2@h:1\"",
     ":1:8: proxy: expected http://user:password@host:port or https://..., "
     "percent-encoded, found something not shown here"},
    {"proxy: \"http://h:0\"",
     ":1:8: proxy: expected http://user:password@host:port or https://..., "
     "percent-encoded, found something not shown here"},
    {"proxy: \"http://u:hunter2\"", /* its host was forgotten */
     ":1:8: proxy: expected http://user:password@host:port or https://..., "
     "percent-encoded, found something not shown here"},
    {"backfill: { audit: 31s }", ":1:20: backfill.audit is not built yet in this version"},
    {"auth: { mode: basic }", ":1:15: auth.mode: expected one of none|token|jwt, found \"basic\""},
    {"exchanges: { upbit: { connections: 3 } }",
     ":1:36: exchanges.upbit.connections: expected a whole number, 1 to 2, found \"3\""},
    {"exchanges: { upbit: { connections: 0 } }",
     ":1:36: exchanges.upbit.connections: expected a whole number, 1 to 2, found \"0\""},
    {"exchanges: { upbit: { stale_after: 1999ms } }",
     ":1:36: exchanges.upbit.stale_after: expected a duration like 250ms, 4s, 30m or 1h, 2s to "
     "1h, found \"1999ms\""},
};

static const struct row variable_rows[] = {
    {"TICKWIRE_KAFKA_ENABLE=true", "environment variable TICKWIRE_KAFKA_ENABLE: no such setting; "
                                   "did you mean \"TICKWIRE_KAFKA_ENABLED\"?"},
    {"TICKWIRE_=", "environment variable TICKWIRE_: no such setting"},
    {"TICKWIRE_HTTP_LISTEN", "environment variable TICKWIRE_HTTP_LISTEN: http.listen: expected "
                             "host:port, found \"\""},
    {"TICKWIRE_STREAM_BOOK_DEPTH=ten",
     "environment variable TICKWIRE_STREAM_BOOK_DEPTH: stream.book_depth: expected a whole number, "
     "1 to 1000, found \"ten\""},
    {"TICKWIRE_EXCHANGES_UPBIT_SYMBOLS=BTC-KRW,,ETH-KRW",
     "environment variable TICKWIRE_EXCHANGES_UPBIT_SYMBOLS: exchanges.upbit.symbols: expected "
     "pairs in upper case like BTC-USDT, each once, found \"\""},
    {"TICKWIRE_NODE_ZONE=\xff", "environment variable TICKWIRE_NODE_ZONE: node.zone: expected "
                                "letters, digits, '.', '_' and '-', at most 63, found a text with "
                                "control characters or that is not UTF-8"},
    {"TICKWIRE_KAFKA_PROPERTIES=sasl.password=hunter2,acks=1",
     "environment variable TICKWIRE_KAFKA_PROPERTIES: kafka.properties: acks can't be set: "
     "the order of the stream rests on it"},
    {"TICKWIRE_KAFKA_PROPERTIES=linger.ms=1,linger.ms=2",
     "environment variable TICKWIRE_KAFKA_PROPERTIES: kafka.properties: expected every name once, "
     "found one again"},
    {"TICKWIRE_CLUSTER_PEERS=http://h:1,,http://h:2",
     "environment variable TICKWIRE_CLUSTER_PEERS: cluster.peers: expected http://host:port or "
     "https://host:port, each once, found \"\""},
};

static const struct row flag_rows[] = {
    {"http.listen", "--set: expected key=value, found \"http.listen\""},
    {"", "--set: expected key=value, found \"\""},
    {"=x", "--set: no such key \"\""},
    {"http=x", "--set: expected a key, found the section \"http\""},
    {"http.listen=x", "--set: http.listen: expected host:port, found \"x\""},
    {"log.levle=info", "--set: no such key \"log.levle\"; did you mean \"log.level\"?"},
    {"log.level=", "--set: log.level: expected one of debug|info|warn|error, found \"\""},
    {"exchanges.upbit.symbols=", "--set: exchanges.upbit.symbols: expected 1 to 2000 items, found "
                                 "0"},
    {"redis.enabled=true", "--set: redis.enabled is not built yet in this version"},
};

/* Values that are good, each by itself: what is given with --set, and what is wrong with it. */
#define SETS_MAX 3

static const struct {
    const char *sets[SETS_MAX];
    const char *error;
} together_rows[] = {
    {{"cluster.peers=http://h:1"},
     "cluster.role: expected leader or follower where cluster.peers is set, found \"auto\": the "
     "election among them is not built yet in this version"},
    {{"cluster.role=auto", "kafka.enabled=true", "cluster.peers=http://h:1,http://i:1"},
     "cluster.role: expected leader or follower where cluster.peers is set, found \"auto\": the "
     "election among them is not built yet in this version"},
    {{"cluster.role=follower"},
     "cluster.role: expected kafka.enabled or cluster.peers with a follower, found neither: it "
     "has nothing to follow"},
    {{"cluster.role=follower", "kafka.brokers=a:1"},
     "cluster.role: expected kafka.enabled or cluster.peers with a follower, found neither: it "
     "has nothing to follow"},
    {{"kafka.password_file=x", "kafka.properties=sasl.password=hunter2"},
     "kafka.password_file: expected no sasl.password in kafka.properties beside it, found both"},
};

static void assert_refused(const struct settings_options *options, const char *error)
{
    struct settings settings;
    struct err err = {.code = 0};
    int result = settings_load(&settings, options, &err);
    if (result == 0)
        fail_msg("taken, though expected: %s", error);
    assert_int_equal(result, -EINVAL);
    assert_int_equal(err.code, -EINVAL);
    assert_string_equal(err.text, error);
    assert_null(strstr(err.text, "hunter2"));
}

static void write_file(const char *text)
{
    FILE *file = fopen(FILE_NAME, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static void wrong_files_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(file_rows); i++) {
        write_file(file_rows[i].input);
        char error[512];
        snprintf(error, sizeof error, FILE_NAME "%s", file_rows[i].error);
        assert_refused(&(struct settings_options){.file = FILE_NAME}, error);
    }
}

static void wrong_variables_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(variable_rows); i++) {
        const char *const environment[] = {"PATH=/bin", variable_rows[i].input, NULL};
        assert_refused(&(struct settings_options){.environment = environment},
                       variable_rows[i].error);
    }
}

static void wrong_flags_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(flag_rows); i++) {
        const char *const set[] = {"log.level=warn", flag_rows[i].input};
        assert_refused(&(struct settings_options){.set = set, .set_count = 2}, flag_rows[i].error);
    }
}

static void what_does_not_go_together_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(together_rows); i++) {
        size_t count = 0;
        while (count < SETS_MAX && together_rows[i].sets[count] != NULL)
            count++;
        assert_refused(&(struct settings_options){.set = together_rows[i].sets, .set_count = count},
                       together_rows[i].error);
    }
}

static void missing_files_are_refused(void **state)
{
    (void)state;
    struct settings settings;
    struct err err;
    struct settings_options options = {.file = "no_such_file.yaml"};
    assert_int_equal(settings_load(&settings, &options, &err), -ENOENT);
    assert_string_equal(err.text, "no_such_file.yaml: cannot open it: No such file or directory");
    options.file = ".";
    assert_int_equal(settings_load(&settings, &options, &err), -EISDIR);
    assert_string_equal(err.text, ".: cannot read it: Is a directory");
}

/* Cut anywhere, a good file is taken or refused, never anything worse. */
static void cut_files_are_survived(void **state)
{
    (void)state;
    static const char whole[] =
        "node: { id: \"gw\\u002d1\", zone: 'z' }\n"
        "exchanges:\n  upbit:\n    symbols:\n      - BTC-KRW\n      - ETH-KRW\n"
        "  binance: { channels: [trade, book], ws_url: \"ws://[::1]:1/x\" }\n"
        "kafka: { properties: {} }\n";
    char cut[sizeof whole];
    size_t taken = 0;
    for (size_t size = 0; size < sizeof whole; size++) {
        memcpy(cut, whole, size);
        cut[size] = '\0';
        write_file(cut);
        struct settings settings;
        struct err err = {.code = 0};
        int result = settings_load(&settings, &(struct settings_options){.file = FILE_NAME}, &err);
        if (result == 0) {
            taken++;
            settings_release(&settings);
        } else {
            assert_true(strstr(err.text, FILE_NAME) == err.text);
        }
    }
    assert_in_range(taken, 5, sizeof whole / 2);
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
        cmocka_unit_test(wrong_files_are_refused),
        cmocka_unit_test(wrong_variables_are_refused),
        cmocka_unit_test(wrong_flags_are_refused),
        cmocka_unit_test(missing_files_are_refused),
        cmocka_unit_test(cut_files_are_survived),
        cmocka_unit_test(what_does_not_go_together_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, remove_file);
}
