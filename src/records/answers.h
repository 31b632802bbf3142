/* SPDX-License-Identifier: BSD-3-Clause */
/* Mail for the router. While an answer waits for room in the ring to it, nothing is read, so
 * that what waits is bounded; the router always reads on, so the wait ends. */
#ifndef ERSA_RECORDS_ANSWERS_H
#define ERSA_RECORDS_ANSWERS_H

#include "records/core.h"

#define RECORDS_MAILS_A_TURN 256

/* `on_mail` gets what comes by the ring `in`. */
void answers_init(struct records *r, void (*on_mail)(void *ctx, void *item));
/* The loop does not run any more. */
void answers_fini(struct records *r);

/* Takes mail for the router (an answer, a resubmission) and sends it as soon as there is room.
 */
void records_answer(struct records *r, struct mail *answer);
/* Reads the ring (again), if nothing stands against it: an answer that waits, a full store. */
int records_listen(struct records *r);

#endif
