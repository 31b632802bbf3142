/* SPDX-License-Identifier: BSD-3-Clause */
/* Identity of processes: own child, ended, zombie, a pid that somebody else has now, states
 * without start time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch/proc.h"

/* A child that waits to be killed, with the cluster in its environment where `dir` is given. It
 * stops itself and executes nothing more: a process in exec has no environment for a moment. */
static pid_t start_child(const char *dir)
{
    int ready[2];
    assert_return_code(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char profile[256];
        snprintf(profile, sizeof(profile), "IPP_PROFILE_DIR=%s", dir ? dir : "");
        char *const env[] = {profile, "IPP_CLUSTER_ID=x", NULL};
        char *const argv[] = {"/bin/sh", "-c", "echo; kill -STOP $$", NULL};
        dup2(ready[1], 1);
        execve("/bin/sh", argv, env);
        _exit(127);
    }
    char c;
    assert_int_equal(read(ready[0], &c, 1), 1); /* the environment is in place */
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void end_child(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_own_child(void **state)
{
    pid_t pid = start_child(NULL);
    struct proc p, loaded;
    assert_int_equal(proc_identify(pid, &p), 0);
    assert_true(p.start > 0);
    assert_true(strlen(p.boot) >= 32);

    json_t *j = json_object();
    assert_int_equal(proc_save(&p, j), 0);
    assert_int_equal(proc_load(&loaded, j), 0);
    json_decref(j);
    assert_int_equal(loaded.pid, pid);
    assert_true(loaded.start == p.start);
    assert_string_equal(loaded.boot, p.boot);

    int fd = -1;
    assert_int_equal(proc_open(&loaded, "/p", "x", &fd), 0);
    proc_signal(fd, SIGKILL);
    struct pollfd wait_for = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&wait_for, 1, 10000), 1);
    close(fd);
    /* A zombie doesn't run, a pid that is gone neither. */
    assert_int_equal(proc_open(&loaded, "/p", "x", &fd), ERSA_ENOENT);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(proc_open(&loaded, "/p", "x", &fd), ERSA_ENOENT);
}

static void test_reused_pid(void **state)
{
    pid_t pid = start_child(NULL);
    struct proc p;
    int fd = -1;
    assert_int_equal(proc_identify(pid, &p), 0);
    p.start--;
    assert_int_equal(proc_open(&p, "/p", "x", &fd), ERSA_ENOENT);
    p.start++;
    p.boot[0] = p.boot[0] == 'a' ? 'b' : 'a';
    assert_int_equal(proc_open(&p, "/p", "x", &fd), ERSA_ENOENT);
    assert_int_equal(fd, -1);
    end_child(pid);
}

static void test_without_start_time(void **state)
{
    pid_t stranger = start_child(NULL), ours = start_child("/some/profile_x");
    int fd = -1;
    struct proc p = {.pid = stranger};
    assert_int_equal(proc_open(&p, "/some/profile_x", "x", &fd), ERSA_ENOENT);
    p.pid = ours;
    assert_int_equal(proc_open(&p, "/some/profile_x", "", &fd), ERSA_ENOENT);
    assert_int_equal(proc_open(&p, "/some/profile", "x", &fd), ERSA_ENOENT);
    assert_int_equal(proc_open(&p, "/some/profile_x", "x", &fd), 0);
    close(fd);
    end_child(stranger);
    end_child(ours);
}

static void test_bad_states(void **state)
{
    static const char *const texts[] = {"{}", "{\"pid\": -1}", "{\"pid\": \"1\"}",
                                        "{\"pid\": 0}", "{\"pid\": 99999999999}"};
    struct proc p;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_t *j = json_loads(texts[i], 0, NULL);
        assert_non_null(j);
        assert_int_equal(proc_load(&p, j), ERSA_EPARSE);
        json_decref(j);
    }
    json_t *j = json_loads("{\"pid\": 7, \"ersa\": {\"start\": \"x\", \"boot\": 3}}", 0, NULL);
    assert_int_equal(proc_load(&p, j), 0);
    assert_true(p.start == 0 && !*p.boot);
    json_decref(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_child),
        cmocka_unit_test(test_reused_pid),
        cmocka_unit_test(test_without_start_time),
        cmocka_unit_test(test_bad_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
