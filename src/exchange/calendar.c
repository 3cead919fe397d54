/* SPDX-License-Identifier: Apache-2.0 */
/* Days are counted with the Gregorian rule for leap years, whole years first, then months. */
#include "exchange/calendar.h"

#define SECONDS_A_DAY 86400
#define MICROSECONDS INT64_C(1000000)

struct calendar {
    uint32_t year, month, day, hour, minute, second;
};

static bool is_leap(uint32_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Leap days in the years 1 to year - 1. */
static uint32_t leap_days_before(uint32_t year)
{
    uint32_t last = year - 1;
    return last / 4 - last / 100 + last / 400;
}

static bool calendar_seconds(const struct calendar *at, int64_t *ret_seconds)
{
    static const uint32_t month_days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (at->year < 1970 || at->year > 9999 || at->month < 1 || at->month > 12)
        return false;
    uint32_t length = month_days[at->month - 1] + (at->month == 2 && is_leap(at->year));
    if (at->day < 1 || at->day > length || at->hour > 23 || at->minute > 59 || at->second > 59)
        return false;
    uint32_t days = (at->year - 1970) * 365 + leap_days_before(at->year) - leap_days_before(1970);
    for (uint32_t month = 1; month < at->month; month++)
        days += month_days[month - 1] + (month == 2 && is_leap(at->year));
    days += at->day - 1;
    *ret_seconds = (int64_t)days * SECONDS_A_DAY + at->hour * 3600 + at->minute * 60 + at->second;
    return true;
}

/* Exactly `count` digits at the front, which are taken. */
static bool digits_take(struct slice *text, size_t count, uint32_t *ret_value)
{
    if (text->size < count)
        return false;
    uint32_t value = 0;
    for (size_t i = 0; i < count; i++) {
        if (text->data[i] < '0' || text->data[i] > '9')
            return false;
        value = value * 10 + (uint32_t)(text->data[i] - '0');
    }
    *text = (struct slice){.data = text->data + count, .size = text->size - count};
    *ret_value = value;
    return true;
}

static bool byte_take(struct slice *text, char byte)
{
    if (text->size == 0 || text->data[0] != byte)
        return false;
    *text = (struct slice){.data = text->data + 1, .size = text->size - 1};
    return true;
}

/* Nothing, or '.' and 1 to 6 digits up to the end. */
static bool fraction_read(struct slice text, uint32_t *ret_us)
{
    static const uint32_t scale[7] = {0, 100000, 10000, 1000, 100, 10, 1};

    *ret_us = 0;
    if (text.size == 0)
        return true;
    uint32_t value;
    size_t count = text.size - 1;
    if (count < 1 || count > 6 || !byte_take(&text, '.') || !digits_take(&text, count, &value))
        return false;
    *ret_us = value * scale[count];
    return true;
}

bool calendar_read(struct slice text, char separator, int64_t *ret_us)
{
    struct calendar at;
    int64_t seconds;
    uint32_t fraction;
    if (!digits_take(&text, 4, &at.year) || !byte_take(&text, '-') ||
        !digits_take(&text, 2, &at.month) || !byte_take(&text, '-') ||
        !digits_take(&text, 2, &at.day) || !byte_take(&text, separator))
        return false;
    if (!digits_take(&text, 2, &at.hour) || !byte_take(&text, ':') ||
        !digits_take(&text, 2, &at.minute) || !byte_take(&text, ':') ||
        !digits_take(&text, 2, &at.second))
        return false;
    if (!fraction_read(text, &fraction) || !calendar_seconds(&at, &seconds))
        return false;
    *ret_us = seconds * MICROSECONDS + fraction;
    return true;
}

bool calendar_read_compact(struct slice date, struct slice time, int64_t *ret_us)
{
    struct calendar at;
    int64_t seconds;
    if (date.size != 8 || !digits_take(&date, 4, &at.year) || !digits_take(&date, 2, &at.month) ||
        !digits_take(&date, 2, &at.day))
        return false;
    if (time.size != 6 || !digits_take(&time, 2, &at.hour) || !digits_take(&time, 2, &at.minute) ||
        !digits_take(&time, 2, &at.second))
        return false;
    if (!calendar_seconds(&at, &seconds))
        return false;
    *ret_us = seconds * MICROSECONDS;
    return true;
}
