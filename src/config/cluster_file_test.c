/* SPDX-License-Identifier: BSD-3-Clause */
/* Cluster files in the reference's form. */
#include "config/cluster_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/test_dir.h"

#define NAMES_MAX 256

static const char expected[] =
    "{\"cluster\": {\"cluster_id\": \"\", \"controller_args\": [], \"controller_ip\": \"\","
    "\"controller_location\": \"\", \"delay\": 1.0, \"n\": 2, \"profile_dir\": "
    "\"/p/profile_x\","
    "\"class\": \"ipyparallel.cluster.cluster.Cluster\"},"
    "\"controller\": {\"class\": \"local\", \"state\": {\"cluster_id\": \"\", \"output_file\":"
    "\"/p/log/c.log\", \"pid\": 4711, \"profile_dir\": \"/p/profile_x\", \"state\": "
    "\"running\"}},"
    "\"engines\": {\"class\": \"local\", \"sets\": {\"1795350102\": {\"cluster_id\": \"\", "
    "\"n\": 2,"
    "\"pid\": -1, \"profile_dir\": \"/p/profile_x\", \"state\": \"running\", \"engines\": {"
    "\"0\": {\"cluster_id\": \"\", \"n\": 1, \"output_file\": \"/p/log/e0.log\", \"pid\": 12,"
    "\"profile_dir\": \"/p/profile_x\", \"state\": \"running\"},"
    "\"1\": {\"cluster_id\": \"\", \"n\": 1, \"output_file\": \"/p/log/e1.log\", \"pid\": 13,"
    "\"profile_dir\": \"/p/profile_x\", \"state\": \"running\"}}}}}}";

/* One controller and a set of two engines; states are the launchers' business and taken as they
 * are. */
static void fill(struct cluster_file *f)
{
    assert_int_equal(cluster_file_init(f, "/p/profile_x", ""), 0);
    f->n = 2;
    f->delay = 1.0;
    json_t *all = json_loads(expected, 0, NULL);
    assert_non_null(all);
    json_t *engines = json_object_get(all, "engines");
    f->controller_state =
        json_incref(json_object_get(json_object_get(all, "controller"), "state"));
    json_object_update(f->engine_sets, json_object_get(engines, "sets"));
    json_decref(all);
}

static void test_form(void **state)
{
    struct cluster_file f;
    fill(&f);
    json_t *want = json_loads(expected, 0, NULL), *got = cluster_file_json(&f);
    assert_non_null(want);
    assert_true(json_equal(want, got));
    json_decref(want);
    json_decref(got);
    cluster_file_fini(&f);
}

static void test_round_trip(void **state)
{
    struct cluster_file f, back;
    struct ersa_error err = {0};
    fill(&f);
    char *path = cluster_file_path(test_dir, "");
    assert_string_equal(path, in_test_dir("cluster-.json"));
    assert_int_equal(cluster_file_update(path, &f, &err), 0);
    assert_int_equal(cluster_file_read(path, &back, &err), 0);
    json_t *a = cluster_file_json(&f), *b = cluster_file_json(&back);
    assert_true(json_equal(a, b));
    json_decref(a);
    json_decref(b);
    /* Nothing runs any more: the file goes. */
    json_decref(back.controller_state);
    back.controller_state = NULL;
    assert_int_equal(cluster_file_update(path, &back, &err), 0);
    assert_int_equal(access(path, F_OK), 0);
    json_object_clear(back.engine_sets);
    assert_int_equal(cluster_file_update(path, &back, &err), 0);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(cluster_file_remove(path, &err), 0);
    assert_int_equal(cluster_file_read(path, &back, &err), ERSA_ENOENT);
    free(path);
    cluster_file_fini(&f);
    cluster_file_fini(&back);
}

static void test_bad_files(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"cluster\": 3}",
        "{\"cluster\": {\"cluster_id\": 3}}",
        "{\"cluster\": {\"cluster_id\": \"\", \"profile_dir\": \"/p\", \"controller_args\": "
        "3}}",
        "{\"cluster\": {\"cluster_id\": \"\", \"profile_dir\": \"/p\"}, \"controller\": {}}",
        "{\"cluster\": {\"cluster_id\": \"\", \"profile_dir\": \"/p\"}, \"engines\": "
        "{\"class\": "
        "\"local\", \"sets\": []}}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct cluster_file f;
        struct ersa_error err = {0};
        const char *path = in_test_dir("cluster-x.json");
        put_file(path, texts[i]);
        int rc = cluster_file_read(path, &f, &err);
        if (rc != ERSA_EPARSE || strncmp(err.text, path, strlen(path)) != 0)
            fail_msg("%s: rc %d, '%s'", texts[i], rc, err.text);
    }
}

static int count(void *ctx, const char *path)
{
    size_t len = strlen(ctx);
    snprintf((char *)ctx + len, NAMES_MAX - len, "%s;", strrchr(path, '/') + 1);
    return 0;
}

static void test_each(void **state)
{
    char seen[NAMES_MAX] = "";
    put_file(in_test_dir("cluster-b.json"), "{}");
    put_file(in_test_dir("cluster-.json"), "{}");
    put_file(in_test_dir("ipcontroller-client.json"), "{}");
    put_file(in_test_dir("cluster-c.txt"), "{}");
    assert_int_equal(cluster_file_each(test_dir, count, seen), 0);
    assert_string_equal(seen, "cluster-.json;cluster-b.json;");
    assert_int_equal(cluster_file_each("/nowhere", count, seen), 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, test_dir_make, test_dir_remove)
    const struct CMUnitTest tests[] = {T(test_form), T(test_round_trip), T(test_bad_files),
                                       T(test_each)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
