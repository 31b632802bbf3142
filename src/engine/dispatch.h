/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests by type: one row each says who answers, the engine or the runtime. What the runtime
 * answers, and everything on shell, goes through the queue; what the engine answers on control
 * is answered at once, also while user code runs. */
#ifndef ERSA_ENGINE_DISPATCH_H
#define ERSA_ENGINE_DISPATCH_H

#include "engine/request.h"

struct engine;

enum answers {
    BY_RUNTIME,
    BY_ENGINE,
    AT_ONCE, /* by the engine, between the controller and itself: no status, no queue */
};

struct request_def {
    const char *type;
    enum answers who;
    bool is_task; /* execute, apply: their replies carry all of the metadata */
    bool has_reply;
    void (*answer)(struct engine *e, struct request *r); /* not BY_RUNTIME */
};

/* NULL: unknown. */
const struct request_def *dispatch_find(struct slice msg_type);
static inline bool dispatch_is_task(const struct request_def *def)
{
    return def && def->is_task;
}

/* A message on shell or control; frames[0] is the route. */
void dispatch_message(struct engine *e, enum channel ch, const struct frame *frames,
                      unsigned n);
/* Gives the runtime its next request, if it is free and there is one. */
void dispatch_next(struct engine *e);
/* What was to be written before e->next begins has been, or can be tried again. */
void dispatch_written(struct engine *e);
/* Forgets what waits, as if it had never come; returns how many requests. */
size_t dispatch_drop(struct engine *e);
/* The runtime's answer to e->current; content data NULL: only the status. */
void dispatch_reply(struct engine *e, struct slice status, struct slice flags,
                    struct slice content, const struct frame *buffers, unsigned n_buffers);
/* Puts a request in front of the queue whose answer has been sent. */
void dispatch_first(struct engine *e, const struct request *r);

#endif
