/* SPDX-License-Identifier: BSD-3-Clause */
/* Engines that were given up and are there again: what of their tasks counts as begun. */
#include "router/comeback.h"

#include "router/sched_rig.h"

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
    sched_engine_gone(r->s, &again, true, NULL, NULL);
    rig_add(r, 1);
    rig_pass_ms(r, 201);
    rig_expect_error(r, "a", "EngineError");
    rig_expect_sent(r, 1, "b");
    rig_expect_sent(r, 1, "c");
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
    };
    return cmocka_run_group_tests_name("router/comeback", tests, NULL, NULL);
}
