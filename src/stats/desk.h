/* SPDX-License-Identifier: BSD-3-Clause */
/* How the web thread gets a sheet of another thread: it sends an empty one over a ring, and it
 * comes back filled by another. A sheet is in one thread's hands at a time; nobody locks, and
 * whoever is not asked does nothing.
 *
 *     desk_ask() --ask--> fill()        desk_latest() <--told-- */
#ifndef ERSA_STATS_DESK_H
#define ERSA_STATS_DESK_H

#include <stdbool.h>

#include "ersa/error.h"
#include "loop/loop.h"
#include "stats/sheet.h"

struct stats_desk;

/* `thread` (borrowed): whose figures these are. NULL: out of memory or descriptors. */
struct stats_desk *desk_new(const char *thread);
/* Both sides must have left. Accepts NULL. */
void desk_free(struct stats_desk *d);

const char *desk_thread(const struct stats_desk *d);

/* The thread that tells: from now on `fill` is called on its loop whenever it is asked, with a
 * sheet that is empty. ERSA_EIO, ERSA_ENOMEM. */
int desk_serve(struct stats_desk *d, struct loop *l,
               void (*fill)(void *ctx, struct stats_sheet *sheet), void *ctx);
void desk_leave(struct stats_desk *d); /* no-op when it does not serve */

/* The thread that asks: `told` is called on its loop when an answer came. ERSA_EIO,
 * ERSA_ENOMEM.
 */
int desk_open(struct stats_desk *d, struct loop *l, void (*told)(void *ctx), void *ctx);
void desk_close(struct stats_desk *d); /* no-op when it is not open */
/* False: an earlier question is not answered yet. */
bool desk_ask(struct stats_desk *d);
bool desk_is_asked(const struct stats_desk *d);
/* The newest answer; valid until desk_ask() is called after it. at_ns 0: there was none. */
const struct stats_sheet *desk_latest(const struct stats_desk *d);

#endif
