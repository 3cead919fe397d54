/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libwebsockets as a peer of the measurements (tests/show/peers/README.md says what a peer does):
 * one service thread, messages in a ring, one lws_write for each client and message, which is what
 * its callback for writing allows. A thread of its own reads the source. Not part of the product;
 * the show builds it where the library is.
 */
#include <libwebsockets.h>

#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RING 65536 /* messages; a client that is further behind is closed */
#define MESSAGE_MAX 1024
#define READ_SIZE 65536

struct message {
    size_t size;
    unsigned char bytes[LWS_PRE + MESSAGE_MAX];
};

struct client {
    size_t next; /* message */
};

static struct lws_context *context;
static struct message *ring;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static size_t made; /* messages, under the lock */
static int source_listener;

static size_t made_now(void)
{
    pthread_mutex_lock(&lock);
    size_t now = made;
    pthread_mutex_unlock(&lock);
    return now;
}

/* ---- the source ---- */

static void add(const char *line, size_t size)
{
    if (size > MESSAGE_MAX)
        return;
    pthread_mutex_lock(&lock);
    struct message *message = &ring[made % RING];
    message->size = size;
    memcpy(message->bytes + LWS_PRE, line, size);
    made++;
    pthread_mutex_unlock(&lock);
}

static void read_source(int fd)
{
    static char text[READ_SIZE];
    size_t size = 0;
    for (;;) {
        ssize_t got = recv(fd, text + size, sizeof text - size, 0);
        if (got <= 0)
            break;
        size += (size_t)got;
        char *begin = text;
        char *end = memchr(begin, '\n', size);
        for (; end != NULL; end = memchr(begin, '\n', size)) {
            add(begin, (size_t)(end - begin));
            size -= (size_t)(end + 1 - begin);
            begin = end + 1;
        }
        memmove(text, begin, size);
        lws_cancel_service(context);
    }
    close(fd);
}

static void *source_thread(void *unused)
{
    (void)unused;
    for (int fd = accept(source_listener, NULL, NULL); fd >= 0;
         fd = accept(source_listener, NULL, NULL))
        read_source(fd);
    return NULL;
}

static int listen_on(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    source_listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(source_listener, (struct sockaddr *)&address, size) != 0 ||
        listen(source_listener, 1) != 0 ||
        getsockname(source_listener, (struct sockaddr *)&address, &size) != 0)
        exit(1);
    return ntohs(address.sin_port);
}

/* ---- clients ---- */

static int write_next(struct lws *wsi, struct client *client)
{
    size_t now = made_now();
    if (client->next == now)
        return 0;
    if (now - client->next > RING - READ_SIZE / 200)
        return -1;
    struct message *message = &ring[client->next % RING];
    if (lws_write(wsi, message->bytes + LWS_PRE, message->size, LWS_WRITE_TEXT) < 0)
        return -1;
    if (++client->next < now)
        lws_callback_on_writable(wsi);
    return 0;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t size)
{
    (void)in;
    (void)size;
    struct client *client = user;
    if (reason == LWS_CALLBACK_ESTABLISHED)
        client->next = made_now();
    else if (reason == LWS_CALLBACK_EVENT_WAIT_CANCELLED)
        lws_callback_on_writable_all_protocol(context, lws_get_protocol(wsi));
    else if (reason == LWS_CALLBACK_SERVER_WRITEABLE)
        return write_next(wsi, client);
    return 0;
}

static const struct lws_protocols protocols[] = {
    {.name = "peer", .callback = on_event, .per_session_data_size = sizeof(struct client)},
    {.name = NULL},
};

int main(void)
{
    pthread_t thread;
    struct lws_context_creation_info info = {.port = CONTEXT_PORT_NO_LISTEN_SERVER,
                                             .iface = "127.0.0.1",
                                             .protocols = protocols,
                                             .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS};
    lws_set_log_level(LLL_ERR, NULL);
    ring = calloc(RING, sizeof *ring);
    context = lws_create_context(&info);
    info.port = 0;
    struct lws_vhost *vhost = context == NULL ? NULL : lws_create_vhost(context, &info);
    if (ring == NULL || vhost == NULL)
        return 1;
    int source_port = listen_on();
    if (pthread_create(&thread, NULL, source_thread, NULL) != 0)
        return 1;
    printf("{\"url\":\"ws://127.0.0.1:%d/\",\"source\":\"127.0.0.1:%d\"}\n",
           lws_get_vhost_listen_port(vhost), source_port);
    fflush(stdout);
    while (lws_service(context, 0) >= 0)
        ;
    return 1;
}
