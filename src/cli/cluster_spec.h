/* SPDX-License-Identifier: BSD-3-Clause */
/* From options to what is launched: programs, arguments, environment, limits. */
#ifndef ERSA_CLI_CLUSTER_SPEC_H
#define ERSA_CLI_CLUSTER_SPEC_H

#include "cli/cli.h"
#include "config/cluster_file.h"
#include "launch/launcher.h"

struct cluster_spec {
    const struct launcher *launcher; /* static */
    struct launch_spec launch;       /* borrows from here and from the cli */
    char **argv;                     /* owned */
    size_t argc;
};

/* Which launchers the options name: exits with 1 where there is none of that name. */
const struct launcher *cluster_spec_launcher(const struct cli *c, const char *option);

/* The controller: cmd, its args, --ip and --location, Cluster.controller_args, the words behind
 * --. */
int cluster_spec_controller(struct cluster_spec *s, const struct cli *c,
                            struct ersa_error *err);
/* A set of engines. `engine_file` (may be NULL): the controller's connection file, handed to
 * them. */
int cluster_spec_engines(struct cluster_spec *s, const struct cli *c, const char *set_id,
                         const char *engine_file, struct ersa_error *err);
void cluster_spec_fini(struct cluster_spec *s);

/* Engines asked for: Cluster.n, else the processors that we may use. */
int cluster_spec_n(const struct cli *c);
/* SIGTERM and both limits: the larger of the controller's and the engines'. */
struct launch_stop cluster_spec_stop(const struct cli *c);
/* The head of the cluster file. ERSA_ENOMEM. */
int cluster_spec_head(const struct cli *c, struct cluster_file *f);

#endif
