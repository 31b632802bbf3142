/* SPDX-License-Identifier: BSD-3-Clause */
/* The window against a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "router/window.h"

#define US ((int64_t)1000)
#define MS (1000 * US)

static int64_t now = 77 * MS;

/* `n` tasks one after the other, each taking that long. */
static void run(struct window *w, unsigned n, int64_t each_ns)
{
    for (unsigned i = 0; i < n; i++) {
        now += each_ns;
        window_answer(w, now, WINDOW_NOT_SAID);
    }
}

static struct window fresh(void)
{
    struct window w;
    window_init(&w);
    window_start(&w, now);
    return w;
}

static void test_begins_with_one(void **state)
{
    struct window w = fresh();
    assert_int_equal(w.size, 1);
    assert_int_equal(window_work_ns(&w, 3), 3 * WINDOW_NS);
}

static void test_holds_ten_ms_of_work(void **state)
{
    static const struct {
        int64_t each_ns;
        unsigned least, most;
    } rows[] = {{1 * MS, 9, 10},     {2 * MS, 4, 5},  {500 * US, 19, 20}, {9 * MS, 1, 1},
                {100 * US, 98, 100}, {10 * MS, 1, 1}, {1000 * MS, 1, 1},  {40 * US, 240, 250},
                {0, 256, 256},       {10, 256, 256}};
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct window w = fresh();
        run(&w, 2000, rows[i].each_ns);
        assert_in_range(w.size, rows[i].least, rows[i].most);
    }
}

/* One more a reply: a round trip doubles it, no faster. */
static void test_grows_by_one(void **state)
{
    struct window w = fresh();
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(w.size, i + 1);
        run(&w, 1, 50 * US);
    }
}

static void test_long_gap_shrinks_at_once(void **state)
{
    struct window w = fresh();
    run(&w, 500, 50 * US);
    assert_true(w.size > 100);
    run(&w, 1, WINDOW_NS);
    assert_int_equal(w.size, 1);
    assert_int_equal(window_work_ns(&w, 1), WINDOW_NS);
    run(&w, 3, 50 * US); /* and what came before is forgotten */
    assert_int_equal(w.size, 4);
}

static void test_follows_slower_tasks(void **state)
{
    struct window w = fresh();
    run(&w, 500, 50 * US);
    run(&w, 20, 2 * MS);
    assert_in_range(w.size, 4, 6);
}

/* Sixteen replies at a time, as a socket hands them over, are no reason to swing. */
static void test_bursts(void **state)
{
    struct window w = fresh();
    for (int i = 0; i < 100; i++) {
        run(&w, 1, 16 * 200 * US);
        run(&w, 15, 0);
        if (i > 20)
            assert_in_range(w.size, 25, 60);
    }
}

/* Time without work is nobody's. */
static void test_idle_time_does_not_count(void **state)
{
    struct window w = fresh();
    for (int i = 0; i < 200; i++) {
        run(&w, 1, 100 * US);
        now += 3600 * 1000 * MS;
        window_start(&w, now);
    }
    assert_in_range(w.size, 98, 100);
}

static void test_running_and_work(void **state)
{
    struct window w = fresh();
    run(&w, 100, 1 * MS);
    assert_in_range(window_work_ns(&w, 5), 5 * MS, 5 * MS + 10 * US);
    now += 7 * MS;
    assert_int_equal(window_running_ns(&w, now), 7 * MS);
}

/* An idle engine's first reply has the way in it, which is the controller's; what is answered
 * in the same turn has nothing. The engine knows. */
static void test_engine_says_what_a_trip_hides(void **state)
{
    struct window w = fresh();
    for (int i = 0; i < 50; i++) {
        now += 80 * MS;
        window_start(&w, now);
        now += 30 * MS;
        assert_true(window_is_vague(&w, now));
        window_answer(&w, now, 500 * US);
        for (int k = 0; k < 3; k++) {
            assert_false(window_is_vague(&w, now));
            window_answer(&w, now, WINDOW_NOT_SAID);
        }
    }
    assert_in_range(w.size, 19, 20);
    now += 2 * MS; /* it had more to do, and did that meanwhile */
    assert_false(window_is_vague(&w, now));
    for (int i = 0; i < 50; i++, now += 2 * MS)
        window_answer(&w, now, 500 * US);
    assert_in_range(w.size, 4, 6);
    now += WINDOW_NS; /* stopped for a while? */
    assert_true(window_is_vague(&w, now));
    window_answer(&w, now, 500 * US);
    assert_in_range(w.size, 4, 6);
    window_answer(&w, now + 2 * WINDOW_NS, 2 * WINDOW_NS);
    assert_int_equal(w.size, 1);
}

/* A clock that stands or steps back must not make anything negative. */
static void test_clock_steps_back(void **state)
{
    struct window w = fresh();
    run(&w, 10, 100 * US);
    window_answer(&w, now - 5 * MS, WINDOW_NOT_SAID);
    assert_in_range(w.size, 1, WINDOW_MAX);
    assert_true(w.busy_ns >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_begins_with_one),
        cmocka_unit_test(test_holds_ten_ms_of_work),
        cmocka_unit_test(test_grows_by_one),
        cmocka_unit_test(test_long_gap_shrinks_at_once),
        cmocka_unit_test(test_follows_slower_tasks),
        cmocka_unit_test(test_bursts),
        cmocka_unit_test(test_idle_time_does_not_count),
        cmocka_unit_test(test_running_and_work),
        cmocka_unit_test(test_engine_says_what_a_trip_hides),
        cmocka_unit_test(test_clock_steps_back),
    };
    return cmocka_run_group_tests_name("router/window", tests, NULL, NULL);
}
