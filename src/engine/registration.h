/* SPDX-License-Identifier: BSD-3-Clause */
/* Registering with the hub and leaving it (engine.md 5, extensions.md 3, 5). */
#ifndef ERSA_ENGINE_REGISTRATION_H
#define ERSA_ENGINE_REGISTRATION_H

#include "loop/loop.h"
#include "wire/msg.h"

struct engine;

struct registration {
    struct timer timeout; /* of the first one */
    struct timer again;
    int64_t hb_period_ms;
    bool has_told_ready;
};

void registration_init(struct engine *e);
/* From now on the answer is waited for. */
void registration_start(struct engine *e);
void registration_fini(struct engine *e);
void registration_send(struct engine *e);
/* A message of the hub; frames[0] is the route. */
void registration_on_message(struct engine *e, const struct frame *frames, unsigned n);
/* It was refused once it had been registered: tries again a little later. */
void registration_retry(struct engine *e);
/* Tells the hub that the engine is usable, once all that it takes is there. */
void registration_ready(struct engine *e);
/* `cause` may be NULL. Once only. */
void registration_leave(struct engine *e, const char *cause);

#endif
