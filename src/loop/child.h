/* SPDX-License-Identifier: BSD-3-Clause */
/* Children as events of the loop: a pidfd tells the end, wait4() why and at what cost. */
#ifndef ERSA_LOOP_CHILD_H
#define ERSA_LOOP_CHILD_H

#include <sys/resource.h>
#include <sys/types.h>

#include "ersa/error.h"
#include "loop/loop.h"

struct child;
/* `status` as from waitpid(). The child is reaped; `c` may be reused or freed after return. */
typedef void (*child_fn)(struct child *c, int status, const struct rusage *usage);

struct child {
    pid_t pid; /* 0: none */
    struct watch watch;
    struct loop *loop; /* borrowed */
    child_fn fn;
};

struct child_spawn {
    const char *path; /* absolute, or found in PATH */
    char *const *argv;
    char *const *envp;                  /* NULL: environ */
    const char *cwd;                    /* NULL: unchanged */
    int stdin_fd, stdout_fd, stderr_fd; /* -1: inherit; CHILD_DEV_NULL */
    const int *keep_fds;     /* ends with -1: cleared of FD_CLOEXEC in the child; may be NULL */
    bool new_session;        /* setsid() */
    bool new_group;          /* setpgid(0, 0) */
    int parent_death_signal; /* 0: none */
};

#define CHILD_DEV_NULL (-2)

/* fork + exec; a failed exec is an error here (ERSA_ENOENT or ERSA_EIO, err names the path),
 * not a child that ends. On success c->pid runs and c->fn will be called once. */
int child_start(struct child *c, struct loop *l, const struct child_spawn *spawn, child_fn fn,
                struct ersa_error *err);
/* Stops watching without reaping. */
void child_forget(struct child *c);
/* Text such as "exit code 3" or "killed by signal 9 (SIGKILL)"; static per thread. */
const char *child_status_text(int status);

#endif
