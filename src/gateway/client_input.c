/* SPDX-License-Identifier: Apache-2.0 */
/* What a client says: pings are answered, a close is returned, the rest is checked and ignored. */
#include "gateway/gateway_priv.h"

#define COMPRESSED_COST 4 /* a byte of a client that may compress counts as so many */
#define CLOSE_BAD_TEXT 1007
#define CLOSE_POLICY 1008
#define CLOSE_TOO_LARGE 1009
#define CLOSE_TRY_AGAIN 1013 /* compressed messages that came in part fill their room */

/* After our close frame nothing is said any more; after the peer's, the connection ends as soon as
 * ours is out. */
static void client_control(struct client *client, const struct ws_control *control)
{
    if (control->opcode == WS_CLOSE) {
        client_close(client, control->close_code == 1005 ? 1000 : control->close_code, "");
        client->end_when_sent = true;
        client->deaf = true;
    } else if (control->opcode == WS_PING && client->phase != CLIENT_CLOSING) {
        frame_append(client_pending(client), WS_PONG, control->payload);
    }
}

static void client_failed(struct client *client)
{
    struct worker_context *context = worker_context(client->worker);
    uint16_t code = ws_error_code(&client->parser);
    struct metric *metric = context->bad_frames;
    if (code == CLOSE_BAD_TEXT)
        metric = context->bad_text;
    else if (code == CLOSE_TOO_LARGE)
        metric = context->too_large;
    else if (code == CLOSE_TRY_AGAIN)
        metric = context->too_many;
    metric_add(metric, 1);
    client_close(client, code, "");
    client->deaf = true;
}

/* 80 bytes can say 64 KiB that have to be inflated and looked at: who does that all the time would
 * keep the other clients of this thread waiting. */
static void client_said(struct client *client, size_t size)
{
    client->said += (uint32_t)size;
    if (client->said <= LIMIT_CLIENT_SAID)
        return;
    metric_add(worker_context(client->worker)->too_much, 1);
    client_close(client, CLOSE_POLICY, "says too much");
    client->deaf = true;
}

/* Messages are ignored: the stream is the same for everybody. */
void client_read(struct client *client, char *data, size_t size)
{
    char *at = data;
    if ((client->form & FORM_DEFLATE) != 0) /* what inflates to nothing costs time as well */
        client_said(client, COMPRESSED_COST * size);
    while (!client->deaf) {
        struct ws_part part;
        struct ws_control control;
        switch (ws_parse(&client->parser, &at, data + size, &part, &control)) {
        case WS_NEED_MORE:
            return;
        case WS_DATA:
            client_said(client, part.size);
            break;
        case WS_CONTROL:
            client_control(client, &control);
            break;
        case WS_FAILED:
            client_failed(client);
            break;
        }
    }
}
