/* SPDX-License-Identifier: BSD-3-Clause */
/* One suite for every store: a row of `stores` says how to open it and whether it keeps
 * anything. What only the bounded store in memory does follows behind. */
#include "store/store_rig.h"
#include "util/buf.h"

static int open_none(struct store **ret)
{
    return store_none_open(ret, NULL);
}

static int open_memory(struct store **ret)
{
    struct store_limits limits = {.records = 1000, .bytes = 1 << 20, .cull = 0.1};
    return store_memory_open(ret, &limits, NULL);
}

/* A server for tests: mongodb://... */
#define MONGODB "ERSA_TEST_MONGODB"

static int open_mongo(struct store **ret)
{
    static int n;
    char database[64];
    snprintf(database, sizeof(database), "test_%d_%d", (int)getpid(), n++);
    struct store_mongo_config cfg = {.uri = getenv(MONGODB), .database = database};
    return store_mongo_open(ret, &cfg, NULL);
}

static const struct seat {
    const char *name;
    int (*open)(struct store **ret);
    bool keeps;
    const char *needs; /* a variable of the environment */
} stores[] = {
    {"none", open_none, false, NULL},
    {"memory", open_memory, true, NULL},
    {"sqlite", open_sqlite, true, NULL},
    {"mongodb", open_mongo, true, MONGODB},
};
#define N_STORES (sizeof(stores) / sizeof(stores[0]))

/* Every store */

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

static int stop_at_second(void *ctx, const struct store_record *r)
{
    return ++*(int *)ctx == 2 ? ERSA_EFULL : 0;
}

static void check_finding(struct store *st)
{
    for (int i = 0; i < 4; i++) {
        char id[2] = {(char)('a' + i)};
        struct store_record r = request(id, i);
        set_text(&r, F_engine_uuid, i % 2 ? "e1" : "e0");
        put(st, &r);
    }
    assert_found(st, "{\"engine_uuid\": \"e1\", \"queue\": \"task\"}", "b d ");
    assert_found(st, "{\"msg_id\": \"c\"}", "c ");
    assert_found(st, "{\"msg_id\": \"c\", \"engine_uuid\": \"e1\"}", "");
    assert_found(st, "{\"msg_id\": \"x\"}", "");
    assert_found(st, "{\"msg_id\": {\"$in\": []}}", "");
    int n = 0;
    json_t *j = json_object();
    struct store_query *q = NULL;
    assert_int_equal(store_query_parse(&q, j, NULL), 0);
    assert_int_equal(st->ops->find(st, q, STORE_ALL, stop_at_second, &n, NULL), ERSA_EFULL);
    assert_int_equal(n, 2);
    store_query_free(q);
    json_decref(j);
}

/* Zeros in texts, and a pattern that is long and not ASCII. */
static void check_finding_odd_texts(struct store *st)
{
    char label[2 * 300 + 1] = "", query[sizeof(label) + 64];
    struct store_record zero = request("z", 1), long_one = request("l", 2);
    zero.set |= STORE_FIELD(F_label);
    zero.v[F_label].text = (struct slice){"a\0b", 3};
    put(st, &zero);
    for (int i = 0; i < 300; i++)
        memcpy(label + 2 * (size_t)i, "\xc3\xa9", 3);
    set_text(&long_one, F_label, label);
    put(st, &long_one);
    assert_found(st, "{\"label\": \"a\\u0000b\"}", "z ");
    assert_found(st, "{\"label\": {\"$glob\": \"a*b\"}}", "z ");
    assert_found(st, "{\"label\": {\"$glob\": \"a?b\"}}", "z ");
    assert_found(st, "{\"label\": {\"$in\": [\"x\", \"a\\u0000b\"]}}", "z ");
    assert_found(st, "{\"label\": {\"$nin\": [\"x\", \"a\\u0000b\"]}}", "l ");
    assert_found(st, "{\"label\": {\"$nin\": [\"a\\u0000c\"]}}", "z l ");
    snprintf(query, sizeof(query), "{\"label\": {\"$glob\": \"%s\"}}", label);
    assert_found(st, query, "l ");
}

/* What databases of this kind stumble over: nulls, empty and long lists, operands of other
 * types, negated patterns. */
static void check_finding_in_every_case(struct store *st)
{
    static const struct {
        const char *query, *want;
    } rows[] = {
        {"{}", "a b c "},
        {"{\"msg_id\": {\"$in\": []}, \"queue\": \"task\"}", ""},
        {"{\"msg_id\": {\"$nin\": []}}", "a b c "},
        {"{\"label\": {\"$in\": [null, \"x\"]}}", "a c "},
        {"{\"label\": {\"$nin\": [null]}}", "a b "},
        {"{\"label\": {\"$ne\": \"x\"}}", "b c "},
        {"{\"label\": {\"$nin\": [\"x\"]}}", "b c "},
        {"{\"label\": {\"$glob\": \"[!x]\"}}", "b "},
        {"{\"label\": {\"$lt\": [1, 2]}}", ""},
        {"{\"label\": {\"$lt\": null}}", ""},
        {"{\"completed\": {\"$lt\": \"2026-01-01T00:00:00Z\"}}", "a "},
        {"{\"completed\": {\"$gt\": \"1969-01-01T00:00:00Z\"}}", "a "},
        {"{\"submitted\": {\"$gt\": \"1970-01-01T00:00:00.000002Z\"}}", "c "},
        {"{\"submitted\": {\"$lt\": \"1970-01-01T00:00:00.000002Z\"}}", "a "},
        {"{\"queue\": \"task\", \"label\": \"x\"}", "a "},
        {"{\"label\": \"x\", \"completed\": {\"$ne\": null}, \"queue\": \"mux\"}", ""},
    };
    struct store_record a = request("a", 1), b = request("b", 2), c = request("c", 3);
    set_text(&a, F_label, "x");
    set_date(&a, F_completed, 9);
    set_text(&b, F_label, "!");
    put(st, &a);
    put(st, &b);
    put(st, &c);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_found(st, rows[i].query, rows[i].want);
    struct buf many;
    buf_init(&many, 1 << 20);
    buf_puts(&many, "{\"msg_id\": {\"$in\": [");
    for (int i = 0; i < 5000; i++)
        buf_printf(&many, "\"id%d\", ", i);
    buf_puts(&many, "\"b\"]}}");
    assert_found(st, buf_cstr(&many), "b ");
    buf_fini(&many);
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

/* Null is what a reply shows as null, or a table has no value for. */
static void check_finding_what_is_empty(struct store *st)
{
    struct slice one = s("x");
    struct store_record a = request("a", 1), b = request("b", 2), c = request("c", 3);
    a.set |= STORE_FIELD(F_buffers);
    a.v[F_buffers].binary = (struct store_binary){&one, 0};
    b.set |= STORE_FIELD(F_buffers);
    b.v[F_buffers].binary = (struct store_binary){&one, 1};
    set_text(&b, F_content, "[1, 2]"); /* no object */
    put(st, &a);
    put(st, &b);
    put(st, &c);
    assert_found(st, "{\"buffers\": null}", "a c ");
    assert_found(st, "{\"buffers\": {\"$ne\": null}}", "b ");
    assert_found(st, "{\"buffers\": {\"$exists\": false}}", "a c ");
    assert_found(st, "{\"buffers\": {\"$in\": [null]}}", "a c ");
    assert_found(st, "{\"content\": null}", "b ");
    assert_found(st, "{\"content\": {\"$exists\": true}}", "a c ");
}

/* The same object, spaces apart. */
static void assert_object(struct store *st, const char *id, enum store_field f,
                          const char *want)
{
    struct store_record r = get(st, id);
    assert_false(store_is_null(&r, f));
    json_t *got = json_parse(r.v[f].text, NULL), *wanted = json_parse(s(want), NULL);
    assert_true(wanted && json_equal(got, wanted));
    json_decref(got);
    json_decref(wanted);
}

/* Keys that databases have their own ideas about, and what is nested more deeply than they
 * like: nothing of the record is lost. */
static void check_odd_objects(struct store *st)
{
    static const char *const objects[] = {
        "{\"\": 1}",
        "{\"a.b\": 1}",
        "{\"$set\": {\"$x\": 1}}",
        "{\"x\": {\"\": [{\"\": null}]}}",
        "{\"_id\": 1, \"$ref\": 2, \"$id\": 3}",
    };
    static const unsigned depths[] = {80, 90, 100, 150, 500};
    char deep[8 * 512 + 1], id[8];
    for (unsigned i = 0; i < 5; i++) {
        snprintf(id, sizeof(id), "o%u", i);
        struct store_record r = request(id, i);
        set_text(&r, F_metadata, objects[i]);
        put(st, &r);
        snprintf(id, sizeof(id), "d%u", i);
        r = request(id, 10 + i);
        size_t len = 0;
        for (unsigned k = 0; k < depths[i]; k++)
            len += (size_t)sprintf(deep + len, "{\"a\":");
        deep[len++] = '1';
        memset(deep + len, '}', depths[i]);
        deep[len + depths[i]] = 0;
        assert_true(len + depths[i] < sizeof(deep));
        set_text(&r, F_content, deep);
        put(st, &r);
    }
    assert_found(st, "{\"queue\": \"task\"}", "o0 d0 o1 d1 o2 d2 o3 d3 o4 d4 ");
    for (unsigned i = 0; i < 5; i++) {
        snprintf(id, sizeof(id), "o%u", i);
        assert_object(st, id, F_metadata, objects[i]);
    }
    assert_object(st, "d4", F_content, deep);
}

static void run_on(bool keeps, void (*check)(struct store *st))
{
    for (size_t i = 0; i < N_STORES; i++) {
        struct store *st = NULL;
        if (stores[i].keeps != keeps || (stores[i].needs && !getenv(stores[i].needs)))
            continue;
        assert_int_equal(stores[i].open(&st), 0);
        assert_string_equal(st->ops->name, stores[i].name);
        check(st);
        st->ops->close(st);
    }
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
    run_on(true, check_finding);
    run_on(true, check_finding_odd_texts);
    run_on(true, check_finding_in_every_case);
    run_on(true, check_dropping_many);
    run_on(true, check_odd_streams);
    run_on(true, check_finding_what_is_empty);
    run_on(true, check_odd_objects);
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
