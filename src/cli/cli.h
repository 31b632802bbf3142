/* SPDX-License-Identifier: BSD-3-Clause */
/* What every main does before its own work: help and version, options from all sources, profile
 * directory, working directory, log. Only here a program exits in the middle. */
#ifndef ERSA_CLI_CLI_H
#define ERSA_CLI_CLI_H

#include "config/options.h"
#include "config/profile.h"

struct cli {
    struct options *options;
    struct profile profile;
    const struct program_def *program;
    const char *cluster_id; /* borrowed from the options */
};

/* Returns with everything in place, or exits: 0 after --help, --version, --show-config, ...; 1
 * and 2 as cluster.md 6.8 says. argv[0] is the program's (or sub-command's) name. */
void cli_start(struct cli *c, enum program program, int argc, char **argv);
void cli_end(struct cli *c);

/* Logs at CRITICAL and exits. */
_Noreturn void cli_die(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* RLIMIT_NOFILE to its hard limit. */
void cli_raise_limits(void);

#endif
