/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of `ipcluster start` and `ipcluster engines`, from the first process to the last:
 *
 *     STARTING -engines started-> UP -signal | controller ended | engines failed early->
 * STOPPING -> end
 *
 * Everything is an event of one loop: ends of processes, signals, the controller's connection
 * file, what the hub says of engines, limits. A failure in STARTING stops what was started.
 * Daemonized, the same process goes on behind, once the engines are of use (cluster_ready.c).
 */
#ifndef ERSA_CLI_CLUSTER_RUN_H
#define ERSA_CLI_CLUSTER_RUN_H

#include <signal.h>

#include "cli/cli.h"
#include "cli/daemonize.h"
#include "cli/hub_watch.h"
#include "launch/await_file.h"
#include "launch/cluster.h"
#include "launch/output.h"
#include "loop/signals.h"

enum run_phase { RUN_STARTING, RUN_UP, RUN_STOPPING };

struct cluster_run {
    struct cli *cli; /* borrowed */
    struct loop *loop;
    struct signals signals;
    struct cluster cluster;
    struct follow follow; /* output to stderr, with --debug */
    struct daemonize daemonize;
    enum run_phase phase;
    bool with_controller;    /* false: ipcluster engines */
    int pid_fd;              /* the pid file's lock, -1 */
    char *engine_file;       /* owned */
    struct file_mark before; /* the file before the controller's start */
    bool has_lock;           /* of the cluster file, while engines are started */
    struct await_file await;
    struct timer delay_timer; /* between controller and engines */
    struct timer early_timer; /* while it runs, the end of engines is a failure */
    struct timer save_timer;  /* a change of the cluster file is due */
    struct hub_watch hub;     /* while engines that were started are to register */
    struct timer ready_timer; /* the limit of that */
    bool is_awaited;
    size_t n_before, n_registered; /* engines of others; engines that the hub knows */
    struct launch *engines;        /* borrowed from the cluster: the set that we started */
    int n;                         /* engines asked for */
    bool engines_failed;           /* one ended with a failure */
    int controller_status;         /* as from waitpid(), once it has ended; -1 before */
    char *controller_output;       /* owned; its log file, once it has ended */
    int exit_code;
};

/* Runs to the end; the program's exit code. */
int cluster_run_main(struct cli *c, bool with_controller);

/* From `ipcluster stop`: what ends now ends since somebody wants it. */
#define CLUSTER_STOP_SIGNAL SIGRTMIN

/* Parts, for the files cluster_run*.c */
int cluster_run_claim(struct cluster_run *r); /* 0, or an exit code with everything undone */
void cluster_run_controller(struct cluster_run *r);
void cluster_run_engines(struct cluster_run *r);
void cluster_run_fail(struct cluster_run *r, int code);
/* The engines are started: waits until they have registered. */
void cluster_run_await(struct cluster_run *r);
/* An engine has ended: perhaps there is nothing more to wait for. */
void cluster_run_look(struct cluster_run *r);
/* Nobody waits any more. */
void cluster_run_await_end(struct cluster_run *r);
void cluster_run_stop(struct cluster_run *r, int signo);
/* A `stop` has read the file while we waited for its lock, and signals what was in it: the loop
 * hears of that next. What we would start or write now nobody would know of. */
bool cluster_run_is_told(void);
extern const struct launch_events cluster_run_events; /* ctx: the run */

#endif
