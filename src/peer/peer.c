/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is asked (peer_poll), which of them is the leader, and the link to it (peer_link): when it is
 * made, made again, and moved. What the reader is told is the last thing that a function does: it
 * may open or close the link from inside.
 */
#include "peer/peer.h"

#include "access/secret_file.h"
#include "access/token_list.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "base/random.h"
#include "net/tls.h"
#include "net/url.h"
#include "peer/peer_link.h"
#include "peer/peer_poll.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#define NS_PER_MS INT64_C(1000000)
#define BACKOFF_FIRST_MS 50
#define HEALTHY_NS (2000 * NS_PER_MS) /* a link that lived so long starts the backoff over */
#define FORGET_NS (10000 * NS_PER_MS) /* so does so long without an attempt */

struct peers {
    struct loop *loop; /* borrowed */
    struct peer_reader reader;
    const struct proxy *proxy; /* borrowed */
    struct tls_context *tls;   /* owned; NULL: nothing speaks TLS */
    char *bearer;              /* owned; NULL: none */
    struct peer_poll **polls;  /* owned, each */
    size_t count;

    bool wanted;                    /* a link is */
    char since[PEER_TOKEN_MAX];     /* where the next one begins */
    struct peer_link *link;         /* owned; NULL: none */
    const struct peer_poll *target; /* of the link, or of the last attempt; one of polls */
    char target_node[LIMIT_PEER_NAME];
    bool leaving;        /* the target said so, and has not said hello since */
    bool told_itself;    /* logged that a peer is this node */
    struct timer *retry; /* owned */
    uint32_t attempts;   /* since the last healthy link */
    int64_t next_ns;     /* no attempt at the same target before */

    struct metric *reachable, *up, *linked, *failed;
    char node[LIMIT_PEER_NAME];
};

/* ---- who leads ---- */

static bool is_itself(const struct peers *peers, const struct peer_poll *poll)
{
    return strcmp(peer_poll_answer(poll)->node, peers->node) == 0;
}

static bool leads(const struct peers *peers, const struct peer_poll *poll)
{
    return peer_poll_reachable(poll) && !is_itself(peers, poll) &&
           strcmp(peer_poll_answer(poll)->role, "leader") == 0;
}

/* Of several, the newest epoch's; of these, the one that we have. One that drains is left if there
 * is another. */
static bool is_better(const struct peers *peers, const struct peer_poll *poll,
                      const struct peer_poll *best)
{
    if (best == NULL)
        return true;
    if (peers->leaving && (poll == peers->target || best == peers->target))
        return best == peers->target;
    int64_t epoch = peer_poll_answer(poll)->epoch;
    int64_t best_epoch = peer_poll_answer(best)->epoch;
    return epoch > best_epoch || (epoch == best_epoch && poll == peers->target);
}

static const struct peer_poll *find_leader(const struct peers *peers)
{
    const struct peer_poll *best = NULL;
    for (size_t i = 0; i < peers->count; i++)
        if (leads(peers, peers->polls[i]) && is_better(peers, peers->polls[i], best))
            best = peers->polls[i];
    return best;
}

/* ---- the link ---- */

static bool is_linked(const struct peers *peers)
{
    return peers->link != NULL && peer_link_greeted(peers->link);
}

/* Asks often while a link is wanted that is not there, or will not be much longer. */
static void peers_hurry(struct peers *peers)
{
    bool hurried = peers->wanted && (!is_linked(peers) || peers->leaving);
    for (size_t i = 0; i < peers->count; i++)
        peer_poll_hurry(peers->polls[i], hurried && !is_itself(peers, peers->polls[i]));
}

/* Ends the link without a word to the reader; the next one goes on where it stood. */
static void peers_drop(struct peers *peers)
{
    if (peers->link == NULL)
        return;
    char token[PEER_TOKEN_MAX];
    int64_t opened_ns = peer_link_opened_ns(peers->link);
    if (peer_link_token(peers->link, token))
        memcpy(peers->since, token, sizeof peers->since);
    if (opened_ns != 0 && clock_monotonic_ns() - opened_ns > HEALTHY_NS) {
        peers->attempts = 0;
        peers->next_ns = 0;
    }
    peer_link_close(peers->link);
    peers->link = NULL;
    metric_set(peers->up, 0);
}

/* Last thing done. */
static void peers_lose(struct peers *peers, const char *reason)
{
    const struct peer_reader *reader = &peers->reader;
    const char *url = peer_poll_url(peers->target);
    bool linked = is_linked(peers);
    peers_drop(peers);
    peers_hurry(peers);
    timer_start(peers->retry, 0, 0);
    if (linked) {
        log_warn("peer", log_text("msg", "the link is lost, trying again"), log_text("url", url),
                 log_text("error", reason));
        reader->lost(reader->context, reason);
        return;
    }
    metric_add(peers->failed, 1);
    if (peers->attempts == 1)
        log_warn("peer", log_text("msg", "no link, trying again"), log_text("url", url),
                 log_text("error", reason));
}

/* ---- whether it may stay ---- */

/* Why the link may not stay; NULL: it may. A node that does not answer may still send. */
static const char *find_fault(const struct peers *peers)
{
    const struct peer_poll *target = peers->target;
    if (peer_poll_reachable(target)) {
        if (strcmp(peer_poll_answer(target)->node, peers->target_node) != 0)
            return "another node answers at its address";
        if (!leads(peers, target))
            return "it leads no longer";
    }
    const struct peer_poll *leader = find_leader(peers);
    if (leader == NULL || leader == target)
        return NULL;
    if (peers->leaving)
        return "it leaves, and another node leads";
    return peer_poll_answer(leader)->epoch > peer_poll_answer(target)->epoch ? "a newer leader"
                                                                             : NULL;
}

/* Leaves a link that may not stay. Last thing done, unless it returns false. */
static bool peers_move(struct peers *peers)
{
    const char *fault = peers->link == NULL ? NULL : find_fault(peers);
    if (fault == NULL)
        return false;
    peers_lose(peers, fault);
    return true;
}

/* ---- what it says to us ---- */

static void link_opened(void *context)
{
    struct peers *peers = context;
    peers->leaving = false;
    metric_set(peers->up, 1);
    metric_add(peers->linked, 1);
    log_info("peer", log_text("msg", "linked to the leader's stream"),
             log_text("url", peer_poll_url(peers->target)), log_text("node", peers->target_node),
             log_text("since", peers->since));
    peers_hurry(peers);
}

static void link_ended(void *context, const char *reason)
{
    char text[LIMIT_PEER_ERROR]; /* the link's own goes with it */
    snprintf(text, sizeof text, "%s", reason);
    peers_lose(context, text);
}

static void link_draining(void *context)
{
    struct peers *peers = context;
    peers->leaving = true;
    peers_hurry(peers);
    if (!peers_move(peers))
        peers->reader.alive(peers->reader.context);
}

/* ---- making it ---- */

static uint32_t backoff_ms(uint32_t attempts)
{
    uint32_t most = BACKOFF_FIRST_MS;
    for (uint32_t i = 1; i < attempts && most < LIMIT_PEER_BACKOFF_MS; i++)
        most *= 2;
    most = most < LIMIT_PEER_BACKOFF_MS ? most : LIMIT_PEER_BACKOFF_MS;
    return most / 2 + random_below(most / 2 + 1);
}

static void peers_dial(struct peers *peers)
{
    const struct peer_link_options options = {
        .loop = peers->loop,
        .url = peer_poll_url(peers->target),
        .since = peers->since,
        .node = peers->target_node,
        .bearer = peers->bearer,
        .tls = peers->tls,
        .proxy = peers->proxy,
        .reader = &peers->reader,
        .callbacks = {link_opened, link_draining, link_ended, peers},
    };
    struct err err;
    int64_t now_ns = clock_monotonic_ns();
    uint32_t wait_ms = 0;
    if (now_ns - peers->next_ns > FORGET_NS)
        peers->attempts = 0;
    peers->attempts++;
    wait_ms = backoff_ms(peers->attempts);
    peers->next_ns = now_ns + wait_ms * NS_PER_MS;
    if (peer_link_open(&options, &peers->link, &err) == 0)
        return;
    metric_add(peers->failed, 1);
    log_warn("peer", log_text("msg", "no link, trying again"), log_text("url", options.url),
             log_text("error", err.text));
    timer_start(peers->retry, wait_ms, 0);
}

/* Makes a link if one is wanted and there is none, at once or when it is time. Tells nobody. */
static void peers_seek(struct peers *peers)
{
    const struct peer_poll *leader = find_leader(peers);
    peers_hurry(peers);
    if (!peers->wanted || peers->link != NULL || leader == NULL)
        return;
    const char *node = peer_poll_answer(leader)->node;
    if (leader != peers->target || strcmp(node, peers->target_node) != 0) {
        peers->target = leader;
        snprintf(peers->target_node, sizeof peers->target_node, "%s", node);
        peers->leaving = false;
        peers->attempts = 0;
        peers->next_ns = 0;
    }
    int64_t wait_ns = peers->next_ns - clock_monotonic_ns();
    if (wait_ns > 0)
        timer_start(peers->retry, (uint64_t)(wait_ns / NS_PER_MS) + 1, 0);
    else
        peers_dial(peers);
}

static void on_retry(void *context)
{
    peers_seek(context);
}

/* ---- what the polls bring ---- */

static void peers_note_itself(struct peers *peers, const struct peer_poll *poll)
{
    if (peers->told_itself || !is_itself(peers, poll))
        return;
    peers->told_itself = true;
    log_info("peer", log_text("msg", "a peer is this node itself, or has its node.id: left out"),
             log_text("url", peer_poll_url(poll)), log_text("node", peers->node));
}

static void on_asked(void *context, struct peer_poll *poll)
{
    struct peers *peers = context;
    int64_t reachable = 0;
    for (size_t i = 0; i < peers->count; i++)
        reachable += peer_poll_reachable(peers->polls[i]) && !is_itself(peers, peers->polls[i]);
    metric_set(peers->reachable, reachable);
    peers_note_itself(peers, poll);
    if (!peers_move(peers))
        peers_seek(peers);
}

/* ---- the owner's calls ---- */

/* ret_file, to be released when it succeeds, holds ret_token. */
static int read_token(const char *path, struct secret_file *ret_file, struct slice *ret_token,
                      struct err *err)
{
    struct secret_file file;
    int failed = secret_file_read(path, LIMIT_ACCESS_FILE, &file, err);
    if (failed != 0)
        return failed;
    struct slice token = secret_file_text(&file);
    while (token.size > 0 && strchr(" \t\r\n", token.data[token.size - 1]) != NULL)
        token.size--;
    if (token.size < LIMIT_ACCESS_TOKEN_MIN || token.size > LIMIT_ACCESS_TOKEN ||
        !token_well_formed(token)) {
        secret_file_release(&file);
        return err_set(err, -EINVAL,
                       "%s: not one token alone (RFC 6750, 2.1) of %d to %d characters", path,
                       LIMIT_ACCESS_TOKEN_MIN, LIMIT_ACCESS_TOKEN);
    }
    *ret_file = file;
    *ret_token = token;
    return 0;
}

int peers_check_token(const char *path, struct err *err)
{
    struct secret_file file = {0};
    struct slice token;
    int failed = path[0] == '\0' ? 0 : read_token(path, &file, &token, err);
    secret_file_release(&file);
    return failed;
}

static int read_bearer(const char *path, char **ret_bearer, struct err *err)
{
    struct secret_file file = {0};
    struct slice token = {0};
    int failed = read_token(path, &file, &token, err);
    if (failed != 0)
        return failed;
    assert(token.data != NULL);
    *ret_bearer = memory_alloc(token.size + 1);
    memcpy(*ret_bearer, token.data, token.size);
    if (file.exposed)
        log_warn("peer", log_text("msg", "every user of this machine may read the token"),
                 log_text("file", path));
    secret_file_release(&file);
    return 0;
}

/* ret_text: LIMIT_URL bytes, without a slash at its end. */
static int read_url(const char *text, struct url *ret_url, char *ret_text, struct err *err)
{
    size_t size = strlen(text);
    if (url_parse(text, ret_url, err) != 0)
        return err_wrap(err, text);
    if (strncmp(text, "http", 4) != 0 || strcmp(ret_url->target, "/") != 0)
        return err_set(err, -EINVAL, "%s: not http(s)://host:port", text);
    assert(size < LIMIT_URL);
    memcpy(ret_text, text, size + 1);
    if (ret_text[size - 1] == '/')
        ret_text[size - 1] = '\0';
    return 0;
}

static int peers_add(struct peers *peers, const char *text, bool *ret_tls, struct err *err)
{
    struct url url;
    char plain[LIMIT_URL];
    int failed = read_url(text, &url, plain, err);
    if (failed != 0)
        return failed;
    *ret_tls = *ret_tls || url.tls || peers->proxy != NULL; /* which may want TLS itself */
    if (*ret_tls && peers->tls == NULL)
        failed = tls_context_create_client(NULL, &peers->tls, err);
    if (failed != 0)
        return failed;
    if (peers->bearer != NULL && !url.tls)
        log_warn("peer", log_text("msg", "our token goes to a peer in the clear: http, not https"),
                 log_text("url", plain));
    const struct peer_poll_options options = {
        .loop = peers->loop,
        .url = plain,
        .bearer = peers->bearer,
        .tls = peers->tls,
        .proxy = peers->proxy,
        .on_asked = on_asked,
        .context = peers,
    };
    peers->polls[peers->count++] = peer_poll_create(&options);
    return 0;
}

static int peers_open(struct peers *peers, const struct peers_options *options, struct err *err)
{
    int failed = 0;
    bool tls = false;
    if (options->token_file[0] != '\0')
        failed = read_bearer(options->token_file, &peers->bearer, err);
    for (size_t i = 0; failed == 0 && options->urls[i] != NULL; i++) {
        if (i == LIMIT_PEERS)
            failed = err_set(err, -E2BIG, "more than %d peers", LIMIT_PEERS);
        else
            failed = peers_add(peers, options->urls[i], &tls, err);
    }
    return failed;
}

int peers_create(const struct peers_options *options, struct peers **ret_peers, struct err *err)
{
    struct peers *peers = memory_alloc(sizeof *peers);
    assert(strlen(options->node) < sizeof peers->node);
    peers->loop = options->loop;
    peers->reader = options->reader;
    peers->proxy = options->proxy;
    peers->polls = memory_array(LIMIT_PEERS, sizeof(struct peer_poll *));
    peers->retry = timer_create_on(options->loop, on_retry, peers);
    peers->reachable = metric_series(METRIC_PEERS_REACHABLE, "");
    peers->up = metric_series(METRIC_PEER_LINK, "");
    peers->linked = metric_series(METRIC_PEER_LINKS, "result=\"linked\"");
    peers->failed = metric_series(METRIC_PEER_LINKS, "result=\"failed\"");
    snprintf(peers->node, sizeof peers->node, "%s", options->node);
    int failed = peers_open(peers, options, err);
    if (failed != 0) {
        peers_destroy(peers);
        return failed;
    }
    *ret_peers = peers;
    return 0;
}

void peers_destroy(struct peers *peers)
{
    if (peers == NULL)
        return;
    peer_link_close(peers->link);
    for (size_t i = 0; i < peers->count; i++)
        peer_poll_destroy(peers->polls[i]);
    timer_destroy(peers->retry);
    tls_context_destroy(peers->tls);
    memory_free(peers->polls);
    memory_free(peers->bearer);
    memory_free(peers);
}

/* A link that its owner gives up has not failed. */
static void peers_give_up(struct peers *peers)
{
    if (is_linked(peers)) {
        peers->attempts = 0;
        peers->next_ns = 0;
    }
    peers_drop(peers);
}

void peers_open_link(struct peers *peers, const char *since)
{
    assert(strlen(since) < sizeof peers->since);
    peers_give_up(peers);
    peers->wanted = true;
    snprintf(peers->since, sizeof peers->since, "%s", since);
    peers_seek(peers);
}

void peers_close_link(struct peers *peers)
{
    peers->wanted = false;
    peers_give_up(peers);
    timer_stop(peers->retry);
    peers_hurry(peers);
}

/* The index-th of those that are not this node. */
static const struct peer_poll *find_poll(const struct peers *peers, size_t index)
{
    for (size_t i = 0; i < peers->count; i++) {
        if (is_itself(peers, peers->polls[i]))
            continue;
        if (index == 0)
            return peers->polls[i];
        index--;
    }
    return NULL;
}

size_t peers_count(const struct peers *peers)
{
    size_t count = 0;
    for (size_t i = 0; i < peers->count; i++)
        count += !is_itself(peers, peers->polls[i]);
    return count;
}

void peers_describe(const struct peers *peers, size_t index, struct peer_info *ret_info)
{
    const struct peer_poll *poll = find_poll(peers, index);
    assert(poll != NULL);
    const struct peer_answer *answer = peer_poll_answer(poll);
    *ret_info = (struct peer_info){
        .url = answer->url[0] == '\0' ? peer_poll_url(poll) : answer->url,
        .node = answer->node,
        .role = answer->role,
        .stream = answer->stream,
        .version = answer->version,
        .epoch = answer->epoch,
        .clients = answer->clients,
        .lag_ms = answer->lag_ms,
        .since_us = answer->since_us,
        .reachable = peer_poll_reachable(poll),
        .error = peer_poll_error(poll),
        .linked = poll == peers->target && is_linked(peers),
    };
}
