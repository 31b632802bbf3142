/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists that Python wrote, what we write, and octets that are no such list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/pickle.h"
#include "util/rand.h"

static int read_list(const void *text, size_t len, struct slice **items, unsigned *n)
{
    *items = NULL;
    *n = 0;
    return pickle_get((struct slice){text, len}, items, n);
}

static void test_what_python_writes(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *items[4];
        unsigned n;
    } rows[] = {
#define ROW(text) text, sizeof(text) - 1
        /* protocol 3 of [], [b"ab"], [b"a", b"", b""] (the empty one is one object) */
        {ROW("\x80\3]q\0."), {NULL}, 0},
        {ROW("\x80\3]q\0C\2abq\1a."), {"ab"}, 1},
        {ROW("\x80\3]q\0(C\1aq\1C\0q\2h\2e."), {"a", "", ""}, 3},
        /* protocol 4 and 5 of [b"a", b"bc"] and of an empty list */
        {ROW("\x80\4\x95\x0d\0\0\0\0\0\0\0]\x94(C\1a\x94"
             "C\2bc\x94"
             "e."),
         {"a", "bc"},
         2},
        {ROW("\x80\5\x95\x0d\0\0\0\0\0\0\0]\x94(C\1a\x94"
             "C\2bc\x94"
             "e."),
         {"a", "bc"},
         2},
        {ROW("\x80\5]\x94."), {NULL}, 0},
        /* two batches */
        {ROW("\x80\3](C\1ae(C\1be."), {"a", "b"}, 2},
#undef ROW
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct slice *items;
        unsigned n;
        assert_int_equal(read_list(rows[i].text, rows[i].len, &items, &n), 0);
        assert_int_equal(n, rows[i].n);
        for (unsigned k = 0; k < n; k++)
            assert_true(slice_is(items[k], rows[i].items[k]));
        free(items);
        for (size_t cut = 0; cut < rows[i].len; cut++)
            assert_int_equal(read_list(rows[i].text, cut, &items, &n), ERSA_EPARSE);
    }
}

static void test_what_we_write(void **state)
{
    char large[300];
    memset(large, 'x', sizeof(large));
    struct slice items[] = {{"one", 3}, {"", 0}, {large, sizeof(large)}}, *got;
    struct store_binary list = {items, 3};
    struct buf b;
    unsigned n;
    buf_init(&b, 4096);
    assert_int_equal(pickle_put(&b, &list), 0);
    assert_memory_equal(b.data, "\x80\3](C\3oneC\0B\x2c\1\0\0xxx", 19);
    assert_int_equal(read_list(b.data, b.len, &got, &n), 0);
    assert_int_equal(n, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_true(slice_eq(got[i], items[i]));
    free(got);
    buf_fini(&b);
}

static void test_something_else(void **state)
{
    static const char *const rows[] = {
        "",
        ".",
        "\x80\3N.",
        "\x80\3]]e.",
        "\x80\3](.",
        "\x80\3]h\1a.",
        "\x80\3]q\1.",
        "\x80\3]q",
        "C\1aa.",
        "]e.",
        "]a.",
        "](C\377e.",
        "](C\1a((e.",
    };
    struct slice *items;
    unsigned n;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(read_list(rows[i], strlen(rows[i]), &items, &n), ERSA_EPARSE);
}

/* Octets of the alphabet, in any order: nothing is read beyond the end. */
static void test_any_octets(void **state)
{
    static const unsigned char alphabet[] = {0x80, 0x95, 0x5d, 0x28, 0x43, 0x42,
                                             0x8e, 0x94, 0x71, 0x72, 0x68, 0x6a,
                                             0x61, 0x65, 0x2e, 0,    1,    3};
    unsigned char text[24], pick[24];
    struct slice *items;
    unsigned n;
    for (int i = 0; i < 20000; i++) {
        rand_bytes(pick, sizeof(pick));
        for (size_t k = 0; k < sizeof(text); k++)
            text[k] = alphabet[pick[k] % sizeof(alphabet)];
        if (read_list(text, pick[0] % sizeof(text), &items, &n) == 0)
            free(items);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_python_writes),
        cmocka_unit_test(test_what_we_write),
        cmocka_unit_test(test_something_else),
        cmocka_unit_test(test_any_octets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
