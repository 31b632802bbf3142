/* SPDX-License-Identifier: BSD-3-Clause */
/* leastload: fewest tasks first, among equals the longest without a new one, full ones never.
 */
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
        if (!best || e->load < best->load || (e->load == best->load && e->turn < best->turn))
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_empty_and_full),
        cmocka_unit_test(test_like_a_scan),
    };
    return cmocka_run_group_tests_name("router/policy", tests, NULL, NULL);
}
