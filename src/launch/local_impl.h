/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of the local launcher, shared by local.c and local_state.c. */
#ifndef ERSA_LAUNCH_LOCAL_IMPL_H
#define ERSA_LAUNCH_LOCAL_IMPL_H

#include "launch/launcher.h"
#include "launch/proc.h"
#include "loop/child.h"

#define LOCAL_ENGINES_MAX 1000000

struct local_proc {
    struct local *owner; /* borrowed */
    int index;
    bool is_running, is_child;
    struct proc id;
    struct child child; /* ours */
    struct watch watch; /* taken over: a pidfd */
    char *output_file;  /* owned */
};

struct local {
    struct launch base;
    char **argv;         /* owned */
    json_t *environment; /* owned, may be NULL */
    int64_t delay_ns;
    struct local_proc *procs; /* owned array, never moved once filled */
    int n, n_begun, n_running;
    struct timer start_timer; /* the next engine */
    struct timer stop_timer;
    struct launch_stop how;
    bool is_stopping, is_killed;
};

/* A watch_fn of the pidfd of a process that was taken over: it has ended. */
void local_on_pidfd(struct watch *w, unsigned events);

/* local_state.c: launcher_ops.save and launcher_ops.load. */
json_t *local_save(const struct launch *launch);
int local_load(struct launch *launch, const json_t *state, struct ersa_error *err);

#endif
