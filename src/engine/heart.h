/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine's own look at the controller's heartbeat (engine.md 7); echoes are channels.c's.
 */
#ifndef ERSA_ENGINE_HEART_H
#define ERSA_ENGINE_HEART_H

#include "loop/loop.h"

struct engine;

struct heart {
    struct timer check;
    int64_t last_check_ns, period_ms;
    int64_t misses;
};

/* Begins with the registration, goes on while the connection is lost. */
void heart_start(struct engine *e, int64_t hb_period_ms);
void heart_stop(struct engine *e);

#endif
