/* SPDX-License-Identifier: Apache-2.0 */
/* Retry-After (RFC 9110, section 10.2.3) and the dates in it (section 5.6.7); declared in http.h.
 */
#include "net/http_priv.h"

#include <stdio.h>
#include <time.h>

#define WAIT_MAX_S 999999999 /* 31 years: longer ones, however many digits, mean the same */

static bool month_read(const char *text, int *ret_month)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int i = 0; i < 12; i++)
        if (strncmp(text, names + (size_t)i * 3, 3) == 0) {
            *ret_month = i;
            return true;
        }
    return false;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994". */
static bool date_read(struct slice value, int64_t now_s, int64_t *ret_s)
{
    char text[64];
    char month[4] = "";
    struct tm date = {.tm_sec = 0};
    int year = -1;
    int end = 0;
    if (!slice_copy(value, text, sizeof(text)))
        return false;
    const char *comma = strchr(text, ',');
    const char *from = comma == NULL ? text : comma + 1;
    bool two_digits = false;
    if (comma == NULL)
        (void)sscanf(from, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", month, &date.tm_mday,
                     &date.tm_hour, &date.tm_min, &date.tm_sec, &year, &end);
    else if (strchr(from, '-') == NULL)
        (void)sscanf(from, " %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", &date.tm_mday, month, &year,
                     &date.tm_hour, &date.tm_min, &date.tm_sec, &end);
    else
        two_digits = sscanf(from, " %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n", &date.tm_mday, month,
                            &year, &date.tm_hour, &date.tm_min, &date.tm_sec, &end) == 6;
    if (end == 0 || from[end] != '\0' || year < 0 || !month_read(month, &date.tm_mon))
        return false;
    date.tm_year = year - (two_digits ? 0 : 1900);
    int64_t when = (int64_t)timegm(&date);
    /* Two digits are of the century that brings it within 50 years from now. */
    if (two_digits && when < now_s - 50 * INT64_C(31556952)) {
        date.tm_year += 100;
        when = (int64_t)timegm(&date);
    }
    *ret_s = when;
    return date.tm_year >= 70;
}

static bool is_digits(struct slice value)
{
    for (size_t i = 0; i < value.size; i++)
        if (!http_is_digit(value.data[i]))
            return false;
    return value.size > 0;
}

int64_t http_retry_after_s(const struct http_head *head, int64_t now_us)
{
    struct slice value = http_header_find(head, "Retry-After");
    uint64_t wait_s = WAIT_MAX_S;
    int64_t now_s = now_us / 1000000;
    int64_t when_s = 0;
    if (is_digits(value))
        return slice_to_uint64(value, WAIT_MAX_S, &wait_s) ? (int64_t)wait_s : WAIT_MAX_S;
    if (value.size == 0 || !date_read(value, now_s, &when_s))
        return -1;
    if (when_s <= now_s)
        return 0;
    return when_s - now_s < WAIT_MAX_S ? when_s - now_s : WAIT_MAX_S;
}
