/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the simulator share: the parts of a simulator, a run and a connection. */
#pragma once

#include "net/loop.h"
#include "net/ws.h"
#include "net/ws_deflate.h"
#include "sim/fault.h"
#include "sim/server.h"
#include "sim/simulator.h"
#include "sim/venue_connection.h"

#define EXCHANGES_MAX 4
#define RUNS_MAX 8
#define ADDRESSES_MAX 1024 /* remembered for one exchange; the one not heard of longest goes */
#define RATE_LOG_MAX 4096
#define TICK_MS 5
#define NS_PER_MS 1000000
#define HEADERS_TEXT_MAX 8192

/* When the last `limit` things happened. */
struct rate_log {
    int64_t *times_ns; /* owned; 0: never */
    uint32_t next, limit;
};

void rate_log_release(struct rate_log *log);

/* False when that is more than limit in window_ms; then it does not count. limit 0: true. */
bool rate_log_take(struct rate_log *log, uint32_t limit, uint32_t window_ms);

/* What one address used of a REST budget. */
struct visitor_group {
    int64_t start_ns; /* of the window */
    uint32_t used, refused;
    bool banned;
    int64_t until_ns; /* it was told to stay away until then */
};

/* One who connects, at one exchange. */
struct visitor {
    struct address address;
    int64_t seen_ns;
    uint64_t connects, requests;
    struct rate_log handshakes;
    struct visitor_group groups[VENUE_GROUPS_MAX];
    int64_t away_ns; /* told to stay away altogether until then */
};

struct exchange_stats {
    uint64_t connects, requests, rest_requests, messages_in, messages_out, requests_bad;
    uint64_t lifetime_cuts, dropped_slow;
    uint64_t broken[BROKEN_COUNT];
    struct buffer headers; /* of the last handshake, as JSON */
};

/* What the simulator knows of an exchange beside its markets. */
struct exchange_state {
    struct exchange exchange;
    struct exchange_stats stats;
    struct visitor *visitors; /* owned; ADDRESSES_MAX */
    size_t visitor_count;
    int64_t leave_ns; /* connections up to leave_last are cut then; 0: no */
    uint64_t leave_last;
};

struct run {
    struct venue_run public; /* first: a venue_run is a run */
    struct simulator *simulator;
    struct exchange_state *state;
    struct venue_connection *connections; /* open or dying */
};

struct simulator {
    struct loop *loop;
    struct timer *timer;
    struct server *servers[SIMULATOR_LISTENS_MAX];
    size_t server_count;
    struct exchange_state exchanges[EXCHANGES_MAX];
    size_t exchange_count;
    struct run runs[RUNS_MAX];
    size_t run_count;
    struct faults *faults;
    struct ws_deflater *deflater;
    struct ws_inflater *inflater;
    struct market **lots; /* owned; each market as often as its weight */
    size_t lot_count;
    uint64_t random;
    uint32_t rate;
    int64_t started_ns, ticked_ns;
    int64_t owed;   /* events to come, in millionths */
    uint64_t event; /* number of what is being told of now */
    uint64_t slot;  /* of the grid, of phase 0 */
    uint64_t connection_last;
    size_t connection_count;
    struct buffer scratch; /* of the REST and control answers */
};

/* ---- limits.c ---- */

int limits_set(struct simulator *simulator, const char *setting, struct err *err) MUST_CHECK;
struct visitor *visitor_find(struct exchange_state *state, const struct address *address);
void visitors_release(struct exchange_state *state);

/* Whether the address was told not to come now; counted if so. */
bool visitor_is_early(struct run *run, const struct visitor *visitor);

/* ---- venue_connection.c ---- */

/* Takes over an upgraded connection. */
void connection_open(struct run *run, struct tcp *tcp, bool compressed, struct slice path,
                     struct slice query, struct slice rest);
void connection_cut(struct venue_connection *connection);
uint64_t connection_number(const struct venue_connection *connection); /* grows */
void connections_tick(struct run *run, int64_t now_ns, bool watch);
void connections_release(struct run *run);
void connections_garbage(struct simulator *simulator, struct fault *fault);

/* ---- routes.c ---- */

void routes_handle(void *context, struct server_connection *connection,
                   const struct server_request *request);

/* ---- control.c ---- */

void control_handle(struct simulator *simulator, struct server_connection *connection,
                    const struct server_request *request, struct slice path);
