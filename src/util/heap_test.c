/* SPDX-License-Identifier: BSD-3-Clause */
/* Order under pushes, changes and removals. */
#include "util/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/list.h"
#include "util/rand.h"

struct item {
    struct heap_node node;
    uint64_t key;
};

static bool less(const struct heap_node *a, const struct heap_node *b)
{
    return container_of(a, struct item, node)->key < container_of(b, struct item, node)->key;
}

#define N 500

static void test_random_work(void **state)
{
    static struct item items[N];
    struct heap h;
    heap_init(&h, less);
    for (int i = 0; i < N; i++) {
        items[i].key = rand_u64() % 1000;
        assert_int_equal(heap_push(&h, &items[i].node), 0);
    }
    for (int i = 0; i < N; i += 3)
        heap_remove(&h, &items[i].node);
    heap_remove(&h, &items[0].node);
    for (int i = 1; i < N; i += 3) {
        items[i].key = rand_u64() % 1000;
        heap_changed(&h, &items[i].node);
    }
    uint64_t last = 0;
    size_t n = 0;
    struct heap_node *top;
    while ((top = heap_top(&h))) {
        struct item *it = container_of(top, struct item, node);
        assert_true(it->key >= last);
        last = it->key;
        heap_remove(&h, top);
        assert_int_equal(top->index, 0);
        n++;
    }
    assert_int_equal(n, N - (N + 2) / 3);
    heap_fini(&h);
}

static void test_fini_frees_the_nodes(void **state)
{
    struct item a = {.key = 1};
    struct heap h;
    heap_init(&h, less);
    heap_push(&h, &a.node);
    heap_fini(&h);
    assert_int_equal(a.node.index, 0);
    heap_changed(&h, &a.node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_work),
        cmocka_unit_test(test_fini_frees_the_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
