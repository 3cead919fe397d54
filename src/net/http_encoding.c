/* SPDX-License-Identifier: Apache-2.0 */
/* Which form of a body the asker wants; declared in http.h. Weights are in thousandths. */
#include "net/http_priv.h"

#define WEIGHT_MAX 1000
#define UNSAID (-1)

struct weights {
    int gzip;
    int identity;
    int others; /* "*" */
};

/* "0", "0.5", "1.000": at most three digits behind the point, and at most 1. */
static int weight_read(struct slice text)
{
    int weight = 0;
    if (text.size == 0 || text.size > 5 || (text.data[0] != '0' && text.data[0] != '1'))
        return 0;
    if (text.size > 1 && text.data[1] != '.')
        return 0;
    for (size_t i = 0; i < 5; i++) {
        if (i == 1)
            continue;
        char digit = i < text.size ? text.data[i] : '0';
        if (!http_is_digit(digit))
            return 0;
        weight = weight * 10 + (digit - '0');
    }
    return weight > WEIGHT_MAX ? 0 : weight;
}

static void item_read(struct slice item, struct weights *weights)
{
    struct slice parameter;
    struct slice coding = slice_trim(slice_split(item, ';', &parameter));
    int weight = WEIGHT_MAX;
    if (coding.size < item.size && parameter.size > 0) {
        struct slice value;
        struct slice name = slice_trim(slice_split(parameter, '=', &value));
        weight = http_name_is(name, "q") ? weight_read(slice_trim(value)) : 0;
    }
    if (http_name_is(coding, "gzip") || http_name_is(coding, "x-gzip"))
        weights->gzip = weight;
    else if (http_name_is(coding, "identity"))
        weights->identity = weight;
    else if (slice_is(coding, "*"))
        weights->others = weight;
}

enum http_encoding http_encoding_choose(const struct http_head *head, bool has_gzip)
{
    struct weights weights = {.gzip = UNSAID, .identity = UNSAID, .others = UNSAID};
    for (size_t i = 0; i < head->header_count; i++) {
        struct slice rest = head->header[i].value;
        if (!http_name_is(head->header[i].name, "Accept-Encoding"))
            continue;
        while (rest.size > 0)
            item_read(slice_trim(slice_split(rest, ',', &rest)), &weights);
    }
    if (weights.gzip == UNSAID)
        weights.gzip = weights.others == UNSAID ? 0 : weights.others;
    if (weights.identity == UNSAID && weights.others > 0)
        weights.identity = weights.others;
    bool identity = weights.identity == UNSAID ? weights.others != 0 : weights.identity > 0;
    /* Unsaid, it is welcome, but less than anything that was said. */
    if (has_gzip && weights.gzip > 0 && (!identity || weights.gzip >= weights.identity))
        return HTTP_ENCODING_GZIP;
    return identity ? HTTP_ENCODING_IDENTITY : HTTP_ENCODING_NONE;
}
