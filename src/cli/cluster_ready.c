/* SPDX-License-Identifier: BSD-3-Clause */
/* From started to of use: `ipcluster --daemonize` leaves when its engines have registered, and
 * tells by its exit code when they have not (Cluster.engine_timeout). In the foreground the
 * same is said in a log line. */
#include <stdlib.h>
#include <unistd.h>

#include "cli/cluster_run.h"
#include "cli/ipcluster.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/str.h"

static double limit_s(const struct cluster_run *r)
{
    return options_float(r->cli->options, "Cluster.engine_timeout");
}

/* Ours alone, as far as numbers tell. */
static size_t n_ours(const struct cluster_run *r)
{
    size_t n = r->n_registered > r->n_before ? r->n_registered - r->n_before : 0;
    return n < (size_t)r->n ? n : (size_t)r->n;
}

void cluster_run_await_end(struct cluster_run *r)
{
    r->is_awaited = false;
    loop_cancel(r->loop, &r->ready_timer);
    hub_watch_stop(&r->hub);
}

static void leave(struct cluster_run *r)
{
    cluster_run_await_end(r);
    if (r->daemonize.fd < 0)
        return;
    log_info("Leaving cluster running: %s", r->cluster.path);
    CLEANUP(free_ptr) char *suffix = str_printf("-%d.log", (int)getpid());
    CLEANUP(free_ptr)
    char *path = suffix
                     ? profile_file(r->cluster.log_dir, "ipcluster", r->cli->cluster_id, suffix)
                     : NULL;
    daemonize_ready(&r->daemonize, path ? path : "/dev/null");
    if (path && !options_bool(r->cli->options, "BaseParallelApplication.log_to_file"))
        log_open_file(path); /* by its name, so that SIGHUP opens it again */
}

void cluster_run_look(struct cluster_run *r)
{
    int n = r->engines ? r->engines->ops->poll(r->engines) : 0;
    if (!r->is_awaited || r->n_registered < r->n_before + (size_t)n)
        return;
    log_info("%zu of %d engines have registered", n_ours(r), r->n);
    leave(r);
}

static void on_count(void *ctx, size_t n, const struct ersa_error *err)
{
    struct cluster_run *r = ctx;
    if (err) {
        log_warn("The controller can't be asked which engines have registered: %s", err->text);
        leave(r);
        return;
    }
    r->n_registered = n;
    cluster_run_look(r);
}

static void on_limit(struct timer *t)
{
    struct cluster_run *r = container_of(t, struct cluster_run, ready_timer);
    bool is_failure = r->daemonize.fd >= 0 && !n_ours(r);
    log_at(is_failure ? LOG_CRITICAL : LOG_WARN,
           "%zu of %d engines have registered within %g seconds. Their output is in "
           "%s/ipengine-%s-%s-*.log.",
           n_ours(r), r->n, limit_s(r), r->cluster.log_dir, r->cli->cluster_id,
           r->engines->set_id);
    if (is_failure)
        cluster_run_fail(r, EXIT_CLUSTER_ENGINES);
    else
        leave(r);
}

void cluster_run_await(struct cluster_run *r)
{
    CLEANUP(free_ptr)
    char *file = profile_connection_file(&r->cli->profile, r->cli->cluster_id, false);
    if (r->n == 0 || limit_s(r) <= 0 || !file ||
        hub_watch_start(&r->hub, r->loop, file, on_count, r) < 0) {
        leave(r);
        return;
    }
    r->is_awaited = true;
    r->ready_timer.fn = on_limit;
    loop_after(r->loop, &r->ready_timer, (int64_t)(limit_s(r) * 1e9));
}
