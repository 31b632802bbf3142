/* SPDX-License-Identifier: BSD-3-Clause */
/* One running program a pid file: pid/<name>.pid holds the number of the process, and a lock on
 * it for as long as the process lives, so that a file left behind by a killed one is no
 * obstacle. */
#ifndef ERSA_CLI_INSTANCE_H
#define ERSA_CLI_INSTANCE_H

#include "ersa/error.h"

struct instance {
    int fd; /* locked; -1: none */
    char *path;
};

/* ERSA_EEXIST: another one runs, err says which. */
int instance_claim(struct instance *ret, const char *pid_dir, const char *name,
                   struct ersa_error *err);
/* Removes the file. */
void instance_release(struct instance *i);

#endif
