/* SPDX-License-Identifier: BSD-3-Clause */
/* Queries while the store is full and the ring is not read. */
#ifndef ERSA_RECORDS_HOLD_H
#define ERSA_RECORDS_HOLD_H

#include "records/core.h"

/* Answers those that are in the ring already. */
void hold_answer(struct records *r);
/* Answers one that came aside; a reader of that ring. */
void hold_on_aside(void *ctx, void *item);

#endif
