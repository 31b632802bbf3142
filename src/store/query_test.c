/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "store/glob.h"
#include "store/query.h"
#include "util/buf.h"
#include "util/clock.h"
#include "wire/json.h"

#define DATE "2026-01-02T03:04:05.678901Z"
#define EARLIER "2026-01-02T03:04:05.678900Z"
#define SAME_ELSEWHERE "2026-01-02T04:04:05.678901+01:00"

static struct slice s(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static struct store_record sample(void)
{
    struct store_record r = {.set = 1u << F_msg_id | 1u << F_submitted | 1u << F_queue |
                                    1u << F_label | 1u << F_content | 1u << F_stdout |
                                    1u << F_buffers};
    r.v[F_msg_id].text = s("a_1");
    r.v[F_queue].text = s("task");
    r.v[F_label].text = s(DATE);
    r.v[F_content].text = s("{\"code\": \"x\", \"n\": [1]}");
    r.v[F_stdout].text = s("");
    assert_int_equal(clock_parse_iso(DATE, strlen(DATE), &r.v[F_submitted].date), 0);
    return r;
}

static bool matches(const char *query)
{
    struct store_record r = sample();
    struct store_query *q = NULL;
    struct ersa_error err = {0};
    json_t *j = json_parse(s(query), &err);
    if (!j || store_query_parse(&q, j, &err) < 0)
        fail_msg("%s: %s", query, err.text);
    json_decref(j);
    bool result = store_query_matches(q, &r);
    store_query_free(q);
    return result;
}

#define YES(query) assert_true(matches(query))
#define NO(query) assert_false(matches(query))

static void test_equality(void **state)
{
    YES("{}");
    YES("{\"msg_id\": \"a_1\"}");
    NO("{\"msg_id\": \"a_2\"}");
    NO("{\"msg_id\": \"a_1\", \"queue\": \"mux\"}");
    YES("{\"msg_id\": \"a_1\", \"queue\": \"task\"}");
    YES("{\"submitted\": \"" DATE "\"}");
    YES("{\"submitted\": {\"$eq\": \"" SAME_ELSEWHERE "\"}}");
    NO("{\"submitted\": \"" EARLIER "\"}");
    NO("{\"submitted\": \"yesterday\"}");
    YES("{\"label\": \"" DATE "\"}");
    NO("{\"msg_id\": 5}");
    NO("{\"buffers\": [\"x\"]}");
    YES("{\"content\": {\"$eq\": {\"n\": [1], \"code\": \"x\"}}}");
    NO("{\"content\": {\"$eq\": {\"n\": [2], \"code\": \"x\"}}}");
    YES("{\"content\": {\"$in\": [1, {\"n\": [1], \"code\": \"x\"}]}}");
}

static void test_nulls(void **state)
{
    YES("{\"completed\": null}");
    NO("{\"completed\": {\"$ne\": null}}");
    YES("{\"submitted\": {\"$ne\": null}}");
    NO("{\"msg_id\": null}");
    YES("{\"completed\": {\"$ne\": \"" DATE "\"}}");
    NO("{\"completed\": {\"$lt\": \"" DATE "\"}}");
    NO("{\"completed\": {\"$gte\": null}}");
    YES("{\"completed\": {\"$in\": [null]}}");
    YES("{\"completed\": {\"$nin\": [\"x\"]}}");
    NO("{\"completed\": {\"$nin\": [null]}}");
    NO("{\"engine_uuid\": {\"$glob\": \"*\"}}");
    YES("{\"nosuch\": null}");
    NO("{\"nosuch\": \"x\"}");
    YES("{\"nosuch\": {\"$exists\": false}}");
    YES("{\"msg_id\": {\"$exists\": true}}");
    NO("{\"msg_id\": {\"$exists\": 0}}");
    YES("{\"stdout\": \"\"}");
}

static void test_order(void **state)
{
    NO("{\"submitted\": {\"$lt\": \"" DATE "\"}}");
    YES("{\"submitted\": {\"$lte\": \"" DATE "\"}}");
    YES("{\"submitted\": {\"$le\": \"" DATE "\"}}");
    YES("{\"submitted\": {\"$gt\": \"" EARLIER "\"}}");
    NO("{\"submitted\": {\"$gt\": \"" DATE "\"}}");
    YES("{\"submitted\": {\"$gte\": \"" DATE "\"}}");
    YES("{\"submitted\": {\"$ge\": \"" DATE "\"}}");
    YES("{\"submitted\": {\"$gt\": \"" EARLIER "\", \"$lt\": \"2027-01-01T00:00:00Z\"}}");
    NO("{\"submitted\": {\"$gt\": \"" EARLIER "\", \"$lt\": \"" DATE "\"}}");
    YES("{\"msg_id\": {\"$lt\": \"a_10\"}}");
    YES("{\"msg_id\": {\"$gt\": \"a_\"}}");
    NO("{\"msg_id\": {\"$gt\": \"b\"}}");
    NO("{\"submitted\": {\"$lt\": 5}}");
    NO("{\"submitted\": {\"$lt\": [1, 2]}}");
}

static void test_lists(void **state)
{
    YES("{\"msg_id\": {\"$in\": [\"x\", \"a_1\"]}}");
    NO("{\"msg_id\": {\"$in\": []}}");
    YES("{\"msg_id\": {\"$nin\": []}}");
    NO("{\"msg_id\": {\"$nin\": [\"a_1\"]}}");
    /* Long lists are looked up. */
    YES("{\"msg_id\": {\"$in\": [1, null, \"0\", \"1\", \"2\", \"3\", \"4\", \"5\", \"6\", "
        "\"6\", "
        "\"a_1\"]}}");
    NO("{\"msg_id\": {\"$in\": [1, null, \"0\", \"1\", \"2\", \"3\", \"4\", \"5\", \"6\", "
       "\"7\"]}}");
    YES("{\"submitted\": {\"$in\": [\"0\", \"1\", \"2\", \"3\", \"4\", \"5\", \"6\", \"7\", "
        "\"" DATE "\"]}}");
    YES("{\"completed\": {\"$in\": [null, \"0\", \"1\", \"2\", \"3\", \"4\", \"5\", \"6\", "
        "\"7\"]}}");
    YES("{\"msg_id\": {\"$all\": [[\"a_1\", \"x\"], \"xa_1x\", {\"a_1\": 0}]}}");
    NO("{\"msg_id\": {\"$all\": [[\"x\"], \"a_1\"]}}");
    NO("{\"msg_id\": {\"$all\": [5]}}");
    NO("{\"msg_id\": {\"$mod\": [2, 1]}}");
}

static void check_error(const char *query, int code, const char *text)
{
    struct store_query *q = NULL;
    struct ersa_error err = {0};
    json_t *j = json_parse(s(query), NULL);
    assert_int_equal(store_query_parse(&q, j, &err), code);
    assert_null(q);
    assert_string_equal(err.text, text);
    json_decref(j);
}

static void test_errors(void **state)
{
    check_error("[]", ERSA_EINVAL, "the query must be an object");
    check_error("{\"a\": {\"$foo\": 1}}", ERSA_ENOENT, "$foo");
    check_error("{\"$or\": [{\"msg_id\": \"x\"}]}", ERSA_ENOENT, "$or");
    check_error("{\"queue\": \"mux\", \"$and\": []}", ERSA_ENOENT, "$and");
    check_error("{\"$not\": {}}", ERSA_ENOENT, "$not");
    check_error("{\"msg_id\": \"x\", \"a\": {\"b\": 1}}", ERSA_ENOENT, "b");
    check_error("{\"a\": {\"$in\": 1}}", ERSA_EINVAL, "$in needs a list");
    check_error("{\"a\": {\"$nin\": {}}}", ERSA_EINVAL, "$nin needs a list");
    check_error("{\"a\": {\"$glob\": null}}", ERSA_EINVAL, "$glob needs a string");
    check_error("{\"a\": {\"$mod\": [1]}}", ERSA_EINVAL, "$mod needs a list of two numbers");
}

static void test_query_for_one_id(void **state)
{
    static const struct {
        const char *query, *id;
    } rows[] = {
        {"{\"msg_id\": \"x\"}", "x"},
        {"{\"queue\": null, \"msg_id\": {\"$eq\": \"y\"}}", "y"},
        {"{\"msg_id\": {\"$ne\": \"x\"}}", NULL},
        {"{\"msg_id\": null}", NULL},
        {"{}", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct store_query *q = NULL;
        struct slice id;
        json_t *j = json_parse(s(rows[i].query), NULL);
        assert_int_equal(store_query_parse(&q, j, NULL), 0);
        assert_int_equal(store_query_id(q, &id), rows[i].id != NULL);
        if (rows[i].id)
            assert_true(slice_is(id, rows[i].id));
        store_query_free(q);
        json_decref(j);
    }
}

/* Checked against Python's fnmatch.fnmatchcase(). */
static void test_glob(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool want;
    } rows[] = {
        {"group_a*", "group_a/subgroup_b", true},
        {"group_a/subgroup_?", "group_a/subgroup_b", true},
        {"group_b", "group_b", true},
        {"group_b", "group_b/x", false},
        {"group_b/subgroup_[ab]", "group_b/subgroup_b", true},
        {"group_b/subgroup_[ab]", "group_b/subgroup_c", false},
        {"*/subgroup_a", "group_b/subgroup_a", true},
        {"*[*]*", "a*b", true},
        {"*[*]*", "ab", false},
        {"*[?]*", "a?b", true},
        {"*[?]*", "ab", false},
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"?", "", false},
        {"?", "\xc3\xa9", true},
        {"[\xc3\xa0-\xc3\xaf]", "\xc3\xa9", true},
        {"?", "\xff", true},
        {"\xc3\xbf", "\xff", false},
        {"[\xc3\xa0-\xc3\xbf]", "\xff", false},
        {"/", "\xe0\x80\xaf", false},
        {"???", "\xe0\x80\xaf", true},
        {"[!a]", "b", true},
        {"[!a]", "a", false},
        {"[^a]", "^", true},
        {"[^a]", "b", false},
        {"[]]", "]", true},
        {"[!]]", "a", true},
        {"[!]]", "]", false},
        {"[a-c]x", "bx", true},
        {"[a-]", "-", true},
        {"[", "[", true},
        {"[a", "[a", true},
        {"[!]", "[!]", true},
        {"a\\*", "a\\b", true},
        {"A", "a", false},
        {"*a*b*c", "xxaxxbxxcxxc", true},
        {"*a*b*c", "xxaxxcxxbxx", false},
        {".*", ".a", true},
        {"*a", ".a", true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (glob_match(s(rows[i].pattern), s(rows[i].text)) != rows[i].want)
            fail_msg("%s, %s", rows[i].pattern, rows[i].text);
}

static void test_glob_does_not_explode(void **state)
{
    char text[2000], pattern[60];
    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i < sizeof(pattern); i += 2)
        memcpy(pattern + i, "*a", 2);
    pattern[sizeof(pattern) - 1] = 'b';
    assert_false(glob_match((struct slice){pattern, sizeof(pattern)},
                            (struct slice){text, sizeof(text)}));
}

/* A list in a list of conditions: how the condition begins and ends, and what stands around the
 * number in each element. */
static const struct {
    const char *begin, *end, *left, *right;
} long_lists[] = {
    {"{\"submitted\": {\"$in\": [", "]}}", "\"2025-01-02T03:04:05.", "Z\""},
    {"{\"submitted\": {\"$in\": [", "]}}", "\"no date ", "\""},
    {"{\"submitted\": {\"$in\": [", "]}}", "", ""},
    {"{\"completed\": {\"$in\": [", "]}}", "\"2025-01-02T03:04:05.", "Z\""},
    {"{\"msg_id\": {\"$in\": [", "]}}", "{\"a\": ", "}"},
    {"{\"engine_uuid\": {\"$in\": [", "]}}", "\"x", "\""},
    {"{\"content\": {\"$in\": [", "]}}", "{\"a\": [", ", 1.5, true]}"},
    {"{\"msg_id\": {\"$all\": [[", "]]}}", "\"x", "\""},
    {"{\"completed\": {\"$all\": [[", "]]}}", "\"2025-01-02T03:04:05.", "Z\""},
};

static struct store_query *long_query(unsigned row, unsigned n)
{
    struct buf query;
    struct store_query *q = NULL;
    buf_init(&query, 1 << 24);
    buf_puts(&query, long_lists[row].begin);
    for (unsigned i = 0; i < n; i++)
        buf_printf(&query, "%s%s%u%s", i ? ", " : "", long_lists[row].left, 100000 + i,
                   long_lists[row].right);
    buf_puts(&query, long_lists[row].end);
    json_t *j = json_parse(s(buf_cstr(&query)), NULL);
    assert_int_equal(store_query_parse(&q, j, NULL), 0);
    json_decref(j);
    buf_fini(&query);
    return q;
}

static double cpu_of(const struct store_query *q, unsigned n)
{
    struct store_record r = sample();
    struct timespec from, to;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    for (unsigned i = 0; i < n; i++)
        assert_false(store_query_matches(q, &r));
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    return (double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec);
}

/* What a record costs does not grow with the list. */
static void test_long_lists_cost_nothing(void **state)
{
    for (unsigned row = 0; row < sizeof(long_lists) / sizeof(long_lists[0]); row++) {
        struct store_query *few = long_query(row, 10), *many = long_query(row, 10000);
        double cost[2] = {cpu_of(few, 2000), cpu_of(many, 2000)};
        if (cost[1] > 20 * cost[0] + 1e6)
            fail_msg("list %u: %.0f ns for ten, %.0f ns for ten thousand", row, cost[0] / 2000,
                     cost[1] / 2000);
        store_query_free(few);
        store_query_free(many);
    }
}

/* Equal is equal however it is written, as without a list. */
static void test_lists_of_trees(void **state)
{
    YES("{\"content\": {\"$in\": [{\"n\": [1]}, {\"n\": [1], \"code\": \"x\"}]}}");
    NO("{\"content\": {\"$in\": [{\"n\": [1.0], \"code\": \"x\"}, {\"n\": [1], \"code\": "
       "\"y\"}]}}");
    NO("{\"content\": {\"$in\": [{\"n\": 1, \"code\": \"x\"}, null, \"x\", 1]}}");
    YES("{\"content\": {\"$nin\": [{\"n\": [2], \"code\": \"x\"}]}}");
    YES("{\"submitted\": {\"$in\": [1, null, \"" SAME_ELSEWHERE "\"]}}");
    NO("{\"submitted\": {\"$in\": [null, {}, [], \"" EARLIER "\"]}}");
    NO("{\"buffers\": {\"$in\": [[], 1, \"x\"]}}");
    YES("{\"unknown\": {\"$in\": [1, null]}}");
    YES("{\"completed\": {\"$all\": [[1, null]]}}");
    YES("{\"submitted\": {\"$all\": [[1, \"" SAME_ELSEWHERE "\"]]}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equality),       cmocka_unit_test(test_nulls),
        cmocka_unit_test(test_order),          cmocka_unit_test(test_long_lists_cost_nothing),
        cmocka_unit_test(test_lists_of_trees), cmocka_unit_test(test_lists),
        cmocka_unit_test(test_errors),         cmocka_unit_test(test_query_for_one_id),
        cmocka_unit_test(test_glob),           cmocka_unit_test(test_glob_does_not_explode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
