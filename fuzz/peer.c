/* SPDX-License-Identifier: Apache-2.0 */
/* What a hostile node may answer at /api/v1/cluster and send on its stream; all readers get all of
 * it. Names that come out are of the characters that names have, and numbers within their range. */
#include "base/memory.h"
#include "peer/peer_answer.h"
#include "peer/peer_message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void must_be_name(const char *text)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+";
    must(strspn(text, allowed) == strlen(text));
}

static void read_answer(struct slice text)
{
    struct peer_answer answer;
    struct err err = {0};
    if (peer_answer_read(text, &answer, &err) != 0) {
        must(err.text[0] != '\0');
        return;
    }
    must(answer.node[0] != '\0' && answer.epoch >= 0 && answer.epoch <= LIMIT_NUMBER);
    must(answer.clients >= -1 && answer.lag_ms >= -1 && answer.since_us >= 0);
    must_be_name(answer.node);
    must_be_name(answer.role);
    must_be_name(answer.stream);
    must_be_name(answer.version);
    must(strchr(answer.url, '"') == NULL && strchr(answer.url, '\\') == NULL);
}

static void read_greeting(struct slice text)
{
    struct peer_greeting greeting;
    struct err err = {0};
    if (peer_greeting_read(text, &greeting, &err) != 0)
        return;
    must(greeting.next >= 1 && greeting.next <= LIMIT_NUMBER && greeting.epoch >= 0);
    must(greeting.node[0] != '\0' && greeting.stream[0] != '\0');
    must_be_name(greeting.node);
    must_be_name(greeting.stream);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = memory_alloc(size + 1); /* ends where the text ends, but for one byte */
    if (size > 0)
        memcpy(copy, data, size);
    struct slice text = {.data = copy, .size = size};
    struct peer_message message = peer_message_read(text);
    must(message.seq >= 0 && message.seq < INT64_MAX);
    must((message.seq > 0) ==
         (message.kind == PEER_MESSAGE_RECORD || message.kind == PEER_MESSAGE_EPOCH));
    must(peer_epoch_read(text) != 0);
    read_answer(text);
    read_greeting(text);
    memory_free(copy);
    return 0;
}
