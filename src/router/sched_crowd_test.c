/* SPDX-License-Identifier: BSD-3-Clause */
/* Tasks that wait in great numbers, and are refused, fail, time out or lose their engines: in
 * linear time (schedulers.md 5 to 8). */
#include "router/sched_scale_rig.h"

static void waiting_time_out(struct world *w)
{
    static const char *const forms[] = {"{\"after\": [\"%u\"], \"timeout\": 1}",
                                        "{\"after\": [\"%u\"], \"timeout\": 2}"};
    add_engines(w, 1);
    submit(w, 0, "{}");
    for (unsigned i = 1; i < w->n; i++)
        submit(w, i, naming(w, forms[i % 2], 0));
    pass_ms(w, 1001);
    settle(w);
    assert_int_equal(w->timeout, w->n / 2 - 1);
    pass_ms(w, 1001);
    settle(w);
    assert_int_equal(w->timeout, w->n - 1);
}

/* Each is given to all three engines, and they all answer so. */
static void everywhere(struct world *w, const char *metadata, const char *answer,
                       const size_t *count)
{
    add_engines(w, 3);
    submit_each(w, 0, w->n, metadata, 0);
    answer_all(w, answer);
    assert_int_equal(*count, w->n);
    assert_int_equal(w->n_sent, 3 * w->n);
}

static void unmet_everywhere(struct world *w)
{
    everywhere(w, "{}", UNMET, &w->impossible);
}

static void failing_everywhere(struct world *w)
{
    everywhere(w, "{\"retries\": 2}", ERROR, &w->error);
}

/* Refused by one engine after the other. */
static void one_is_unmet_by_many(struct world *w)
{
    add_engines(w, w->n / 100);
    for (unsigned i = 0; i < 100; i++)
        submit(w, i, "{}");
    answer_all(w, UNMET);
    assert_int_equal(w->impossible, 100);
    assert_int_equal(w->n_sent, w->n);
}

static void submit_to(struct world *w, unsigned i, unsigned engine)
{
    char metadata[64];
    snprintf(metadata, sizeof(metadata), "{\"targets\": [\"U%u\"]}", engine);
    submit(w, i, metadata);
}

static void targets_in_blocks(struct world *w)
{
    add_engines(w, w->n / 100);
    for (unsigned i = 0; i < w->n; i++)
        submit_to(w, i, i / 100);
    answer_all(w, OK);
    assert_int_equal(w->ok, w->n);
}

/* One of two engines each, and the first fails it. */
static void two_targets(struct world *w)
{
    char metadata[64];
    unsigned engines = w->n / 100;
    add_engines(w, engines);
    for (unsigned i = 0; i < w->n; i++) {
        snprintf(metadata, sizeof(metadata),
                 "{\"targets\": [\"U%u\", \"U%u\"], \"retries\": 1}", i / 100,
                 engines - 1 - i / 100);
        submit(w, i, metadata);
    }
    answer_all(w, ERROR);
    assert_int_equal(w->error, w->n);
    assert_int_equal(w->n_sent, 2 * w->n);
}

static void targets_by_turns(struct world *w)
{
    add_engines(w, w->n / 100);
    for (unsigned i = 0; i < w->n; i++)
        submit_to(w, i, i % w->n_engines);
    answer_all(w, OK);
    assert_int_equal(w->ok, w->n);
}

/* One engine after the other, but for that one. */
static void all_leave(struct world *w, unsigned but)
{
    for (unsigned i = 0; i < w->n_engines; i++)
        if (i != but) {
            sched_engine_gone(w->s, &w->engines[i].e, END_OVER, NULL, on_done);
            loop_turn(w->loop, 0);
        }
}

/* Engines leave, while all wait for something else. */
static void engines_leave_a_chain(struct world *w)
{
    add_engines(w, w->n / 100);
    make_chain(w, BOTH);
    all_leave(w, w->sent[0].engine);
    answer_all(w, OK);
    assert_int_equal(w->ok, w->n);
}

/* Each takes what was for it alone with it. */
static void engines_leave_their_targets(struct world *w)
{
    add_engines(w, w->n / 100);
    for (unsigned i = 0; i < w->n; i++)
        submit_to(w, i, i % w->n_engines);
    all_leave(w, w->n_engines);
    pass_ms(w, 201);
    settle(w);
    assert_int_equal(w->died, w->n_engines);
    assert_int_equal(w->impossible, w->n - w->n_engines);
}

/* Each task may run where it is asked for or on the last one; all others sleep for a while, and
 * are given up. */
static void engines_sleep(struct world *w)
{
    char metadata[64];
    add_engines(w, w->n / 100);
    for (unsigned i = 0; i < w->n; i++) {
        snprintf(metadata, sizeof(metadata), "{\"targets\": [\"U%u\", \"U%u\"]}",
                 i % (w->n_engines - 1), w->n_engines - 1);
        submit(w, i, metadata);
    }
    for (unsigned i = 0; i < w->n_engines - 1; i++)
        sched_engine_gone(w->s, &w->engines[i].e, END_LOST, NULL, on_done);
    pass_ms(w, 5001);
    for (unsigned i = 0; i < w->n_engines - 1; i++)
        wake_engine(w, i);
    answer_all(w, OK);
    assert_int_equal(w->died, w->n_engines - 1);
    assert_int_equal(w->ok, w->n - w->died);
}

/* All that have failed on one wait. */
static void engines_leave_those_who_failed(struct world *w)
{
    add_engines(w, w->n / 200);
    for (unsigned i = 0; i < w->n; i++)
        submit(w, i, "{\"retries\": 5}");
    for (unsigned i = 0; i < w->n; i++)
        answer(w, ERROR);
    assert_in_range(w->s->line.n_wary, w->n / 2, w->n);
    all_leave(w, w->n_engines);
    pass_ms(w, 201);
    settle(w);
    assert_int_equal(w->impossible, 0);
    w->n_answered = w->n_sent; /* they died with it */
    add_engines(w, 1);
    answer_all(w, OK);
    assert_int_equal(w->ok, w->n);
}

#define SCENES(X)                     \
    X(waiting_time_out, 1)            \
    X(unmet_everywhere, 1)            \
    X(failing_everywhere, 1)          \
    X(one_is_unmet_by_many, 1)        \
    X(targets_by_turns, 1)            \
    X(targets_in_blocks, 1)           \
    X(two_targets, 1)                 \
    X(engines_leave_a_chain, 1)       \
    X(engines_leave_their_targets, 1) \
    X(engines_sleep, 1)               \
    X(engines_leave_those_who_failed, 1)

SCALE_MAIN("router/sched_crowd", SCENES)
