/* SPDX-License-Identifier: BSD-3-Clause */
/* Clusters and their file: several holders, files that are stale, broken, or of another
 * launcher. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launch/cluster.h"
#include "util/file.h"
#include "util/str.h"

static char folder[] = "/tmp/ersa-cluster-XXXXXX";
static struct loop *loop;
static struct profile profile;
static const struct launch_stop at_once = {SIGKILL, 0, 10};

static int open_all(void **state)
{
    loop = loop_new();
    if (!loop || !mkdtemp(folder))
        return -1;
    profile = (struct profile){.dir = folder,
                               .security_dir = str_path(folder, "security"),
                               .log_dir = str_path(folder, "log"),
                               .pid_dir = str_path(folder, "pid")};
    return mkdir(profile.security_dir, 0700) || mkdir(profile.log_dir, 0700) ||
           mkdir(profile.pid_dir, 0700);
}

static int close_all(void **state)
{
    loop_free(loop);
    rmdir(profile.pid_dir);
    int left = rmdir(profile.security_dir); /* files left behind are a failure */
    rmdir(profile.log_dir);
    free(profile.security_dir);
    free(profile.log_dir);
    free(profile.pid_dir);
    return left | rmdir(folder);
}

static void open_cluster(struct cluster *c, const char *id)
{
    struct ersa_error err = {0};
    assert_int_equal(cluster_open(c, loop, &profile, id, &err), 0);
}

static struct launch *start(const char *id, const char *set_id, int n)
{
    char *const argv[] = {"sleep", "60", NULL};
    struct launch_spec spec = {folder, profile.log_dir, id, set_id, argv, NULL, 0};
    struct ersa_error err = {0};
    struct launch *l = NULL;
    assert_int_equal(launch_new(launcher_find("local", &err), loop, &spec, NULL, &l, &err), 0);
    assert_int_equal(l->ops->start(l, n, &err), 0);
    return l;
}

static void save(struct cluster *c)
{
    struct ersa_error err = {0};
    int fd = cluster_lock(c, 10, &err);
    assert_true(fd >= 0);
    assert_int_equal(cluster_save(c, &err), 0);
    cluster_unlock(c, fd);
}

static void stop_and_save(struct cluster *c)
{
    assert_int_equal(cluster_stop_wait(&c, 1, &at_once), 0);
    save(c);
}

static void test_several_holders(void **state)
{
    struct ersa_error err = {0};
    struct cluster owner, guest, later;
    open_cluster(&owner, "a");
    open_cluster(&guest, "a");
    guest.is_guest = true;
    owner.controller = start("a", NULL, 1);
    assert_int_equal(cluster_add_set(&owner, "1", start("a", "1", 2)), 0);
    save(&owner);
    assert_int_equal(cluster_add_set(&guest, "2", start("a", "2", 1)), 0);
    save(&guest);
    save(&owner);

    open_cluster(&later, "a");
    assert_int_equal(cluster_load(&later, &err), 0);
    assert_true(cluster_has_controller(&later));
    assert_int_equal(cluster_n_engines(&later), 3);
    assert_int_equal(cluster_n_running(&later), 3);
    cluster_close(&later);

    /* The guest's engines end: only its set leaves the file. */
    stop_and_save(&guest);
    open_cluster(&later, "a");
    assert_int_equal(cluster_load(&later, &err), 0);
    assert_int_equal(cluster_n_engines(&later), 2);
    assert_true(cluster_has_controller(&later));

    /* Somebody else stops the rest and tidies up. */
    stop_and_save(&later);
    assert_int_equal(access(later.path, F_OK), -1);
    assert_int_equal(access(later.lock_path, F_OK), -1);
    while (cluster_n_running(&owner))
        loop_turn(loop, 1000);
    save(&owner);
    assert_int_equal(access(owner.path, F_OK), -1);
    cluster_close(&later);
    cluster_close(&guest);
    cluster_close(&owner);
}

static void test_stale_file(void **state)
{
    struct ersa_error err = {0};
    struct cluster c, later;
    open_cluster(&c, "");
    c.controller = start("", NULL, 1);
    assert_int_equal(cluster_add_set(&c, "1", start("", "1", 1)), 0);
    save(&c);
    struct cluster *all = &c;
    assert_int_equal(cluster_stop_wait(&all, 1, &at_once), 0);
    assert_int_equal(access(c.path, F_OK), 0); /* nobody wrote down that it ended */

    open_cluster(&later, "");
    assert_int_equal(cluster_load(&later, &err), 0);
    assert_false(cluster_has_controller(&later));
    assert_int_equal(cluster_n_running(&later), 0);
    json_t *j = cluster_json(&later);
    assert_null(json_object_get(j, "controller"));
    assert_int_equal(json_object_size(json_object_get(json_object_get(j, "engines"), "sets")),
                     0);
    json_decref(j);
    save(&later);
    assert_int_equal(access(c.path, F_OK), -1);
    cluster_close(&later);
    cluster_close(&c);
}

static void write_text(const char *path, const char *text)
{
    struct ersa_error err = {0};
    assert_int_equal(file_write_atomic(path, text, strlen(text), 0600, &err), 0);
}

static void test_broken_file(void **state)
{
    static const char *const texts[] = {"", "{", "[]", "{\"cluster\": 3}"};
    struct cluster c;
    open_cluster(&c, "b");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct ersa_error err = {0};
        write_text(c.path, texts[i]);
        assert_int_equal(cluster_load(&c, &err), ERSA_EPARSE);
        assert_non_null(strstr(err.text, "cluster-b.json"));
    }
    struct ersa_error err = {0};
    save(&c); /* nothing runs: it goes */
    assert_int_equal(cluster_load(&c, &err), ERSA_ENOENT);
    cluster_close(&c);
}

static void test_other_launcher(void **state)
{
    struct ersa_error err = {0};
    struct cluster c;
    open_cluster(&c, "s");
    write_text(c.path,
               "{\"cluster\": {\"cluster_id\": \"s\", \"profile_dir\": \"/p\"},"
               " \"controller\": {\"class\": \"slurm\", \"state\": {\"job_id\": \"7\"}},"
               " \"engines\": {\"class\": \"slurm\", \"sets\": {\"9\": {\"n\": 4}}}}");
    assert_int_equal(cluster_load(&c, &err), 0);
    assert_string_equal(c.unsupported, "slurm");
    assert_true(cluster_has_controller(&c));
    save(&c); /* what we can't look at stays */
    assert_int_equal(access(c.path, F_OK), 0);
    json_t *j = cluster_json(&c);
    assert_non_null(json_object_get(j, "controller"));
    json_decref(j);
    unlink(c.path);
    cluster_close(&c);
}

/* A set that is about to start is in the file, so that its id is taken for everybody. */
static void test_set_ids(void **state)
{
    struct ersa_error err = {0};
    struct cluster c, guest;
    open_cluster(&c, "i");
    open_cluster(&guest, "i");
    char *first = cluster_new_set_id(&c);
    struct launch_spec spec = {folder, profile.log_dir, "i", first, NULL, NULL, 0};
    struct launch *l = NULL;
    assert_int_equal(launch_new(launcher_find("local", &err), loop, &spec, NULL, &l, &err), 0);
    assert_int_equal(cluster_add_set(&c, first, l), 0);
    save(&c);
    for (int i = 0; i < 3; i++) { /* more than one second's worth of luck */
        char *other = cluster_new_set_id(&guest);
        assert_string_not_equal(first, other);
        free(other);
    }
    l->state = LAUNCH_AFTER;
    save(&c);
    assert_int_equal(access(c.path, F_OK), -1);
    free(first);
    cluster_close(&guest);
    cluster_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_several_holders), cmocka_unit_test(test_stale_file),
        cmocka_unit_test(test_broken_file),     cmocka_unit_test(test_other_launcher),
        cmocka_unit_test(test_set_ids),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
