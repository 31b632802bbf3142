/* SPDX-License-Identifier: BSD-3-Clause */
/* Each is visited once a round, a few in a turn, whoever comes and goes meanwhile. */
#include "router/rounds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define N 1000
#define WITHIN_NS MS_TO_NS(1000)
#define STEP_MS 1

struct guest {
    struct list link;
    unsigned visits;
    int64_t last_ns;
};

static struct world {
    struct loop *loop;
    int64_t now_ns;
    struct rounds rounds;
    struct guest guests[2 * N];
    unsigned in_turn, most_in_turn, turns;
    struct guest *victim, *newcomer; /* of the next visit */
} w;

static void visit(struct rounds *rs, struct list *item)
{
    struct guest *g = container_of(item, struct guest, link);
    g->visits++;
    g->last_ns = w.now_ns;
    w.in_turn++;
    if (w.victim)
        rounds_remove(rs, &w.victim->link);
    if (w.newcomer)
        rounds_add(rs, &w.newcomer->link);
    w.victim = w.newcomer = NULL;
}

static int setup(void **state)
{
    w = (struct world){.loop = loop_new(), .now_ns = 1000};
    loop_set_clock(w.loop, w.now_ns);
    rounds_init(&w.rounds, w.loop, visit);
    for (int i = 0; i < 2 * N; i++)
        list_init(&w.guests[i].link);
    for (int i = 0; i < N; i++)
        rounds_add(&w.rounds, &w.guests[i].link);
    return w.loop ? 0 : -1;
}

static int teardown(void **state)
{
    rounds_stop(&w.rounds);
    loop_free(w.loop);
    return 0;
}

static void end_turn(void)
{
    if (w.in_turn > w.most_in_turn)
        w.most_in_turn = w.in_turn;
    w.turns += w.in_turn > 0;
    w.in_turn = 0;
}

static void pass_ms(int ms)
{
    for (int i = 0; i < ms; i += STEP_MS) {
        w.now_ns += MS_TO_NS(STEP_MS);
        loop_set_clock(w.loop, w.now_ns);
        loop_turn(w.loop, 0);
        end_turn();
    }
}

static void begin(void)
{
    rounds_start(&w.rounds, WITHIN_NS);
    end_turn();
}

static void assert_visits(int from, int to, unsigned visits)
{
    for (int i = from; i < to; i++)
        assert_int_equal(w.guests[i].visits, visits);
}

static void test_once_a_round_in_order_and_spread(void **state)
{
    for (unsigned round = 1; round <= 3; round++) {
        int64_t start_ns = w.now_ns;
        begin();
        pass_ms(500);
        assert_in_range(w.guests[N / 4].last_ns, start_ns + MS_TO_NS(180),
                        start_ns + MS_TO_NS(320));
        assert_int_equal(w.guests[N - 1].visits, round - 1);
        pass_ms(500);
        assert_visits(0, N, round);
        for (int i = 1; i < N; i++)
            assert_true(w.guests[i].last_ns >= w.guests[i - 1].last_ns);
    }
    assert_int_equal(w.most_in_turn, ROUNDS_A_TURN);
    assert_int_equal(w.turns, 3 * ((N + ROUNDS_A_TURN - 1) / ROUNDS_A_TURN));
    assert_false(timer_is_set(&w.rounds.timer));
}

static void test_those_who_come_and_go(void **state)
{
    begin();
    pass_ms(500);
    for (int i = 1; i < N; i += 2) /* before and after their turn */
        rounds_remove(&w.rounds, &w.guests[i].link);
    rounds_remove(&w.rounds, &w.guests[1].link); /* once more */
    for (int i = N; i < N + 300; i++)
        rounds_add(&w.rounds, &w.guests[i].link);
    assert_int_equal(w.rounds.n, N / 2 + 300);
    pass_ms(500);
    assert_int_equal(w.guests[N - 1].visits, 0);
    assert_visits(N, N + 300, 0);
    for (int i = 0; i < N; i += 2)
        assert_int_equal(w.guests[i].visits, 1);
    begin();
    pass_ms(1000);
    for (int i = 0; i < N; i += 2)
        assert_int_equal(w.guests[i].visits, 2);
    assert_int_equal(w.guests[1].visits, 1);
    assert_visits(N, N + 300, 1);
}

/* The visit itself changes who takes part: the visited, the next, one visited before. */
static void test_changes_in_a_visit(void **state)
{
    struct guest *g = w.guests;
    rounds_stop(&w.rounds);
    w.victim = &g[0];
    w.newcomer = &g[N];
    begin();
    w.victim = &g[ROUNDS_A_TURN + 1];
    pass_ms(200);
    w.victim = &g[1];
    pass_ms(800);
    assert_int_equal(g[0].visits, 1);
    assert_int_equal(g[ROUNDS_A_TURN + 1].visits, 0);
    assert_int_equal(g[N].visits, 0);
    begin();
    pass_ms(1000);
    assert_int_equal(g[0].visits, 1);
    assert_int_equal(g[1].visits, 1);
    assert_int_equal(g[2].visits, 2);
    assert_int_equal(g[N].visits, 1);
}

/* A loop that was held up: who was left over comes first, and nobody twice. */
static void test_round_that_was_not_finished(void **state)
{
    begin();
    begin();
    assert_visits(0, 2 * ROUNDS_A_TURN, 1);
    pass_ms(1000);
    assert_visits(0, ROUNDS_A_TURN, 2);
    assert_visits(ROUNDS_A_TURN, N, 1);
}

static void test_nobody(void **state)
{
    for (int i = 0; i < N; i++)
        rounds_remove(&w.rounds, &w.guests[i].link);
    begin();
    assert_int_equal(w.turns, 0);
    assert_false(timer_is_set(&w.rounds.timer));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_once_a_round_in_order_and_spread),
        T(test_those_who_come_and_go),
        T(test_changes_in_a_visit),
        T(test_round_that_was_not_finished),
        T(test_nobody),
    };
    return cmocka_run_group_tests_name("router/rounds", tests, NULL, NULL);
}
