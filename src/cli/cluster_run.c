/* SPDX-License-Identifier: BSD-3-Clause */
/* What happens while a cluster runs, and its end; see cluster_run.h. The start is in
 * cluster_start.c. */
#include "cli/cluster_run.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cluster_spec.h"
#include "cli/ipcluster.h"
#include "cli/writer.h"
#include "launch/lockfile.h"
#include "loop/child.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/log.h"
#include "util/str.h"

#define SAVE_DELAY_NS MS_TO_NS(50)
#define SAVE_LOCK_S 10.0

/* Stopping */

static void finish_if_stopped(struct cluster_run *r)
{
    if (r->phase == RUN_STOPPING && !cluster_n_running(&r->cluster))
        loop_stop(r->loop);
}

/* The sets that other programs added end with the controller. */
static void take_over_sets(struct cluster_run *r)
{
    struct ersa_error err = {0};
    if (!r->with_controller || !r->cluster.controller)
        return;
    int rc = cluster_load(&r->cluster, &err);
    if (rc < 0 && rc != ERSA_ENOENT)
        log_warn("%s", err.text);
}

void cluster_run_stop(struct cluster_run *r, int signo)
{
    struct launch_stop how = cluster_spec_stop(r->cli);
    how.signo = signo;
    if (r->phase != RUN_STOPPING) {
        log_info("IPython cluster: stopping");
        take_over_sets(r);
        await_file_stop(&r->await);
        loop_cancel(r->loop, &r->delay_timer);
        loop_cancel(r->loop, &r->early_timer);
        cluster_run_await_end(r);
    }
    r->phase = RUN_STOPPING;
    cluster_stop(&r->cluster, &how);
    finish_if_stopped(r);
}

static void end_with(struct cluster_run *r, int code, int signo)
{
    if (r->phase == RUN_STOPPING)
        return;
    r->exit_code = code;
    cluster_run_stop(r, signo);
}

void cluster_run_fail(struct cluster_run *r, int code)
{
    end_with(r, code, SIGTERM);
}

/* Saving: soon, so that a hundred engines that end together make one write. */

bool cluster_run_is_told(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 && sigismember(&pending, CLUSTER_STOP_SIGNAL) == 1;
}

static void save_now(struct cluster_run *r)
{
    struct ersa_error err = {0};
    struct cluster *c = &r->cluster;
    loop_cancel(r->loop, &r->save_timer);
    int fd = r->has_lock ? -1 : cluster_lock(c, SAVE_LOCK_S, &err);
    int rc = fd < 0 && !r->has_lock ? fd : 0;
    if (rc == 0 && !cluster_run_is_told())
        rc = cluster_save(c, &err);
    if (fd >= 0)
        cluster_unlock(c, fd);
    if (rc < 0)
        log_error("%s", err.text);
}

static void on_save_timer(struct timer *t)
{
    save_now(container_of(t, struct cluster_run, save_timer));
}

static void save_soon(struct cluster_run *r)
{
    if (!timer_is_set(&r->save_timer))
        loop_after(r->loop, &r->save_timer, SAVE_DELAY_NS);
}

/* Ends of processes */

/* An engine that was told to end (by a client, by SIGTERM) has not failed. */
static bool is_failure(const struct launch_exit *end)
{
    if (!end->is_known)
        return false;
    if (WIFSIGNALED(end->status))
        return WTERMSIG(end->status) != SIGTERM;
    return WEXITSTATUS(end->status) != 0;
}

static void show_output(struct cluster_run *r, const struct launch *l,
                        const struct launch_exit *end, int level)
{
    const char *option = l->is_controller ? "LocalControllerLauncher.output_limit"
                                          : "LocalEngineSetLauncher.output_limit";
    if (level < log_level() || !*end->output_file || (l->is_controller && !r->with_controller))
        return;
    CLEANUP(free_ptr)
    char *text = output_tail(end->output_file, 0, (size_t)options_int(r->cli->options, option));
    CLEANUP(free_ptr) char *name = launch_name(l);
    if (!text || !*text || !name)
        return;
    if (l->is_controller)
        log_at(level, "Output for %s (%s):\n%s", name, end->output_file, text);
    else
        log_at(level, "Output for %s-%d (%s):\n%s", name, end->index, end->output_file, text);
}

static void on_exit_event(void *ctx, struct launch *l, const struct launch_exit *end)
{
    struct cluster_run *r = ctx;
    bool failed = is_failure(end), is_stopping = r->phase == RUN_STOPPING;
    follow_drain(&r->follow);
    const char *how = end->is_known ? child_status_text(end->status) : "ended";
    if (l->is_controller) {
        r->controller_status = end->is_known ? end->status : 0;
        free(r->controller_output);
        r->controller_output = str_dup(end->output_file);
        log_at(failed ? LOG_WARN : LOG_INFO, "Controller stopped: pid %d, %s", (int)end->pid,
               how);
    } else {
        bool is_early = r->phase == RUN_STARTING || timer_is_set(&r->early_timer);
        if (l == r->engines)
            r->engines_failed |= failed && !is_stopping;
        log_at(is_stopping          ? LOG_DEBUG
               : failed && is_early ? LOG_ERROR
               : failed             ? LOG_WARN
                                    : LOG_INFO,
               "Engine %d of set %s ended%s: pid %d, %s", end->index, l->set_id,
               is_early && !is_stopping ? " early" : "", (int)end->pid, how);
    }
    show_output(r, l, end, failed && !is_stopping ? LOG_WARN : LOG_DEBUG);
    save_soon(r);
    if (l == r->engines && l->ops->poll(l))
        cluster_run_look(r);
}

static void on_controller_stop(struct cluster_run *r)
{
    if (r->phase == RUN_STOPPING)
        return;
    int status = r->controller_status;
    bool is_orderly = r->phase == RUN_UP && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (r->phase == RUN_STARTING || r->daemonize.fd >= 0)
        log_critical("Controller failed: %s. Its output is in %s.",
                     status >= 0 ? child_status_text(status) : "it ended",
                     r->controller_output ? r->controller_output : r->cluster.log_dir);
    log_warn("Controller stopped. Shutting down.");
    writer_tidy(&r->cli->profile, r->cli->cluster_id);
    cluster_run_fail(r, is_orderly ? EXIT_CLUSTER_OK : EXIT_CLUSTER_CONTROLLER);
}

static void on_engines_stop(struct cluster_run *r, const struct launch *l)
{
    log_at(r->engines_failed ? LOG_WARN : LOG_INFO, "engine set stopped %s", l->set_id);
    if (r->phase == RUN_STOPPING || l != r->engines)
        return;
    if (r->engines_failed && (r->phase == RUN_STARTING || timer_is_set(&r->early_timer))) {
        log_at(r->daemonize.fd >= 0 ? LOG_CRITICAL : LOG_ERROR,
               "Engines shutdown early, they probably failed to connect.\n\n"
               "    Their output is in %s/ipengine-%s-%s-*.log.\n"
               "    Engines on other machines need a controller that listens there: "
               "`ipcluster start --ip=*`.\n",
               r->cluster.log_dir, l->cluster_id, l->set_id);
        cluster_run_fail(r, EXIT_CLUSTER_ENGINES);
    } else if (!r->with_controller) {
        cluster_run_fail(r, EXIT_CLUSTER_OK);
    } else {
        cluster_run_look(r);
    }
}

static void on_stop_event(void *ctx, struct launch *l, int rc)
{
    struct cluster_run *r = ctx;
    if (rc < 0) {
        log_error("%s: not all processes could be stopped",
                  l->is_controller ? "controller" : l->set_id);
        r->exit_code = EXIT_CLUSTER_FAILED;
    }
    save_soon(r);
    if (l->is_controller)
        on_controller_stop(r);
    else
        on_engines_stop(r, l);
    finish_if_stopped(r);
}

static void on_early_timer(struct timer *t)
{
    struct cluster_run *r = container_of(t, struct cluster_run, early_timer);
    int n = r->engines ? r->engines->ops->poll(r->engines) : 0;
    if (n == r->n)
        log_info("Engines appear to have started successfully");
    else
        log_warn("%d of %d engines run", n, r->n);
}

static void on_start_event(void *ctx, struct launch *l, int rc, const struct ersa_error *err)
{
    struct cluster_run *r = ctx;
    if (rc < 0) {
        log_critical("%s start failed: %s", l->is_controller ? "Controller" : "Engine",
                     err->text);
        cluster_run_fail(r, EXIT_CLUSTER_FAILED);
        return;
    }
    if (l->is_controller || r->phase != RUN_STARTING)
        return;
    r->phase = RUN_UP;
    double early_s = options_float(r->cli->options, "IPClusterEngines.early_shutdown");
    if (early_s > 0 && r->n > 0)
        loop_after(r->loop, &r->early_timer, (int64_t)(early_s * 1e9));
    save_now(r);
    cluster_run_await(r);
}

const struct launch_events cluster_run_events = {
    .on_start = on_start_event, .on_exit = on_exit_event, .on_stop = on_stop_event};

/* Signals */

static void on_signal(void *ctx, int signo)
{
    struct cluster_run *r = ctx;
    bool is_waited_for = r->daemonize.fd >= 0;
    bool is_background =
        options_bool(r->cli->options, "IPClusterEngines.daemonize") && !is_waited_for;
    switch (signo) {
    case SIGUSR1:
    case SIGUSR2:
        log_info("Sending signal %d to engine(s)", signo);
        cluster_signal_engines(&r->cluster, signo);
        return;
    case SIGHUP:
        if (is_background) {
            log_reopen();
            return;
        }
        break;
    case SIGINT:
        if (!r->with_controller && r->phase == RUN_UP && !is_waited_for) {
            cluster_signal_engines(&r->cluster, signo);
            return;
        }
        break;
    default:
        break;
    }
    if (signo == CLUSTER_STOP_SIGNAL) {
        /* Each process gets its signal from there, and must not get another one; the deadline
         * is ours. */
        end_with(r, EXIT_CLUSTER_OK, 0);
        cluster_signal_unsaved(&r->cluster, SIGTERM);
        return;
    }
    if (r->phase == RUN_STOPPING) {
        log_warn("Signal %d again: killing what is left", signo);
        cluster_run_stop(r, SIGKILL);
        return;
    }
    log_info("Received signal %d", signo);
    cluster_run_fail(r, 128 + signo);
}

/* The whole */

#define N_SIGNALS 6

static void list_signals(int out[N_SIGNALS + 1])
{
    const int signos[N_SIGNALS + 1] = {
        SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, CLUSTER_STOP_SIGNAL, 0};
    memcpy(out, signos, sizeof(signos)); /* SIGRTMIN is no constant */
}

static int open_run(struct cluster_run *r, struct ersa_error *err)
{
    int signos[N_SIGNALS + 1];
    list_signals(signos);
    r->loop = loop_new();
    if (!r->loop)
        return err_set(err, ERSA_EIO, "no descriptors left for an event loop");
    int rc = signals_open(&r->signals, r->loop, signos, on_signal, r);
    if (rc == 0)
        rc = cluster_open(&r->cluster, r->loop, &r->cli->profile, r->cli->cluster_id, err);
    r->cluster.events = cluster_run_events;
    r->cluster.events.ctx = r;
    r->cluster.is_guest = !r->with_controller;
    r->engine_file = profile_connection_file(&r->cli->profile, r->cli->cluster_id, true);
    follow_init(&r->follow, r->loop, STDERR_FILENO);
    return rc == 0 && !r->engine_file ? err_set(err, ERSA_ENOMEM, "out of memory") : rc;
}

static void close_run(struct cluster_run *r)
{
    if (r->pid_fd >= 0)
        log_info("Removing pid file: %s", r->cluster.pid_path);
    lockfile_drop(r->cluster.pid_path, r->pid_fd);
    if (!r->loop)
        return;
    follow_fini(&r->follow);
    hub_watch_fini(&r->hub);
    cluster_close(&r->cluster);
    int signos[N_SIGNALS + 1];
    list_signals(signos);
    for (const int *signo = signos; *signo; signo++)
        signal(*signo, SIG_IGN); /* what comes now comes too late to change how we end */
    signals_close(&r->signals);
    loop_free(r->loop);
    free(r->engine_file);
    free(r->controller_output);
}

static void run(struct cluster_run *r)
{
    int code = cluster_run_claim(r);
    if (code) {
        r->exit_code = code;
        return;
    }
    if (r->phase == RUN_STARTING && r->with_controller) /* else a signal came first */
        cluster_run_controller(r);
    else if (r->phase == RUN_STARTING)
        cluster_run_engines(r);
    if (r->phase != RUN_STOPPING || cluster_n_running(&r->cluster))
        loop_run(r->loop);
    save_now(r);
}

int cluster_run_main(struct cli *c, bool with_controller)
{
    struct cluster_run r = {.cli = c,
                            .with_controller = with_controller,
                            .daemonize = {.fd = -1},
                            .pid_fd = -1,
                            .controller_status = -1,
                            .n = cluster_spec_n(c)};
    struct ersa_error err = {0};
    cluster_spec_launcher(c, "Cluster.engine_launcher_class");
    if (with_controller)
        cluster_spec_launcher(c, "Cluster.controller_launcher_class");
    cli_raise_limits();
    if (options_bool(c->options, "IPClusterEngines.daemonize") &&
        daemonize_begin(&r.daemonize, &err) < 0)
        cli_die(EXIT_CLUSTER_FAILED, "%s", err.text);
    r.early_timer.fn = on_early_timer;
    r.save_timer.fn = on_save_timer;
    if (open_run(&r, &err) < 0) {
        log_critical("%s", err.text);
        r.exit_code = EXIT_CLUSTER_FAILED;
    } else {
        run(&r);
    }
    close_run(&r);
    return r.exit_code;
}
