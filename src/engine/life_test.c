/* SPDX-License-Identifier: BSD-3-Clause */
/* The table against what is written in life.h, over all states and events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/life.h"

#define NONE (-1)

static void test_every_pair(void **state)
{
    static const int want[LIFE_STATE_MAX][EV_MAX] = {
        [LIFE_CONNECTING] = {[EV_UP] = LIFE_REGISTERING,
                             [EV_DOWN] = LIFE_CONNECTING,
                             [EV_REGISTERED] = NONE,
                             [EV_REFUSED] = NONE,
                             [EV_KEPT] = NONE,
                             [EV_STOP] = LIFE_STOPPING,
                             [EV_RUNTIME_END] = LIFE_ENDING},
        [LIFE_REGISTERING] = {[EV_UP] = LIFE_REGISTERING,
                              [EV_DOWN] = LIFE_CONNECTING,
                              [EV_REGISTERED] = LIFE_SERVING,
                              [EV_REFUSED] = LIFE_REGISTERING,
                              [EV_KEPT] = LIFE_SERVING,
                              [EV_STOP] = LIFE_STOPPING,
                              [EV_RUNTIME_END] = LIFE_ENDING},
        [LIFE_SERVING] = {[EV_UP] = LIFE_SERVING,
                          [EV_DOWN] = LIFE_CONNECTING,
                          [EV_REGISTERED] = NONE,
                          [EV_REFUSED] = NONE,
                          [EV_KEPT] = NONE,
                          [EV_STOP] = LIFE_STOPPING,
                          [EV_RUNTIME_END] = LIFE_ENDING},
        [LIFE_STOPPING] = {[EV_UP] = LIFE_STOPPING,
                           [EV_DOWN] = LIFE_STOPPING,
                           [EV_REGISTERED] = NONE,
                           [EV_REFUSED] = NONE,
                           [EV_KEPT] = NONE,
                           [EV_STOP] = NONE,
                           [EV_RUNTIME_END] = LIFE_ENDING},
        [LIFE_ENDING] = {[EV_UP] = LIFE_ENDING,
                         [EV_DOWN] = LIFE_ENDING,
                         [EV_REGISTERED] = NONE,
                         [EV_REFUSED] = NONE,
                         [EV_KEPT] = NONE,
                         [EV_STOP] = NONE,
                         [EV_RUNTIME_END] = NONE},
    };
    for (int s = 0; s < LIFE_STATE_MAX; s++)
        for (int ev = 0; ev < EV_MAX; ev++)
            assert_int_equal(life_next((enum life_state)s, (enum life_event)ev), want[s][ev]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
