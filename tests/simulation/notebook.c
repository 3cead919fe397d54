/* SPDX-License-Identifier: Apache-2.0 */
/* A tiny keeper: which trades a log has, and which one came last. */
#include "tests/simulation/world.h"

#include <stdio.h>

int64_t number_behind(struct slice text, const char *name)
{
    size_t size = strlen(name);
    const char *at = memmem(text.data, text.size, name, size);
    int64_t value = 0;
    if (at == NULL)
        return -1;
    for (at += size; *at >= '0' && *at <= '9'; at++)
        value = value * 10 + (*at - '0');
    return value;
}

/* `...,"seq":N,"exchange":"e0","symbol":"s0","id":N,...`: as market.c writes it. */
bool trade_read(const struct record *record, uint32_t *ret_pair, int32_t *ret_id)
{
    if (record->type.data[0] != 't' || record->key.size != 5)
        return false;
    *ret_pair = (uint32_t)(record->key.data[1] - '0') * 2 + (uint32_t)(record->key.data[4] - '0');
    const char *at = record->text.data + (sizeof "{\"type\":\"trade\",\"seq\":" - 1);
    while (*at != ',')
        at++;
    at += sizeof ",\"exchange\":\"e0\",\"symbol\":\"s0\",\"id\":" - 1;
    int32_t id = 0;
    for (; *at >= '0' && *at <= '9'; at++)
        id = id * 10 + (*at - '0');
    *ret_id = id;
    return *ret_pair < PAIRS && id > 0 && id < TRADES_MAX;
}

void notebook_add(struct notebook *notebook, uint32_t pair, int32_t id, int64_t seq)
{
    notebook->known[pair][id / 64] |= UINT64_C(1) << (id % 64);
    if (id > notebook->highest[pair])
        notebook->highest[pair] = id;
    if (seq > notebook->last_seq[pair]) {
        notebook->last_seq[pair] = seq;
        notebook->last[pair] = id;
    }
}

bool gap_read(const struct record *record, uint32_t *ret_pair, int32_t *ret_to)
{
    if (record->type.data[0] != 'g' || record->key.size != 5)
        return false;
    *ret_pair = (uint32_t)(record->key.data[1] - '0') * 2 + (uint32_t)(record->key.data[4] - '0');
    *ret_to = (int32_t)number_behind(record->text, "\"to\":");
    return *ret_pair<PAIRS && * ret_to> 0;
}

void notebook_record(struct notebook *notebook, const struct record *record)
{
    uint32_t pair;
    int32_t id;
    if (trade_read(record, &pair, &id))
        notebook_add(notebook, pair, id, record->seq);
    else if (gap_read(record, &pair, &id))
        notebook->highest[pair] = id > notebook->highest[pair] ? id : notebook->highest[pair];
}

void notebook_save(const struct notebook *notebook, uint32_t pair, int64_t seq, struct buffer *out)
{
    char text[160 + 17 * TRADES_MAX / 64];
    int size = snprintf(
        text, sizeof text,
        "{\"type\":\"state\",\"seq\":%lld,\"exchange\":\"e%u\",\"symbol\":\"s%u\",\"last\":%d,"
        "\"highest\":%d,\"last_seq\":%lld,\"known\":\"",
        (long long)seq, pair / 2, pair % 2, notebook->last[pair], notebook->highest[pair],
        (long long)notebook->last_seq[pair]);
    for (int32_t i = 0; i <= notebook->highest[pair] / 64; i++)
        size += snprintf(text + size, sizeof text - (size_t)size, "%llx,",
                         (unsigned long long)notebook->known[pair][i]);
    size += snprintf(text + size, sizeof text - (size_t)size, "\"}");
    buffer_append(out, text, (size_t)size);
}

static int hex_value(char digit)
{
    return digit <= '9' ? digit - '0' : digit - 'a' + 10;
}

bool notebook_load(struct notebook *notebook, struct slice state)
{
    static const char known[] = "\"known\":\"";
    const char *exchange = memmem(state.data, state.size, "\"exchange\":\"e", 13);
    const char *words = memmem(state.data, state.size, known, sizeof known - 1);
    if (exchange == NULL || words == NULL)
        return false;
    uint32_t pair = (uint32_t)(exchange[13] - '0') * 2 + (uint32_t)(exchange[27] - '0');
    if (pair >= PAIRS)
        return false;
    words += sizeof known - 1;
    for (size_t i = 0; *words != '"' && i < TRADES_MAX / 64; i++, words++) {
        uint64_t word = 0;
        for (; *words != ','; words++)
            word = word << 4 | (uint64_t)hex_value(*words);
        notebook->known[pair][i] |= word;
    }
    int64_t highest = number_behind(state, "\"highest\":");
    if (highest > notebook->highest[pair])
        notebook->highest[pair] = (int32_t)highest;
    int64_t last_seq = number_behind(state, "\"last_seq\":");
    if (last_seq > notebook->last_seq[pair]) {
        notebook->last_seq[pair] = last_seq;
        notebook->last[pair] = (int32_t)number_behind(state, "\"last\":");
    }
    return true;
}
