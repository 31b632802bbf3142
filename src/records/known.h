/* SPDX-License-Identifier: BSD-3-Clause */
/* What this controller has heard of in its life: the requests that are open, and the ids of
 * those that are closed. Status is told from here, not from the store (db.md 1.1). */
#ifndef ERSA_RECORDS_KNOWN_H
#define ERSA_RECORDS_KNOWN_H

#include "records/idset.h"

#define KNOWN_OPEN_MAX 4000000 /* more open requests than this are not told apart */

enum known_state { KNOWN_NOT, KNOWN_OPEN, KNOWN_CLOSED };

struct known {
    struct map open;
    struct idset closed;
};

void known_init(struct known *k);
void known_fini(struct known *k);

/* A request came; one that was closed is open again. 0, ERSA_ENOMEM or ERSA_EFULL. */
int known_open(struct known *k, struct slice id);
/* It has its result. Tells what it was before; KNOWN_NOT stays. */
enum known_state known_close(struct known *k, struct slice id);
enum known_state known_state(struct known *k, struct slice id);
/* Forgets a closed id, or all of them. */
void known_forget(struct known *k, struct slice id);
void known_forget_closed(struct known *k);

#endif
