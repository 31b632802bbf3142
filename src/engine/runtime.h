/* SPDX-License-Identifier: BSD-3-Clause */
/* The runtime as a process and as a partner (docs/protocol/runtime.md): its start, what it
 * says, signals to it, its end. It has a process group of its own. */
#ifndef ERSA_ENGINE_RUNTIME_H
#define ERSA_ENGINE_RUNTIME_H

#include <stdbool.h>

#include "engine/rtchannel.h"
#include "loop/child.h"

struct engine;
struct request;

#define RUNTIME_TAIL 512

struct runtime {
    struct child child;
    struct rtchannel channel;
    struct timer patience; /* its channel is closed, it should end */
    pid_t group;           /* 0: never started */
    bool is_ready, is_ending;
    uint64_t oom_before;
    char why[160];           /* what was wrong with it, if we had to end it */
    char tail[RUNTIME_TAIL]; /* end of what it and user code wrote to stderr */
    size_t tail_len;
};

/* Starts it and opens e->runtime and e->output. ERSA_ENOENT (no such interpreter), ERSA_EIO. */
int runtime_start(struct engine *e, struct ersa_error *err);
/* Frees; what still runs of it is killed. */
void runtime_fini(struct engine *e);

/* The id is known: HELLO. */
int runtime_hello(struct engine *e);
/* RUN. ERSA_EFULL: more parts than the protocol allows; ERSA_ENOMEM, ERSA_ECLOSED. */
int runtime_run(struct engine *e, const struct request *r);
/* SHUTDOWN: it ends by itself. */
void runtime_shutdown(struct engine *e);
/* It is ready, and not ending. */
bool runtime_is_free(const struct engine *e);
void runtime_hold(struct engine *e, bool on);

/* SIGINT, if a request is under way (else false): to the process, or to its group. */
bool runtime_interrupt(struct engine *e, bool group);
/* kill() of the process: 0 or errno. */
int runtime_signal(struct engine *e, int signo);
/* Does user code (or its interpreter) handle the signal? */
bool runtime_handles(const struct engine *e, int signo);
/* kill() of the group; false when nobody is left in it. */
bool runtime_signal_group(struct engine *e, int signo);
void runtime_kill(struct engine *e);

#endif
