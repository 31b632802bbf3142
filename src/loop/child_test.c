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
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static int last_status;
static struct loop *loop;

static void on_end(struct child *c, int status, const struct rusage *usage)
{
    last_status = status;
    assert_int_equal(c->pid, 0);
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
    loop_run(loop);
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
        cmocka_unit_test(test_what_can_not_start),
        cmocka_unit_test(test_forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
