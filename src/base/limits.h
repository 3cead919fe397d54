/* SPDX-License-Identifier: Apache-2.0 */
/* Every bound of the program that is not a setting, in one place. Sizes in bytes, unless the name
 * says otherwise. */
#pragma once

#include <assert.h>

#define KIBIBYTE (1024)
#define MEBIBYTE (1024 * 1024)

/* base */
#define LIMIT_LOG_LINE 2048
#define LIMIT_LOG_RING (256 * KIBIBYTE)
#define LIMIT_LOG_SITE_PER_SECOND 20
#define LIMIT_METRIC_SERIES 4096
#define LIMIT_METRIC_LABELS 160
#define LIMIT_METRIC_OBSERVED_US 3600000000 /* an hour; more is no latency but another clock */

/* net */
#define LIMIT_READ_BUFFER                                                                          \
    (256 * KIBIBYTE)                   /* one a loop; a turn of one connection reads at most this */
#define LIMIT_TLS_READ (96 * KIBIBYTE) /* encrypted bytes that a turn of one connection reads */
#define LIMIT_TLS_PENDING (64 * KIBIBYTE) /* encrypted bytes that wait for the kernel */
#define LIMIT_PADDING 64                  /* readable bytes behind everything handed to a decoder */
#define LIMIT_HTTP_HEAD (16 * KIBIBYTE)
#define LIMIT_HTTP_HEADERS 64
#define LIMIT_HTTP_TARGET (4 * KIBIBYTE)
#define LIMIT_HTTP_RESPONSE (8 * MEBIBYTE)
#define LIMIT_HTTP_IGNORED (1 * MEBIBYTE)  /* of input behind an answer that ends a connection */
#define LIMIT_HTTP_UNSENT (128 * MEBIBYTE) /* of answers that their peers do not take, in all */
#define LIMIT_HTTP_SEND_BUFFER (256 * KIBIBYTE) /* in the kernel, for one connection */
#define LIMIT_HTTP_HEAD_MS 10000                /* a request's head must be whole within */
#define LIMIT_HTTP_IDLE_MS 60000                /* a connection is kept for the next request */
#define LIMIT_HTTP_STUCK_MS 10000               /* an answer of which the peer takes nothing */
#define LIMIT_HTTP_ANSWER_MS 120000             /* an answer must be taken whole within */
#define LIMIT_HTTP_ADDRESSES 16384              /* addresses whose limits are remembered */
#define LIMIT_HTTP_PROXIES 256                  /* ranges that are trusted */
#define LIMIT_TLS_TURN 4                        /* steps of handshakes in one turn of a loop */
#define LIMIT_WS_CLOSE_MS 2000                  /* for the peer's close after ours */
#define LIMIT_URL (LIMIT_REST_PATH + KIBIBYTE)
#define LIMIT_HOST 256
#define LIMIT_CONNECT_ADDRESSES 16 /* of one name that are tried */
#define LIMIT_PROXY_RULES 256      /* of NO_PROXY */

/* access */
#define LIMIT_ACCESS_TOKEN (8 * KIBIBYTE) /* a token as a client sends it */
#define LIMIT_ACCESS_TOKEN_MIN 16         /* a token of a file: shorter ones can be guessed */
#define LIMIT_ACCESS_TOKENS 1000          /* of one file; each is compared at each request */
#define LIMIT_ACCESS_NAME 64              /* of a token, terminated */
#define LIMIT_ACCESS_FILE (256 * KIBIBYTE)

/* messages */
#define LIMIT_EXCHANGE_MESSAGE (2 * MEBIBYTE)
#define LIMIT_CLIENT_MESSAGE (64 * KIBIBYTE)
#define LIMIT_RECORD (1 * MEBIBYTE) /* one encoded message; Kafka's limit as well */
#define LIMIT_JSON_DEPTH 32

/* market */
#define LIMIT_SYMBOL 48 /* "BASE-QUOTE" */
#define LIMIT_NATIVE_SYMBOL 48
#define LIMIT_TRADE_ID 40
#define LIMIT_BOOK_DEPTH 1000     /* stream.book_depth at most */
#define LIMIT_MESSAGE_LEVELS 5000 /* a side, in one message of an exchange */
#define LIMIT_MESSAGE_EVENTS 512  /* events in one message of an exchange */
#define LIMIT_REASON 200          /* text of a status or gap */

/* exchanges */
#define LIMIT_REST_PATH (4 * KIBIBYTE)
#define LIMIT_REST_ANSWER (32 * MEBIBYTE) /* Binance's list of markets is 15 MB */
#define LIMIT_REST_MS 10000
#define LIMIT_EXCHANGES 16
#define LIMIT_EXCHANGE_SYMBOLS 2000    /* a session */
#define LIMIT_REQUEST (512 * KIBIBYTE) /* one subscription message, all symbols in it */
#define LIMIT_BACKOFF_MS 30000
#define LIMIT_CONNECT_MS 10000
#define LIMIT_BOOK_MS 10000 /* a book that was asked for must have come, else a gap says so */
#define LIMIT_LIVE_MS 30000 /* the first data must have come on a new connection */
#define LIMIT_IDLE_MS                                                                              \
    60000 /* a connection must say something, where the exchange names no time                     \
           */

/* stream */
/* Epochs, numbers and positions that come from outside: 2^53 - 1, exact in any reader of JSON, and
 * so far from the end of int64_t that sums of a few cannot overflow. */
#define LIMIT_NUMBER INT64_C(9007199254740991)
#define LIMIT_STREAM_ID 32
#define LIMIT_SEGMENT (1 * MEBIBYTE)
#define LIMIT_FRAME (2 * MEBIBYTE) /* one frame in a log: a record, or a batch of them */
#define LIMIT_LOG_EPOCHS 256
#define LIMIT_KEY (LIMIT_SYMBOL + 32)
#define LIMIT_STATE (512 * KIBIBYTE) /* one state of an exchange and symbol, in a carrier */
#define LIMIT_STATES 32768           /* of one stream */
#define LIMIT_NODE_ID 256            /* of a node or a leadership, terminated */
#define LIMIT_NOTE 2048              /* text of a barrier or beacon */

/* kafka */
#define LIMIT_KAFKA_MESSAGE (LIMIT_RECORD + 64 * KIBIBYTE) /* with key, headers and framing */
#define LIMIT_KAFKA_HEADERS 32 /* of a record; one with more is none of ours */
#define LIMIT_KAFKA_PROPERTIES 128
#define LIMIT_KAFKA_TAIL 100000       /* records looked at first for a place to begin */
#define LIMIT_KAFKA_TAIL_MS 60000     /* so old they are at least, ... */
#define LIMIT_KAFKA_TAIL_MOST 1000000 /* unless there are more than this, or than the log holds */
#define LIMIT_KAFKA_TURN 256          /* records that one poll hands over */
#define LIMIT_KAFKA_TURN_BYTES MEBIBYTE
#define LIMIT_KAFKA_UNSENT 8192 /* records that the producer holds; more are refused */
#define LIMIT_KAFKA_UNSENT_BYTES (32 * MEBIBYTE)
#define LIMIT_KAFKA_UNREAD_BYTES (64 * MEBIBYTE) /* fetched, and not polled yet */
#define LIMIT_KAFKA_ANSWER_MS 1000      /* a broker that has not answered by then has failed; ... */
#define LIMIT_KAFKA_ANSWER_MOST_MS 4000 /* then it gets twice as long, up to this */
#define LIMIT_KAFKA_PROBE_MS 250        /* from one look at the broker to the next */
#define LIMIT_KAFKA_STALL_MS 1500 /* writes unanswered, or records unread; with more time, more */
#define LIMIT_KAFKA_RETRY_MS 50
#define LIMIT_KAFKA_REFUSED_MS 5000 /* after what only a person can mend */
#define LIMIT_KAFKA_CAUSE_MS 35000  /* so long stands what the library told of a failure */
#define LIMIT_KAFKA_LOG_LINES 10    /* of the library, in ten seconds */

/* cluster */
#define LIMIT_PENDING (16 * MEBIBYTE) /* written and not read back; more turns direct */
#define LIMIT_WINDOW 4096             /* records in the hands of a carrier, not read back */

/* peers */
#define LIMIT_PEERS 16
#define LIMIT_PEER_POLL_MS 1000
#define LIMIT_PEER_ANSWER (1 * MEBIBYTE)
#define LIMIT_PEER_SEARCH_MS 200   /* between two polls while the leader is looked for */
#define LIMIT_PEER_CONNECT_MS 1000 /* address and TCP of a poll; the link's whole handshake */
#define LIMIT_PEER_ANSWER_MS 2000  /* a poll altogether */
#define LIMIT_PEER_PING_MS 500     /* between two pings on the link */
#define LIMIT_PEER_PINGS 4         /* that may go by with nothing heard */
#define LIMIT_PEER_HELLO_MS 13000  /* it may wait for the token, and then for a snapshot */
#define LIMIT_PEER_STALL_MS 4000   /* between two messages of a snapshot, whatever else comes */
#define LIMIT_PEER_BACKOFF_MS 2000 /* between two attempts at a link */
#define LIMIT_PEER_SNAPSHOT (64 * MEBIBYTE) /* of one snapshot on the link */
#define LIMIT_PEER_NAME 64                  /* of a node, terminated */
#define LIMIT_PEER_ERROR 240                /* of a poll, terminated */
#define LIMIT_LEADERSHIPS 64                /* epochs that are remembered */

/* keeper */
#define LIMIT_KEEPER_ENTRIES 65536 /* last values kept: type x exchange x symbol */
#define LIMIT_KEEPER_TRADES 100    /* last trades kept of a symbol */
#define LIMIT_KEEPER_TRADE 318     /* bytes of one of them; longer ones are left out there */

/* gateway */
#define LIMIT_CLIENT_PENDING (64 * KIBIBYTE) /* control frames waiting for one client */
#define LIMIT_SEND_TURN (256 * KIBIBYTE)     /* what one client is sent in one turn */
#define LIMIT_SNAPSHOT (64 * MEBIBYTE)
#define LIMIT_SNAPSHOT_AGE_MS                                                                      \
    500                   /* a joiner may be given a blob this old; two a second are made          \
                           */
#define LIMIT_SNAPSHOTS 4 /* blobs alive, in all their forms */
#define LIMIT_SNAPSHOT_WAIT_MS 10000
#define LIMIT_BATCH                                                                                \
    (64 * KIBIBYTE) /* text of one frame of a batch, unless one message is longer                  \
                     */
#define LIMIT_GATEWAY_THREADS 64
#define LIMIT_CLIENT_SAID                                                                          \
    MEBIBYTE /* of messages, inflated, in 100 ms; more is closed with 1008                         \
              */
#define LIMIT_INFLATE_WAITING (4 * MEBIBYTE) /* compressed messages come in part, a thread */
#define LIMIT_RESUME_WAIT_MS 2000
#define LIMIT_CLIENT_STUCK_MS                                                                      \
    60000 /* a client that takes nothing of what it is owed is dropped                             \
           */

static_assert(LIMIT_SEGMENT > LIMIT_RECORD / 2 && LIMIT_RECORD <= 16 * MEBIBYTE,
              "a record fits a segment of its own");
static_assert(LIMIT_RECORD + LIMIT_BATCH + 16 <= LIMIT_FRAME, "a batch fits a frame");
static_assert(LIMIT_LOG_LINE < LIMIT_LOG_RING, "a line fits the ring");
