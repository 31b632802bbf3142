/* SPDX-License-Identifier: BSD-3-Clause */
/* Signals come through the loop; children get the mask from before. */
#include "loop/signals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <unistd.h>

static int seen;

static void on_signal(void *ctx, int signo)
{
    seen = signo;
    loop_stop(ctx);
}

static bool is_blocked(int signo)
{
    sigset_t now;
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    return sigismember(&now, signo);
}

static void test_delivery(void **state)
{
    struct loop *l = loop_new();
    struct signals s;
    assert_int_equal(signals_open(&s, l, (int[]){SIGUSR1, SIGTERM, 0}, on_signal, l), 0);
    assert_true(is_blocked(SIGUSR1));
    kill(getpid(), SIGUSR1);
    loop_run(l);
    assert_int_equal(seen, SIGUSR1);
    signals_close(&s);
    assert_false(is_blocked(SIGUSR1));
    signals_close(&s);
    loop_free(l);
}

/* As nohup starts us: what is ignored does not come through the descriptor either. */
static void test_ignored_hangup(void **state)
{
    struct loop *l = loop_new();
    struct signals s;
    signal(SIGHUP, SIG_IGN);
    assert_int_equal(signals_open(&s, l, (int[]){SIGHUP, SIGUSR1, 0}, on_signal, l), 0);
    assert_false(is_blocked(SIGHUP));
    kill(getpid(), SIGHUP);
    kill(getpid(), SIGUSR1);
    loop_run(l);
    assert_int_equal(seen, SIGUSR1);
    signals_close(&s);
    signal(SIGHUP, SIG_DFL);
    assert_int_equal(signals_open(&s, l, (int[]){SIGHUP, 0}, on_signal, l), 0);
    kill(getpid(), SIGHUP);
    loop_run(l);
    assert_int_equal(seen, SIGHUP);
    signals_close(&s);
    loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delivery),
        cmocka_unit_test(test_ignored_hangup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
