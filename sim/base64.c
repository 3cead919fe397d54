/* SPDX-License-Identifier: Apache-2.0 */
/* Three bytes are four characters of six bits. */
#include "sim/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_append(struct buffer *out, struct slice bytes)
{
    char *at = buffer_reserve(out, BASE64_SIZE(bytes.size));
    if (at == NULL)
        return;
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t count = bytes.size - i < 3 ? bytes.size - i : 3;
        uint32_t bits = 0;
        for (size_t j = 0; j < 3; j++)
            bits = bits << 8 | (j < count ? (uint8_t)bytes.data[i + j] : 0);
        for (size_t j = 0; j < 4; j++)
            *at++ = j <= count ? alphabet[bits >> (18 - 6 * j) & 63] : '=';
    }
    out->size += BASE64_SIZE(bytes.size);
}

static int value_of(char character)
{
    const char *found = character == '\0' ? NULL : strchr(alphabet, character);
    return found == NULL ? -1 : (int)(found - alphabet);
}

static size_t padding_of(struct slice text)
{
    size_t padding = 0;
    while (padding < 2 && padding < text.size && text.data[text.size - 1 - padding] == '=')
        padding++;
    return padding;
}

bool base64_read(struct slice text, struct buffer *out)
{
    size_t padding = padding_of(text);
    uint32_t bits = 0;
    unsigned held = 0; /* bits */
    char *at = text.size % 4 == 0 ? buffer_reserve(out, text.size / 4 * 3) : NULL;
    if (at == NULL)
        return false;
    for (size_t i = 0; i < text.size - padding; i++) {
        int value = value_of(text.data[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            *at++ = (char)(bits >> held & 0xff);
        }
    }
    out->size += text.size / 4 * 3 - padding;
    return (bits & ((1u << held) - 1)) == 0;
}
