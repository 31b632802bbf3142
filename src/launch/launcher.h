/* SPDX-License-Identifier: BSD-3-Clause */
/* The launcher seam (design.md 4): how the processes of a cluster are started, watched,
 * signalled and stopped. One `struct launch` is one controller or one set of engines; a
 * launcher is a `struct launcher_ops`, a row in the table of launcher.c, and a file of its own.
 *
 *     BEFORE -start-> RUNNING -last process ended-> AFTER        BEFORE -load-> RUNNING | AFTER
 *
 * Everything runs in the loop's thread. Starting and stopping end with an event, since a batch
 * system takes its time; an event may come before the call that caused it returns. */
#ifndef ERSA_LAUNCH_LAUNCHER_H
#define ERSA_LAUNCH_LAUNCHER_H

#include <stdbool.h>
#include <sys/types.h>

#include "ersa/error.h"
#include "loop/loop.h"
#include "wire/json.h"

struct launch;

enum launch_state { LAUNCH_BEFORE, LAUNCH_RUNNING, LAUNCH_AFTER };
#define LAUNCH_ALL (-1)

/* What is launched. All borrowed while launch_new() runs, copied there. */
struct launch_spec {
    const char *profile_dir, *log_dir;
    const char *cluster_id;
    const char *set_id;        /* NULL: the controller */
    char *const *argv;         /* program and arguments; NULL for a launch that is loaded */
    const json_t *environment; /* more variables: an object of texts; may be NULL */
    double delay_s;            /* between one engine's start and the next */
};

/* How one process ended. `status` (as from waitpid) is known for children of this process only.
 */
struct launch_exit {
    int index;
    pid_t pid;
    bool is_known;
    int status;
    const char *output_file; /* "" when there is none */
};

struct launch_events {
    /* Everything is started (rc 0), or not: then the caller stops what did start. */
    void (*on_start)(void *ctx, struct launch *l, int rc, const struct ersa_error *err);
    void (*on_exit)(void *ctx, struct launch *l, const struct launch_exit *end);
    /* The last process has ended (rc 0), or stop() gave up (ERSA_ETIMEDOUT). Comes once; the
     * launch may be freed after it from the outside, not in it. */
    void (*on_stop)(void *ctx, struct launch *l, int rc);
    void *ctx;
};

struct launch_stop {
    int signo;           /* first signal; SIGKILL: at once */
    double kill_after_s; /* then SIGKILL */
    double timeout_s;    /* after SIGKILL: given up */
};

struct launcher_ops {
    int (*create)(const struct launch_spec *spec, struct launch **ret, struct ersa_error *err);
    /* Begins to start `n` processes (1 for a controller). An error here: nothing was started,
     * and no event comes. */
    int (*start)(struct launch *l, int n, struct ersa_error *err);
    /* Begins to stop what runs; again with another signal is fine. */
    void (*stop)(struct launch *l, const struct launch_stop *how);
    /* To one process, or LAUNCH_ALL. */
    void (*signal)(struct launch *l, int index, int signo);
    /* How many processes really run, now. */
    int (*poll)(struct launch *l);
    /* State for a later process (cluster.md 2): a new reference, NULL when out of memory. */
    json_t *(*save)(const struct launch *l);
    /* Takes over what save() wrote, here or in the reference. Afterwards state says whether
     * anything of it still runs. ERSA_EPARSE. */
    int (*load)(struct launch *l, const json_t *state, struct ersa_error *err);
    void (*free)(struct launch *l); /* forgets the processes, stops nothing */
};

/* First member of a launcher's own struct. */
struct launch {
    const struct launcher_ops *ops;
    const struct launcher *launcher;
    struct loop *loop; /* borrowed */
    struct launch_events events;
    enum launch_state state;
    bool is_controller;
    char *profile_dir, *log_dir, *cluster_id, *set_id; /* owned; set_id NULL for a controller */
};

struct launcher {
    const char *name;                            /* "local": in cluster files and options */
    const char *title;                           /* "Local": in lists */
    const char *controller_class, *engine_class; /* sections of options; NULL: none */
    const struct launcher_ops *ops;              /* NULL: known, but not in this version */
};

/* By name in any letter case, or by class name. NULL with ERSA_ENOENT or ERSA_EUNSUPPORTED. */
const struct launcher *launcher_find(const char *name, struct ersa_error *err);
/* For lists: the title, or the name itself where we don't know it. */
const char *launcher_title(const char *name);

/* A launch in state BEFORE; events.on_* may be NULL. */
int launch_new(const struct launcher *which, struct loop *loop, const struct launch_spec *spec,
               const struct launch_events *events, struct launch **ret, struct ersa_error *err);
void launch_free(struct launch *l); /* accepts NULL */
/* Name for log lines: "ipcontroller-<cluster id>", "ipengine-<cluster id>-<set id>"; owned. */
char *launch_name(const struct launch *l);

/* For launchers: fields common to all, taken over from the spec; and their end. */
int launch_init(struct launch *l, const struct launch_spec *spec);
void launch_fini(struct launch *l);

#endif
