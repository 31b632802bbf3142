/* SPDX-License-Identifier: BSD-3-Clause */
/* The broadcast scheduler's place in the router: the root port for clients, the leaf ports and
 * the attached channel for engines. */
#ifndef ERSA_ROUTER_BROADCASTS_H
#define ERSA_ROUTER_BROADCASTS_H

#include "router/link.h"
#include "router/sched_broadcast.h"

extern const struct broadcast_ops broadcasts_ops; /* ctx: struct router */

void broadcasts_from_client(struct link *l, const struct msg *m);
void broadcasts_client_gone(struct link *l);
void broadcasts_from_engine(struct link *l, const struct msg *m);

#endif
