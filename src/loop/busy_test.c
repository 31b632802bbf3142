/* SPDX-License-Identifier: BSD-3-Clause */
/* When a loop looks before it sleeps: streams of waits with what each takes asleep and awake.
 */
#include "loop/busy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define US 1000
#define WINDOW (50 * US)
#define NEVER (INT64_C(3600) * 1000 * 1000 * US)

struct spent {
    unsigned looks, slept;
    int64_t looking_ns; /* time of the processor that found nothing to do */
};

/* One wait of a loop, as wait_for_events() has it. */
static void wait_once(struct busy *b, int64_t asleep_ns, int64_t awake_ns, struct spent *s)
{
    if (b->looking) {
        const bool came = awake_ns < busy_longest_ns(b);
        const int64_t took = came ? awake_ns : busy_longest_ns(b);
        s->looks++;
        s->looking_ns += took;
        busy_looked(b, took, came);
        if (came)
            return;
        asleep_ns -= took;
    }
    s->slept++;
    busy_slept(b, asleep_ns);
}

static struct spent stream(struct busy *b, unsigned n, int64_t asleep_ns, int64_t awake_ns)
{
    struct spent s = {0};
    for (unsigned i = 0; i < n; i++)
        wait_once(b, asleep_ns, awake_ns, &s);
    return s;
}

static void test_quick_messages_are_looked_for(void **state)
{
    struct busy b = busy_make(WINDOW);
    struct spent s = stream(&b, 1000, 30 * US, 10 * US);
    assert_int_equal(s.slept, BUSY_RUN);
    assert_true(b.looking);
}

/* Where waking is slow each wait has two wake-ups in it; without them it is short. */
static void test_slow_wakeups_hide_quick_messages(void **state)
{
    struct busy b = busy_make(WINDOW);
    struct spent s = stream(&b, 1000, 150 * US, 25 * US);
    assert_int_equal(s.slept, BUSY_RUN);
    assert_true(b.looking);
}

/* Messages that come every 150 us, whoever sleeps: a few looks show it, and it tries ever less.
 */
static void test_slow_messages_are_slept_for(void **state)
{
    struct busy b = busy_make(WINDOW);
    stream(&b, 10 * BUSY_RUN_MAX, 150 * US, 150 * US);
    assert_int_equal(b.run, BUSY_RUN_MAX);
    struct spent s = stream(&b, 10000, 150 * US, 150 * US);
    assert_in_range(s.looks, 1, 10000 / BUSY_RUN_MAX * 4 + 4);
    assert_true(s.looking_ns < INT64_C(10000) * 150 * US / 100);
}

static void test_idle_loop_sleeps(void **state)
{
    struct busy b = busy_make(WINDOW);
    struct spent s = stream(&b, 1000, NEVER, NEVER);
    assert_int_equal(s.looks, 0);
}

/* Bursts with pauses between them: a pause costs one look, and doesn't count as a bad trial. */
static void test_pause_ends_it(void **state)
{
    struct busy b = busy_make(WINDOW);
    for (int i = 0; i < 100; i++) {
        struct spent burst = stream(&b, 100, 30 * US, 10 * US),
                     pause = stream(&b, 10, NEVER, NEVER);
        assert_int_equal(burst.slept, BUSY_RUN);
        assert_int_equal(pause.looks, 1);
        assert_false(b.looking);
    }
}

/* A trial that was too dear is forgotten when a later one is worth its price. */
static void test_run_is_short_again(void **state)
{
    struct busy b = busy_make(WINDOW);
    stream(&b, 10 * BUSY_RUN_MAX, 150 * US, 150 * US);
    stream(&b, 2 * BUSY_RUN_MAX, 30 * US, 10 * US);
    assert_true(b.looking);
    stream(&b, 1, NEVER, NEVER);
    assert_int_equal(b.run, BUSY_RUN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quick_messages_are_looked_for),
        cmocka_unit_test(test_slow_wakeups_hide_quick_messages),
        cmocka_unit_test(test_slow_messages_are_slept_for),
        cmocka_unit_test(test_idle_loop_sleeps),
        cmocka_unit_test(test_pause_ends_it),
        cmocka_unit_test(test_run_is_short_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
