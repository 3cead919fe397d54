/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by load.c (connections) and load_frames.c (what comes over them). */
#pragma once

#include "base/buffer.h"
#include "bench/channel.h"
#include "bench/inflater.h"
#include "bench/load.h"
#include "net/url.h"

#include <sys/socket.h>

#define LOAD_FRAME_MAX (2 * MEBIBYTE)

enum connection_phase {
    CONNECTION_CONNECTING,
    CONNECTION_SECURING, /* the TLS handshake is under way */
    CONNECTION_SHAKING,  /* the request is out */
    CONNECTION_OPEN,
    CONNECTION_ENDED
};

struct connection {
    struct channel channel;
    enum connection_phase phase;
    struct joiner joiner;
    int64_t last;       /* sequence number, or -1 */
    struct buffer rest; /* of a cut frame, or of the handshake's answer */
};

struct load {
    struct load_options options;
    struct url url;
    struct sockaddr_storage address;
    socklen_t address_size;
    int epoll;
    size_t made; /* connections begun */
    size_t open;
    size_t closed;
    char error[128];                /* of the first connection that ended */
    struct connection *connections; /* owned; options.clients of them */
    char *buffer;                   /* owned */
    struct inflater *inflater;      /* owned; NULL: nothing is compressed */
    struct channel_tls *tls;        /* owned; NULL: ws:// */
};

void connection_end(struct load *load, struct connection *connection, const char *why);

/* Takes all whole frames of `data`, which has TALLY_PADDING readable bytes behind it; returns the
 * bytes used, the rest is a cut frame. May end the connection. */
size_t connection_frames(struct load *load, struct connection *connection, const char *data,
                         size_t size);
