/* SPDX-License-Identifier: BSD-3-Clause */
/* The local launcher: a controller, or a set of engines, as processes of this machine
 * (launchers.md 3). Each is a session of its own with a log file; its end comes through a
 * pidfd, with its status for our children and without for processes that were taken over from a
 * cluster file.
 *
 * Stopping signals all at once and waits for all with one deadline: SIGTERM, kill_after_s,
 * SIGKILL. */
#include "launch/local.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "launch/environment.h"
#include "launch/local_impl.h"
#include "launch/output.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/log.h"
#include "util/str.h"

static struct local *local_of(struct launch *l)
{
    return container_of(l, struct local, base);
}

static void free_argv(char **argv)
{
    for (char **p = argv; p && *p; p++)
        free(*p);
    free(argv);
}

static void local_free(struct launch *launch)
{
    struct local *l = local_of(launch);
    loop_cancel(launch->loop, &l->start_timer);
    loop_cancel(launch->loop, &l->stop_timer);
    for (int i = 0; i < l->n_begun; i++) {
        struct local_proc *p = &l->procs[i];
        if (p->is_running && p->is_child)
            child_forget(&p->child);
        if (p->is_running && !p->is_child) {
            loop_unwatch(launch->loop, &p->watch);
            close(p->watch.fd);
        }
        free(p->output_file);
    }
    free(l->procs);
    free_argv(l->argv);
    json_decref(l->environment);
    launch_fini(launch);
    free(l);
}

static char **copy_argv(char *const *argv)
{
    size_t n = 0;
    while (argv[n])
        n++;
    char **copy = calloc(n + 1, sizeof(*copy));
    for (size_t i = 0; copy && i < n; i++)
        if (!(copy[i] = str_dup(argv[i]))) {
            free_argv(copy);
            return NULL;
        }
    return copy;
}

static void on_start_timer(struct timer *t);
static void on_stop_timer(struct timer *t);

static int local_create(const struct launch_spec *spec, struct launch **ret,
                        struct ersa_error *err)
{
    struct local *l = calloc(1, sizeof(*l));
    if (!l)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    l->start_timer.fn = on_start_timer;
    l->stop_timer.fn = on_stop_timer;
    l->delay_ns = (int64_t)(spec->delay_s * 1e9);
    l->environment = spec->environment ? json_deep_copy(spec->environment) : NULL;
    l->argv = spec->argv ? copy_argv(spec->argv) : NULL;
    if (launch_init(&l->base, spec) < 0 || (spec->argv && !l->argv) ||
        (spec->environment && !l->environment)) {
        launch_fini(&l->base);
        free_argv(l->argv);
        json_decref(l->environment);
        free(l);
        return err_set(err, ERSA_ENOMEM, "out of memory");
    }
    *ret = &l->base;
    return 0;
}

/* Ends */

static void has_stopped(struct local *l, int rc)
{
    loop_cancel(l->base.loop, &l->stop_timer);
    l->base.state = LAUNCH_AFTER;
    if (l->base.events.on_stop)
        l->base.events.on_stop(l->base.events.ctx, &l->base, rc);
}

static void has_ended(struct local_proc *p, bool is_known, int status)
{
    struct local *l = p->owner;
    p->is_running = false;
    l->n_running--;
    struct launch_exit end = {p->index, p->id.pid, is_known, status, p->output_file};
    if (l->base.events.on_exit)
        l->base.events.on_exit(l->base.events.ctx, &l->base, &end);
    output_drop_empty(p->output_file);
    if (!l->n_running && !timer_is_set(&l->start_timer))
        has_stopped(l, 0);
}

static void on_child(struct child *c, int status, const struct rusage *usage)
{
    has_ended(container_of(c, struct local_proc, child), true, status);
}

void local_on_pidfd(struct watch *w, unsigned events)
{
    struct local_proc *p = container_of(w, struct local_proc, watch);
    loop_unwatch(p->owner->base.loop, w);
    close(w->fd);
    has_ended(p, false, 0);
}

/* Start */

static char *output_path(const struct local *l, int index)
{
    const struct launch *b = &l->base;
    if (b->is_controller)
        return str_printf("%s/ipcontroller%s%s-%d.log", b->log_dir, *b->cluster_id ? "-" : "",
                          b->cluster_id, (int)getpid());
    return str_printf("%s/ipengine-%s-%s-%d.log", b->log_dir, b->cluster_id, b->set_id, index);
}

static int start_one(struct local *l, char **env, struct ersa_error *err)
{
    struct local_proc *p = &l->procs[l->n_begun];
    *p = (struct local_proc){.owner = l, .index = l->n_begun, .is_child = true};
    p->output_file = output_path(l, p->index);
    if (!p->output_file)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    CLEANUP(close_fd) int fd = output_open(p->output_file, err);
    struct child_spawn spawn = {
        .path = l->argv[0],
        .argv = l->argv,
        .envp = env,
        .stdin_fd = CHILD_DEV_NULL,
        .stdout_fd = fd,
        .stderr_fd = fd,
        .new_session = true,
    };
    int rc = fd < 0 ? fd : child_start(&p->child, l->base.loop, &spawn, on_child, err);
    if (rc < 0) {
        output_drop_empty(p->output_file);
        free(p->output_file);
        return rc;
    }
    if (proc_identify(p->child.pid, &p->id) < 0)
        p->id = (struct proc){.pid = p->child.pid};
    p->is_running = true;
    l->n_begun++;
    l->n_running++;
    return 0;
}

/* Those that are due: all, or one when there is a pause between them. */
static int start_next(struct local *l, struct ersa_error *err)
{
    char **env = environment_make(l->base.profile_dir, l->base.cluster_id, l->environment);
    int rc = env ? 0 : err_set(err, ERSA_ENOMEM, "out of memory");
    while (rc == 0 && l->n_begun < l->n) {
        rc = start_one(l, env, err);
        if (rc == 0 && l->delay_ns > 0 && l->n_begun < l->n) {
            loop_after(l->base.loop, &l->start_timer, l->delay_ns);
            break;
        }
    }
    environment_free(env);
    return rc;
}

static void tell_start(struct local *l, int rc, const struct ersa_error *err)
{
    if (l->base.events.on_start)
        l->base.events.on_start(l->base.events.ctx, &l->base, rc, err);
}

static void on_start_timer(struct timer *t)
{
    struct local *l = container_of(t, struct local, start_timer);
    struct ersa_error err = {0};
    int rc = start_next(l, &err);
    if (rc < 0 || !timer_is_set(t))
        tell_start(l, rc, &err);
}

static int local_start(struct launch *launch, int n, struct ersa_error *err)
{
    struct local *l = local_of(launch);
    if (launch->state != LAUNCH_BEFORE || !l->argv || !l->argv[0])
        return err_set(err, ERSA_ESTATE, "was started before");
    if (n < 0 || n > LOCAL_ENGINES_MAX)
        return err_set(err, ERSA_EINVAL, "%d engines: 0 to %d", n, LOCAL_ENGINES_MAX);
    l->procs = calloc(n ? (size_t)n : 1, sizeof(*l->procs));
    if (!l->procs)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    l->n = n;
    struct ersa_error why = {0};
    int rc = start_next(l, &why);
    if (rc < 0 && !l->n_begun) {
        launch->state = LAUNCH_AFTER;
        if (err)
            *err = why;
        return rc;
    }
    launch->state = LAUNCH_RUNNING;
    if (rc < 0 || !timer_is_set(&l->start_timer))
        tell_start(l, rc, &why);
    return 0;
}

/* Signals and stop */

/* SIGKILL also reaches what is left in the session's own group: its leader can't tidy up any
 * more. */
static void signal_one(struct local_proc *p, int signo)
{
    if (!p->is_running)
        return;
    if (!p->is_child) {
        if (signo == SIGKILL)
            proc_kill_group(p->watch.fd);
        proc_signal(p->watch.fd, signo);
        return;
    }
    /* Not reaped before child_fn, so both numbers are still its own. */
    if (signo == SIGKILL)
        kill(-p->id.pid, signo);
    kill(p->id.pid, signo);
}

static void local_signal(struct launch *launch, int index, int signo)
{
    struct local *l = local_of(launch);
    for (int i = 0; i < l->n_begun; i++)
        if (index == LAUNCH_ALL || l->procs[i].index == index)
            signal_one(&l->procs[i], signo);
}

static void kill_rest(struct local *l)
{
    l->is_killed = true;
    local_signal(&l->base, LAUNCH_ALL, SIGKILL);
    loop_after(l->base.loop, &l->stop_timer, (int64_t)(l->how.timeout_s * 1e9));
}

static void on_stop_timer(struct timer *t)
{
    struct local *l = container_of(t, struct local, stop_timer);
    if (l->is_killed) {
        has_stopped(l, ERSA_ETIMEDOUT);
        return;
    }
    for (int i = 0; i < l->n_begun; i++)
        if (l->procs[i].is_running)
            log_warn("Process %d did not exit in %g seconds after signal %d",
                     (int)l->procs[i].id.pid, l->how.kill_after_s, l->how.signo);
    kill_rest(l);
}

static void local_stop(struct launch *launch, const struct launch_stop *how)
{
    struct local *l = local_of(launch);
    if (launch->state == LAUNCH_AFTER)
        return;
    loop_cancel(launch->loop, &l->start_timer);
    bool is_first = !l->is_stopping;
    l->is_stopping = true;
    l->how = *how;
    if (!l->n_running) {
        has_stopped(l, 0);
    } else if (how->signo == SIGKILL) {
        kill_rest(l);
    } else {
        local_signal(launch, LAUNCH_ALL, how->signo);
        if (is_first)
            loop_after(launch->loop, &l->stop_timer, (int64_t)(how->kill_after_s * 1e9));
    }
}

static int local_poll(struct launch *launch)
{
    return local_of(launch)->n_running;
}

const struct launcher_ops launcher_local = {
    .create = local_create,
    .start = local_start,
    .stop = local_stop,
    .signal = local_signal,
    .poll = local_poll,
    .save = local_save,
    .load = local_load,
    .free = local_free,
};
