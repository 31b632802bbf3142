/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "loop/complaints.h"
#include "util/log.h"

static char path[] = "/tmp/ersa-complaints-XXXXXX";

/* Lines of the log that have these words; all are forgotten. */
static unsigned take_lines(const char *words)
{
    char line[2048];
    unsigned n = 0;
    FILE *f = fopen(path, "r");
    while (fgets(line, sizeof(line), f))
        n += strstr(line, words) != NULL;
    fclose(f);
    assert_int_equal(truncate(path, 0), 0);
    return n;
}

static void storm(struct complaints *c, enum complaint kind, int n)
{
    for (int i = 0; i < n; i++)
        complain(c, kind, "port %s: closed (%d)", "query", i);
}

static void test_a_storm_is_a_handful_of_lines(void **state)
{
    struct complaints c;
    struct loop *l = loop_new();
    complaints_init(&c, l);
    storm(&c, COMPLAINT_CONNECTION, 9000);
    assert_int_equal(take_lines("WARNING | port query: closed"), COMPLAINTS_A_MINUTE);
    complain(&c, COMPLAINT_MESSAGE, "another kind");
    assert_int_equal(take_lines("another kind"), 1);
    assert_true(timer_is_set(&c.minute));
    loop_cancel(l, &c.minute);
    c.minute.fn(&c.minute); /* it is over */
    assert_int_equal(take_lines("8980 more connections were closed, within a minute"), 1);
    assert_true(timer_is_set(&c.minute));
    storm(&c, COMPLAINT_CONNECTION, COMPLAINTS_A_MINUTE);
    assert_int_equal(take_lines("port query"), COMPLAINTS_A_MINUTE);
    loop_cancel(l, &c.minute);
    c.minute.fn(&c.minute); /* nothing was held back, so it rests */
    assert_int_equal(take_lines("more"), 0);
    assert_false(timer_is_set(&c.minute));
    storm(&c, COMPLAINT_READER, COMPLAINTS_A_MINUTE + 1);
    complaints_fini(&c);
    assert_int_equal(take_lines("1 more peers that do not read"), 1);
    loop_free(l);
}

static int open_log(void **state)
{
    int fd = mkstemp(path);
    close(fd);
    return fd < 0 ? -1 : log_open_file(path);
}

static int remove_log(void **state)
{
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_storm_is_a_handful_of_lines),
    };
    return cmocka_run_group_tests(tests, open_log, remove_log);
}
