/* SPDX-License-Identifier: BSD-3-Clause */
/* Gives memory back to the system when a burst is over. */
#ifndef ERSA_ROUTER_IDLE_H
#define ERSA_ROUTER_IDLE_H

#include <stdint.h>

#include "loop/loop.h"

struct router;

struct idle {
    struct timer tick;
    uint64_t posted;  /* mailer.posted at the last tick */
    uint64_t trimmed; /* the same at the last trim */
    uint64_t trims;
    size_t queued; /* for peers, at the last tick */
};

void idle_start(struct router *r);
void idle_stop(struct router *r);

#endif
