/* SPDX-License-Identifier: BSD-3-Clause */
/* Output of engines, forwarded unchanged to every client that subscribed; what belongs to a
 * task's record is mailed to records (controller.md 6 and 13). */
#ifndef ERSA_ROUTER_IOPUB_H
#define ERSA_ROUTER_IOPUB_H

#include "router/link.h"

void iopub_from_engine(struct link *l, const struct msg *m);

#endif
