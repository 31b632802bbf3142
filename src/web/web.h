/* SPDX-License-Identifier: BSD-3-Clause */
/* The web thread: serves /metrics (the text format of Prometheus, version 0.0.4) and /healthz
 * over HTTP. It knows nothing but what other threads put on their desks (stats/desk.h), and
 * asks them when it is asked. Whatever happens to it, the controller goes on. */
#ifndef ERSA_WEB_WEB_H
#define ERSA_WEB_WEB_H

#include "ersa/error.h"
#include "stats/desk.h"

#define WEB_DESKS_MAX 8

struct web;

struct web_config {
    const char *ip; /* "127.0.0.1", "::1", "*" */
    int port;       /* 0: a free one */
    struct stats_desk *const *desks;
    unsigned n_desks;     /* at most WEB_DESKS_MAX */
    unsigned patience_ms; /* for a request, and between two of a connection; 0: 10,000 */
};

/* Binds and starts the thread; the desks are borrowed until web_stop(). ERSA_EUNSUPPORTED:
 * built without libmicrohttpd; ERSA_EEXIST: the port is in use; ERSA_EINVAL, ERSA_EIO,
 * ERSA_ENOMEM. */
int web_start(struct web **ret, const struct web_config *cfg, struct ersa_error *err);
int web_port(const struct web *w);
/* Joins the thread. Accepts NULL. */
void web_stop(struct web *w);

#endif
