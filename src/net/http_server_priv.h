/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's inside, for its four files: http_server.c (lives and deadlines), http_connection.c
 * (input, and the states of a connection), http_request.c (what a request may do, and who answers
 * it), http_answer.c (what goes out).
 */
#pragma once

#include "base/buffer.h"
#include "net/http_forwarded.h"
#include "net/http_origin.h"
#include "net/http_server.h"

#define HTTP_ROUTES_MAX 64
#define HTTP_LINGER_MS 1000
#define HTTP_PIPELINED_MAX                                                                         \
    64 /* requests in one read; the last one's answer ends the connection                          \
        */

/* X(enum suffix, value of the label) */
#define HTTP_REFUSALS(X)                                                                           \
    X(HEAD, "head")               /* malformed, too large, or of another version */                \
    X(SLOW_HEAD, "slow_head")     /* 408 */                                                        \
    X(SILENT, "silent")           /* it never said a byte */                                       \
    X(ABANDONED, "abandoned")     /* it left before its head was whole */                          \
    X(SLOW_ANSWER, "slow_answer") /* it did not take its answer */                                 \
    X(UNSENT, "unsent")           /* nor did others, and there was no more room for it */          \
    X(FULL, "full")               /* 503, or closed */                                             \
    X(EVICTED, "evicted")         /* closed for a new one */                                       \
    X(ADDRESS, "address")         /* too many of one address */                                    \
    X(RATE, "rate")               /* handshakes of one address, 429, or connections of all */      \
    X(ORIGIN, "origin")           /* 403 */                                                        \
    X(FORWARDED, "forwarded")     /* what a trusted proxy says is malformed */                     \
    X(UNAUTHORIZED, "unauthorized")

enum http_refusal {
#define X(suffix, label) HTTP_REFUSAL_##suffix,
    HTTP_REFUSALS(X)
#undef X
        HTTP_REFUSAL_COUNT
};

enum connection_state { CONNECTION_READING, CONNECTION_SENDING, CONNECTION_LINGERING };

struct http_connection {
    struct http_server *server;       /* borrowed, outlives it */
    struct http_connection *previous; /* in the server's list */
    struct http_connection *next;
    struct tcp *tcp;            /* owned, until handed over */
    struct http_reader *reader; /* owned; NULL until the first byte */
    struct http_seat seat;      /* not entered by one that is turned away */
    struct address peer;
    struct buffer output; /* being sent */
    size_t output_sent;
    size_t unsent;         /* of it, as the server counts it */
    struct buffer waiting; /* input behind a request whose answer is being sent */
    size_t ignored;        /* input while lingering */
    int64_t deadline_ns;
    int64_t answer_end_ns; /* the deadline may not be put off beyond */
    int64_t head_ns;       /* first byte of the present head */
    enum connection_state state;
    unsigned in_turn; /* requests of the present read */
    bool head_timed;  /* the deadline is that of a head */
    bool spoken;      /* a head has come */
    bool turned_away;
    bool peer_ended;
    bool dead; /* unlinked; freed when the callback it is in returns */
    /* the present request */
    const struct http_head *request; /* NULL: its head was refused */
    struct slice rest;               /* input behind the head being handled; its handler's time */
    struct http_client client;
    struct http_grant grant;
    struct slice origin; /* allowed, to be named in the answer; else empty */
    bool shared;         /* pages of other origins may read the answer */
    bool vary_encoding;  /* the answer depends on Accept-Encoding */
    bool answered;
    bool head_only;
    bool keep_alive;
};

struct http_server {
    struct tcp_listener *listener;       /* owned; NULL when stopped */
    struct timer *sweep;                 /* owned */
    struct http_connection *connections; /* owned */
    struct http_guard *guard;            /* owned */
    struct http_origins *origins;        /* owned */
    uint32_t connection_count;           /* all of them */
    uint32_t turned_away_count;          /* of these: beyond the maximum, being told 503 */
    uint32_t until_logged;               /* requests */
    size_t unsent;                       /* bytes of answers that the peers have not taken */
    struct http_server_options options;
    struct http_trusted trusted; /* lies in proxies */
    struct address_range proxies[LIMIT_HTTP_PROXIES];
    struct metric *refused[HTTP_REFUSAL_COUNT];
    uint16_t port;
    struct http_connection *busy; /* the one whose callback runs; NULL outside */
    bool closed;                  /* freed when that returns */
    size_t route_count;
    struct http_route route[HTTP_ROUTES_MAX];
};

/* ---- http_server.c ---- */

void http_count_refusal(const struct http_server *server, enum http_refusal refusal);
void http_set_deadline(struct http_connection *connection, int64_t after_ms);

/* Around every callback: leave frees what died in it. */
void http_enter(struct http_connection *connection);
void http_leave(struct http_connection *connection);

/* Out of the list; the memory stays while a callback of it runs. */
void http_connection_end(struct http_connection *connection);

/* ---- http_connection.c ---- */

/* Gives it the callbacks that read requests. */
void http_connection_start(struct http_connection *connection);

/* The answer is whole in `output`: sends what the peer takes now. */
void http_connection_flush(struct http_connection *connection);

/* It said too little in its time. */
void http_connection_expire(struct http_connection *connection);

/* ---- http_request.c ---- */

/* Has it answered, by its route or with a problem. */
void http_request_handle(struct http_connection *connection, const struct http_head *request);

/* A problem outside any request, after which the connection ends. */
void http_request_refuse(struct http_connection *connection, unsigned status, const char *headers,
                         const char *detail);
