/* SPDX-License-Identifier: BSD-3-Clause */
/* Output of the last moments, for clients that are just connecting: a client opens its sockets
 * one after the other and may submit before its subscription to iopub has arrived, and an
 * engine may have published before that, too. While a new client is settling, output is kept,
 * and sent to whoever subscribes. Stock clients ignore what isn't theirs. */
#ifndef ERSA_ROUTER_RECENT_H
#define ERSA_ROUTER_RECENT_H

#include "router/link.h"

#define RECENT_SETTLE_MS 2000 /* from a client's first connection to its subscription */
#define RECENT_MAX_BYTES ((size_t)8 << 20) /* the oldest goes first */

struct recent {
    int64_t until_ns; /* output is kept until then */
    struct list kept; /* oldest first */
    size_t bytes;
    struct timer expire;
};

void recent_init(struct recent *c);
void recent_fini(struct router *r);

/* A client connected to a port by which it can submit. */
void recent_on_client(struct link *l);
/* Output goes to the subscribers now. */
void recent_keep(struct router *r, const struct msg *m);
/* A client subscribed to output. */
void recent_on_subscribed(struct link *l);

#endif
