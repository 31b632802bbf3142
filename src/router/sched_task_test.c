/* SPDX-License-Identifier: BSD-3-Clause */
/* Assignment, results, failures and deaths (schedulers.md 3 to 7), and the table of a task's
 * life. */
#include "router/sched_recall_rig.h"
#include "router/task.h"

static const struct sched_config hwm1 = {
    .scheme = "leastload", .hwm = 1, .grace_report_ms = 200, .grace_lost_ms = 5000};

static int setup(void **state)
{
    *state = rig_new(&hwm1);
    return 0;
}

static int setup_hwm0(void **state)
{
    struct sched_config cfg = hwm1;
    cfg.hwm = 0;
    *state = rig_new(&cfg);
    return 0;
}

static int setup_hwm2(void **state)
{
    struct sched_config cfg = hwm1;
    cfg.hwm = 2;
    *state = rig_new(&cfg);
    return 0;
}

static int setup_limited(void **state)
{
    struct sched_config cfg = hwm1;
    cfg.client_limit = 1200; /* three of rig_submit() */
    *state = rig_new(&cfg);
    return 0;
}

/* Three engines registered 0, 1, 2 are used 2, 1, 0, 2, 1, 0. */
static void test_sequential_tasks_rotate(void **state)
{
    static const int order[] = {2, 1, 0, 2, 1, 0};
    struct rig *r = *state;
    for (int i = 0; i < 3; i++)
        rig_add(r, i);
    for (size_t i = 0; i < 6; i++) {
        char id[16];
        snprintf(id, sizeof(id), "s_1_%zu", i);
        assert_int_equal(rig_submit(r, id, "{}"), 0);
        rig_expect_sent(r, order[i], id);
        assert_int_equal(rig_reply(r, order[i], id, RIG_OK), 0);
        rig_expect_reply(r, order[i], id);
    }
    rig_expect_nothing(r);
    assert_int_equal(sched_counts(r->s)->done, 6);
}

static void test_hwm_holds_back_in_order(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    for (const char *const *id = (const char *const[]){"a", "b", "c", "d", NULL}; *id; id++)
        rig_submit(r, *id, "{\"targets\": [], \"retries\": 0, \"after\": [], \"follow\": []}");
    rig_expect_sent(r, 0, "a");
    rig_expect_nothing(r);
    assert_int_equal(sched_counts(r->s)->waiting, 3);
    assert_int_equal(sched_counts(r->s)->sent, 1);
    rig_answer(r, 0, "a", RIG_OK);
    rig_expect_sent(r, 0, "b");
    rig_add(r, 1);
    rig_expect_sent(r, 1, "c");
    rig_answer(r, 0, "b", RIG_ERROR);
    rig_expect_sent(r, 0, "d");
    rig_expect_nothing(r);
    assert_int_equal(sched_counts(r->s)->failed, 1);
}

static void test_hwm_2(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_add(r, 1);
    for (int i = 0; i < 5; i++)
        rig_submit(r, (const char *const[]){"a", "b", "c", "d", "e"}[i], "{}");
    rig_expect_sent(r, 1, "a");
    rig_expect_sent(r, 0, "b");
    rig_expect_sent(r, 1, "c");
    rig_expect_sent(r, 0, "d");
    rig_expect_nothing(r);
    rig_answer(r, 0, "d", RIG_OK);
    rig_expect_sent(r, 0, "e");
}

static void test_hwm_0_has_no_limit(void **state)
{
    struct rig *r = *state;
    char id[16];
    rig_add(r, 0);
    rig_add(r, 1);
    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof(id), "s_1_%d", i);
        rig_give(r, i % 2 ? 0 : 1, id, "{}");
    }
    assert_int_equal(r->engines[0].e.load, 50);
    for (int i = 1; i < 100; i += 2) {
        snprintf(id, sizeof(id), "s_1_%d", i);
        rig_answer(r, 0, id, RIG_OK);
    }
    rig_give(r, 0, "next", "{}");
}

static void test_events_come_first_and_once(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_submit(r, "a", "{}");
    rig_reply(r, 0, "a", RIG_OK);
    assert_int_equal(r->n, 4);
    assert_int_equal(r->notes[0].event, TASK_SUBMITTED);
    assert_int_equal(r->notes[1].kind, TO_ENGINE);
    assert_int_equal(r->notes[1].n, 1);
    assert_string_equal(r->notes[1].first, "C");
    assert_int_equal(r->notes[2].event, TASK_SUCCEEDED);
    assert_string_equal(r->notes[2].first, "U0");
    assert_int_equal(r->notes[3].kind, TO_CLIENT);
    assert_int_equal(r->notes[3].n, 1);
}

static void test_known_ids_are_refused(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_give(r, 0, "a", "{}");
    assert_int_equal(rig_submit(r, "a", "{}"), ERSA_EEXIST);
    rig_answer(r, 0, "a", RIG_OK);
    assert_int_equal(rig_submit(r, "a", "{}"), ERSA_EEXIST);
    rig_expect_nothing(r);
    assert_int_equal(sched_counts(r->s)->refused_known, 2);
}

static void test_only_the_first_answer_counts(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_submit(r, "a", "{}");
    rig_submit(r, "b", "{}");
    rig_submit(r, "c", "{}");
    rig_expect_sent(r, 0, "a");
    rig_reply(r, 0, "a", RIG_OK);
    rig_reply(r, 0, "a", RIG_OK);
    rig_reply(r, 0, "never", RIG_OK);
    rig_expect_reply(r, 0, "a");
    rig_expect_sent(r, 0, "b");
    rig_expect_nothing(r);
    assert_int_equal(sched_counts(r->s)->late_replies, 2);
    assert_int_equal(r->engines[0].e.load, 1);
}

static void test_a_reply_without_status_is_success(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_give(r, 0, "a", "{}");
    rig_answer(r, 0, "a", "{\"engine\": \"U0\"}");
    assert_int_equal(sched_counts(r->s)->done, 1);
}

static void test_retries_go_elsewhere(void **state)
{
    struct rig *r = *state;
    for (int i = 0; i < 3; i++)
        rig_add(r, i);
    rig_give(r, 2, "a", "{\"retries\": 2}");
    rig_reply(r, 2, "a", RIG_ERROR);
    rig_expect_sent(r, 1, "a");
    rig_reply(r, 1, "a", RIG_ERROR);
    rig_expect_sent(r, 0, "a");
    rig_answer(r, 0, "a", RIG_ERROR);
    assert_int_equal(sched_counts(r->s)->retried, 2);
    rig_submit(r, "b", "{}"); /* the engines are as free as before */
    rig_expect_sent(r, 2, "b");
}

/* It has failed everywhere and waits; other tasks pass it, a new engine gets it. */
static void test_retry_waits_for_a_new_engine(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_give(r, 0, "a", "{\"retries\": 9}");
    rig_reply(r, 0, "a", RIG_ERROR);
    rig_expect_nothing(r);
    assert_int_equal(sched_counts(r->s)->waiting, 1);
    rig_give(r, 0, "b", "{}");
    rig_add(r, 1);
    rig_expect_sent(r, 1, "a");
    rig_answer(r, 1, "a", RIG_OK);
}

static void test_unmet_moves_on_whatever_the_retries(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_add(r, 1);
    rig_give(r, 1, "a", "{}");
    rig_reply(r, 1, "a", RIG_UNMET);
    rig_expect_sent(r, 0, "a");
    rig_reply(r, 0, "a", RIG_UNMET);
    struct rig_note *n = rig_expect_error(r, "a", "ImpossibleDependency");
    assert_int_equal(n->n, 0); /* no uuid in front */
    assert_int_equal(sched_counts(r->s)->failed, 1);
}

static void test_engine_dies_while_running(void **state)
{
    struct rig *r = *state;
    rig_add_stock(r, 0);
    rig_submit(r, "a", "{}");
    rig_submit(r, "b", "{}");
    rig_expect_sent(r, 0, "a");
    rig_gone(r, 0, false, NULL);
    rig_pass_ms(r, 4999);
    rig_expect_nothing(r);
    assert_int_equal(r->engines[0].done, 0);
    rig_pass_ms(r, 2);
    struct rig_note *n = rig_expect_error(r, "a", "EngineError");
    assert_int_equal(n->n, 1);
    assert_string_equal(n->first, "U0");
    assert_non_null(strstr(n->content, "Engine b'U0' died while running task 'a'\""));
    assert_non_null(strstr(n->metadata, "\"engine\":\"U0\""));
    assert_int_equal(r->engines[0].done, 1);
    rig_expect_nothing(r);
    assert_int_equal(sched_counts(r->s)->waiting, 1);
}

static void test_reported_death_is_judged_soon_and_says_why(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_give(r, 0, "a", "{}");
    rig_begun(r, 0, "a");
    rig_gone(r, 0, true, "killed by signal 9 (SIGKILL)");
    rig_pass_ms(r, 199);
    rig_expect_nothing(r);
    rig_pass_ms(r, 2);
    struct rig_note *n = rig_expect_error(r, "a", "EngineError");
    assert_non_null(strstr(n->content, "running task 'a': killed by signal 9 (SIGKILL)\""));
}

static void test_late_reply_within_the_grace(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_give(r, 0, "a", "{}");
    rig_gone(r, 0, false, NULL);
    rig_pass_ms(r, 1000);
    rig_answer(r, 0, "a", RIG_OK);
    assert_int_equal(r->engines[0].done, 1);
    rig_pass_ms(r, 10000);
    rig_expect_nothing(r);
}

static void test_not_begun_goes_elsewhere_for_free(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    for (int i = 0; i < 4; i++)
        rig_submit(r, (const char *const[]){"a", "b", "c", "d"}[i], "{}");
    rig_expect_sent(r, 0, "a");
    rig_expect_sent(r, 0, "b");
    rig_begun(r, 0, "a");
    rig_gone(r, 0, true, NULL);
    rig_add(r, 1);
    rig_expect_sent(r, 1, "c");
    rig_expect_sent(r, 1, "d");
    rig_pass_ms(r, 201);
    rig_expect_error(r, "a", "EngineError");
    rig_expect_nothing(r);
    rig_submit(r, "e", "{}");
    rig_answer(r, 1, "c", RIG_OK);
    rig_expect_sent(r, 1, "b"); /* has waited longer than `e` */
    assert_int_equal(sched_counts(r->s)->retried, 0);
}

static void test_death_with_retries(void **state)
{
    struct rig *r = *state;
    rig_add_stock(r, 0);
    rig_add_stock(r, 1);
    rig_give(r, 1, "a", "{\"retries\": 1}");
    rig_gone(r, 1, false, NULL);
    rig_pass_ms(r, 5001);
    rig_expect_sent(r, 0, "a");
    rig_gone(r, 0, true, NULL);
    rig_pass_ms(r, 201);
    rig_expect_error(r, "a", "EngineError");
}

/* After the grace: the first final result counts, from whichever engine. */
static void test_result_of_an_engine_given_up(void **state)
{
    struct rig *r = *state;
    rig_add_stock(r, 0);
    rig_add_stock(r, 1);
    rig_give(r, 1, "a", "{\"retries\": 1}");
    rig_gone(r, 1, false, NULL);
    rig_pass_ms(r, 5001);
    rig_expect_sent(r, 0, "a");
    rig_add_stock(r, 1); /* its heart beats again */
    rig_answer(r, 1, "a", RIG_OK);
    assert_int_equal(r->engines[0].e.load, 1); /* still busy with it */
    rig_give(r, 1, "b", "{}");
    rig_submit(r, "c", "{}");
    rig_expect_nothing(r);
    rig_reply(r, 0, "a", RIG_OK);
    rig_expect_sent(r, 0, "c");
    assert_int_equal(sched_counts(r->s)->done, 1);
}

/* An engine drops a message that it has seen, also when it was thought dead meanwhile. */
static void test_revived_engine_stays_excluded(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_give(r, 0, "a", "{\"retries\": 1}");
    rig_begun(r, 0, "a");
    rig_gone(r, 0, false, NULL);
    rig_pass_ms(r, 5001);
    rig_add(r, 0);
    expect_recall_of_away(r, 0, "");
    rig_expect_nothing(r);
    rig_add(r, 1);
    rig_expect_sent(r, 1, "a");
}

static void test_reply_over_another_connection(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_add(r, 1);
    rig_give(r, 1, "a", "{}");
    assert_int_equal(rig_reply_via(r, 1, 0, "a", RIG_OK), 0);
    rig_expect_reply(r, 1, "a");
    assert_int_equal(rig_reply_via(r, 3, 0, "a", RIG_OK), ERSA_ENOENT);
}

static void test_abort_answers_what_waits(void **state)
{
    struct rig *r = *state;
    const struct slice ids[] = {SLICE_LIT("a"), SLICE_LIT("b"), SLICE_LIT("zzz")};
    rig_add(r, 0);
    rig_submit(r, "a", "{}");
    rig_submit(r, "b", "{}");
    rig_submit(r, "c", "{}");
    rig_expect_sent(r, 0, "a");
    sched_abort(r->s, ids, 3);
    struct rig_note *n = rig_next(r);
    assert_non_null(n);
    assert_string_equal(n->id, "b");
    assert_string_equal(n->type, "apply_reply");
    assert_string_equal(n->content, "{\"status\": \"aborted\"}");
    assert_string_equal(n->metadata, "{\"status\": \"aborted\"}");
    rig_expect_nothing(r);
    rig_answer(r, 0, "a", "{\"status\": \"aborted\"}");
    rig_expect_sent(r, 0, "c");
    assert_int_equal(sched_counts(r->s)->aborted, 1);
}

static void test_queue_full(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_submit(r, "a", "{}");
    rig_submit(r, "b", "{}");
    rig_submit(r, "c", "{}");
    rig_expect_sent(r, 0, "a");
    rig_submit(r, "d", "{}");
    rig_submit_from(r, "D", "e", "{}");
    rig_expect_error(r, "d", "QueueFull");
    rig_expect_nothing(r);
    for (size_t i = 0; i < r->n; i++) /* its end is told, itself it isn't */
        if (r->notes[i].kind == EVENT && strcmp(r->notes[i].id, "d") == 0)
            assert_int_equal(r->notes[i].event, TASK_ENDED);
    rig_answer(r, 0, "a", RIG_OK);
    rig_expect_sent(r, 0, "b");
    rig_submit(r, "f", "{}");
    rig_expect_nothing(r);
    assert_int_equal(sched_counts(r->s)->refused_full, 1);
    assert_int_equal(sched_counts(r->s)->waiting, 3);
}

/* Whoever connects anew is another client: what all have waiting is bounded, too, and there is
 * always something left for one that has little. */
static void test_queue_full_of_many_clients(void **state)
{
    struct rig *r = *state;
    char client[2] = "A", id[8];
    rig_add(r, 0);
    rig_submit_from(r, "a", "first", "{}");
    rig_expect_sent(r, 0, "first");
    for (; client[0] <= 'Z'; client[0]++)
        for (int i = 0; i < 3; i++) {
            snprintf(id, sizeof(id), "%s%d", client, i);
            rig_submit_from(r, client, id, "{}");
        }
    struct rig_note *n;
    while ((n = rig_next(r)))
        assert_non_null(strstr(n->content, "QueueFull"));
    size_t waiting = sched_counts(r->s)->waiting;
    assert_in_range(waiting, 4, 6); /* and one is running: twice three at most */
    assert_int_equal(sched_counts(r->s)->refused_full, 26 * 3 - waiting);
    rig_answer(r, 0, "first", RIG_OK);
    rig_expect_sent(r, 0, "A0");
    rig_submit_from(r, "b", "last", "{}");
    assert_int_equal(sched_counts(r->s)->waiting, waiting);
}

static void test_bad_input(void **state)
{
    static const char *const metadata[] = {
        "[]",
        "{\"retries\": \"x\"}",
        "{\"targets\": [1]}",
        "{\"targets\": \"U0\"}",
        "{\"follow\": null}",
        "{\"timeout\": \"soon\"}",
        "{\"timeout\": []}",
        "{\"after\": [null]}",
        "{\"after\": {\"dependencies\": [\"a\"], \"success\": false}}",
    };
    struct rig *r = *state;
    rig_add(r, 0);
    for (size_t i = 0; i < sizeof(metadata) / sizeof(metadata[0]); i++) {
        char id[16];
        snprintf(id, sizeof(id), "bad_%zu", i);
        assert_int_equal(rig_submit(r, id, metadata[i]), 0);
        rig_expect_error(r, id, "ValueError");
    }
    struct frame few[] = {FRAME_LIT("<IDS|MSG>"), FRAME_LIT(""), FRAME_LIT("{}"),
                          FRAME_LIT("{}")};
    assert_int_equal(sched_submit(r->s, SLICE_LIT("C"), &(struct msg){few, 4}), ERSA_EPROTO);
    struct frame unsigned_frames[] = {FRAME_LIT("<IDS|MSG>"), FRAME_LIT("00"), FRAME_LIT("{}"),
                                      FRAME_LIT("{}"),        FRAME_LIT("{}"), FRAME_LIT("{}")};
    struct msg m = {unsigned_frames, 6};
    assert_int_equal(sched_submit(r->s, SLICE_LIT("C"), &m), ERSA_EAUTH);
    assert_int_equal(sched_reply(r->s, &r->engines[0].e, &m, NULL), ERSA_EAUTH);
    assert_int_equal(sched_counts(r->s)->dropped_bad, 3);
    rig_expect_nothing(r);
}

static void test_id_with_escapes(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_submit(r, "q\"uote", "{}");
    rig_expect_sent(r, 0, "q\\\"uote");
    assert_int_equal(rig_submit(r, "q\"uote", "{}"), ERSA_EEXIST);
    rig_answer(r, 0, "q\\\"uote", RIG_OK);
}

static void note_walk(void *ctx, struct slice id)
{
    char *text = ctx;
    size_t len = strlen(text);
    snprintf(text + len, 64 - len, "%.*s ", SLICE_FMT(id));
}

static void test_walk(void **state)
{
    struct rig *r = *state;
    char text[64] = "";
    rig_add(r, 0);
    for (int i = 0; i < 3; i++)
        rig_submit(r, (const char *const[]){"a", "b", "c"}[i], "{}");
    rig_submit(r, "d", "{\"targets\": [\"U0\"]}");
    rig_submit(r, "e", "{}");
    rig_submit(r, "f", "{\"after\": [\"b\"]}");
    rig_submit(r, "g", "{}");
    sched_walk(r->s, &r->engines[0].e, note_walk, text);
    assert_string_equal(text, "a ");
    sched_walk(r->s, NULL, note_walk, text);
    assert_string_equal(text, "a b c d e f g ");
}

/* Many clients and engines, in a random order of events: every task ends exactly once. */
static void test_many(void **state)
{
    struct rig *r = *state;
    char id[16];
    enum { N = 400 };
    unsigned submitted = 0, answered = 0;
    for (int i = 0; i < RIG_ENGINES; i++)
        rig_add(r, i);
    while (answered < N) {
        if (submitted < N && submitted < answered + 40) {
            snprintf(id, sizeof(id), "s_1_%u", submitted++);
            rig_submit(r, id,
                       submitted % 3 ? "{}"
                                     : "{\"retries\": 1, \"targets\": [\"U0\", \"U2\"]}");
        }
        struct rig_note *n = rig_next(r);
        if (!n)
            continue;
        if (n->kind == TO_ENGINE)
            rig_reply(r, n->engine, n->id, submitted % 5 ? RIG_OK : RIG_ERROR);
        else
            answered++;
    }
    rig_expect_nothing(r);
    assert_int_equal(sched_counts(r->s)->waiting, 0);
    assert_int_equal(sched_counts(r->s)->sent, 0);
    assert_int_equal(sched_counts(r->s)->done + sched_counts(r->s)->failed, N);
    assert_int_equal(sched_counts(r->s)->unlisted_events, 0);
}

/* Every pair of state and event: nothing leads out of an end, and only NEW leads to WAITING. */
static void test_every_pair(void **state)
{
    enum { W = TASK_WAITING, R = TASK_READY, S = TASK_SENT, P = TASK_SPENT, D = TASK_DONE };
    enum { F = TASK_FAILED, A = TASK_ABORTED, x = TASK_STATE_MAX };
    static const int expected[TASK_STATE_MAX][TE_MAX] = {
        /* refused, open, met, unreachable, timed_out, abort, assigned,
         * ok, error, retry, unmet, elsewhere, recalled, dead_retry, dead_fresh, dead */
        [TASK_NEW] = {F, W, R, F, x, A, x, x, x, x, x, x, x, x, x, x},
        [TASK_WAITING] = {x, x, R, F, F, A, x, x, x, x, x, x, x, x, x, x},
        [TASK_READY] = {x, x, x, F, F, A, S, x, x, x, x, D, x, x, x, x},
        [TASK_SENT] = {x, x, x, x, x, x, x, D, F, R, R, P, R, R, R, F},
        [TASK_SPENT] = {x, x, x, x, x, x, x, D, D, D, D, x, D, D, D, D},
        [TASK_DONE] = {x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x},
        [TASK_FAILED] = {x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x},
        [TASK_ABORTED] = {x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x},
    };
    for (int i = 0; i < TASK_STATE_MAX; i++) {
        enum task_state s = (enum task_state)i;
        assert_non_null(task_state_name(s));
        for (enum task_event ev = 0; ev < TE_MAX; ev++) {
            assert_non_null(task_event_name(ev));
            assert_int_equal(task_next_state(s, ev), expected[s][ev]);
        }
    }
}

static void test_unknown_scheme(void **state)
{
    struct sched_config cfg = hwm1;
    struct ersa_error err = {0};
    struct sched *s = NULL;
    struct loop *l = loop_new();
    cfg.scheme = "fastest";
    assert_int_equal(sched_new(&s, l, NULL, &cfg, NULL, NULL, &err), ERSA_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "fastest"));
    loop_free(l);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, rig_teardown)
#define T_WITH(f, with) cmocka_unit_test_setup_teardown(f, with, rig_teardown)
    const struct CMUnitTest tests[] = {
        T(test_sequential_tasks_rotate),
        T(test_hwm_holds_back_in_order),
        T_WITH(test_hwm_2, setup_hwm2),
        T_WITH(test_hwm_0_has_no_limit, setup_hwm0),
        T(test_events_come_first_and_once),
        T(test_known_ids_are_refused),
        T(test_only_the_first_answer_counts),
        T(test_a_reply_without_status_is_success),
        T(test_retries_go_elsewhere),
        T(test_retry_waits_for_a_new_engine),
        T(test_unmet_moves_on_whatever_the_retries),
        T(test_engine_dies_while_running),
        T(test_reported_death_is_judged_soon_and_says_why),
        T(test_late_reply_within_the_grace),
        T_WITH(test_not_begun_goes_elsewhere_for_free, setup_hwm2),
        T(test_death_with_retries),
        T(test_result_of_an_engine_given_up),
        T(test_revived_engine_stays_excluded),
        T(test_reply_over_another_connection),
        T(test_abort_answers_what_waits),
        T_WITH(test_queue_full, setup_limited),
        T_WITH(test_queue_full_of_many_clients, setup_limited),
        T(test_bad_input),
        T(test_id_with_escapes),
        T(test_walk),
        T_WITH(test_many, setup_hwm2),
        cmocka_unit_test(test_every_pair),
        cmocka_unit_test(test_unknown_scheme),
    };
    return cmocka_run_group_tests_name("router/sched_task", tests, NULL, NULL);
}
