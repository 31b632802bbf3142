/* SPDX-License-Identifier: BSD-3-Clause */
/* Buckets, room, and the conventions that the list of metrics keeps. */
#include "stats/sheet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MS 1000000

static unsigned bucket_of(int64_t ns)
{
    struct stats_hist h = {{0}};
    stats_hist_add(&h, ns);
    for (unsigned i = 0; i <= STATS_N_BOUNDS; i++)
        if (h.counts[i])
            return i;
    return ~0u;
}

static void test_a_bound_belongs_to_its_bucket(void **state)
{
    for (unsigned i = 0; i < STATS_N_BOUNDS; i++) {
        assert_int_equal(bucket_of(stats_bounds_ns[i]), i);
        assert_int_equal(bucket_of(stats_bounds_ns[i] + 1), i + 1);
        assert_true(i == 0 || stats_bounds_ns[i] > stats_bounds_ns[i - 1]);
    }
    assert_int_equal(stats_bounds_ns[0], MS / 10);
    assert_int_equal(stats_bounds_ns[STATS_N_BOUNDS - 1], 10000 * (int64_t)1000 * MS);
}

static void test_extremes(void **state)
{
    assert_int_equal(bucket_of(0), 0);
    assert_int_equal(bucket_of(INT64_MIN), 0);
    assert_int_equal(bucket_of(INT64_MAX), STATS_N_BOUNDS);
    struct stats_hist h = {{0}};
    stats_hist_add(&h, -5);
    stats_hist_add(&h, 3 * MS);
    stats_hist_add(&h, 4 * MS);
    assert_int_equal(h.sum_ns, 7 * MS);
}

static void test_what_finds_no_room_is_counted(void **state)
{
    static struct stats_sheet s;
    struct stats_hist h = {{0}};
    stats_reset(&s);
    for (int i = 0; i < STATS_SAMPLES_MAX + 3; i++)
        stats_put(&s, STATS_BUILD, i);
    for (int i = 0; i < STATS_HISTS_MAX + 2; i++)
        stats_put_hist(&s, STATS_TASK_TOTAL, &h);
    assert_int_equal(s.n_samples, STATS_SAMPLES_MAX);
    assert_int_equal(s.n_hists, STATS_HISTS_MAX);
    assert_int_equal(s.n_lost, 5);
    stats_reset(&s);
    stats_put_label(&s, STATS_BUILD, "a label that is longer than there is room for", 1);
    assert_int_equal(strlen(s.samples[0].labels[0]), STATS_LABEL_MAX - 1);
}

static bool ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && strcmp(s + n - m, suffix) == 0;
}

static void test_names_keep_the_conventions(void **state)
{
    for (int i = 0; i < STATS_METRIC_MAX; i++) {
        const struct stats_metric_def *m = &stats_metrics[i];
        bool is_counter = m->type == STATS_COUNTER;
        assert_true(strncmp(m->name, "ersa_", 5) == 0 || strncmp(m->name, "process_", 8) == 0);
        assert_int_equal(ends_with(m->name, "_total"), is_counter);
        assert_int_equal(strspn(m->name, "abcdefghijklmnopqrstuvwxyz_"), strlen(m->name));
        if (m->type == STATS_HISTOGRAM)
            assert_true(ends_with(m->name, "_seconds"));
        assert_true(ends_with(m->help, "."));
        assert_null(strpbrk(m->help, "\\\n"));
        for (int k = 0; k < i; k++)
            assert_string_not_equal(m->name, stats_metrics[k].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bound_belongs_to_its_bucket),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_what_finds_no_room_is_counted),
        cmocka_unit_test(test_names_keep_the_conventions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
