/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "engine/death.h"

#define EXITED(code) W_EXITCODE(code, 0)
#define KILLED(signo) W_EXITCODE(0, signo)

static const char *sentence(int status, long kib, uint64_t oom)
{
    static char text[256];
    struct rusage usage = {.ru_maxrss = kib};
    death_sentence(text, sizeof(text), status, &usage, oom);
    return text;
}

static void test_sentences(void **state)
{
    assert_string_equal(sentence(KILLED(SIGKILL), 24 * 1024, 0),
                        "killed by signal 9 (SIGKILL), peak memory 24 MB");
    assert_string_equal(
        sentence(KILLED(SIGKILL), 3 << 20, 1),
        "killed by signal 9 (SIGKILL), out of memory in its cgroup, peak memory 3.0 GB");
    /* somebody else's trouble */
    assert_string_equal(sentence(EXITED(3), 1024, 1), "exit code 3, peak memory 1 MB");
    assert_string_equal(sentence(KILLED(SIGSEGV), 1024, 1),
                        "killed by signal 11 (SIGSEGV), peak memory 1 MB");
}

static void test_exit_codes(void **state)
{
    assert_int_equal(death_exit_code(EXITED(0)), 0);
    assert_int_equal(death_exit_code(EXITED(42)), 42);
    assert_int_equal(death_exit_code(KILLED(SIGKILL)), 137);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_exit_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
