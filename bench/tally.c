/* SPDX-License-Identifier: Apache-2.0 */
/* Millions of messages a second on half a machine: no JSON is parsed. */
#include "bench/tally.h"

#include "market/digits.h"

#include <assert.h>

static bool field_init(struct tally_field *field, const char *name)
{
    size_t size = strlen(name);
    if (size == 0 || size > TALLY_FIELD_MAX || strpbrk(name, "\"\\") != NULL)
        return false;
    field->key[0] = '"';
    memcpy(field->key + 1, name, size);
    field->key[size + 1] = '"';
    field->key[size + 2] = '\0';
    field->size = size + 2;
    field->place = 0;
    return true;
}

bool tally_init(struct tally *tally, const char *sequence_field, const char *time_field)
{
    memset(tally, 0, sizeof *tally);
    return field_init(&tally->sequence, sequence_field) && field_init(&tally->time, time_field);
}

static const char *skip_blanks(const char *at)
{
    while (*at == ' ')
        at++;
    return at;
}

/* The number behind the key, or -1. At most 18 digits are read. */
static int64_t field_find(struct tally_field *field, struct slice message)
{
    const char *key = message.data + field->place;
    if (field->place + field->size > message.size || memcmp(key, field->key, field->size) != 0) {
        key = memmem(message.data, message.size, field->key, field->size);
        if (key == NULL)
            return -1;
        field->place = (size_t)(key - message.data);
    }
    const char *at = skip_blanks(key + field->size);
    if (*at != ':')
        return -1;
    at = skip_blanks(at + 1);
    uint64_t value = 0;
    unsigned count = digits_read(at, &value);
    for (at += count; count >= 16 && count < 18 && *at >= '0' && *at <= '9'; at++, count++)
        value = value * 10 + (uint64_t)(*at - '0');
    return count == 0 ? -1 : (int64_t)value;
}

static void note_sequence(struct tally *tally, int64_t *last, int64_t sequence)
{
    if (*last >= 0 && sequence <= *last) {
        tally->repeats++;
        return;
    }
    if (*last >= 0 && sequence > *last + 1) {
        tally->gaps++;
        tally->missing += (uint64_t)(sequence - *last - 1);
    }
    *last = sequence;
}

void tally_message(struct tally *tally, int64_t *last, struct slice message, int64_t now_us)
{
    int64_t sequence = field_find(&tally->sequence, message);
    int64_t sent_us = sequence < 0 ? -1 : field_find(&tally->time, message);
    if (sent_us < 0) {
        tally->others++;
        return;
    }
    tally->sequenced++;
    note_sequence(tally, last, sequence);
    if (!tally->counting)
        return;
    tally->delivered++;
    histogram_add(&tally->latency, now_us > sent_us ? (uint64_t)(now_us - sent_us) : 0);
}
