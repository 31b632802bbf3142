/* SPDX-License-Identifier: BSD-3-Clause */
/* The start of a cluster: whether it may start, the controller, its connection file, the
 * engines. What happens after that is in cluster_run.c. */
#include <stdlib.h>
#include <string.h>

#include "cli/cluster_run.h"
#include "cli/cluster_spec.h"
#include "cli/ipcluster.h"
#include "cli/writer.h"
#include "launch/lockfile.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/log.h"

#define LOCK_WAIT_S 30.0
#define KEEP_LOGS 200
/* It has 5 s to stop its processes, and some more to kill them. */
#define OLD_OWNER_WAIT_NS MS_TO_NS(30000)
#define LOOK_AGAIN_S 0.2

/* Whether it runs, by what really runs. ERSA_EEXIST: it does. */
static int look(struct cluster_run *r)
{
    struct ersa_error err = {0};
    struct cluster *c = &r->cluster;
    int rc = cluster_load(c, &err);
    if (rc < 0 && rc != ERSA_ENOENT)
        log_error("Error loading cluster from file %s: %s. Assuming stopped cluster.", c->path,
                  err.text);
    if (!cluster_has_controller(c) && !c->unsupported)
        return 0;
    log_critical("Cluster is already running at %s. use `ipcluster stop` to stop the cluster.",
                 c->path);
    return ERSA_EEXIST;
}

/* Engines that outlived their controller: of no use to anybody, and in our way. */
static void stop_leftovers(struct cluster_run *r)
{
    struct cluster *c = &r->cluster;
    int n = cluster_n_engines(c);
    if (!cluster_n_running(c))
        return;
    log_warn("Stopping %d engines of a controller that is gone", n);
    c->events = (struct launch_events){0};
    list_for_each (&c->sets, it) {
        container_of(it, struct cluster_set, link)->launch->events = c->events;
    }
    struct launch_stop how = cluster_spec_stop(r->cli);
    cluster_stop_wait(&c, 1, &how);
}

/* A fresh view of the cluster, with the head of what is started now. */
static int reset(struct cluster_run *r, struct ersa_error *err)
{
    struct cluster_run *ctx = r;
    cluster_close(&r->cluster);
    int rc = cluster_open(&r->cluster, r->loop, &r->cli->profile, r->cli->cluster_id, err);
    r->cluster.events = cluster_run_events;
    r->cluster.events.ctx = ctx;
    r->cluster.is_guest = !r->with_controller;
    return rc == 0 ? cluster_spec_head(r->cli, &r->cluster.file) : rc;
}

static int fail(struct cluster_run *r, const struct ersa_error *err)
{
    log_critical("%s", err->code ? err->text : "out of memory");
    lockfile_drop(r->cluster.pid_path, r->pid_fd);
    r->pid_fd = -1;
    return EXIT_CLUSTER_FAILED;
}

/* Reads the file afresh; what of it is dead is left out of it. ERSA_EEXIST: it runs. */
static int look_and_tidy(struct cluster_run *r, struct ersa_error *err)
{
    int rc = reset(r, err);
    int fd = rc == 0 ? cluster_lock(&r->cluster, LOCK_WAIT_S, err) : rc;
    if (fd < 0)
        return fd;
    rc = look(r);
    if (rc == 0 && !cluster_n_running(&r->cluster))
        rc = cluster_save(&r->cluster, err);
    cluster_unlock(&r->cluster, fd);
    return rc;
}

/* `start`: nobody else may run it. Another ipcluster that holds the pid file is either about to
 * start it, or about to have stopped it; looking again tells. */
static int claim_cluster(struct cluster_run *r, struct ersa_error *err)
{
    int64_t deadline = clock_mono_ns() + OLD_OWNER_WAIT_NS;
    do {
        int rc = look_and_tidy(r, err);
        if (rc < 0)
            return rc;
        stop_leftovers(r);
        r->pid_fd = pidfile_create(r->cluster.pid_path, LOOK_AGAIN_S, err);
    } while (r->pid_fd == ERSA_ETIMEDOUT && clock_mono_ns() < deadline);
    if (r->pid_fd < 0)
        return r->pid_fd;
    *err = (struct ersa_error){0};
    writer_tidy(&r->cli->profile, r->cli->cluster_id);
    log_info("Creating pid file: %s", r->cluster.pid_path);
    int rc = look_and_tidy(r, err);
    return rc == 0 ? reset(r, err) : rc;
}

/* `engines`: a controller must run. ERSA_ESTATE: none does. */
static int claim_controller(struct cluster_run *r, struct ersa_error *err)
{
    int rc = cluster_load(&r->cluster, err);
    if (rc < 0 && rc != ERSA_ENOENT)
        return rc;
    if (rc == 0 && cluster_has_controller(&r->cluster)) {
        r->n_before = (size_t)cluster_n_engines(&r->cluster);
        const char *ours = cluster_spec_launcher(r->cli, "Cluster.engine_launcher_class")->name;
        if (json_object_size(r->cluster.file.engine_sets) &&
            strcmp(ours, r->cluster.file.engines_class) != 0)
            log_warn("the cluster's engines are started by '%s'",
                     r->cluster.file.engines_class);
        return reset(r, err);
    }
    log_critical(
        "No controller of cluster '%s' runs, so there is nothing to add engines to; `ipcluster "
        "start` starts one",
        r->cli->cluster_id);
    return ERSA_ESTATE;
}

int cluster_run_claim(struct cluster_run *r)
{
    struct ersa_error err = {0};
    int rc = r->with_controller ? claim_cluster(r, &err) : claim_controller(r, &err);
    if (rc == ERSA_EEXIST) {
        lockfile_drop(r->cluster.pid_path, r->pid_fd);
        r->pid_fd = -1;
        return EXIT_CLUSTER_RUNNING;
    }
    if (rc == ERSA_ESTATE && !r->with_controller)
        return EXIT_CLUSTER_NO_CLUSTER;
    return rc < 0 ? fail(r, &err) : EXIT_CLUSTER_OK;
}

static void start_failed(struct cluster_run *r, const char *what, const struct ersa_error *err)
{
    log_critical("%s start failed: %s", what, err->code ? err->text : "out of memory");
    cluster_run_fail(r, EXIT_CLUSTER_FAILED);
}

static void on_delay_timer(struct timer *t)
{
    cluster_run_engines(container_of(t, struct cluster_run, delay_timer));
}

static void on_engine_file(void *ctx, int rc, const struct ersa_error *err)
{
    struct cluster_run *r = ctx;
    if (rc < 0) {
        start_failed(r, "Controller", err);
        return;
    }
    double delay_s = options_float(r->cli->options, "Cluster.delay");
    if (delay_s > 0)
        loop_after(r->loop, &r->delay_timer, (int64_t)(delay_s * 1e9));
    else
        cluster_run_engines(r);
}

/* Under the lock until the file says that it runs. */
static int start_controller(struct cluster_run *r, const struct cluster_spec *spec,
                            struct ersa_error *err)
{
    struct cluster *c = &r->cluster;
    int fd = cluster_lock(c, LOCK_WAIT_S, err);
    if (fd < 0)
        return fd;
    file_mark_take(&r->before, r->engine_file);
    log_info("Starting controller with %s", spec->launcher->controller_class);
    int rc =
        launch_new(spec->launcher, r->loop, &spec->launch, &c->events, &c->controller, err);
    if (rc == 0)
        rc = c->controller->ops->start(c->controller, 1, err);
    if (rc == 0)
        rc = cluster_save(c, err);
    cluster_unlock(c, fd);
    return rc;
}

void cluster_run_controller(struct cluster_run *r)
{
    struct ersa_error err = {0};
    struct cluster_spec spec;
    r->delay_timer.fn = on_delay_timer;
    log_info("Starting ipcluster with [daemonize=%s]", r->daemonize.fd >= 0 ? "True" : "False");
    int rc = cluster_spec_controller(&spec, r->cli, &err);
    if (rc == 0)
        rc = start_controller(r, &spec, &err);
    cluster_spec_fini(&spec);
    if (rc < 0) {
        start_failed(r, "Controller", &err);
        return;
    }
    const struct launch *l = r->cluster.controller;
    if (log_level() <= LOG_DEBUG) {
        json_t *state = l->ops->save(l);
        const char *output = json_str(state, "output_file");
        if (output)
            follow_add(&r->follow, output);
        json_decref(state);
    }
    double timeout_s =
        options_float(r->cli->options, "LocalControllerLauncher.connection_info_timeout");
    if (!options_bool(r->cli->options, "Cluster.send_engines_connection_env"))
        on_engine_file(r, 0, NULL);
    else if (await_file_start(&r->await, r->loop, r->engine_file, &r->before, timeout_s,
                              on_engine_file, r) < 0)
        start_failed(r, "Controller", &err);
}

static void follow_engines(struct cluster_run *r)
{
    if (log_level() > LOG_DEBUG || !r->engines)
        return;
    json_t *state = r->engines->ops->save(r->engines);
    const char *key;
    json_t *engine;
    json_object_foreach(json_object_get(state, "engines"), key, engine)
    {
        const char *output = json_str(engine, "output_file");
        if (output)
            follow_add(&r->follow, output);
    }
    json_decref(state);
}

/* The set, with an id that nobody else takes: in the file before it starts. */
static int add_set(struct cluster_run *r, struct ersa_error *err)
{
    struct cluster *c = &r->cluster;
    bool hand_file = options_bool(r->cli->options, "Cluster.send_engines_connection_env");
    CLEANUP(free_ptr) char *set_id = cluster_new_set_id(c);
    struct cluster_spec spec = {0};
    struct launch *l = NULL;
    int rc = set_id ? cluster_spec_engines(&spec, r->cli, set_id,
                                           hand_file ? r->engine_file : NULL, err)
                    : err_set(err, ERSA_ENOMEM, "out of memory");
    if (rc == 0)
        rc = launch_new(spec.launcher, r->loop, &spec.launch, &c->events, &l, err);
    cluster_spec_fini(&spec);
    if (rc < 0)
        return rc;
    rc = cluster_add_set(c, set_id, l);
    if (rc < 0) {
        launch_free(l);
        return err_set(err, rc, "out of memory");
    }
    r->engines = l;
    return cluster_save(c, err);
}

/* Under the lock until the file names the engines. */
static int start_set(struct cluster_run *r, struct ersa_error *err)
{
    int rc = add_set(r, err);
    if (rc < 0)
        return rc;
    struct launch *l = r->engines;
    log_info("Starting %d engines with %s", r->n, l->launcher->engine_class);
    rc = l->ops->start(l, r->n, err);
    bool is_saved = r->phase != RUN_STARTING; /* when the last of them was started */
    return rc == 0 && !is_saved ? cluster_save(&r->cluster, err) : rc;
}

void cluster_run_engines(struct cluster_run *r)
{
    struct ersa_error err = {0};
    if (!r->with_controller)
        log_info("Starting engines with [daemon=%s]", r->daemonize.fd >= 0 ? "True" : "False");
    output_prune(r->cluster.log_dir, KEEP_LOGS);
    int fd = cluster_lock(&r->cluster, LOCK_WAIT_S, &err);
    bool is_stopped = cluster_run_is_told();
    r->has_lock = fd >= 0;
    int rc = fd < 0 || is_stopped ? fd : start_set(r, &err);
    r->has_lock = false;
    cluster_unlock(&r->cluster, fd);
    if (rc < 0)
        start_failed(r, "Engine", &err);
    else if (!is_stopped)
        follow_engines(r);
}
