/* SPDX-License-Identifier: BSD-3-Clause */
/* Dependencies in great numbers: chains, fan-out and fan-in of 100,000, in linear time whatever
 * becomes of them (schedulers.md 4, 5 and 9). */
#include "router/sched_scale_rig.h"

/* Each scene builds its world of n tasks, plays, and checks what the client got. */

static void chain_ok(struct world *w)
{
    add_engines(w, 4);
    make_chain(w, AFTER);
    for (unsigned i = 0; i < w->n; i++)
        assert_int_equal(answer(w, OK), i);
    assert_int_equal(w->ok, w->n);
}

static void chain_follow(struct world *w)
{
    add_engines(w, 4);
    make_chain(w, FOLLOW);
    unsigned engine = w->sent[0].engine;
    answer_all(w, OK);
    assert_int_equal(w->ok, w->n);
    for (unsigned i = 0; i < w->n; i++)
        assert_int_equal(w->sent[i].engine, engine);
}

static void chain_of_failures(struct world *w)
{
    add_engines(w, 4);
    make_chain(w, AFTER_FAILURE);
    answer_all(w, ERROR);
    assert_int_equal(w->error, w->n);
}

static void chain_of_any_ends(struct world *w)
{
    add_engines(w, 4);
    make_chain(w, AFTER_END);
    for (unsigned i = 0; w->n_answered < w->n_sent; i++)
        answer(w, i % 2 ? OK : ERROR);
    assert_int_equal(w->error, w->n / 2);
    assert_int_equal(w->ok, w->n / 2);
}

static void chain_head_fails(struct world *w)
{
    add_engines(w, 4);
    make_chain(w, AFTER);
    answer(w, ERROR);
    assert_in_range(w->impossible, 1, 2000); /* others are served before the rest */
    settle(w);
    assert_int_equal(w->impossible, w->n - 1);
}

static void chain_head_succeeds_where_failure_counts(struct world *w)
{
    add_engines(w, 4);
    make_chain(w, AFTER_FAILURE);
    answer(w, OK);
    settle(w);
    assert_int_equal(w->ok, 1);
    /* 1 can't run, and counts as failed: 2 runs, and 3 can't when that went well, ... */
    answer_all(w, OK);
    assert_int_equal(w->impossible, w->n / 2);
}

static void chain_head_is_aborted(struct world *w)
{
    make_chain(w, AFTER); /* without an engine */
    abort_one(w, "s_1_0");
    settle(w);
    assert_int_equal(w->aborted, 1);
    assert_int_equal(w->impossible, w->n - 1);
}

static void chain_middle_is_aborted(struct world *w)
{
    char id[ID_MAX];
    add_engines(w, 1);
    make_chain(w, AFTER);
    snprintf(id, sizeof(id), "s_1_%u", w->n / 2);
    abort_one(w, id);
    settle(w);
    assert_int_equal(w->impossible, w->n / 2 - 1);
    answer_all(w, OK);
    assert_int_equal(w->ok, w->n / 2);
}

static void chain_head_dies_with_its_engine(struct world *w)
{
    add_engines(w, 2);
    submit(w, 0, "{}");
    submit_each(w, 1, w->n - 1, FOLLOW, 1);
    sched_engine_gone(w->s, &w->engines[w->sent[0].engine].e, END_LOST, NULL, on_done);
    pass_ms(w, 5001);
    settle(w);
    assert_int_equal(w->died, 1);
    assert_int_equal(w->impossible, w->n - 1);
}

static void chain_from_the_end(struct world *w)
{
    for (unsigned i = 0; i < w->n; i++)
        submit(w, i, naming(w, AFTER, i + 1));
    assert_int_equal(w->invalid, w->n);
}

static void chain_at_one_engine_a_link(struct world *w)
{
    add_engines(w, w->n / 100);
    submit(w, 0, "{}");
    for (unsigned i = 1; i < w->n; i++) {
        char form[64];
        snprintf(form, sizeof(form), "{\"after\": [\"%%u\"], \"targets\": [\"U%u\"]}",
                 i % w->n_engines);
        submit(w, i, naming(w, form, i - 1));
    }
    answer_all(w, OK);
    assert_int_equal(w->ok, w->n);
}

static void fan_out_ok(struct world *w)
{
    add_engines(w, 4);
    submit(w, 0, "{}");
    submit_each(w, 1, w->n - 1, AFTER, 0);
    answer(w, OK);
    settle(w);
    for (unsigned i = 1; i < w->n; i++) /* as they came */
        assert_int_equal(answer(w, OK), i);
    assert_int_equal(w->ok, w->n);
}

/* Who comes while they are dealt with comes behind them. */
static void fan_out_and_late_comers(struct world *w)
{
    unsigned n = w->n / 2;
    add_engines(w, 4);
    submit(w, 0, "{}");
    submit_each(w, 1, n - 1, AFTER, 0);
    answer(w, OK);
    submit_each(w, n, n, "{}", 0);
    abort_one(w, naming(w, "%u", 2 * n - 1));
    settle(w);
    assert_int_equal(w->aborted, 1);
    for (unsigned i = 1; i < 2 * n - 1; i++)
        assert_int_equal(answer(w, OK), i);
}

static void fan_out_fails(struct world *w)
{
    add_engines(w, 4);
    submit(w, 0, "{}");
    submit_each(w, 1, w->n - 1, AFTER, 0);
    answer(w, ERROR);
    settle(w);
    assert_int_equal(w->impossible, w->n - 1);
}

static void fan_out_follows(struct world *w)
{
    add_engines(w, w->n / 100);
    submit(w, 0, "{}");
    submit_each(w, 1, w->n - 1, FOLLOW, 0);
    unsigned engine = w->sent[0].engine;
    answer_all(w, OK);
    assert_int_equal(w->ok, w->n);
    for (unsigned i = 0; i < w->n; i++)
        assert_int_equal(w->sent[i].engine, engine);
}

/* They wait for their engine, which goes. */
static void fan_out_follows_a_dead_engine(struct world *w)
{
    add_engines(w, w->n / 100);
    submit(w, 0, "{}");
    submit(w, 1, "{\"targets\": [\"U0\"]}");
    unsigned engine = w->sent[0].engine;
    submit_each(w, 2, w->n - 2, FOLLOW, 0);
    char form[64];
    snprintf(form, sizeof(form), "{\"targets\": [\"U%u\"]}", engine);
    submit(w, w->n, form);
    answer(w, OK);
    sched_engine_gone(w->s, &w->engines[engine].e, END_OVER, NULL, on_done);
    pass_ms(w, 201);
    settle(w);
    assert_int_equal(w->died + w->impossible, w->n - 1);
}

static void fan_in_all(struct world *w)
{
    add_engines(w, 4);
    submit_each(w, 0, w->n, "{}", 0);
    submit(
        w, w->n,
        naming_all(w, "{\"after\": {\"dependencies\": [%u], \"failure\": true}}", w->n, false));
    for (unsigned i = 0; i < w->n; i++)
        answer(w, i % 2 ? OK : ERROR);
    assert_int_equal(answer(w, OK), w->n);
}

static void fan_in_of_finished(struct world *w)
{
    add_engines(w, 4);
    submit_each(w, 0, w->n, "{}", 0);
    answer_all(w, OK);
    submit(w, w->n, naming_all(w, "{\"after\": [%u]}", w->n, false));
    assert_int_equal(answer(w, OK), w->n);
    submit(w, w->n + 1,
           naming_all(
               w,
               "{\"after\": {\"dependencies\": [%u], \"success\": false, \"failure\": true}}",
               w->n, false));
    assert_int_equal(w->impossible, 1);
}

static void fan_in_with_a_failure(struct world *w)
{
    add_engines(w, 4);
    submit_each(w, 0, w->n, "{}", 0);
    submit(w, w->n, naming_all(w, "{\"after\": [%u]}", w->n, false));
    answer(w, ERROR);
    settle(w);
    assert_int_equal(w->impossible, 1);
    answer_all(w, OK);
    assert_int_equal(w->ok, w->n - 1);
}

static void fan_in_any(struct world *w)
{
    add_engines(w, 4);
    submit_each(w, 0, w->n, "{}", 0);
    submit(w, w->n,
           naming_all(w, "{\"after\": {\"dependencies\": [%u], \"all\": false}}", w->n, false));
    for (unsigned i = 0; i < w->n - 1; i++)
        answer(w, ERROR);
    assert_int_equal(w->n_sent, w->n);
    answer(w, OK);
    assert_int_equal(answer(w, OK), w->n);
}

/* Its engine is busy while more and more places come up. */
static void fan_in_follow_any(struct world *w)
{
    unsigned engines = w->n / 100;
    add_engines(w, engines);
    submit_each(w, 0, w->n, "{}", 0);
    submit(
        w, w->n,
        naming_all(w, "{\"follow\": {\"dependencies\": [%u], \"all\": false}}", w->n, false));
    answer_all(w, OK);
    assert_int_equal(w->ok, w->n + 1);
}

/* Nobody has room for it, while it may run on more and more of them. */
static void fan_in_follow_any_waits(struct world *w)
{
    add_engines(w, w->n / 100);
    submit_each(w, 0, w->n, "{}", 0);
    submit(
        w, w->n,
        naming_all(w, "{\"follow\": {\"dependencies\": [%u], \"all\": false}}", w->n, false));
    submit_each(w, w->n + 1, w->n, "{}", 0);
    answer_all(w, OK);
    assert_int_equal(w->ok, 2 * w->n + 1);
}

static void fan_in_follow_all(struct world *w)
{
    add_engines(w, 4);
    submit_each(w, 0, w->n, "{\"targets\": [\"U2\"]}", 0);
    submit(w, w->n, naming_all(w, "{\"follow\": [%u]}", w->n, false));
    submit(w, w->n + 1, "{}");
    submit(w, w->n + 2, naming_all(w, "{\"follow\": [%u]}", w->n + 2, false));
    answer_all(w, OK);
    assert_int_equal(w->ok, w->n + 2);
    assert_int_equal(w->impossible, 1); /* two engines */
}

static void fan_in_of_duplicates(struct world *w)
{
    add_engines(w, 4);
    submit(w, 0, "{}");
    submit(w, 1, naming_all(w, "{\"after\": [%u], \"follow\": \"s_1_0\"}", w->n, true));
    answer(w, OK);
    assert_int_equal(answer(w, OK), 1);
    submit(w, 2, naming_all(w, "{\"follow\": [%u]}", w->n, true));
    assert_int_equal(answer(w, ERROR), 2);
    assert_int_equal(w->sent[2].engine, w->sent[0].engine);
}

static void fan_in_with_a_stranger(struct world *w)
{
    add_engines(w, 4);
    submit_each(w, 0, w->n, "{}", 0);
    submit(w, w->n, naming_all(w, "{\"after\": [%u, \"nobody_1_7\"]}", w->n, false));
    submit(w, w->n + 1, naming_all(w, "{\"after\": [%u]}", w->n + 2, false)); /* itself */
    assert_int_equal(w->invalid, 2);
    answer_all(w, OK);
    assert_int_equal(w->ok, w->n);
}

#define SCENES(X)                                  \
    X(chain_ok, 1)                                 \
    X(chain_follow, 1)                             \
    X(chain_of_failures, 1)                        \
    X(chain_of_any_ends, 1)                        \
    X(chain_head_fails, 1)                         \
    X(chain_head_succeeds_where_failure_counts, 1) \
    X(chain_head_is_aborted, 1)                    \
    X(chain_middle_is_aborted, 1)                  \
    X(chain_head_dies_with_its_engine, 1)          \
    X(chain_from_the_end, 1)                       \
    X(chain_at_one_engine_a_link, 1)               \
    X(fan_out_ok, 1)                               \
    X(fan_out_and_late_comers, 0)                  \
    X(fan_out_fails, 1)                            \
    X(fan_out_follows, 1)                          \
    X(fan_out_follows_a_dead_engine, 1)            \
    X(fan_in_all, 0)                               \
    X(fan_in_of_finished, 1)                       \
    X(fan_in_with_a_failure, 1)                    \
    X(fan_in_any, 0)                               \
    X(fan_in_follow_any, 1)                        \
    X(fan_in_follow_any_waits, 1)                  \
    X(fan_in_follow_all, 1)                        \
    X(fan_in_of_duplicates, 1)                     \
    X(fan_in_with_a_stranger, 1)

SCALE_MAIN("router/sched_scale", SCENES)
