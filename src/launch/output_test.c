/* SPDX-License-Identifier: BSD-3-Clause */
/* Log files of processes: last lines, tidying that spares what is in use, following. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launch/output.h"

static char folder[] = "/tmp/ersa-output-XXXXXX";

static int make_folder(void **state)
{
    return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
    return rmdir(folder);
}

static const char *in_folder(const char *name)
{
    static char path[4][128];
    static unsigned next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof(path[0]), "%s/%s", folder, name);
    return p;
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(in_folder(name), "a");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void assert_tail(const char *name, size_t limit, const char *want)
{
    char *text = output_tail(in_folder(name), 0, limit);
    assert_non_null(text);
    assert_string_equal(text, want);
    free(text);
}

static void test_tail(void **state)
{
    write_file("a", "one\ntwo\nthree\n");
    assert_tail("a", 2, "two\nthree");
    assert_tail("a", 9, "one\ntwo\nthree");
    assert_tail("a", 0, "");
    write_file("empty", "");
    assert_tail("empty", 5, "");
    assert_null(output_tail(in_folder("missing"), 0, 5));
    output_drop_empty(in_folder("a"));
    output_drop_empty(in_folder("empty"));
    assert_int_equal(access(in_folder("a"), F_OK), 0);
    assert_int_equal(access(in_folder("empty"), F_OK), -1);
    unlink(in_folder("a"));
}

static void test_long_output(void **state)
{
    for (int i = 0; i < 20000; i++)
        write_file("long", "0123456789\n");
    char *text = output_tail(in_folder("long"), 0, 1000000);
    assert_non_null(text);
    assert_in_range(strlen(text), 60000, 70000);
    free(text);
    unlink(in_folder("long"));
}

static void test_prune(void **state)
{
    static const char *const names[] = {"ipengine--1-0.log", "ipengine-x-2-0.log",
                                        "ipcontroller-77.log", "ipengine--3-0.log"};
    struct ersa_error err = {0};
    for (int i = 0; i < 4; i++) {
        write_file(names[i], "x\n");
        struct timespec t[2] = {{.tv_sec = 1000 + i}, {.tv_sec = 1000 + i}};
        assert_return_code(utimensat(AT_FDCWD, in_folder(names[i]), t, 0), 0);
    }
    write_file("ipcluster-5.log", "x\n");
    write_file("notes.txt", "x\n");
    int fd = output_open(in_folder(names[0]), &err); /* the oldest is in use */
    assert_true(fd >= 0);
    assert_int_equal(output_prune(folder, 2), 1);
    assert_int_equal(access(in_folder(names[0]), F_OK), 0);
    assert_int_equal(access(in_folder(names[1]), F_OK), -1);
    close(fd);
    assert_int_equal(output_prune(folder, 0), 3);
    assert_int_equal(access(in_folder("ipcluster-5.log"), F_OK), 0);
    unlink(in_folder("ipcluster-5.log"));
    unlink(in_folder("notes.txt"));
}

static void test_follow(void **state)
{
    struct loop *loop = loop_new();
    int out[2];
    char got[256];
    assert_non_null(loop);
    assert_return_code(pipe2(out, O_NONBLOCK), 0);
    write_file("f", "");
    struct follow f;
    follow_init(&f, loop, out[1]);
    assert_int_equal(follow_add(&f, in_folder("f")), 0);
    assert_int_equal(follow_add(&f, in_folder("missing")), 0);
    write_file("f", "whole\nhal");
    follow_drain(&f);
    ssize_t n = read(out[0], got, sizeof(got));
    assert_int_equal(n, 6);
    assert_memory_equal(got, "whole\n", 6);
    write_file("f", "f\n");
    for (int i = 0; i < 100 && (n = read(out[0], got, sizeof(got))) < 0; i++)
        loop_turn(loop, 200); /* its own timer copies the rest */
    assert_int_equal(n, 5);
    assert_memory_equal(got, "half\n", 5);
    follow_fini(&f);
    loop_free(loop);
    close(out[0]);
    close(out[1]);
    unlink(in_folder("f"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tail),
        cmocka_unit_test(test_long_output),
        cmocka_unit_test(test_prune),
        cmocka_unit_test(test_follow),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
