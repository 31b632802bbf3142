/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine state file (controller.md 11.2): who is registered, and the next id. The text is
 * made here, some time after a change, and records writes it. */
#ifndef ERSA_ROUTER_STATE_H
#define ERSA_ROUTER_STATE_H

#include "loop/loop.h"

struct router;
struct ersa_error;

struct state {
    struct timer due; /* set while the file is older than the registry */
};

/* Registers the engines of cfg.restore. ERSA_EPARSE, ERSA_ENOMEM. */
int state_start(struct router *r, struct ersa_error *err);
/* Hands over what has not been written yet. */
void state_stop(struct router *r);
void state_changed(struct router *r);

#endif
