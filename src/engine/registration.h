/* SPDX-License-Identifier: BSD-3-Clause */
/* Registering with the hub and leaving it (engine.md 5, extensions.md 2 to 5). */
#ifndef ERSA_ENGINE_REGISTRATION_H
#define ERSA_ENGINE_REGISTRATION_H

#include "loop/loop.h"
#include "util/rand.h"
#include "wire/json.h"
#include "wire/msg.h"

struct engine;

struct registration {
    struct timer timeout; /* of the first one */
    struct timer again;
    int64_t hb_period_ms;
    bool has_to_tell; /* that it is ready, since it forgets */
    bool has_told_ready;
    char attempt[RAND_SESSION_ID_LEN + 1]; /* another one after each answer */
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
/* The last task begun, if any, in a list: what told of it may be lost, or on its way by another
 * connection. NULL when out of memory. */
json_t *registration_begun(const struct engine *e);
/* `cause` may be NULL. Once only. */
void registration_leave(struct engine *e, const char *cause);

#endif
