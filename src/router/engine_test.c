/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine's life: every pair of state and event, and the timers, under a fake clock. */
#include "router/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/caps.h"
#include "util/log.h"

struct witness {
    struct loop *loop;
    struct engine_env env;
    struct engine *e;
    int alive, gone, gone_alive, strand, absent;
    int64_t now_ns;
};

static void on_alive(void *ctx, struct engine *e)
{
    ((struct witness *)ctx)->alive++;
}

static void on_gone(void *ctx, struct engine *e, bool was_alive)
{
    struct witness *w = ctx;
    w->gone++;
    w->gone_alive += was_alive;
}

static void on_strand(void *ctx, struct engine *e)
{
    ((struct witness *)ctx)->strand++;
}

static void on_absent(void *ctx, struct engine *e)
{
    ((struct witness *)ctx)->absent++;
}

static const struct engine_ops ops = {on_alive, on_gone, on_strand, on_absent};

/* A link is only looked at as a pointer here. */
static struct link *const some_link = (struct link *)&ops;

static int setup(void **state)
{
    struct witness *w = calloc(1, sizeof(*w));
    log_set_level(LOG_CRITICAL);
    w->loop = loop_new();
    w->now_ns = 1000000000;
    loop_set_clock(w->loop, w->now_ns);
    w->env = (struct engine_env){.loop = w->loop,
                                 .ops = &ops,
                                 .ctx = w,
                                 .stall_ms = 30000,
                                 .settle_ms = 2000,
                                 .lost_ms = 5000,
                                 .linger_reported_ms = 200,
                                 .linger_lost_ms = 5000};
    w->e = engine_new(&w->env, SLICE_LIT("u-1"), 3);
    *state = w;
    return w->e ? 0 : -1;
}

static int teardown(void **state)
{
    struct witness *w = *state;
    engine_free(w->e);
    loop_free(w->loop);
    free(w);
    return 0;
}

static void pass_ms(struct witness *w, int64_t ms)
{
    w->now_ns += MS_TO_NS(ms);
    loop_set_clock(w->loop, w->now_ns);
    loop_turn(w->loop, 0);
}

static void connect_stock(struct engine *e)
{
    e->links[CH_QUERY] = e->links[CH_MUX] = e->links[CH_TASK] = some_link;
    e->links[CH_CONTROL] = e->links[CH_HB] = some_link;
    engine_connected(e);
}

static void disconnect_all(struct engine *e)
{
    memset(e->links, 0, sizeof(e->links));
    engine_disconnected(e, false, false);
}

/* What each pair leads to; '-' is unlisted. */
static const enum engine_state A = ENGINE_ABSENT, P = ENGINE_PENDING, L = ENGINE_ALIVE,
                               O = ENGINE_PROBATION, G = ENGINE_GONE, none = ENGINE_STATE_MAX;

static void test_every_pair(void **state)
{
    struct witness *w = *state;
    const enum engine_state expected[ENGINE_STATE_MAX][EV_MAX] = {
        /*          REGISTER USABLE STALLED BEAT MISSED FAILED UNREG DISCO CLOSED */
        [ENGINE_ABSENT] = {P, none, none, none, none, none, none, none, none},
        [ENGINE_PENDING] = {none, L, G, none, none, none, G, G, none},
        [ENGINE_ALIVE] = {none, none, none, L, O, none, G, G, none},
        [ENGINE_PROBATION] = {none, none, none, L, O, G, G, G, none},
        [ENGINE_GONE] = {none, none, none, none, none, none, none, none, A},
    };
    for (enum engine_state s = 0; s < ENGINE_STATE_MAX; s++) {
        for (enum engine_event ev = 0; ev < EV_MAX; ev++) {
            struct engine *e = engine_new(&w->env, SLICE_LIT("x"), 1);
            e->state = s;
            uint64_t unlisted = w->env.unlisted_events;
            bool listed = engine_event(e, ev);
            enum engine_state want = expected[s][ev];
            assert_int_equal(listed, want != none);
            /* What was never alive is closed at once. */
            if (s == ENGINE_PENDING && want == ENGINE_GONE)
                want = ENGINE_ABSENT;
            assert_int_equal(e->state, want == none ? s : want);
            assert_int_equal(w->env.unlisted_events, unlisted + (listed ? 0 : 1));
            assert_non_null(engine_state_name(s));
            assert_non_null(engine_event_name(ev));
            engine_free(e);
        }
    }
}

static void test_first_beat_waits_for_connections(void **state)
{
    struct witness *w = *state;
    engine_event(w->e, EV_REGISTER);
    engine_beat(w->e);
    assert_int_equal(w->e->state, ENGINE_PENDING);
    connect_stock(w->e);
    assert_int_equal(w->e->state, ENGINE_ALIVE);
    assert_int_equal(w->alive, 1);
}

static void test_connections_that_stay_away(void **state)
{
    struct witness *w = *state;
    engine_event(w->e, EV_REGISTER);
    w->e->links[CH_HB] = some_link;
    engine_beat(w->e);
    pass_ms(w, 1999);
    assert_int_equal(w->alive, 0);
    pass_ms(w, 2);
    assert_int_equal(w->alive, 1);
}

static void test_ready_is_waited_for(void **state)
{
    struct witness *w = *state;
    w->e->caps = CAP_ready;
    engine_event(w->e, EV_REGISTER);
    w->e->attach = some_link;
    engine_connected(w->e);
    engine_beat(w->e);
    assert_int_equal(w->alive, 0);
    engine_ready(w->e);
    assert_int_equal(w->alive, 1);
}

static void test_stalled_without_connection(void **state)
{
    struct witness *w = *state;
    engine_event(w->e, EV_REGISTER);
    pass_ms(w, 30001);
    assert_int_equal(w->e->state, ENGINE_ABSENT);
    assert_int_equal(w->gone, 1);
    assert_int_equal(w->gone_alive, 0);
    assert_int_equal(w->absent, 1);
}

static void test_late_first_beat_completes(void **state)
{
    struct witness *w = *state;
    engine_event(w->e, EV_REGISTER);
    connect_stock(w->e);
    pass_ms(w, 60000);
    assert_int_equal(w->e->state, ENGINE_PENDING);
    engine_beat(w->e);
    assert_int_equal(w->e->state, ENGINE_ALIVE);
}

static void make_alive(struct witness *w)
{
    engine_event(w->e, EV_REGISTER);
    connect_stock(w->e);
    engine_beat(w->e);
    assert_int_equal(w->e->state, ENGINE_ALIVE);
}

static void test_misses_and_recovery(void **state)
{
    struct witness *w = *state;
    make_alive(w);
    for (unsigned i = 1; i <= 10; i++) {
        engine_event(w->e, EV_MISSED);
        assert_int_equal(w->e->misses, i);
    }
    engine_event(w->e, EV_BEAT);
    assert_int_equal(w->e->misses, 0);
    assert_int_equal(w->e->state, ENGINE_ALIVE);
}

static void test_end_lingers_until_all_is_closed(void **state)
{
    struct witness *w = *state;
    make_alive(w);
    engine_end(w->e, EV_UNREGISTER, "exit code 3");
    engine_end(w->e, EV_DISCONNECTED, "again");
    assert_string_equal(w->e->cause, "exit code 3");
    assert_true(w->e->reported);
    assert_int_equal(w->gone, 1);
    assert_int_equal(w->gone_alive, 1);
    pass_ms(w, 201);
    assert_int_equal(w->strand, 1);
    assert_int_equal(w->absent, 0);
    engine_close_tasks(w->e);
    assert_int_equal(w->absent, 1);
}

static void test_heart_failure_waits_longer(void **state)
{
    struct witness *w = *state;
    make_alive(w);
    engine_event(w->e, EV_MISSED);
    engine_end(w->e, EV_HEART_FAILED, NULL);
    assert_false(w->e->reported);
    pass_ms(w, 4999);
    assert_int_equal(w->strand, 0);
    pass_ms(w, 2);
    assert_int_equal(w->strand, 1);
}

static void test_end_of_connections(void **state)
{
    struct witness *w = *state;
    make_alive(w);
    disconnect_all(w->e);
    pass_ms(w, 4000);
    connect_stock(w->e);
    pass_ms(w, 10000);
    assert_int_equal(w->e->state, ENGINE_ALIVE);
    disconnect_all(w->e);
    pass_ms(w, 5001);
    assert_int_equal(w->e->state, ENGINE_GONE);
}

static void test_end_of_attached_connection(void **state)
{
    struct witness *w = *state;
    engine_event(w->e, EV_REGISTER);
    w->e->attach = some_link;
    engine_connected(w->e);
    engine_beat(w->e);
    w->e->attach = NULL;
    engine_disconnected(w->e, true, false);
    assert_int_equal(w->e->state, ENGINE_GONE);
    assert_true(w->e->reported);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_every_pair),
        T(test_first_beat_waits_for_connections),
        T(test_connections_that_stay_away),
        T(test_ready_is_waited_for),
        T(test_stalled_without_connection),
        T(test_late_first_beat_completes),
        T(test_misses_and_recovery),
        T(test_end_lingers_until_all_is_closed),
        T(test_heart_failure_waits_longer),
        T(test_end_of_connections),
        T(test_end_of_attached_connection),
    };
    return cmocka_run_group_tests_name("router/engine", tests, NULL, NULL);
}
