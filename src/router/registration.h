/* SPDX-License-Identifier: BSD-3-Clause */
/* Engines come and go: the hub requests about it (controller.md 7, 9, 14.1). */
#ifndef ERSA_ROUTER_REGISTRATION_H
#define ERSA_ROUTER_REGISTRATION_H

#include "router/hub.h"

void registration_on_request(struct query *q);
void registration_on_unregister(struct query *q);
void registration_on_ready(struct query *q);
/* It says on iopub that it was shut down. */
void registration_on_shutdown(struct router *r, struct engine *e, struct slice metadata);
void registration_on_connection_request(struct query *q);

/* An engine of an earlier run is expected back. ERSA_EPARSE, ERSA_EEXIST, ERSA_ENOMEM. */
int registration_restore(struct router *r, struct slice uuid, int64_t id,
                         struct ersa_error *err);

/* A pong of an engine that isn't registered: one whose heart had stopped is announced again. */
void registration_revive(struct link *l);

#endif
