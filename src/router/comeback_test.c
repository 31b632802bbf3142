/* SPDX-License-Identifier: BSD-3-Clause */
/* Engines that were given up and are there again: what of their tasks counts as begun. */
#include "router/comeback.h"

#include "router/sched_recall_rig.h"

static const struct sched_config several = {
    .scheme = "leastload", .hwm = 0, .grace_report_ms = 200, .grace_lost_ms = 5000};

#define U0 SLICE_LIT("U0")

/* Engine 0 has a, b and c, and is given up; it has told to have begun a. */
static int setup(void **state)
{
    struct rig *r = rig_new(&several);
    rig_add(r, 0);
    for (int i = 0; i < 3; i++) {
        const char *id = (const char *const[]){"a", "b", "c"}[i];
        rig_submit(r, id, i == 1 ? "{\"retries\": 1}" : "{}");
        rig_expect_sent(r, 0, id);
    }
    rig_begun(r, 0, "a");
    rig_gone(r, 0, false, NULL);
    rig_expect_nothing(r);
    *state = r;
    return 0;
}

static void test_what_it_began_is_not_begun_again(void **state)
{
    struct rig *r = *state;
    rig_add(r, 1);
    comeback_tells(r->s, U0, SLICE_LIT("b"));
    rig_expect_error(r, "a", "EngineError");
    rig_expect_sent(r, 1, "b"); /* by its retry */
    rig_expect_sent(r, 1, "c");
    assert_int_equal(r->engines[0].done, 1);
    assert_int_equal(sched_counts(r->s)->retried, 1);
    rig_pass_ms(r, 10000);
    rig_expect_nothing(r);
}

/* It is the only one: what it has not begun comes back to it, what it has begun does not. */
static void test_its_own_tasks_come_back(void **state)
{
    struct rig *r = *state;
    comeback_tells(r->s, U0, SLICE_LIT("b"));
    rig_expect_error(r, "a", "EngineError");
    rig_add(r, 0);
    expect_recall_of_away(r, 0, "");
    rig_expect_sent(r, 0, "c");
    rig_expect_nothing(r);
}

static void test_nothing_new_is_told(void **state)
{
    static const char *const told[] = {"", "a", "of another life"};
    struct rig *r = *state;
    rig_add(r, 1);
    for (int i = 0; i < 3; i++)
        comeback_tells(r->s, U0, (struct slice){told[i], strlen(told[i])});
    rig_expect_error(r, "a", "EngineError");
    rig_expect_sent(r, 1, "b");
    rig_expect_sent(r, 1, "c");
    assert_int_equal(sched_counts(r->s)->retried, 0);
}

static void test_who_is_there_or_unknown(void **state)
{
    struct rig *r = *state;
    rig_add(r, 1);
    rig_give(r, 1, "d", "{}");
    comeback_tells(r->s, SLICE_LIT("U1"), SLICE_LIT("d"));
    comeback_tells(r->s, SLICE_LIT("U9"), SLICE_LIT("d"));
    rig_expect_nothing(r);
    assert_int_equal(rig_reply(r, 1, "d", RIG_OK), 0);
    rig_expect_reply(r, 1, "d");
}

/* It was not given up, but a note may have been lost with a connection. */
static void test_who_is_there_tells(void **state)
{
    struct rig *r = *state;
    rig_add(r, 1);
    rig_submit(r, "d", "{}");
    rig_submit(r, "e", "{}");
    rig_expect_sent(r, 1, "d");
    rig_expect_sent(r, 1, "e");
    comeback_tells(r->s, SLICE_LIT("U1"), SLICE_LIT("d"));
    rig_expect_nothing(r);
    rig_add(r, 2);
    rig_gone(r, 1, true, NULL);
    rig_pass_ms(r, 201);
    rig_expect_error(r, "d", "EngineError");
    rig_expect_sent(r, 2, "e");
}

static void test_unsure_counts_as_begun(void **state)
{
    struct rig *r = *state;
    rig_add(r, 1);
    comeback_unsure(&r->engines[0].e);
    rig_pass_ms(r, 5001);
    rig_expect_error(r, "a", "EngineError");
    rig_expect_sent(r, 1, "b"); /* by its retry */
    rig_expect_error(r, "c", "EngineError");
    rig_expect_nothing(r);
}

/* Its heart beats again before the verdict: nothing has happened. */
static void test_adopted(void **state)
{
    struct rig *r = *state;
    struct sched_engine again;
    sched_engine_init(r->s, &again, U0, true, true);
    assert_int_equal(sched_engine_add(r->s, &again), 0);
    assert_int_equal(r->engines[0].done, 1);
    assert_int_equal(again.load, 3);
    rig_pass_ms(r, 10000);
    rig_expect_nothing(r);
    sched_engine_gone(r->s, &again, END_OVER, NULL, NULL);
    rig_add(r, 1);
    rig_pass_ms(r, 201);
    rig_expect_error(r, "a", "EngineError");
    rig_expect_sent(r, 1, "b");
    rig_expect_sent(r, 1, "c");
}

/* It beats again, but some of what was sent to it was thrown away. */
static void test_torn(void **state)
{
    struct rig *r = *state;
    struct sched_engine again;
    comeback_torn(&r->engines[0].e);
    sched_engine_init(r->s, &again, U0, true, true);
    assert_int_equal(sched_engine_add(r->s, &again), 0);
    rig_expect_error(r, "a", "EngineError");
    rig_expect_error(r, "c", "EngineError");
    expect_recall_of_away(r, -1, "");
    rig_expect_nothing(r); /* b is not for the same engine again */
    assert_int_equal(again.load, 0);
    rig_add(r, 1);
    rig_expect_sent(r, 1, "b");
    assert_int_equal(sched_counts(r->s)->retried, 1);
    sched_engine_gone(r->s, &again, END_OVER, NULL, NULL);
}

static void test_unsent(void **state)
{
    struct rig *r = *state;
    rig_add(r, 1);
    sched_unsent(r->s, &r->engines[0].e, SLICE_LIT("c"));
    sched_unsent(r->s, &r->engines[0].e, SLICE_LIT("c")); /* is at another one */
    sched_unsent(r->s, &r->engines[0].e, SLICE_LIT("?"));
    rig_expect_sent(r, 1, "c");
    rig_expect_nothing(r);
    sched_unsent(r->s, &r->engines[0].e, SLICE_LIT("a"));
    sched_unsent(r->s, &r->engines[0].e, SLICE_LIT("b"));
    rig_expect_sent(r, 1, "a");
    rig_expect_sent(r, 1, "b");
    assert_int_equal(sched_counts(r->s)->retried, 0);
    assert_int_equal(r->engines[0].done, 1);
}

/* Whose connections have ended may be back, and drops what it has had before. */
static void test_a_retry_goes_to_no_engine_that_may_be_back(void **state)
{
    static const enum sched_end ends[] = {END_OVER, END_CLOSED};
    struct rig *r = *state;
    for (int i = 1; i <= 2; i++) {
        char id[] = {(char)('p' + i), 0};
        rig_add(r, i);
        rig_submit(r, id, "{\"retries\": 1}");
        rig_expect_sent(r, i, id);
        rig_begun(r, i, id);
        sched_engine_gone(r->s, &r->engines[i].e, ends[i - 1], NULL, rig_done);
        rig_pass_ms(r, 201);
        rig_add(r, i); /* of the same name */
        if (ends[i - 1] == END_CLOSED)
            expect_recall_of_away(r, i, "");
        if (ends[i - 1] == END_OVER) {
            rig_expect_sent(r, i, id);
            assert_int_equal(rig_reply(r, i, id, RIG_OK), 0);
            rig_expect_reply(r, i, id);
        }
        rig_expect_nothing(r);
        rig_gone(r, i, true, NULL);
    }
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_what_it_began_is_not_begun_again),
        T(test_its_own_tasks_come_back),
        T(test_nothing_new_is_told),
        T(test_who_is_there_or_unknown),
        T(test_who_is_there_tells),
        T(test_unsure_counts_as_begun),
        T(test_adopted),
        T(test_torn),
        T(test_unsent),
        T(test_a_retry_goes_to_no_engine_that_may_be_back),
    };
    return cmocka_run_group_tests_name("router/comeback", tests, NULL, NULL);
}
