/* SPDX-License-Identifier: Apache-2.0 */
/* Digits first, then the spelling. */
#include "sim/write.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <zlib.h>

#define US_PER_SECOND 1000000
#define SECONDS_PER_DAY 86400
#define JAVA_PLAIN_MAX 7    /* digits before the point, without an exponent */
#define JAVA_PLAIN_MIN (-3) /* 10^-3 is still plain */

int64_t write_power(unsigned exponent)
{
    assert(exponent <= WRITE_SCALE_MAX);
    int64_t power = 1;
    for (unsigned i = 0; i < exponent; i++)
        power *= 10;
    return power;
}

static uint64_t magnitude(int64_t value)
{
    return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

void write_fixed(struct buffer *out, int64_t value, unsigned scale, unsigned decimals)
{
    uint64_t left = magnitude(value);
    unsigned digits = scale < decimals ? scale : decimals;
    uint64_t unit = (uint64_t)write_power(digits);
    left /= (uint64_t)write_power(scale - digits);
    buffer_append_format(out, "%s%" PRIu64, value < 0 ? "-" : "", left / unit);
    if (decimals == 0)
        return;
    buffer_append_text(out, ".");
    if (digits > 0)
        buffer_append_format(out, "%0*" PRIu64, (int)digits, left % unit);
    for (unsigned i = digits; i < decimals; i++)
        buffer_append_text(out, "0");
}

/* Drops the zeros behind the point. */
static int64_t shorten(int64_t value, unsigned *scale)
{
    while (*scale > 0 && value % 10 == 0) {
        value /= 10;
        (*scale)--;
    }
    return value;
}

void write_plain(struct buffer *out, int64_t value, unsigned scale)
{
    int64_t digits = shorten(value, &scale);
    write_fixed(out, digits, scale, scale);
}

void write_pointed(struct buffer *out, int64_t value, unsigned scale)
{
    int64_t digits = shorten(value, &scale);
    write_fixed(out, digits, scale, scale == 0 ? 1 : scale);
}

void write_java(struct buffer *out, int64_t value, unsigned scale)
{
    char digits[WRITE_NUMBER_MAX];
    int count = snprintf(digits, sizeof digits, "%" PRIu64, magnitude(value));
    int exponent = count - 1 - (int)scale; /* of the first digit */
    if (value == 0 || (exponent >= JAVA_PLAIN_MIN && exponent < JAVA_PLAIN_MAX)) {
        write_pointed(out, value, scale);
        return;
    }
    while (count > 1 && digits[count - 1] == '0')
        count--;
    buffer_append_format(out, "%s%c.", value < 0 ? "-" : "", digits[0]);
    if (count == 1)
        buffer_append_text(out, "0");
    buffer_append(out, digits + 1, (size_t)count - 1);
    buffer_append_format(out, "E%d", exponent);
}

void write_integer(struct buffer *out, int64_t value)
{
    buffer_append_format(out, "%" PRId64, value);
}

void write_unsigned(struct buffer *out, uint64_t value)
{
    buffer_append_format(out, "%" PRIu64, value);
}

void write_text(struct buffer *out, struct slice text)
{
    buffer_append_text(out, "\"");
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if (byte == '"' || byte == '\\')
            buffer_append_format(out, "\\%c", byte);
        else if (byte < ' ')
            buffer_append_format(out, "\\u%04x", byte);
        else
            buffer_append(out, &text.data[i], 1);
    }
    buffer_append_text(out, "\"");
}

int64_t write_ratio(int64_t value, int64_t numerator, int64_t denominator)
{
    assert(denominator > 0);
    uint64_t factor = magnitude(numerator), divisor = (uint64_t)denominator;
    uint64_t whole = magnitude(value) / divisor, rest = magnitude(value) % divisor;
    uint64_t result = 0, left = 0; /* of value * (the bits of factor so far) */
    for (int bit = 63; bit >= 0; bit--) {
        result = 2 * result + (2 * left >= divisor);
        left = 2 * left >= divisor ? 2 * left - divisor : 2 * left;
        if ((factor >> bit & 1) == 0)
            continue;
        result += whole + (left + rest >= divisor);
        left = left + rest >= divisor ? left + rest - divisor : left + rest;
    }
    return (value < 0) != (numerator < 0) ? -(int64_t)result : (int64_t)result;
}

/* The civil calendar of days since 1970, by eras of 400 years that begin in March. */
struct civil civil_from_us(int64_t us)
{
    int64_t seconds = us / US_PER_SECOND - (us % US_PER_SECOND < 0);
    int64_t days = seconds / SECONDS_PER_DAY - (seconds % SECONDS_PER_DAY < 0);
    int64_t second = seconds - days * SECONDS_PER_DAY;
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    return (struct civil){
        .year = (int)(year_of_era + era * 400 + (month >= 10)),
        .month = (int)(month < 10 ? month + 3 : month - 9),
        .day = (int)(day_of_year - (153 * month + 2) / 5 + 1),
        .hour = (int)(second / 3600),
        .minute = (int)(second / 60 % 60),
        .second = (int)(second % 60),
        .microsecond = (int)(us - seconds * US_PER_SECOND),
    };
}

void write_date(struct buffer *out, const struct civil *civil, const char *pattern)
{
    for (const char *at = pattern; *at != '\0'; at++) {
        switch (*at) {
        case 'Y':
            buffer_append_format(out, "%04d", civil->year);
            break;
        case 'M':
            buffer_append_format(out, "%02d", civil->month);
            break;
        case 'D':
            buffer_append_format(out, "%02d", civil->day);
            break;
        case 'h':
            buffer_append_format(out, "%02d", civil->hour);
            break;
        case 'm':
            buffer_append_format(out, "%02d", civil->minute);
            break;
        case 's':
            buffer_append_format(out, "%02d", civil->second);
            break;
        case 'u':
            buffer_append_format(out, "%06d", civil->microsecond);
            break;
        default:
            buffer_append(out, at, 1);
        }
    }
}

uint32_t write_crc32(uint32_t crc, struct slice bytes)
{
    if (bytes.size == 0)
        return crc;
    return (uint32_t)crc32(crc, (const unsigned char *)bytes.data, (unsigned)bytes.size);
}
