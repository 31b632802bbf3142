/* SPDX-License-Identifier: BSD-3-Clause */
/* hwm=auto: windows, late engines, tasks called back, and what happens when an engine dies or
 * answers late meanwhile. Engines here begin a task when the test says so. */
#include "router/sched_recall_rig.h"
#include "router/task.h"

static const struct sched_config automatic = {
    .scheme = "leastload", .hwm = HWM_AUTO, .grace_report_ms = 200, .grace_lost_ms = 5000};

static int setup(void **state)
{
    *state = rig_new(&automatic);
    return 0;
}

static void test_begins_with_one_task(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    submit(r, IDS("a", "b", "c"));
    rig_expect_sent(r, 0, "a");
    rig_expect_nothing(r);
    assert_int_equal(sched_counts(r->s)->waiting, 2);
}

static void test_window_grows_with_short_tasks(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    train(r, 0, "t", 30, 1);
    char id[16];
    for (int i = 0; i < 20; i++) {
        snprintf(id, sizeof(id), "n_%d", i);
        rig_submit(r, id, "{}");
    }
    assert_in_range(r->engines[0].e.load, 9, 10);
    assert_int_equal(sched_counts(r->s)->waiting, 20 - r->engines[0].e.load);
}

/* One of an earlier run is in service before it registers again. What it was given until then
 * counts as begun, and then it holds what others of its kind do. */
static void test_announced_in_service(void **state)
{
    struct rig *r = *state;
    char id[16];
    rig_add_stock(r, 0);
    rig_give(r, 0, "a", "{}");
    sched_engine_tells(r->s, &r->engines[0].e, true, true);
    rig_submit(r, "b", "{}");
    rig_expect_nothing(r);
    rig_pass_ms(r, 1);
    rig_answer(r, 0, "a", RIG_OK);
    rig_expect_sent(r, 0, "b");
    rig_answer(r, 0, "b", RIG_OK);
    train(r, 0, "t", 30, 1);
    for (int i = 0; i < 20; i++) {
        snprintf(id, sizeof(id), "n_%d", i);
        rig_submit(r, id, "{}");
    }
    assert_in_range(r->engines[0].e.load, 9, 10);
}

static void test_what_it_had_before_counts_as_begun(void **state)
{
    struct rig *r = *state;
    rig_add_stock(r, 0);
    rig_give(r, 0, "a", "{}");
    sched_engine_tells(r->s, &r->engines[0].e, true, true);
    rig_add(r, 1);
    rig_gone(r, 0, true, NULL);
    rig_pass_ms(r, 201);
    rig_expect_error(r, "a", "EngineError");
    rig_expect_nothing(r);
}

/* Without `begun` and `recall` an engine holds one, however fast it is. */
static void test_stock_engines_hold_one(void **state)
{
    struct rig *r = *state;
    rig_add_stock(r, 0);
    train(r, 0, "t", 50, 0);
    submit(r, IDS("a", "b"));
    rig_expect_sent(r, 0, "a");
    rig_expect_nothing(r);
    rig_pass_ms(r, 1000);
    rig_expect_nothing(r);
    rig_answer(r, 0, "a", RIG_OK);
    rig_expect_sent(r, 0, "b");
}

static void test_long_task_shrinks_the_window(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    train(r, 0, "t", 30, 1);
    train(r, 0, "long", 1, 1000);
    submit(r, IDS("a", "b"));
    rig_expect_sent(r, 0, "a");
    rig_expect_nothing(r);
}

/* Two engines, the first with a window of three or more; five tasks go there. */
static void fill(struct rig *r)
{
    rig_add(r, 0);
    train(r, 0, "t", 30, 1);
    submit(r, IDS("a", "b", "c", "d", "e"));
    expect_sent(r, 0, IDS("a", "b", "c", "d", "e"));
    rig_begun(r, 0, "a");
}

static void test_idle_engine_takes_half(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_add(r, 1);
    train(r, 0, "t", 30, 1);
    train(r, 1, "u", 30, 1);
    for (int i = 0; i < 10; i++) {
        char id[16];
        snprintf(id, sizeof(id), "%d", i);
        rig_give(r, i % 2, id, "{}");
    }
    for (int i = 1; i < 10; i += 2) {
        char id[16];
        snprintf(id, sizeof(id), "%d", i);
        rig_answer(r, 1, id, RIG_OK);
    }
    expect_recall(r, 0, "\"6\", \"8\"");
    rig_expect_nothing(r);
    give_back(r, 0, IDS("6", "8"));
    expect_sent(r, 1, IDS("6", "8"));
    rig_expect_nothing(r);
    assert_int_equal(sched_counts(r->s)->recalled, 2);
    assert_int_equal(sched_counts(r->s)->retried, 0);
}

/* A new engine takes no more than it may hold. */
static void test_new_engine_takes_one(void **state)
{
    struct rig *r = *state;
    fill(r);
    rig_add(r, 1);
    expect_recall(r, 0, "\"e\"");
    give_back(r, 0, IDS("e"));
    rig_expect_sent(r, 1, "e");
    rig_expect_nothing(r);
    rig_answer(r, 1, "e", RIG_OK);
    expect_recall(r, 0, "\"c\", \"d\""); /* it may hold two now */
}

static void test_nothing_is_taken_that_is_done_soon(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    train(r, 0, "t", 200, 0);
    submit(r, IDS("a", "b", "c", "d", "e"));
    expect_sent(r, 0, IDS("a", "b", "c", "d", "e"));
    rig_add(r, 1);
    rig_expect_nothing(r);
}

/* The engine has begun some of them when it is asked. */
static void test_answer_with_less_than_asked_for(void **state)
{
    struct rig *r = *state;
    fill(r);
    rig_add(r, 1);
    expect_recall(r, 0, "\"e\"");
    for (const char *const *id = IDS("a", "b", "c", "d"); *id; id++) {
        rig_begun(r, 0, *id);
        rig_pass_ms(r, 1);
        if (**id != 'd')
            rig_reply(r, 0, *id, RIG_OK);
    }
    r->read = r->n;
    give_back(r, 0, IDS("e"));
    rig_expect_sent(r, 1, "e");
    rig_answer(r, 0, "d", RIG_OK);
    rig_expect_nothing(r);
}

static void test_one_recall_at_a_time(void **state)
{
    struct rig *r = *state;
    fill(r);
    rig_add(r, 1);
    expect_recall(r, 0, "\"e\"");
    rig_add(r, 2);
    rig_expect_nothing(r);
    give_nothing(r, 0);
    expect_recall(r, 0, "\"e\""); /* there still are idle ones */
    give_back(r, 0, IDS("e"));
    rig_expect_sent(r, 2, "e");
    expect_recall(r, 0, "\"d\""); /* and one is left */
    rig_expect_nothing(r);
}

/* One long task among short ones: what stands behind it leaves after 20 ms. */
static void test_long_task_delays_nobody(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    train(r, 0, "t", 30, 1);
    rig_add(r, 1);
    train(r, 1, "u", 30, 1);
    submit(r, IDS("a", "b", "c", "d", "e", "f"));
    for (int i = 0; i < 6; i++)
        assert_int_equal(rig_next(r)->kind, TO_ENGINE);
    assert_int_equal(r->engines[0].e.load, 3);
    rig_begun(r, 0, "a");
    rig_begun(r, 1, "b");
    rig_pass_ms(r, 1);
    rig_answer(r, 0, "a", RIG_OK);
    rig_answer(r, 1, "b", RIG_OK);
    rig_begun(r, 0, "c");
    rig_begun(r, 1, "d"); /* the long one */
    rig_pass_ms(r, 1);
    rig_answer(r, 0, "c", RIG_OK);
    rig_pass_ms(r, 1);
    rig_answer(r, 0, "e", RIG_OK);
    rig_expect_nothing(r); /* engine 0 is idle, but one such task is not worth a recall */
    rig_pass_ms(r, 17);
    rig_expect_nothing(r);
    rig_pass_ms(r, 1);
    expect_recall(r, 1, "\"f\"");
    give_back(r, 1, IDS("f"));
    rig_expect_sent(r, 0, "f");
}

static void test_late_engine_gets_no_more(void **state)
{
    struct rig *r = *state;
    fill(r);
    rig_pass_ms(r, 9);
    rig_give(r, 0, "f", "{}");
    rig_pass_ms(r, 2);
    rig_submit(r, "g", "{}");
    rig_expect_nothing(r);
    rig_reply(r, 0, "a", RIG_OK); /* the window begins anew with five tasks in it */
    rig_expect_reply(r, 0, "a");
    rig_expect_nothing(r);
    assert_int_equal(sched_counts(r->s)->waiting, 1);
}

/* All but the task that runs, also when others have no room: it comes before what waits. */
static void test_stuck_engine_loses_its_queue(void **state)
{
    struct rig *r = *state;
    fill(r);
    rig_add_stock(r, 1);
    expect_recall(r, 0, "\"e\"");
    give_back(r, 0, IDS("e"));
    rig_expect_sent(r, 1, "e");
    rig_pass_ms(r, 10);
    rig_submit(r, "late", "{}");
    rig_expect_nothing(r);
    rig_pass_ms(r, 11);
    expect_recall(r, 0, "\"b\", \"c\", \"d\"");
    give_back(r, 0, IDS("b", "c", "d"));
    rig_expect_nothing(r);
    rig_answer(r, 1, "e", RIG_OK);
    rig_expect_sent(r, 1, "b");
    rig_answer(r, 0, "a", RIG_OK);
    rig_expect_sent(r, 0, "c");
    rig_answer(r, 0, "c", RIG_OK);
    rig_expect_sent(r, 0, "d"); /* its window has begun to grow again */
    rig_expect_sent(r, 0, "late");
}

static void test_alone_nothing_is_called_back(void **state)
{
    struct rig *r = *state;
    fill(r);
    rig_pass_ms(r, 11);
    rig_pass_ms(r, 11);
    rig_pass_ms(r, 100);
    rig_expect_nothing(r);
    rig_add(r, 1); /* now all behind the long one */
    expect_recall(r, 0, "\"b\", \"c\", \"d\", \"e\"");
}

/* A task that may run nowhere else stays, and no recall is sent for nothing. */
static void test_tasks_bound_to_the_engine_stay(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    train(r, 0, "t", 30, 1);
    rig_submit(r, "a", "{}");
    rig_submit(r, "b", "{\"targets\": [\"U0\"]}");
    expect_sent(r, 0, IDS("a", "b"));
    rig_begun(r, 0, "a");
    rig_add(r, 1);
    rig_pass_ms(r, 11);
    rig_pass_ms(r, 11);
    rig_expect_nothing(r);
    assert_int_equal(sched_counts(r->s)->recalls, 0);
}

/* Both do direct work, one of them has a task behind it, and the other one is done first. */
static void test_task_behind_direct_work_goes_to_an_idle_engine(void **state)
{
    struct rig *r = *state;
    for (int i = 0; i < 2; i++) {
        rig_add(r, i);
        sched_engine_taken(&r->engines[i].e, true);
    }
    rig_give(r, 1, "a", "{}");
    rig_pass_ms(r, 11);
    rig_pass_ms(r, 11);
    rig_expect_nothing(r);
    sched_engine_taken(&r->engines[0].e, false);
    expect_recall(r, 1, "\"a\"");
    give_back(r, 1, IDS("a"));
    rig_expect_sent(r, 0, "a");
    rig_expect_nothing(r);
}

/* It turns out only when the task is late that the engine is at something else. */
static void test_task_that_turns_out_to_stand_behind_direct_work(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_give(r, 0, "busy", "{}");
    rig_begun(r, 0, "busy");
    rig_add(r, 1);
    sched_engine_taken(&r->engines[1].e, true);
    rig_give(r, 1, "a", "{}");
    rig_answer(r, 0, "busy", RIG_OK);
    rig_expect_nothing(r);
    rig_pass_ms(r, 11);
    rig_pass_ms(r, 11);
    expect_recall(r, 1, "\"a\"");
    give_back(r, 1, IDS("a"));
    rig_expect_sent(r, 0, "a");
}

/* One that it has begun is its own, and it is asked once. */
static void test_begun_beside_direct_work_stays(void **state)
{
    struct rig *r = *state;
    for (int i = 0; i < 2; i++) {
        rig_add(r, i);
        sched_engine_taken(&r->engines[i].e, true);
    }
    rig_give(r, 1, "a", "{}");
    rig_begun(r, 1, "a");
    rig_pass_ms(r, 11);
    rig_pass_ms(r, 11);
    sched_engine_taken(&r->engines[0].e, false);
    rig_expect_nothing(r);
    rig_pass_ms(r, 100);
    rig_expect_nothing(r);
    rig_answer(r, 1, "a", RIG_OK);
}

static void test_death_while_recalled(void **state)
{
    struct rig *r = *state;
    fill(r);
    rig_add(r, 1);
    expect_recall(r, 0, "\"e\"");
    rig_gone(r, 0, true, NULL);
    rig_pass_ms(r, 201);
    rig_expect_error(r, "a", "EngineError");
    rig_expect_sent(r, 1, "b");
    rig_expect_nothing(r);
    assert_int_equal(r->engines[0].done, 1);
    assert_int_equal(sched_counts(r->s)->sent, 1);
}

/* What it gave back while it died goes elsewhere at once, and once. */
static void test_answer_within_the_grace(void **state)
{
    struct rig *r = *state;
    fill(r);
    rig_add(r, 1);
    expect_recall(r, 0, "\"e\"");
    rig_gone(r, 0, false, NULL);
    give_back(r, 0, IDS("d", "e"));
    rig_expect_sent(r, 1, "d");
    rig_expect_nothing(r);
    rig_answer(r, 1, "d", RIG_OK);
    rig_expect_sent(r, 1, "e");
    rig_pass_ms(r, 5001);
    rig_expect_error(r, "a", "EngineError");
}

/* Answers that tell what isn't so change nothing. */
static void test_late_and_wrong_answers(void **state)
{
    struct rig *r = *state;
    fill(r);
    rig_add(r, 1);
    expect_recall(r, 0, "\"e\"");
    give_back(r, 0, IDS("a", "zzz")); /* `a` has begun */
    expect_recall(r, 0, "\"e\"");
    give_back(r, 0, IDS("e"));
    rig_expect_sent(r, 1, "e");
    give_back(r, 0, IDS("e"));      /* it is elsewhere by now */
    give_back(r, 1, IDS("a", "b")); /* it never had them */
    rig_answer(r, 0, "a", RIG_OK);
    assert_int_equal(r->engines[1].e.load, 1);
    assert_int_equal(sched_counts(r->s)->recalled, 1);
    assert_int_equal(sched_counts(r->s)->unlisted_events, 0);
}

static void test_abort_while_recalled(void **state)
{
    struct rig *r = *state;
    const struct slice id = SLICE_LIT("e");
    fill(r);
    rig_add(r, 1);
    expect_recall(r, 0, "\"e\"");
    sched_abort(r->s, &id, 1);
    give_back(r, 0, IDS("e"));
    struct rig_note *n = rig_next(r);
    assert_non_null(n);
    assert_string_equal(n->id, "e");
    assert_string_equal(n->content, "{\"status\": \"aborted\"}");
    expect_recall(r, 0, "\"d\"");
    assert_int_equal(sched_counts(r->s)->aborted, 1);
}

/* An engine may get the same task again. */
static void test_back_to_the_same_engine(void **state)
{
    struct rig *r = *state;
    fill(r);
    rig_add(r, 1);
    expect_recall(r, 0, "\"e\"");
    rig_gone(r, 1, true, NULL);
    give_back(r, 0, IDS("e"));
    rig_expect_sent(r, 0, "e");
    rig_expect_nothing(r);
}

/* Octets count too: a second request waits while the engine holds very much. */
static void test_engine_with_much_data_gets_no_more(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    train(r, 0, "t", 30, 1);
    rig_give(r, 0, "a", "{}");
    assert_true(r->engines[0].e.pace.bytes > 0);
    r->engines[0].e.pace.bytes += PACE_BYTES;
    rig_submit(r, "b", "{}");
    rig_submit(r, "c", "{}");
    rig_expect_sent(r, 0, "b");
    rig_expect_nothing(r);
    r->engines[0].e.pace.bytes -= PACE_BYTES;
    rig_answer(r, 0, "a", RIG_OK);
    rig_expect_sent(r, 0, "c");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_begins_with_one_task),
        T(test_window_grows_with_short_tasks),
        T(test_announced_in_service),
        T(test_what_it_had_before_counts_as_begun),
        T(test_stock_engines_hold_one),
        T(test_long_task_shrinks_the_window),
        T(test_idle_engine_takes_half),
        T(test_new_engine_takes_one),
        T(test_nothing_is_taken_that_is_done_soon),
        T(test_answer_with_less_than_asked_for),
        T(test_one_recall_at_a_time),
        T(test_long_task_delays_nobody),
        T(test_late_engine_gets_no_more),
        T(test_stuck_engine_loses_its_queue),
        T(test_alone_nothing_is_called_back),
        T(test_task_behind_direct_work_goes_to_an_idle_engine),
        T(test_task_that_turns_out_to_stand_behind_direct_work),
        T(test_begun_beside_direct_work_stays),
        T(test_tasks_bound_to_the_engine_stay),
        T(test_death_while_recalled),
        T(test_answer_within_the_grace),
        T(test_late_and_wrong_answers),
        T(test_abort_while_recalled),
        T(test_back_to_the_same_engine),
        T(test_engine_with_much_data_gets_no_more),
    };
    return cmocka_run_group_tests_name("router/sched_recall", tests, NULL, NULL);
}
