/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks in files: one holder, the file goes with it, a dead holder holds nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch/lockfile.h"

static char folder[] = "/tmp/ersa-lock-XXXXXX", path[64];

static int make_folder(void **state)
{
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/x.lock", folder);
    return 0;
}

static int drop_folder(void **state)
{
    return rmdir(folder); /* fails when a test left something */
}

static void test_one_holder(void **state)
{
    struct ersa_error err = {0};
    int a = lockfile_take(path, 0, &err);
    assert_true(a >= 0);
    assert_int_equal(lockfile_take(path, 0, &err), ERSA_ETIMEDOUT);
    lockfile_drop(path, a);
    assert_int_equal(access(path, F_OK), -1);
    int b = lockfile_take(path, 0, &err);
    assert_true(b >= 0);
    lockfile_drop(path, b);
}

static void test_dead_holder(void **state)
{
    struct ersa_error err = {0};
    int said[2];
    assert_return_code(pipe(said), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = pidfile_create(path, 0, NULL);
        char ok = fd >= 0;
        (void)!write(said[1], &ok, 1);
        pause();
    }
    char ok = 0;
    assert_int_equal(read(said[0], &ok, 1), 1);
    assert_true(ok);
    close(said[0]);
    close(said[1]);

    FILE *f = fopen(path, "r");
    int written = 0;
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%d", &written), 1);
    fclose(f);
    assert_int_equal(written, pid);
    assert_int_equal(pidfile_wait_gone(path, 0.02, &err), ERSA_ETIMEDOUT);

    assert_true(pidfile_signal(path, SIGKILL));
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_false(pidfile_signal(path, SIGKILL));
    assert_int_equal(pidfile_wait_gone(path, 0, &err), 0);
    assert_false(pidfile_signal(path, SIGKILL));
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(pidfile_wait_gone(path, 0, &err), 0);
}

static void test_errors(void **state)
{
    struct ersa_error err = {0};
    char bad[96];
    snprintf(bad, sizeof(bad), "%s/missing/x.lock", folder);
    assert_int_equal(lockfile_take(bad, 0, &err), ERSA_EIO);
    assert_int_equal(pidfile_wait_gone(bad, 0, &err), 0);
    assert_return_code(symlink("elsewhere", path), 0);
    assert_int_equal(lockfile_take(path, 0, &err), ERSA_EIO);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_holder),
        cmocka_unit_test(test_dead_holder),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
