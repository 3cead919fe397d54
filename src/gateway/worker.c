/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread that serves clients: its loop, its letters, and the round in which each client gets
 * one send of all that is due.
 *
 * When records come, the round follows at once while sending takes less than half of this loop's
 * time; beyond that a round begins no earlier than batch_interval after the one before it, so that
 * more messages share a send. A round that takes longer than that waits for nothing.
 */
#include "gateway/gateway_priv.h"

#include "base/clock.h"
#include "base/memory.h"
#include "net/ws_deflate.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#define TICK_MS 100
#define NS_PER_MS 1000000
#define NS_PER_US 1000
#define LAG_MARKS 16
#define PERMILLE 1000
#define BUSY_PERMILLE 500
#define BUSY_WEIGHT 8 /* rounds over which the part of the time is averaged */

/* Where the journal stood at a time. */
struct lag_mark {
    int64_t at_ns; /* 0: not noted yet */
    int64_t next;
};

struct worker {
    struct worker_context context;
    struct gateway *gateway; /* for gateway_post only */
    struct mailbox *mailbox;
    struct loop *loop;
    struct waker *waker; /* by the main thread */
    pthread_t thread;
    struct client **clients; /* client_count of them, in no order */
    size_t client_count;
    size_t client_capacity;
    struct deferred *round;
    struct timer *wait; /* for the next round */
    struct timer *tick;
    bool any_ended;                       /* clients to be given back at the end of the turn */
    struct lag_mark lag_marks[LAG_MARKS]; /* a ring */
    uint32_t lag_newest;
    int64_t round_ns;      /* when the last round began */
    int64_t busy_permille; /* of the time since the one before, averaged */
    struct metric *sent_bytes, *sent_messages, *latency;
    /* from the main thread */
    _Atomic int64_t oldest_ns; /* of what no round has sent yet; 0: nothing */
    _Atomic bool stopping, draining;
    _Atomic uint64_t policy;                   /* policy_pack */
    _Atomic uint32_t content;                  /* the gateway's count */
    _Atomic(struct notice *) notice;           /* owned by who takes it; NULL: none since then */
    uint32_t drain_spread_ms, drain_within_ms; /* written before `draining` */
    bool drained;                              /* its own: the order was obeyed */
};

struct worker_context *worker_context(struct worker *worker)
{
    return &worker->context;
}

struct loop *worker_loop(struct worker *worker)
{
    return worker->loop;
}

/* ---- the round ---- */

void worker_schedule(struct worker *worker)
{
    deferred_schedule(worker->round);
}

void worker_ask(struct client *client)
{
    client->away = true;
    gateway_post(client->worker->gateway, client, ERRAND_PLACE);
}

void worker_end(struct client *client)
{
    if (client->ended)
        return;
    client->ended = true;
    client->worker->any_ended = true;
    deferred_schedule(client->worker->round);
}

/* One whose placement is away goes when it is back. */
static void worker_give_back(struct worker *worker)
{
    worker->any_ended = false;
    for (size_t i = 0; i < worker->client_count;) {
        struct client *client = worker->clients[i];
        if (!client->ended) {
            i++;
            continue;
        }
        worker->clients[i] = worker->clients[--worker->client_count];
        client_release(client);
        if (!client->away)
            gateway_post(worker->gateway, client, ERRAND_BURY);
    }
}

static void worker_count(struct worker *worker)
{
    struct worker_context *context = &worker->context;
    metric_add(worker->sent_bytes, context->sent_bytes);
    metric_add(worker->sent_messages, context->sent_messages);
    context->sent_bytes = context->sent_messages = 0;
}

/* oldest_ns: when the first record that this round sent was accepted; 0: it sent none. */
static void worker_measure(struct worker *worker, int64_t began_ns, int64_t oldest_ns)
{
    int64_t ended_ns = clock_monotonic_ns();
    if (oldest_ns != 0)
        metric_observe(worker->latency, (ended_ns - oldest_ns) / NS_PER_US);
    int64_t period_ns = began_ns - worker->round_ns;
    int64_t spent_ns = ended_ns - began_ns;
    int64_t busy = period_ns <= spent_ns ? PERMILLE : spent_ns * PERMILLE / period_ns;
    worker->busy_permille += (busy - worker->busy_permille) / BUSY_WEIGHT;
    worker->round_ns = began_ns;
}

static void worker_round(void *context)
{
    struct worker *worker = context;
    int64_t began_ns = clock_monotonic_ns();
    /* Who finds it set wakes nobody. The fence, with worker_wake's: what that one had written
     * before is seen by this round. */
    int64_t oldest_ns = atomic_exchange_explicit(&worker->oldest_ns, 0, memory_order_acq_rel);
    atomic_thread_fence(memory_order_seq_cst);
    for (size_t i = 0; i < worker->client_count; i++)
        if (!worker->clients[i]->blocked)
            client_send(worker->clients[i]);
    if (worker->any_ended)
        worker_give_back(worker);
    worker_count(worker);
    worker_measure(worker, began_ns, oldest_ns);
}

static void worker_on_wait(void *context)
{
    worker_schedule(context);
}

/* Records are due: now, or when the interval is over. */
static void worker_due(struct worker *worker)
{
    const struct worker_context *context = &worker->context;
    int64_t interval_ns = (int64_t)batch_wait_ms(context->options, &context->policy) * NS_PER_MS;
    int64_t left_ns = worker->round_ns + interval_ns - clock_monotonic_ns();
    if (worker->busy_permille < BUSY_PERMILLE || left_ns <= 0)
        worker_schedule(worker);
    else
        timer_start(worker->wait, (uint64_t)((left_ns + NS_PER_MS - 1) / NS_PER_MS), 0);
}

/* ---- what may change ---- */

/* One word, so that a worker never sees half of a change: heartbeat 31 bits, lag 32, slow 1. */
static uint64_t policy_pack(const struct gateway_policy *policy)
{
    return (uint64_t)policy->heartbeat_ms << 33 | (uint64_t)policy->max_lag_ms << 1 |
           policy->disconnect_slow;
}

void worker_change(struct worker *worker, const struct gateway_policy *policy)
{
    /* Relaxed: the word is all there is. */
    atomic_store_explicit(&worker->policy, policy_pack(policy), memory_order_relaxed);
}

static void worker_obey_policy(struct worker *worker)
{
    uint64_t word = atomic_load_explicit(&worker->policy, memory_order_relaxed);
    worker->context.policy.heartbeat_ms = (uint32_t)(word >> 33);
    worker->context.policy.max_lag_ms = (uint32_t)(word >> 1);
    worker->context.policy.disconnect_slow = (word & 1) != 0;
}

/* ---- the clock ---- */

/* Where the journal stood max_lag ago: who is before it is slow. 0 until that long has passed. */
static int64_t worker_lag_seq(struct worker *worker, int64_t now_ns)
{
    int64_t lag_ns = (int64_t)worker->context.policy.max_lag_ms * NS_PER_MS;
    struct lag_mark *newest = &worker->lag_marks[worker->lag_newest];
    if (newest->at_ns == 0 || now_ns - newest->at_ns >= lag_ns / (LAG_MARKS / 2)) {
        worker->lag_newest = (worker->lag_newest + 1) % LAG_MARKS;
        worker->lag_marks[worker->lag_newest] =
            (struct lag_mark){.at_ns = now_ns, .next = frame_log_next(worker->context.journal)};
    }
    int64_t seq = 0;
    for (size_t i = 0; i < LAG_MARKS; i++) {
        const struct lag_mark *mark = &worker->lag_marks[i];
        if (mark->at_ns != 0 && now_ns - mark->at_ns >= lag_ns && mark->next > seq)
            seq = mark->next;
    }
    return seq;
}

static void worker_tick(void *context)
{
    struct worker *worker = context;
    int64_t now_ns = clock_monotonic_ns();
    worker_obey_policy(worker);
    int64_t lag_seq = worker_lag_seq(worker, now_ns);
    for (size_t i = 0; i < worker->client_count; i++)
        client_tick(worker->clients[i], now_ns, lag_seq);
    worker_count(worker);
}

/* ---- another content, another feed ---- */

void worker_start_over(struct worker *worker, uint32_t content)
{
    /* Release: the new content, and that the former one is former, come before. */
    atomic_store_explicit(&worker->content, content, memory_order_release);
    waker_wake(worker->waker);
}

void worker_notify(struct worker *worker, struct notice *notice)
{
    /* Release: what it says comes before. Acquire: one that was not taken is freed here. */
    memory_free(atomic_exchange_explicit(&worker->notice, notice, memory_order_acq_rel));
    waker_wake(worker->waker);
}

/* Where the journal stood in the former content says nothing of who is slow in this one. */
static void worker_obey_content(struct worker *worker)
{
    uint32_t content = atomic_load_explicit(&worker->content, memory_order_acquire);
    if (content == worker->context.content)
        return;
    worker->context.content = content;
    memset(worker->lag_marks, 0, sizeof worker->lag_marks);
    for (size_t i = 0; i < worker->client_count; i++)
        client_start_over(worker->clients[i]);
    worker_schedule(worker);
}

static void worker_obey_notice(struct worker *worker)
{
    struct notice *notice = atomic_exchange_explicit(&worker->notice, NULL, memory_order_acq_rel);
    if (notice == NULL)
        return;
    memory_free(worker->context.notice);
    worker->context.notice = notice;
    for (size_t i = 0; i < worker->client_count; i++)
        client_check_feed(worker->clients[i]);
    worker_schedule(worker);
}

/* ---- letters ---- */

static void worker_add(struct worker *worker, struct client *client)
{
    if (worker->client_count == worker->client_capacity) {
        worker->client_capacity = worker->client_capacity == 0 ? 64 : 2 * worker->client_capacity;
        worker->clients =
            memory_resize(worker->clients, worker->client_capacity, sizeof(struct client *));
    }
    worker->clients[worker->client_count++] = client;
}

static void worker_receive(struct worker *worker, struct client *client)
{
    assert(client->errand == ERRAND_SERVE);
    client->away = false;
    if (client->ended) { /* while its placement was away; if in this very turn, its end does it */
        if (client->tcp == NULL)
            gateway_post(worker->gateway, client, ERRAND_BURY);
        return;
    }
    bool is_new = client->tcp == NULL;
    if (is_new)
        worker_add(worker, client);
    client_take_placement(client);
    if (is_new && worker->drained)
        client_drain(client, clock_monotonic_ns(), 0);
}

static void worker_obey_drain(struct worker *worker)
{
    int64_t now_ns = clock_monotonic_ns();
    size_t count = worker->client_count;
    worker->drained = true;
    worker->context.drain_end_ns = now_ns + (int64_t)worker->drain_within_ms * NS_PER_MS * 3 / 4;
    for (size_t i = 0; i < count; i++)
        client_drain(worker->clients[i], now_ns,
                     (uint32_t)((uint64_t)worker->drain_spread_ms * (i + 1) / count));
}

static void worker_on_wake(void *context)
{
    struct worker *worker = context;
    struct letter *next, *letter = mailbox_take(worker->mailbox);
    worker_obey_content(worker); /* behind the taking: what a letter was written by is known now */
    worker_obey_notice(worker);
    for (; letter != NULL; letter = next) {
        next = letter->next;
        worker_receive(worker, (struct client *)letter);
    }
    /* Acquire: the order's figures were written before. */
    if (!worker->drained && atomic_load_explicit(&worker->draining, memory_order_acquire))
        worker_obey_drain(worker);
    /* Relaxed: only asks whether there is something; the round looks with acquire. */
    if (atomic_load_explicit(&worker->oldest_ns, memory_order_relaxed) != 0)
        worker_due(worker);
    if (atomic_load_explicit(&worker->stopping, memory_order_relaxed))
        loop_stop(worker->loop);
}

void worker_give(struct worker *worker, struct client *client)
{
    client->errand = ERRAND_SERVE;
    if (mailbox_post(worker->mailbox, &client->letter))
        waker_wake(worker->waker);
}

void worker_wake(struct worker *worker, int64_t now_ns)
{
    int64_t none = 0;
    /* The fence: the records before it are seen by the round that takes it, or what stands there
     * already. */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_compare_exchange_strong_explicit(&worker->oldest_ns, &none, now_ns,
                                                memory_order_acq_rel, memory_order_relaxed))
        waker_wake(worker->waker);
}

void worker_drain(struct worker *worker, uint32_t spread_ms, uint32_t within_ms)
{
    worker->drain_spread_ms = spread_ms;
    worker->drain_within_ms = within_ms;
    atomic_store_explicit(&worker->draining, true, memory_order_release);
    waker_wake(worker->waker);
}

/* ---- life ---- */

static void worker_close(struct worker *worker)
{
    for (size_t i = 0; i < worker->client_count; i++)
        client_release(worker->clients[i]);
    worker->client_count = 0;
    deferred_destroy(worker->round);
    timer_destroy(worker->wait);
    timer_destroy(worker->tick);
}

static void *worker_main(void *context)
{
    struct worker *worker = context;
    loop_run(worker->loop);
    worker_close(worker);
    return NULL;
}

/* Signals are the main thread's. */
static void worker_start(struct worker *worker)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&worker->thread, NULL, worker_main, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert(failed == 0); /* at start-up only: without threads there is no service */
    (void)failed;
}

static void worker_make_metrics(struct worker *worker)
{
    struct worker_context *context = &worker->context;
    context->bad_frames = metric_series(METRIC_CLIENT_ERRORS, "code=\"1002\"");
    context->bad_text = metric_series(METRIC_CLIENT_ERRORS, "code=\"1007\"");
    context->too_large = metric_series(METRIC_CLIENT_ERRORS, "code=\"1009\"");
    context->too_many = metric_series(METRIC_CLIENT_ERRORS, "code=\"1013\"");
    context->too_much =
        metric_series(METRIC_CLIENT_ERRORS, "code=\"1008\",reason=\"says too much\"");
    context->unfed = metric_series(METRIC_CLIENT_ERRORS, "code=\"1013\",reason=\"feed changed\"");
    context->expired = metric_series(METRIC_CLIENT_ERRORS, "code=\"1008\",reason=\"token ended\"");
    context->slow_snapshot = metric_series(METRIC_SLOW_CLIENTS, "action=\"snapshot\"");
    context->slow_disconnect = metric_series(METRIC_SLOW_CLIENTS, "action=\"disconnect\"");
    context->stuck = metric_series(METRIC_SLOW_CLIENTS, "action=\"drop\"");
    worker->latency = metric_series(METRIC_DELIVERY_LATENCY, "");
    worker->sent_bytes = metric_series(METRIC_SENT_BYTES, "");
    worker->sent_messages = metric_series(METRIC_SENT_MESSAGES, "");
}

struct worker *worker_create(struct gateway *gateway)
{
    struct worker *worker = memory_alloc(sizeof *worker);
    worker->gateway = gateway;
    worker->context.options = &gateway->options;
    worker_change(worker, &gateway->options.policy);
    worker_obey_policy(worker);
    worker->context.content = gateway->content;
    atomic_init(&worker->content, gateway->content);
    worker->context.notice = notice_create(&gateway->feed);
    worker->context.journal = journal_log(gateway->options.journal);
    worker->context.inflater = ws_inflater_create(LIMIT_CLIENT_MESSAGE, LIMIT_INFLATE_WAITING);
    worker->mailbox = mailbox_create();
    worker->loop = loop_create();
    worker->round = deferred_create(worker->loop, worker_round, worker);
    worker->wait = timer_create_on(worker->loop, worker_on_wait, worker);
    worker->tick = timer_create_on(worker->loop, worker_tick, worker);
    timer_start(worker->tick, TICK_MS, TICK_MS);
    worker->waker = waker_create_on(worker->loop, worker_on_wake, worker);
    worker_make_metrics(worker);
    worker_start(worker);
    return worker;
}

void worker_stop(struct worker *worker)
{
    atomic_store_explicit(&worker->stopping, true, memory_order_relaxed);
    waker_wake(worker->waker);
    int failed = pthread_join(worker->thread, NULL);
    assert(failed == 0);
    (void)failed;
    /* What it was given last is in the gateway's list, from which it may go now. */
    (void)mailbox_take(worker->mailbox);
    /* Not by the thread itself: it may end while this one is still inside the wake. */
    waker_destroy(worker->waker);
    loop_destroy(worker->loop);
}

void worker_destroy(struct worker *worker)
{
    /* Relaxed: its thread has been joined. */
    memory_free(atomic_load_explicit(&worker->notice, memory_order_relaxed));
    memory_free(worker->context.notice);
    ws_inflater_destroy(worker->context.inflater);
    mailbox_destroy(worker->mailbox);
    memory_free(worker->clients);
    memory_free(worker);
}
