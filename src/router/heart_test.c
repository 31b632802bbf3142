/* SPDX-License-Identifier: BSD-3-Clause */
/* When an engine that is silent counts as dead, and who is spared, by a clock of our own. What
 * is pinged is counted in tests/proto/test_heartbeat.py. */
#include "router/heart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "router/core.h"
#include "util/log.h"

#define PERIOD_MS 1000
#define MISSES 3
#define STEP_MS 1
#define N 500

static struct world {
    struct router r;
    struct loop *loop;
    int64_t now_ms;
    struct engine *engines[N];
    int64_t ended_ms[N]; /* 0: lives */
    unsigned in_turn, most_in_turn;
} w;

static void on_alive(void *ctx, struct engine *e)
{
    heart_watch(&w.r, e);
}

static void on_gone(void *ctx, struct engine *e, bool was_alive)
{
    heart_unwatch(&w.r, e);
    w.ended_ms[e->id] = w.now_ms;
    w.in_turn++;
}

static void on_end(void *ctx, struct engine *e)
{
}

static const struct engine_ops ops = {on_alive, on_gone, on_end, on_end};

static void pass_ms(int ms)
{
    for (int i = 0; i < ms; i += STEP_MS) {
        w.now_ms += STEP_MS;
        loop_set_clock(w.loop, MS_TO_NS(w.now_ms));
        w.in_turn = 0;
        loop_turn(w.loop, 0);
        if (w.in_turn > w.most_in_turn)
            w.most_in_turn = w.in_turn;
    }
}

static int setup(void **state)
{
    log_set_level(LOG_ERROR);
    w = (struct world){.loop = loop_new(), .now_ms = 1000};
    loop_set_clock(w.loop, MS_TO_NS(w.now_ms));
    w.r.loop = w.loop;
    w.r.cfg.heart_period_ms = PERIOD_MS;
    w.r.cfg.heart_misses_max = MISSES;
    registry_init(&w.r.registry, w.loop, &(struct registry_limits){30000, 30000}, &ops, NULL);
    heart_start(&w.r);
    return w.loop ? 0 : -1;
}

static int teardown(void **state)
{
    heart_stop(&w.r);
    registry_fini(&w.r.registry);
    loop_free(w.loop);
    return 0;
}

static void add_engines(int n)
{
    char uuid[16];
    for (int i = 0; i < n; i++) {
        int len = snprintf(uuid, sizeof(uuid), "u%d", i);
        struct engine **e = &w.engines[i];
        assert_int_equal(registry_add(&w.r.registry, (struct slice){uuid, (size_t)len},
                                      REGISTRY_NO_ID, CAP_ready, e, NULL),
                         0);
        engine_ready(*e);
        engine_event(*e, EV_USABLE);
        assert_int_equal((*e)->state, ENGINE_ALIVE);
    }
}

static void test_silent_engines_end_within_the_limits(void **state)
{
    add_engines(N);
    int64_t start_ms = w.now_ms;
    pass_ms(3 * PERIOD_MS + 500); /* some way into a period */
    for (int i = 0; i < N; i += 5)
        engine_beat(w.engines[i]);
    int64_t last_ms = w.now_ms;
    pass_ms((MISSES + 2) * PERIOD_MS);
    for (int i = 0; i < N; i++) { /* the look that finds the last beat, and those that miss */
        int64_t since_ms = i % 5 ? start_ms : last_ms;
        assert_in_range(w.ended_ms[i] - since_ms, (MISSES + 1) * PERIOD_MS,
                        (MISSES + 2) * PERIOD_MS + 10);
    }
    assert_in_range(w.most_in_turn, 1, ROUNDS_A_TURN);
    assert_int_equal(w.r.heart.looks.n, 0);
}

static void test_misses_are_in_a_row(void **state)
{
    add_engines(2);
    for (int i = 0; i < 5; i++) {
        pass_ms(MISSES * PERIOD_MS);
        engine_beat(w.engines[1]);
    }
    assert_int_not_equal(w.ended_ms[0], 0);
    assert_int_equal(w.ended_ms[1], 0);
    assert_int_equal(w.engines[1]->misses, MISSES - 1);
}

static void test_any_message_is_a_beat(void **state)
{
    add_engines(1);
    for (int i = 0; i < 3 * MISSES; i++) {
        pass_ms(PERIOD_MS);
        w.engines[0]->heard = true;
    }
    assert_int_equal(w.ended_ms[0], 0);
    assert_int_equal(w.engines[0]->misses, 0);
}

/* Others leave, and new ones come, while they are looked at. */
static void test_crowd_that_changes(void **state)
{
    add_engines(N);
    for (int period = 0; period < 2 * MISSES; period++)
        for (int i = 0; i < N; i++) {
            engine_beat(w.engines[i]);
            if (i % 50 == 0)
                pass_ms(PERIOD_MS * 50 / N);
            if (i == period)
                engine_end(w.engines[i], EV_UNREGISTER, NULL);
        }
    for (int i = 0; i < N; i++)
        assert_int_equal(w.ended_ms[i] == 0, i >= 2 * MISSES);
    assert_int_equal(w.r.heart.looks.n, N - 2 * MISSES);
    assert_int_equal(w.r.registry.n_live, N - 2 * MISSES);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_silent_engines_end_within_the_limits),
        T(test_misses_are_in_a_row),
        T(test_any_message_is_a_beat),
        T(test_crowd_that_changes),
    };
    return cmocka_run_group_tests_name("router/heart", tests, NULL, NULL);
}
