/* SPDX-License-Identifier: BSD-3-Clause */
/* One suite for every store (stores_rig.h): records are written, changed, read and dropped.
 * What only one of them does has tests of its own; finding is in store_find_test.c. */
#include "store/stores_rig.h"

static void check_writing(struct store *st)
{
    struct store_record r = request("a", 1);
    put(st, &r);
    put(st, &r);
    assert_int_equal(st->ops->append(st, s("a"), F_stdout, s("x"), NULL), 0);
    assert_int_equal(st->ops->drop(st, s("a"), NULL), 0);
}

static void check_that_nothing_is_kept(struct store *st)
{
    struct store_record r = request("a", 1);
    struct names n = {""};
    struct ersa_error err = {0};
    struct store_query *q = NULL;
    json_t *j = json_object();
    put(st, &r);
    assert_int_equal(st->ops->get(st, s("a"), STORE_ALL, &r, &err), ERSA_EUNSUPPORTED);
    assert_string_equal(err.text, "NoDB backend doesn't store any data. ");
    assert_int_equal(st->ops->history(st, add_name, &n, &err), ERSA_EUNSUPPORTED);
    assert_int_equal(store_query_parse(&q, j, NULL), 0);
    assert_int_equal(st->ops->find(st, q, STORE_ALL, add_record_name, &n, &err),
                     ERSA_EUNSUPPORTED);
    store_query_free(q);
    json_decref(j);
}

static void check_new_record(struct store *st)
{
    struct store_record r = request("a", 5), got;
    assert_int_equal(st->ops->get(st, s("a"), STORE_ALL, &got, NULL), ERSA_ENOENT);
    assert_int_equal(st->ops->append(st, s("a"), F_stdout, s("x"), NULL), ERSA_ENOENT);
    put(st, &r);
    got = get(st, "a");
    assert_text(&got, F_msg_id, "a");
    assert_text(&got, F_header, "{\"msg_id\": 1}");
    assert_text(&got, F_stdout, "");
    assert_text(&got, F_stderr, "");
    assert_int_equal(got.v[F_submitted].date, 5);
    assert_true(store_is_null(&got, F_completed));
    assert_true(store_is_null(&got, F_buffers));
    assert_true(store_is_null(&got, F_label));
}

static void check_merging(struct store *st)
{
    struct slice buffers[] = {s("one"), s(""), s("three")}, results[] = {s("r")};
    struct store_record r = {.set = 0}, got;
    set_text(&r, F_msg_id, "a"); /* output came first */
    put(st, &r);
    assert_int_equal(st->ops->append(st, s("a"), F_stdout, s("out"), NULL), 0);
    r = request("a", 5);
    r.set |= 1u << F_buffers;
    r.v[F_buffers].binary = (struct store_binary){buffers, 3};
    put(st, &r);
    r = (struct store_record){.set = 0};
    set_text(&r, F_msg_id, "a");
    set_text(&r, F_result_content, "{\"status\": \"ok\"}");
    set_date(&r, F_completed, 9);
    r.set |= 1u << F_result_buffers;
    r.v[F_result_buffers].binary = (struct store_binary){results, 1};
    put(st, &r);
    r = (struct store_record){.set = 0};
    set_text(&r, F_msg_id, "a");
    set_text(&r, F_metadata, "{\"label\": \"l\"}"); /* of the request's group, written later */
    set_text(&r, F_engine_uuid, "e0");
    put(st, &r);
    set_text(&r, F_engine_uuid, "e1");
    put(st, &r);
    assert_int_equal(st->ops->append(st, s("a"), F_stdout, s("put"), NULL), 0);
    assert_int_equal(st->ops->append(st, s("a"), F_stderr, s("err"), NULL), 0);
    got = get(st, "a");
    assert_text(&got, F_stdout, "output");
    assert_text(&got, F_stderr, "err");
    assert_text(&got, F_content, "{}");
    assert_text(&got, F_metadata, "{\"label\": \"l\"}");
    assert_text(&got, F_engine_uuid, "e1");
    assert_text(&got, F_result_content, "{\"status\": \"ok\"}");
    assert_int_equal(got.v[F_buffers].binary.n, 3);
    assert_true(slice_is(got.v[F_buffers].binary.items[0], "one"));
    assert_int_equal(got.v[F_buffers].binary.items[1].len, 0);
    assert_true(slice_is(got.v[F_buffers].binary.items[2], "three"));
    assert_int_equal(got.v[F_result_buffers].binary.n, 1);
    assert_true(slice_is(got.v[F_result_buffers].binary.items[0], "r"));
    assert_int_equal(got.v[F_submitted].date, 5);
    assert_int_equal(got.v[F_completed].date, 9);
}

static void check_what_is_passed_in_is_copied(struct store *st)
{
    char id[] = "a", header[] = "{}", stream[] = "x";
    struct store_record r = {.set = 0};
    set_text(&r, F_msg_id, id);
    set_text(&r, F_header, header);
    put(st, &r);
    st->ops->append(st, s(id), F_stdout, s(stream), NULL);
    id[0] = header[0] = stream[0] = '#';
    r = get(st, "a");
    assert_text(&r, F_msg_id, "a");
    assert_text(&r, F_header, "{}");
    assert_text(&r, F_stdout, "x");
}

static void check_update(struct store *st)
{
    struct store_record r = {.set = 0};
    set_text(&r, F_msg_id, "a");
    set_text(&r, F_engine_uuid, "e0");
    assert_int_equal(st->ops->update(st, &r, NULL), ERSA_ENOENT);
    assert_int_equal(st->ops->get(st, s("a"), STORE_ALL, &r, NULL), ERSA_ENOENT);
    r = request("a", 1);
    put(st, &r);
    r = (struct store_record){.set = 0};
    set_text(&r, F_msg_id, "a");
    set_text(&r, F_engine_uuid, "e0");
    assert_int_equal(st->ops->update(st, &r, NULL), 0);
    r = get(st, "a");
    assert_text(&r, F_engine_uuid, "e0");
    assert_text(&r, F_queue, "task");
}

static void check_history_and_drop(struct store *st)
{
    static const struct {
        const char *id;
        int64_t date;
    } rows[] = {{"c", 30}, {"a", 10}, {"b", 20}, {"b2", 20}};
    for (size_t i = 0; i < 4; i++) {
        struct store_record r = request(rows[i].id, rows[i].date);
        put(st, &r);
    }
    struct store_record skeleton = {.set = 0};
    set_text(&skeleton, F_msg_id, "s");
    put(st, &skeleton);
    assert_history(st, "a b b2 c ");
    assert_found(st, "{}", "c a b b2 s ");
    assert_int_equal(st->ops->drop(st, s("b"), NULL), 0);
    assert_int_equal(st->ops->drop(st, s("b"), NULL), ERSA_ENOENT);
    assert_history(st, "a b2 c ");
}

static int count_record(void *ctx, const struct store_record *r)
{
    assert_int_equal(r->v[F_buffers].binary.n, 1);
    ++*(size_t *)ctx;
    return 0;
}

/* Written or not, there or not. */
static void check_dropping_many(struct store *st)
{
    static char texts[2500][8];
    static struct slice ids[2500];
    if (!st->ops->drop_many)
        return;
    for (int i = 0; i < 2500; i++) {
        snprintf(texts[i], sizeof(texts[i]), "%d", i);
        ids[i] = s(texts[i]);
        if (i == 1000)
            assert_int_equal(count(st), 1000);
        if (i < 2000)
            put_number(st, i, 8, i % 2);
    }
    assert_int_equal(st->ops->drop_many(st, ids + 1, 2499, NULL), 0);
    assert_history(st, "0 ");
    assert_int_equal(st->ops->drop_many(st, ids, 0, NULL), 0);
    struct store_record r = request("7", 7); /* the id is free again */
    put(st, &r);
    assert_history(st, "0 7 ");
}

/* Written or not; those that are not there are passed over. */
static void check_getting_many(struct store *st)
{
    static char texts[2500][8];
    static struct slice ids[2500];
    struct names n = {""};
    if (!st->ops->get_many)
        return;
    for (int i = 0; i < 2500; i++) {
        snprintf(texts[i], sizeof(texts[i]), "%d", 10000 + i);
        ids[i] = s(texts[i]);
        if (i == 1000)
            assert_int_equal(count(st), 50);
        if (i % 20 == 1)
            put_number(st, 10000 + i, 8, i % 40 == 1);
    }
    size_t seen = 0;
    assert_int_equal(
        ANSWER(st->ops->get_many(st, ids, 2500, STORE_ALL, count_record, &seen, NULL)), 0);
    assert_int_equal(seen, 125);
    assert_int_equal(
        st->ops->get_many(st, ids + 1000, 30, STORE_ALL, add_record_name, &n, NULL), 0);
    assert_string_equal(n.text, "11001 11021 ");
    assert_int_equal(st->ops->get_many(st, ids, 0, STORE_ALL, add_record_name, &n, NULL), 0);
    int stop = 0;
    assert_int_equal(st->ops->get_many(st, ids, 2500, STORE_ALL, stop_at_second, &stop, NULL),
                     ERSA_EFULL);
    assert_int_equal(stop, 2);
}

/* Zeros, and output that comes to what is written. */
static void check_odd_streams(struct store *st)
{
    struct store_record r = request("a", 1);
    put(st, &r);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(st->ops->append(st, s("a"), F_stdout, (struct slice){"a\0b", 3}, NULL),
                         0);
        assert_int_equal(
            st->ops->append(st, s("a"), F_stderr, (struct slice){"\xc3\xa9\n", 3}, NULL), 0);
        assert_history(st, "a ");
    }
    r = get(st, "a");
    assert_true(slice_eq(r.v[F_stdout].text, (struct slice){"a\0ba\0ba\0b", 9}));
    assert_text(&r, F_stderr, "\xc3\xa9\n\xc3\xa9\n\xc3\xa9\n");
}

static void test_writing_succeeds(void **state)
{
    run_on(true, check_writing);
    run_on(false, check_writing);
}

static void test_stores_that_keep_nothing(void **state)
{
    run_on(false, check_that_nothing_is_kept);
}

static void test_stores_that_keep(void **state)
{
    run_on(true, check_new_record);
    run_on(true, check_merging);
    run_on(true, check_what_is_passed_in_is_copied);
    run_on(true, check_update);
    run_on(true, check_history_and_drop);
    run_on(true, check_dropping_many);
    run_on(true, check_getting_many);
    run_on(true, check_odd_streams);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writing_succeeds),
        cmocka_unit_test(test_stores_that_keep_nothing),
        cmocka_unit_test(test_stores_that_keep),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
