/* SPDX-License-Identifier: BSD-3-Clause */
/* Each scheme against what schedulers.md 5.2 says: leastload against a scan, those that draw
 * against their chances, all against each other. */
#include "router/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "util/rand.h"

enum { N = 50 };

static void test_unknown(void **state)
{
    struct policy *p = NULL;
    struct ersa_error err = {0};
    assert_int_equal(policy_open(&p, "purest", &err), ERSA_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "'purest'"));
    policy_close(NULL);
}

static void test_empty_and_full(void **state)
{
    struct policy *p = NULL;
    struct sched_engine e = {0};
    assert_int_equal(policy_open(&p, "leastload", NULL), 0);
    assert_null(p->ops->choose(p));
    assert_int_equal(p->ops->add(p, &e), 0);
    assert_ptr_equal(p->ops->choose(p), &e);
    e.full = true;
    p->ops->changed(p, &e);
    assert_null(p->ops->choose(p));
    assert_null(p->ops->choose_among(p, (struct sched_engine *const[]){&e}, 1));
    e.full = false;
    p->ops->changed(p, &e);
    assert_ptr_equal(p->ops->choose(p), &e);
    p->ops->remove(p, &e);
    assert_null(p->ops->choose(p));
    assert_null(p->ops->choose_among(p, NULL, 0));
    policy_close(p);
}

static struct sched_engine *scan(struct sched_engine *const *list, size_t n)
{
    struct sched_engine *best = NULL;
    for (size_t i = 0; i < n; i++) {
        struct sched_engine *e = list[i];
        if (e->full)
            continue;
        unsigned load = policy_load(e), least = best ? policy_load(best) : 0;
        if (!best || load < least || (load == least && e->turn < best->turn))
            best = e;
    }
    return best;
}

/* As a scan of all would choose, through a thousand changes. */
static void test_like_a_scan(void **state)
{
    static struct sched_engine engines[N];
    struct sched_engine *in[N];
    size_t n = 0;
    int64_t turn = 0;
    struct policy *p = NULL;
    assert_int_equal(policy_open(&p, "leastload", NULL), 0);
    for (size_t i = 0; i < N; i++) {
        engines[i].turn = -(int64_t)i;
        assert_int_equal(p->ops->add(p, &engines[i]), 0);
        in[n++] = &engines[i];
    }
    for (int step = 0; step < 5000; step++) {
        size_t i = rand_u64() % n;
        struct sched_engine *e = in[i];
        switch (rand_u64() % 8) {
        case 0:
            if (n > 2) {
                p->ops->remove(p, e);
                in[i] = in[--n];
            }
            break;
        case 1:
            if (n < N) {
                for (e = engines; e->node.index; e++)
                    ;
                assert_int_equal(p->ops->add(p, e), 0);
                in[n++] = e;
            }
            break;
        case 2:
            e->full = !e->full;
            p->ops->changed(p, e);
            break;
        case 3:
            e->load -= e->load > 0;
            p->ops->changed(p, e);
            break;
        case 4:
            e->is_taken = !e->is_taken;
            p->ops->changed(p, e);
            break;
        default:
            e->load++;
            e->turn = ++turn;
            p->ops->changed(p, e);
        }
        assert_ptr_equal(p->ops->choose(p), scan(in, n));
        assert_ptr_equal(p->ops->choose_among(p, in, n / 2), scan(in, n / 2));
    }
    policy_close(p);
}

/* Schemes that draw: frequencies against the chances that schedulers.md 5.2 gives. */

enum { ENGINES = 8, DRAWS = 100000 };

/* One honest run in 18 million lies above it, with 7 degrees of freedom: the draws are other
 * ones each time, and there are dozens in a `make check`. */
#define CHI_SQUARE_MAX 47.0

static struct sched_engine crowd[ENGINES];

/* Loads 0 1 2 3 0 1 2 3; the first stands at the front of the line. */
static struct policy *open_crowd(const char *scheme)
{
    struct policy *p = NULL;
    assert_int_equal(policy_open(&p, scheme, NULL), 0);
    for (unsigned i = 0; i < ENGINES; i++) {
        crowd[i] = (struct sched_engine){.turn = i, .load = i % 4};
        assert_int_equal(p->ops->add(p, &crowd[i]), 0);
    }
    return p;
}

static void draw(struct policy *p, bool among, unsigned counts[ENGINES])
{
    struct sched_engine *list[ENGINES];
    for (unsigned i = 0; i < ENGINES; i++)
        list[i] = &crowd[i];
    memset(counts, 0, ENGINES * sizeof(*counts));
    for (int i = 0; i < DRAWS; i++) {
        struct sched_engine *e =
            among ? p->ops->choose_among(p, list, ENGINES) : p->ops->choose(p);
        assert_non_null(e);
        counts[e - crowd]++;
    }
}

static double chi_square(const unsigned counts[ENGINES], const double chances[ENGINES])
{
    double sum = 0;
    for (unsigned i = 0; i < ENGINES; i++) {
        double expected = chances[i] * DRAWS;
        if (expected < 1e-3) /* practically never: three times would be a wonder */
            sum += counts[i] > 2 ? 1000 : 0;
        else
            sum += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    return sum;
}

static void chances_plainrandom(double out[ENGINES])
{
    for (unsigned i = 0; i < ENGINES; i++)
        out[i] = 1.0 / ENGINES;
}

static void chances_twobin(double out[ENGINES])
{
    for (unsigned i = 0; i < ENGINES; i++) /* the lower of two indices */
        out[i] = (2.0 * (ENGINES - i) - 1) / (ENGINES * ENGINES);
}

static void chances_weighted(double out[ENGINES])
{
    double w[ENGINES], sum = 0;
    for (unsigned i = 0; i < ENGINES; i++)
        sum += w[i] = 1 / (1e-6 + crowd[i].load);
    memset(out, 0, ENGINES * sizeof(*out));
    for (unsigned i = 0; i < ENGINES; i++)
        for (unsigned k = 0; k < ENGINES; k++)
            out[w[k] > w[i] ? k : i] += w[i] / sum * w[k] / sum;
}

static const struct {
    const char *scheme;
    void (*chances)(double out[ENGINES]);
} drawing[] = {
    {"plainrandom", chances_plainrandom},
    {"twobin", chances_twobin},
    {"weighted", chances_weighted},
};

static void test_chances(void **state)
{
    unsigned counts[ENGINES];
    double chances[ENGINES];
    for (size_t i = 0; i < sizeof(drawing) / sizeof(drawing[0]); i++) {
        struct policy *p = open_crowd(drawing[i].scheme);
        for (int round = 0; round < 2; round++) {
            drawing[i].chances(chances);
            for (int among = 0; among < 2; among++) {
                draw(p, among, counts);
                assert_true(chi_square(counts, chances) < CHI_SQUARE_MAX);
            }
            for (unsigned k = 0; k < ENGINES; k++) { /* nobody idle: less lopsided weights */
                crowd[k].load++;
                p->ops->changed(p, &crowd[k]);
            }
        }
        policy_close(p);
    }
}

/* Who is full is never drawn, and comes back. */
static void test_full_engines_are_not_drawn(void **state)
{
    static const char *const schemes[] = {"leastload", "lru",    "plainrandom",
                                          "pure",      "twobin", "weighted"};
    unsigned counts[ENGINES];
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        struct policy *p = open_crowd(schemes[i]);
        for (unsigned k = 0; k < ENGINES; k++) {
            crowd[k].full = k != 3 && k != 5;
            p->ops->changed(p, &crowd[k]);
        }
        for (int among = 0; among < 2; among++) {
            draw(p, among, counts);
            assert_int_equal(counts[3] + counts[5], DRAWS);
        }
        p->ops->remove(p, &crowd[3]);
        crowd[5].full = true;
        p->ops->changed(p, &crowd[5]);
        assert_null(p->ops->choose(p));
        crowd[7].full = false;
        p->ops->changed(p, &crowd[7]);
        assert_ptr_equal(p->ops->choose(p), &crowd[7]);
        for (unsigned k = 0; k < ENGINES; k++)
            if (k != 3)
                p->ops->remove(p, &crowd[k]);
        assert_null(p->ops->choose(p));
        policy_close(p);
    }
}

/* One state in which every scheme does something else: the engine at the front is loaded, an
 * idle one stands at the end. */
static void test_schemes_differ(void **state)
{
    unsigned counts[ENGINES];
    static const struct {
        const char *scheme;
        unsigned front_min, front_max, idle_min, idle_max; /* per cent of the draws */
    } expected[] = {
        {"leastload", 0, 0, 100, 100},   {"lru", 100, 100, 0, 0},  {"pure", 100, 100, 0, 0},
        {"plainrandom", 11, 14, 11, 14}, {"twobin", 22, 25, 1, 2}, {"weighted", 0, 0, 99, 100},
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        struct policy *p = open_crowd(expected[i].scheme);
        for (unsigned k = 0; k < ENGINES; k++) {
            crowd[k].load = k == ENGINES - 1 ? 0 : 2;
            p->ops->changed(p, &crowd[k]);
        }
        draw(p, false, counts);
        unsigned front = counts[0] / (DRAWS / 100), idle = counts[ENGINES - 1] / (DRAWS / 100);
        assert_in_range(front, expected[i].front_min, expected[i].front_max);
        assert_in_range(idle, expected[i].idle_min, expected[i].idle_max);
        assert_int_equal(p->ops->is_relay, strcmp(expected[i].scheme, "pure") == 0);
        policy_close(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chances),
        cmocka_unit_test(test_full_engines_are_not_drawn),
        cmocka_unit_test(test_schemes_differ),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_empty_and_full),
        cmocka_unit_test(test_like_a_scan),
    };
    return cmocka_run_group_tests_name("router/policy", tests, NULL, NULL);
}
