/* SPDX-License-Identifier: BSD-3-Clause */
/* What the store in memory costs does not grow with what it holds: output is appended in place,
 * one record is found without looking at the others, dropping for room does not sort. Four
 * times as much may take eight times as long; a square would be sixteen. */
#include <time.h>

#include "store/store_rig.h"

enum { SMALL = 10000, GROWTH = 4, SLACK = 2 };

static void append_output(struct store *st, int n)
{
    struct store_record r = request("a", 1);
    put(st, &r);
    for (int i = 0; i < n; i++)
        assert_int_equal(st->ops->append(st, s("a"), F_stdout, s("a line\n"), NULL), 0);
    r = get(st, "a");
    assert_int_equal(r.v[F_stdout].text.len, 7 * (size_t)n);
}

static void find_each(struct store *st, int n)
{
    char query[64], want[16];
    for (int i = 0; i < n; i++)
        put_number(st, i, 1, false);
    for (int i = 0; i < n; i++) {
        snprintf(query, sizeof(query), "{\"msg_id\": \"%d\"}", i);
        snprintf(want, sizeof(want), "%d ", i);
        assert_found(st, query, want);
    }
}

static void drop_for_room(struct store *st, int n)
{
    for (int i = 0; i < 3 * n / 2; i++) /* a third has no place, of the rest half no payload */
        put_number(st, i, 20, i % 2);
    assert_true(count(st) <= (size_t)n);
    assert_true(st->counts.stripped > (uint64_t)n / 4);
}

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int64_t play(void (*scene)(struct store *st, int n), int n)
{
    struct store_limits limits = {
        .records = (uint64_t)n, .bytes = (uint64_t)n * 10, .cull = 0.0001};
    struct store *st = NULL;
    assert_int_equal(store_memory_open(&st, &limits, NULL), 0);
    int64_t start = cpu_ns();
    scene(st, n);
    int64_t took = cpu_ns() - start;
    st->ops->close(st);
    return took;
}

static void test_is_linear(void **state)
{
    void (*const scenes[])(struct store * st, int n) = {append_output, find_each,
                                                        drop_for_room};
    for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
        double best = 1e9;
        for (int tries = 0; tries < 3 && best > GROWTH * SLACK; tries++) {
            int64_t small = play(scenes[i], SMALL), large = play(scenes[i], GROWTH * SMALL);
            double ratio = (double)large / (double)small;
            best = ratio < best ? ratio : best;
        }
        if (best > GROWTH * SLACK)
            fail_msg("scene %zu: %.1f times as long", i, best);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_is_linear)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
