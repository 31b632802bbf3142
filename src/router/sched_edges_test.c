/* SPDX-License-Identifier: BSD-3-Clause */
/* Where schedulers of this protocol are known to stumble (schedulers.md, Sharp edges): tasks
 * started twice, replies lost, waiting tasks out of order. docs/edges.md lists them all. */
#include "router/sched_rig.h"

static struct rig *rig_with_hwm(unsigned hwm)
{
    struct sched_config cfg = {
        .scheme = "leastload", .hwm = hwm, .grace_report_ms = 200, .grace_lost_ms = 5000};
    return rig_new(&cfg);
}

static int setup(void **state)
{
    *state = rig_with_hwm(1);
    return 0;
}

static int setup_hwm0(void **state)
{
    *state = rig_with_hwm(0);
    return 0;
}

static int setup_pure(void **state)
{
    struct sched_config cfg = {.scheme = "pure", .grace_report_ms = 200};
    *state = rig_new(&cfg);
    return 0;
}

static const char not_here[] = "{\"targets\": [\"U0\"]}";

/* Each look at those that wait leaves them in their order, whatever holds them up. */
static void test_order_of_those_that_wait(void **state)
{
    static const char *const ids[] = {"a", "b", "c", "d", "e", "f"};
    static const char *const terms[] = {
        not_here, "{\"after\": [\"z\"]}",
        not_here, "{\"after\": [\"z\"]}",
        not_here, "{\"after\": [\"z\"], \"targets\": [\"U0\"]}"};
    static const char *const order[] = {"a", "c", "e"};
    struct rig *r = *state;
    rig_add(r, 0);
    rig_add(r, 1);
    rig_give(r, 0, "y", not_here);
    rig_give(r, 1, "z", "{\"targets\": [\"U1\"]}");
    for (int i = 0; i < 6; i++)
        rig_submit(r, ids[i], terms[i]);
    for (int i = 2; i < RIG_ENGINES; i++) { /* every new engine is a reason to look */
        rig_add(r, i);
        rig_gone(r, i, true, NULL);
    }
    rig_expect_nothing(r);
    rig_gone(r, 1, true, NULL); /* z goes back into the queue, has not begun ... */
    rig_pass_ms(r, 201);
    rig_expect_error(r, "z", "ImpossibleDependency"); /* ... and has nowhere to go */
    for (int i = 1; i < 6; i += 2)
        rig_expect_error(r, ids[i], "ImpossibleDependency");
    rig_answer(r, 0, "y", RIG_OK);
    for (int i = 0; i < 3; i++) {
        rig_expect_sent(r, 0, order[i]);
        rig_answer(r, 0, order[i], RIG_OK);
    }
    rig_expect_nothing(r);
}

/* What was started by the end of another task is not in the queue any more. */
static void test_started_once(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_give(r, 0, "a", "{}");
    rig_submit(r, "b", "{\"after\": [\"a\"]}");
    rig_submit(r, "c", "{\"follow\": [\"a\"]}");
    rig_answer(r, 0, "a", RIG_OK);
    rig_expect_sent(r, 0, "b");
    rig_expect_sent(r, 0, "c");
    rig_add(r, 1);
    rig_give(r, 1, "d", "{}");
    rig_expect_nothing(r);
    assert_int_equal(sched_counts(r->s)->waiting, 0);
}

/* Others wait for the same task as one that is refused; all of them hear. */
static void test_refused_beside_one_that_waits(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_add(r, 1);
    rig_give(r, 1, "a", "{}");
    rig_give(r, 0, "b", "{}");
    rig_submit(r, "waits", "{\"after\": [\"a\"]}");
    rig_submit(r, "invalid", "{\"after\": [\"a\", \"never\"]}");
    rig_expect_error(r, "invalid", "InvalidDependency");
    rig_submit(r, "nowhere", "{\"after\": [\"a\"], \"targets\": [\"nobody\"]}");
    rig_expect_error(r, "nowhere", "ImpossibleDependency");
    rig_answer(r, 0, "b", RIG_ERROR);
    rig_submit(r, "hopeless", "{\"after\": [\"a\"], \"follow\": [\"b\"]}");
    rig_expect_error(r, "hopeless", "ImpossibleDependency");
    rig_answer(r, 1, "a", RIG_OK);
    rig_expect_sent(r, 1, "waits");
    rig_expect_nothing(r);
}

/* What the scheduler itself failed ran nowhere: with `all` nothing can follow it, with any of
 * several it is no hindrance. */
static void test_follow_what_ran_nowhere(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_submit(r, "a", "{\"after\": \"never\"}");
    rig_expect_error(r, "a", "InvalidDependency");
    rig_submit(r, "all", "{\"follow\": {\"dependencies\": [\"a\"], \"failure\": true}}");
    rig_expect_error(r, "all", "ImpossibleDependency");
    rig_give(r, 0, "b", "{}");
    rig_submit(r, "any",
               "{\"follow\": {\"dependencies\": [\"a\", \"b\"], \"failure\": true, "
               "\"all\": false}}");
    rig_answer(r, 0, "b", RIG_OK);
    rig_expect_sent(r, 0, "any");
}

/* It waits for the engine where the other one ran, and that engine goes. */
static void test_follow_an_engine_that_goes(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_add(r, 1);
    rig_run(r, 1, "a", RIG_OK);
    rig_give(r, 1, "busy", "{\"targets\": [\"U1\"]}");
    rig_submit(r, "b", "{\"follow\": [\"a\"]}");
    rig_submit(r, "c", "{\"after\": [\"b\"]}");
    rig_expect_nothing(r);
    rig_gone(r, 1, true, NULL);
    rig_expect_error(r, "b", "ImpossibleDependency");
    rig_expect_error(r, "c", "ImpossibleDependency");
}

/* The same task twice, or again under its id: one place at one engine, which comes free. */
static void test_sent_again_takes_no_place(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_submit(r, "a", "{}");
    rig_run(r, 0, "a", RIG_OK);
    rig_submit(r, "a", "{\"retries\": 1}");
    assert_int_equal(r->engines[0].e.load, 0);
    rig_give(r, 0, "b", "{}");
    rig_expect_nothing(r);
}

/* An engine that does direct work is not idle, though it has no task. */
static void test_direct_work_counts(void **state)
{
    struct rig *r = *state;
    for (int i = 0; i < 3; i++)
        rig_add(r, i);
    sched_engine_taken(&r->engines[2].e, true);
    rig_give(r, 1, "a", "{}");
    rig_give(r, 0, "b", "{}");
    rig_submit(r, "c", "{}"); /* it has room all the same */
    rig_expect_sent(r, 2, "c");
    rig_answer(r, 2, "c", RIG_OK);
    rig_answer(r, 1, "a", RIG_OK);
    rig_give(r, 1, "d", "{}");
    sched_engine_taken(&r->engines[2].e, false);
    rig_give(r, 2, "e", "{}");
}

static const char retries[] = "{\"retries\": 3}";

static void abort_task(struct rig *r, const char *id)
{
    struct slice s = {id, strlen(id)};
    sched_abort(r->s, &s, 1);
}

static void expect_aborted(struct rig *r, const char *id)
{
    struct rig_note *n = rig_next(r);
    assert_non_null(n);
    assert_int_equal(n->kind, TO_CLIENT);
    assert_string_equal(n->id, id);
    assert_string_equal(n->content, "{\"status\": \"aborted\"}");
}

/* What an engine says of a task that nobody wants any more is its end, whatever retries are
 * left: others were told to abort it too, and then it would wait for new engines for ever. */
static void test_unwanted_is_not_tried_again(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_give(r, 0, "a", retries);
    abort_task(r, "a");
    rig_answer(r, 0, "a", "{\"status\": \"aborted\"}");
    rig_give(r, 0, "b", retries);
    abort_task(r, "b");
    rig_answer(r, 0, "b", RIG_ERROR);
    rig_give(r, 0, "c", retries);
    abort_task(r, "c");
    rig_reply(r, 0, "c", RIG_UNMET);
    expect_aborted(r, "c");
    rig_add(r, 1);
    rig_give(r, 1, "d", retries);
    rig_begun(r, 1, "d");
    abort_task(r, "d");
    rig_gone(r, 1, true, NULL);
    rig_pass_ms(r, 201);
    struct rig_note *n = rig_next(r);
    assert_non_null(n);
    assert_string_equal(n->id, "d");
    assert_non_null(strstr(n->content, "EngineError"));
    rig_expect_nothing(r);
    assert_int_equal(sched_counts(r->s)->waiting, 0);
}

/* The abort_request was faster than the task, so that only the engines know of it. */
static void test_aborted_everywhere(void **state)
{
    static const char aborted[] = "{\"status\": \"aborted\"}";
    struct rig *r = *state;
    rig_add(r, 0);
    rig_add(r, 1);
    rig_give(r, 1, "a", retries);
    rig_reply(r, 1, "a", aborted);
    rig_expect_sent(r, 0, "a");
    rig_reply(r, 0, "a", aborted);
    expect_aborted(r, "a");
    rig_give(r, 1, "b", "{\"retries\": 3, \"targets\": [\"U1\"]}");
    rig_reply(r, 1, "b", aborted);
    expect_aborted(r, "b");
    rig_give(r, 0, "c", retries); /* failed on one, aborted by the other */
    rig_reply(r, 0, "c", RIG_ERROR);
    rig_expect_sent(r, 1, "c");
    rig_reply(r, 1, "c", aborted);
    expect_aborted(r, "c");
    rig_give(r, 0, "d", retries); /* failed on both: it waits */
    rig_reply(r, 0, "d", RIG_ERROR);
    rig_expect_sent(r, 1, "d");
    rig_reply(r, 1, "d", RIG_ERROR);
    rig_expect_nothing(r);
    assert_int_equal(sched_counts(r->s)->waiting, 1);
    assert_int_equal(sched_counts(r->s)->aborted, 3);
}

/* With the scheme pure no reply has a uuid in front, nor has the one for a dead engine. */
static void test_pure_and_a_dead_engine(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_give(r, 0, "a", retries);
    rig_begun(r, 0, "a");
    rig_gone(r, 0, true, NULL);
    rig_pass_ms(r, 201);
    assert_string_equal(rig_expect_error(r, "a", "EngineError")->first, "");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        T(test_order_of_those_that_wait),
        cmocka_unit_test_setup_teardown(test_started_once, setup_hwm0, rig_teardown),
        T(test_refused_beside_one_that_waits),
        T(test_follow_what_ran_nowhere),
        T(test_follow_an_engine_that_goes),
        T(test_sent_again_takes_no_place),
        T(test_direct_work_counts),
        T(test_unwanted_is_not_tried_again),
        T(test_aborted_everywhere),
        cmocka_unit_test_setup_teardown(test_pure_and_a_dead_engine, setup_pure, rig_teardown),
    };
    return cmocka_run_group_tests_name("router/sched_edges", tests, NULL, NULL);
}
