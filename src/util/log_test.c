/* SPDX-License-Identifier: BSD-3-Clause */
/* The form of a line; files; threads. */
#include "util/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/file.h"

static char path[] = "/tmp/ersa-log-XXXXXX";

static int open_log(void **state)
{
    close(mkstemp(path));
    log_set_name("Test");
    return log_open_file(path);
}

static char *content(struct buf *b)
{
    buf_init(b, 1 << 20);
    assert_int_equal(file_read(path, b, NULL), 0);
    return buf_cstr(b);
}

static void test_form(void **state)
{
    struct buf b;
    log_info("hello %d", 5);
    log_warn("look");
    log_debug("not shown");
    log_set_level(LOG_DEBUG);
    log_debug("shown");
    log_set_level(LOG_INFO);
    char *text = content(&b);
    int year, ms;
    assert_int_equal(sscanf(text, "%d-%*d-%*d %*d:%*d:%*d.%3d [Test] hello 5\n", &year, &ms),
                     2);
    assert_true(year >= 2024);
    assert_non_null(strstr(text, " [Test] WARNING | look\n"));
    assert_null(strstr(text, "not shown"));
    assert_non_null(strstr(text, " [Test] shown\n"));
    buf_fini(&b);
}

static void test_long_line_ends(void **state)
{
    struct buf b;
    static char text[10000];
    memset(text, 'x', sizeof(text) - 1);
    log_error("%s", text);
    char *all = content(&b);
    assert_int_equal(all[b.len - 1], '\n');
    buf_fini(&b);
}

static void test_reopen(void **state)
{
    struct buf b;
    unlink(path);
    log_reopen();
    log_info("after");
    assert_non_null(strstr(content(&b), "after"));
    buf_fini(&b);
    assert_true(log_open_file("/no/such/dir/log") < 0);
    log_info("still here");
    assert_non_null(strstr(content(&b), "still here"));
    buf_fini(&b);
}

static void *chatter(void *arg)
{
    for (int i = 0; i < 200; i++)
        log_info("%s", "abcdefghijklmnopqrstuvwxyz");
    return NULL;
}

static void test_threads(void **state)
{
    struct buf b;
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, chatter, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    int lines = 0;
    for (char *p = content(&b); (p = strstr(p, "[Test] abcdefghijklmnopqrstuvwxyz\n")); p++)
        lines++;
    assert_int_equal(lines, 800);
    buf_fini(&b);
}

static int drop(void **state)
{
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_long_line_ends),
        cmocka_unit_test(test_reopen),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, open_log, drop);
}
