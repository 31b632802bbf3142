/* SPDX-License-Identifier: BSD-3-Clause */
/* When a thread moves to another processor, and that it may use the same ones afterwards. */
#include "loop/hop.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct thread {
    struct hop hop;
    int64_t now_ns, preempted;
};

/* How often it moves in `looks` looks, preempted so many times between two of them. */
static unsigned moves_in(struct thread *t, unsigned looks, int64_t preempted)
{
    unsigned n = 0;
    for (unsigned i = 0; i < looks; i++) {
        t->now_ns += HOP_LOOK_NS;
        t->preempted += preempted;
        assert_true(hop_is_due(&t->hop, t->now_ns));
        n += hop_decide(&t->hop, t->now_ns, t->preempted);
    }
    return n;
}

static struct thread started(void)
{
    struct thread t = {.now_ns = INT64_C(1) << 40};
    moves_in(&t, 1, 0);
    return t;
}

static void test_who_is_left_alone_stays(void **state)
{
    struct thread t = started();
    assert_int_equal(moves_in(&t, 1000, 0), 0);
    assert_int_equal(moves_in(&t, 1000, HOP_PREEMPTED - 1), 0);
}

static void test_who_is_crowded_out_moves_at_once(void **state)
{
    struct thread t = started();
    assert_int_equal(moves_in(&t, 1, HOP_PREEMPTED), 1);
    assert_int_equal(moves_in(&t, 100, 0), 0);
    assert_int_equal(moves_in(&t, 1, 100), 1);
}

static void test_moves_that_do_not_help_become_rare(void **state)
{
    struct thread t = started();
    unsigned at_first = moves_in(&t, 100, 10), later = moves_in(&t, 10 * HOP_LOOKS_MAX, 10);
    assert_in_range(at_first, 4, 10);
    assert_in_range(later, 9, 11);
    moves_in(&t, 20, 0);
    assert_int_equal(moves_in(&t, 1, 10), 1);
}

/* What preempts a thread now and then adds up while it does not look. */
static void test_time_without_a_look_counts(void **state)
{
    struct thread t = started();
    t.now_ns += 1000 * HOP_LOOK_NS;
    t.preempted += 999 * HOP_PREEMPTED;
    assert_false(hop_decide(&t.hop, t.now_ns, t.preempted));
    assert_false(hop_is_due(&t.hop, t.now_ns + HOP_LOOK_NS - 1));
}

static void test_a_move_leaves_the_processors_that_it_may_use(void **state)
{
    cpu_set_t before, after;
    struct hop h = {.preempted = -1000 * HOP_PREEMPTED}; /* so that the look moves */
    assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
    int here = sched_getcpu();
    hop_look(&h, HOP_LOOK_NS);
    assert_int_equal(h.pause, 1);
    int there = sched_getcpu();
    assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
    assert_true(CPU_EQUAL(&before, &after));
    if (CPU_COUNT(&before) == 1)
        assert_int_equal(here, there);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_left_alone_stays),
        cmocka_unit_test(test_who_is_crowded_out_moves_at_once),
        cmocka_unit_test(test_moves_that_do_not_help_become_rare),
        cmocka_unit_test(test_time_without_a_look_counts),
        cmocka_unit_test(test_a_move_leaves_the_processors_that_it_may_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
