/* SPDX-License-Identifier: BSD-3-Clause */
/* Dates: written, read, refused. */
#include "util/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "ersa/error.h"

static void expect_iso(int64_t us, const char *text)
{
    char out[CLOCK_ISO_MAX];
    assert_int_equal(clock_iso(us, out), strlen(text));
    assert_string_equal(out, text);
}

static void test_iso(void **state)
{
    expect_iso(0, "1970-01-01T00:00:00.000000Z");
    expect_iso(1795350102123456, "2026-11-22T12:21:42.123456Z");
    expect_iso(1795350102000001, "2026-11-22T12:21:42.000001Z");
    expect_iso(-1, "1969-12-31T23:59:59.999999Z");
    expect_iso(951782400000000, "2000-02-29T00:00:00.000000Z");
    expect_iso(-62167219200000000, "0000-01-01T00:00:00.000000Z");
    expect_iso(253402300799999999, "9999-12-31T23:59:59.999999Z");
}

/* Each day of the calendar is what the C library says. */
static void test_calendar(void **state)
{
    for (int64_t day = -719528; day < 2932897; day++) {
        char out[CLOCK_ISO_MAX];
        time_t t = (time_t)day * 86400 + 86399;
        struct tm tm, got = {.tm_sec = 0};
        gmtime_r(&t, &tm);
        clock_iso((int64_t)t * 1000000, out);
        int n = sscanf(out, "%4d-%2d-%2dT23:59:59.", &got.tm_year, &got.tm_mon, &got.tm_mday);
        if (n != 3 || got.tm_year != tm.tm_year + 1900 || got.tm_mon != tm.tm_mon + 1 ||
            got.tm_mday != tm.tm_mday)
            fail_msg("day %lld is not %s", (long long)day, out);
    }
}

static void test_parse(void **state)
{
    static const struct {
        const char *text;
        int64_t us;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-11-22T12:21:42.123456Z", 1795350102123456},
        {"2026-11-22T12:21:42.5Z", 1795350102500000},
        {"2026-11-22T14:21:42+02:00", 1795350102000000},
        {"2026-11-22T14:21:42+0200", 1795350102000000},
        {"2026-11-22T07:51:42.000001-04:30", 1795350102000001},
        {"2026-11-22T07:51:42-04:30", 1795350102000000}, /* of the same second as before */
        {"2026-11-22T07:51:42.9+00:00", 1795333902900000},
        {"2000-02-29T00:00:00Z", 951782400000000},
        {"2024-02-29T00:00:00Z", 1709164800000000},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t us = -5;
        assert_int_equal(clock_parse_iso(good[i].text, strlen(good[i].text), &us), 0);
        assert_true(us == good[i].us);
    }
    static const char *const bad[] = {"",
                                      "2026",
                                      "2026-11-22 13:01:42Z",
                                      "2026-13-22T12:21:42Z",
                                      "2026-02-29T12:21:42Z",
                                      "1900-02-29T12:21:42Z",
                                      "2026-04-31T12:21:42Z",
                                      "2026-11-22T25:01:42Z",
                                      "2026-11-22T12:21:42.Z",
                                      "2026-11-22T12:21:4",
                                      "2026-11-22T12:21:42x",
                                      "2026-11-22T12:21:42.1234567Z",
                                      "2026-11-22T12:21:42Zx",
                                      "2026-11-22T12:21:42+2:00",
                                      "x026-11-22T12:21:42Z"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t us;
        assert_int_equal(clock_parse_iso(bad[i], strlen(bad[i]), &us), ERSA_EPARSE);
    }
}

static void test_local_time(void **state)
{
    int64_t us;
    setenv("TZ", "UTC-3", 1);
    assert_int_equal(clock_parse_iso("1970-01-01T03:00:00", 19, &us), 0);
    assert_true(us == 0);
}

/* Four digits, always: dates are compared as texts in a database. What has no such form is not
 * read, and written as the nearest that has. */
static void test_years(void **state)
{
    static const char *const outside[] = {"0000-01-01T00:00:00+00:01",
                                          "9999-12-31T23:59:59-00:01"};
    int64_t us, first, last;
    assert_int_equal(clock_parse_iso("0506-01-02T03:04:05Z", 20, &us), 0);
    expect_iso(us, "0506-01-02T03:04:05.000000Z");
    assert_int_equal(clock_parse_iso("0000-01-01T00:00:00Z", 20, &first), 0);
    expect_iso(first, "0000-01-01T00:00:00.000000Z");
    assert_int_equal(clock_parse_iso("9999-12-31T23:59:59.999999Z", 27, &last), 0);
    expect_iso(last, "9999-12-31T23:59:59.999999Z");
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(clock_parse_iso(outside[i], strlen(outside[i]), &us), ERSA_EPARSE);
    expect_iso(first - 1, "0000-01-01T00:00:00.000000Z");
    expect_iso(last + 1, "9999-12-31T23:59:59.999999Z");
    expect_iso(INT64_MIN, "0000-01-01T00:00:00.000000Z");
    expect_iso(INT64_MAX, "9999-12-31T23:59:59.999999Z");
}

static void test_clocks_go_on(void **state)
{
    int64_t a = clock_mono_ns();
    assert_true(clock_mono_ns() >= a);
    assert_true(clock_utc_us() > 1700000000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_iso),   cmocka_unit_test(test_calendar),
        cmocka_unit_test(test_parse), cmocka_unit_test(test_local_time),
        cmocka_unit_test(test_years), cmocka_unit_test(test_clocks_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
