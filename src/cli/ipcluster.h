/* SPDX-License-Identifier: BSD-3-Clause */
/* The sub-commands of ipcluster, each in a file cmd_cluster_<name>.c, and its exit codes. */
#ifndef ERSA_CLI_IPCLUSTER_H
#define ERSA_CLI_IPCLUSTER_H

/* cluster.md 6.8, and what the reference hides behind 0. A signal that ended `start`: 128 +
 * number. */
enum cluster_exit {
    EXIT_CLUSTER_OK = 0,
    EXIT_CLUSTER_FAILED = 1,      /* bad configuration; could not start; could not stop */
    EXIT_CLUSTER_USAGE = 2,       /* malformed command line */
    EXIT_CLUSTER_RUNNING = 10,    /* start: runs already */
    EXIT_CLUSTER_NO_FILE = 11,    /* stop: no cluster file */
    EXIT_CLUSTER_NO_CLUSTER = 12, /* engines: no controller runs */
    EXIT_CLUSTER_CONTROLLER = 13, /* the controller failed, or was killed */
    EXIT_CLUSTER_ENGINES = 14,    /* engines failed soon after their start */
};

/* argv[0] is the sub-command's name. The program's exit code. */
int cmd_cluster_start(int argc, char **argv);
int cmd_cluster_engines(int argc, char **argv);
int cmd_cluster_stop(int argc, char **argv);
int cmd_cluster_list(int argc, char **argv);
int cmd_cluster_clean(int argc, char **argv);

#endif
