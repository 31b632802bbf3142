/* SPDX-License-Identifier: BSD-3-Clause */
/* Private from the first octet, never half there. */
#include "util/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/str.h"

static char dir[] = "/tmp/ersa-file-XXXXXX";

static int make_dir(void **state)
{
    return mkdtemp(dir) ? 0 : -1;
}

static int entries(const char *path)
{
    int n = 0;
    DIR *d = opendir(path);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static void test_write_and_read(void **state)
{
    char *path = str_path(dir, "a");
    struct stat st;
    struct buf b;
    umask(0);
    assert_int_equal(file_write_atomic(path, "hello", 5, 0600, NULL), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(file_write_atomic(path, "again", 5, 0644, NULL), 0);
    stat(path, &st);
    assert_int_equal(st.st_mode & 0777, 0644);
    buf_init(&b, 5);
    assert_int_equal(file_read(path, &b, NULL), 0);
    assert_string_equal(buf_cstr(&b), "again");
    buf_fini(&b);
    buf_init(&b, 4);
    struct ersa_error err = {0};
    assert_int_equal(file_read(path, &b, &err), ERSA_EFULL);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(b.len, 0);
    buf_fini(&b);
    assert_int_equal(entries(dir), 1);
    unlink(path);
    free(path);
}

static void test_failures_name_the_path(void **state)
{
    struct ersa_error err = {0};
    struct buf b;
    buf_init(&b, 100);
    assert_int_equal(file_write_atomic("/no/such/dir/x", "", 0, 0600, &err), ERSA_EIO);
    assert_non_null(strstr(err.text, "/no/such/dir/x"));
    assert_int_equal(file_read("/no/such/file", &b, &err), ERSA_ENOENT);
    assert_non_null(strstr(err.text, "/no/such/file"));
    assert_int_equal(file_mkdirs("/dev/null/x", 0700, &err), ERSA_EIO);
    buf_fini(&b);
}

static void *write_to_pipe(void *path)
{
    FILE *f = fopen(path, "w");
    fputs("hello", f);
    fclose(f);
    return NULL;
}

static void test_pipes(void **state)
{
    char *path = str_path(dir, "pipe");
    struct ersa_error err = {0};
    struct buf b;
    pthread_t writer;
    buf_init(&b, 100);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(file_read(path, &b, &err), ERSA_EIO);
    assert_non_null(strstr(err.text, "nobody writes to"));
    assert_int_equal(pthread_create(&writer, NULL, write_to_pipe, path), 0);
    assert_int_equal(file_read(path, &b, &err), 0);
    assert_string_equal(buf_cstr(&b), "hello");
    pthread_join(writer, NULL);
    buf_fini(&b);
    unlink(path);
    free(path);
}

static void test_directories(void **state)
{
    char *path = str_path(dir, "x/y/z");
    assert_int_equal(file_mkdirs(path, 0700, NULL), 0);
    assert_int_equal(file_mkdirs(path, 0700, NULL), 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    for (int i = 0; i < 3; i++) {
        rmdir(path);
        *strrchr(path, '/') = '\0';
    }
    free(path);
}

static void test_exe_dir(void **state)
{
    char *exe = file_exe_dir();
    assert_non_null(exe);
    assert_int_equal(exe[0], '/');
    free(exe);
}

static int drop_dir(void **state)
{
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_and_read), cmocka_unit_test(test_failures_name_the_path),
        cmocka_unit_test(test_pipes),          cmocka_unit_test(test_directories),
        cmocka_unit_test(test_exe_dir),
    };
    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
