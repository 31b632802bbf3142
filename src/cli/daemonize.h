/* SPDX-License-Identifier: BSD-3-Clause */
/* Going on in the background, but only once all is well: who started the program waits until
 * then, sees every line of it, and gets its exit code when it fails. */
#ifndef ERSA_CLI_DAEMONIZE_H
#define ERSA_CLI_DAEMONIZE_H

#include "ersa/error.h"

struct daemonize {
    int fd; /* tells the waiting process; -1: not (or no longer) waited for */
};

/* Before threads, loops and signal handlers. Returns in the new process only; the other one
 * waits and exits. ERSA_EIO: still in the foreground. */
int daemonize_begin(struct daemonize *d, struct ersa_error *err);
/* Lets the waiting process exit with 0; a session of its own, stdin from /dev/null, output to
 * the file. */
void daemonize_ready(struct daemonize *d, const char *output_file);

#endif
