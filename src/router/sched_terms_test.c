/* SPDX-License-Identifier: BSD-3-Clause */
/* On what terms: targets, dependencies, timeouts (schedulers.md 4, 5, 8 and 9). */
#include "router/depend.h"
#include "router/sched_rig.h"

static const struct sched_config hwm1 = {
    .scheme = "leastload", .hwm = 1, .grace_report_ms = 200, .grace_lost_ms = 5000};

static int setup(void **state)
{
    *state = rig_new(&hwm1);
    return 0;
}

/* The table of schedulers.md 4: ids 0 to 24, the even ones succeeded. */
static void test_vectors(void **state)
{
    static const struct {
        bool even_only, success, failure, all, met, unreachable;
    } rows[] = {
        {false, true, false, true, false, true}, {false, true, false, false, true, false},
        {true, true, false, true, true, false},  {true, true, false, false, true, false},
        {false, false, true, true, false, true}, {false, false, true, false, true, false},
        {true, false, true, true, false, true},  {true, false, true, false, false, true},
        {false, true, true, true, true, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dep d = {
            .all = rows[i].all, .success = rows[i].success, .failure = rows[i].failure};
        d.n = rows[i].even_only ? 5 : 10;
        for (int id = 0; id < 10; id++)
            if (!rows[i].even_only || id % 2 == 0)
                dep_count(&d, id % 2 ? SEEN_FAILED : SEEN_OK);
        assert_int_equal(dep_is_met(&d), rows[i].met);
        assert_int_equal(dep_is_unreachable(&d), rows[i].unreachable);
        assert_false(dep_is_open(&d));
    }
    assert_true(dep_is_met(&(struct dep){0}));
    assert_false(dep_is_unreachable(&(struct dep){0}));
}

/* schedulers.md D, to the letter. */
static void test_worked_trace(void **state)
{
    struct rig *r = *state;
    rig_add_stock(r, 0);
    rig_add_stock(r, 1);
    rig_give(r, 1, "A", "{}");
    rig_give(r, 0, "B", "{}");
    rig_submit(r, "D", "{\"after\": [\"A\"]}");
    rig_submit(r, "E", "{}");
    rig_expect_nothing(r);
    rig_answer(r, 0, "B", RIG_OK);
    rig_expect_sent(r, 0, "E");
    rig_answer(r, 1, "A", RIG_ERROR);
    struct rig_note *n = rig_expect_error(r, "D", "ImpossibleDependency");
    assert_int_equal(n->n, 0);
    assert_string_equal(n->metadata, "{}");
    rig_gone(r, 0, false, NULL);
    rig_pass_ms(r, 5001);
    rig_expect_error(r, "E", "EngineError");
}

static void test_targets(void **state)
{
    struct rig *r = *state;
    for (int i = 0; i < 3; i++)
        rig_add(r, i);
    rig_give(r, 0, "a", "{\"targets\": [\"U0\"]}");
    rig_submit(r, "b", "{\"targets\": [\"U0\"]}");
    rig_give(r, 1, "c", "{\"targets\": [\"U0\", \"U1\"]}");
    rig_submit(r, "d", "{\"targets\": [\"U1\", \"gone\"]}");
    rig_give(r, 2, "e", "{}");
    rig_submit(r, "f", "{}");
    rig_expect_nothing(r);
    rig_answer(r, 2, "e", RIG_OK);
    rig_expect_sent(r, 2, "f");
    rig_answer(r, 0, "a", RIG_OK);
    rig_expect_sent(r, 0, "b");
    rig_answer(r, 1, "c", RIG_OK);
    rig_expect_sent(r, 1, "d");
}

static void test_targets_that_are_not_there(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_add(r, 1);
    rig_submit(r, "a", "{\"targets\": [\"nobody\"]}");
    rig_expect_error(r, "a", "ImpossibleDependency");
    rig_give(r, 1, "b", "{\"targets\": [\"U1\"]}");
    rig_submit(r, "c", "{\"targets\": [\"U1\"]}");
    rig_submit(r, "d", "{\"targets\": [\"U1\"], \"after\": [\"b\"]}");
    rig_expect_nothing(r);
    rig_gone(r, 1, true, NULL);
    rig_expect_error(r, "c", "ImpossibleDependency");
    rig_expect_error(r, "d", "ImpossibleDependency");
}

static void test_unmet_on_the_only_target(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_add(r, 1);
    rig_give(r, 1, "a", "{\"targets\": [\"U1\"]}");
    rig_reply(r, 1, "a", RIG_UNMET);
    rig_expect_error(r, "a", "ImpossibleDependency");
    rig_give(r, 1, "b", "{\"targets\": [\"U1\"], \"retries\": 3}");
    rig_reply(r, 1, "b", RIG_ERROR);
    rig_expect_error(r, "b", "ImpossibleDependency");
}

static void test_after(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_submit(r, "a", "{}");
    rig_submit(r, "b", "{\"after\": [\"a\", \"a\"]}");
    rig_submit(r, "c", "{\"after\": \"b\"}");
    rig_expect_sent(r, 0, "a");
    rig_expect_nothing(r);
    rig_answer(r, 0, "a", RIG_OK);
    rig_expect_sent(r, 0, "b");
    rig_answer(r, 0, "b", RIG_OK);
    rig_expect_sent(r, 0, "c");
    rig_answer(r, 0, "c", RIG_OK);
    rig_give(r, 0, "d", "{\"after\": [\"a\", \"b\", \"c\"], \"follow\": [\"a\"]}");
}

static void test_after_failure(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_run(r, 0, "bad", RIG_ERROR);
    rig_submit(r, "a", "{\"after\": [\"bad\"]}");
    rig_expect_error(r, "a", "ImpossibleDependency");
    rig_submit(
        r, "b",
        "{\"after\": {\"dependencies\": [\"bad\"], \"success\": false, \"failure\": true}}");
    rig_expect_sent(r, 0, "b");
    rig_submit(r, "c", "{\"after\": {\"dependencies\": [\"bad\", \"b\"], \"all\": false}}");
    rig_expect_nothing(r);
    rig_answer(r, 0, "b", RIG_OK);
    rig_expect_sent(r, 0, "c");
}

static void test_invalid_dependencies(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_submit(r, "a", "{\"after\": \"12345\"}");
    rig_expect_error(r, "a", "InvalidDependency");
    rig_submit(r, "b", "{\"follow\": [\"b\"]}");
    rig_expect_error(r, "b", "InvalidDependency");
    rig_give(r, 0, "open", "{}");
    rig_submit(r, "c", "{\"after\": [\"open\", \"nothing\"]}");
    rig_expect_error(r, "c", "InvalidDependency");
    rig_answer(r, 0, "open", RIG_OK);
    rig_expect_nothing(r);
}

/* Each waits for the one before; the first fails. */
static void test_impossibility_cascades(void **state)
{
    struct rig *r = *state;
    enum { N = 1000 };
    char id[16], metadata[64];
    rig_add(r, 0);
    rig_give(r, 0, "s_1_0", "{}");
    for (int i = 1; i < N; i++) {
        snprintf(id, sizeof(id), "s_1_%d", i);
        snprintf(metadata, sizeof(metadata), "{\"after\": [\"s_1_%d\"]}", i - 1);
        rig_submit(r, id, metadata);
    }
    rig_answer(r, 0, "s_1_0", RIG_ERROR);
    for (int i = 1; i < N; i++) {
        snprintf(id, sizeof(id), "s_1_%d", i);
        rig_expect_error(r, id, "ImpossibleDependency");
    }
    assert_int_equal(sched_counts(r->s)->waiting, 0);
}

static void test_follow(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_add(r, 1);
    rig_run(r, 1, "a", RIG_OK);
    rig_run(r, 0, "b", RIG_OK);
    for (int i = 0; i < 3; i++) {
        static const char *const ids[] = {"f", "g", "h"};
        rig_give(r, 1, ids[i], "{\"follow\": [\"a\"]}");
        rig_answer(r, 1, ids[i], RIG_OK);
    }
    rig_submit(r, "both", "{\"follow\": [\"a\", \"b\"]}");
    rig_expect_error(r, "both", "ImpossibleDependency");
    rig_give(r, 1, "busy", "{\"targets\": [\"U1\"]}");
    rig_give(r, 0, "any", "{\"follow\": {\"dependencies\": [\"a\", \"b\"], \"all\": false}}");
    rig_submit(r, "here", "{\"follow\": [\"a\"], \"targets\": [\"U0\"]}");
    rig_expect_error(r, "here", "ImpossibleDependency");
}

/* Of several that it may follow one is enough, and more places come up while it waits. */
static void test_follow_any_as_places_come_up(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_add(r, 1);
    rig_submit(r, "a", "{}");
    rig_submit(r, "b", "{}");
    rig_expect_sent(r, 1, "a");
    rig_expect_sent(r, 0, "b");
    rig_submit(r, "any",
               "{\"follow\": {\"dependencies\": [\"a\", \"b\"], \"all\": false}, "
               "\"timeout\": 1}");
    rig_submit(r, "next", "{\"targets\": [\"U1\"]}");
    rig_expect_nothing(r);
    rig_answer(r, 1, "a", RIG_OK);
    rig_expect_sent(r, 1, "any");
    rig_reply(r, 1, "any", "{\"dependencies_met\": false}");
    rig_expect_sent(r, 1, "next");
    rig_answer(r, 0, "b", RIG_OK);
    rig_expect_sent(r, 0, "any");
    rig_pass_ms(r, 2000);
    rig_expect_nothing(r);
}

static void test_follow_a_dead_engine(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_add(r, 1);
    rig_run(r, 1, "a", RIG_OK);
    rig_gone(r, 1, true, NULL);
    rig_submit(r, "b", "{\"follow\": [\"a\"]}");
    rig_expect_error(r, "b", "ImpossibleDependency");
    rig_submit(r, "c", "{\"follow\": {\"dependencies\": [\"b\"], \"failure\": true}}");
    rig_expect_error(r, "c", "ImpossibleDependency"); /* b ran nowhere */
}

static void test_timeout(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_give(r, 0, "a", "{\"timeout\": 0.01}");
    rig_submit(r, "b", "{\"timeout\": \"0.5\"}");
    rig_submit(r, "c", "{\"after\": [\"a\"], \"timeout\": 0.7}");
    rig_submit(r, "d", "{\"timeout\": 0}");
    rig_pass_ms(r, 499);
    rig_expect_nothing(r);
    rig_pass_ms(r, 2);
    rig_expect_error(r, "b", "TaskTimeout");
    rig_pass_ms(r, 200);
    rig_expect_error(r, "c", "TaskTimeout");
    rig_pass_ms(r, 100000);
    rig_expect_nothing(r);
    rig_answer(r, 0, "a", RIG_OK);
    rig_expect_sent(r, 0, "d");
}

/* With as many retries as engines the end is TaskTimeout; with one less it is the task's own
 * error. */
static void test_timeout_of_retries(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_add(r, 1);
    rig_give(r, 1, "a", "{\"timeout\": 0.01, \"retries\": 1}");
    rig_begun(r, 1, "a");
    rig_pass_ms(r, 250);
    rig_reply(r, 1, "a", RIG_ERROR);
    rig_expect_sent(r, 0, "a");
    rig_answer(r, 0, "a", RIG_ERROR);
    rig_give(r, 1, "b", "{\"timeout\": 0.01, \"retries\": 2}");
    rig_reply(r, 1, "b", RIG_ERROR);
    rig_expect_sent(r, 0, "b");
    rig_reply(r, 0, "b", RIG_ERROR);
    rig_expect_nothing(r);
    rig_pass_ms(r, 11);
    rig_expect_error(r, "b", "TaskTimeout");
}

static void test_abort_of_waiting(void **state)
{
    struct rig *r = *state;
    const struct slice b = SLICE_LIT("b");
    rig_add(r, 0);
    rig_give(r, 0, "a", "{}");
    rig_submit(r, "b", "{\"after\": [\"a\"]}");
    rig_submit(r, "c", "{\"after\": [\"b\"]}");
    rig_submit(r, "t", "{\"targets\": [\"U0\"]}");
    sched_abort(r->s, &b, 1);
    struct rig_note *n = rig_next(r);
    assert_non_null(n);
    assert_string_equal(n->id, "b");
    rig_expect_error(r, "c", "ImpossibleDependency");
    rig_answer(r, 0, "a", RIG_OK);
    rig_expect_sent(r, 0, "t");
}

/* Holes in the row of the choosy, from its middle and its front. */
static void test_row_with_holes(void **state)
{
    struct rig *r = *state;
    enum { N = 300 };
    char id[16];
    rig_add(r, 0);
    rig_add(r, 1);
    rig_submit(r, "x", "{}");
    rig_submit(r, "y", "{}");
    rig_expect_sent(r, 1, "x");
    rig_expect_sent(r, 0, "y");
    for (int i = 0; i < N; i++) {
        snprintf(id, sizeof(id), "s_1_%d", i);
        rig_submit(r, id, i % 2 ? "{\"targets\": [\"U1\"]}" : "{\"targets\": [\"U0\"]}");
    }
    rig_answer(r, 0, "y", RIG_OK);
    for (int i = 0; i < N; i += 2) {
        snprintf(id, sizeof(id), "s_1_%d", i);
        rig_expect_sent(r, 0, id);
        rig_answer(r, 0, id, RIG_OK);
    }
    for (int i = N; i < 3 * N; i++) {
        snprintf(id, sizeof(id), "s_1_%d", i);
        rig_give(r, 0, id, "{\"targets\": [\"U0\"]}");
        rig_answer(r, 0, id, RIG_OK);
    }
    rig_answer(r, 1, "x", RIG_OK);
    for (int i = 1; i < N; i += 2) {
        snprintf(id, sizeof(id), "s_1_%d", i);
        rig_expect_sent(r, 1, id);
        rig_answer(r, 1, id, RIG_OK);
    }
    rig_expect_nothing(r);
}

/* No engine ever had it: who answers it anyway isn't believed, and it goes on waiting. */
static void test_answer_to_a_waiting_task(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_give(r, 0, "a", "{}");
    rig_submit(r, "b", "{\"after\": \"a\"}");
    rig_reply(r, 0, "b", RIG_OK);
    rig_expect_nothing(r);
    assert_int_equal(sched_counts(r->s)->late_replies, 1);
    assert_int_equal(sched_counts(r->s)->unlisted_events, 0);
    rig_answer(r, 0, "a", RIG_OK);
    rig_expect_sent(r, 0, "b");
}

/* As Python takes it: 0 and 1 are false and true, and the other way round. */
static void test_truth_in_other_forms(void **state)
{
    static const struct {
        const char *metadata;
        bool starts; /* after `ok`, which succeeded, and `bad`, which did not; else: impossible
                      */
    } rows[] = {
        {"{\"after\": \"\"}", true},
        {"{\"after\": 0}", true},
        {"{\"after\": false}", true},
        {"{\"after\": {\"dependencies\": [\"ok\"], \"all\": 1, \"success\": 1, \"failure\": "
         "0}}",
         true},
        {"{\"after\": {\"dependencies\": [\"ok\", \"bad\"], \"all\": null}}", true},
        {"{\"after\": {\"dependencies\": [\"ok\"], \"success\": 0, \"failure\": 1}}", false},
        {"{\"follow\": {\"dependencies\": [\"ok\", \"bad\"], \"all\": 0}}", true},
        {"{\"retries\": true}", true},
        {"{\"retries\": \"2\"}", true},
        {"{\"timeout\": true}", true},
        {"{\"timeout\": false}", true},
    };
    struct rig *r = *state;
    rig_add(r, 0);
    rig_run(r, 0, "ok", RIG_OK);
    rig_run(r, 0, "bad", RIG_ERROR);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char id[16];
        snprintf(id, sizeof(id), "t_%zu", i);
        rig_submit(r, id, rows[i].metadata);
        if (!rows[i].starts) {
            rig_expect_error(r, id, "ImpossibleDependency");
            continue;
        }
        rig_expect_sent(r, 0, id);
        rig_answer(r, 0, id, RIG_OK);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        T(test_worked_trace),
        T(test_targets),
        T(test_targets_that_are_not_there),
        T(test_unmet_on_the_only_target),
        T(test_after),
        T(test_after_failure),
        T(test_invalid_dependencies),
        T(test_impossibility_cascades),
        T(test_follow),
        T(test_follow_any_as_places_come_up),
        T(test_follow_a_dead_engine),
        T(test_timeout),
        T(test_timeout_of_retries),
        T(test_abort_of_waiting),
        T(test_row_with_holes),
        T(test_answer_to_a_waiting_task),
        T(test_truth_in_other_forms),
    };
    return cmocka_run_group_tests_name("router/sched_terms", tests, NULL, NULL);
}
