/* SPDX-License-Identifier: BSD-3-Clause */
/* Engines that were given up when their hearts were lost, and what is kept for them. */
#include "router/sched_rig.h"

static int setup(void **state)
{
    struct sched_config cfg = {
        .scheme = "leastload", .hwm = 1, .grace_report_ms = 200, .grace_lost_ms = 5000};
    *state = rig_new(&cfg);
    return 0;
}

/* Given up, with what it had to do. */
static void fall_asleep(struct rig *r, int i)
{
    rig_gone(r, i, false, NULL);
    rig_pass_ms(r, 5001);
}

/* As it wakes up its answer is there sooner than its heart. */
static void test_result_before_the_heart(void **state)
{
    struct rig *r = *state;
    rig_add_stock(r, 0);
    rig_add_stock(r, 1);
    rig_give(r, 1, "a", "{\"retries\": 1}");
    fall_asleep(r, 1);
    rig_expect_sent(r, 0, "a");
    assert_int_equal(rig_reply_of_nobody(r, 2, "a", RIG_OK), ERSA_ENOENT);
    assert_int_equal(rig_reply_of_nobody(r, 1, "a", RIG_ERROR), 0);
    rig_expect_nothing(r);
    assert_int_equal(rig_reply_of_nobody(r, 1, "a", RIG_OK), 0);
    const struct rig_note *n = rig_next(r);
    assert_non_null(n);
    assert_int_equal(n->kind, TO_CLIENT);
    assert_int_equal(n->engine, -1); /* nobody who could be held back */
    assert_string_equal(n->id, "a");
    assert_string_equal(n->first, "U1");
    rig_submit(r, "b", "{\"follow\": [\"a\"]}");
    rig_expect_error(r, "b", "ImpossibleDependency"); /* it is not there */
    rig_reply(r, 0, "a", RIG_OK);
    rig_expect_nothing(r);
    assert_int_equal(sched_counts(r->s)->done, 1);
}

/* Nobody else is there who could do it: it waits, until its answer comes. */
static void test_result_while_the_task_waits(void **state)
{
    struct rig *r = *state;
    rig_add_stock(r, 0);
    rig_give(r, 0, "a", "{\"retries\": 1}");
    rig_submit(r, "b", "{\"after\": [\"a\"]}");
    fall_asleep(r, 0);
    rig_expect_nothing(r);
    assert_int_equal(rig_reply_of_nobody(r, 0, "a", RIG_OK), 0);
    assert_string_equal(rig_next(r)->id, "a");
    rig_add_stock(r, 0);
    rig_expect_sent(r, 0, "b");
}

/* Its client was told that it is lost. */
static void test_result_after_the_verdict(void **state)
{
    struct rig *r = *state;
    rig_add_stock(r, 0);
    rig_give(r, 0, "a", "{}");
    fall_asleep(r, 0);
    rig_expect_error(r, "a", "EngineError");
    assert_int_equal(rig_reply_of_nobody(r, 0, "a", RIG_OK), 0);
    rig_expect_nothing(r);
}

/* Who said that it goes has nothing more to say. */
static void test_result_of_one_that_left(void **state)
{
    struct rig *r = *state;
    rig_add_stock(r, 0);
    rig_add_stock(r, 1);
    rig_give(r, 1, "a", "{\"retries\": 1}");
    rig_gone(r, 1, true, NULL);
    rig_pass_ms(r, 201);
    rig_expect_sent(r, 0, "a");
    assert_int_equal(rig_reply_of_nobody(r, 1, "a", RIG_OK), ERSA_ENOENT);
    rig_expect_nothing(r);
}

static const char either[] = "{\"targets\": [\"U0\", \"U1\"]}";
static const char either_after_z[] = "{\"targets\": [\"U0\", \"U1\"], \"after\": [\"z\"]}";

static void occupy(struct rig *r, int i, const char *id)
{
    char metadata[32];
    snprintf(metadata, sizeof(metadata), "{\"targets\": [\"U%d\"]}", i);
    rig_give(r, i, id, metadata);
}

/* In their order, and in front of who comes later. */
static void test_seats_are_kept(void **state)
{
    struct rig *r = *state;
    for (int i = 0; i < 2; i++) {
        rig_add_stock(r, i);
        occupy(r, i, (const char *const[]){"x", "y"}[i]);
    }
    rig_submit(r, "a", either);
    rig_submit(r, "b", either);
    fall_asleep(r, 0);
    rig_expect_error(r, "x", "EngineError");
    rig_add_stock(r, 0);
    rig_expect_sent(r, 0, "a");
    rig_submit(r, "c", either);
    rig_answer(r, 0, "a", RIG_OK);
    rig_expect_sent(r, 0, "b");
    rig_answer(r, 0, "b", RIG_OK);
    rig_expect_sent(r, 0, "c");
}

/* They are kept for those as well who can't start yet: the end of the last of their engines is
 * noticed at once, also where the other one had slept. */
static void test_seats_of_those_who_depend(void **state)
{
    struct rig *r = *state;
    for (int i = 0; i < 3; i++)
        rig_add_stock(r, i);
    occupy(r, 2, "z");
    rig_submit(r, "a", either_after_z);
    fall_asleep(r, 0);
    rig_add_stock(r, 0);
    rig_gone(r, 1, true, NULL);
    rig_expect_nothing(r);
    rig_gone(r, 0, true, NULL);
    rig_expect_error(r, "a", "ImpossibleDependency");
}

/* It becomes ready meanwhile, and has its place in the line then. */
static void test_ready_while_it_sleeps(void **state)
{
    struct rig *r = *state;
    for (int i = 0; i < 3; i++)
        rig_add_stock(r, i);
    occupy(r, 1, "y");
    occupy(r, 2, "z");
    rig_submit(r, "a", either_after_z);
    fall_asleep(r, 0);
    rig_answer(r, 2, "z", RIG_OK);
    rig_expect_nothing(r);
    rig_add_stock(r, 0);
    rig_expect_sent(r, 0, "a");
    rig_answer(r, 1, "y", RIG_OK);
    rig_expect_nothing(r);
}

/* Tasks go, or end, while an engine sleeps for which a seat of theirs is kept. */
static void test_tasks_that_go_meanwhile(void **state)
{
    struct rig *r = *state;
    for (int i = 0; i < 2; i++) {
        rig_add_stock(r, i);
        occupy(r, i, (const char *const[]){"x", "y"}[i]);
    }
    rig_submit(r, "a", either);
    rig_submit(r, "b", either);
    fall_asleep(r, 0);
    rig_expect_error(r, "x", "EngineError");
    sched_abort(r->s, &(struct slice){"a", 1}, 1);
    assert_string_equal(rig_next(r)->id, "a");
    rig_answer(r, 1, "y", RIG_OK);
    rig_expect_sent(r, 1, "b");
    rig_add_stock(r, 0);
    rig_expect_nothing(r);
    rig_answer(r, 1, "b", RIG_OK);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_result_before_the_heart),  T(test_result_while_the_task_waits),
        T(test_result_after_the_verdict), T(test_result_of_one_that_left),
        T(test_seats_are_kept),           T(test_seats_of_those_who_depend),
        T(test_ready_while_it_sleeps),    T(test_tasks_that_go_meanwhile),
    };
    return cmocka_run_group_tests_name("router/former", tests, NULL, NULL);
}
