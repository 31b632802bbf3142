/* SPDX-License-Identifier: BSD-3-Clause */
/* Signals as events of the loop, through one signalfd. Call signals_open() before any thread
 * starts and before anything is published: from then on they are blocked and read. A SIGHUP
 * that is ignored already (nohup) stays so. */
#ifndef ERSA_LOOP_SIGNALS_H
#define ERSA_LOOP_SIGNALS_H

#include <stdbool.h>

#include "loop/loop.h"

typedef void (*signal_fn)(void *ctx, int signo);

struct signals {
    struct watch watch;
    struct loop *loop; /* borrowed */
    signal_fn fn;
    void *ctx;
};

/* `signos` ends with 0. Returns 0, ERSA_EIO or ERSA_ENOMEM. */
int signals_open(struct signals *s, struct loop *l, const int *signos, signal_fn fn, void *ctx);
void signals_close(struct signals *s);
/* What SIGHUP means: true where a terminal controls us, which is gone then; false for who has
 * none (a service, or a child of ipcluster): a hint to open log files again. */
bool signals_hangup_ends(void);
/* In a forked child before exec: the signal mask back to what it was before signals_open(). */
void signals_restore_in_child(void);

#endif
