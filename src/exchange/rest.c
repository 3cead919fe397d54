/* SPDX-License-Identifier: Apache-2.0 */
/* A path is a few constants, one symbol of less than LIMIT_NATIVE_SYMBOL bytes and a number or two:
 * it always fits, and an assertion says so. Of a list as many are written as fit. */
#include "exchange/rest.h"

#include "exchange/decoding.h"

static_assert(LIMIT_REST_PATH > 3 * LIMIT_NATIVE_SYMBOL + 256, "a path always fits");

static size_t text_append(struct rest_request *request, size_t size, const char *text)
{
    size_t length = strlen(text);
    assert(size + length < sizeof(request->path));
    memcpy(request->path + size, text, length + 1);
    return size + length;
}

static bool is_plain(char byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' || byte == '.';
}

/* The text and a terminator; `%XX` where a query needs it. Returns the size without it. */
static size_t native_encode(const struct instrument *instrument,
                            char out[3 * LIMIT_NATIVE_SYMBOL + 1])
{
    static const char digits[] = "0123456789ABCDEF";
    size_t size = 0;

    for (const char *at = instrument->native; *at != '\0'; at++) {
        unsigned byte = (unsigned char)*at;
        if (is_plain(*at)) {
            out[size++] = *at;
            continue;
        }
        out[size++] = '%';
        out[size++] = digits[byte >> 4];
        out[size++] = digits[byte & 15];
    }
    out[size] = '\0';
    return size;
}

size_t rest_append(struct rest_request *request, size_t size, const char *text,
                   const struct instrument *instrument)
{
    char encoded[3 * LIMIT_NATIVE_SYMBOL + 1];
    (void)native_encode(instrument, encoded);
    size = text_append(request, size, text);
    return text_append(request, size, encoded);
}

void rest_set_list(struct rest_request *request, const struct rest_query *query,
                   const struct rest_list *list)
{
    const struct instrument *const *instruments = query->instruments;
    uint32_t wanted = query->instrument_count;
    uint32_t count = 0;
    if (wanted == 0) {
        assert(query->instrument != NULL);
        instruments = &query->instrument;
        wanted = 1;
    }
    size_t size = text_append(request, 0, list->head);
    size_t around = strlen(list->separator) + strlen(list->tail);
    for (; count < wanted && count < list->count_max; count++) {
        char encoded[3 * LIMIT_NATIVE_SYMBOL + 1];
        size_t encoded_size = native_encode(instruments[count], encoded);
        if (size + around + encoded_size >= sizeof(request->path))
            break;
        size = text_append(request, size, count > 0 ? list->separator : "");
        size = text_append(request, size, encoded);
    }
    text_append(request, size, list->tail);
    request->instrument_count = count;
}

size_t rest_append_number(struct rest_request *request, size_t size, const char *text,
                          uint64_t number)
{
    char reversed[20];
    unsigned count = 0;
    do {
        reversed[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    size = text_append(request, size, text);
    assert(size + count < sizeof(request->path));
    while (count > 0)
        request->path[size++] = reversed[--count];
    request->path[size] = '\0';
    return size;
}

void rest_set(struct rest_request *request, const char *path, uint32_t weight)
{
    text_append(request, 0, path);
    request->weight = weight;
}

/* ---- answers ---- */

/* The index of a name; REST_MEMBERS_MAX: it is none of them. */
static unsigned name_find(const char *const *names, struct slice key)
{
    for (unsigned i = 0; names[i] != NULL; i++) {
        assert(i < REST_MEMBERS_MAX);
        if (slice_is(key, names[i]))
            return i;
    }
    return REST_MEMBERS_MAX;
}

static struct slice value_take(struct scan *scan)
{
    char next = scan_peek(scan);
    if (next == '"')
        return scan_text(scan);
    const char *start = scan->at;
    scan_skip(scan);
    if (next != '-' && (next < '0' || next > '9'))
        return (struct slice){.data = NULL, .size = 0};
    return (struct slice){.data = start, .size = (size_t)(scan->at - start)};
}

bool rest_members_read(struct scan *scan, const char *const *names,
                       struct slice ret_values[REST_MEMBERS_MAX])
{
    struct slice key;
    bool first = true;
    bool repeated = false;
    uint32_t seen = 0;
    for (unsigned i = 0; i < REST_MEMBERS_MAX; i++)
        ret_values[i] = (struct slice){.data = NULL, .size = 0};
    scan_expect(scan, '{');
    while (scan_next_key(scan, &first, &key)) {
        unsigned index = name_find(names, key);
        if (index == REST_MEMBERS_MAX) {
            scan_skip(scan);
            continue;
        }
        repeated |= (seen >> index & 1) != 0;
        seen |= 1u << index;
        ret_values[index] = value_take(scan);
    }
    return !scan->failed && !repeated;
}

int64_t rest_id(struct slice digits)
{
    uint64_t id;
    return slice_to_uint64(digits, INT64_MAX, &id) ? (int64_t)id : 0;
}

int64_t rest_time_us(struct slice digits)
{
    int64_t time_us;
    return time_from_ms_or_us(rest_id(digits), &time_us) ? time_us : 0;
}
