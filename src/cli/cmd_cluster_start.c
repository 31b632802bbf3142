/* SPDX-License-Identifier: BSD-3-Clause */
/* `ipcluster start` and `ipcluster engines`. */
#include "cli/cluster_run.h"
#include "cli/ipcluster.h"

static int run(enum program program, int argc, char **argv, bool with_controller)
{
    struct cli cli;
    cli_start(&cli, program, argc, argv);
    int code = cluster_run_main(&cli, with_controller);
    cli_end(&cli);
    return code;
}

int cmd_cluster_start(int argc, char **argv)
{
    return run(PROG_CLUSTER_START, argc, argv, true);
}

int cmd_cluster_engines(int argc, char **argv)
{
    return run(PROG_CLUSTER_ENGINES, argc, argv, false);
}
