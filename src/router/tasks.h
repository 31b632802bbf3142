/* SPDX-License-Identifier: BSD-3-Clause */
/* The task scheduler's place in the router: its two ports, and its events towards records and
 * ledger. */
#ifndef ERSA_ROUTER_TASKS_H
#define ERSA_ROUTER_TASKS_H

#include "router/link.h"
#include "store/mail.h"

extern const struct sched_ops tasks_ops; /* ctx: struct router */

void tasks_from_client(struct link *l, const struct msg *m);
/* A task that records takes from its store. What comes back goes to records alone. */
void tasks_resubmit(struct router *r, const struct mail *m);
void tasks_from_engine(struct link *l, const struct msg *m);

#endif
