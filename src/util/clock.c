/* SPDX-License-Identifier: BSD-3-Clause */
/* Monotonic time and ISO dates. The calendar part of a date that was written or read is kept
 * per thread: within one second only six digits change. */
#include "util/clock.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "ersa/error.h"

/* 0000-01-01 to the end of 9999 */
#define FIRST_US (-62167219200000000)
#define LAST_US 253402300799999999

int64_t clock_mono_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t clock_utc_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static char *put_digits(char *p, unsigned n, int digits)
{
    for (int i = digits; i-- > 0; n /= 10)
        p[i] = (char)('0' + n % 10);
    return p + digits;
}

/* "YYYY-MM-DDTHH:MM:SS". Years begin with March, so that a leap day is their last, and are
 * counted in cycles of 400, which all have as many days, from the year -400 on. */
static size_t put_calendar(int64_t seconds, char *text)
{
    uint64_t since = (uint64_t)(seconds - FIRST_US / 1000000) + (146097 - 60) * (uint64_t)86400;
    unsigned rest = (unsigned)(since % 86400), days = (unsigned)(since / 86400);
    unsigned cycle = days / 146097, day = days % 146097;
    unsigned year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= 365 * year + year / 4 - year / 100;
    unsigned month = (5 * day + 2) / 153; /* 0: March */
    char *p = put_digits(text, 400 * cycle + year - 400 + (month >= 10), 4);
    *p++ = '-';
    p = put_digits(p, month < 10 ? month + 3 : month - 9, 2);
    *p++ = '-';
    p = put_digits(p, day - (153 * month + 2) / 5 + 1, 2);
    *p++ = 'T';
    p = put_digits(p, rest / 3600, 2);
    *p++ = ':';
    p = put_digits(p, rest / 60 % 60, 2);
    *p++ = ':';
    p = put_digits(p, rest % 60, 2);
    return (size_t)(p - text);
}

size_t clock_iso(int64_t utc_us, char out[CLOCK_ISO_MAX])
{
    static _Thread_local int64_t cached = -1;
    static _Thread_local char text[24];
    static _Thread_local size_t len;
    utc_us = utc_us < FIRST_US ? FIRST_US : utc_us > LAST_US ? LAST_US : utc_us;
    int64_t seconds = utc_us / 1000000, us = utc_us % 1000000;
    if (us < 0) {
        us += 1000000;
        seconds--;
    }
    if (len == 0 || cached != seconds) {
        cached = seconds;
        len = put_calendar(seconds, text);
    }
    memcpy(out, text, len);
    char *p = out + len;
    *p = '.';
    for (int i = 6; i > 0; i--) {
        p[i] = (char)('0' + us % 10);
        us /= 10;
    }
    p[7] = 'Z';
    p[8] = '\0';
    return len + 8;
}

/* Reads `n` digits at *s. */
static bool digits(const char **s, const char *end, int n, int *ret)
{
    int value = 0;
    if (end - *s < n)
        return false;
    for (int i = 0; i < n; i++) {
        char c = *(*s)++;
        if (c < '0' || c > '9')
            return false;
        value = 10 * value + (c - '0');
    }
    *ret = value;
    return true;
}

static bool expect(const char **s, const char *end, char c)
{
    if (*s == end || **s != c)
        return false;
    (*s)++;
    return true;
}

/* Days since 1970-01-01 of a proleptic Gregorian date. */
static int64_t days_from_civil(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && is_leap);
}

static bool parse_fraction(const char **s, const char *end, int *ret_us)
{
    int us = 0, n = 0;
    for (; *s < end && **s >= '0' && **s <= '9' && n < 6; n++)
        us = 10 * us + (*(*s)++ - '0');
    for (int i = n; i < 6; i++)
        us *= 10;
    *ret_us = us;
    return n > 0;
}

/* The zone as seconds east of UTC. */
static bool parse_zone(const char **s, const char *end, int *ret_seconds)
{
    if (expect(s, end, 'Z')) {
        *ret_seconds = 0;
        return true;
    }
    bool is_west = *s < end && **s == '-';
    int hours, minutes;
    if (!is_west && !(*s < end && **s == '+'))
        return false;
    (*s)++;
    if (!digits(s, end, 2, &hours))
        return false;
    expect(s, end, ':');
    if (!digits(s, end, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ret_seconds = (is_west ? -1 : 1) * (hours * 3600 + minutes * 60);
    return true;
}

#define CALENDAR_LEN 19

/* "YYYY-MM-DDTHH:MM:SS" */
static bool parse_calendar(const char **s, const char *end, struct tm *ret)
{
    *ret = (struct tm){.tm_isdst = -1};
    if (!digits(s, end, 4, &ret->tm_year) || !expect(s, end, '-') ||
        !digits(s, end, 2, &ret->tm_mon) || !expect(s, end, '-') ||
        !digits(s, end, 2, &ret->tm_mday) || !expect(s, end, 'T') ||
        !digits(s, end, 2, &ret->tm_hour) || !expect(s, end, ':') ||
        !digits(s, end, 2, &ret->tm_min) || !expect(s, end, ':') ||
        !digits(s, end, 2, &ret->tm_sec))
        return false;
    bool is_date = ret->tm_mon >= 1 && ret->tm_mon <= 12 && ret->tm_mday >= 1 &&
                   ret->tm_mday <= days_in_month(ret->tm_year, ret->tm_mon) &&
                   ret->tm_hour <= 23 && ret->tm_min <= 59 && ret->tm_sec <= 59;
    ret->tm_year -= 1900;
    ret->tm_mon--;
    return is_date;
}

/* The same as seconds since 1970, as if it were UTC. */
static bool parse_seconds(const char **s, const char *end, int64_t *ret)
{
    static _Thread_local char text[CALENDAR_LEN];
    static _Thread_local int64_t seconds;
    const char *start = *s;
    struct tm tm;
    if (end - start >= CALENDAR_LEN && memcmp(start, text, CALENDAR_LEN) == 0) {
        *s += CALENDAR_LEN;
    } else {
        if (!parse_calendar(s, end, &tm))
            return false;
        memcpy(text, start, CALENDAR_LEN);
        seconds = days_from_civil(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday) * 86400 +
                  tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec;
    }
    *ret = seconds;
    return true;
}

int clock_parse_iso(const char *s, size_t len, int64_t *ret)
{
    const char *start = s, *end = s + len;
    int us = 0, zone = 0;
    int64_t seconds;
    struct tm local;
    if (!parse_seconds(&s, end, &seconds) ||
        (expect(&s, end, '.') && !parse_fraction(&s, end, &us)))
        return ERSA_EPARSE;
    if (s == end && parse_calendar(&start, end, &local))
        seconds = mktime(&local);
    else if (!parse_zone(&s, end, &zone) || s != end)
        return ERSA_EPARSE;
    *ret = (seconds - zone) * 1000000 + us;
    return *ret < FIRST_US || *ret > LAST_US ? ERSA_EPARSE : 0;
}
