/* SPDX-License-Identifier: BSD-3-Clause */
/* What the router tells about itself when it is asked (stats/desk.h). The counters are kept by
 * those whose they are; here they are only read. */
#ifndef ERSA_ROUTER_REPORT_H
#define ERSA_ROUTER_REPORT_H

struct router;

/* 0, ERSA_EIO or ERSA_ENOMEM. */
int report_start(struct router *r);
void report_stop(struct router *r);

#endif
