/* SPDX-License-Identifier: BSD-3-Clause */
/* Ends of children and why; what can not be started. */
#include "loop/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop/signals.h"

static int last_status;
static pid_t last_pid; /* as the callback finds it */
static struct loop *loop;

static void on_end(struct child *c, int status, const struct rusage *usage)
{
    last_status = status;
    last_pid = c->pid;
    loop_stop(loop);
}

static int run(const char *script, struct child_spawn spawn)
{
    struct child c;
    char *argv[] = {"sh", "-c", (char *)script, NULL};
    spawn.path = "/bin/sh";
    spawn.argv = argv;
    loop = loop_new();
    assert_int_equal(child_start(&c, loop, &spawn, on_end, NULL), 0);
    assert_int_equal(loop_run(loop), 0);
    assert_int_equal(last_pid, 0);
    loop_free(loop);
    return last_status;
}

#define INHERIT .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1

static void test_exit_code_and_signal(void **state)
{
    int status = run("exit 3", (struct child_spawn){INHERIT});
    assert_string_equal(child_status_text(status), "exit code 3");
    status = run("kill -KILL $$", (struct child_spawn){INHERIT});
    assert_string_equal(child_status_text(status), "killed by signal 9 (SIGKILL)");
}

static void test_surroundings(void **state)
{
    int fds[2], kept[2];
    char out[64] = "";
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(pipe2(kept, O_CLOEXEC), 0);
    char script[128];
    snprintf(script, sizeof(script), "read x; echo \"<$x>\"; pwd; echo kept >&%d", kept[1]);
    int keep[] = {kept[1], -1};
    run(script, (struct child_spawn){.stdin_fd = CHILD_DEV_NULL,
                                     .stdout_fd = fds[1],
                                     .stderr_fd = -1,
                                     .cwd = "/",
                                     .keep_fds = keep,
                                     .new_session = true});
    assert_int_equal(read(fds[0], out, sizeof(out) - 1), 5);
    assert_string_equal(out, "<>\n/\n");
    assert_int_equal(read(kept[0], out, 5), 5);
    for (int i = 0; i < 2; i++) {
        close(fds[i]);
        close(kept[i]);
    }
}

static void test_groups(void **state)
{
    static const char group[] = "test $(cut -d' ' -f5 /proc/$$/stat) = $$";
    static const char session[] = "test $(cut -d' ' -f6 /proc/$$/stat) = $$";
    assert_int_not_equal(run(group, (struct child_spawn){INHERIT}), 0);
    assert_int_equal(run(group, (struct child_spawn){INHERIT, .new_group = true}), 0);
    assert_int_equal(run(session, (struct child_spawn){INHERIT, .new_session = true}), 0);
    assert_int_equal(
        run(session, (struct child_spawn){INHERIT, .new_session = true, .new_group = true}), 0);
}

static void on_no_signal(void *ctx, int signo)
{
}

static void test_signals_are_as_they_were(void **state)
{
    struct loop *l = loop_new();
    struct signals s;
    assert_int_equal(signals_open(&s, l, (int[]){SIGTERM, 0}, on_no_signal, NULL), 0);
    signal(SIGPIPE, SIG_IGN);
    int status = run("kill -TERM $$; exit 5", (struct child_spawn){INHERIT});
    assert_string_equal(child_status_text(status), "killed by signal 15 (SIGTERM)");
    status = run("kill -PIPE $$; exit 5", (struct child_spawn){INHERIT});
    assert_string_equal(child_status_text(status), "killed by signal 13 (SIGPIPE)");
    signal(SIGPIPE, SIG_DFL);
    signals_close(&s);
    loop_free(l);
}

/* How many descriptors of a child are /dev/null. */
static int count_null(int stdin_fd)
{
    int fds[2];
    char out[16] = "";
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    run("n=0; for f in /proc/$$/fd/*; do test $f -ef /dev/null && n=$((n + 1)); done; echo $n",
        (struct child_spawn){.stdin_fd = stdin_fd, .stdout_fd = fds[1], .stderr_fd = -1});
    assert_true(read(fds[0], out, sizeof(out) - 1) > 0);
    close(fds[0]);
    close(fds[1]);
    return atoi(out);
}

static void test_nothing_more_is_inherited(void **state)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(count_null(CHILD_DEV_NULL), count_null(fds[0]) + 1);
    close(fds[0]);
    close(fds[1]);
}

/* A process between us and the child ends, and the child with it: its end of the pipe closes.
 */
static void test_parent_death(void **state)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t middle = fork();
    if (middle == 0) {
        struct child c;
        char *argv[] = {"sleep", "60", NULL};
        struct child_spawn spawn = {.path = "sleep",
                                    .argv = argv,
                                    .stdin_fd = CHILD_DEV_NULL,
                                    .stdout_fd = fds[1],
                                    .stderr_fd = CHILD_DEV_NULL,
                                    .parent_death_signal = SIGKILL};
        struct loop *l = loop_new();
        _exit(l && child_start(&c, l, &spawn, on_end, NULL) == 0 ? 0 : 1);
    }
    int status;
    close(fds[1]);
    assert_int_equal(waitpid(middle, &status, 0), middle);
    assert_int_equal(status, 0);
    struct pollfd p = {.fd = fds[0], .events = POLLIN};
    assert_int_equal(poll(&p, 1, 10000), 1);
    close(fds[0]);
}

static void test_what_can_not_start(void **state)
{
    struct loop *l = loop_new();
    struct child c;
    struct ersa_error err = {0};
    char *argv[] = {"x", NULL};
    struct child_spawn spawn = {.path = "/no/such/program", .argv = argv, INHERIT};
    assert_int_equal(child_start(&c, l, &spawn, on_end, &err), ERSA_ENOENT);
    assert_non_null(strstr(err.text, "/no/such/program"));
    spawn.path = "/etc/passwd";
    assert_int_equal(child_start(&c, l, &spawn, on_end, &err), ERSA_EIO);
    spawn.path = "/bin/true";
    spawn.cwd = "/no/such/directory";
    assert_int_equal(child_start(&c, l, &spawn, on_end, &err), ERSA_ENOENT);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    loop_free(l);
}

static void test_forget(void **state)
{
    struct loop *l = loop_new();
    struct child c;
    char *argv[] = {"sleep", "100", NULL};
    struct child_spawn spawn = {.path = "sleep", .argv = argv, INHERIT};
    assert_int_equal(child_start(&c, l, &spawn, on_end, NULL), 0);
    pid_t pid = c.pid;
    child_forget(&c);
    child_forget(&c);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exit_code_and_signal),
        cmocka_unit_test(test_surroundings),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_signals_are_as_they_were),
        cmocka_unit_test(test_nothing_more_is_inherited),
        cmocka_unit_test(test_parent_death),
        cmocka_unit_test(test_what_can_not_start),
        cmocka_unit_test(test_forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
