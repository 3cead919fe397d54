/* SPDX-License-Identifier: Apache-2.0 */
/* Strict: what is not exactly the form is refused, so that no token lives longer than was meant. */
#include "access/timestamp.h"

#define US_PER_SECOND 1000000
#define DATE_TIME_SIZE 19 /* "2026-12-31T23:59:59" */
#define OFFSET_SIZE 6     /* "+09:00" */

static const int8_t month_days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Since 1970-01-01; the year is at least that. */
static int64_t days_before(int64_t year, int64_t month, int64_t day)
{
    int64_t past = year - 1;
    int64_t days = past * 365 + past / 4 - past / 100 + past / 400 - 719162;
    for (int64_t i = 0; i < month - 1; i++)
        days += month_days[i] + (i == 1 && is_leap(year));
    return days + day - 1;
}

/* The number of `count` digits at `at`; false when they are others, or it is over `max`. */
static bool digits(struct slice text, size_t at, size_t count, uint64_t max, int64_t *ret_number)
{
    uint64_t number;
    struct slice part = {.data = text.data + at, .size = count};
    if (at + count > text.size || !slice_to_uint64(part, max, &number))
        return false;
    *ret_number = (int64_t)number;
    return true;
}

static bool date_read(struct slice text, int64_t *ret_days)
{
    int64_t year, month, day;
    if (!digits(text, 0, 4, 9999, &year) || !digits(text, 5, 2, 12, &month) ||
        !digits(text, 8, 2, 31, &day) || text.data[4] != '-' || text.data[7] != '-')
        return false;
    if (year < 1970 || month < 1 || day < 1)
        return false;
    if (day > month_days[month - 1] + (month == 2 && is_leap(year)))
        return false;
    *ret_days = days_before(year, month, day);
    return true;
}

static bool time_read(struct slice text, int64_t *ret_seconds)
{
    int64_t hour, minute, second;
    if (!digits(text, 11, 2, 23, &hour) || !digits(text, 14, 2, 59, &minute) ||
        !digits(text, 17, 2, 59, &second) || text.data[13] != ':' || text.data[16] != ':')
        return false;
    *ret_seconds = hour * 3600 + minute * 60 + second;
    return text.data[10] == 'T' || text.data[10] == 't';
}

/* ".25", at least one digit; takes it off the text. */
static bool fraction_take(struct slice *text, int64_t *ret_us)
{
    int64_t us = 0;
    int64_t unit = US_PER_SECOND;
    size_t size = 1;
    while (size < text->size && text->data[size] >= '0' && text->data[size] <= '9') {
        unit /= 10;
        us += unit * (text->data[size] - '0');
        size++;
    }
    *ret_us = us;
    *text = (struct slice){.data = text->data + size, .size = text->size - size};
    return size > 1;
}

/* "Z" or "+09:00": seconds to take away. */
static bool offset_read(struct slice text, int64_t *ret_seconds)
{
    int64_t hours, minutes;
    *ret_seconds = 0;
    if (text.size == 1)
        return text.data[0] == 'Z' || text.data[0] == 'z';
    if (text.size != OFFSET_SIZE || (text.data[0] != '+' && text.data[0] != '-') ||
        text.data[3] != ':' || !digits(text, 1, 2, 23, &hours) || !digits(text, 4, 2, 59, &minutes))
        return false;
    *ret_seconds = (hours * 3600 + minutes * 60) * (text.data[0] == '-' ? -1 : 1);
    return true;
}

static bool rfc3339_read(struct slice text, int64_t *ret_us)
{
    int64_t days, seconds, offset;
    int64_t us = 0;
    if (text.size <= DATE_TIME_SIZE || !date_read(text, &days) || !time_read(text, &seconds))
        return false;
    struct slice rest = {.data = text.data + DATE_TIME_SIZE, .size = text.size - DATE_TIME_SIZE};
    if (rest.data[0] == '.' && !fraction_take(&rest, &us))
        return false;
    if (!offset_read(rest, &offset))
        return false;
    seconds += days * 86400 - offset;
    if (seconds < 0 || seconds > TIMESTAMP_SECONDS_MAX)
        return false;
    *ret_us = seconds * US_PER_SECOND + us;
    return true;
}

bool timestamp_read(struct slice text, int64_t *ret_us)
{
    uint64_t seconds;
    if (!slice_to_uint64(text, TIMESTAMP_SECONDS_MAX, &seconds))
        return rfc3339_read(text, ret_us);
    *ret_us = (int64_t)seconds * US_PER_SECOND;
    return true;
}
