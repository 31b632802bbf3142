/* SPDX-License-Identifier: BSD-3-Clause */
/* Against a plain array: puts, removals, growth, iteration. */
#include "util/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ersa/error.h"
#include "util/rand.h"

#define N 5000

static char keys[N][12];

static void make_keys(void)
{
    for (int i = 0; i < N; i++)
        snprintf(keys[i], sizeof(keys[i]), "key-%d", i);
}

static void test_against_an_array(void **state)
{
    static bool is_in[N];
    struct map m;
    size_t n = 0;
    make_keys();
    map_init(&m);
    for (int step = 0; step < 200000; step++) {
        int i = (int)(rand_u64() % (step < 100000 ? N : 50));
        size_t len = strlen(keys[i]);
        if (rand_u64() % 2) {
            assert_int_equal(map_put(&m, keys[i], len, keys[i]), is_in[i] ? ERSA_EEXIST : 0);
            n += !is_in[i];
            is_in[i] = true;
        } else {
            assert_ptr_equal(map_remove(&m, keys[i], len), is_in[i] ? keys[i] : NULL);
            n -= is_in[i];
            is_in[i] = false;
        }
        assert_int_equal(map_size(&m), n);
    }
    for (int i = 0; i < N; i++)
        assert_ptr_equal(map_get(&m, keys[i], strlen(keys[i])), is_in[i] ? keys[i] : NULL);
    size_t pos = 0, seen = 0;
    const char *key;
    while ((key = map_next(&m, &pos))) {
        seen++;
        assert_ptr_equal(map_remove(&m, key, strlen(key)), key);
    }
    assert_int_equal(seen, n);
    assert_int_equal(map_size(&m), 0);
    map_fini(&m);
}

static void test_empty_key(void **state)
{
    struct map m;
    int value;
    map_init(&m);
    assert_null(map_get(&m, "", 0));
    assert_int_equal(map_put(&m, "", 0, &value), 0);
    assert_ptr_equal(map_get(&m, "", 0), &value);
    assert_int_equal(map_put(&m, NULL, 0, &value), ERSA_EEXIST);
    assert_ptr_equal(map_remove(&m, NULL, 0), &value);
    assert_int_equal(map_put(&m, NULL, 0, &value), 0);
    assert_ptr_equal(map_get(&m, "", 0), &value);
    map_fini(&m);
}

static void test_shrinks(void **state)
{
    struct map m;
    make_keys();
    map_init(&m);
    for (int i = 0; i < N; i++)
        map_put(&m, keys[i], strlen(keys[i]), keys[i]);
    for (int i = 5; i < N; i++)
        map_remove(&m, keys[i], strlen(keys[i]));
    assert_int_equal(map_put(&m, keys[10], strlen(keys[10]), keys[10]), 0);
    assert_true(m.n_slots <= 64);
    size_t small = m.n_slots;
    for (int round = 0; round < N - 12; round++) { /* the dead don't make it grow */
        map_remove(&m, keys[10 + round], strlen(keys[10 + round]));
        map_put(&m, keys[11 + round], strlen(keys[11 + round]), keys[11 + round]);
    }
    assert_true(m.n_slots <= small);
    for (int i = 0; i < 5; i++)
        assert_ptr_equal(map_get(&m, keys[i], strlen(keys[i])), keys[i]);
    map_fini(&m);
}

static void test_hash_spreads(void **state)
{
    make_keys();
    assert_int_equal(map_hash("abc", 3), map_hash("abc", 3));
    unsigned buckets[16] = {0};
    for (int i = 0; i < N; i++)
        buckets[map_hash(keys[i], strlen(keys[i])) & 15]++;
    for (int i = 0; i < 16; i++)
        assert_true(buckets[i] > N / 32 && buckets[i] < N / 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_an_array),
        cmocka_unit_test(test_empty_key),
        cmocka_unit_test(test_shrinks),
        cmocka_unit_test(test_hash_spreads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
