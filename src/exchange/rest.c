/* SPDX-License-Identifier: Apache-2.0 */
/* A path is a few constants, one symbol of less than LIMIT_NATIVE_SYMBOL bytes and a number or two:
 * it always fits, and an assertion says so. */
#include "exchange/rest.h"

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

size_t rest_append(struct rest_request *request, size_t size, const char *text,
                   const struct instrument *instrument)
{
    static const char digits[] = "0123456789ABCDEF";

    size = text_append(request, size, text);
    for (const char *at = instrument->native; *at != '\0'; at++) {
        unsigned byte = (unsigned char)*at;
        char encoded[4] = {*at, '\0'};
        if (!is_plain(*at))
            memcpy(encoded, (char[4]){'%', digits[byte >> 4], digits[byte & 15], '\0'}, 4);
        size = text_append(request, size, encoded);
    }
    return size;
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
