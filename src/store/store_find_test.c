/* SPDX-License-Identifier: BSD-3-Clause */
/* The suite of finding, for every store (stores_rig.h): the same query finds the same records,
 * whatever the database has its own ideas about. */
#include "store/stores_rig.h"
#include "util/buf.h"

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

static void test_finding(void **state)
{
    run_on(true, check_finding);
}

static void test_finding_odd_texts(void **state)
{
    run_on(true, check_finding_odd_texts);
}

static void test_finding_in_every_case(void **state)
{
    run_on(true, check_finding_in_every_case);
}

static void test_finding_what_is_empty(void **state)
{
    run_on(true, check_finding_what_is_empty);
}

static void test_odd_objects(void **state)
{
    run_on(true, check_odd_objects);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finding),
        cmocka_unit_test(test_finding_odd_texts),
        cmocka_unit_test(test_finding_in_every_case),
        cmocka_unit_test(test_finding_what_is_empty),
        cmocka_unit_test(test_odd_objects),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
