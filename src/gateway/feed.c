/* SPDX-License-Identifier: Apache-2.0 */
/* What feeds this node's log, as clients are told it, and which endpoints are there by it. */
#include "gateway/gateway_priv.h"

#include "base/memory.h"
#include "market/encode.h"

#include <assert.h>

const char *const source_names[SOURCE_COUNT] = {
    [SOURCE_DIRECT] = "direct",
    [SOURCE_PEER] = "peer",
    [SOURCE_REDIS] = "redis",
    [SOURCE_KAFKA] = "kafka",
};

const char *const endpoint_names[ENDPOINT_COUNT] = {
    [ENDPOINT_EXCHANGE] = "exchange",
    [ENDPOINT_KAFKA] = "kafka",
    [ENDPOINT_REDIS] = "redis",
};

static enum source source_read(const char *name)
{
    for (enum source source = SOURCE_DIRECT; source < SOURCE_COUNT; source++)
        if (name != NULL && strcmp(name, source_names[source]) == 0)
            return source;
    assert(name == NULL); /* a word of our own */
    return SOURCE_DIRECT;
}

void feed_read(struct feed *feed, const struct gateway_feed *given)
{
    struct slice reason = slice_of(given->reason == NULL ? "" : given->reason);
    if (reason.size > LIMIT_REASON)
        reason.size = LIMIT_REASON;
    bool fits = slice_copy(slice_of(given->mode == NULL ? "websocket" : given->mode), feed->mode,
                           sizeof feed->mode) &&
                slice_copy(reason, feed->reason, sizeof feed->reason);
    assert(fits);
    (void)fits;
    feed->source = source_read(given->source);
    feed->enabled[ENDPOINT_EXCHANGE] = true;
    feed->enabled[ENDPOINT_KAFKA] = given->kafka;
    feed->enabled[ENDPOINT_REDIS] = given->redis;
}

bool feed_serves(const struct feed *feed, enum endpoint endpoint)
{
    switch (endpoint) {
    case ENDPOINT_EXCHANGE:
        return true;
    case ENDPOINT_KAFKA:
        return feed->enabled[endpoint] && feed->source == SOURCE_KAFKA;
    case ENDPOINT_REDIS:
        return feed->enabled[endpoint] && feed->source == SOURCE_REDIS;
    case ENDPOINT_COUNT:
        break;
    }
    assert(false);
    return false;
}

struct notice *notice_create(const struct feed *feed)
{
    char reason[6 * LIMIT_REASON + 3];
    const char *given = feed->reason[0] == '\0' ? "the feed changed" : feed->reason;
    *json_write_text(reason, slice_of(given)) = '\0';
    struct buffer text;
    buffer_init(&text, 2 * KIBIBYTE);
    buffer_append_format(&text, "{\"type\":\"source\",\"source\":\"%s\",\"reason\":%s}",
                         source_names[feed->source], reason);
    assert(!text.overflowed);
    struct notice *notice = memory_alloc(sizeof *notice + text.size);
    notice->source = (uint8_t)feed->source;
    for (enum endpoint each = ENDPOINT_EXCHANGE; each < ENDPOINT_COUNT; each++)
        notice->serves[each] = feed_serves(feed, each);
    notice->size = text.size;
    memcpy(notice->message, text.data, text.size);
    buffer_release(&text);
    return notice;
}
