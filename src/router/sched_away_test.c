/* SPDX-License-Identifier: BSD-3-Clause */
/* Engines that are at something that nobody gave them here, so that they don't begin what they
 * are given: with any hwm, it goes to who is idle, and they are chosen last until they are
 * back.
 */
#include "router/sched_recall_rig.h"

static int setup_with(void **state, unsigned hwm)
{
    struct sched_config cfg = {
        .scheme = "leastload", .hwm = hwm, .grace_report_ms = 200, .grace_lost_ms = 5000};
    *state = rig_new(&cfg);
    return 0;
}

static int setup_auto(void **state)
{
    return setup_with(state, HWM_AUTO);
}

static int setup_1(void **state)
{
    return setup_with(state, 1);
}

static int setup_0(void **state)
{
    return setup_with(state, 0);
}

/* After so long a task that has not begun is asked for. */
static void wait_long(struct rig *r)
{
    rig_pass_ms(r, 11);
    rig_pass_ms(r, 11);
}

/* Two engines; the second one, whose turn it is, does not begin its task. */
static void give_away(struct rig *r)
{
    rig_add(r, 0);
    rig_add(r, 1);
    rig_give(r, 1, "a", "{}");
    rig_pass_ms(r, 19);
    rig_expect_nothing(r);
    rig_pass_ms(r, 1);
    rig_pass_ms(r, 1);
    expect_recall_of_away(r, 1, "\"a\"");
    give_back(r, 1, IDS("a"));
    rig_expect_sent(r, 0, "a");
    rig_begun(r, 0, "a");
}

static void test_what_is_not_begun_goes_to_an_idle_engine(void **state)
{
    struct rig *r = *state;
    give_away(r);
    rig_answer(r, 0, "a", RIG_OK);
    rig_expect_nothing(r);
    assert_int_equal(sched_counts(r->s)->retried, 0);
}

/* All of it, with hwm=0. */
static void test_all_that_is_not_begun(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    submit(r, IDS("a", "b", "c"));
    expect_sent(r, 0, IDS("a", "b", "c"));
    wait_long(r);
    rig_expect_nothing(r);
    rig_add(r, 1);
    expect_recall_of_away(r, 0, "\"a\", \"b\", \"c\"");
    give_back(r, 0, IDS("a", "b", "c"));
    expect_sent(r, 1, IDS("a"));
}

static void test_what_has_begun_stays(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    submit(r, IDS("a", "b"));
    rig_expect_sent(r, 0, "a");
    rig_begun(r, 0, "a");
    wait_long(r);
    r->read = r->n;
    rig_add(r, 1);
    r->read = r->n;
    rig_pass_ms(r, 100);
    rig_expect_nothing(r);
    assert_int_equal(sched_counts(r->s)->recalls, 0);
}

/* One that tells nothing holds what it has, as in the reference. */
static void test_stock_engine_keeps_all(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_add_stock(r, 1);
    rig_give(r, 1, "a", "{}");
    wait_long(r);
    rig_pass_ms(r, 1000);
    rig_expect_nothing(r);
}

/* It gets something only when others have no room; it is back when it begins that. */
static void test_away_engine_is_chosen_last(void **state)
{
    struct rig *r = *state;
    give_away(r);
    rig_answer(r, 0, "a", RIG_OK);
    rig_give(r, 0, "b", "{}");
    rig_begun(r, 0, "b");
    rig_give(r, 1, "c", "{}");
    rig_begun(r, 1, "c");
    assert_false(r->engines[1].e.is_away);
    rig_answer(r, 1, "c", RIG_OK);
    rig_answer(r, 0, "b", RIG_OK);
    rig_give(r, 0, "d", "{}");
    rig_give(r, 1, "e", "{}");
}

static void test_it_says_that_it_is_free(void **state)
{
    struct rig *r = *state;
    give_away(r);
    rig_answer(r, 0, "a", RIG_OK);
    sched_engine_back(&r->engines[1].e);
    rig_give(r, 1, "b", "{}");
}

/* Where all are away a task waits at one, and goes to whichever is back first. */
static void test_first_who_is_back(void **state)
{
    struct rig *r = *state;
    give_away(r);
    rig_answer(r, 0, "a", RIG_OK);
    rig_give(r, 0, "b", "{}");
    wait_long(r);
    rig_expect_nothing(r);
    sched_engine_back(&r->engines[1].e);
    expect_recall_of_away(r, 0, "\"b\"");
    give_back(r, 0, IDS("b"));
    rig_expect_sent(r, 1, "b");
}

/* It began, and its note was late. */
static void test_late_note(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_add(r, 1);
    rig_give(r, 1, "a", "{}");
    wait_long(r);
    expect_recall_of_away(r, 1, "\"a\"");
    rig_begun(r, 1, "a");
    give_nothing(r, 1);
    rig_pass_ms(r, 1000);
    rig_expect_nothing(r);
    rig_answer(r, 1, "a", RIG_OK);
    assert_false(r->engines[1].e.is_away);
}

/* It does not give back what it is told to abort. */
static void test_kept_for_an_abort(void **state)
{
    struct rig *r = *state;
    const struct slice id = SLICE_LIT("a");
    rig_add(r, 0);
    rig_add(r, 1);
    rig_give(r, 1, "a", "{}");
    wait_long(r);
    expect_recall_of_away(r, 1, "\"a\"");
    sched_abort(r->s, &id, 1);
    give_nothing(r, 1);
    rig_run(r, 0, "b", RIG_OK);
    rig_pass_ms(r, 1000);
    rig_expect_nothing(r);
}

static void test_end_while_away(void **state)
{
    struct rig *r = *state;
    give_away(r);
    rig_gone(r, 1, false, NULL);
    assert_int_equal(r->engines[1].done, 1);
    rig_answer(r, 0, "a", RIG_OK);
}

static void test_end_and_answer_while_away(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_give(r, 0, "a", "{}");
    wait_long(r);
    rig_gone(r, 0, false, NULL);
    rig_answer(r, 0, "a", RIG_OK);
    assert_int_equal(r->engines[0].done, 1);
}

/* What was given up */

/* Engine 0 is given up, and what it has begun. */
static void give_up(struct rig *r)
{
    rig_add(r, 0);
    rig_give(r, 0, "a", "{}");
    rig_begun(r, 0, "a");
    rig_gone(r, 0, false, NULL);
    rig_pass_ms(r, 5001);
    rig_expect_error(r, "a", "EngineError");
}

static void test_engine_is_back_with_what_was_given_up(void **state)
{
    struct rig *r = *state;
    give_up(r);
    rig_add(r, 1);
    rig_add(r, 0);
    expect_recall_of_away(r, 0, "");
    give_nothing(r, 0);
    rig_run(r, 1, "b", RIG_OK);
    rig_run(r, 1, "c", RIG_OK);
    rig_reply(r, 0, "a", RIG_OK); /* nobody waits for that, but now it is free */
    rig_run(r, 0, "d", RIG_OK);
}

static void test_its_answer_comes_first(void **state)
{
    struct rig *r = *state;
    give_up(r);
    rig_add(r, 1);
    rig_reply_of_nobody(r, 0, "a", RIG_OK);
    rig_add(r, 0);
    rig_run(r, 0, "b", RIG_OK);
}

static void test_nothing_had_begun(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_give(r, 0, "a", "{}");
    rig_gone(r, 0, false, NULL);
    rig_pass_ms(r, 5001);
    rig_expect_nothing(r);
    rig_add(r, 1);
    rig_expect_sent(r, 1, "a");
    rig_add(r, 0);
    rig_run(r, 0, "b", RIG_OK);
}

static void test_stock_engine_is_back(void **state)
{
    struct rig *r = *state;
    rig_add_stock(r, 0);
    rig_give(r, 0, "a", "{}");
    rig_gone(r, 0, false, NULL);
    rig_pass_ms(r, 5001);
    rig_expect_error(r, "a", "EngineError");
    rig_add(r, 1);
    rig_add_stock(r, 0);
    rig_run(r, 0, "b", RIG_OK);
}

#define T_WITH(f, setup) cmocka_unit_test_setup_teardown(f, setup, rig_teardown)
#define T(f) T_WITH(f, setup_auto), T_WITH(f, setup_1)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_what_is_not_begun_goes_to_an_idle_engine),
        T_WITH(test_what_is_not_begun_goes_to_an_idle_engine, setup_0),
        T_WITH(test_all_that_is_not_begun, setup_0),
        T(test_what_has_begun_stays),
        T_WITH(test_what_has_begun_stays, setup_0),
        T(test_stock_engine_keeps_all),
        T(test_away_engine_is_chosen_last),
        T(test_it_says_that_it_is_free),
        T(test_first_who_is_back),
        T(test_late_note),
        T_WITH(test_late_note, setup_0),
        T(test_kept_for_an_abort),
        T(test_end_while_away),
        T(test_end_and_answer_while_away),
        T(test_engine_is_back_with_what_was_given_up),
        T_WITH(test_engine_is_back_with_what_was_given_up, setup_0),
        T(test_its_answer_comes_first),
        T(test_nothing_had_begun),
        T(test_stock_engine_is_back),
    };
    return cmocka_run_group_tests_name("router/sched_away", tests, NULL, NULL);
}
