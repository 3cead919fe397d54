/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs src/peer against real nodes and prints what it hears, a line each, with the milliseconds
 * since the start in front: `12 record {"type":...}`. Holds a link from the start. SIGUSR1: what is
 * known of the peers, and `end`; SIGUSR2: the link is closed, or opened again with a snapshot;
 * SIGTERM: ends.
 *
 *     peer_dump NODE TOKEN_FILE SINCE URL...      ("" for no token file, no since)
 */
#include "base/clock.h"
#include "base/log.h"
#include "peer/peer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct dump {
    struct loop *loop;
    struct peers *peers;
    int64_t started_ns;
    bool open;
};

static struct dump dump;

static void print(const char *what, struct slice text)
{
    long long now_ms = (long long)(clock_monotonic_ns() - dump.started_ns) / 1000000;
    printf("%lld %s %.*s\n", now_ms, what, (int)text.size, text.data);
    fflush(stdout);
}

static void on_hello(void *context, struct slice message)
{
    (void)context;
    print("hello", message);
}

static void on_snapshot(void *context, struct slice message)
{
    (void)context;
    print("snapshot", message);
}

static void on_snapshot_end(void *context, struct slice message)
{
    (void)context;
    print("snapshot_end", message);
}

static void on_record(void *context, struct slice message)
{
    (void)context;
    print("record", message);
}

static void on_alive(void *context)
{
    (void)context;
    print("alive", SLICE(""));
}

static void on_lost(void *context, const char *reason)
{
    (void)context;
    print("lost", slice_of(reason));
}

static void on_describe(void *context)
{
    const struct dump *what = context;
    for (size_t i = 0; i < peers_count(what->peers); i++) {
        char line[1024];
        struct peer_info info;
        peers_describe(what->peers, i, &info);
        int size = snprintf(line, sizeof line,
                            "%s node=%s role=%s stream=%s version=%s epoch=%lld clients=%lld "
                            "lag_ms=%lld since=%lld reachable=%d linked=%d error=%s",
                            info.url, info.node, info.role, info.stream, info.version,
                            (long long)info.epoch, (long long)info.clients, (long long)info.lag_ms,
                            (long long)info.since_us, info.reachable, info.linked, info.error);
        print("peer", (struct slice){.data = line, .size = (size_t)size});
    }
    print("end", SLICE(""));
}

static void on_toggle(void *context)
{
    struct dump *what = context;
    what->open = !what->open;
    if (what->open)
        peers_open_link(what->peers, "");
    else
        peers_close_link(what->peers);
    print(what->open ? "opened" : "closed", SLICE(""));
}

static void on_end(void *context)
{
    loop_stop(((struct dump *)context)->loop);
}

int main(int count, char **arguments)
{
    struct err err;
    if (count < 5) {
        fprintf(stderr, "usage: peer_dump NODE TOKEN_FILE SINCE URL...\n");
        return 2;
    }
    dump.started_ns = clock_monotonic_ns();
    dump.loop = loop_create();
    loop_on_signal(dump.loop, SIGUSR1, on_describe, &dump);
    loop_on_signal(dump.loop, SIGUSR2, on_toggle, &dump);
    loop_on_signal(dump.loop, SIGTERM, on_end, &dump);
    const struct peers_options options = {
        .loop = dump.loop,
        .urls = (const char *const *)arguments + 4,
        .node = arguments[1],
        .token_file = arguments[2],
        .reader = {.hello = on_hello,
                   .snapshot = on_snapshot,
                   .snapshot_end = on_snapshot_end,
                   .record = on_record,
                   .alive = on_alive,
                   .lost = on_lost},
    };
    if (peers_create(&options, &dump.peers, &err) != 0) {
        fprintf(stderr, "peer_dump: %s\n", err.text);
        loop_destroy(dump.loop);
        return EXIT_FAILURE;
    }
    peers_open_link(dump.peers, arguments[3]);
    dump.open = true;
    loop_run(dump.loop);
    peers_destroy(dump.peers);
    loop_destroy(dump.loop);
    return 0;
}
