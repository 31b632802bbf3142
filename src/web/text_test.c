/* SPDX-License-Identifier: BSD-3-Clause */
/* The text format: heads, labels, numbers, histograms that add up. */
#include "web/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "ersa/error.h"

static struct stats_sheet a, b;

static char *render(unsigned n)
{
    static struct buf text;
    const struct stats_sheet *const sheets[] = {&a, &b};
    buf_fini(&text);
    buf_init(&text, 1 << 20);
    assert_int_equal(text_render(&text, sheets, n), 0);
    return buf_cstr(&text);
}

static int setup(void **state)
{
    stats_reset(&a);
    stats_reset(&b);
    return 0;
}

static void test_nothing(void **state)
{
    assert_string_equal(render(2), "");
}

/* One metric of two threads stands in one place, under one head. */
static void test_samples_of_one_metric_stand_together(void **state)
{
    stats_put_thread(&a, "a");
    a.samples[0].value = 0.25;
    stats_put(&a, STATS_PROCESS_FDS, 7);
    stats_put_label(&b, STATS_THREAD_CPU, "b", 3);
    stats_put_labels(&b, STATS_CONNECTIONS, "client", "mux", 2);
    const char *expected[] = {
        "# TYPE process_open_fds gauge\nprocess_open_fds 7\n# HELP "
        "ersa_thread_cpu_seconds_total ",
        "# TYPE ersa_thread_cpu_seconds_total counter\n"
        "ersa_thread_cpu_seconds_total{thread=\"a\"} 0.25\n"
        "ersa_thread_cpu_seconds_total{thread=\"b\"} 3\n",
        "\nersa_connections{side=\"client\",port=\"mux\"} 2\n",
    };
    const char *text = render(2);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_non_null(strstr(text, expected[i]));
}

static void test_labels_are_escaped(void **state)
{
    stats_put_label(&a, STATS_STORE, "a\"b\\c\nd", 1);
    assert_non_null(strstr(render(1), "{store=\"a\\\"b\\\\c\\nd\"} 1\n"));
}

static void test_numbers(void **state)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0, " 0\n"},
        {0.1, " 0.1\n"},
        {1795640411.8829002, " 1795640411.8829"},
        {9007199254740991.0, " 9007199254740991\n"},
        {INFINITY, " +Inf\n"},
        {-INFINITY, " -Inf\n"},
        {NAN, " NaN\n"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        stats_reset(&a);
        stats_put(&a, STATS_PROCESS_RSS, rows[i].value);
        assert_non_null(strstr(render(1), rows[i].text));
    }
}

static void test_histogram(void **state)
{
    struct stats_hist h = {.sum_ns = 0};
    for (int i = 0; i < 3; i++)
        stats_hist_add(&h, 2000000);
    stats_hist_add(&h, INT64_C(20000000000000));
    stats_put_hist(&a, STATS_TASK_TOTAL, &h);
    const char *text = render(1);
    const char *lines[] = {
        "# TYPE ersa_task_seconds histogram\nersa_task_seconds_bucket{le=\"0.0001\"} 0\n",
        "_bucket{le=\"0.001\"} 0\n",
        "_bucket{le=\"0.0025\"} 3\n",
        "_bucket{le=\"10000\"} 3\nersa_task_seconds_bucket{le=\"+Inf\"} 4\n",
        "_bucket{le=\"+Inf\"} 4\nersa_task_seconds_sum 20000.006\nersa_task_seconds_count 4\n",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_non_null(strstr(text, lines[i]));
}

static void test_no_room(void **state)
{
    struct buf small;
    const struct stats_sheet *sheet = &a;
    buf_init(&small, 100);
    stats_put(&a, STATS_PROCESS_FDS, 7);
    stats_put(&a, STATS_PROCESS_RSS, 7);
    assert_int_equal(text_render(&small, &sheet, 1), ERSA_EFULL);
    buf_fini(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing, setup),
        cmocka_unit_test_setup(test_samples_of_one_metric_stand_together, setup),
        cmocka_unit_test_setup(test_labels_are_escaped, setup),
        cmocka_unit_test_setup(test_numbers, setup),
        cmocka_unit_test_setup(test_histogram, setup),
        cmocka_unit_test_setup(test_no_room, setup),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    setup(NULL);
    return rc;
}
