/* SPDX-License-Identifier: BSD-3-Clause */
/* Control requests that engines owe an answer. A stock client waits for it without a limit, and
 * gives up nothing of the kind when it hears of an engine's end: what is open then is answered
 * in the engine's place, and if it answers after all, nobody hears it twice. All together keep
 * a bounded number of octets. */
#ifndef ERSA_ROUTER_CONTROL_H
#define ERSA_ROUTER_CONTROL_H

#include <stdbool.h>

#include "router/engine.h"
#include "util/map.h"

#define CONTROL_MAX ((size_t)16 << 20)

struct control {
    struct map requests;  /* by engine and id: those open, and those in `answered` */
    struct list answered; /* in an engine's place; oldest first */
    size_t bytes;
};

/* What is told of an open one; borrowed. */
struct control_request {
    struct slice client, header;
};

void control_init(struct control *c);
void control_fini(struct control *c);

/* The request is on its way to the engine. Where there is no room for it, it is passed on and
 * not followed. */
void control_open(struct control *c, struct engine *e, struct slice msg_id,
                  const struct control_request *request);
/* An answer comes by. False: it has been given in the engine's place. */
bool control_answer(struct control *c, struct slice uuid, struct slice msg_id);
/* The engine has ended: fn is told what is open, oldest first. */
void control_close(struct control *c, struct engine *e,
                   void (*fn)(void *ctx, struct engine *e, const struct control_request *q),
                   void *ctx);

#endif
