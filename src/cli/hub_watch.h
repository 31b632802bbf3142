/* SPDX-License-Identifier: BSD-3-Clause */
/* How many engines a controller knows, as a client hears of it: asked once, and again when a
 * notification says that it has changed. For ipcluster, which can see processes start, but not
 * whether they are of use. */
#ifndef ERSA_CLI_HUB_WATCH_H
#define ERSA_CLI_HUB_WATCH_H

#include "config/connection_file.h"
#include "util/buf.h"
#include "wire/curve.h"
#include "wire/port.h"
#include "wire/session.h"

/* The number of registered engines, or a reason (n is 0) why the hub can't be asked: that is
 * the last call. */
typedef void (*hub_watch_fn)(void *ctx, size_t n, const struct ersa_error *err);

struct hub_watch {
    struct loop *loop; /* borrowed; NULL: not running */
    struct wire *wire;
    struct port *query, *notification;
    struct session *session;
    struct connection_info conn;
    struct curve_config curve;
    struct buf scratch;
    struct timer timer;
    char *path, *interface; /* owned */
    hub_watch_fn fn;
    void *ctx;
};

/* `path`: the clients' connection file, which may still be on its way. ERSA_ENOMEM. */
int hub_watch_start(struct hub_watch *w, struct loop *l, const char *path, hub_watch_fn fn,
                    void *ctx);
/* No call comes any more. Also in `fn`, and when it does not run. */
void hub_watch_stop(struct hub_watch *w);
/* Not in `fn`. */
void hub_watch_fini(struct hub_watch *w);

#endif
