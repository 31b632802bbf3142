/* SPDX-License-Identifier: BSD-3-Clause */
/* The web thread of ipcontroller, and the desks at which router and records tell it about
 * themselves. Without --metrics-port there is nothing of it; what goes wrong with it is logged,
 * and the controller goes on. */
#ifndef ERSA_CLI_CONTROLLER_METRICS_H
#define ERSA_CLI_CONTROLLER_METRICS_H

#include "cli/controller_setup.h"
#include "stats/desk.h"
#include "web/web.h"

struct controller_metrics {
    struct stats_desk *router, *records; /* NULL: not served */
    struct web *web;
};

/* The desks; before the threads start. */
void controller_metrics_open(struct controller_metrics *m, const struct cli *c);
/* The thread; its address goes to the log and to the clients' connection file. */
void controller_metrics_start(struct controller_metrics *m, struct controller_setup *s,
                              const struct cli *c);
/* Before the other threads end. */
void controller_metrics_stop(struct controller_metrics *m);
/* After they have. */
void controller_metrics_end(struct controller_metrics *m);

#endif
