/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our WebSocket client as the one that is tested by Autobahn's fuzzing server: asks how many cases
 * there are, opens one connection for each and echoes on it until the server has seen enough, asks
 * for the report. What came of a case stands in the report, not here.
 *
 *     ws_echo_client URL AGENT      prints the number of cases; fails when the server goes away
 */
#include "net/ws_client.h"

#include "base/limits.h"

#include <inttypes.h>
#include <stdio.h>

#define MESSAGE_MAX ((size_t)17 * MEBIBYTE) /* the largest case sends 16 MiB */
#define QUEUE_MAX (4 * MESSAGE_MAX)
#define CASES_MAX 10000

enum step { STEP_COUNT, STEP_CASES, STEP_REPORT, STEP_DONE };

struct run {
    const char *url;
    const char *agent;
    struct loop *loop;
    struct ws_client *client; /* owned; NULL between two connections */
    enum step step;
    bool opened; /* the present connection */
    bool failed;
    uint64_t case_number; /* from 1 */
    uint64_t case_count;
};

static void connect_next(struct run *run);

static void fail(struct run *run, const char *reason)
{
    fprintf(stderr, "ws_echo_client: %s\n", reason);
    run->failed = true;
    loop_stop(run->loop);
}

static void on_open(void *context)
{
    struct run *run = context;
    run->opened = true;
}

static void on_message(void *context, enum ws_opcode opcode, char *data, size_t size)
{
    struct run *run = context;
    struct slice message = {.data = data, .size = size};
    switch (run->step) {
    case STEP_COUNT:
        if (!slice_to_uint64(message, CASES_MAX, &run->case_count))
            run->case_count = 0;
        break;
    case STEP_CASES:
        (void)ws_client_send(run->client, opcode, message); /* false: on_closed tells */
        break;
    case STEP_REPORT:
    case STEP_DONE:
        break;
    }
}

/* The step that follows a connection that has ended. */
static void step_on(struct run *run)
{
    switch (run->step) {
    case STEP_COUNT:
    case STEP_CASES:
        run->step = run->case_number < run->case_count ? STEP_CASES : STEP_REPORT;
        run->case_number++;
        break;
    case STEP_REPORT:
    case STEP_DONE:
        run->step = STEP_DONE;
        break;
    }
}

static void on_closed(void *context, uint16_t close_code, const char *reason)
{
    struct run *run = context;
    (void)close_code;
    if (!run->opened)
        fail(run, reason);
    else if (run->step == STEP_COUNT && run->case_count == 0)
        fail(run, "no number of cases was given");
    ws_client_destroy(run->client); /* after the last use of reason */
    run->client = NULL;
    if (run->failed)
        return;
    step_on(run);
    connect_next(run);
}

static const struct ws_client_callbacks callbacks = {
    .on_open = on_open,
    .on_message = on_message,
    .on_closed = on_closed,
};

static void url_write(const struct run *run, char *out, size_t out_size)
{
    switch (run->step) {
    case STEP_COUNT:
        snprintf(out, out_size, "%s/getCaseCount", run->url);
        break;
    case STEP_CASES:
        snprintf(out, out_size, "%s/runCase?case=%" PRIu64 "&agent=%s", run->url, run->case_number,
                 run->agent);
        break;
    case STEP_REPORT:
    case STEP_DONE:
        snprintf(out, out_size, "%s/updateReports?agent=%s", run->url, run->agent);
        break;
    }
}

static void connect_next(struct run *run)
{
    char url[LIMIT_URL];
    struct err err;
    if (run->step == STEP_DONE) {
        loop_stop(run->loop);
        return;
    }
    url_write(run, url, sizeof(url));
    struct ws_client_options options = {.url = url,
                                        .message_max = MESSAGE_MAX,
                                        .queue_max = QUEUE_MAX,
                                        .connect_ms = LIMIT_CONNECT_MS,
                                        .deflate = true};
    run->opened = false;
    if (ws_client_open(run->loop, &options, &callbacks, run, &run->client, &err) != 0)
        fail(run, err.text);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: ws_echo_client URL AGENT\n", stderr);
        return 2;
    }
    struct run run = {.url = argv[1], .agent = argv[2], .loop = loop_create()};
    connect_next(&run);
    if (!run.failed)
        loop_run(run.loop);
    ws_client_destroy(run.client);
    loop_destroy(run.loop);
    if (run.failed)
        return 1;
    printf("%" PRIu64 "\n", run.case_count);
    return fflush(stdout) == 0 ? 0 : 1;
}
