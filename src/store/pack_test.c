/* SPDX-License-Identifier: BSD-3-Clause */
/* Records come out of octets as they went in, and nothing is read that is not there. */
#include "store/pack.h"

#include "store/store_rig.h"

static struct store_record example(void)
{
    static const struct slice buffers[] = {{"one", 3}, {"", 0}, {"\0two", 4}},
                              results[] = {{"r", 1}};
    struct store_record r = request("an id", 1767323045678901);
    set_text(&r, F_label, "");
    r.set |= STORE_BUFFERS;
    r.v[F_buffers].binary = (struct store_binary){buffers, 3};
    r.v[F_result_buffers].binary = (struct store_binary){results, 1};
    return r;
}

static void assert_example(const struct store_record *r)
{
    assert_int_equal(r->set, example().set);
    assert_text(r, F_msg_id, "an id");
    assert_text(r, F_header, "{\"msg_id\": 1}");
    assert_text(r, F_label, "");
    assert_int_equal(r->v[F_submitted].date, 1767323045678901);
    assert_int_equal(r->v[F_buffers].binary.n, 3);
    assert_true(slice_is(r->v[F_buffers].binary.items[0], "one"));
    assert_int_equal(r->v[F_buffers].binary.items[1].len, 0);
    assert_memory_equal(r->v[F_buffers].binary.items[2].data, "\0two", 4);
    assert_int_equal(r->v[F_result_buffers].binary.n, 1);
    assert_true(slice_is(r->v[F_result_buffers].binary.items[0], "r"));
}

static void test_there_and_back(void **state)
{
    struct pack_items items = {NULL, 0};
    struct store_record r = example(), got;
    struct buf b;
    buf_init(&b, 1 << 20);
    set_text(&r, F_stdout, "is left out");
    assert_int_equal(pack_put(&b, &r), 0);
    size_t first = b.len;
    r = request("b", 2);
    assert_int_equal(pack_put(&b, &r), 0);
    struct slice octets = {(const char *)b.data, b.len};
    assert_int_equal(pack_get(octets, &items, &got), first);
    assert_example(&got);
    octets = (struct slice){octets.data + first, octets.len - first};
    assert_int_equal(pack_get(octets, &items, &got), octets.len);
    assert_text(&got, F_msg_id, "b");
    pack_items_fini(&items);
    buf_fini(&b);
}

/* Cut short anywhere, or with any octet changed: refused, or read within its bounds (the
 * copy has no octet to spare, so that a sanitizer sees it). */
static void test_damaged(void **state)
{
    struct pack_items items = {NULL, 0};
    struct store_record r = example(), got;
    struct buf b;
    buf_init(&b, 1 << 20);
    assert_int_equal(pack_put(&b, &r), 0);
    for (size_t n = 0; n < b.len; n++) {
        char *cut = malloc(n + 1);
        memcpy(cut, b.data, n);
        assert_int_equal(pack_get((struct slice){cut, n}, &items, &got), ERSA_EPARSE);
        free(cut);
    }
    size_t refused = 0;
    for (size_t i = 0; i < b.len; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            char *copy = malloc(b.len);
            memcpy(copy, b.data, b.len);
            copy[i] = (char)(copy[i] ^ 1 << bit);
            int64_t rc = pack_get((struct slice){copy, b.len}, &items, &got);
            assert_true(rc == ERSA_EPARSE || rc == (int64_t)b.len);
            refused += rc < 0;
            free(copy);
        }
    assert_true(refused > 200);
    pack_items_fini(&items);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_there_and_back),
                                       cmocka_unit_test(test_damaged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
