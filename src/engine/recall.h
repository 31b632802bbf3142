/* SPDX-License-Identifier: BSD-3-Clause */
/* `ersa_recall` (extensions.md 7): the task scheduler wants tasks back that have not begun. */
#ifndef ERSA_ENGINE_RECALL_H
#define ERSA_ENGINE_RECALL_H

struct engine;
struct request;

void on_recall(struct engine *e, struct request *r);
/* Tells that there is nothing to do any more, if a recall asked for that. */
void recall_tell_free(struct engine *e);

#endif
