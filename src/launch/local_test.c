/* SPDX-License-Identifier: BSD-3-Clause */
/* The local launcher: real processes, started, ended, saved, taken over by another launch,
 * stopped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch/launcher.h"
#include "launch/proc.h"
#include "util/clock.h"

static char folder[] = "/tmp/ersa-local-XXXXXX";
static struct loop *loop;

struct seen {
    int n_start, n_exit, n_stop, start_rc, stop_rc, status;
};

static void on_start(void *ctx, struct launch *l, int rc, const struct ersa_error *err)
{
    struct seen *s = ctx;
    s->n_start++;
    s->start_rc = rc;
}

static void on_end(void *ctx, struct launch *l, const struct launch_exit *end)
{
    struct seen *s = ctx;
    s->n_exit++;
    s->status = end->is_known ? end->status : -1;
}

static void on_stop(void *ctx, struct launch *l, int rc)
{
    struct seen *s = ctx;
    s->n_stop++;
    s->stop_rc = rc;
}

static int open_all(void **state)
{
    loop = loop_new();
    return loop && mkdtemp(folder) ? 0 : -1;
}

static int close_all(void **state)
{
    loop_free(loop);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

static struct launch *make(const char *set_id, const char *script, double delay_s,
                           struct seen *s)
{
    char *const argv[] = {"/bin/sh", "-c", (char *)script, NULL};
    struct launch_spec spec = {.profile_dir = folder,
                               .log_dir = folder,
                               .cluster_id = "t",
                               .set_id = set_id,
                               .argv = script ? argv : NULL,
                               .delay_s = delay_s};
    struct launch_events events = {on_start, on_end, on_stop, s};
    struct launch *l = NULL;
    struct ersa_error err = {0};
    assert_int_equal(launch_new(launcher_find("LOCAL", &err), loop, &spec, &events, &l, &err),
                     0);
    return l;
}

static void run_until(const int *what, int value)
{
    int64_t deadline = clock_mono_ms() + 20000;
    while (*what != value && clock_mono_ms() < deadline)
        loop_turn(loop, 100);
    assert_int_equal(*what, value);
}

static void test_set_that_ends(void **state)
{
    struct seen s = {0};
    struct ersa_error err = {0};
    struct launch *l =
        make("1", "echo $IPP_CLUSTER_ID $IPP_PROFILE_DIR $IPP_CONNECTION_INFO; exit 3", 0, &s);
    setenv("IPP_CONNECTION_INFO", "another cluster's", 1);
    assert_int_equal(l->ops->start(l, 3, &err), 0);
    unsetenv("IPP_CONNECTION_INFO");
    assert_int_equal(s.n_start, 1);
    assert_int_equal(s.start_rc, 0);
    run_until(&s.n_stop, 1);
    assert_int_equal(s.n_exit, 3);
    assert_int_equal(WEXITSTATUS(s.status), 3);
    assert_int_equal(l->state, LAUNCH_AFTER);
    assert_int_equal(l->ops->poll(l), 0);

    char path[128], line[128] = "", want[128];
    snprintf(path, sizeof(path), "%s/ipengine-t-1-2.log", folder);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof(line), f));
    fclose(f);
    snprintf(want, sizeof(want), "t %s\n", folder);
    assert_string_equal(line, want);
    assert_int_equal(l->ops->start(l, 1, &err), ERSA_ESTATE);
    launch_free(l);
}

static void test_taken_over(void **state)
{
    struct seen s = {0}, other = {0};
    struct ersa_error err = {0};
    struct launch *l = make("2", "exec sleep 60", 0, &s);
    assert_int_equal(l->ops->start(l, 2, &err), 0);
    json_t *saved = l->ops->save(l);
    assert_non_null(saved);
    json_t *engines = json_object_get(saved, "engines");
    assert_int_equal(json_object_size(engines), 2);
    assert_int_equal(json_integer_value(json_object_get(saved, "n")), 2);
    assert_string_equal(json_str(saved, "state"), "running");

    struct launch *later = make("2", NULL, 0, &other);
    assert_int_equal(later->ops->load(later, saved, &err), 0);
    assert_int_equal(later->state, LAUNCH_RUNNING);
    assert_int_equal(later->ops->poll(later), 2);
    json_t *again = later->ops->save(later);
    assert_true(json_equal(again, saved));
    json_decref(again);

    /* One that was recorded with another start time is somebody else's. */
    json_t *ersa = json_object_get(json_object_get(engines, "1"), "ersa");
    json_object_set_new(ersa, "start", json_integer(1));
    struct seen third = {0};
    struct launch *careful = make("2", NULL, 0, &third);
    assert_int_equal(careful->ops->load(careful, saved, &err), 0);
    assert_int_equal(careful->ops->poll(careful), 1);

    struct launch_stop how = {SIGTERM, 5, 5};
    careful->ops->stop(careful, &how);
    run_until(&third.n_stop, 1);
    run_until(&other.n_exit, 1);
    assert_int_equal(other.n_stop, 0);
    later->ops->stop(later, &how);
    run_until(&other.n_stop, 1);
    run_until(&s.n_stop, 1);
    assert_int_equal(other.stop_rc, 0);
    assert_int_equal(other.status, -1);
    assert_true(WIFSIGNALED(s.status));

    struct seen late = {0};
    struct launch *dead = make("2", NULL, 0, &late);
    assert_int_equal(dead->ops->load(dead, saved, &err), 0);
    assert_int_equal(dead->state, LAUNCH_AFTER);
    json_decref(saved);
    launch_free(dead);
    launch_free(careful);
    launch_free(later);
    launch_free(l);
}

static void test_stubborn(void **state)
{
    struct seen s = {0};
    struct ersa_error err = {0};
    struct launch *l =
        make(NULL, "trap '' TERM; sleep 600 & echo $!; while :; do sleep 0.05; done", 0, &s);
    assert_int_equal(l->ops->start(l, 1, &err), 0);
    char path[128], line[16] = "";
    snprintf(path, sizeof(path), "%s/ipcontroller-t-%d.log", folder, (int)getpid());
    int64_t deadline = clock_mono_ms() + 20000;
    while (!*line && clock_mono_ms() < deadline) {
        FILE *f = fopen(path, "r");
        if (f && !fgets(line, sizeof(line), f))
            loop_turn(loop, 10);
        if (f)
            fclose(f);
    }
    pid_t grandchild = atoi(line);
    if (grandchild <= 0)
        fail_msg("it said: %s", line);
    int64_t start = clock_mono_ms();
    struct launch_stop how = {SIGTERM, 0.2, 5};
    l->ops->stop(l, &how);
    run_until(&s.n_stop, 1);
    assert_in_range(clock_mono_ms() - start, 150,
                    5000); /* timers count from the turn's start */
    assert_int_equal(WTERMSIG(s.status), SIGKILL);
    assert_int_equal(s.stop_rc, 0);
    launch_free(l);

    /* What it had started goes with it. */
    struct proc left;
    while (proc_identify(grandchild, &left) == 0 && clock_mono_ms() < deadline)
        loop_turn(loop, 10);
    assert_int_equal(proc_identify(grandchild, &left), ERSA_ENOENT);
}

static void test_delay_and_stop_between(void **state)
{
    struct seen s = {0};
    struct ersa_error err = {0};
    struct launch *l = make("3", "exec sleep 60", 0.05, &s);
    assert_int_equal(l->ops->start(l, 3, &err), 0);
    assert_int_equal(s.n_start, 0);
    assert_int_equal(l->ops->poll(l), 1);
    run_until(&s.n_start, 1);
    assert_int_equal(l->ops->poll(l), 3);
    struct launch_stop how = {SIGTERM, 5, 5};
    l->ops->stop(l, &how);
    run_until(&s.n_stop, 1);
    launch_free(l);

    struct seen t = {0};
    l = make("4", "exec sleep 60", 1000, &t);
    assert_int_equal(l->ops->start(l, 3, &err), 0);
    l->ops->stop(l, &how);
    run_until(&t.n_stop, 1);
    assert_int_equal(t.n_exit, 1);
    assert_int_equal(t.n_start, 0);
    launch_free(l);
}

static void test_no_such_program(void **state)
{
    struct seen s = {0};
    struct ersa_error err = {0};
    char *const argv[] = {"/nowhere/ipengine", NULL};
    struct launch_spec spec = {folder, folder, "t", "5", argv, NULL, 0};
    struct launch_events events = {on_start, on_end, on_stop, &s};
    struct launch *l = NULL;
    assert_int_equal(launch_new(launcher_find("local", &err), loop, &spec, &events, &l, &err),
                     0);
    assert_true(l->ops->start(l, 2, &err) < 0);
    assert_non_null(strstr(err.text, "/nowhere/ipengine"));
    assert_int_equal(s.n_start + s.n_stop, 0);
    assert_int_equal(l->state, LAUNCH_AFTER);
    launch_free(l);
}

static void test_empty_set(void **state)
{
    struct seen s = {0};
    struct ersa_error err = {0};
    struct launch *l = make("6", "exit 0", 0, &s);
    assert_int_equal(l->ops->start(l, 0, &err), 0);
    assert_int_equal(l->state, LAUNCH_RUNNING);
    assert_int_equal(s.n_start, 1);
    l->ops->stop(l, &(struct launch_stop){SIGTERM, 5, 5});
    assert_int_equal(s.n_stop, 1);
    launch_free(l);
}

static void test_bad_states(void **state)
{
    static const char *const texts[] = {"[]",
                                        "{}",
                                        "{\"engines\": {\"x\": {\"pid\": 1}}}",
                                        "{\"engines\": {\"-1\": {\"pid\": 1}}}",
                                        "{\"engines\": {\"0\": {}}}",
                                        "{\"engines\": {\"0\": 3}}"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct seen s = {0};
        struct ersa_error err = {0};
        struct launch *l = make("7", NULL, 0, &s);
        json_t *j = json_loads(texts[i], 0, NULL);
        assert_int_equal(l->ops->load(l, j, &err), ERSA_EPARSE);
        assert_true(*err.text);
        json_decref(j);
        launch_free(l);
    }
}

static void test_names(void **state)
{
    struct ersa_error err = {0};
    assert_non_null(launcher_find("Local", &err));
    assert_non_null(launcher_find("ipyparallel.cluster.launcher.LocalEngineSetLauncher", &err));
    assert_null(launcher_find("slurm", &err));
    assert_int_equal(err.code, ERSA_EUNSUPPORTED);
    assert_null(launcher_find("nonsense", &err));
    assert_int_equal(err.code, ERSA_ENOENT);
    assert_string_equal(launcher_title("slurm"), "Slurm");
    assert_string_equal(launcher_title("my.module:Thing"), "my.module:Thing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_that_ends),   cmocka_unit_test(test_taken_over),
        cmocka_unit_test(test_stubborn),        cmocka_unit_test(test_delay_and_stop_between),
        cmocka_unit_test(test_no_such_program), cmocka_unit_test(test_empty_set),
        cmocka_unit_test(test_bad_states),      cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
